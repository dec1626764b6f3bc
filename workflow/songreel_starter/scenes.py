"""Scenes: sprites on backgrounds, with captions as lyrics say things.

A scene is planned by a function of (seed, index) alone: what is where, in what colour, and how it is told. A
batch of plans is then painted at once, on whatever device the sprites are.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from songreel_starter import backgrounds, words
from songreel_starter.backgrounds import Background
from songreel_starter.sprites import Entry, Shard, entries
from songreel_starter.words import Ground, Rgb, Sky

PLAIN, PHOTOGRAPH = 0.34, 0.06  # shares of the scenes; the others are landscapes
EMPTY = 0.08  # share of the landscapes with nothing in them
RECOLOURED = 0.3  # share of the things that get a colour of their own
WATERS = tuple(ground for ground in words.GROUNDS if ground.paint in ("water", "river"))
AT_HOME = 0.75  # share of the boats and fish that are on the water
MOST = 7  # sprites in a scene
WEIGHTS = {  # how often a group's sprites are shown
    **{"smileys": 0.35, "people": 0.6, "component": 0.02, "nature": 2.5, "food": 1.2, "travel": 2.5},
    **{
        "activities": 1.0,
        "objects": 1.3,
        "symbols": 0.15,
        "flags": 0.03,
        "icon": 0.2,
        "clip art": 0.2,
        "signs": 0.03,
    },
}
PICTURED = ("nature", "food", "travel", "activities", "objects", "people")  # groups whose names are things
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


def library(shards: Sequence[Shard], device: torch.device | None = None, pictures: bool = True) -> Library:
    """The sprites of some shards, ready to compose with; without pictures for captions only."""
    all_entries = entries(shards)
    names = frozenset(entry.label for entry in all_entries if entry.group in PICTURED)
    heads = Counter(label.split()[-1] for _, label in {(entry.source, entry.label) for entry in all_entries})
    total, cumulative = 0.0, []
    for entry in all_entries:
        total += _weight(entry, names, heads)
        cumulative.append(total)
    photographs = [index for index, entry in enumerate(all_entries) if entry.group == "photograph"]
    stacked = None
    if pictures:
        parts = [torch.from_numpy(shard.pictures()).permute(0, 3, 1, 2) for shard in shards]
        stacked = torch.cat(parts).contiguous().to(device or torch.device("cpu"))
    return Library(all_entries, cumulative, photographs, names, stacked)


def batch(sprites: Library, seed: int, count: int, side: int, first: int = 0) -> tuple[Tensor, list[str]]:
    """Scenes `first` to `first + count` of a seed: uint8 [count, 3, side, side] and their captions.

    The same numbers give the same scenes, bit for bit on one kind of device; the captions everywhere.
    """
    scenes = [plan(sprites, seed, first + index) for index in range(count)]
    number = random.Random(f"{seed} {first} {count}").getrandbits(63)
    return paint(sprites, scenes, side, number), [scene.caption for scene in scenes]


def paint(sprites: Library, scenes: Sequence[Scene], side: int, seed: int) -> Tensor:
    """Scenes as pictures uint8 [n, 3, side, side], on the device where the sprites are.

    Other processes may have planned them: planning takes longer than painting on a GPU.
    """
    if sprites.pictures is None:
        raise ValueError("a library without pictures is for captions only")
    generator = Generator(sprites.pictures.device).manual_seed(seed)
    canvas = backgrounds.paint([scene.background for scene in scenes], side, generator)
    for layer in range(max(len(scene.placements) for scene in scenes)):
        _place(canvas, sprites.pictures, layer, scenes)
    return (canvas * 255).round().to(torch.uint8)


def captions(sprites: Library, seed: int, count: int) -> list[str]:
    """The captions of the first `count` scenes of a seed; no pictures are needed."""
    return [plan(sprites, seed, index).caption for index in range(count)]


def plan(sprites: Library, seed: int, index: int) -> Scene:
    """A scene as a function of its seed and index."""
    dice = random.Random(f"{seed} {index}")
    kind = dice.random()
    if kind < PHOTOGRAPH and sprites.photographs:
        return _on_photograph(sprites, dice)
    if kind < PHOTOGRAPH + PLAIN:
        return _on_plain(sprites, dice)
    return _in_landscape(sprites, dice)


def _weight(entry: Entry, names: frozenset[str], heads: Counter[str]) -> float:
    """A thing that several sources draw teaches more than one that is seen once."""
    head = entry.label.split()[-1]
    weight = WEIGHTS.get(entry.group, 0.0)
    if entry.group in ("icon", "clip art") and head in names:
        weight = 1.0 if entry.label in names else 0.35
    return weight * min(1.0, 0.4 + 0.2 * heads[head])


# What is said about a thing.


@dataclass(frozen=True)
class _Thing:
    """A sprite chosen for a scene, its name as it will be told, and the colour that it is to get, if any."""

    sprite: int
    entry: Entry
    name: str
    told_colour: str = ""
    colour: Rgb | None = None

    def told(self, dice: random.Random, count: int = 1, size: str = "") -> str:
        """Such as `a big red boat` or `three boats`."""
        words_before = [word for word in (size, self.told_colour) if word]
        if count == 1:
            noun = " ".join([*words_before, self.name])
            return noun if dice.random() < 0.25 else words.article(noun)
        number = dice.choice(words.NUMBERS[count]) if dice.random() < 0.6 else ""
        if not number and count > 3 and dice.random() < 0.4:
            number = dice.choice(words.MANY)
        return " ".join([word for word in (number, *words_before, words.plural(self.name)) if word])


def _thing(sprites: Library, dice: random.Random) -> _Thing:
    index = dice.choices(range(len(sprites.entries)), cum_weights=sprites.cumulative)[0]
    entry = sprites.entries[index]
    thing = _Thing(index, entry, _name(sprites, entry, dice))
    recoloured = 0.95 if entry.source in ONE_COLOUR else RECOLOURED
    if dice.random() < recoloured:
        colour = _colour(dice)
        return replace(thing, told_colour=colour, colour=_varied(words.COLOURS[colour], dice))
    if entry.colour and entry.colour not in thing.name and dice.random() < 0.35:
        return replace(thing, told_colour=entry.colour)
    return thing


def _name(sprites: Library, entry: Entry, dice: random.Random) -> str:
    """Its label, or now and then a keyword that is the name of a thing, too."""
    nouns = [keyword for keyword in entry.keywords if keyword in sprites.names]
    return dice.choice(nouns) if nouns and dice.random() < 0.15 else entry.label


def _colour(dice: random.Random) -> str:
    return dice.choice(words.COMMON if dice.random() < 0.65 else tuple(words.COLOURS))


def _varied(colour: Rgb, dice: random.Random, by: float = 18) -> Rgb:
    red, green, blue = (int(min(255, max(0, part + dice.uniform(-by, by)))) for part in colour)
    return red, green, blue


def _say(told: str, thing: _Thing | None, dice: random.Random) -> str:
    """Most captions say what there is; some are sung, some add keywords."""
    chance = dice.random()
    if chance < 0.1:
        return dice.choice(words.LYRICS).format(told)
    if chance < 0.14:
        return dice.choice(words.PICTURES).format(told)
    if chance < 0.24 and thing and thing.entry.keywords:
        few = dice.sample(thing.entry.keywords, min(len(thing.entry.keywords), dice.randint(1, 3)))
        return ", ".join([told, *few])
    return told


# Plain backgrounds and photographs.


def _on_plain(sprites: Library, dice: random.Random) -> Scene:
    background, told_background = _plain(dice)
    placements, told, thing = _arrange(sprites, dice)
    if dice.random() < 0.35:
        told += dice.choice((" on {}", " against {}", " in front of {}", " and {}")).format(told_background)
    return Scene(background, placements, _say(told, thing, dice))


def _plain(dice: random.Random) -> tuple[Background, str]:
    one, two = _colour(dice), _colour(dice)
    first, second = _varied(words.COLOURS[one], dice), _varied(words.COLOURS[two], dice)
    kind = dice.choices(
        ("plain", "gradient", "across", "clouds", "stripes", "spots", "white"), (5, 3, 2, 4, 1, 1, 1.5)
    )[0]
    if kind in ("plain", "white"):
        only = (250, 250, 250) if kind == "white" else first
        return Background(only, only), "white" if kind == "white" else one
    both = one if one == two else f"{one} and {two}"
    if kind in ("stripes", "spots"):
        frequency = dice.uniform(2, 6)
        return Background(first, first, kind, accents=(second, second), frequency=frequency), f"{both} {kind}"
    return Background(first, second if kind != "clouds" else first, kind, accents=(second, second)), both


def _on_photograph(sprites: Library, dice: random.Random) -> Scene:
    index = dice.choice(sprites.photographs)
    entry = sprites.entries[index]
    size = dice.uniform(1.0, 1.5)
    slack = (size - 1) / 2
    behind = Placement(
        index,
        0.5 + dice.uniform(-slack, slack),
        0.5 + dice.uniform(-slack, slack),
        size,
        flipped=dice.random() < 0.5,
    )
    label = entry.label if dice.random() < 0.6 else dice.choice(entry.keywords or (entry.label,))
    if dice.random() < 0.45:
        return Scene(Background((0, 0, 0), (0, 0, 0)), (behind,), _say(label, None, dice))
    placements, told, thing = _arrange(sprites, dice)
    told += dice.choice((" in front of {}", " and {}", " with {}")).format(label)
    return Scene(Background((0, 0, 0), (0, 0, 0)), (behind, *placements), _say(told, thing, dice))


def _arrange(sprites: Library, dice: random.Random) -> tuple[tuple[Placement, ...], str, _Thing]:
    """Things on a background without a horizon: one, some of a kind, or one over or beside another."""
    thing, kind = _thing(sprites, dice), dice.random()
    if kind < 0.6:
        size = dice.uniform(0.55, 1.0) if kind < 0.45 else dice.uniform(1.0, 1.5)
        wander = 0.12 if size < 1 else 0.25
        at = 0.5 + dice.uniform(-wander, wander), 0.5 + dice.uniform(-wander, wander)
        return (_put(thing, *at, size, dice),), thing.told(dice), thing
    if kind < 0.78:
        count = dice.randint(2, MOST)
        return _scatter(thing, count, (0.0, 1.0), dice), thing.told(dice, count), thing
    return _two(thing, _thing(sprites, dice), dice)


def _two(one: _Thing, two: _Thing, dice: random.Random) -> tuple[tuple[Placement, ...], str, _Thing]:
    size = dice.uniform(0.42, 0.56)
    if dice.random() < 0.55:
        relation = dice.choice(("and", "beside", "next to", "with", "by"))
        where = (0.27, dice.uniform(0.4, 0.6)), (0.73, dice.uniform(0.4, 0.6))
    else:
        relation = dice.choice(("over", "above", "under", "below"))
        where = (dice.uniform(0.4, 0.6), 0.26), (dice.uniform(0.4, 0.6), 0.74)
        if relation in ("under", "below"):
            where = where[1], where[0]
    placements = _put(one, *where[0], size, dice), _put(two, *where[1], size, dice)
    return placements, f"{one.told(dice)} {relation} {two.told(dice)}", one


def _scatter(
    thing: _Thing, count: int, band: tuple[float, float], dice: random.Random
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
        _put(
            thing,
            (column + 0.5 + dice.uniform(-0.2, 0.2)) * wide,
            band[0] + (row + 0.5 + dice.uniform(-0.2, 0.2)) * high,
            size * dice.uniform(0.85, 1.15),
            dice,
        )
        for column, row in places
    )


def _put(
    thing: _Thing, x: float, y: float, size: float, dice: random.Random, upright: bool = False
) -> Placement:
    degrees = 0.0 if upright or dice.random() < 0.7 else dice.uniform(-22, 22)
    return Placement(thing.sprite, x, y, size, degrees, dice.random() < 0.5, thing.colour)


# Landscapes.


def _in_landscape(sprites: Library, dice: random.Random) -> Scene:
    thing, kind = _thing(sprites, dice), dice.random()
    sky = dice.choices(words.SKIES, [sky.weight for sky in words.SKIES])[0]
    grounds = WATERS if _floats(thing) and dice.random() < AT_HOME else words.GROUNDS
    ground = dice.choices(grounds, [ground.weight for ground in grounds])[0]
    only_sky = dice.random() < 0.12
    horizon = 2.0 if only_sky else dice.uniform(0.35, 0.75)
    background, extra = _landscape(sky, ground, horizon, dice)
    where = _Place(sky.names, () if only_sky else ground.names, ground.where, extra, sky.night)
    if dice.random() < EMPTY:
        return Scene(background, (), _say(where.alone(dice), None, dice))
    placements: tuple[Placement, ...]
    if kind < 0.62:
        size = dice.uniform(0.38, 0.8)
        placements = (_stand(thing, size, dice.uniform(0.3, 0.7), horizon, dice),)
        told = thing.told(dice, 1, _sized(size, dice))
    elif kind < 0.8:
        count = dice.randint(2, MOST)
        band = (0.02, min(horizon, 1.0) * 0.9) if _flies(thing) else (min(horizon, 0.6), 0.98)
        placements, told = _scatter(thing, count, band, dice), thing.told(dice, count)
    else:
        other = _thing(sprites, dice)
        placements, told = _neighbours(thing, other, horizon, dice)
    return Scene(background, placements, _say(where.tell(told, dice), thing, dice))


@dataclass(frozen=True)
class _Place:
    """Words for where a scene is."""

    skies: tuple[str, ...]
    grounds: tuple[str, ...]
    where: tuple[str, ...]
    extra: str
    night: bool

    def alone(self, dice: random.Random) -> str:
        sky, parts = words.article(dice.choice(self.skies)), []
        if self.grounds:
            parts = [f"{dice.choice(self.grounds)} under {sky}", f"{sky} over {dice.choice(self.grounds)}"]
        if self.extra:
            parts += [f"{self.extra} in {sky}"] + [
                f"{self.extra} over {ground}" for ground in self.grounds[:1]
            ]
        return dice.choice(parts or [sky])

    def tell(self, told: str, dice: random.Random) -> str:
        sky = dice.choice(self.skies)
        above = [
            f" under {words.article(sky)}",
            f" against {words.article(sky)}",
            f" and {words.article(sky)}",
        ]
        above += [" at night", " in the night", " at midnight"] if self.night else []
        above += [f" and {self.extra}", f" with {self.extra}", f" under {self.extra}"] if self.extra else []
        chance = dice.random()
        if not self.grounds or chance < 0.2:
            return told + dice.choice(above)
        place = f" {dice.choice(self.where)} {dice.choice(self.grounds)}"
        if chance < 0.6:
            return told + place
        return told if chance > 0.92 else told + place + dice.choice(above)


def _landscape(sky: Sky, ground: Ground, horizon: float, dice: random.Random) -> tuple[Background, str]:
    """A background, and words for one thing that is seen in its sky."""
    accents = dice.sample(
        [words.COLOURS[name] for name in ("red", "yellow", "pink", "white", "purple", "orange")], 2
    )
    background = Background(
        top=_varied(sky.top, dice),
        bottom=_varied(sky.bottom, dice),
        horizon=horizon,
        far=_varied(ground.far, dice),
        near=_varied(ground.near, dice),
        paint=ground.paint,
        skyline=ground.skyline if horizon < 1 else "",
        rise=dice.uniform(0.5, 0.9) * min(horizon, 0.6),
        rock=_rock(ground, sky, dice),
        accents=(accents[0], accents[1]),
    )
    if sky.night:
        background = _at_night(background, dice)
    return _with_light(background, sky, min(horizon, 1.0), dice)


def _rock(ground: Ground, sky: Sky, dice: random.Random) -> Rgb:
    choices: dict[str, tuple[Rgb, ...]] = {
        "hills": ((95, 165, 75), (70, 130, 80), (150, 160, 70)),
        "mountains": ((105, 110, 130), (130, 110, 100), (80, 95, 125)),
        "trees": ((40, 105, 50), (25, 80, 45), (150, 110, 40)),
        "city": ((75, 80, 105), (150, 110, 90), (120, 120, 135), (50, 50, 70)),
    }
    return _varied(dice.choice(choices.get(ground.skyline, ((90, 90, 90),))), dice)


def _at_night(background: Background, dice: random.Random) -> Background:
    """Everything below the sky darker and bluer."""
    dim = dice.uniform(0.3, 0.6)

    def night(colour: Rgb) -> Rgb:
        return int(colour[0] * dim), int(colour[1] * dim), min(255, int(colour[2] * dim + 18))

    return replace(
        background, far=night(background.far), near=night(background.near), rock=night(background.rock)
    )


def _with_light(
    background: Background, sky: Sky, height: float, dice: random.Random
) -> tuple[Background, str]:
    """Sun or moon, stars, clouds or weather, as goes with the sky."""
    chance, radius = dice.random(), dice.uniform(0.06, 0.17)
    at = dice.uniform(0.15, 0.85), dice.uniform(0.12, max(0.14, height - radius * 0.4)), radius
    if sky.night:
        background = replace(background, stars=dice.uniform(0.004, 0.02) if chance < 0.75 else 0.0)
        if chance < 0.42:
            moon = dice.choice(tuple(words.MOONS))
            colour = _varied((245, 240, 205), dice, 10)
            return replace(background, light=moon, light_at=at, light_colour=colour), dice.choice(
                words.MOONS[moon]
            )
        return background, dice.choice(words.STARS) if background.stars else ""
    if sky.grey:
        weather = dice.choice(("rain", "rain", "snow", "fog", ""))
        told = {"rain": words.RAINS, "snow": words.SNOWS, "fog": words.FOGS}.get(
            weather, words.CLOUDS["dark"]
        )
        clouds = None if weather else _varied((85, 88, 98), dice)
        return replace(background, weather=weather, clouds=clouds), dice.choice(told)
    if chance < 0.33:
        colour = _varied((255, 225, 80), dice, 15)
        return replace(background, light="sun", light_at=at, light_colour=colour), dice.choice(words.SUNS)
    if chance < 0.65:
        return replace(background, clouds=_varied((248, 248, 250), dice, 7)), dice.choice(
            words.CLOUDS["white"]
        )
    return background, ""


def _flies(thing: _Thing) -> bool:
    return not words.FLYING.isdisjoint(thing.entry.label.split())


def _floats(thing: _Thing) -> bool:
    return not words.FLOATING.isdisjoint(thing.entry.label.split())


def _sized(size: float, dice: random.Random) -> str:
    if dice.random() < 0.6 or 0.48 < size < 0.68:
        return ""
    return dice.choice(words.LARGE if size >= 0.68 else words.SMALL)


def _stand(thing: _Thing, size: float, x: float, horizon: float, dice: random.Random) -> Placement:
    """Something in the sky when it flies, else with its foot on the ground or in the water."""
    if horizon > 1:
        y = dice.uniform(0.35, 0.65)
    elif _flies(thing):
        y = dice.uniform(0.2, max(0.25, horizon * 0.75))
    else:
        foot = dice.uniform(horizon + 0.1, min(0.97, horizon + 0.35))
        y = foot - size * thing.entry.height / 2
    return _put(thing, x, y, size, dice, upright=not _flies(thing))


def _neighbours(
    one: _Thing, two: _Thing, horizon: float, dice: random.Random
) -> tuple[tuple[Placement, ...], str]:
    size = dice.uniform(0.35, 0.52)
    placements = tuple(
        _stand(thing, size, x + dice.uniform(-0.06, 0.06), horizon, dice)
        for thing, x in ((one, 0.26), (two, 0.74))
    )
    if _flies(one) and not _flies(two) and horizon < 1:
        relation = dice.choice(("over", "above"))
    elif _flies(two) and not _flies(one) and horizon < 1:
        relation = dice.choice(("under", "below"))
    else:
        relation = dice.choice(("and", "with", "next to", "beside"))
    return placements, f"{one.told(dice)} {relation} {two.told(dice)}"


# Painting sprites.


def _place(canvas: Tensor, pictures: Tensor, layer: int, scenes: Sequence[Scene]) -> None:
    """Put each scene's sprite of one layer on its picture [n, 3, side, side]."""
    wanted = [
        (row, scene.placements[layer]) for row, scene in enumerate(scenes) if len(scene.placements) > layer
    ]
    shrunk = pictures.shape[-1] / canvas.shape[-1]  # of a sprite that fills the picture
    for halvings in range(4):
        chosen = [it for it in wanted if _halvings(shrunk / it[1].size) == halvings]
        if chosen:
            rows, placements = [row for row, _ in chosen], [it for _, it in chosen]
            _paste(canvas, pictures, rows, placements, halvings)


