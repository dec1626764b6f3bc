"""Scenes under a sky: things on the ground, in the water or in the air, and the words for where that is."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from songreel_starter import things, words
from songreel_starter.backgrounds import Background
from songreel_starter.things import Library, Placement, Scene, Thing, caption, varied
from songreel_starter.words import Ground, Rgb, Sky

EMPTY = 0.08  # share of the landscapes with nothing in them
WATERS = tuple(ground for ground in words.GROUNDS if ground.paint in ("water", "river"))
AT_HOME = 0.75  # share of the boats and fish that are on the water


def in_landscape(sprites: Library, dice: random.Random) -> Scene:
    thing, kind = things.choose(sprites, dice), dice.random()
    sky = dice.choices(words.SKIES, [sky.weight for sky in words.SKIES])[0]
    grounds = WATERS if _floats(thing) and dice.random() < AT_HOME else words.GROUNDS
    ground = dice.choices(grounds, [ground.weight for ground in grounds])[0]
    only_sky = dice.random() < 0.12
    horizon = 2.0 if only_sky else dice.uniform(0.35, 0.75)
    background, extra = _landscape(sky, ground, horizon, dice)
    where = _Place(sky.names, () if only_sky else ground.names, ground.where, extra, sky.night)
    if dice.random() < EMPTY:
        return Scene(background, (), caption(where.alone(dice), None, dice))
    placements: tuple[Placement, ...]
    if kind < 0.62:
        size = dice.uniform(0.38, 0.8)
        placements = (_stand(thing, size, dice.uniform(0.3, 0.7), horizon, dice),)
        phrase = thing.phrase(dice, 1, _sized(size, dice))
    elif kind < 0.8:
        count = dice.randint(2, things.MOST)
        band = (0.02, min(horizon, 1.0) * 0.9) if _flies(thing) else (min(horizon, 0.6), 0.98)
        placements, phrase = things.scatter(thing, count, band, dice), thing.phrase(dice, count)
    else:
        other = things.choose(sprites, dice)
        placements, phrase = _neighbours(thing, other, horizon, dice)
    return Scene(background, placements, caption(where.around(phrase, dice), thing, dice))


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

    def around(self, phrase: str, dice: random.Random) -> str:
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
            return phrase + dice.choice(above)
        place = f" {dice.choice(self.where)} {dice.choice(self.grounds)}"
        if chance < 0.6:
            return phrase + place
        return phrase if chance > 0.92 else phrase + place + dice.choice(above)


def _landscape(sky: Sky, ground: Ground, horizon: float, dice: random.Random) -> tuple[Background, str]:
    """A background, and words for one thing that is seen in its sky."""
    accents = dice.sample(
        [words.COLOURS[name] for name in ("red", "yellow", "pink", "white", "purple", "orange")], 2
    )
    background = Background(
        top=varied(sky.top, dice),
        bottom=varied(sky.bottom, dice),
        horizon=horizon,
        far=varied(ground.far, dice),
        near=varied(ground.near, dice),
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
    return varied(dice.choice(choices.get(ground.skyline, ((90, 90, 90),))), dice)


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
            colour = varied((245, 240, 205), dice, 10)
            return replace(background, light=moon, light_at=at, light_colour=colour), dice.choice(
                words.MOONS[moon]
            )
        return background, dice.choice(words.STARS) if background.stars else ""
    if sky.grey:
        weather = dice.choice(("rain", "rain", "snow", "fog", ""))
        phrases = {"rain": words.RAINS, "snow": words.SNOWS, "fog": words.FOGS}.get(
            weather, words.CLOUDS["dark"]
        )
        clouds = None if weather else varied((85, 88, 98), dice)
        return replace(background, weather=weather, clouds=clouds), dice.choice(phrases)
    if chance < 0.33:
        colour = varied((255, 225, 80), dice, 15)
        return replace(background, light="sun", light_at=at, light_colour=colour), dice.choice(words.SUNS)
    if chance < 0.65:
        return replace(background, clouds=varied((248, 248, 250), dice, 7)), dice.choice(
            words.CLOUDS["white"]
        )
    return background, ""


def _flies(thing: Thing) -> bool:
    return not words.FLYING.isdisjoint(thing.entry.label.split())


def _floats(thing: Thing) -> bool:
    return not words.FLOATING.isdisjoint(thing.entry.label.split())


def _sized(size: float, dice: random.Random) -> str:
    if dice.random() < 0.6 or 0.48 < size < 0.68:
        return ""
    return dice.choice(words.LARGE if size >= 0.68 else words.SMALL)


def _stand(thing: Thing, size: float, x: float, horizon: float, dice: random.Random) -> Placement:
    """Something in the sky when it flies, else with its foot on the ground or in the water."""
    if horizon > 1:
        y = dice.uniform(0.35, 0.65)
    elif _flies(thing):
        y = dice.uniform(0.2, max(0.25, horizon * 0.75))
    else:
        foot = dice.uniform(horizon + 0.1, min(0.97, horizon + 0.35))
        y = foot - size * thing.entry.height / 2
    return things.put(thing, x, y, size, dice, upright=not _flies(thing))


def _neighbours(
    one: Thing, two: Thing, horizon: float, dice: random.Random
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
    return placements, f"{one.phrase(dice)} {relation} {two.phrase(dice)}"
