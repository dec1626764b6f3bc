"""How a line's picture moves: what the camera does from each keyframe to the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

ZOOM_STILL, STILL = 1.0, 0.0


@dataclass(frozen=True)
class Move:
    """A motion at a steady pace: of a picture's points, around its middle."""

    zoom: float = ZOOM_STILL  # a ratio: above 1 the picture grows
    angle: float = STILL  # degrees, against the clock
    x: float = STILL  # picture widths, to the right
    y: float = STILL  # picture heights, downwards
    shear: float = STILL  # heights to the right for each height below the middle

    def part(self, share: float) -> Move:
        """What has happened when so much of it has, below 0 for its way back."""
        zoom = self.zoom**share
        return Move(zoom, self.angle * share, self.x * share, self.y * share, self.shear * share)

    def rounded(self, digits: int) -> Move:
        """With so many digits behind the point."""
        return Move(*(round(getattr(self, it.name), digits) for it in fields(self)))

    @property
    def still(self) -> bool:
        """Whether nothing moves."""
        return self == Move()


@dataclass(frozen=True)
class Motion:
    """A chain's moves: of each kind its value from keyframe k to k + 1, the last one for all that follow.

    Where there is none, that kind is still.
    """

    zoom: tuple[float, ...] = ()
    angle: tuple[float, ...] = ()
    x: tuple[float, ...] = ()
    y: tuple[float, ...] = ()
    shear: tuple[float, ...] = ()

    @classmethod
    def of(cls, rows: Mapping[str, Sequence[float]]) -> Motion | None:
        """The motion of some kinds, as short as it can be told; None where nothing moves."""
        told = {name: _told(values) for name, values in rows.items()}
        motion = cls(**{name: () if row == (getattr(Move, name),) else row for name, row in told.items()})
        return None if motion == cls() else motion

    def move(self, keyframe: int) -> Move:
        """How the picture moves from a keyframe to the next one."""
        rows = {it.name: getattr(self, it.name) for it in fields(self)}
        return Move(**{name: row[min(keyframe, len(row) - 1)] for name, row in rows.items() if row})


def _told(values: Sequence[float]) -> tuple[float, ...]:
    """Without those at the end that are the same as the one before them."""
    end = len(values)
    while end > 1 and values[end - 1] == values[end - 2]:
        end -= 1
    return tuple(values[:end])
