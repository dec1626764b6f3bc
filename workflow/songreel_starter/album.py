"""The starter's album: drawings of things, places to put them in, and which words mean which.

What is kept is what songreel.sampling.composing reads: a safetensors file with the drawings as WebP, one
after the other, and the words as compressed JSON.
"""

from __future__ import annotations

import io
import json
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import yaml
from PIL import Image, ImageDraw
from safetensors.numpy import save

from songreel.ground.errors import UserError
from songreel.ground.files import replacing
from songreel.models.perceptor import Perceptor
from songreel_starter import places, readers, rooms
from songreel_starter.lexicon import Named, WordNet, lexicon, missing
from songreel_starter.sources import ALBUM
from songreel_starter.sprites import SIDE, Entry, Shard

TABLE = ALBUM
DRAWINGS = 2  # of a thing, at most
OWN = "songreel"  # the source of what is drawn here
GROUPS = ("smileys", "people", "nature", "food", "travel", "activities", "objects")
THING = {"quality": 62, "alpha_quality": 55, "method": 6}
PLACE = {"quality": 62, "alpha_quality": 60, "method": 6}
TAKES = 2  # of each painted place
MARKS = {"aloft": "aloft", "tall": "tall", "blooms": "blooming"}  # of things, and the lists in the table
NOWHERE = "plain"  # the home of what has none
LARGEST = 6_000_000  # bytes


Embed = Callable[[Sequence[str]], npt.NDArray[np.int8]]


def embedded(clip: Perceptor, texts: Sequence[str]) -> npt.NDArray[np.int8]:
    """Vectors int8 [n, d] of texts, their largest number 127."""
    unit = torch.cat([clip.embed_texts(texts[first : first + 64]) for first in range(0, len(texts), 64)])
    return (unit / unit.abs().amax(1, keepdim=True) * 127).round().to(torch.int8).numpy()


@dataclass(frozen=True)
class Thing:
    """What can be shown: what it is called, its drawings, where they are from, and its subgroup."""

    named: Named
    drawings: tuple[Image.Image, ...]
    sources: tuple[str, ...]
    subgroup: str


def make(
    shards: Sequence[Shard], subgroups: Mapping[str, str], wordnet: WordNet, vectors: Embed, target: Path
) -> str:
    """Write the album; returns a sentence about it. Raises UserError when names in the table are unknown."""
    table = read_table()
    by_source = {str(shard.source["name"]): shard for shard in shards}
    things = list(_things(by_source, table, subgroups))
    named = [thing.named for thing in things]
    _check(named, table)
    words = _kept(lexicon(named, wordnet, table["words"]), table)
    tensors, told = _tensors(things, table)
    told |= {"words": words, "silent": table["silent"], "acts": sorted(table["words"])}
    data = save(tensors | {"words": _squeezed(told), "vectors": vectors([it.label for it in named])})
    if len(data) > LARGEST:
        raise UserError(f"{target}: found {len(data)} bytes, expected at most {LARGEST}; leave things out.")
    with replacing(target) as temporary:
        temporary.write_bytes(data)
    shown = f"{len(things)} things in {sum(len(it.drawings) for it in things)} drawings"
    return f"{shown}, {len(told['grounds'])} places, {len(words)} words, {len(data) / 1e6:.2f} MB."


def _squeezed(told: Mapping[str, Any]) -> npt.NDArray[np.uint8]:
    text = json.dumps(told, separators=(",", ":"), ensure_ascii=False, sort_keys=True)
    return np.frombuffer(zlib.compress(text.encode(), 9), np.uint8)


def _check(named: Sequence[Named], table: Mapping[str, Any]) -> None:
    lists = {key: {key: table[key]} for key in MARKS.values()}
    for key, rows in ({"words": table["words"], "homes": table["homes"]["things"]} | lists).items():
        if unknown := missing(named, rows):
            raise UserError(f"{TABLE}, {key}: found no drawing of {', '.join(unknown)}; correct the names.")


def read_table() -> dict[str, Any]:
    """What a person has written down for the album."""
    table: dict[str, Any] = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    return table


def _kept(words: Mapping[str, Sequence[tuple[int, int]]], table: Mapping[str, Any]) -> dict[str, list[int]]:
    """The words that are not silent, each with (index, weight) after (index, weight)."""
    silent = set(table["silent"])
    return {
        word: [number for row in rows for number in row] for word, rows in words.items() if word not in silent
    }


# Things


def _things(
    shards: Mapping[str, Shard], table: Mapping[str, Any], groups: Mapping[str, str]
) -> Iterator[Thing]:
    """Emoji with drawings of the best styles, then those of the other sources."""
    extras = dict(_extras(shards, table))
    found: dict[str, list[tuple[Entry, str, int]]] = {}
    unwanted = re.compile("|".join(table["unwanted"]))
    for style in table["styles"]:
        for index, entry in enumerate(shards[style].entries):
            left_out = groups.get(entry.label, "") in table["left_out"] or unwanted.search(entry.label)
            if entry.group in GROUPS and not left_out:
                found.setdefault(entry.label, []).append((entry, style, index))
    for label, rows in found.items():
        most = 1 if rows[0][0].group == "smileys" else DRAWINGS
        styles = list(dict.fromkeys(style for _, style, _ in rows))[:most]
        chosen = [next(row for row in rows if row[1] == style) for style in styles]
        drawings = [_drawing(shards[style], index) for _, style, index in chosen]
        entry = rows[0][0]
        extra = extras.pop(label, None)
        if extra:
            drawings, styles = [*drawings[:1], *extra.drawings], [*styles[:1], *extra.sources]
        yield Thing(
            Named(label, entry.keywords, entry.group), tuple(drawings), tuple(styles), groups.get(label, "")
        )
    yield from extras.values()
    yield Thing(Named("fireworks", (), "activities"), (rooms.fireworks(),), (OWN,), "event")


