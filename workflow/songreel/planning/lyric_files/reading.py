"""Which reader a file of lyrics is for, by the ending of its name, or by its rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from songreel.planning.dialects import Report
from songreel.planning.lines import is_visible
from songreel.planning.lyric_files import cues, json_files, labels, lrc, mending, ttml
from songreel.planning.lyric_files.song import Notes, Song, split_rows
from songreel.planning.lyric_files.xml_tree import XmlError
from songreel.planning.rows import Place, on_one_line

Read = Callable[[str, Notes], Song]

MOST_BYTES = 8 << 20  # of a file of lyrics; an hour's transcript with times of words has about 4 MB
_SNIFFED = 1 << 16  # letters from which a file is told that has no telling ending


def _read_ass(text: str, notes: Notes) -> Song:
    from songreel.planning.lyric_files import substation  # imported where it is needed: pysubs2 takes 0.1 s

    return substation.read_ass(text, notes)


def _read_sami(text: str, notes: Notes) -> Song:
    from songreel.planning.lyric_files import substation

    return substation.read_sami(text, notes)


# By their endings: how people call the format, and how it is read.
FORMATS: Mapping[str, tuple[str, Read]] = {
    ".lrc": ("LRC", lrc.read),
    ".elrc": ("LRC", lrc.read),
    ".srt": ("SubRip", cues.read_subrip),
    ".vtt": ("WebVTT", cues.read_vtt),
    ".ass": ("ASS", _read_ass),
    ".ssa": ("SSA", _read_ass),
    ".ttml": ("TTML", ttml.read),
    ".dfxp": ("TTML", ttml.read),
    ".xml": ("TTML", ttml.read),
    ".sbv": ("SBV", cues.read_sbv),
    ".smi": ("SAMI", _read_sami),
    ".sami": ("SAMI", _read_sami),
    ".json": ("JSON", json_files.read),
}
WITHOUT_TIMES = "save the words alone as .txt, and have songreel convert spread them over the song"
UNTOLD = ("", ".txt", ".text")  # endings that may be a CSV file's, and any other's
# Other things have these endings, too.
UNSURE = (".xml", ".json", ".txt")


def knows(path: Path) -> bool:
    """Whether a file is one of lyrics by its ending."""
    return path.suffix.lower() in FORMATS


def read(text: str, path: Path, report: Report) -> Song:
    """The song that a file of lyrics with a telling ending says, by strictly rising start.

    Raises UserError where it is no such file, or has no line.
    """
    return _read(text, path, *FORMATS[path.suffix.lower()], report)


def sniffed(text: str, path: Path, report: Report) -> Song | None:
    """The song of a file that is one of lyrics by its rows, not its ending; None where it is not."""
    beginning = text[:_SNIFFED]
    if beginning.lstrip().startswith("WEBVTT"):
        return _read(text, path, "WebVTT", cues.read_vtt, report)
    if any(map(cues.ARROW.fullmatch, split_rows(beginning))):
        return _read(text, path, "SubRip", cues.read_subrip, report)
    if labels.looks_like(text):
        return _read(text, path, "Audacity labels", labels.read, report)
    if lrc.looks_like(beginning):
        return _read(text, path, "LRC", lrc.read, report)
    return None


def _read(text: str, path: Path, name: str, reader: Read, report: Report) -> Song:
    notes = Notes(path, report)
    try:
        song = reader(text, notes)
    except ValueError as error:
        row = error.row if isinstance(error, XmlError) else 0
        found = on_one_line(str(error))
        raise Place(path, row).error(found, f"lyrics as {name}", "write the file anew, or as CSV") from None
    lines = mending.mended(song.lines, notes)
    if not lines:
        raise Place(path).error(f"no line of {name} with a time", "at least one", WITHOUT_TIMES)
    sung = sum(is_visible(line.text) for line in song.lines)
    if len(lines) == 1 and sung > 2:  # two may be a line and its translation
        raise Place(path).error(
            f"that all {sung} lines start at {lines[0].start_seconds} s",
            "each at its own time",
            WITHOUT_TIMES,
        )
    notes.report()
    return Song(lines, song.title, song.artist)
