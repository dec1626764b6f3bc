"""Contact sheets, to look at what was made."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from songreel.ground.files import replacing
from songreel_starter import scenes, sprites
from songreel_starter.sprites import Pixels, Shard

COLUMNS, CAPTION = 8, 26  # pictures in a row; pixels under each for its words
SHEET = (206, 214, 222)  # behind transparent pictures


def of_sprites(shards: Sequence[Shard], count: int, seed: int, target: Path) -> None:
    """Some sprites of all shards with their labels."""
    dice, pictures, labels = random.Random(seed), [], []
    for shard in shards:
        chosen = sorted(dice.sample(range(len(shard)), min(len(shard), max(1, count // len(shards)))))
        pixels = shard.pictures()[chosen].astype(np.float32)
        alpha = pixels[..., 3:] / 255
        pictures += list((pixels[..., :3] * alpha + np.array(SHEET) * (1 - alpha)).astype(np.uint8))
        labels += [f"{shard.entries[index].label}; {shard.entries[index].colour or '-'}" for index in chosen]
    _write(pictures, labels, target)


def of_scenes(shards: Sequence[Shard], count: int, seed: int, side: int, target: Path) -> None:
    """Some scenes with their captions."""
    drawn, labels = scenes.batch(scenes.library(shards), seed, count, side)
    pictures = drawn.permute(0, 2, 3, 1).numpy()
    _write(
        [np.asarray(Image.fromarray(it).resize((sprites.SIDE * 2,) * 2)) for it in pictures], labels, target
    )


def _write(pictures: Sequence[Pixels], labels: Sequence[str], target: Path) -> None:
    side = pictures[0].shape[0]
    rows = -(-len(pictures) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * (side + 4), rows * (side + CAPTION)), "white")
    draw = ImageDraw.Draw(sheet)
    letters = side // 6
    for index, (picture, words) in enumerate(zip(pictures, labels, strict=True)):
        x, y = index % COLUMNS * (side + 4), index // COLUMNS * (side + CAPTION)
        sheet.paste(Image.fromarray(picture), (x, y))
        for line in range(2):
            draw.text((x, y + side + 12 * line), words[line * letters : (line + 1) * letters], "black")
    with replacing(target) as temporary:
        sheet.save(temporary, "PNG")
