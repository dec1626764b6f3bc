"""Curves: numbers that change while a line is sung, such as `1 + 0.1*low` or `0s:(1.05), 4b:(ease(1.2))`.

A key is a time of the line, in seconds, frames or beats; its value is an expression. Between two keys the
value goes straight from the one to the other, or, where the later one says `ease(…)`, softly.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from songreel.planning import expressions
from songreel.planning.beats import Beats as Beats
from songreel.planning.expressions import EXPECTED, SOUNDS, Expression, refused
from songreel.planning.rows import shown
from songreel.planning.waves import UNITS
from songreel.planning.waves import Moment as Moment

MOST_KEYS = 1000
_KEY = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*([a-z]*)\s*:(.*)", re.DOTALL)
_BEGINS_WITH_KEY = re.compile(r"\s*[-+]?[0-9.]+\s*\w*\s*:")


@dataclass(frozen=True)
class Key:
    """A time of the line, and the value that a curve has there."""

    amount: float
    unit: str  # "s", "f" or "b"
    value: Expression
    eased: bool = False  # whether the way to it is soft

    @property
    def named(self) -> str:
        """The time as it is written."""
        return f"{self.amount:g}{self.unit}"


@dataclass(frozen=True)
class Curve:
    """A number that may change while a line is sung."""

    text: str  # as written
    what: str  # whose it is: a file's row and column, or a config key
    keys: tuple[Key, ...]  # at least one; one alone holds for the whole line

    @property
    def constant(self) -> float | None:
        """Its value where it is a plain number."""
        return self.keys[0].value.constant if len(self.keys) == 1 else None

    @property
    def names(self) -> frozenset[str]:
        """The variables that it uses."""
        return frozenset().union(*(key.value.names for key in self.keys))

    @property
    def listens(self) -> frozenset[str]:
        """The sound's curves that it uses."""
        return self.names & frozenset(SOUNDS)

    @property
    def counts_beats(self) -> bool:
        """Whether it has to know where the song's beats lie."""
        return any(key.unit == "b" or "in_b" in key.value.calls for key in self.keys)

    def at(self, moment: Moment) -> float:
        """Its value. Raises UserError, with the time, where it has none."""
        if len(self.keys) == 1:
            return self.keys[0].value.at(moment)
        keys = self._timed(moment)
        after = sum(seconds <= moment.t for seconds, _ in keys)
        if after in (0, len(keys)):
            return keys[max(0, after - 1)][1].value.at(moment)
        (begins, before), (ends, following) = keys[after - 1 : after + 1]
        share = (moment.t - begins) / (ends - begins)
        if following.eased:
            share = share * share * (3 - 2 * share)
        start, end = before.value.at(moment), following.value.at(moment)
        return start + share * (end - start)

    def _timed(self, moment: Moment) -> list[tuple[float, Key]]:
        """The keys by their seconds in the line; of those at the same time the later one holds."""
        try:
            keys = [(moment.seconds(key.amount, key.unit), key) for key in self.keys]
        except LookupError as error:
            raise refused(self.what, str(error.args[0]), "a tempo", "set the config key 'tempo'") from None
        return sorted(keys, key=lambda timed: timed[0])


def parse(text: str, what: str) -> Curve:
    """The curve that a text says: a number, an expression, or keys. Raises UserError, which names `what`."""
    text = text.strip()
    if not text:
        raise refused(what, "nothing", EXPECTED, "write one")
    if not _BEGINS_WITH_KEY.match(text):
        return Curve(text, what, (Key(0.0, "s", expressions.parse(text, what)),))
    try:
        pieces = list(split(text))
    except ValueError:
        found = f"a bracket without the other one in {shown(text)}"
        raise refused(what, found, EXPECTED, "add it") from None
    # A comma may end the last one, too.
    pieces = pieces if pieces[-1].strip() else pieces[:-1]
    if len(pieces) > MOST_KEYS:
        raise refused(what, f"{len(pieces)} keys", f"{MOST_KEYS} at most", "leave some out")
    keys = tuple(_key(piece, what) for piece in pieces)
    for at, key in enumerate(keys):
        if any((key.amount, key.unit) == (other.amount, other.unit) for other in keys[:at]):
            raise refused(what, f"the key {key.named} twice", "each time once", "delete one of them")
    return Curve(text, what, keys)


def split(text: str) -> Iterator[str]:
    """What stands between commas outside of brackets. Raises ValueError where one is not closed."""
    depth, start = 0, 0
    for at, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if depth < 0:
            break
        if letter == "," and not depth:
            yield text[start:at]
            start = at + 1
    if depth:
        raise ValueError("a bracket without the other one")
    yield text[start:]


def _key(piece: str, what: str) -> Key:
    match = _KEY.fullmatch(piece)
    if not match:
        raise refused(what, shown(piece.strip()), "a time and a value such as 2s:(1.05)", "correct it")
    number, unit, value = match.groups()
    if unit not in UNITS and (unit or float(number)):
        raise refused(
            what,
            f"the key {shown(number + unit)}",
            "seconds, frames or beats as in 2s, 60f or 4b",
            "write its unit",
        )
    place = f"{what}, key {number}{unit}"
    inner, eased = _eased(value)
    return Key(float(number), unit or "s", expressions.parse(inner, place), eased)


def _eased(value: str) -> tuple[str, bool]:
    """A key's value without `ease(…)` around it, and whether that was there."""
    bare = value.strip()
    while bare.startswith("(") and _closes(bare) == len(bare) - 1:
        bare = bare[1:-1].strip()
    match = re.match(r"ease\s*(?=\()", bare)
    if match and _closes(bare[match.end() :]) == len(bare) - match.end() - 1:
        return bare[match.end() :], True
    return bare, False


def _closes(text: str) -> int:
    """Where the bracket is closed with which a text begins."""
    depth = 0
    for at, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if not depth:
            return at
    return -1
