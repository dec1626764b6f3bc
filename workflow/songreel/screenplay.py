"""Reads a screenplay: a CSV file of lyric lines, each a text, its start in the song and perhaps a take.

Files that a spreadsheet has saved are read, too, where they can be read one way only.
"""

import math
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from songreel import encodings, times
from songreel.errors import UserError
from songreel.rows import EXPECTED, SEPARATORS, Place, Record, count_newlines, on_one_line, records, shown

Tell = Callable[[str], None]

_STARTS = ("start", "start_seconds")
_TAKE = re.compile(r"0*([0-9]{1,6})")
_SEPARATOR_ROW = re.compile(r"sep=([,;\t|])[^\S\r\n]*(?=[\r\n]|\Z)", re.IGNORECASE)  # for Excel
_ENDS_IN_TIME = re.compile(r"[;\t|]\s*([0-9][0-9:.]*)$")
_MILLISECONDS = re.compile(r"[0-9]{3}")

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


def read(path: Path, tell: Tell = lambda _: None) -> tuple[Line, ...]:
    """The lines of a screenplay, at least one, by strictly rising start.

    `tell` is told where times were read as a spreadsheet's rather than as seconds.

    Raises:
        UserError: the file cannot be read, is no text, or has a row without a text and a rising start.
    """
    text = _decode(_read_bytes(path), path)
    separator, text = _separator(text, path)
    found = [_without_empty_end(record) for record in records(text, path, separator)]
    rows = _as_subtitles(_in_order(found), tell) if separator == "," else _in_order(found)
    for row in rows:
        _check_columns(row, separator)
    _check_marks(rows, separator)
    as_days = bool(rows) and times.are_fractions_of_a_day([row.fields[1] for row in rows])
    lines = [_line(row, as_days) for row in rows]
    if not lines:
        raise Place(path).error("no line in it", f"at least {EXPECTED}", "write the song's first line")
    for row, before, line in zip(rows[1:], lines, lines[1:], strict=False):
        _check_rises(before, line, row.place)
    if as_days:
        _tell_reading(lines, rows, "fractions of a day, as a spreadsheet keeps times", tell)
    return tuple(lines)


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
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


# Which columns there are, and between what


def _separator(text: str, path: Path) -> tuple[str, str]:
    """What stands between a file's columns, by which most of its rows have a time, and the text to be read.

    Where a comma would do as well as another, as in `words;0,5`, it is a decimal mark.
    """
    if named := _SEPARATOR_ROW.match(text):
        return named[1], text[: named.start()] + "#" + text[named.end() :]
    candidates = [separator for separator in SEPARATORS if separator in text and separator != ","]
    timed = {separator: _count_timed(text, path, separator) for separator in [*candidates, ","]}
    return max(timed, key=lambda separator: timed[separator]) if any(timed.values()) else ",", text


def _count_timed(text: str, path: Path, separator: str) -> int:
    """How many rows have a time in one of their first two columns, up to the first that cannot be read."""
    count = 0
    try:
        for record in records(text, path, separator):
            count += len(record.fields) > 1 and any(
                times.seconds(field) is not None for field in record.fields[:2]
            )
    except UserError:
        pass
    return count


def _without_empty_end(record: Record) -> Record:
    """A record without the empty columns on its right that a spreadsheet has saved."""
    count = len(record.fields)
    while count > 3 and not record.fields[count - 1]:
        count -= 1
    return replace(record, fields=record.fields[:count], quoted=record.quoted[:count])


def _in_order(found: Sequence[Record]) -> list[Record]:
    """The records as text, start and perhaps take, without a header, which may say another order."""
    if not found or not (order := _header(found[0])):
        return list(found)
    if order == list(range(len(order))):
        return list(found[1:])
    return [_ordered(record, order) for record in found[1:]]


