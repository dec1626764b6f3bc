"""Which way words run, where both ways meet: told to libass, which knows no brackets.

Unicode's algorithm (UAX #9) has brackets run as what they hold (rule N0). libass leaves that out, for want
of it in older programs, and "(love)" in an Arabic line comes apart. So invisible marks say it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

LTR, RTL = "\u200e", "\u200f"
CLOSING = {"(": ")", "[": "]", "{": "}"}
_WAYS = {"L": LTR, "R": RTL, "AL": RTL}


def mark(text: str) -> str:
    """The mark that has a row run as the whole text does: by its first letter that says so."""
    return next(_ways(text), LTR)


def bracketed(clusters: Sequence[str]) -> list[str]:
    """The letters of a row, with marks on both sides of each bracket of a pair where both ways meet."""
    text = "".join(clusters)
    ways = set(_ways(text))
    marked = list(clusters)
    if len(ways) < 2:
        return marked
    whole = mark(text)
    for first, last in _pairs(clusters):
        within = set(_ways("".join(clusters[first:last])))
        *_, before = whole, *_ways("".join(clusters[:first]))
        way = whole if whole in within or before == whole else before
        if within:
            for place in (first, last):
                marked[place] = f"{way}{clusters[place]}{way}"
    return marked


def _ways(text: str) -> Iterator[str]:
    """The marks that say what each letter says that says anything."""
    for letter in text:
        if way := _WAYS.get(unicodedata.bidirectional(letter)):
            yield way


def _pairs(clusters: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Where brackets open and close that belong together."""
    opened: list[int] = []
    for place, cluster in enumerate(clusters):
        if cluster in CLOSING:
            opened.append(place)
        elif opened and cluster == CLOSING[clusters[opened[-1]]]:
            yield opened.pop(), place
