"""What the perceptors of a segment make of its pictures and its words, looked at once it is rendered.

They are loaded by then, and a few looks at whole pictures take them no longer than an iteration or two.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from songreel.ground.documents import PerceptorEntry, SegmentRecipe
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


def keep(
    model: VQGAN,
    pulls: Sequence[Pull],
    recipe: SegmentRecipe,
    name: str,
    segment: Segment,
    seconds: float | None,
    paths: Paths,
) -> None:
    """Look at a finished segment and keep what is seen. What hinders that is said, and harms no film."""
    try:
        judged = tuple(_judged(model, pulls, recipe, segment))
        scores.keep(Score(segment.loss, judged, seconds), name, paths)
    except (OSError, RuntimeError) as error:  # a full disk, or a full GPU
        reason = " ".join(str(error).split())[:80]
        say(f"{shorten(recipe.text)}: how well its pictures follow the words was not measured ({reason}).")


def total_seconds(name: str, keyframes: int, seconds: float, paths: Paths) -> float | None:
    """How long a segment has taken whose last job took so long and began with so many keyframes.

    None where that is not known: a job that was stopped left keyframes, and not how long they took.
    """
    if not keyframes:
        return seconds
    known = scores.load(name, keyframes, paths)
    return None if known is None or known.seconds is None else known.seconds + seconds


def _judged(model: VQGAN, pulls: Sequence[Pull], recipe: SegmentRecipe, segment: Segment) -> Iterator[Judged]:
    pictures = list(_pictures(model, segment))
    for pull, entry in zip(pulls, recipe.perceptors, strict=True):
        words = _words(pull)
        if words is not None:
            seen = torch.stack([embedded(pull.perceptor, picture) for picture in pictures])
            yield _as_kept(entry, seen, words)


def _as_kept(entry: PerceptorEntry, seen: Tensor, words: Tensor) -> Judged:
    return Judged(entry.name, entry.weight, _half(seen), _half(words))


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
