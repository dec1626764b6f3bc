"""LRC, the lyrics format of music players: `[mm:ss.xx]words`, with `[ti:title]` and its like above.

Read as players do: several times before a line are that line sung again; times inside it, as `<mm:ss.xx>` or
in brackets, are its words'; a time without words ends the line before; `[offset:+500]` is half a second
sooner. Why no library, of those on PyPI in late 2026: pylrc 0.1.2 leaves the times of words in the text and
adds the offset where it is to be subtracted; lrcparser 0.2.0 fails on 42 of 1,000 damaged files;
lemony-lrc-parser 0.5.0 fails on none, and no line of it knows its row, by which one is told what is odd.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from songreel.planning.lines import Line, is_visible
from songreel.planning.lyric_files import words
from songreel.planning.lyric_files.song import (
    JOINER,
    Notes,
    Song,
    one_line,
    parse_time,
    split_rows,
    timestamp,
)

# Minutes may go on above 59. A third part is decimals of the seconds or, where it has some, the seconds.
_TIME = r"[0-9]{1,4}:[0-9]{1,2}(?:(?:[.,][0-9]{1,6})|:[0-9]{1,2}(?:[.,][0-9]{1,6})?)?"
_LEADING = re.compile(rf"\s*\[\s*({_TIME})\s*\]")
_INSIDE = re.compile(rf"[<\[]\s*({_TIME})\s*[>\]]")
_TAG = re.compile(r"\s*\[\s*([A-Za-z#][\w ]{0,30}?)\s*:(.*)\]\s*")
_THIRD = re.compile(r"([0-9]+:[0-9]{1,2}):([0-9]{1,2})")
# Where a text would be read as a time, in each of which it is broken up.
_MARKUP = re.compile(rf"[<\[](?=\s*(?:{_TIME})\s*[>\]])")
_BROKEN_UP = re.compile(rf"(?<=[<\[]){JOINER}")
_OFFSET = re.compile(r"[+-]?[0-9]{1,7}")


@dataclass
class _Read:
    """What was read so far."""

    lines: list[Line] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)


def looks_like(text: str) -> bool:
    """Whether a text without a telling name is LRC: some row begins with a time in brackets."""
    return any(map(_LEADING.match, split_rows(text)))


def read(text: str, notes: Notes) -> Song:
    """The song that an LRC file says."""
    parsed = _Read()
    for row, content in enumerate(split_rows(text), 1):
        if not _row(content, row, parsed, notes) and is_visible(content):
            notes.odd(row, "has no time", "it is left out")
    offset = _offset(parsed.tags.get("offset", ""), notes)
    moved = [line.later(-offset / 1000) for line in parsed.lines]
    return Song(moved, parsed.tags.get("ti", ""), parsed.tags.get("ar", ""))


def _row(content: str, row: int, parsed: _Read, notes: Notes) -> bool:
    """Take a row for what it is; False when it says nothing that LRC knows."""
    starts, at = [], 0
    while time := _LEADING.match(content, at):
        starts.append(_seconds(time[1], row, notes))
        at = time.end()
    if not starts:
        tag = _TAG.fullmatch(content)
        if tag:
            parsed.tags.setdefault(tag[1].lower(), one_line(tag[2]))
        return bool(tag)
    timed = [start for start in starts if start is not None]
    if len(timed) < len(starts):
        notes.odd(row, "has a time of 60 or more seconds", "that time is left out")
    if not timed:
        return True
    line = _line(content[at:], timed[0], row, notes)
    parsed.lines += [line.later(start - timed[0]) for start in timed]
    return True


def _line(content: str, start: float, row: int, notes: Notes) -> Line:
    pieces: list[words.Piece] = []
    at, since = 0, None
    for time in _INSIDE.finditer(content):
        pieces.append((content[at : time.start()], since))
        at, since = time.end(), _seconds(time[1], row, notes)
    pieces.append((content[at:], since))
    cleaned = [(_BROKEN_UP.sub("", text), time) for text, time in pieces]
    text, timed = words.joined(cleaned, start)
    return Line(text, start, row, words=timed)


def _seconds(time: str, row: int, notes: Notes) -> float | None:
    if third := _THIRD.fullmatch(time):
        notes.odd(row, "has a third part in its time", "it is read as decimals of the seconds")
        time = f"{third[1]}.{third[2]}"
    return parse_time(time)


def _offset(tag: str, notes: Notes) -> int:
    """Milliseconds that all lines are sooner."""
    if not tag:
        return 0
    if not _OFFSET.fullmatch(tag):
        notes.say(f"the offset {tag[:40]!r} is no number of milliseconds; it is not used")
        return 0
    offset = int(tag)
    if offset:
        way = "sooner" if offset > 0 else "later"
        notes.say(f"by its offset of {tag}, all lines start {abs(offset) / 1000} s {way}")
    return offset


def written(song: Song) -> str:
    """An LRC file with the times of words, to the hundredth, or the thousandth where a time needs that."""
    tags = [f"[{tag}:{one_line(value)}]" for tag, value in (("ti", song.title), ("ar", song.artist)) if value]
    rows = []
    for line, following in zip(song.lines, [*song.lines[1:], None], strict=True):
        rows.append(f"[{_time(line.start_seconds)}]{_content(line)}")
        end = line.end_seconds
        if end is not None and (following is None or end < following.start_seconds):
            rows.append(f"[{_time(end)}]")
    return "\n".join([*tags, *rows]) + "\n"


def _content(line: Line) -> str:
    if not line.words:
        return _plain(one_line(line.text))
    return "".join(f"<{_time(start)}>{_plain(text)}" for text, start in words.pieces(line))


def _plain(text: str) -> str:
    return _MARKUP.sub(lambda start: start[0] + JOINER, text)


def _time(seconds: float) -> str:
    digits = 2 if round(seconds * 1000) % 10 == 0 else 3
    return timestamp(seconds, digits, ".", hours=False)