def _halvings(ratio: float) -> int:
    return min(3, max(0, round(math.log2(ratio))))


def _paste(
    canvas: Tensor, pictures: Tensor, rows: Sequence[int], placements: Sequence[Placement], halvings: int
) -> None:
    device, side = canvas.device, canvas.shape[-1]
    chosen = torch.tensor([it.sprite for it in placements], device=device)
    pixels = pictures[chosen].float() / 255  # [m, 4, 96, 96]
    pixels[:, :3] *= pixels[:, 3:]
    if halvings:
        pixels = F.avg_pool2d(pixels, 2**halvings)
    pixels = _recolour(pixels, placements)
    where = torch.tensor(rows, device=device)
    moved = F.grid_sample(pixels, _grid(placements, side, device), align_corners=False)
    canvas[where] = canvas[where] * (1 - moved[:, 3:]) + moved[:, :3]


def _grid(placements: Sequence[Placement], side: int, device: torch.device) -> Tensor:
    """From the picture's coordinates (-1..1) to each sprite's, [m, side, side, 2]."""
    maps = []
    for it in placements:
        angle, flip = math.radians(it.degrees), -1 if it.flipped else 1
        cosine, sine = math.cos(angle) / it.size, math.sin(angle) / it.size
        x, y = 2 * it.x - 1, 2 * it.y - 1
        maps.append(
            (
                (cosine * flip, sine * flip, -(cosine * x + sine * y) * flip),
                (-sine, cosine, sine * x - cosine * y),
            )
        )
    theta = torch.tensor(maps, device=device)
    return F.affine_grid(theta, [len(maps), 1, side, side], align_corners=False)


def _recolour(pixels: Tensor, placements: Sequence[Placement]) -> Tensor:
    """Give premultiplied sprites [m, 4, h, w] their colours; their shades become shades of the colour."""
    chosen = [index for index, it in enumerate(placements) if it.colour is not None]
    if not chosen:
        return pixels
    colours = [placements[index].colour for index in chosen]
    colour = torch.tensor(colours, device=pixels.device).view(-1, 3, 1, 1) / 255
    some = pixels[chosen]
    alpha = some[:, 3:]
    grey = some[:, :3].mean(1, keepdim=True) / alpha.clamp(min=1e-3)
    middle = (grey * alpha).sum((2, 3), keepdim=True) / alpha.sum((2, 3), keepdim=True).clamp(min=1e-3)
    light = (grey - middle + 0.5).clamp(0, 1)
    dark, bright = colour * (0.3 + 1.4 * light), colour + (1 - colour) * (light - 0.5) * 0.9
    some = torch.cat((torch.where(light < 0.5, dark, bright) * alpha, alpha), 1)
    return pixels.index_copy(0, torch.tensor(chosen, device=pixels.device), some)
