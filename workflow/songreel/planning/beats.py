"""Seconds to beats and back: where a song's beats lie, or those of a steady tempo."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Beats:
    """When a song's beats are heard, at least two, by rising seconds.

    Before the first and after the last they go on at their mean tempo.
    """

    seconds: tuple[float, ...]

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Beats | None:
        """The beats of a song; None where fewer than two are heard."""
        return cls(tuple(seconds)) if len(seconds) > 1 else None

    @classmethod
    def steady(cls, tempo: float, first_seconds: float = 0.0) -> Beats:
        """Beats at so many a minute."""
        return cls((first_seconds, first_seconds + 60 / tempo))

    @property
    def period(self) -> float:
        """The mean seconds from a beat to the next."""
        return (self.seconds[-1] - self.seconds[0]) / (len(self.seconds) - 1)

    def at(self, seconds: float) -> float:
        """How many beats after the first one a time lies, its fraction of the way to the next included."""
        first, last = self.seconds[0], self.seconds[-1]
        if seconds < first:
            return (seconds - first) / self.period
        if seconds >= last:
            return len(self.seconds) - 1 + (seconds - last) / self.period
        before = bisect_right(self.seconds, seconds) - 1
        start, end = self.seconds[before : before + 2]
        return before + (seconds - start) / (end - start)

    def time(self, beat: float) -> float:
        """The seconds at which so many beats have gone by since the first one; the inverse of `at`."""
        last = len(self.seconds) - 1
        if beat < 0:
            return self.seconds[0] + beat * self.period
        if beat >= last:
            return self.seconds[-1] + (beat - last) * self.period
        start, end = self.seconds[int(beat) : int(beat) + 2]
        return start + beat % 1 * (end - start)
