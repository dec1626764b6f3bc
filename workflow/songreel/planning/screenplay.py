"""Reads a screenplay: a CSV file of lyric lines, each a text, its start in the song and perhaps a take.

Files that a spreadsheet has saved are read, too, where they can be read one way only.
"""

import math
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from songreel.ground import files
from songreel.planning import dialects, encodings, times
from songreel.planning.dialects import Report
from songreel.planning.rows import (
    EXPECTED,
    SEPARATORS,
    Place,
    Record,
    count_newlines,
    on_one_line,
    records,
    shown,
)

_TAKE = re.compile(r"0*([0-9]{1,6})")

_INVISIBLE_CATEGORIES = {"Cc", "Cf", "Zs", "Zl", "Zp"}
# Fillers, blanks and variation selectors: drawn as nothing, yet letters, symbols or marks by their category.
_INVISIBLE = re.compile(
    r"[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)

_COLUMNS_EXPECTED = f"two as in {EXPECTED} or three with a take"
_TIME_EXPECTED = "seconds such as 12.5 or a clock time such as 1:02.5 (plain digits, below 60 after a colon)"
_TAKE_EXPECTED = "a whole number from 0 to 999999 (plain digits)"


@dataclass(frozen=True)
class Line:
    """One lyric line; it ends where the next one starts."""

    text: str  # never empty; newlines inside are kept as written, whitespace at the ends is not
    start_seconds: float  # in the song; 0 or more, finite
    row: int  # where the record starts in the file, counted from 1
    take: int | None = None  # which rendering of the text, from 0; None leaves it to the plan


def read(path: Path, report: Report = lambda _: None) -> tuple[Line, ...]:
    """The lines of a screenplay, at least one, by strictly rising start.

    `report` is told where it was read in an unusual way, or may have been meant in another.

    Raises:
        UserError: the file cannot be read, is no text, or has a row without a text and a rising start.
    """
    text = _decode(_read_bytes(path), path)
    separator, text = dialects.separator(text, path)
    rows = dialects.in_order([dialects.without_empty_end(row) for row in records(text, path, separator)])
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


def _read_bytes(path: Path) -> bytes:
    try:
        return files.read_bytes(path)
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
        remedy = "save the screenplay as CSV in UTF-8"
        raise Place(path, row).error(error.found, "UTF-8 text", remedy) from None


# One line


def _line(row: Record, as_days: bool) -> Line:
    text, time, *take = row.fields
    if not any(_is_visible(character) for character in text):
        raise row.place.error("an empty text", EXPECTED, "write a text or delete the row")
    if not time:
        raise row.place.error(f"no start after {shown(text)}", EXPECTED, "write when the line is sung")
    start = times.of_day(time) if as_days else _start_seconds(time, row.place)
    return Line(text, start, row.place.row, _take("".join(take), row.place))


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


def _is_visible(character: str) -> bool:
    category = unicodedata.category(character)
    return category not in _INVISIBLE_CATEGORIES and not _INVISIBLE.match(character)


def _start_seconds(time: str, place: Place) -> float:
    seconds = times.seconds(time)
    if seconds is not None and math.isfinite(seconds):
        return seconds
    if time.startswith(("-", "\u2212")) and times.seconds(time[1:]) is not None:
        raise place.error(f"the negative start {shown(time)}", "0 or more seconds", "correct the time")
    raise place.error(f"the start {shown(time)}", _TIME_EXPECTED, "correct the time")


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
