"""When a line is sung, as people and spreadsheets write it: seconds, a clock time, a fraction of a day."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

DAY = 86400  # seconds
FASTEST = 240  # frames a second
FINE = 10  # decimals from which on a fraction of a day is told by its milliseconds: to 4 us

# [0-9] and not \d, which takes the digits of every script; float() alone would take nan, 1_000 and them too.
_DECIMAL = re.compile(r"[0-9]+(?:\.[0-9]*|,[0-9]+)?|\.[0-9]+")
_CLOCK = re.compile(r"(?:([0-9]{1,9}):(?=[0-9]{2}:))?([0-9]{1,9}):([0-9]{2}(?:\.[0-9]*|,[0-9]+)?)")
_WHOLE_CLOCK = re.compile(r"([0-9]+:)?[0-9]{1,9}:[0-9]{2}")
_GROUPED = re.compile(r"[1-9][0-9]{0,2},[0-9]{3}")


def seconds(time: str) -> float | None:
    """Seconds of `12.5`, `m:ss.f` or `h:mm:ss.f`; infinity above all floats; None for anything else.

    A decimal comma is as good as a point.
    """
    pointed = time.replace(",", ".")
    if _DECIMAL.fullmatch(time):
        return float(pointed)
    if not _CLOCK.fullmatch(time):
        return None
    match = _CLOCK.fullmatch(pointed)
    assert match is not None
    # Decimal, so that a clock time and its seconds are the same float and not neighbours.
    hours, minutes, rest = (Decimal(part or 0) for part in match.groups())
    if rest >= 60 or (match[1] and minutes >= 60):
        return None
    return float(hours * 3600 + minutes * 60 + rest)


def mark(time: str) -> str:
    """The decimal mark in a time, "" when there is none."""
    return next((letter for letter in time if letter in ".,"), "")


def is_grouped(time: str) -> bool:
    """Whether a time may be thousands as well: `1,250` is 1.25 or 1250 seconds."""
    return _GROUPED.fullmatch(time) is not None


def whole_clock(time: str) -> str:
    """`h:mm:ss` or `m:ss` for a clock time without decimals of that form, "" for anything else."""
    match = _WHOLE_CLOCK.fullmatch(time)
    return "" if not match else "h:mm:ss" if match[1] else "m:ss"


def are_fractions_of_a_day(times: Sequence[str]) -> bool:
    """Whether times are a spreadsheet's: below 1, long, and each a whole number of milliseconds of a day.

    Seconds of so many decimals would all have to be that by chance, unless they are the times of frames.
    """
    if any(not _DECIMAL.fullmatch(time) for time in times):
        return False
    values = [Decimal(time.replace(",", ".")) for time in times]
    decimals = [len(time.partition(mark(time))[2]) if mark(time) else 0 for time in times]
    exact = all(_is_exact(value, count) for value, count in zip(values, decimals, strict=True))
    return exact and max(decimals) >= FINE and max(values) < 1 and not _are_frames(values)


def _are_frames(values: Sequence[Decimal]) -> bool:
    """Whether all are times of frames at one of the usual rates: of a thirtieth, a day has a whole number."""
    return any(
        all(abs(value * rate - round(value * rate)) < Decimal("1e-6") for value in values)
        for rate in range(1, FASTEST + 1)
    )


def _is_exact(value: Decimal, decimals: int) -> bool:
    milliseconds = value * DAY * 1000
    written_to = Decimal(DAY * 1000) / 2 * Decimal(10) ** -max(decimals, FINE)
    return abs(milliseconds - round(milliseconds)) <= written_to


def of_day(time: str) -> float:
    """The seconds of a fraction of a day, to the millisecond."""
    return round(Decimal(time.replace(",", ".")) * DAY * 1000) / 1000