def _header(record: Record) -> list[int] | None:
    """Where a header says that text, start and take stand; None where the record is no header.

    Raises UserError where it names other columns, too.
    """
    names = [field.lower() for field in record.fields]
    while names and not names[-1]:
        names.pop()
    kinds = ["start" if name in _STARTS else name for name in names]
    if not {"text", "start"} <= set(kinds):
        return None
    for at, kind in enumerate(kinds):
        if kind not in ("text", "start", "take") or kinds.index(kind) != at:
            remedy = (
                "delete it, since a line lasts until the next one starts" if kind == "end" else "delete it"
            )
            raise record.place.error(
                f"the column {shown(names[at])}", "the columns text, start and perhaps take", remedy
            )
    return [kinds.index(kind) for kind in ("text", "start", "take") if kind in kinds]


def _ordered(record: Record, order: list[int]) -> Record:
    if len(record.fields) > len(order):
        raise record.place.error(
            f"{len(record.fields)} columns ({shown(','.join(record.fields))})",
            f"the {len(order)} of the header",
            "put a text with commas in quotes",
        )
    fields = (*record.fields, "", "")
    quoted = (*record.quoted, False, False)
    return replace(record, fields=tuple(fields[at] for at in order), quoted=tuple(quoted[at] for at in order))


def _as_subtitles(rows: list[Record], tell: Tell) -> list[Record]:
    """The rows with times such as `0:00:03,500` in one column, where each has one, as subtitles do.

    Raises UserError where that may be meant, but so may takes.
    """
    forms = [_subtitle_form(row) for row in rows]
    if not rows or not any(forms) or (not all(forms) and "h:mm:ss" not in forms):
        return rows
    if set(forms) != {"h:mm:ss"}:
        row = rows[next(at for at, form in enumerate(forms) if form)]
        time, take = row.fields[1:]
        raise row.place.error(
            f"{shown(f'{time},{take}')}, a start with a decimal comma or with the take {take}",
            "one or the other",
            f"write the start as {time}.{take}, or the take in quotes",
        )
    joined = [
        replace(row, fields=(row.fields[0], f"{row.fields[1]}.{row.fields[2]}"), quoted=row.quoted[:2])
        for row in rows
    ]
    lines = [_line(row, False) for row in joined]
    _tell_reading(lines, joined, "times with a decimal comma, as subtitles have them", tell)
    return joined


def _subtitle_form(row: Record) -> str:
    if len(row.fields) != 3 or any(row.quoted[1:]) or not _MILLISECONDS.fullmatch(row.fields[2]):
        return ""
    return times.whole_clock(row.fields[1])


def _tell_reading(lines: Sequence[Line], rows: Sequence[Record], what: str, tell: Tell) -> None:
    line, place = lines[-1], rows[-1].place
    example = f"row {line.row} {shown(line.text)} starts at {line.start_seconds} s"
    tell(f"{on_one_line(str(place.path))}: the starts are read as {what}: {example}.")


def _check_marks(rows: Sequence[Record], separator: str) -> None:
    """Refuse times of which it cannot be told whether a comma or a point is their decimal mark."""
    marked = [row for row in rows if times.mark(row.fields[1]) and times.seconds(row.fields[1]) is not None]
    for row in marked:
        first, time = marked[0].fields[1], row.fields[1]
        if times.mark(time) != times.mark(first):
            raise row.place.error(
                f"the start {shown(time)}, but {shown(first)} in row {marked[0].place.row}",
                "one decimal mark in the whole file",
                "write all decimals with a point",
            )
    if separator != ";" and marked and all(times.is_grouped(row.fields[1]) for row in marked):
        raise marked[0].place.error(
            f"the start {shown(marked[0].fields[1])}, with a comma for decimals or for thousands",
            "seconds such as 12.5",
            "write decimals with a point, and thousands without a comma",
        )


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
    if separator == "," and not row.quoted[0] and (time := _ENDS_IN_TIME.search(first)):
        raise place.error(
            f"{shown(first)}, and it may end in {time[1]} or start at {shown(f'{time[1]},{second}')}",
            EXPECTED,
            "put the text in quotes, or separate all rows alike",
        )


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
