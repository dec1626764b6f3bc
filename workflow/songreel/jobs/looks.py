"""What the perceptors of a segment make of its pictures and its words, looked at once it is rendered.

They are loaded by then, and a few looks at whole pictures take them no longer than an iteration or two.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from songreel.ground.documents import SegmentRecipe
from songreel.ground.messages import say, shorten
from songreel.ground.paths import Paths
from songreel.ground.pictures import Pixels
from songreel.jobs import scores
from songreel.jobs.latents import Segment
from songreel.jobs.photographs import embedded
from songreel.jobs.scores import Judged, Score
from songreel.models.vqgan import VQGAN
from songreel.sampling.sampler import Pull

MOST = 8  # keyframes of a segment that are looked at


class Looker:
    """Looks at a segment once it is rendered, by a job that begins now and with so many keyframes."""

    def __init__(self, recipe: SegmentRecipe, name: str, begun: int, paths: Paths) -> None:
        self.recipe, self.name, self.begun, self.paths = recipe, name, begun, paths
        self.started = time.monotonic()

    def look(self, model: VQGAN, pulls: Sequence[Pull], segment: Segment) -> None:
        """Keep what is seen of a finished segment. What hinders that is said, and harms no film."""
        seconds = total_seconds(self.name, self.begun, time.monotonic() - self.started, self.paths)
        try:
            judged = tuple(seen(model, pulls, self.recipe, segment))
            scores.keep(Score(segment.loss, judged, seconds), self.name, self.paths)
        except (OSError, RuntimeError, MemoryError) as error:  # a full disk, GPU or memory
            reason = " ".join(str(error).split())[:80]
            say(
                f"{shorten(self.recipe.text)}: how well its pictures follow the words was not measured"
                f" ({reason})."
            )


def total_seconds(name: str, keyframes: int, seconds: float, paths: Paths) -> float | None:
    """How long a segment has taken whose last job took so long and began with so many keyframes.

    None where that is not known: a job that was stopped left keyframes, and not how long they took.
    """
    if not keyframes:
        return seconds
    known = scores.load(name, keyframes, paths)
    return None if known is None or known.seconds is None else known.seconds + seconds


def seen(model: VQGAN, pulls: Sequence[Pull], recipe: SegmentRecipe, segment: Segment) -> Iterator[Judged]:
    """What each perceptor makes of a segment, of those that steer it towards anything."""
    pictures = list(_pictures(model, segment))
    for pull, entry in zip(pulls, recipe.perceptors, strict=True):
        words = _words(pull)
        if words is not None:
            vectors = torch.stack([embedded(pull.perceptor, picture) for picture in pictures])
            yield Judged(entry.name, entry.weight, _half(vectors), _half(words))


def _half(vectors: Tensor) -> NDArray[np.float16]:
    return vectors.detach().float().cpu().numpy().astype(np.float16)


def _words(pull: Pull) -> Tensor | None:
    """The unit vector [d] that a segment is steered towards; None where it is only steered away."""
    if pull.weighing is None:
        return F.normalize(pull.target.mean(0), dim=-1)
    towards = pull.weighing.weights.clamp(min=0)
    return F.normalize(towards @ pull.target, dim=-1) if bool(towards.any()) else None


@torch.no_grad()
def _pictures(model: VQGAN, segment: Segment) -> Iterator[Pixels]:
    """Some of a segment's keyframes, evenly spaced and decoded one at a time, as an iteration does."""
    for at in chosen(len(segment)):
        tokens = torch.from_numpy(segment.tokens[at].astype(np.int64)).to(model.codebook.device)
        picture = model.decode(model.embed(tokens[None]))[0].clamp(0, 1)
        yield picture.mul(255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()


def chosen(keyframes: int) -> list[int]:
    """Which of so many keyframes are looked at."""
    return [round(at) for at in np.linspace(0, keyframes - 1, min(keyframes, MOST))]
