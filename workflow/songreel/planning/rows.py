"""Rows of a file of comma-separated values, also of those that spreadsheets separate otherwise.

Why not the csv module: it refuses a space between a closing quote and the comma, limits a field to 128 KiB,
and where a quote is missing it tells neither the row that opened it nor what follows it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from songreel.ground.errors import UserError

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}
EXPECTED = 'a row "text",start_seconds'
SHOWN_LENGTH = 40  # characters of the file's text that a message repeats

_NEWLINE = re.compile(r"\r\n|\r|\n")
_BLANK_OR_COMMENT = re.compile(r"[^\S\r\n]*+(?:#[^\r\n]*+)?(?=[\r\n]|\Z)")
_REST_OF_ROW = re.compile(r"[^\r\n]*+")
# A tab is a space but where it separates; several are then one, since they are set to line up columns.
# Possessive: a quote that is never closed costs one pass, and half a doubled quote never closes a text.
_QUOTED = {
    separator: re.compile(rf'[^\S\r\n{separator}]*+"([^"]*+(?:""[^"]*+)*+)"[^\S\r\n{separator}]*+')
    for separator in SEPARATORS
}
_UNQUOTED = {separator: re.compile(rf"[^{separator}\r\n]*+") for separator in SEPARATORS}
_BETWEEN = {
    separator: re.compile(r"\t++" if separator == "\t" else re.escape(separator)) for separator in SEPARATORS
}

_TYPOGRAPHIC_QUOTES = tuple("\u201c\u201d\u201e\u201f\u00ab\u00bb")
# Single typographic quotes are left alone: lyrics begin with an apostrophe ('Cause I love you).


@dataclass(frozen=True)
class Place:
    """Where something stands in a file."""

    path: Path
    row: int = 0  # counted from 1; 0 is the file as a whole

    def error(self, found: str, expected: str, remedy: str) -> UserError:
        """The one sentence that tells the user what to mend."""
        return UserError(f"{self.named}: found {found}, expected {expected}; {remedy}")

    @property
    def named(self) -> str:
        """The file, and the row if it is one's."""
        return on_one_line(str(self.path)) + (f" row {self.row}" if self.row else "")


@dataclass(frozen=True)
class Record:
    """One row, or the rows that quoted text spans."""

    place: Place
    fields: tuple[str, ...]  # without their quotes, stripped
    quoted: tuple[bool, ...]
    # By a header: what is neither text, start nor take
    more: Mapping[str, str] = field(default_factory=dict)


def records(text: str, path: Path, separator: str, aligned: bool = True) -> Iterator[Record]:
    """The rows that are neither blank nor comments; a record is as many rows long as its quoted text.

    Where they are `aligned`, several tabs are one. Raises UserError for a quote that is not closed, or stands
    where none can.
    """
    at, row = 0, 1
    while at < len(text):
        if skipped := _BLANK_OR_COMMENT.match(text, at):
            end = skipped.end()
        else:
            record, end = _record(text, at, Place(path, row), separator, aligned)
            if any(record.fields) or any(record.quoted) or len(record.fields) == 1:
                yield record  # else a row of separators, which a spreadsheet makes of an empty one
        if newline := _NEWLINE.match(text, end):
            end = newline.end()
        row += count_newlines(text[at:end])
        at = end


def count_newlines(text: str) -> int:
    """How many rows of a file a text ends."""
    return len(_NEWLINE.findall(text))


def _record(text: str, at: int, place: Place, separator: str, aligned: bool) -> tuple[Record, int]:
    """The record at `at`, and where it ends: at a newline or the end of the text."""
    fields, quoted = [], []
    gap = _BETWEEN[separator] if aligned else re.compile(re.escape(separator))
    while True:
        content, in_quotes, at = _field(text, at, place, separator)
        fields.append(content)
        quoted.append(in_quotes)
        between = gap.match(text, at)
        if not between:
            return Record(place, tuple(fields), tuple(quoted)), at
        at = between.end()


def _field(text: str, at: int, place: Place, separator: str) -> tuple[str, bool, int]:
    """The field at `at`, unquoted and stripped, and where it ends: at a separator or where a record may."""
    if quoted := _QUOTED[separator].match(text, at):
        _check_after_quote(quoted, place, separator)
        return quoted[1].replace('""', '"').strip(), True, quoted.end()
    unquoted = _UNQUOTED[separator].match(text, at)
    assert unquoted is not None  # it matches the empty text too
    field = unquoted[0].strip()
    _check_unquoted(field, place)
    return field, False, unquoted.end()


def _check_after_quote(quoted: re.Match[str], place: Place, separator: str) -> None:
    rest = _REST_OF_ROW.match(quoted.string, quoted.end())
    if rest is None or not rest[0] or rest[0].startswith(separator):
        return
    found = f"{shown(rest[0])} after the closing quote"
    remedy = f"write a {SEPARATORS[separator]} there, and double the quotes inside a text"
    if rows_on := count_newlines(quoted[1]):
        found += f" in row {place.row + rows_on}"
        remedy = "add the closing quote missing in an earlier row, or double the quotes inside the text"
    raise place.error(found, f"a {SEPARATORS[separator]} and the start", remedy)


def _check_unquoted(field: str, place: Place) -> None:
    if field.startswith('"'):
        raise place.error(
            f"no closing quote after {shown(field)}",
            EXPECTED,
            'close the text with a straight quote (")',
        )
    if field.startswith(_TYPOGRAPHIC_QUOTES):
        raise place.error(
            f"the typographic quote {field[0]} at the start of {shown(field)}",
            f'{EXPECTED} with straight quotes (")',
            "put the text in straight quotes",
        )
    if '"' in field:
        raise place.error(
            f"a quote inside {shown(field)}, which does not start with one",
            EXPECTED,
            "put the text in quotes, and double the quotes inside it",
        )


def shown(text: str) -> str:
    """The text as a message repeats it: short, quoted, on one line."""
    text = text.strip()
    return repr(text if len(text) <= SHOWN_LENGTH else text[: SHOWN_LENGTH - 1] + "\u2026")


def on_one_line(text: str) -> str:
    """A text with its newlines and the like written as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
