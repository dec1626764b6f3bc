"""What a key of config.yaml is given, in the type that the schema asks for.

Each converter raises TypeError, ValueError or OverflowError for what is no such value.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable
from typing import Any

from songreel.ground import rates


def _text(value: Any) -> str:
    """Text as it was written: YAML makes a number or a date of a title such as 2024."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError
    if isinstance(value, bool) or not isinstance(value, str | int | float | datetime.date):
        raise TypeError
    return str(value).strip()


def _size(value: Any) -> str:
    """`WxH`, also from `W X H` and with a multiplication sign."""
    return re.sub(r"\s*[x\u00d7]\s*", "x", _text(value).lower())


def _choice(value: Any) -> str:
    """A word, `off` among them: YAML takes it for False, and Snakemake hands that on to its jobs as text."""
    return "off" if value is False or value == "False" else _text(value)


def _number(value: Any) -> int | float:
    """A finite number, also from text: YAML 1.1 takes 1e-3 for text."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise TypeError
    number = _parsed(value) if isinstance(value, str) else value
    if not math.isfinite(number):
        raise ValueError
    return number


def _parsed(text: str) -> int | float:
    """Whole numbers stay whole, since a float would round a long seed."""
    return int(text) if re.fullmatch(r"[+-]?[0-9]+", text.strip()) else float(text)


def _whole(value: Any) -> int:
    number = _number(value)
    if number != int(number):
        raise ValueError
    return int(number)


def _names(value: Any) -> list[str]:
    """A list of names, also from one name or from names with commas between, as on a command line."""
    return [_text(name) for name in (value if isinstance(value, list) else _text(value).split(","))]


CONVERTERS: dict[str, Callable[[Any], Any]] = {
    "string": _text,
    "integer": _whole,
    "number": lambda value: float(_number(value)),  # one type, so that 15 and 15.0 make one id
    "array": _names,
}


def _number_or_curve(value: Any) -> float | str:
    """A number, or the text of a curve, which is read when it is known what it may listen to."""
    try:
        return float(_number(value))
    except ValueError:
        return _text(value)


SPECIAL: dict[str, Callable[[Any], Any]] = {
    "size": _size,
    "frames_per_second": rates.parsed,
    "learning_rate": _number_or_curve,
    "lyrics": _choice,
}
