"""What the readers of all formats give and need."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from songreel.planning.dialects import Report
from songreel.planning.lines import Line
from songreel.planning.rows import on_one_line

JOINER = "\u2060"  # invisible; a writer puts it where a letter would begin markup, a reader takes it out
LATEST = 360_000.0  # seconds; a hundred hours, as long as a song's sound may be
MOST_DIGITS = 40  # of a number of seconds; Python's floats have 17 at most
MOST_NAMED = 20  # rows that one note names

_NEWLINE = re.compile(r"\r\n|\r|\n")
_STAMP = re.compile(r"(?:([0-9]{1,4}):)?([0-9]{1,4}):([0-9]{1,2}(?:[.,][0-9]{1,9})?)")


@dataclass(frozen=True)
class Song:
    """What a file of lyrics says. As it was read, its lines stand in the file's order."""

    lines: Sequence[Line]
    title: str = ""
    artist: str = ""


class Notes:
    """What was odd in a file: told once a kind, with the rows that it is about."""

    def __init__(self, path: Path, report: Report) -> None:
        self._path, self._report = path, report
        self._rows: dict[tuple[str, str], list[int]] = {}

    def say(self, message: str) -> None:
        """Report something of the whole file."""
        self._report(f"{on_one_line(str(self._path))}: {message}.")

    def odd(self, row: int, what: str, mended: str) -> None:
        """Note a row for later: what is odd there, and what was made of it."""
        self._rows.setdefault((what, mended), []).append(row)

    def report(self) -> None:
        """Report what was noted of rows."""
        for (what, mended), rows in self._rows.items():
            named = ", ".join(map(str, rows[:MOST_NAMED]))
            more = f" and {len(rows) - MOST_NAMED} more" if len(rows) > MOST_NAMED else ""
            self.say(f"row{'s' if len(rows) > 1 else ''} {named}{more}: {what}; {mended}")


def split_rows(text: str) -> list[str]:
    """The rows of a file. Not `splitlines`, for which a separator inside a text ends a row, too."""
    return _NEWLINE.split(text)


def one_line(text: str) -> str:
    """A text without newlines, and with single spaces."""
    return " ".join(text.split())


def parse_time(text: str) -> float | None:
    """The seconds of `[h:]mm:ss[.fff]`, also with a comma; None for anything else."""
    parts = _STAMP.fullmatch(text.strip())
    if not parts:
        return None
    hours, minutes, seconds = (Decimal((part or "0").replace(",", ".")) for part in parts.groups())
    if seconds >= 60 or (parts[1] and minutes >= 60):
        return None
    return float(hours * 3600 + minutes * 60 + seconds)


def parse_seconds(value: object) -> float | None:
    """The seconds that a number, or a text of one, says: from 0 to LATEST; None for anything else."""
    return _parse(value, 1)


def parse_milliseconds(value: object) -> float | None:
    """The seconds that a number of milliseconds, or a text of one, says; None for anything else."""
    return _parse(value, 1000)


def _parse(value: object, unit: int) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str) or len(str(value)) > MOST_DIGITS:
        return None
    try:
        seconds = float(Decimal(str(value).strip()) / unit)
    except (ArithmeticError, ValueError):
        return None
    return seconds if math.isfinite(seconds) and 0 <= seconds <= LATEST else None


def timestamp(seconds: float, digits: int, mark: str, hours: bool = True) -> str:
    """`hh:mm:ss.fff` with so many digits and such a mark; without hours, minutes go on above 59."""
    parts = round(Decimal(str(seconds)) * 10**digits)
    whole, fraction = divmod(parts, 10**digits)
    minutes, rest = divmod(whole, 60)
    end = f"{rest:02}{mark}{fraction:0{digits}}"
    return f"{minutes // 60:02}:{minutes % 60:02}:{end}" if hours else f"{minutes:02}:{end}"
