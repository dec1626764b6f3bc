"""What an expression may call, and when it is evaluated: waves of seconds or beats, ramps and limits.

The waves have the arguments that they have in Parseq: `sin(p=2b, a=0.1)`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from songreel.planning.beats import Beats

UNITS = {"s": "seconds", "f": "frames", "b": "beats"}


@dataclass(frozen=True)
class Moment:
    """When and where a curve is read."""

    t: float  # seconds in the line
    T: float  # seconds in the song
    n: int = 1  # the line's number in the film, counted from 1
    sound: Mapping[str, float] = field(default_factory=dict)  # what is heard, 0..1, by the names in SOUNDS
    beats: Beats | None = None  # of the song; None where nothing tells them
    frames_per_second: Fraction = Fraction(30)  # of the film, for what is told in frames

    @property
    def song_beats(self) -> Beats:
        """The song's beats. Raises LookupError where nothing tells them."""
        if self.beats is None:
            raise LookupError("beats, of which nothing tells the tempo")
        return self.beats

    def seconds(self, amount: float, unit: str) -> float:
        """Seconds from the line's start. Raises LookupError for beats where nothing tells them."""
        if unit == "f":
            return amount / float(self.frames_per_second)
        if unit == "b":
            start, beats = self.T - self.t, self.song_beats
            return beats.time(beats.at(start) + amount) - start
        return amount


class Span(float):
    """Seconds, which also knows in what it was told."""

    amount: float
    unit: str

    def __new__(cls, moment: Moment, amount: float, unit: str) -> Span:
        """So many seconds, frames or beats from the line's start. Raises LookupError as `Moment` does."""
        span = super().__new__(cls, moment.seconds(amount, unit))
        span.amount, span.unit = amount, unit
        return span


Function = Callable[..., float]


class Waves:
    """The functions of an expression at a moment. They raise ValueError for what has no value."""

    def __init__(self, moment: Moment) -> None:
        self.moment = moment

    def functions(self) -> dict[str, Function]:
        """All of them by the names that an expression calls them by, units among them as `in_s`."""
        units = {f"in_{unit}": self._spans(unit) for unit in UNITS}
        names = ("sin", "cos", "tri", "sq", "saw", "pulse", "bez", "clip")
        return {**units, **{name: getattr(self, name) for name in names}, "min": min, "max": max, "abs": abs}

    def _spans(self, unit: str) -> Function:
        return lambda amount: Span(self.moment, amount, unit)

    def _turns(self, p: float, o: float) -> float:
        """How many periods went by: of seconds since the line's start, of beats since the song's first."""
        if not p > 0:
            raise ValueError(f"a period of {p:g}")
        if isinstance(p, Span) and p.unit == "b":
            beats = self.moment.song_beats
            if isinstance(o, Span) and o.unit == "b":
                return (beats.at(self.moment.T) + o.amount) / p.amount
            return beats.at(self.moment.T + o) / p.amount
        return (self.moment.t + o) / p

    def sin(
        self, x: float | None = None, /, *, p: float | None = None, a: float = 1, o: float = 0, c: float = 0
    ) -> float:
        """A wave of the period `p`, `a` up and down around `c`, `o` early; or the sine of x radians."""
        if p is None:
            return math.sin(_angle(x))
        return c + a * math.sin(2 * math.pi * self._turns(p, o))

    def cos(
        self, x: float | None = None, /, *, p: float | None = None, a: float = 1, o: float = 0, c: float = 0
    ) -> float:
        """As `sin`, a quarter of a period early."""
        if p is None:
            return math.cos(_angle(x))
        return c + a * math.cos(2 * math.pi * self._turns(p, o))

    def tri(self, *, p: float, a: float = 1, o: float = 0, c: float = 0) -> float:
        """As `sin`, straight between its peaks."""
        return c + a * (1 - 4 * abs((self._turns(p, o) + 0.25) % 1 - 0.5))

    def sq(self, *, p: float, a: float = 1, o: float = 0, c: float = 0) -> float:
        """`a` above `c` for half of the period, then below."""
        return c + (a if self._turns(p, o) % 1 < 0.5 else -a)

    def saw(self, *, p: float, a: float = 1, o: float = 0, c: float = 0) -> float:
        """From `c` up to `a` above it in each period, then back at once."""
        return c + a * (self._turns(p, o) % 1)

    def pulse(self, *, p: float, a: float = 1, o: float = 0, c: float = 0, pw: float | None = None) -> float:
        """`a` above `c` for the first `pw` of each period, or its first quarter; then `c`."""
        width = 0.25 if pw is None else pw / p if p else 0.0
        if isinstance(p, Span) and isinstance(pw, Span) and p.unit == pw.unit and p.amount:
            width = pw.amount / p.amount
        return c + (a if self._turns(p, o) % 1 < width else 0)

    def bez(
        self,
        x1: float = 0.5,
        y1: float = 0.0,
        x2: float = 0.5,
        y2: float = 1.0,
        *,
        from_: float = 0.0,
        to: float = 1.0,
        in_: float = 1.0,
        o: float = 0.0,
    ) -> float:
        """From `from` to `to` in the first `in` of the line, by CSS's cubic Bézier curve of two points."""
        if not (0 <= x1 <= 1 and 0 <= x2 <= 1):
            raise ValueError("a Bézier curve that goes back in time")
        if not in_ > 0:
            raise ValueError(f"a ramp of {in_:g} s")
        share = min(max((self.moment.t + o) / in_, 0.0), 1.0)
        return from_ + (to - from_) * bezier(share, x1, y1, x2, y2)

    def clip(self, x: float, low: float = 0.0, high: float = 1.0, /) -> float:
        """`x`, but no less than `low` and no more than `high`."""
        return max(low, min(high, x))


def _angle(x: float | None) -> float:
    if x is None:
        raise ValueError("no period p")
    return x


def bezier(share: float, x1: float, y1: float, x2: float, y2: float) -> float:
    """The height at `share` of the width of the cubic Bézier curve from 0, 0 to 1, 1 by two points."""
    low, high = 0.0, 1.0
    # By halves, for x rises with the parameter: as near as a float comes
    for _ in range(52):
        middle = (low + high) / 2
        if _cubic(middle, x1, x2) < share:
            low = middle
        else:
            high = middle
    return _cubic((low + high) / 2, y1, y2)


def _cubic(u: float, first: float, second: float) -> float:
    return 3 * u * (1 - u) ** 2 * first + 3 * u**2 * (1 - u) * second + u**3
