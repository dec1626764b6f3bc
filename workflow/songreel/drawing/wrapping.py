"""Words in rows that fit a picture: as few rows as can be, as even as can be."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

# No row begins with these, nor ends with those (Japanese: kinsoku).
_NEVER_FIRST = set(
    "!%),.:;?]}~\u00bb\u2019\u201d\u2026\u3001\u3002\u3005\u3009\u300b\u300d\u300f\u3011\u3015"
)
_NEVER_FIRST |= set(
    "\u3041\u3043\u3045\u3047\u3049\u3063\u3083\u3085\u3087\u308e\u30a1\u30a3\u30a5\u30a7\u30a9"
)
_NEVER_FIRST |= set(
    "\u30c3\u30e3\u30e5\u30e7\u30ee\u30f5\u30f6\u30fb\u30fc\uff01\uff09\uff0c\uff0e\uff1a\uff1b\uff1f\uff5d\uff5e\u301c"
)
_NEVER_LAST = set("([{\u00ab\u2018\u201c\u3008\u300a\u300c\u300e\u3010\u3014\uff08\uff5b")
GLUE = set("\u00a0\u2007\u202f\u2060")  # blanks at which no row ends
_HYPHENS = set("-\u2010\u2012\u2013\u2014\u200b")
_EVENNESS = 20  # halvings of the width in search of the most even rows


@dataclass(frozen=True)
class Cluster:
    """A letter with its marks, as it is to be drawn."""

    text: str
    width: float  # ems
    face: int  # the number of the font that draws it
    part: int  # the number of the piece of the line that it belongs to

    @property
    def blank(self) -> bool:
        """Whether a row may end here and nothing be missed."""
        return self.text.isspace() and not set(self.text) & GLUE


Word = tuple[Cluster, ...]  # what stays together, with the blanks after it


def words(clusters: Sequence[Cluster]) -> Iterator[Word]:
    """The parts of a line between which a row may end."""
    start = 0
    for at in range(1, len(clusters)):
        if _parts(clusters[at - 1], clusters[at]):
            yield tuple(clusters[start:at])
            start = at
    if clusters:
        yield tuple(clusters[start:])


def _parts(left: Cluster, right: Cluster) -> bool:
    """Whether a row may end between two letters."""
    if right.blank:
        return False
    if left.blank:
        return True
    if right.text[0] in _NEVER_FIRST or left.text[0] in _NEVER_LAST:
        return False
    return left.text[-1] in _HYPHENS or _is_ideographic(left.text) or _is_ideographic(right.text)


def _is_ideographic(text: str) -> bool:
    """Whether a row may end before and after it: Chinese and Japanese have no blanks, Korean has."""
    letter = text[0]
    wide = unicodedata.east_asian_width(letter) in "WF" and unicodedata.category(letter)[0] in "LNP"
    return wide and not "\uac00" <= letter <= "\ud7a3"


def count(parts: Sequence[Word], width: float) -> int:
    """How many rows of at most `width` ems they take."""
    return len(_filled([piece for word in parts for piece in _broken(word, width)], width))


def rows(parts: Sequence[Word], width: float) -> list[Word]:
    """Rows of at most `width` ems: the fewest, and of those the most even. A longer word is broken."""
    whole = [piece for word in parts for piece in _broken(word, width)]
    fewest = _filled(whole, width)
    low, high = 0.0, width
    for _ in range(_EVENNESS):
        middle = (low + high) / 2
        fits = max(map(extent, whole), default=0) <= middle and len(_filled(whole, middle)) <= len(fewest)
        low, high = (low, middle) if fits else (middle, high)
    return [_trimmed(row) for row in _filled(whole, high)]


def extent(clusters: Sequence[Cluster]) -> float:
    """How wide letters are in ems, without the blanks at the end."""
    return sum(cluster.width for cluster in _trimmed(clusters))


def _broken(word: Word, width: float) -> Iterator[Word]:
    """A word in pieces that fit, as few letters as none."""
    start, reach = 0, 0.0
    for at, cluster in enumerate(word):
        if at > start and reach + cluster.width > width and not cluster.blank:
            yield word[start:at]
            start, reach = at, 0.0
        reach += cluster.width
    yield word[start:]


def _filled(parts: Sequence[Word], width: float) -> list[Word]:
    """Rows that each take as many words as fit."""
    made: list[list[Cluster]] = []
    reach = 0.0  # of the last row, with its blanks
    for word in parts:
        if made and reach + extent(word) <= width:
            made[-1] += word
        else:
            made.append(list(word))
            reach = 0.0
        reach += sum(cluster.width for cluster in word)
    return [tuple(row) for row in made]


def _trimmed(clusters: Sequence[Cluster]) -> Word:
    """Without the blanks at the end."""
    end = len(clusters)
    while end and clusters[end - 1].blank:
        end -= 1
    return tuple(clusters[:end])
