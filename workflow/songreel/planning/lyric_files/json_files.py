"""JSON of lyrics, whoever wrote it: looked through for rows in a format that is known."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from songreel.planning.lines import Line
from songreel.planning.lyric_files import lrc, services, transcripts
from songreel.planning.lyric_files.song import Notes, Song

DEEPEST = 32  # values in each other
INNER = ("subtitle_body", "richsync_body")  # texts that are JSON themselves, as Musixmatch sends them
LRC = "syncedLyrics"  # a text that is LRC, as LRCLIB sends it

Row = Mapping[str, Any]
# What a row of a format is read as; None where it is no such row.
Reader = Callable[[Row, int, Notes], Line | None]

_UNTOLD = Notes(Path(), lambda _: None)
_READERS: tuple[Reader, ...] = (
    services.spotify,
    services.musixmatch,
    services.musixmatch_words,
    transcripts.whisper,
    transcripts.whisper_cpp,
    transcripts.chunk,
)


def read(text: str, notes: Notes) -> Song:
    """The song that JSON says. Raises ValueError where it is none, or none that has lines with times."""
    try:
        document = json.loads(text)
    except RecursionError:
        raise ValueError("values in values in values, without end") from None
    except ValueError as error:  # also a number with very many digits
        raise ValueError(f"no JSON ({error})") from None
    for value in _values(document):
        if isinstance(value, Mapping) and isinstance(value.get(LRC), str):
            return lrc.read(value[LRC], notes)
        if isinstance(value, list) and (lines := _lines(value, notes)):
            return Song(lines)
    raise ValueError("JSON without lines that have times")


def _lines(rows: Sequence[Any], notes: Notes) -> list[Line]:
    """What the rows say in the format of the first of them that has one; nothing where none has."""
    for reader in _READERS:
        if not any(isinstance(row, Mapping) and reader(row, 1, _UNTOLD) for row in rows[:50]):
            continue
        lines = []
        for number, row in enumerate(rows, 1):
            line = reader(row, number, notes) if isinstance(row, Mapping) else None
            if line is None:
                notes.odd(number, "has no time", "it is left out")
            else:
                lines.append(line)
        return lines
    return []


def _values(document: Any, depth: int = 0) -> Iterator[Any]:
    """A value and all in it, outer ones first in each branch."""
    if depth > DEEPEST:
        return
    yield document
    if isinstance(document, Mapping):
        for key, value in document.items():
            yield from _values(_unpacked(key, value), depth + 1)
    elif isinstance(document, list):
        for value in document:
            if isinstance(value, Mapping | list):
                yield from _values(value, depth + 1)


def _unpacked(key: str, value: Any) -> Any:
    if key in INNER and isinstance(value, str):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return None
    return value
