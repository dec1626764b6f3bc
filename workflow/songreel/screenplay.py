"""Reads a screenplay: a CSV file of lyric lines, each a text, its start in the song and perhaps a take.

Why not the csv module: it refuses a space between a closing quote and the comma, limits a field to 128 KiB,
and where a quote is missing it tells neither the row that opened it nor what follows it.
"""

import codecs
import math
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from songreel import files
from songreel.errors import UserError

_HEADERS = {("text", start, *take) for start in ("start", "start_seconds") for take in ((), ("take",))}
_SHOWN_LENGTH = 40  # characters of the file's text that a message repeats

_NEWLINE = re.compile(r"\r\n|\r|\n")
_BLANK_OR_COMMENT = re.compile(r"[^\S\r\n]*+(?:#[^\r\n]*+)?(?=[\r\n]|\Z)")
# Possessive: a quote that is never closed costs one pass, and half a doubled quote never closes a text.
_QUOTED = re.compile(r'[^\S\r\n]*+"([^"]*+(?:""[^"]*+)*+)"[^\S\r\n]*+')
_UNQUOTED = re.compile(r"[^,\r\n]*+")
_REST_OF_ROW = re.compile(r"[^\r\n]*+")

# [0-9] and not \d, which takes the digits of every script; float() alone would take nan, 1_000 and them too.
_DECIMAL = re.compile(r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+")
_CLOCK = re.compile(r"(?:([0-9]{1,9}):(?=[0-9]{2}:))?([0-9]{1,9}):([0-9]{2}(?:\.[0-9]*)?)")
_TAKE = re.compile(r"0*([0-9]{1,6})")

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_TYPOGRAPHIC_QUOTES = tuple("\u201c\u201d\u201e\u201f\u00ab\u00bb")
# Single typographic quotes are left alone: lyrics begin with an apostrophe ('Cause I love you).
_INVISIBLE_CATEGORIES = {"Cc", "Cf", "Zs", "Zl", "Zp"}
# Fillers, blanks and variation selectors: drawn as nothing, yet letters, symbols or marks by their category.
_INVISIBLE = re.compile(
    r"[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)

_ROW_EXPECTED = 'a row "text",start_seconds'
_COLUMNS_EXPECTED = f"two as in {_ROW_EXPECTED} or three with a take"
_TIME_EXPECTED = "seconds such as 12.5 or a clock time such as 1:02.5 (plain digits, below 60 after a colon)"
_TAKE_EXPECTED = "a whole number from 0 to 999999 (plain digits)"


@dataclass(frozen=True)
class Line:
    """One lyric line; it ends where the next one starts."""

    text: str  # never empty; newlines inside are kept as written, whitespace at the ends is not
    start_seconds: float  # in the song; 0 or more, finite
    row: int  # where the record starts in the file, counted from 1
    take: int | None = None  # which rendering of the text, from 0; None leaves it to the plan


@dataclass(frozen=True)
class _Place:
    path: Path
    row: int = 0  # counted from 1; 0 is the file as a whole

    def error(self, found: str, expected: str, remedy: str) -> UserError:
        """The one sentence that tells the user what to mend."""
        where = _on_one_line(str(self.path)) + (f" row {self.row}" if self.row else "")
        return UserError(f"{where}: found {found}, expected {expected}; {remedy}")


@dataclass(frozen=True)
class _Record:
    place: _Place
    fields: tuple[str, ...]


def read(path: Path) -> tuple[Line, ...]:
    """The lines of a screenplay, at least one, by strictly rising start.

    Raises:
        UserError: the file cannot be read, is not UTF-8 text, or has a row without a text and a rising start.
    """
    lines: list[Line] = []
    for number, record in enumerate(_records(_decode(_read_bytes(path), path), path)):
        if number == 0 and _is_header(record.fields):
            continue
        line = _line(record)
        if lines:
            _check_rises(lines[-1], line, record.place)
        lines.append(line)
    if not lines:
        raise _Place(path).error("no line in it", f"at least {_ROW_EXPECTED}", "write the song's first line")
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
        found, remedy = f"that it cannot be read ({_on_one_line(reason or str(error))})", "correct its name"
    raise _Place(path).error(found, "a screenplay, a CSV file", remedy)


def _decode(raw: bytes, path: Path) -> str:
    """The file as text, without its byte-order mark and free of control characters but tab and newlines."""
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise _encoding_error("UTF-16 text", b"", path)
    if b"\0" in raw:
        raise _encoding_error("a NUL byte, as in a binary file or UTF-16 text", raw[: raw.index(b"\0")], path)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:  # its offsets count from after the byte-order mark
        found = f"the byte 0x{error.object[error.start]:02X}, which is not UTF-8"
        raise _encoding_error(found, error.object[: error.start], path) from None
    if control := _CONTROL.search(text):
        found = f"the control character U+{ord(control[0]):04X}, as in a binary file"
        raise _encoding_error(found, text[: control.start()].encode(), path)
    return text


def _encoding_error(found: str, before: bytes, path: Path) -> UserError:
    # Latin-1 has the newlines of UTF-8, and every byte decodes.
    row = 1 + _count_newlines(before.decode("latin-1"))
    return _Place(path, row).error(found, "UTF-8 text", "save the screenplay as CSV in UTF-8")


def _count_newlines(text: str) -> int:
    return len(_NEWLINE.findall(text))


def _records(text: str, path: Path) -> Iterator[_Record]:
    """The rows that are neither blank nor comments; a record is as many rows long as its quoted text."""
    at, row = 0, 1
    while at < len(text):
        if skipped := _BLANK_OR_COMMENT.match(text, at):
            end = skipped.end()
        else:
            place = _Place(path, row)
            fields, end = _fields(text, at, place)
            yield _Record(place, fields)
        if newline := _NEWLINE.match(text, end):
            end = newline.end()
        row += _count_newlines(text[at:end])
        at = end


def _fields(text: str, at: int, place: _Place) -> tuple[tuple[str, ...], int]:
    """The fields of the record at `at`, and where it ends: at a newline or the end of the text."""
    fields = []
    while True:
        field, at = _field(text, at, place)
        fields.append(field)
        if text[at : at + 1] != ",":
            return tuple(fields), at
        at += 1


def _field(text: str, at: int, place: _Place) -> tuple[str, int]:
    """The field at `at`, unquoted and stripped, and where it ends: at a comma or where a record may."""
    if quoted := _QUOTED.match(text, at):
        _check_after_quote(quoted, place)
        return quoted[1].replace('""', '"').strip(), quoted.end()
    unquoted = _UNQUOTED.match(text, at)
    assert unquoted is not None  # it matches the empty text too
    field = unquoted[0].strip()
    _check_unquoted(field, place)
    return field, unquoted.end()


def _check_after_quote(quoted: re.Match[str], place: _Place) -> None:
    rest = _REST_OF_ROW.match(quoted.string, quoted.end())
    if rest is None or not rest[0] or rest[0].startswith(","):
        return
    found = f"{_shown(rest[0])} after the closing quote"
    remedy = "write a comma there, and double the quotes inside a text"
    if rows_on := _count_newlines(quoted[1]):
        found += f" in row {place.row + rows_on}"
        remedy = "add the closing quote missing in an earlier row, or double the quotes inside the text"
    raise place.error(found, "a comma and the start", remedy)


def _check_unquoted(field: str, place: _Place) -> None:
    if field.startswith('"'):
        raise place.error(
            f"no closing quote after {_shown(field)}",
            _ROW_EXPECTED,
            'close the text with a straight quote (")',
        )
    if field.startswith(_TYPOGRAPHIC_QUOTES):
        raise place.error(
            f"the typographic quote {field[0]} at the start of {_shown(field)}",
            f'{_ROW_EXPECTED} with straight quotes (")',
            "put the text in straight quotes",
        )
    if '"' in field:
        raise place.error(
            f"a quote inside {_shown(field)}, which does not start with one",
            _ROW_EXPECTED,
            "put the text in quotes, and double the quotes inside it",
        )


def _is_header(fields: tuple[str, ...]) -> bool:
    return tuple(field.lower() for field in fields) in _HEADERS


def _line(record: _Record) -> Line:
    fields, place = record.fields, record.place
    _check_columns(fields, place)
    text, time, *take = fields
    if not any(_is_visible(character) for character in text):
        raise place.error("an empty text", _ROW_EXPECTED, "write a text or delete the row")
    if not time:
        raise place.error(f"no start after {_shown(text)}", _ROW_EXPECTED, "write when the line is sung")
    return Line(text, _start_seconds(time, place), place.row, _take("".join(take), place))


def _check_columns(fields: tuple[str, ...], place: _Place) -> None:
    first, second = (*fields, "")[:2]
    if len(fields) == 1:
        raise place.error(
            f"no comma after {_shown(first)}", _ROW_EXPECTED, "write a comma between the text and its start"
        )
    if _seconds(first) is not None and _has_letters(second):
        raise place.error(
            f"the time {_shown(first)} first", _ROW_EXPECTED, "write the text first, then its start"
        )
    columns = f"{len(fields)} columns ({_shown(','.join(fields))})"
    if len(fields) > 3:
        raise place.error(
            columns,
            _COLUMNS_EXPECTED,
            "put a text with commas in quotes, write decimals with a point, or delete the extra columns",
        )
    if len(fields) == 3 and _has_letters(second):
        raise place.error(
            f"{columns} and no time in the second",
            _COLUMNS_EXPECTED,
            "put a text with commas in quotes, or correct the time",
        )


def _has_letters(field: str) -> bool:
    return any(map(str.isalpha, field))


def _is_visible(character: str) -> bool:
    category = unicodedata.category(character)
    return category not in _INVISIBLE_CATEGORIES and not _INVISIBLE.match(character)


def _start_seconds(time: str, place: _Place) -> float:
    seconds = _seconds(time)
    if seconds is not None and math.isfinite(seconds):
        return seconds
    if time.startswith(("-", "\u2212")) and _seconds(time[1:]) is not None:
        raise place.error(f"the negative start {_shown(time)}", "0 or more seconds", "correct the time")
    raise place.error(f"the start {_shown(time)}", _TIME_EXPECTED, "correct the time")


def _seconds(time: str) -> float | None:
    """Seconds of `12.5`, `m:ss.f` or `h:mm:ss.f`; infinity above all floats; None for anything else."""
    if _DECIMAL.fullmatch(time):
        return float(time)
    clock = _CLOCK.fullmatch(time)
    if not clock:
        return None
    # Decimal, so that a clock time and its seconds are the same float and not neighbours.
    hours, minutes, seconds = (Decimal(part or 0) for part in clock.groups())
    if seconds >= 60 or (clock[1] and minutes >= 60):
        return None
    return float(hours * 3600 + minutes * 60 + seconds)


def _take(take: str, place: _Place) -> int | None:
    if not take:
        return None
    if number := _TAKE.fullmatch(take):
        return int(number[1])
    raise place.error(
        f"the take {_shown(take)}",
        _TAKE_EXPECTED,
        "correct or delete it, and put a text with commas in quotes",
    )


def _check_rises(before: Line, line: Line, place: _Place) -> None:
    if line.start_seconds <= before.start_seconds:
        raise place.error(
            f"the start {line.start_seconds} s",
            f"one after the {before.start_seconds} s of row {before.row}",
            "correct the time or sort the rows",
        )


def _shown(text: str) -> str:
    """The text as a message repeats it: short, quoted, on one line."""
    text = text.strip()
    return repr(text if len(text) <= _SHOWN_LENGTH else text[: _SHOWN_LENGTH - 1] + "\u2026")


def _on_one_line(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
