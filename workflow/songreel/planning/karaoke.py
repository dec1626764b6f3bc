"""When each word of a line is sung: as its lyrics file says, or evenly over the line by its letters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate

import regex

from songreel.ground.lettering import Sung
from songreel.planning.lines import Word

# What no blanks part lights up letter by letter.
_UNPARTED = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]")
_SPOKEN = regex.compile(r"[\p{L}\p{N}]")


def timed(
    text: str, words: Sequence[Word], frame: Callable[[float], int], first: int, end: int
) -> tuple[Sung, ...]:
    """A line in pieces, each from a word's start to the next one's, with the frame it is sung from.

    `frame` turns the seconds of their starts into frames of the clip. Words that the text does not have in
    that order are passed over.
    """
    starts = list(_places(text, words))
    if not starts:
        return evenly(text, first, end)
    bounds = [0, *(place for place, _ in starts[1:]), len(text)]
    frames = accumulate((min(max(first, frame(seconds)), end) for _, seconds in starts), max)
    return tuple(Sung(text[bounds[n] : bounds[n + 1]], at) for n, at in enumerate(frames))


def _places(text: str, words: Sequence[Word]) -> Iterator[tuple[int, float]]:
    """Where in the text each word begins, and when."""
    at = 0
    for word in words:
        sung = word.text.strip()
        place = text.find(sung, at) if sung else -1
        if place >= 0:
            yield place, word.start_seconds
            at = place + len(sung)


def evenly(text: str, first: int, end: int) -> tuple[Sung, ...]:
    """A line's words, each as long as it has letters."""
    parts = list(_parts(text))
    letters = [max(1, len(_SPOKEN.findall(part))) for part in parts]
    before = [0, *accumulate(letters)]
    return tuple(
        Sung(part, first + round((end - first) * letters_before / before[-1]))
        for part, letters_before in zip(parts, before, strict=False)
    )


def _parts(text: str) -> Iterator[str]:
    """Words with the blanks after them; of those without blanks between them the letters."""
    for word in regex.findall(r"\s*\S+\s*", text) or [text]:
        if _UNPARTED.search(word):
            yield from regex.findall(r"\s*(?:(?=\S)\X)\s*", word)
        else:
            yield word
