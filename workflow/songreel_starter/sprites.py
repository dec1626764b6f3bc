"""Sprites: pictures of 96 pixels with transparency, cut to what they show, and the words for them.

A shard holds one source: the pictures as WebP, one after the other, and their words as JSON, in an .npz file.
It is small enough to be carried to another machine, and rendering again gives the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from songreel.ground.errors import UserError
from songreel.ground.files import replacing
from songreel_starter import readers, words
from songreel_starter.readers import Picture
from songreel_starter.sources import Source, document

SIDE = 96  # pixels
OPAQUE = 16  # alpha from which a pixel belongs to the picture
LEAST_AREA = 0.03  # share of opaque pixels, under which nothing is to be seen
LARGEST = 4000  # pixels a side, above which a picture is left out
QUALITY = {"quality": 78, "alpha_quality": 80, "method": 4}
COLOURED = 0.55  # share of a sprite's pixels that give it its colour's name

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Entry:
    """What a sprite shows, and how much of its square it fills."""

    source: str
    label: str
    keywords: tuple[str, ...]
    group: str
    colour: str  # the colour of most of it, or nothing
    width: float  # share of the side
    height: float


@dataclass(frozen=True)
class Shard:
    """The sprites of a source: words, and pictures as WebP files."""

    source: dict[str, Any]
    entries: list[Entry]
    webp: bytes
    offsets: npt.NDArray[np.int64]  # [n + 1], in bytes

    def __len__(self) -> int:
        return len(self.entries)

    def pictures(self) -> Pixels:
        """uint8 [n, 96, 96, 4], not premultiplied."""
        pixels = np.empty((len(self), SIDE, SIDE, 4), np.uint8)

        def decode(index: int) -> None:
            start, end = self.offsets[index : index + 2]
            with Image.open(io.BytesIO(self.webp[start:end])) as image:
                pixels[index] = np.asarray(image.convert("RGBA"))

        with ThreadPoolExecutor() as pool:
            list(pool.map(decode, range(len(self))))
        return pixels


def render(source: Source, archive: Path, names: readers.Names, most: int, target: Path) -> Shard:
    """Render a fetched source into a shard: `most` of its pictures, evenly chosen, or with 0 every one."""
    pictures = list(readers.pictures(source, archive, names))
    chosen = pictures[:: max(1, len(pictures) // most)][:most] if most else pictures
    seen: set[bytes] = set()
    entries, blobs = [], []
    for picture, sprite in _rendered(chosen):
        key = hashlib.sha256(sprite.tobytes()).digest()
        if key not in seen and picture.label:
            seen.add(key)
            entries.append(_entry(source, picture, sprite))
            blobs.append(_encode(sprite))
    offsets = np.cumsum([0, *map(len, blobs)], dtype=np.int64)
    shard = Shard(document(source), entries, b"".join(blobs), offsets)
    _save(shard, target)
    return shard


def load(path: Path) -> Shard:
    """A shard. Raises UserError when it is damaged."""
    try:
        with np.load(path) as arrays:
            facts = json.loads(arrays["words"].tobytes())
            webp, offsets = arrays["webp"].tobytes(), arrays["offsets"]
    except (ValueError, KeyError, OSError) as error:
        raise UserError(
            f"{path}: found a damaged shard ({error}); remove it, it is rendered again."
        ) from None
    entries = [Entry(**{**row, "keywords": tuple(row["keywords"])}) for row in facts["entries"]]
    return Shard(facts["source"], entries, webp, offsets)


def sprites_of(picture: Picture) -> Iterator[Pixels]:
    """Sprites uint8 [96, 96, 4] of a picture: one, or a texture's parts; none when it cannot be drawn."""
    try:
        image = _open(picture)
    except (OSError, ValueError, SyntaxError):
        return
    if picture.group == "photograph":
        yield from _crops(image, 2 if "texture" in picture.keywords else 1)
    elif (sprite := _cut(image)) is not None:
        yield sprite


def _rendered(pictures: Iterable[Picture]) -> Iterator[tuple[Picture, Pixels]]:
    for picture in pictures:
        yield from ((picture, sprite) for sprite in sprites_of(picture))


def _open(picture: Picture) -> Image.Image:
    """The picture as RGBA, an SVG drawn by resvg. Raises ValueError or OSError when it cannot be read."""
    if picture.data is not None:
        data = picture.data
    else:
        import resvg_py

        # No fonts of the machine, which would make pictures differ from one to the next.
        drawn = resvg_py.svg_to_bytes(svg_string=picture.svg, width=SIDE * 2, skip_system_fonts=True)
        data = bytes(drawn)
    with Image.open(io.BytesIO(data)) as image:
        if max(image.size) > LARGEST:
            raise ValueError("too large")
        return image.convert("RGBA")


def _cut(image: Image.Image) -> Pixels | None:
    """What is opaque, scaled to fill the side and centred; None when there is next to nothing."""
    box = image.getchannel("A").point([255 * (alpha > OPAQUE) for alpha in range(256)]).getbbox()
    if box is None or max(box[2] - box[0], box[3] - box[1]) < 8:
        return None
    image = _premultiplied_resize(image.crop(box))
    canvas = Image.new("RGBA", (SIDE, SIDE))
    canvas.paste(image, ((SIDE - image.width) // 2, (SIDE - image.height) // 2))
    sprite = np.array(canvas)
    return sprite if (sprite[..., 3] > 40).mean() >= LEAST_AREA else None


def _premultiplied_resize(image: Image.Image) -> Image.Image:
    """Scale the long side to 96; premultiplied, or the colour of transparent pixels would bleed in."""
    scale = SIDE / max(image.size)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    return image.convert("RGBa").resize(size, Image.Resampling.LANCZOS).convert("RGBA")


def _crops(image: Image.Image, n: int) -> Iterator[Pixels]:
    """The middle of a photograph as a square, cut into n x n squares."""
    side = min(image.size) / n
    left, top = (image.width - side * n) / 2, (image.height - side * n) / 2
    for row, column in ((row, column) for row in range(n) for column in range(n)):
        x, y = left + column * side, top + row * side
        yield np.array(image.resize((SIDE, SIDE), Image.Resampling.LANCZOS, box=(x, y, x + side, y + side)))


def _entry(source: Source, picture: Picture, sprite: Pixels) -> Entry:
    opaque = sprite[..., 3] > OPAQUE
    colour = words.colour_of(sprite[sprite[..., 3] > 128][:, :3], COLOURED)
    width, height = float(opaque.any(0).mean()), float(opaque.any(1).mean())
    shape = {"colour": colour, "width": round(width, 3), "height": round(height, 3)}
    return Entry(source.name, picture.label, picture.keywords, picture.group, **shape)  # type: ignore[arg-type]


def _encode(sprite: Pixels) -> bytes:
    out = io.BytesIO()
    Image.fromarray(sprite).save(out, "WEBP", **QUALITY)
    return out.getvalue()


def _save(shard: Shard, target: Path) -> None:
    facts = {"source": shard.source, "entries": [asdict(entry) for entry in shard.entries]}
    text = np.frombuffer(json.dumps(facts, ensure_ascii=False).encode(), np.uint8)
    with replacing(target) as temporary, temporary.open("wb") as file:
        np.savez(file, webp=np.frombuffer(shard.webp, np.uint8), offsets=shard.offsets, words=text)


def entries(shards: Sequence[Shard]) -> list[Entry]:
    """All entries of some shards, in order."""
    return list(itertools.chain.from_iterable(shard.entries for shard in shards))
