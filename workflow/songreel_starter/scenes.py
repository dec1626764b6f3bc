"""Scenes: sprites on backgrounds, with captions as lyrics say things.

A scene is planned by a function of (seed, index) alone: what is where, in what colour, and how it is told. A
batch of plans is then painted at once, on whatever device the sprites are.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from songreel_starter import backgrounds, landscapes, pasting, things, words
from songreel_starter.backgrounds import Background
from songreel_starter.sprites import Entry, Shard, entries
from songreel_starter.things import Library, Placement, Scene, caption, varied

PLAIN, PHOTOGRAPH = 0.34, 0.06  # shares of the scenes; the others are landscapes
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
        pasting.place(canvas, sprites.pictures, layer, scenes)
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
    return landscapes.in_landscape(sprites, dice)


def _weight(entry: Entry, names: frozenset[str], heads: Counter[str]) -> float:
    """A thing that several sources draw teaches more than one that is seen once."""
    head = entry.label.split()[-1]
    weight = WEIGHTS.get(entry.group, 0.0)
    if entry.group in ("icon", "clip art") and head in names:
        weight = 1.0 if entry.label in names else 0.35
    return weight * min(1.0, 0.4 + 0.2 * heads[head])


# Plain backgrounds and photographs.


def _on_plain(sprites: Library, dice: random.Random) -> Scene:
    background, behind = _plain(dice)
    placements, phrase, thing = things.arrange(sprites, dice)
    if dice.random() < 0.35:
        phrase += dice.choice((" on {}", " against {}", " in front of {}", " and {}")).format(behind)
    return Scene(background, placements, caption(phrase, thing, dice))


def _plain(dice: random.Random) -> tuple[Background, str]:
    one, two = things.colour_name(dice), things.colour_name(dice)
    first, second = varied(words.COLOURS[one], dice), varied(words.COLOURS[two], dice)
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
        return Scene(Background((0, 0, 0), (0, 0, 0)), (behind,), caption(label, None, dice))
    placements, phrase, thing = things.arrange(sprites, dice)
    phrase += dice.choice((" in front of {}", " and {}", " with {}")).format(label)
    return Scene(Background((0, 0, 0), (0, 0, 0)), (behind, *placements), caption(phrase, thing, dice))
