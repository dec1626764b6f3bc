"""An album of one's own: a folder of pictures, ranked by how well the perceptors find that they fit."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, lru_cache
from math import ceil
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from songreel.ground import files, pictures
from songreel.ground.messages import EVERY, say
from songreel.ground.paths import Paths
from songreel.ground.pictures import Pixels
from songreel.models.perceptor import Perceptor
from songreel.planning.album import Picture, Source
from songreel.planning.choices import look
from songreel.sampling.albums import Candidate

MOST_KEPT = 64  # pictures in memory, from which several lines may start

# Words of all kinds. A picture that fits them all, as some do, fits none for that.
ANY = (
    "love",
    "the night",
    "a long way home",
    "she walks along the street",
    "a house by the sea",
    "trees and flowers",
    "a man and a dog",
    "birds in the sky",
    "the light of the city",
    "a bowl of fruit",
    "snow in the mountains",
    "I will remember you",
    "a red car",
    "dancing together",
    "fire",
    "children play",
)


@dataclass(frozen=True)
class Judge:
    """A perceptor that chooses, and how much its judgement counts."""

    perceptor: Perceptor
    sha256: str
    weight: float


class Photographs:
    """A folder of pictures, as `Album`. Each is looked at once by each perceptor; what it saw is kept."""

    def __init__(self, source: Source, judges: Sequence[Judge], paths: Paths) -> None:
        self.source, self.judges, self.paths = source, judges, paths
        self.digest = source.digest
        self._fits = cache(self._seen)

    def ranked(self, text: str, size: tuple[int, int], count: int) -> list[Candidate]:
        """See `Album`. Raises UserError when a picture cannot be read."""
        fits = self._fit(text, size)
        order = sorted(range(len(fits)), key=lambda at: (-fits[at], self.source.pictures[at].name))
        best = [(self.source.pictures[at].name, float(fits[at])) for at in order[:count]]
        return [Candidate(name, _fitted(Path(self.source.folder, name), size), fit) for name, fit in best]

    def _fit(self, text: str, size: tuple[int, int]) -> NDArray[np.float64]:
        """How much better than any words these ones fit, for each picture."""
        fits = np.zeros(len(self.source.pictures))
        for judge, seen in zip(self.judges, self._fits(size), strict=True):
            words, any_words = (judge.perceptor.embed_texts(texts).double() for texts in ([text], ANY))
            likings = seen.double() @ torch.cat([words, any_words]).T  # [pictures, texts]
            fits += judge.weight * (likings[:, 0] - likings[:, 1:].mean(1)).numpy()
        return fits

    def _seen(self, size: tuple[int, int]) -> list[Tensor]:
        """What each perceptor makes of the pictures, unit vectors float32 [pictures, d]."""
        reported, rows = time.monotonic(), []
        for number, picture in enumerate(self.source.pictures):
            rows.append([self._embedded(picture, judge, size) for judge in self.judges])
            if time.monotonic() - reported > EVERY:
                reported = time.monotonic()
                say(f"looked at {number + 1} of {len(self.source.pictures)} pictures.")
        return [torch.stack(column) for column in zip(*rows, strict=True)]

    def _embedded(self, picture: Picture, judge: Judge, size: tuple[int, int]) -> Tensor:
        kept = self.paths.seen(look(picture.sha256, judge.sha256, size))
        with suppress(OSError, ValueError):
            found = np.load(kept, allow_pickle=False)
            if found.dtype == np.float32 and found.ndim == 1 and np.isfinite(found).all():
                return torch.from_numpy(found)
        path = Path(self.source.folder, picture.name)
        vector = embedded(judge.perceptor, pictures.fitted(path, seen_size(size, judge.perceptor.side)))
        with files.replacing(kept, lasting=False) as temporary, temporary.open("wb") as file:
            np.save(file, vector.numpy())
        return vector


@lru_cache(maxsize=MOST_KEPT)
def _fitted(path: Path, size: tuple[int, int]) -> Pixels:
    return pictures.fitted(path, size)


@torch.no_grad()
def embedded(judge: Perceptor, picture: Pixels) -> Tensor:
    """What a perceptor makes of a picture: a unit vector float32 [d], on the perceptor's device.

    Of one that is no square it sees as many squares as it is long.
    """
    pixels = torch.from_numpy(picture).to(judge.mean.device)
    views = [_scaled(it, judge.side) for it in squares(pixels.permute(2, 0, 1)[None].float() / 255)]
    return F.normalize(judge.embed_images(torch.cat(views)).mean(0), dim=-1)


def _scaled(square: Tensor, side: int) -> Tensor:
    """A square float32 [1, 3, n, n] in 0..1 as one of that side."""
    if square.shape[-1] == side:
        return square
    return F.interpolate(square, (side, side), mode="bicubic", antialias=True).clamp(0, 1)


def seen_size(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Width and height of the shape of `size`, the smaller one `side`: no look depends on a film's size."""
    width, height = size
    return (side, round(side * height / width)) if width < height else (round(side * width / height), side)


def squares(pixels: Tensor) -> list[Tensor]:
    """The fewest squares that cover a picture [1, 3, h, w], evenly spaced."""
    height, width = pixels.shape[2:]
    side, long = min(height, width), max(height, width)
    count = ceil(long / side)
    offsets = [round((long - side) * at / max(count - 1, 1)) for at in range(count)]
    dim = 3 if width > height else 2
    return [pixels.narrow(dim, offset, side) for offset in offsets]
