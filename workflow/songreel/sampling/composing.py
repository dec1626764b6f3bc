"""Pictures for lines to start from, composed of a model's own drawings by what the words name.

Words decide first: each is looked up in the album's names, synonyms and keywords. Only a text in which
nothing is found is compared with the drawings' names by the perceptor's text tower.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from songreel.sampling import drawings, habitats, layouts
from songreel.sampling.albums import Candidate
from songreel.sampling.drawings import Drawings, Ground, Sky, Thing
from songreel.sampling.layouts import Part, Scene
from songreel.sampling.wishes import Mention, Wish, Words

Embed = Callable[[Sequence[str]], NDArray[np.float32]]  # unit vectors [n, d] of texts

TOGETHER = 2  # things of a text that are shown side by side
WEAK = 36  # what a second thing may weigh less than the first
OTHERS = 24  # what another thing for the same word may weigh less than the best
OTHERWISE = 3  # what its second drawing weighs less
VIEW, MIRRORED = 0.05, 0.07  # how much less a ground's other picture, and a mirrored scene, fit
ALTERNATIVES = 3  # things tried for a word, and grounds for a scene
NEAREST = 3  # things near a text that names none


def load(folder: Path, embed: Embed | None = None) -> Composer:
    """The composer of a model's folder. `embed` is a text tower, asked only about texts that name nothing.

    Raises DamageError when the album is damaged, OSError when it cannot be opened.
    """
    return Composer(drawings.read(folder), embed)


class Composer:
    """Composes pictures for texts: the same ones for the same text on every machine."""

    def __init__(self, album: Drawings, embed: Embed | None = None) -> None:
        self.album, self.embed = album, embed
        self.digest = album.digest
        self.words = Words(album)
        self.grounds = {it.name: it for it in album.grounds}
        self.skies = {it.name: it for it in album.skies}

    def ranked(self, text: str, size: tuple[int, int], count: int) -> list[Candidate]:
        """The best `count` pictures for a text at a size (width, height), all with different names."""
        scenes: dict[str, tuple[float, Scene]] = {}
        for fit, scene in sorted(self._scenes(self._wish(text)), key=lambda row: -row[0]):
            scenes.setdefault(scene.told(), (fit, scene))
        best = itertools.islice(scenes.items(), count)
        return [Candidate(name, layouts.paint(self.album, scene, size), fit) for name, (fit, scene) in best]

    def _wish(self, text: str) -> Wish:
        """What a text asks for, or what is nearest to it."""
        wish = self.words.read(text)
        if wish:
            return wish
        things = self._near(text)
        return Wish((Mention(text, things, things[0][1], 0),))

    def _near(self, text: str) -> tuple[tuple[int, int], ...]:
        """Things whose names are nearest to a text, by the text tower; by chance without one."""
        if self.embed is None or not len(self.album.vectors):
            number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
            return ((number % len(self.album.things), 30),)
        vector = np.asarray(self.embed([text]), np.float64)[0]
        names = self.album.vectors.astype(np.float64)
        near = np.round(names @ vector / np.linalg.norm(names, axis=1), 2)
        order = sorted(range(len(near)), key=lambda index: (-near[index], index))[:NEAREST]
        return tuple((index, round(60 * float(near[index]))) for index in order)

    # What could be shown, each with how well that fits.

    def _scenes(self, wish: Wish) -> Iterator[tuple[float, Scene]]:
        main, above = self._chosen(wish)
        mentions = [*main, *above]
        if not mentions:
            yield from self._bare(wish)
            return
        for choice in itertools.product(*(self._things(mention) for mention in mentions)):
            weight = sum(weight for _, weight in choice) / len(choice)
            parts = tuple(_part(mention, it) for mention, (it, _) in zip(mentions, choice, strict=True))
            yield from ((fit + weight / 100, scene) for fit, scene in self._placed(parts, wish))

    def _chosen(self, wish: Wish) -> tuple[list[Mention], list[Mention]]:
        """What stands side by side, and one thing in the sky above it."""
        things = [it for it in wish.mentions if not it.place] or list(wish.mentions)
        best = max((it.weight for it in things), default=0)
        strong = [it for it in things if it.weight >= best - WEAK]
        fresh = list({it.things[0][0]: it for it in reversed(strong)}.values())[::-1]  # the first of each
        above = [it for it in fresh if self._thing(it).aloft]
        main = sorted(
            (it for it in fresh if it not in above), key=lambda it: (-(it.weight // 8), it.position)
        )
        return sorted(main[:TOGETHER], key=lambda it: it.position), above[: 1 if main else TOGETHER]

    def _thing(self, mention: Mention) -> Thing:
        return self.album.things[mention.things[0][0]]

    def _things(self, mention: Mention) -> list[tuple[tuple[Thing, int], int]]:
        """(a thing, which of its drawings) for a mention, each with its weight."""
        least, found = mention.things[0][1] - OTHERS, []
        for index, weight in mention.things[:ALTERNATIVES]:
            thing = self.album.things[index]
            if weight >= least:
                found += [
                    ((thing, number), weight - OTHERWISE * number) for number in range(len(thing.drawings))
                ]
        return found

    def _placed(self, parts: tuple[Part, ...], wish: Wish) -> Iterator[tuple[float, Scene]]:
        """Parts before each ground that they may be seen before."""
        for loss, ground in self._grounds(parts, wish):
            scene = Scene(parts, ground, self._light(parts, ground, wish), wish.weather)
            for take in range(max(1, len(ground.pictures))):
                for mirrored in (False, True):
                    less = loss + VIEW * take + MIRRORED * mirrored
                    yield -less, replace(scene, take=take, mirrored=mirrored)

    def _grounds(self, parts: tuple[Part, ...], wish: Wish) -> list[tuple[float, Ground]]:
        things = [part.thing for part in parts]
        asked = [it for it in wish.grounds if it != "sky" or all(habitats.flies(it) for it in things)]
        if not asked:
            outdoors = bool(wish.sky or wish.weather)
            asked = list(habitats.homes(self.album, things, outdoors, wish.weather))
        names = dict.fromkeys(habitats.sunk(name, things) for name in asked[:ALTERNATIVES])
        return [(0.1 * rank, self.grounds[name]) for rank, name in enumerate(names)]

    def _light(self, parts: tuple[Part, ...], ground: Ground, wish: Wish) -> Sky:
        if ground.name == "space":
            return self.skies["space"]
        dark = any(part.thing.home == "night" for part in parts)
        return self.skies[wish.sky or ("night" if dark else "day")]

    def _bare(self, wish: Wish) -> Iterator[tuple[float, Scene]]:
        """A place with nothing in it."""
        names = wish.grounds or habitats.homes(self.album, (), bool(wish.sky or wish.weather), wish.weather)
        for rank, ground in enumerate(self.grounds[name] for name in names):
            for fit, scene in self._views(ground, wish):
                yield fit - 0.1 * rank, scene

    def _views(self, ground: Ground, wish: Wish) -> Iterator[tuple[float, Scene]]:
        for take in range(max(1, len(ground.pictures))):
            for mirrored in (False, True):
                light = self._light((), ground, wish)
                fit = 0.5 - VIEW * take - MIRRORED * mirrored
                yield fit, Scene((), ground, light, wish.weather, take, mirrored)


def _part(mention: Mention, it: tuple[Thing, int]) -> Part:
    thing, number = it
    return Part(thing, number, mention.colour, mention.count)
