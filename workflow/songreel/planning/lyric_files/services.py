"""Rows of the JSON that music services send: as Spotify's and Musixmatch's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from songreel.planning.lines import Line, plus
from songreel.planning.lyric_files import words
from songreel.planning.lyric_files.song import Notes, one_line, parse_milliseconds, parse_seconds

NO_WORDS = ("♪", "♫")  # how Spotify writes that nothing is sung


def spotify(row: Mapping[str, Any], at: int, notes: Notes) -> Line | None:
    """`{"startTimeMs": "960", "words": "text", "endTimeMs": "0"}`, where an end of 0 is none."""
    start, sung = parse_milliseconds(row.get("startTimeMs")), row.get("words")
    if isinstance(sung, list) and all(isinstance(word, Mapping) for word in sung):  # as it once was
        sung = " ".join(str(word.get("string", "")) for word in sung)
    if start is None or not isinstance(sung, str):
        return None
    text = one_line(sung)
    return Line(
        "" if text in NO_WORDS else text,
        start,
        at,
        end_seconds=parse_milliseconds(row.get("endTimeMs")) or None,
    )


def musixmatch(row: Mapping[str, Any], at: int, notes: Notes) -> Line | None:
    """`{"text": "words", "time": {"total": 12.3}}`."""
    time = row.get("time")
    if not isinstance(time, Mapping) or not isinstance(row.get("text"), str):
        return None
    start = parse_seconds(time.get("total"))
    return None if start is None else Line(one_line(row["text"]), start, at)


def musixmatch_words(row: Mapping[str, Any], at: int, notes: Notes) -> Line | None:
    """`{"ts": 12.3, "te": 15, "l": [{"c": "word", "o": 0.5}], "x": "word"}`, where `o` counts from `ts`."""
    start, parts = parse_seconds(row.get("ts")), row.get("l")
    if start is None or not isinstance(parts, list):
        return None
    pieces: list[words.Piece] = []
    for part in parts:
        if not isinstance(part, Mapping) or not isinstance(part.get("c"), str):
            return None
        offset = parse_seconds(part.get("o"))
        sung = bool(part["c"].strip()) and offset is not None
        pieces.append((part["c"], plus(start, offset) if sung and offset is not None else None))
    text, timed = words.joined(pieces, start)
    whole = row.get("x")
    if isinstance(whole, str) and one_line(whole) != text:
        text, timed = one_line(whole), words.located(one_line(whole), timed)
    return Line(text, start, at, end_seconds=parse_seconds(row.get("te")), words=timed)
