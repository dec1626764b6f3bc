"""The words of a line with times of their own: put together from pieces, or found in the line's text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from songreel.planning.lines import Line, Word
from songreel.planning.lyric_files.song import one_line

Piece = tuple[str, float | None]  # a text, and the second from which it is sung, if that is known

_SPACES = re.compile(r"\s+")


def joined(pieces: Sequence[Piece], start_seconds: float) -> tuple[str, tuple[Word, ...]]:
    """The text of pieces in order, on one line, and its words if any piece has a time.

    A timed piece of nothing but spaces ends the word before it.
    """
    sung: list[_Sung] = []
    for text, start in pieces:
        text = _SPACES.sub(" ", text)
        if sung and text.startswith(" "):
            sung[-1].texts.append(" ")
        if not text.strip():
            if sung and start is not None:
                sung[-1].end = start
        elif sung and start is None:
            sung[-1].texts.append(text)
        else:
            sung.append(_Sung([text], start_seconds if start is None else start))
    words = tuple(Word(one_line("".join(word.texts)) + word.space(), word.start, word.end) for word in sung)
    if words:
        words = (*words[:-1], replace(words[-1], text=words[-1].text.rstrip()))
    timed = any(start is not None for _, start in pieces)
    return one_line("".join(text for text, _ in pieces)), words if timed else ()


@dataclass
class _Sung:
    """A word while it is put together."""

    texts: list[str]
    start: float
    end: float | None = None

    def space(self) -> str:
        """The space after it, if there is one."""
        return " " if self.texts[-1].endswith(" ") else ""


def located(text: str, words: Sequence[Word]) -> tuple[Word, ...]:
    """Words with their times as parts of a line's text; none when they are not the text's.

    What stands between two of them, as a comma or a word without a time, belongs to the one before.
    """
    at, bounds = 0, []
    for word in words:
        bare = one_line(word.text)
        start = text.find(bare, at)
        if not bare or start < 0:
            return ()
        bounds.append(start)
        at = start + len(bare)
    if not bounds:
        return ()
    bounds[0] = 0
    ends = [*bounds[1:], len(text)]
    return tuple(
        replace(word, text=text[start:end]) for word, start, end in zip(words, bounds, ends, strict=True)
    )


def pieces(line: Line) -> Iterator[tuple[str, float]]:
    """A line's words as a writer needs them, each with its time; a pause, and the end, is an empty one."""
    for word, following in zip(line.words, [*line.words[1:], None], strict=True):
        yield word.text, word.start_seconds
        if word.end_seconds is not None and (following is None or word.end_seconds < following.start_seconds):
            yield "", word.end_seconds
