"""When a line's curves are read, and what is heard then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from songreel.planning.curves import Beats, Curve, Moment
from songreel.planning.timeline import Shot

PER_SECOND = 50  # how often a curve is read at least, to say what it is on the way to a keyframe

# What of a song, by its name in an expression, is heard from one second to another: 0..1
Hear = Callable[[str, float, float], float]


@dataclass(frozen=True)
class Song:
    """What curves may know of a song."""

    beats: Beats | None = None
    hear: Hear | None = None  # None where nothing is heard


SILENCE = Song()


@dataclass(frozen=True)
class Reading:
    """A line along which curves are read."""

    shot: Shot
    number: int  # of the line in the film, counted from 1
    frames_per_second: Fraction
    keyframe_rate: Fraction
    song: Song = SILENCE

    def moments(self, curve: Curve, keyframe: int) -> Iterator[Moment]:
        """Instants evenly from a keyframe to the next one, each amid its share of the way."""
        count = max(2, ceil(PER_SECOND / self.keyframe_rate))
        width = float(1 / self.keyframe_rate / count)  # seconds
        for at in range(count):
            t = float((keyframe + Fraction(2 * at + 1, 2 * count)) / self.keyframe_rate)
            yield self.moment(curve, t, width)

    def moment(self, curve: Curve, t: float, width: float) -> Moment:
        """A time of the line, and what of a song a curve listens to in so many seconds around it."""
        time = float(self.shot.first_frame / self.frames_per_second) + t
        heard = {}
        if hear := self.song.hear:
            heard = {name: hear(name, time - width / 2, time + width / 2) for name in curve.listens}
        return Moment(t, time, self.number, heard, self.song.beats, self.frames_per_second)

    def depends_on_song(self, curve: Curve) -> bool:
        """Whether a curve of this line has other values elsewhere in a song, or in another one."""
        return bool(curve.listens) or curve.counts_beats or "T" in curve.names
