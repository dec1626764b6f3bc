"""Frames a second: whole, or television's thousand-and-first parts, exact in either case.

In plan files a whole rate is a number, as it always was, and any other a text such as "30000/1001".
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

LARGEST_DENOMINATOR = 1001
_FRACTION = re.compile(r"([0-9]{1,9})\s*/\s*([0-9]{1,9}(?:\.[0-9]{1,9})?)")
_DECIMAL = re.compile(r"[0-9]{1,9}\.([0-9]{2,9})")
_MANY_DECIMALS = 9  # in which a rate from a program may be written, such as 29.970029970029969


def parsed(value: Any) -> Fraction:
    """A rate from `30`, `29.97`, `30000/1001` or `30/1.001`.

    Decimals that a rate of television is rounded to mean that rate: 23.976, 29.97 and 59.94 are 24, 30 and 60
    times 1000/1001. Raises TypeError or ValueError for what is no rate.
    """
    if isinstance(value, Fraction):
        return value
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise TypeError
    text = str(value).strip()
    if parts := _FRACTION.fullmatch(text):
        return _exact(Fraction(parts[1]) / (Fraction(parts[2]) or _none()))
    return _television(text) or _exact(Fraction(text))


def written(rate: Fraction) -> int | str:
    """A rate as plan files say it."""
    whole = Fraction(rate)
    return whole.numerator if whole.denominator == 1 else str(whole)


def ticks(rate: Fraction) -> int:
    """Parts of a second in which a film of that rate counts: every frame begins on one."""
    fine = rate.numerator >= 10_000 and rate.denominator > 1
    return rate.numerator if fine else rate.numerator * 1000


def _television(text: str) -> Fraction | None:
    """The rate of television that is written so, rounded to its decimals; None if it is no such rate."""
    decimals = _DECIMAL.match(text)
    if not decimals:
        return None
    value, places = Fraction(text), min(len(decimals[1]), _MANY_DECIMALS)
    whole = round(value * 1001 / 1000)
    rate = Fraction(whole * 1000, 1001)
    known = whole % 12 == 0 or whole % 15 == 0  # 24, 30, 48, 60 …
    return rate if known and round(rate, places) == round(value, places) else None


def _exact(rate: Fraction) -> Fraction:
    """The rate, or the one that was rounded to it, as 100/3 to 33.3333; ffmpeg counts no finer ones."""
    near = rate.limit_denominator(LARGEST_DENOMINATOR)
    if abs(near - rate) > Fraction(1, 10_000):
        raise ValueError
    return near


def _none() -> Fraction:
    raise ValueError
