"""Rows of what speech recognition writes as JSON: Whisper and its kin, all in seconds but whisper.cpp."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from songreel.planning.lines import Line, Word
from songreel.planning.lyric_files import words
from songreel.planning.lyric_files.song import Notes, one_line, parse_milliseconds, parse_seconds


def whisper(row: Mapping[str, Any], at: int, notes: Notes) -> Line | None:
    """A segment of Whisper, faster-whisper, WhisperX or stable-ts, with its words if they were timed."""
    start = parse_seconds(row.get("start"))
    if start is None or not isinstance(row.get("text"), str):
        return None
    text = one_line(row["text"])
    given = list(_words(row.get("words")))
    timed = words.located(text, given)
    if given and not timed:
        notes.odd(at, "has words that are not in its text", "their times are not used")
    return Line(text, start, at, end_seconds=parse_seconds(row.get("end")), words=timed)


def _words(rows: Any) -> Iterator[Word]:
    """The words that have a time: WhisperX gives none to figures."""
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, Mapping):
            text = row.get("word", row.get("text"))
            start = parse_seconds(row.get("start"))
            if isinstance(text, str) and text.strip() and start is not None:
                yield Word(text, start, parse_seconds(row.get("end")))


def whisper_cpp(row: Mapping[str, Any], at: int, notes: Notes) -> Line | None:
    """A segment of whisper.cpp, in milliseconds."""
    offsets = row.get("offsets")
    if not isinstance(offsets, Mapping) or not isinstance(row.get("text"), str):
        return None
    start = parse_milliseconds(offsets.get("from"))
    if start is None:
        return None
    return Line(one_line(row["text"]), start, at, end_seconds=parse_milliseconds(offsets.get("to")))


def chunk(row: Mapping[str, Any], at: int, notes: Notes) -> Line | None:
    """A chunk of the pipelines of transformers, as `{"timestamp": [0.0, 2.5], "text": "words"}`."""
    times = row.get("timestamp")
    if not isinstance(times, list) or len(times) != 2 or not isinstance(row.get("text"), str):
        return None
    start = parse_seconds(times[0])
    return (
        None if start is None else Line(one_line(row["text"]), start, at, end_seconds=parse_seconds(times[1]))
    )
