"""Reads a screenplay: a CSV file of lyric lines, each a text, its start in the song and perhaps a take.

Files that a spreadsheet has saved are read, too, where they can be read one way only; and files of lyrics.
"""

import math
import re
from pathlib import Path

from songreel.ground import files
from songreel.ground.errors import UserError
from songreel.planning import columns, dialects, encodings, times
from songreel.planning.dialects import Report
from songreel.planning.lines import Line as Line
from songreel.planning.lines import is_visible
from songreel.planning.lyric_files import plain, reading
from songreel.planning.lyric_files.song import Song
from songreel.planning.rows import (
    EXPECTED,
    SEPARATORS,
    Place,
    Record,
    count_newlines,
    on_one_line,
    shown,
)

_TAKE = re.compile(r"0*([0-9]{1,6})")

_COLUMNS_EXPECTED = f"two as in {EXPECTED} or three with a take"
_TIME_EXPECTED = "seconds such as 12.5 or a clock time such as 1:02.5 (plain digits, below 60 after a colon)"
_TAKE_EXPECTED = "a whole number from 0 to 999999 (plain digits)"


class UntimedError(UserError):
    """A file of words without times, of which a draft can be made."""

    def __init__(self, path: Path, text: str) -> None:
        remedy = f"make a draft to edit: {plain.command(path)}"
        super().__init__(str(Place(path).error("words without times", "a start for each line", remedy)))
        self.text = text


def read(path: Path, report: Report = lambda _: None) -> tuple[Line, ...]:
    """The lines of a screenplay, at least one, by strictly rising start.

    `report` is told where it was read in an unusual way, or may have been meant in another.

    Raises:
        UserError: the file cannot be read, is no text, or has a row without a text and a rising start.
    """
    return tuple(read_song(path, report).lines)


def read_song(path: Path, report: Report = lambda _: None) -> Song:
    """What `read` reads, with the title and the artist where a file of lyrics names them."""
    if reading.knows(path):
        return reading.read(_decode(_read_bytes(path, reading.MOST_BYTES), path), path, report)
    text = _decode(_read_bytes(path), path)
    try:
        return Song(_rows(text, path, report))
    except UserError:
        if path.suffix.lower() not in reading.UNTOLD:
            raise
        if song := reading.sniffed(text, path, report):
            return song
        if plain.looks_like(text):
            raise UntimedError(path, text) from None
        raise


def screenplays(folder: Path) -> list[Path]:
    """The screenplays in a folder: CSV files, files of lyrics, and what may be one by its ending and is read.

    As a shell finds them: an editor's hidden files are none.
    """
    return [path for path in sorted(folder.glob("[!.]*")) if _is_screenplay(path)]


def _is_screenplay(path: Path) -> bool:
    ending = path.suffix.lower()
    if path.suffix == ".csv" or (reading.knows(path) and ending not in reading.UNSURE):
        return True
    if ending not in reading.UNSURE:
        return False
    try:
        return bool(read(path))
    except UserError:
        return False


def _rows(text: str, path: Path, report: Report) -> tuple[Line, ...]:
    """The lines of a CSV file."""
    separator, text = dialects.separator(text, path)
    rows = dialects.in_order(
        [dialects.without_empty_end(row) for row in dialects.rows(text, path, separator)]
    )
    if separator == ",":
        rows = dialects.as_subtitles(rows, report)
    for row in rows:
        _check_columns(row, separator)
    dialects.check_marks(rows, separator)
    as_days = bool(rows) and times.are_fractions_of_a_day([row.fields[1] for row in rows])
    lines = [_line(row, as_days) for row in rows]
    if not lines:
        raise Place(path).error("no line in it", f"at least {EXPECTED}", "write the song's first line")
    for row, before, line in zip(rows[1:], lines, lines[1:], strict=False):
        _check_rises(before, line, row.place)
    if as_days:
        days = "fractions of a day, as a spreadsheet keeps times"
        dialects.report_reading(rows[-1], lines[-1].start_seconds, days, report)
    dialects.report_doubts(rows, separator, report)
    return tuple(lines)


