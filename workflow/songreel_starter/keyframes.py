"""What a pair draws: keyframes of many phrases, made as a film's first line is, for another CLIP to judge."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from songreel.ground.errors import UserError
from songreel.ground.files import replacing
from songreel.ground.messages import say
from songreel.ground.strategy import Strategy
from songreel.kernels import devices
from songreel.planning import config
from songreel.planning.config import Config
from songreel.sampling import sampler
from songreel.sampling.sampler import Pull
from songreel_starter import pairs
from songreel_starter.sprites import Pixels
from songreel_starter.states import Keeper, State, fingerprint


def read_phrases(path: Path, most: int = 0) -> list[str]:
    """The phrases, one a line; `most` of them, or with 0 all."""
    phrases = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    if len(set(phrases)) < len(phrases):
        raise UserError(f"{path}: found the same phrase twice, expected different ones; remove one.")
    return phrases[: most or None]


def film(settings: Sequence[str]) -> Config:
    """A film's settings from KEY=VALUE, as on songreel's command line; the draft's where nothing is said."""
    for setting in settings:
        if "=" not in setting:
            raise UserError(f"{setting!r}: found no '=', expected a film's setting as KEY=VALUE.")
    return config.resolve({"preset": "draft", **dict(setting.split("=", 1) for setting in settings)})


class Studio:
    """A pair at work on a film's canvas."""

    def __init__(self, folder: Path, film: Config, device: torch.device) -> None:
        precision = devices.precision(device)
        self.film, self.strategy = film, film.strategy
        self.vqgan = pairs.load_vqgan(folder, device, precision)
        self.clip = pairs.load_clip(folder, device, precision)
        self.canvas = sampler.canvas(self.vqgan, (film.width, film.height), film.seed)

    def chain(self, phrase: str, strategy: Strategy, first: int = 0) -> Iterator[sampler.Keyframe]:
        """A phrase's keyframes without end, as of a film's line that is sung once."""
        pull = Pull(self.clip, self.clip.embed_texts([phrase]))
        return sampler.chain(self.vqgan, [pull], strategy, self.canvas, self.film.seed, take=0, first=first)

    def pictures(self, phrase: str, keyframes: int) -> Tensor:
        """The first of a phrase's keyframes and, where there are more, the last: uint8 [1 or 2, 3, h, w]."""
        chain = itertools.islice(self.chain(phrase, self.strategy), keyframes)
        tokens = [keyframe.tokens for keyframe in chain]
        kept = torch.stack(tokens[:1] + tokens[1:][-1:])
        with torch.no_grad():
            pictures = self.vqgan.decode(self.vqgan.embed(kept)).clamp(0, 1)
        return (pictures * 255).round().byte().cpu()


@dataclass(frozen=True)
class Shown:
    """Pictures and the phrases that steered them. With one keyframe a phrase, the last is the first."""

    phrases: list[str]
    first: Pixels  # uint8 [n, 3, h, w]
    last: Pixels


def draw(folder: Path, phrases: Sequence[str], film: Config, keyframes: int, target: Path) -> None:
    """Draw some phrases with a folder's pair and keep what is done: a stop costs a phrase or two."""
    keeper = Keeper(target, _recipe(folder, phrases, film, keyframes))
    state = keeper.last()
    pictures = list(state["pictures"]) if state else []
    studio = Studio(folder, film, devices.choose())
    for number, phrase in enumerate(phrases[len(pictures) :], len(pictures) + 1):
        pictures.append(studio.pictures(phrase, keyframes))
        say(f"{target.parent.name}, {number} of {len(phrases)}: {phrase}")
        if keeper.is_due():
            keeper.keep({"pictures": torch.stack(pictures)})
    stacked = torch.stack(pictures).numpy()
    with replacing(target) as temporary, temporary.open("wb") as file:
        np.savez(file, first=stacked[:, 0], last=stacked[:, -1], phrases=np.array(phrases))
    keeper.forget()


def load(paths: Sequence[Path], phrases: Sequence[str]) -> Shown:
    """Some files' pictures, in the order of the phrases. Raises UserError when one of them was not drawn."""
    first: dict[str, Pixels] = {}
    last: dict[str, Pixels] = {}
    for path in paths:
        with np.load(path) as arrays:
            drawn = [str(phrase) for phrase in arrays["phrases"]]
            first |= zip(drawn, arrays["first"], strict=True)
            last |= zip(drawn, arrays["last"], strict=True)
    for phrase in phrases:
        if phrase not in first:
            folder = paths[0].parent
            raise UserError(
                f"{folder}: found no picture of {phrase!r}; remove the folder, it is drawn again."
            )
    stacked = [np.stack([pictures[phrase] for phrase in phrases]) for pictures in (first, last)]
    return Shown(list(phrases), stacked[0], stacked[1])


def by_pair(paths: Sequence[Path]) -> Mapping[str, list[Path]]:
    """Files of pictures by the pair that drew them, which their folder is named after."""
    files: dict[str, list[Path]] = {}
    for path in paths:
        files.setdefault(path.parent.name, []).append(path)
    return files


def _recipe(folder: Path, phrases: Sequence[str], film: Config, keyframes: int) -> State:
    models = {kind: pairs.weights(folder, kind).sha256 for kind in pairs.KINDS}
    size = [film.width, film.height, film.seed, keyframes]
    strategy = {key: value for key, value in asdict(film.strategy).items() if key != "hold"}
    return {**models, **strategy, "size": size, "phrases": fingerprint(phrases)}
