"""Which picture of an album each line starts from.

To see which pictures fit some words takes a CLIP, which a plan has no time to load: a process of its own
ranks them, once, and its rankings are kept. From them a plan chooses anew each time, in milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from songreel.ground.documents import PerceptorEntry
from songreel.ground.errors import UserError
from songreel.ground.files import identity
from songreel.ground.paths import Paths
from songreel.ground.written import Written
from songreel.planning import album
from songreel.planning.album import Source

CHOOSING = 1  # bumped when the same pictures are ranked otherwise
MOST = 32  # pictures ranked for a text: takes so far apart have the same one
FEWEST = 8  # ranked at a time, since to load the models takes longer than to rank some more


@dataclass(frozen=True)
class Asked(Written):
    """A line that starts from a picture."""

    text: str  # without the style
    take: int
    pinned: bool  # whether the take was written by hand, and so has its own picture whatever stands around it

    @property
    def key(self) -> tuple[str, int]:
        """What has one picture, wherever it is sung."""
        return self.text, self.take


@dataclass(frozen=True)
class Choice(Written):
    """A picture that fits some words."""

    name: str
    start: str  # the sha256 of its pixels, see `pictures.digest`
    fit: float


@dataclass(frozen=True)
class Ranking(Written):
    """The pictures that fit some words, the best first."""

    choices: tuple[Choice, ...]
    complete: bool  # whether there are no more


@dataclass(frozen=True)
class Request(Written):
    """For which lines pictures are chosen, from what and by whom."""

    album: Source
    perceptors: tuple[PerceptorEntry, ...]
    size: tuple[int, int]  # of the film: width and height in pixels
    lines: tuple[Asked, ...]

    @property
    def texts(self) -> list[str]:
        """What is sung, each once, in order."""
        return list(dict.fromkeys(line.text for line in self.lines))

    def ranking(self, text: str) -> str:
        """The id of a text's ranking: of all that it depends on."""
        judges = [[judge.sha256, judge.weight] for judge in self.perceptors]
        parts = {"choosing": CHOOSING, "album": self.album.digest, "judges": judges}
        return identity(parts | {"size": list(self.size), "text": text})

    def looks(self) -> Iterator[str]:
        """The ids of what the perceptors make of the folder's pictures."""
        for picture in self.album.pictures:
            for judge in self.perceptors:
                yield look(picture.sha256, judge.sha256, self.size)

    @property
    def place(self) -> str:
        """The id of where the folder lies."""
        return album.place(Path(self.album.folder))

    def count(self, text: str) -> int:
        """How many pictures have to be ranked, for every line of that text to find one that is free."""
        takes = [line.take % MOST for line in self.lines if line.text == text]
        wanted = max(takes) + len(set(takes)) + 2  # those of the lines before and after are not free
        return min(-(-wanted // FEWEST) * FEWEST, MOST)


def look(picture: str, judge: str, size: tuple[int, int]) -> str:
    """The id of what a perceptor of that sha256 makes of a picture, cut to the shape of a size."""
    return identity({"choosing": CHOOSING, "picture": picture, "judge": judge, "shape": size[0] / size[1]})


def needs(request: Request | None) -> dict[str, list[str]]:
    """The ids of all that is kept for a request, by their kind."""
    if request is None:
        return {"rankings": [], "seen": [], "albums": []}
    return {
        "rankings": [request.ranking(text) for text in request.texts],
        "seen": sorted(request.looks()),
        "albums": [request.place] if request.album.folder else [],
    }


def known(request: Request, paths: Paths) -> dict[str, Ranking]:
    """The rankings that are kept and long enough, by text."""
    found = {}
    for text in request.texts:
        with suppress(UserError, OSError):
            ranking = Ranking.read(paths.ranking(request.ranking(text)))
            if ranking.choices and (ranking.complete or len(ranking.choices) >= request.count(text)):
                found[text] = ranking
    return found


def assigned(lines: Sequence[Asked], rankings: Mapping[str, Ranking]) -> list[Choice]:
    """A picture for each line.

    Take k of a text has the k-th best, counted from 0. Where that take was not written by hand, it goes on to
    the next best if the line before or after shows that picture, or another take of the text.
    """
    chosen = {line.key: _at(rankings[line.text], line.take) for line in lines if line.pinned}
    for at, line in enumerate(lines):
        if line.key not in chosen:
            around = [*lines[max(at - 1, 0) : at], *lines[at + 1 : at + 2]]
            near = {chosen[other.key].start for other in around if other.key in chosen}
            own = {choice.start for (text, _), choice in chosen.items() if text == line.text}
            chosen[line.key] = _free(rankings[line.text], line.take, [near | own, near])
    return [chosen[line.key] for line in lines]


def _free(ranking: Ranking, take: int, taken: Sequence[set[str]]) -> Choice:
    """From the take's own place on, the first that is not taken; else by what matters less."""
    count = len(ranking.choices)
    for starts in taken:
        for step in range(count):
            if (choice := _at(ranking, take % min(count, MOST) + step)).start not in starts:
                return choice
    return _at(ranking, take)


def _at(ranking: Ranking, place: int) -> Choice:
    return ranking.choices[place % min(len(ranking.choices), MOST)]