def _read_bytes(path: Path, most: int | None = None) -> bytes:
    try:
        raw = files.read_bytes(path, most)
        if most is None or len(raw) <= most:
            return raw
        found, remedy = f"more than {most >> 20} MiB", "name a file of lyrics"
    except FileNotFoundError:
        found, remedy = "no such file", "create it or correct its name"
    except IsADirectoryError:
        found, remedy = "a folder", "name the CSV file inside it"
    except PermissionError:
        found, remedy = "that it may not be read", "give yourself permission to read it"
    except (OSError, ValueError) as error:  # ValueError: a NUL or a lone surrogate in the path
        reason = error.strerror if isinstance(error, OSError) else None
        found, remedy = f"that it cannot be read ({on_one_line(reason or str(error))})", "correct its name"
    raise Place(path).error(found, "a screenplay, a CSV file", remedy)


def _decode(raw: bytes, path: Path) -> str:
    try:
        return encodings.decode(raw)
    except encodings.EncodingError as error:
        # Latin-1 has the newlines of UTF-8, and every byte decodes.
        row = 1 + count_newlines(error.before.decode("latin-1"))
        remedy = f"save {'it' if reading.knows(path) else 'the screenplay as CSV'} in UTF-8"
        raise Place(path, row).error(error.found, "UTF-8 text", remedy) from None


# One line


def _line(row: Record, as_days: bool) -> Line:
    text, time, *take = row.fields
    if not is_visible(text):
        raise row.place.error("an empty text", EXPECTED, "write a text or delete the row")
    if not time:
        raise row.place.error(f"no start after {shown(text)}", EXPECTED, "write when the line is sung")
    start = _seconds(time, row.place, as_days)
    end, said = _end_seconds(row, start, as_days), columns.directions(row)
    return Line(text, start, row.place.row, _take("".join(take), row.place), end, directions=said)


def _check_columns(row: Record, separator: str) -> None:
    fields, place, named = row.fields, row.place, SEPARATORS[separator]
    first, second = (*fields, "")[:2]
    if len(fields) == 1:
        raise place.error(
            f"no {named} after {shown(first)}", EXPECTED, f"write a {named} between the text and its start"
        )
    if times.seconds(first) is not None and _has_letters(second):
        raise place.error(f"the time {shown(first)} first", EXPECTED, "write the text first, then its start")
    columns = f"{len(fields)} columns ({shown(separator.join(fields))})"
    if len(fields) > 3:
        remedy = "put a text with commas in quotes, write decimals with a point, or delete the extra columns"
        raise place.error(columns, _COLUMNS_EXPECTED, remedy)
    if len(fields) == 3 and _has_letters(second):
        remedy = "put a text with commas in quotes, or correct the time"
        raise place.error(f"{columns} and no time in the second", _COLUMNS_EXPECTED, remedy)
    dialects.check_text(row, separator)


def _has_letters(field: str) -> bool:
    return any(map(str.isalpha, field))


def _seconds(time: str, place: Place, as_days: bool, what: str = "start") -> float:
    seconds = times.seconds(time)
    if as_days and seconds is not None and ":" not in time:
        return times.of_day(time)
    if seconds is not None and math.isfinite(seconds):
        return seconds
    if time.startswith(("-", "\u2212")) and times.seconds(time[1:]) is not None:
        raise place.error(f"the negative {what} {shown(time)}", "0 or more seconds", "correct the time")
    raise place.error(f"the {what} {shown(time)}", _TIME_EXPECTED, "correct the time")


def _end_seconds(row: Record, start: float, as_days: bool) -> float | None:
    """Where a row says that its words end."""
    if not (time := row.more.get("end", "")):
        return None
    end = _seconds(time, row.place, as_days, "end")
    if end <= start:
        raise row.place.error(
            f"the end {shown(time)}", f"one after the start at {start} s", "correct or delete it"
        )
    return end


def _take(take: str, place: Place) -> int | None:
    if not take:
        return None
    if number := _TAKE.fullmatch(take):
        return int(number[1])
    raise place.error(
        f"the take {shown(take)}",
        _TAKE_EXPECTED,
        "correct or delete it, and put a text with commas in quotes",
    )


def _check_rises(before: Line, line: Line, place: Place) -> None:
    if line.start_seconds <= before.start_seconds:
        raise place.error(
            f"the start {line.start_seconds} s",
            f"one after the {before.start_seconds} s of row {before.row}",
            "correct the time or sort the rows",
        )
