"""The labels of Audacity: `start<tab>end<tab>words`, in seconds (a file of text, so told by its rows)."""

from __future__ import annotations

import re

from songreel.planning.lines import Line
from songreel.planning.lyric_files.song import Notes, Song, one_line, parse_seconds, split_rows

_TIME = r"[0-9]{1,9}(?:[.,][0-9]{1,12})?"
_LABEL = re.compile(rf"({_TIME})\t({_TIME})(?:\t(.*))?")
_FREQUENCIES = re.compile(r"\\\t.*")  # below a label that was set in a spectrogram


def looks_like(text: str) -> bool:
    """Whether most rows are labels."""
    rows = [row for row in split_rows(text) if row.strip() and not _FREQUENCIES.fullmatch(row)]
    return bool(rows) and 2 * sum(map(bool, map(_LABEL.fullmatch, rows))) > len(rows)


def read(text: str, notes: Notes) -> Song:
    """The song that labels say; one of no length, as set at a point, has no end."""
    lines = []
    for row, content in enumerate(split_rows(text), 1):
        if label := _LABEL.fullmatch(content):
            start, end = (parse_seconds(time.replace(",", ".")) for time in label.groups()[:2])
            if start is not None:
                until = end if end != start else None
                lines.append(Line(one_line(label[3] or ""), start, row, end_seconds=until))
        elif content.strip() and not _FREQUENCIES.fullmatch(content):
            notes.odd(row, "is no label", "it is left out")
    return Song(lines)


def written(song: Song) -> str:
    """A file of labels."""
    rows = (
        f"{line.start_seconds:.6f}\t{line.end_seconds or line.start_seconds:.6f}\t{one_line(line.text)}"
        for line in song.lines
    )
    return "\n".join(rows) + "\n"
