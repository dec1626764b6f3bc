"""SubRip, WebVTT and SBV: cues, each a row of two times and the rows of words below it.

Why not pysubs2, which reads ASS and SAMI here: of WebVTT, version 1.8.1 takes the name of a cue and a note
for words of the cue above, and a text with two times of words for a cue; braces of a SubRip text are lost; it
knows no rows, and no SBV.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from songreel.planning.lines import Line
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

_TIME = r"(?:[0-9]{1,4}:)?[0-9]{1,4}:[0-9]{1,2}(?:[.,][0-9]{1,9})?"
ARROW = re.compile(rf"\s*({_TIME})\s*-+>\s*({_TIME})(?:\s.*)?")
_COMMA = re.compile(r"\s*([0-9]{1,4}:[0-9]{1,2}:[0-9]{1,2}\.[0-9]{1,6})\s*,\s*([0-9:]{4,12}\.[0-9]{1,6})\s*")
_NUMBER = re.compile(r"\s*[0-9]+\s*")
_INSIDE = re.compile(rf"<({_TIME})>")

# SubRip has no rules of its own: what players show as bold, coloured or placed, and old players' {y:i}.
_SUBRIP_TAG = re.compile(
    r"</?(?:b|i|u|s|c|v|em|font|span|strong|ruby|rt)\b[^<>]*>|\{\\[^{}]*\}|\{[YyFfSsCcPp]:[^{}]*\}", re.I
)
_SUBRIP_MARKUP = re.compile(r"<(?=[/A-Za-z0-9])|\{(?=\\|[YyFfSsCcPp]:)|-(?=>)")
_BROKEN_UP = re.compile(rf"(?<=[<{{-]){JOINER}")
_VTT_TAG = re.compile(r"<[^<>]*>")


def read_subrip(text: str, notes: Notes) -> Song:
    """The song that a SubRip file says."""
    return Song(list(_lines(text, ARROW, _until_next, _subrip, notes)))


def read_vtt(text: str, notes: Notes) -> Song:
    """The song that a WebVTT file says (https://www.w3.org/TR/webvtt1/)."""
    return Song(list(_lines(text, ARROW, _until_blank, _vtt, notes)))


def read_sbv(text: str, notes: Notes) -> Song:
    """The song that an SBV file says, which has no markup."""
    return Song(list(_lines(text, _COMMA, _all, _as_is, notes)))


def _lines(
    text: str,
    timing: re.Pattern[str],
    below: Callable[[Sequence[str]], Sequence[str]],
    cleaned: Callable[[str], str],
    notes: Notes,
) -> Iterator[Line]:
    rows = split_rows(text)
    starts = [at for at, row in enumerate(rows) if timing.fullmatch(row)]
    for at, following in pairwise([*starts, len(rows)]):
        times = timing.fullmatch(rows[at])
        assert times is not None
        start, end = parse_time(times[1]), parse_time(times[2])
        if start is None:
            notes.odd(at + 1, "has a time of 60 or more minutes or seconds", "it is left out")
            continue
        content = "\n".join(below(rows[at + 1 : following]))
        pieces = [(cleaned(piece), time) for piece, time in _pieces(content)]
        sung, timed = words.joined(pieces, start)
        yield Line(sung, start, at + 1, end_seconds=end, words=timed)


def _pieces(content: str) -> Iterator[words.Piece]:
    at, since = 0, None
    for time in _INSIDE.finditer(content):
        yield content[at : time.start()], since
        at, since = time.end(), parse_time(time[1])
    yield content[at:], since


def _until_next(rows: Sequence[str]) -> Sequence[str]:
    """All rows to the next cue, without its number: a text may hold blank rows."""
    if len(rows) > 1 and _NUMBER.fullmatch(rows[-1]) and not rows[-2].strip():
        return rows[:-1]
    return rows


def _all(rows: Sequence[str]) -> Sequence[str]:
    return rows


def _until_blank(rows: Sequence[str]) -> Sequence[str]:
    return rows[: next((at for at, row in enumerate(rows) if not row.strip()), len(rows))]


def _subrip(text: str) -> str:
    return _BROKEN_UP.sub("", _SUBRIP_TAG.sub("", text))


def _vtt(text: str) -> str:
    return html.unescape(_VTT_TAG.sub("", text)).replace("\xa0", " ")


def _as_is(text: str) -> str:
    return text


def written_subrip(song: Song) -> str:
    """A SubRip file. Where a text has what would be markup, an invisible letter breaks it up."""
    return "\n".join(
        f"{number}\n{_span(line, ',')}\n{_SUBRIP_MARKUP.sub(_broken_up, one_line(line.text))}\n"
        for number, line in enumerate(song.lines, 1)
    )


def written_vtt(song: Song) -> str:
    """A WebVTT file, with the times of words."""
    cues = (f"{_span(line, '.')}\n{_vtt_content(line)}\n" for line in song.lines)
    return "\n".join(["WEBVTT\n", *cues])


def written_sbv(song: Song) -> str:
    """An SBV file."""
    return "\n".join(
        f"{_sbv_clock(line.start_seconds)},{_sbv_clock(_end(line))}\n{one_line(line.text)}\n"
        for line in song.lines
    )


def _sbv_clock(seconds: float) -> str:
    return timestamp(seconds, 3, ".").removeprefix("0")


def _vtt_content(line: Line) -> str:
    if not line.words:
        return _escaped(one_line(line.text))
    pieces = ((_vtt_time(start, line), _escaped(text)) for text, start in words.pieces(line))
    return "".join(f"{time}{text}" for time, text in pieces)


def _vtt_time(start: float, line: Line) -> str:
    """A word's time, which by the rules of WebVTT is later than its cue's."""
    return f"<{timestamp(start, 3, '.')}>" if start > line.start_seconds else ""


def _escaped(text: str) -> str:
    return html.escape(text, quote=False)


def _broken_up(start: re.Match[str]) -> str:
    return start[0] + JOINER


def _span(line: Line, mark: str) -> str:
    return f"{timestamp(line.start_seconds, 3, mark)} --> {timestamp(_end(line), 3, mark)}"


def _end(line: Line) -> float:
    assert line.end_seconds is not None  # given by `writing`
    return line.end_seconds
