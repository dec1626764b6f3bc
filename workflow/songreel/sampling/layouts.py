"""Where things are in a picture: on the ground, in the water, in the air; alone, side by side, or several."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from songreel.sampling import painting
from songreel.sampling.drawings import Drawings, Ground, Sky, Thing
from songreel.sampling.habitats import INDOORS, MIDDLE, flies
from songreel.sampling.painting import Placed
from songreel.sampling.wishes import COLOURS

FEET: Mapping[str, float] = {
    "floor": 0.93,
    "table": 0.84,
    "stage": 0.9,
    "window": 0.79,
}  # shares of the height
# x, depth towards the front, and size of several of a kind
SEVERAL: Mapping[int, Sequence[tuple[float, float, float]]] = {
    2: ((0.27, 0.75, 0.47), (0.73, 0.85, 0.47)),
    3: ((0.22, 0.4, 0.36), (0.78, 0.45, 0.36), (0.5, 0.92, 0.46)),
    4: ((0.26, 0.3, 0.34), (0.72, 0.34, 0.34), (0.24, 0.95, 0.42), (0.74, 0.98, 0.42)),
    5: ((0.2, 0.25, 0.3), (0.5, 0.2, 0.3), (0.8, 0.25, 0.3), (0.3, 0.97, 0.4), (0.72, 0.97, 0.4)),
}
ROWS = {1: ((0.5,), 0.7), 2: ((0.27, 0.73), 0.5), 3: ((0.18, 0.5, 0.82), 0.4)}  # x of each, and size
ALOFT = (
    (0.24, 0.2),
    (0.66, 0.13),
    (0.46, 0.34),
    (0.85, 0.33),
    (0.1, 0.43),
    (0.3, 0.52),
    (0.7, 0.5),
    (0.9, 0.08),
    (0.06, 0.07),
)


@dataclass(frozen=True)
class Part:
    """A thing in a scene: which of its drawings, in what colour, how many."""

    thing: Thing
    drawing: int
    colour: str = ""
    count: int = 1

    def told(self) -> str:
        """Such as `three red birds`."""
        number = {1: "", 2: "two ", 3: "three ", 4: "four "}.get(self.count, "many ")
        colour = f"{self.colour} " if self.colour else ""
        otherwise = ", drawn otherwise" if self.drawing else ""
        name = self.thing.name if self.count == 1 else plural(self.thing.name)
        return f"{number}{colour}{name}{otherwise}"


@dataclass(frozen=True)
class Scene:
    """What a picture shows."""

    parts: tuple[Part, ...]
    ground: Ground
    light: Sky
    weather: str = ""
    take: int = 0
    mirrored: bool = False

    def told(self) -> str:
        """The scene in words; different scenes are told differently."""
        light = "" if self.light.name in ("day", "space") else self.light.told
        weather = {"rain": "in the rain", "snow": "in falling snow", "fog": "in the mist"}.get(
            self.weather, ""
        )
        things = " and ".join(part.told() for part in self.parts)
        said = " ".join(words for words in (things, self.ground.told, light, weather) if words)
        return (
            f"{said}{f', view {self.take + 1}' if self.take else ''}{', mirrored' if self.mirrored else ''}"
        )


def plural(name: str) -> str:
    """The plural of a thing's name, as a rule makes it."""
    if name.endswith(("s", "sheep", "fish", "deer", "people")):
        return name
    for ending, plural_ending in (
        ("mouse", "mice"),
        ("man", "men"),
        ("child", "children"),
        ("goose", "geese"),
        ("leaf", "leaves"),
        ("wolf", "wolves"),
    ):
        if name.endswith(ending):
            return name.removesuffix(ending) + plural_ending
    if name.endswith("y") and name[-2:-1] not in tuple("aeiou"):
        return name[:-1] + "ies"
    return name + ("es" if name.endswith(("x", "ch", "sh")) else "s")


def paint(album: Drawings, scene: Scene, size: tuple[int, int]) -> NDArray[np.uint8]:
    """The picture of a scene, uint8 [height, width, 3], at a size (width, height)."""
    light = scene.light
    picture = painting.backdrop(size, album.sky(album.skies.index(light)))
    tint = light.tint if scene.ground.name not in INDOORS else tuple(0.5 + 0.5 * part for part in light.tint)
    placed = _placements(album, scene, size)
    for it in placed:
        if not it.foot and not it.shadow and scene.ground.name not in MIDDLE:
            painting.put(picture, it, (1, 1, 1))
    if scene.ground.pictures:
        ground = album.ground(scene.ground.pictures[scene.take])
        painting.lay(picture, ground, album.horizon, tint, scene.mirrored)
    for it in sorted(placed, key=lambda it: it.y):
        if it.foot or it.shadow or scene.ground.name in MIDDLE:
            painting.put(picture, it, tint)
    seed = int.from_bytes(hashlib.sha256(scene.told().encode()).digest()[:4], "big")
    if scene.ground.name not in INDOORS | {"underwater", "space"}:
        for weather in dict.fromkeys(("storm" if light.name == "storm" else "", scene.weather)):
            painting.fall(picture, weather, seed)
    return np.array(picture.convert("RGB"), np.uint8)


