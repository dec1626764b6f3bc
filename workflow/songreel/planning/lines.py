"""One lyric line, whatever kind of file it was read from."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field, replace
from decimal import Decimal

from songreel.planning.columns import Directions

_INVISIBLE_CATEGORIES = {"Cc", "Cf", "Zs", "Zl", "Zp"}
# Fillers, blanks and variation selectors: drawn as nothing, yet letters, symbols or marks by their category.
_INVISIBLE = re.compile(
    r"[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


@dataclass(frozen=True)
class Word:
    """A word or a syllable that is sung at a time of its own."""

    text: str  # with the space after it, if there is one
    start_seconds: float
    end_seconds: float | None = None  # None: until the next one starts

    def later(self, seconds: float) -> Word:
        """The word, so many seconds later."""
        end = None if self.end_seconds is None else plus(self.end_seconds, seconds)
        return replace(self, start_seconds=plus(self.start_seconds, seconds), end_seconds=end)


@dataclass(frozen=True)
class Line:
    """One lyric line; its picture lasts until the next one starts."""

    text: str  # never empty; newlines inside are kept as written, whitespace at the ends is not
    start_seconds: float  # in the song; 0 or more, finite
    row: int  # where the record starts in the file, counted from 1
    take: int | None = None  # which rendering of the text, from 0; None leaves it to the plan
    end_seconds: float | None = None  # where its words end; None: where the next line starts
    words: tuple[Word, ...] = ()  # by rising start, if they are known; one after another they are the text
    directions: Directions = field(default_factory=Directions)  # what steers it, and how

    def later(self, seconds: float) -> Line:
        """The line, so many seconds later."""
        return replace(
            self,
            start_seconds=plus(self.start_seconds, seconds),
            end_seconds=None if self.end_seconds is None else plus(self.end_seconds, seconds),
            words=tuple(word.later(seconds) for word in self.words),
        )


def plus(seconds: float, more: float) -> float:
    """A sum by decimal arithmetic, as people do it."""
    return float(Decimal(str(seconds)) + Decimal(str(more))) if more else seconds


def is_visible(text: str) -> bool:
    """Whether anything of a text is seen."""
    return any(
        unicodedata.category(letter) not in _INVISIBLE_CATEGORIES and not _INVISIBLE.match(letter)
        for letter in text
    )
