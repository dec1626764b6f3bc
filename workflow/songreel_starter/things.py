"""Things in a scene: sprites with their names and colours, where they are put, and how that is said."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from songreel_starter import words
from songreel_starter.backgrounds import Background
from songreel_starter.sprites import Entry
from songreel_starter.words import Rgb

RECOLOURED = 0.3  # share of the things that get a colour of their own
MOST = 7  # sprites in a scene
ONE_COLOUR = ("game-icons", "fluent-emoji-black", "emojione-black")  # sources that are drawn in one ink


@dataclass(frozen=True)
class Library:
    """Sprites to compose from: words for all, and pictures when scenes are to be painted."""

    entries: Sequence[Entry]
    cumulative: Sequence[float]  # weights, summed up
    photographs: Sequence[int]  # indices of opaque pictures that fill the square
    names: frozenset[str]  # labels that name things
    pictures: Tensor | None = None  # uint8 [n, 4, 96, 96]


@dataclass(frozen=True)
class Placement:
    """A sprite in a scene. Lengths are shares of the picture's side."""

    sprite: int
    x: float
    y: float
    size: float
    degrees: float = 0.0
    flipped: bool = False
    colour: Rgb | None = None  # to be recoloured with


@dataclass(frozen=True)
class Scene:
    """What is to be painted, from back to front, and the words for it."""

    background: Background
    placements: tuple[Placement, ...]
    caption: str


@dataclass(frozen=True)
class Thing:
    """A sprite chosen for a scene, its name as it will be told, and the colour that it is to get, if any."""

    sprite: int
    entry: Entry
    name: str
    colour_name: str = ""
    colour: Rgb | None = None

    def phrase(self, dice: random.Random, count: int = 1, size: str = "") -> str:
        """Such as `a big red boat` or `three boats`."""
        words_before = [word for word in (size, self.colour_name) if word]
        if count == 1:
            noun = " ".join([*words_before, self.name])
            return noun if dice.random() < 0.25 else words.article(noun)
        number = dice.choice(words.NUMBERS[count]) if dice.random() < 0.6 else ""
        if not number and count > 3 and dice.random() < 0.4:
            number = dice.choice(words.MANY)
        return " ".join([word for word in (number, *words_before, words.plural(self.name)) if word])


def choose(sprites: Library, dice: random.Random) -> Thing:
    index = dice.choices(range(len(sprites.entries)), cum_weights=sprites.cumulative)[0]
    entry = sprites.entries[index]
    thing = Thing(index, entry, _name(sprites, entry, dice))
    recoloured = 0.95 if entry.source in ONE_COLOUR else RECOLOURED
    if dice.random() < recoloured:
        colour = colour_name(dice)
        return replace(thing, colour_name=colour, colour=varied(words.COLOURS[colour], dice))
    if entry.colour and entry.colour not in thing.name and dice.random() < 0.35:
        return replace(thing, colour_name=entry.colour)
    return thing


def _name(sprites: Library, entry: Entry, dice: random.Random) -> str:
    """Its label, or now and then a keyword that is the name of a thing, too."""
    nouns = [keyword for keyword in entry.keywords if keyword in sprites.names]
    return dice.choice(nouns) if nouns and dice.random() < 0.15 else entry.label


def colour_name(dice: random.Random) -> str:
    return dice.choice(words.COMMON if dice.random() < 0.65 else tuple(words.COLOURS))


def varied(colour: Rgb, dice: random.Random, by: float = 18) -> Rgb:
    red, green, blue = (int(min(255, max(0, part + dice.uniform(-by, by)))) for part in colour)
    return red, green, blue


def caption(phrase: str, thing: Thing | None, dice: random.Random) -> str:
    """Most captions say what there is; some are sung, some add keywords."""
    chance = dice.random()
    if chance < 0.1:
        return dice.choice(words.LYRICS).format(phrase)
    if chance < 0.14:
        return dice.choice(words.PICTURES).format(phrase)
    if chance < 0.24 and thing and thing.entry.keywords:
        few = dice.sample(thing.entry.keywords, min(len(thing.entry.keywords), dice.randint(1, 3)))
        return ", ".join([phrase, *few])
    return phrase


def arrange(sprites: Library, dice: random.Random) -> tuple[tuple[Placement, ...], str, Thing]:
    """Things on a background without a horizon: one, some of a kind, or one over or beside another."""
    thing, kind = choose(sprites, dice), dice.random()
    if kind < 0.6:
        size = dice.uniform(0.55, 1.0) if kind < 0.45 else dice.uniform(1.0, 1.5)
        wander = 0.12 if size < 1 else 0.25
        at = 0.5 + dice.uniform(-wander, wander), 0.5 + dice.uniform(-wander, wander)
        return (put(thing, *at, size, dice),), thing.phrase(dice), thing
    if kind < 0.78:
        count = dice.randint(2, MOST)
        return scatter(thing, count, (0.0, 1.0), dice), thing.phrase(dice, count), thing
    return _two(thing, choose(sprites, dice), dice)


def _two(one: Thing, two: Thing, dice: random.Random) -> tuple[tuple[Placement, ...], str, Thing]:
    size = dice.uniform(0.42, 0.56)
    if dice.random() < 0.55:
        relation = dice.choice(("and", "beside", "next to", "with", "by"))
        where = (0.27, dice.uniform(0.4, 0.6)), (0.73, dice.uniform(0.4, 0.6))
    else:
        relation = dice.choice(("over", "above", "under", "below"))
        where = (dice.uniform(0.4, 0.6), 0.26), (dice.uniform(0.4, 0.6), 0.74)
        if relation in ("under", "below"):
            where = where[1], where[0]
    placements = put(one, *where[0], size, dice), put(two, *where[1], size, dice)
    return placements, f"{one.phrase(dice)} {relation} {two.phrase(dice)}", one


def scatter(
    thing: Thing, count: int, band: tuple[float, float], dice: random.Random
) -> tuple[Placement, ...]:
    """Some of a kind, apart from each other, with their middles in a band of heights."""
    size = dice.uniform(0.75, 1.0) * min(0.48, 0.95 / math.ceil(math.sqrt(count)))
    cells = math.ceil(math.sqrt(count))
    if band[1] - band[0] < 0.5:
        cells = count
    places = [(column, row) for row in range(math.ceil(count / cells)) for column in range(cells)][:count]
    high = (band[1] - band[0]) / math.ceil(count / cells)
    wide = 1 / cells
    size = min(size, max(0.16, wide * 1.15))
    return tuple(
        put(
            thing,
            (column + 0.5 + dice.uniform(-0.2, 0.2)) * wide,
            band[0] + (row + 0.5 + dice.uniform(-0.2, 0.2)) * high,
            size * dice.uniform(0.85, 1.15),
            dice,
        )
        for column, row in places
    )


def put(
    thing: Thing, x: float, y: float, size: float, dice: random.Random, upright: bool = False
) -> Placement:
    degrees = 0.0 if upright or dice.random() < 0.7 else dice.uniform(-22, 22)
    return Placement(thing.sprite, x, y, size, degrees, dice.random() < 0.5, thing.colour)
