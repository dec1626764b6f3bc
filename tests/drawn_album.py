"""A small album of drawings as a model's folder has it: discs and squares, with words for them."""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from safetensors.numpy import save_file

from songreel.sampling import drawings

SIDE = 48
ORANGE, GREY, YELLOW, RED, BROWN = (
    (240, 140, 30),
    (120, 120, 125),
    (250, 235, 120),
    (210, 30, 40),
    (120, 75, 40),
)
THINGS: Mapping[str, tuple[Any, Mapping[str, Any]]] = {
    "cat": (ORANGE, {"home": "meadow", "kind": "animal-mammal"}),
    "dog": (BROWN, {"home": "meadow", "kind": "animal-mammal"}),
    "full moon": (YELLOW, {"home": "night", "kind": "sky-weather", "aloft": 1}),
    "red heart": (RED, {"home": "plain", "kind": "heart"}),
    "fish": (GREY, {"home": "underwater", "kind": "animal-marine"}),
    "mountain": (GREY, {"home": "meadow", "kind": "place-geographic", "tall": 1}),
    "tulip": ((220, 40, 120), {"home": "meadow", "kind": "plant-flower", "blooms": 1}),
}
WORDS: Mapping[str, Sequence[tuple[str, int]]] = {
    **{name: [(name, 100)] for name in THINGS},
    "kitten": [("cat", 90)],
    "pet": [("cat", 60), ("dog", 58)],
    "moon": [("full moon", 96)],
    "love": [("red heart", 64)],
    "flower": [("tulip", 96)],
    "black dog": [("red heart", 80)],  # what a phrase means to WordNet need not be what is to be seen
}
GROUNDS: Mapping[str, tuple[tuple[int, int, int] | None, str, Sequence[str]]] = {
    "meadow": ((90, 160, 70), "on a meadow", ["meadow", "grass"]),
    "sea": ((40, 100, 180), "on the sea", ["sea", "ocean"]),
    "snow": ((240, 245, 250), "in the snow", ["snow", "winter"]),
    "mountains": ((110, 110, 120), "before mountains", ["mountain"]),
    "underwater": ((20, 70, 130), "under water", ["under water"]),
    "plain": ((200, 220, 230), "before a plain ground", []),
    "sky": (None, "in the sky", ["sky"]),
    "hills": ((80, 140, 60), "among green hills", ["hill"]),
}
SKIES = {"day": (110, 180, 245), "night": (10, 12, 45), "grey": (150, 155, 160), "red": (190, 40, 40)}
ELSEWHERE = {
    **{"meadow": ["meadow", "hills"], "night": ["hills"], "plain": ["plain"], "underwater": ["underwater"]},
    "hills": ["hills"],
}


def write(folder: Path, sources: Sequence[str] = ("here", "there")) -> Path:
    """An album in a folder; returns the folder."""
    told = {
        "things": [
            {"name": name, "first": 2 * number, "drawings": 2, "sources": list(sources), **row}
            for number, (name, (_, row)) in enumerate(THINGS.items())
        ],
        "grounds": _grounds(),
        "skies": [
            {"name": "day", "told": "by day", "words": ["day"], "tint": [1, 1, 1]},
            {"name": "night", "told": "at night", "words": ["night", "moon"], "tint": [0.5, 0.5, 0.7]},
            {"name": "grey", "told": "under grey clouds", "words": [], "tint": [0.8, 0.8, 0.8]},
            {"name": "red", "told": "under a red sky", "words": [], "tint": [1, 0.7, 0.7]},
        ],
        "weathers": [
            {"name": "rain", "told": "in the rain", "words": ["rain"], "sky": "grey"},
            {"name": "snow", "told": "in falling snow", "words": ["snowfall"], "sky": "grey"},
        ],
        "words": {
            word: [part for name, weight in rows for part in (list(THINGS).index(name), weight)]
            for word, rows in WORDS.items()
        },
        "silent": ["a", "the", "my", "in", "and", "of", "under", "three", "with"],
        "acts": ["love"],
        "elsewhere": ELSEWHERE,
        "horizon": 0.6,
    }
    tensors: dict[str, Any] = {"words": np.frombuffer(zlib.compress(json.dumps(told).encode()), np.uint8)}
    tensors["vectors"] = np.eye(len(THINGS), 8, dtype=np.int8) * 100
    shapes = [_shape(colour, square) for colour, _ in THINGS.values() for square in (False, True)]
    tensors |= _packed("things", shapes)
    tensors |= _packed("grounds", [_land(colour) for colour, *_ in GROUNDS.values() if colour])
    tensors |= _packed("skies", [Image.new("RGB", (SIDE, SIDE), colour) for colour in SKIES.values()])
    save_file(tensors, folder / drawings.NAME)
    return folder


def _grounds() -> list[dict[str, Any]]:
    rows, first = [], 0
    for name, (colour, told, words) in GROUNDS.items():
        rows.append(
            {
                "name": name,
                "told": told,
                "words": list(words),
                "first": first,
                "pictures": int(colour is not None),
            }
        )
        first += colour is not None
    return rows


def _shape(colour: tuple[int, int, int], square: bool) -> Image.Image:
    picture = Image.new("RGBA", (SIDE, SIDE))
    draw = ImageDraw.Draw(picture)
    (draw.rectangle if square else draw.ellipse)([4, 4, SIDE - 5, SIDE - 5], fill=(*colour, 255))
    return picture


def _land(colour: tuple[int, int, int]) -> Image.Image:
    picture = Image.new("RGBA", (SIDE, SIDE))
    ImageDraw.Draw(picture).rectangle([0, round(SIDE * 0.6), SIDE, SIDE], fill=(*colour, 255))
    return picture


def _packed(name: str, images: Sequence[Image.Image]) -> dict[str, Any]:
    blobs = []
    for image in images:
        out = io.BytesIO()
        image.save(out, "WEBP", lossless=True)
        blobs.append(out.getvalue())
    joined = np.frombuffer(b"".join(blobs), np.uint8)
    return {f"{name}.webp": joined, f"{name}.offsets": np.cumsum([0, *map(len, blobs)], dtype=np.int64)}
