"""What is odd in the times of lyrics: mended where the intent is plain, and told by row."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby, pairwise

from songreel.planning.lines import Line, Word, is_visible
from songreel.planning.lyric_files.song import LATEST, Notes, one_line

_NO_TEXT = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff]")


def mended(lines: Sequence[Line], notes: Notes) -> tuple[Line, ...]:
    """The lines that have words, by strictly rising start.

    A line without words and without an end ends the one before it, as players take it.
    """
    visible: list[Line] = []
    marks: list[float] = []
    for line in lines:
        line = _clean(line, notes)
        if line.start_seconds > LATEST:
            notes.odd(line.row, "starts after a hundred hours", "it is left out")
        elif is_visible(line.text):
            visible.append(line)
        elif line.end_seconds is None:
            marks.append(line.start_seconds)
        else:
            notes.odd(line.row, "has a time and no words", "it is left out")
    apart = _apart(_from_0(_in_order(visible, notes), notes), notes)
    return tuple(_with_sound_ends(apart, sorted(marks), notes))


def _clean(line: Line, notes: Notes) -> Line:
    """A line without what JSON can write and no text has."""
    text = one_line(_NO_TEXT.sub("", line.text))
    if text == line.text:
        return line
    notes.odd(line.row, "has control characters, or halves of characters", "they are left out")
    return replace(line, text=text, words=())


def _from_0(lines: Sequence[Line], notes: Notes) -> list[Line]:
    """The lines of a song that begins at 0: one that is being sung then starts there."""
    before = [line for line in lines if line.start_seconds < 0]
    after = [*lines[len(before) :]]
    if before and not (after and after[0].start_seconds == 0):
        sung = before.pop()
        notes.odd(sung.row, "starts before the song", "it starts at 0")
        words = tuple(replace(word, start_seconds=max(0.0, word.start_seconds)) for word in sung.words)
        after.insert(0, replace(sung, start_seconds=0.0, words=words))
    for line in before:
        notes.odd(line.row, "is over before the song begins", "it is left out")
    return after


def _in_order(lines: Sequence[Line], notes: Notes) -> list[Line]:
    """By start. A row said several times is no disorder, since LRC folds what is sung again."""
    latest = -LATEST
    once = _once(lines)
    for line in lines:
        if line.row in once and line.start_seconds < latest:
            notes.odd(line.row, "starts before a line above it", "lines are taken by their times")
        if line.row in once:
            latest = max(latest, line.start_seconds)
    return sorted(lines, key=lambda line: line.start_seconds)


def _once(lines: Sequence[Line]) -> set[int]:
    seen: set[int] = set()
    folded: set[int] = set()
    for line in lines:
        (folded if line.row in seen else seen).add(line.row)
    return seen - folded


def _apart(lines: Sequence[Line], notes: Notes) -> list[Line]:
    """One line where several start at the same time, as a translation or a second voice does."""
    groups = (list(group) for _, group in groupby(lines, key=lambda line: line.start_seconds))
    return [group[0] if len(group) == 1 else _together(group, notes) for group in groups]


def _together(lines: Sequence[Line], notes: Notes) -> Line:
    different = {lines[0].text: lines[0]}
    for line in lines[1:]:
        if different.setdefault(line.text, line) is line:
            notes.odd(line.row, "starts together with another", "both are one line, with ' / ' between")
        else:
            notes.odd(line.row, "says what another row says at the same time", "it is taken once")
    if len(different) == 1:
        return lines[0]
    ends = [line.end_seconds for line in different.values() if line.end_seconds is not None]
    end = max(ends) if len(ends) == len(different) else None
    return replace(lines[0], text=" / ".join(different), end_seconds=end, words=())


def _with_sound_ends(lines: Sequence[Line], marks: Sequence[float], notes: Notes) -> Iterator[Line]:
    for line, following in pairwise([*lines, None]):
        assert line is not None
        until = following.start_seconds if following else LATEST
        at = bisect_right(marks, line.start_seconds)
        if line.end_seconds is None and at < len(marks) and marks[at] < until:
            line = replace(line, end_seconds=marks[at])
        elif line.end_seconds is None and line.words:
            line = replace(line, end_seconds=line.words[-1].end_seconds)
        line = replace(line, end_seconds=_end(line, until, notes))
        yield replace(line, words=_rising(line, until, notes))


def _end(line: Line, until: float, notes: Notes) -> float | None:
    """Where a line's words end, when that is before the next line starts."""
    end = line.end_seconds
    if end is None or end == until:
        return None
    if end <= line.start_seconds:
        what = "has no length" if end == line.start_seconds else "ends before it starts"
        notes.odd(line.row, what, "it lasts until the next one starts")
        return None
    if end > until:
        notes.odd(line.row, "goes on while the next one starts", "it ends there")
        return None
    return end


def _rising(line: Line, until: float, notes: Notes) -> tuple[Word, ...]:
    """The words, if their times rise within the line; their ends are said where a pause follows."""
    words, last = [], line.start_seconds
    for word, following in pairwise([*line.words, None]):
        assert word is not None
        start, end = max(word.start_seconds, line.start_seconds), word.end_seconds
        if not last <= start < until:
            notes.odd(line.row, "has times of words that are not within it", "they are not used")
            return ()
        limit = following.start_seconds if following else line.end_seconds or until
        pause = end is not None and start < end < limit
        words.append(replace(word, start_seconds=start, end_seconds=end if pause else None))
        last = start
    say_nothing = len(words) == 1 and replace(words[0], text="") == Word("", line.start_seconds)
    return () if say_nothing else tuple(words)
