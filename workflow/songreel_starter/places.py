"""Places to compose before: grounds with a horizon, cut out, and skies to be put behind them.

A ground is painted twice, before black and before white: where both agree it is opaque. Sprites stand in it
as trees in a forest do.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageDraw, ImageFilter

from songreel_starter import backgrounds
from songreel_starter.backgrounds import Background
from songreel_starter.words import Rgb

Pixels = npt.NDArray[np.uint8]

SIDE = 288  # pixels
HORIZON = 0.6  # share of the height
BLACK, WHITE = (0, 0, 0), (255, 255, 255)


@dataclass(frozen=True)
class Decor:
    """Things that belong to a place: their names, how many, how large, and where their feet are."""

    names: tuple[str, ...]
    count: int
    size: tuple[float, float]  # shares of the side, behind and in front
    feet: tuple[float, float]  # shares of the height, behind and in front
    sides: bool = False  # only left and right of the middle


@dataclass(frozen=True)
class Ground:
    """How a ground is painted, and what stands in it."""

    background: Background
    decor: tuple[Decor, ...] = ()


def _land(
    far: Rgb, near: Rgb, paint: str = "", skyline: str = "", rise: float = 0.3, rock: Rgb = (90, 90, 90)
) -> Background:
    return Background(
        BLACK, BLACK, horizon=HORIZON, far=far, near=near, paint=paint, skyline=skyline, rise=rise, rock=rock
    )


GRASS = (105, 180, 75), (60, 135, 50)
SEA = (55, 140, 205), (20, 75, 150)
GROUNDS: Mapping[str, Ground] = {
    "meadow": Ground(_land(*GRASS, skyline="hills", rise=0.12, rock=(120, 180, 95))),
    "wheat field": Ground(
        _land((235, 200, 95), (200, 150, 50)), (Decor(("wheat",), 16, (0.16, 0.3), (0.68, 1.08)),)
    ),
    "sea": Ground(_land(*SEA, "water")),
    "lake": Ground(
        _land((110, 180, 215), (45, 110, 165), "water", "hills", 0.16, (80, 150, 85)),
    ),
    "river": Ground(_land((100, 175, 225), (45, 120, 190), "river", "hills", 0.12, (120, 175, 90))),
    "beach": Ground(
        _land((245, 222, 165), (232, 198, 130), "beach"),
        (Decor(("palm tree",), 1, (0.5, 0.5), (0.82, 0.82), True),),
    ),
    "desert": Ground(
        _land((240, 195, 115), (215, 155, 75), "", "hills", 0.16, (225, 170, 95)),
        (Decor(("cactus",), 2, (0.16, 0.26), (0.66, 0.8), True),),
    ),
    "snow": Ground(
        _land((246, 249, 253), (214, 228, 245), "", "hills", 0.14, (225, 235, 248)),
        (Decor(("evergreen tree",), 5, (0.16, 0.32), (0.63, 0.76), True),),
    ),
    "road": Ground(_land((115, 115, 120), (80, 80, 86), "road", "hills", 0.12, (110, 170, 85))),
    "street": Ground(
        _land((125, 122, 125), (88, 86, 92), "road", "", 0.3),
        (
            Decor(
                ("house", "house with garden", "houses", "office building"),
                6,
                (0.34, 0.46),
                (0.64, 0.68),
                True,
            ),
        ),
    ),
    "hills": Ground(_land((115, 185, 80), (70, 140, 55), "", "hills", 0.34, (85, 155, 75))),
    "mountains": Ground(_land((110, 165, 90), (70, 125, 60), "", "mountains", 0.52, (110, 118, 140))),
    "forest": Ground(
        _land((85, 140, 60), (45, 95, 40), "", "trees", 0.3, (35, 90, 50)),
        (Decor(("evergreen tree", "deciduous tree"), 9, (0.4, 0.62), (0.66, 0.86), True),),
    ),
    "city": Ground(_land((110, 110, 120), (75, 75, 88), "", "city", 0.5, (85, 95, 125))),
    "village": Ground(
        _land(*GRASS),
        (Decor(("house", "house with garden", "church", "hut"), 6, (0.24, 0.36), (0.64, 0.72)),),
    ),
    "station": Ground(
        _land((175, 170, 165), (125, 120, 118), "", "city", 0.2, (140, 120, 110)),
        (Decor(("railway track",), 2, (0.62, 0.62), (1.12, 1.12), True),),
    ),
    "garden": Ground(
        _land((110, 185, 80), (65, 140, 50), "", "trees", 0.14, (70, 140, 70)),
        (Decor(("tulip", "sunflower", "hibiscus", "blossom", "rose"), 22, (0.1, 0.2), (0.66, 1.06)),),
    ),
    "harbour": Ground(
        _land((80, 145, 190), (35, 90, 145), "water", "city", 0.22, (150, 120, 105)),
        (Decor(("sailboat",), 3, (0.16, 0.22), (0.66, 0.7), True),),
    ),
    "island": Ground(_land(*SEA, "water"), (Decor(("desert island",), 1, (0.34, 0.34), (0.68, 0.68), True),)),
    "graveyard": Ground(
        _land((90, 130, 80), (55, 90, 55), "", "trees", 0.18, (50, 70, 60)),
        (
            Decor(("headstone",), 9, (0.14, 0.26), (0.66, 0.98), True),
            Decor(("leafless tree",), 1, (0.5, 0.5), (0.72, 0.72), True),
        ),
    ),
    "jungle": Ground(
        _land((70, 140, 55), (35, 95, 40), "", "trees", 0.4, (25, 100, 45)),
        (Decor(("palm tree", "fern", "herb"), 10, (0.34, 0.6), (0.68, 0.96), True),),
    ),
}


@dataclass(frozen=True)
class Sky:
    """How a sky is painted, and how what is under it is tinted: (red, green, blue) times, and plus."""

    background: Background
    tint: tuple[float, float, float] = (1, 1, 1)
    puffs: tuple[tuple[float, float, float], ...] = ()  # white clouds: x, y and size as shares of the side
    sun: Rgb | None = None
    stars: int = 0


def _sky(top: Rgb, bottom: Rgb, **more: object) -> Background:
    return Background(top, bottom, horizon=2.0, **more)  # type: ignore[arg-type]


SKIES: Mapping[str, Sky] = {
    "day": Sky(
        _sky((80, 155, 238), (205, 230, 250)), puffs=((0.2, 0.16, 0.2), (0.8, 0.25, 0.24), (0.52, 0.08, 0.12))
    ),
    "night": Sky(_sky((8, 10, 42), (38, 44, 100)), (0.46, 0.5, 0.72), stars=70),
    "sunset": Sky(_sky((95, 60, 145), (255, 150, 60)), (0.95, 0.72, 0.62), sun=(255, 225, 120)),
    "dawn": Sky(_sky((120, 140, 205), (255, 200, 160)), (1.0, 0.9, 0.85), sun=(255, 240, 200)),
    "storm": Sky(_sky((40, 44, 60), (105, 110, 125), clouds=(78, 82, 98)), (0.55, 0.57, 0.64)),
    "grey": Sky(_sky((125, 132, 145), (188, 194, 202), clouds=(165, 170, 180)), (0.8, 0.82, 0.86)),
    "space": Sky(_sky((6, 6, 18), (22, 14, 50)), (0.9, 0.9, 1.0), stars=120),
    "red": Sky(_sky((170, 30, 35), (250, 125, 65)), (0.95, 0.7, 0.65)),
    "orange": Sky(_sky((235, 115, 35), (255, 205, 100)), (1.0, 0.85, 0.7)),
    "yellow": Sky(_sky((245, 200, 65), (255, 240, 165)), (1.0, 0.95, 0.8)),
    "green": Sky(_sky((45, 135, 85), (170, 222, 150)), (0.85, 1.0, 0.85)),
    "pink": Sky(_sky((240, 130, 175), (255, 205, 215)), (1.0, 0.85, 0.9)),
    "purple": Sky(_sky((85, 40, 135), (190, 125, 205)), (0.8, 0.7, 0.95)),
    "black": Sky(_sky((6, 6, 12), (18, 18, 34)), (0.4, 0.4, 0.5)),
    "white": Sky(_sky((222, 228, 236), (246, 248, 250)), (1.0, 1.0, 1.0)),
}


def ground(it: Ground, sprites: Mapping[str, Sequence[Image.Image]], seed: int) -> Image.Image:
    """A ground [SIDE, SIDE] as RGBA, transparent above its horizon and skyline."""
    black, white = (
        _painted(replace(it.background, top=colour, bottom=colour), seed) for colour in (BLACK, WHITE)
    )
    alpha = 255 - (white.astype(int) - black).max(2).clip(0, 255)
    shown = np.dstack([black / np.maximum(alpha, 1)[..., None] * 255, alpha]).clip(0, 255).astype(np.uint8)
    picture = Image.fromarray(shown)
    dice = random.Random(seed)
    for decor in it.decor:
        _decorate(picture, decor, sprites, dice)
    return picture


def _painted(background: Background, seed: int) -> Pixels:
    """A background uint8 [SIDE, SIDE, 3]."""
    drawn = backgrounds.paint([background], SIDE, torch.Generator().manual_seed(seed))
    return (drawn[0] * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()


def _decorate(
    picture: Image.Image, decor: Decor, sprites: Mapping[str, Sequence[Image.Image]], dice: random.Random
) -> None:
    for number in range(decor.count):
        depth = number / max(1, decor.count - 1)
        size = round(SIDE * (decor.size[0] + (decor.size[1] - decor.size[0]) * depth))
        foot = SIDE * (decor.feet[0] + (decor.feet[1] - decor.feet[0]) * depth)
        x = dice.uniform(0.02, 0.98)
        if decor.sides:  # where a thing will stand stays free, the freer the nearer
            free = 0.14 + 0.2 * depth
            x = dice.uniform(-0.02, 0.5 - free) if number % 2 else dice.uniform(0.5 + free, 1.02)
        sprite = dice.choice(sprites[dice.choice(decor.names)]).resize((size, size), Image.Resampling.LANCZOS)
        bottom = sprite.getbbox()
        if bottom:
            picture.alpha_composite(
                _within(sprite, picture.size, round(SIDE * x - size / 2), round(foot - bottom[3]))
            )


def _within(sprite: Image.Image, size: tuple[int, int], left: int, top: int) -> Image.Image:
    """A sprite on an empty picture of some size, cut off at its edges."""
    whole = Image.new("RGBA", size)
    whole.paste(sprite, (left, top))
    return whole


def sky(it: Sky, seed: int) -> Image.Image:
    """A sky [SIDE, SIDE] as RGB."""
    picture = Image.fromarray(_painted(it.background, seed)).convert("RGBA")
    if it.stars:
        _stars(picture, it.stars)
    if it.sun:
        _sun(picture, it.sun)
    for x, y, size in it.puffs:
        _puff(picture, SIDE * x, SIDE * y, SIDE * size)
    return picture.convert("RGB")


def _stars(picture: Image.Image, count: int) -> None:
    """Large enough to be seen in a small film."""
    dice, draw = random.Random(count), ImageDraw.Draw(picture)
    for _ in range(count):
        x, y, radius = dice.uniform(0, SIDE), dice.uniform(0, SIDE), dice.choice((1.2, 1.2, 1.8, 2.6))
        draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=(255, 252, 230, 255))


def _sun(picture: Image.Image, colour: Rgb) -> None:
    """A low sun with its glow."""
    for radius, alpha in ((0.34, 60), (0.25, 80), (0.17, 255)):
        glow = Image.new("RGBA", picture.size)
        box = [SIDE * (0.5 - radius), SIDE * (0.52 - radius), SIDE * (0.5 + radius), SIDE * (0.52 + radius)]
        ImageDraw.Draw(glow).ellipse(box, fill=(*colour, alpha))
        picture.alpha_composite(glow.filter(ImageFilter.GaussianBlur(9 if alpha < 255 else 1)))


def _puff(picture: Image.Image, x: float, y: float, size: float) -> None:
    """A white cloud of four balls."""
    cloud = Image.new("RGBA", picture.size)
    draw = ImageDraw.Draw(cloud)
    for across, up, radius in ((-0.5, 0.0, 0.3), (-0.15, 0.16, 0.42), (0.28, 0.1, 0.36), (0.6, 0.0, 0.24)):
        cx, cy, r = x + across * size, y - up * size, radius * size
        draw.ellipse([cx - r, cy - r, cx + r, cy + r], fill=(252, 253, 255, 255))
    draw.rectangle([x - 0.5 * size, y, x + 0.6 * size, y + 0.24 * size], fill=(252, 253, 255, 255))
    picture.alpha_composite(cloud.filter(ImageFilter.GaussianBlur(1.5)))