def _extras(shards: Mapping[str, Shard], table: Mapping[str, Any]) -> Iterator[tuple[str, Thing]]:
    for source, rows in table["extras"].items():
        for name, (label, *inks) in rows.items():
            index = next((i for i, entry in enumerate(shards[source].entries) if entry.label == name), None)
            if index is None:
                raise UserError(f"{TABLE}, extras/{source}: found no {name!r} in it; correct the name.")
            drawing = _drawing(shards[source], index)
            if inks:
                drawing = _inked(drawing, *inks)
            yield label, Thing(Named(label, (), "clip art"), (drawing,), (source,), "")


def _drawing(shard: Shard, index: int) -> Image.Image:
    start, end = shard.offsets[index : index + 2]
    with Image.open(io.BytesIO(shard.webp[start:end])) as image:
        return image.convert("RGBA")


def _inked(icon: Image.Image, ink: Sequence[int], paper: Sequence[int]) -> Image.Image:
    """An icon of one ink in two: where it is open inside, the paper is seen."""
    alpha = icon.getchannel("A")
    room = Image.new("L", (SIDE + 8, SIDE + 8))
    room.paste(alpha, (4, 4))
    outside = room.point([255 * (value > 100) for value in range(256)])
    ImageDraw.floodfill(outside, (0, 0), 128)
    inside = outside.point([255 * (value != 128) for value in range(256)]).crop((4, 4, SIDE + 4, SIDE + 4))
    sheet = Image.new("RGBA", icon.size, (*paper, 0))
    sheet.putalpha(inside)
    drawn = Image.new("RGBA", icon.size, (*ink, 0))
    drawn.putalpha(alpha)
    sheet.alpha_composite(drawn)
    return sheet


# Tensors


def _tensors(things: Sequence[Thing], table: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The file's tensors of drawings, and what is told of them."""
    grounds, behind = _places({it.named.label: list(it.drawings[:1]) for it in things}, table)
    skies = {name: places.sky(it, seed) for seed, (name, it) in enumerate(places.SKIES.items())}
    tensors = _packed("things", [drawing for it in things for drawing in it.drawings], THING)
    tensors |= _packed("grounds", behind, PLACE) | _packed("skies", list(skies.values()), PLACE)
    told = {
        "things": list(_rows(things, table)),
        "grounds": grounds,
        "horizon": places.HORIZON,
        "elsewhere": table["elsewhere"],
        "skies": [_sky(name, table["skies"].get(name, {})) for name in skies],
        "weathers": [{"name": name, **row} for name, row in table["weathers"].items()],
    }
    return tensors, told


def _rows(things: Sequence[Thing], table: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What is told of each thing; `first` is its first drawing."""
    named = table["homes"]["things"]
    homes = {readers.words(str(name)): home for home, names in named.items() for name in names}
    marked = {mark: {readers.words(name) for name in table[key]} for mark, key in MARKS.items()}
    first = 0
    for it in things:
        label, count = it.named.label, len(it.drawings)
        home = homes.get(label) or table["homes"].get(it.subgroup) or NOWHERE
        row = {
            "name": label,
            "home": home,
            "kind": it.subgroup or it.named.group,
            "first": first,
            "drawings": count,
        }
        yield row | {"sources": it.sources} | {mark: 1 for mark, labels in marked.items() if label in labels}
        first += count


def _sky(name: str, row: Mapping[str, Any]) -> dict[str, Any]:
    told = row.get("told", f"under a {name} sky")
    return {"name": name, "told": told, "words": row.get("words", []), "tint": places.SKIES[name].tint}


def _places(
    drawn: Mapping[str, Sequence[Image.Image]], table: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], list[Image.Image]]:
    """What is told of the grounds, and their pictures."""
    told, indoors = [], rooms.rooms()
    pictures: list[Image.Image] = []
    for name, row in table["grounds"].items():
        first = len(pictures)
        if name in places.GROUNDS:
            pictures += [places.ground(places.GROUNDS[name], drawn, seed) for seed in range(TAKES)]
        elif name in indoors:
            pictures.append(indoors[name])
        told.append({"name": name, **row, "first": first, "pictures": len(pictures) - first})
    return told, pictures


def _packed(name: str, images: Sequence[Image.Image], quality: Mapping[str, int]) -> dict[str, Any]:
    blobs = [_webp(image, quality) for image in images]
    offsets = np.cumsum([0, *map(len, blobs)], dtype=np.int64)
    return {f"{name}.webp": np.frombuffer(b"".join(blobs), np.uint8), f"{name}.offsets": offsets}


def _webp(image: Image.Image, quality: Mapping[str, int]) -> bytes:
    out = io.BytesIO()
    image.save(out, "WEBP", **quality)
    return out.getvalue()