def _placements(album: Drawings, scene: Scene, size: tuple[int, int]) -> list[Placed]:
    width, height = size
    spots = _spots(scene)
    least = min(size)
    wide = min(1.0, 1.3 * least / width)  # in a wide picture things stay together
    placed = []
    for part, x, y, side, foot, shadow in spots:
        across = 0.5 + (x - 0.5) * wide
        if scene.mirrored:
            across = 1 - across
        drawing = album.thing(part.thing.drawings[part.drawing])
        if part.colour in COLOURS:
            drawing = painting.recoloured(drawing, COLOURS[part.colour], leafy=part.thing.blooms)
        placed.append(Placed(drawing, across * width, y * height, side * least, foot, scene.mirrored, shadow))
    return placed


_Spot = tuple[
    Part, float, float, float, bool, bool
]  # part, x, y, size, whether y is a foot, whether it has a shadow


def _spots(scene: Scene) -> list[_Spot]:
    """Where each drawing of a scene is, in shares of the picture."""
    middle = scene.ground.name in MIDDLE
    above = [part for part in scene.parts if part.thing.aloft and not (middle and len(scene.parts) == 1)]
    main = [part for part in scene.parts if part not in above]
    spots: list[_Spot] = []
    for part in above:
        spots += _aloft(part, alone=not main and part is above[0])
    for number, part in enumerate(main):
        spots += _of(part, number, len(main), scene.ground.name, crowded=bool(above))
    return spots


def _aloft(part: Part, alone: bool) -> list[_Spot]:
    """In the sky, before anything else."""
    if part.count > 1:
        dice = random.Random(part.thing.name)
        side = 0.26 if alone else 0.19
        spots = ALOFT[: max(part.count + 2, 5)]
        return [(part, x, y, side * dice.uniform(0.8, 1.15), False, False) for x, y in spots]
    return [(part, 0.5, 0.28, 0.46, False, False)] if alone else [(part, 0.76, 0.2, 0.3, False, False)]


def _of(part: Part, number: int, among: int, ground: str, crowded: bool) -> list[_Spot]:
    """One of the things that are side by side, or several of it."""
    x, side = ROWS[among]
    if crowded and among == 1:
        x, side = (0.42,), 0.62
    if ground in MIDDLE or (flies(part.thing) and ground not in INDOORS):
        return _floating(part, x[number], side, ground, among)
    if part.count > 1:
        return _several(part, x[number], among, ground)
    tall = part.thing.tall
    if tall and among == 2:
        side = 0.6
    return [(part, x[number], _foot(ground, 0.55 if tall else 0.8), side, True, _casts(part.thing, ground))]


def _floating(part: Part, x: float, side: float, ground: str, among: int) -> list[_Spot]:
    """In the middle of what has no ground, or in the air above one."""
    high = 0.52 if ground in MIDDLE else 0.32
    if among > 1 and ground not in MIDDLE:
        side, high = 0.42, 0.27
    elif ground not in MIDDLE:
        side, high = min(side, 0.58), 0.31
    if part.count > 1:
        spots = [(x + (at - 0.5) * (1 if among == 1 else 0.5), y) for at, y in ALOFT[: part.count]]
        low = 1.35 if ground in MIDDLE else 0.9
        return [
            (part, at, 0.08 + y * low, 0.3 if among == 1 else 0.22, False, ground not in MIDDLE)
            for at, y in spots
        ]
    return [(part, x, high, side, False, False)]


def _several(part: Part, x: float, among: int, ground: str) -> list[_Spot]:
    spots = SEVERAL[min(5, part.count)]
    scale = 1.0 if among == 1 else 0.62
    shadow = _casts(part.thing, ground)
    return [
        (
            part,
            x + (at - 0.5) * scale * (1 if among == 1 else 0.85),
            _foot(ground, depth),
            side * scale,
            True,
            shadow,
        )
        for at, depth, side in spots
    ]


def _foot(ground: str, depth: float) -> float:
    """Where a thing stands, from the horizon (0) to the lower edge (1)."""
    if ground in FEET:
        return FEET[ground] + (depth - 0.8) * 0.1
    return 0.62 + 0.34 * depth


def _casts(thing: Thing, ground: str) -> bool:
    return ground not in ("sea", "lake", "river", "harbour", "island") and not thing.aloft
