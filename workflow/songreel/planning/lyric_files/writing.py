"""Which writer makes a file of lyrics, by the ending of its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

from songreel.planning.columns import Directions
from songreel.planning.lines import Line
from songreel.planning.lyric_files import cues, lrc, ttml
from songreel.planning.lyric_files.song import Song, one_line

Write = Callable[[Song], str]

LAST = 5.0  # seconds that the last line is shown, where nothing says when it ends


def _ass(song: Song) -> str:
    from songreel.planning.lyric_files import substation  # imported where it is needed: pysubs2 takes 0.1 s

    return substation.written_ass(song)


def csv(song: Song, comment: str = "") -> str:
    """A screenplay in CSV, with all decimals that a time has; columns have names where lines have ends."""
    head = [f"# {one_line(comment)}"] if comment else []
    columns = _columns(song)
    if "end" in columns:
        head.append(",".join(columns))
    return "\n".join([*head, *(_row(line, columns) for line in song.lines)]) + "\n"


def _columns(song: Song) -> list[str]:
    """What a screenplay says of these lines; without a header, its columns are in this order."""
    ends = any(line.end_seconds is not None for line in song.lines)
    takes = any(line.take is not None for line in song.lines)
    return ["text", "start", *["end"] * ends, *["take"] * takes]


def _row(line: Line, columns: Sequence[str]) -> str:
    quoted = line.text.replace('"', '""')
    cells = {
        "text": f'"{quoted}"',
        "start": _decimal(line.start_seconds),
        "end": "" if line.end_seconds is None else _decimal(line.end_seconds),
        "take": "" if line.take is None else str(line.take),
    }
    return ",".join(cells[name] for name in columns).rstrip(",")


def _decimal(seconds: float) -> str:
    """All digits of a number of seconds, without an exponent, and none that says nothing."""
    digits = format(Decimal(str(seconds)), "f")
    return digits.rstrip("0").rstrip(".") if "." in digits else digits


# By their endings; the text of a line is on one line but in CSV.
FORMATS: Mapping[str, Write] = {
    ".csv": csv,
    ".lrc": lrc.written,
    ".srt": cues.written_subrip,
    ".vtt": cues.written_vtt,
    ".ass": _ass,
    ".ttml": ttml.written,
    ".sbv": cues.written_sbv,
}
TIMES_OF_WORDS = (".lrc", ".vtt", ".ass", ".ttml")
NEED_ENDS = (".srt", ".vtt", ".ass", ".ttml", ".sbv")


def with_ends(song: Song, last: float | None = None) -> Song:
    """The song with an end for each line: its own, or where the next one starts; `last` is the song's."""
    ended = []
    for line, following in pairwise([*song.lines, None]):
        assert line is not None
        until = following.start_seconds if following else last
        if until is None or until <= line.start_seconds:
            until = line.start_seconds + LAST
        ended.append(replace(line, end_seconds=until if line.end_seconds is None else line.end_seconds))
    return replace(song, lines=ended)


def loses(song: Song, ending: str) -> str:
    """What of a song a format has no place for, in words; "" where it has one for everything."""
    lost = []
    if ending not in TIMES_OF_WORDS and any(line.words for line in song.lines):
        lost.append("the times of words")
    if any(line.directions != Directions() for line in song.lines):
        lost.append("what steers lines beside their words")
    if ending != ".csv" and any(line.take is not None for line in song.lines):
        lost.append("takes")
    return " and ".join(lost)
