"""The drawings of a model's own album, and the words for them: album.safetensors, beside the pair.

Drawings are WebP, one after the other, which every machine decodes to the same bits; what is told of them is
compressed JSON.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from safetensors import SafetensorError
from safetensors.numpy import load as tensors_of

from songreel.ground import files
from songreel.ground.errors import DamageError

NAME = "album.safetensors"
MOST_TOLD = 20_000_000  # bytes of JSON
PARTS = ("things", "grounds", "skies")


@dataclass(frozen=True)
class Thing:
    """What can be shown: its name, the ground it is on by itself, its kind, and its drawings' indices."""

    name: str
    home: str
    kind: str
    drawings: range
    aloft: bool = False  # seen in the sky wherever one stands
    tall: bool = False  # larger than people
    blooms: bool = False  # its colour is that of its blossoms


@dataclass(frozen=True)
class Ground:
    """A place: its name, how a caption says it, the words that mean it, and its pictures' indices."""

    name: str
    told: str
    words: tuple[str, ...]
    pictures: range


@dataclass(frozen=True)
class Sky:
    """A light: its name, how a caption says it, words, and by how much it dims red, green and blue below."""

    name: str
    told: str
    words: tuple[str, ...]
    tint: tuple[float, float, float]


@dataclass(frozen=True)
class Weather:
    """Rain, snow or fog: its name, how a caption says it, words, and the sky that goes with it."""

    name: str
    told: str
    words: tuple[str, ...]
    sky: str


@dataclass(frozen=True)
class Drawings:
    """An album as it was read."""

    digest: str  # sha256 of the file
    things: tuple[Thing, ...]
    grounds: tuple[Ground, ...]
    skies: tuple[Sky, ...]
    weathers: tuple[Weather, ...]
    words: dict[str, list[int]]  # a thing's index and its weight, 0 to 100, after each other
    silent: frozenset[str]
    acts: frozenset[str]  # words whose -ing and -ed mean the same things
    elsewhere: dict[str, tuple[str, ...]]  # grounds for things of a home, the best first
    sources: tuple[str, ...]  # of each drawing of a thing
    horizon: float  # share of a ground's height
    vectors: NDArray[np.int8]  # [things, d]: their names, embedded
    blobs: dict[str, list[bytes]]

    def thing(self, index: int) -> Image.Image:
        """A drawing of a thing, RGBA."""
        return _decoded(self.blobs["things"][index], "RGBA")

    def ground(self, index: int) -> Image.Image:
        """A picture of a ground, RGBA: transparent where the sky is seen."""
        return _decoded(self.blobs["grounds"][index], "RGBA")

    def sky(self, index: int) -> Image.Image:
        """A picture of a sky, RGB."""
        return _decoded(self.blobs["skies"][index], "RGB")


@lru_cache(maxsize=256)
def _decoded(blob: bytes, mode: str) -> Image.Image:
    with Image.open(io.BytesIO(blob), formats=["WEBP"]) as image:
        return image.convert(mode)


def read(folder: Path) -> Drawings:
    """The album in a model's folder.

    Raises DamageError when the file is not an album, OSError when it cannot be opened.
    """
    path = folder / NAME
    data = files.read_bytes(path)
    try:
        return _album(data)
    except (SafetensorError, zlib.error, ValueError, KeyError, TypeError, IndexError) as error:
        reason = " ".join(str(error).split())[:80]
        raise DamageError(path, f"a damaged file ({reason})", "an album of drawings") from None


def _album(data: bytes) -> Drawings:
    tensors = tensors_of(data)
    told = _told(tensors["words"].tobytes())
    blobs = {part: _blobs(tensors[f"{part}.webp"].tobytes(), tensors[f"{part}.offsets"]) for part in PARTS}
    return Drawings(
        digest=hashlib.sha256(data).hexdigest(),
        things=tuple(_thing(row, len(blobs["things"])) for row in told["things"]),
        grounds=tuple(_ground(row, len(blobs["grounds"])) for row in told["grounds"]),
        skies=tuple(
            Sky(it["name"], it["told"], tuple(it["words"]), _tint(it["tint"])) for it in told["skies"]
        ),
        weathers=tuple(
            Weather(it["name"], it["told"], tuple(it["words"]), it["sky"]) for it in told["weathers"]
        ),
        words=dict(told["words"]),
        silent=frozenset(told["silent"]),
        acts=frozenset(told["acts"]),
        elsewhere={home: tuple(names) for home, names in told["elsewhere"].items()},
        sources=tuple(source for row in told["things"] for source in row["sources"]),
        horizon=float(told["horizon"]),
        vectors=tensors["vectors"],
        blobs=blobs,
    )


def _told(packed: bytes) -> dict[str, Any]:
    opened = zlib.decompressobj()
    text = opened.decompress(packed, MOST_TOLD)
    if opened.unconsumed_tail:
        raise ValueError(f"more than {MOST_TOLD} bytes of words")
    told: dict[str, Any] = json.loads(text)
    return told


def _blobs(joined: bytes, offsets: NDArray[np.int64]) -> list[bytes]:
    if list(offsets) != sorted(offsets) or offsets[0] != 0 or offsets[-1] != len(joined):
        raise ValueError("drawings that do not lie one after the other")
    return [joined[start:end] for start, end in itertools.pairwise(offsets)]


def _thing(row: dict[str, Any], most: int) -> Thing:
    is_so = (bool(row.get(key)) for key in ("aloft", "tall", "blooms"))
    return Thing(row["name"], row["home"], row["kind"], _range(row["first"], row["drawings"], most), *is_so)


def _ground(row: dict[str, Any], most: int) -> Ground:
    return Ground(row["name"], row["told"], tuple(row["words"]), _range(row["first"], row["pictures"], most))


def _range(first: int, count: int, most: int) -> range:
    if not 0 <= first <= first + count <= most:
        raise ValueError("words for drawings that are not there")
    return range(first, first + count)


def _tint(numbers: Any) -> tuple[float, float, float]:
    red, green, blue = (float(number) for number in numbers)
    return red, green, blue
