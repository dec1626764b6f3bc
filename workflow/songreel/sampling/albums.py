"""What an album is: pictures that lines may start from, and which of them fit some words best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from songreel.ground.pictures import Pixels


@dataclass(frozen=True)
class Candidate:
    """A picture that a line may start from."""

    name: str  # what it shows, in words
    picture: Pixels  # uint8 [height, width, 3], RGB, at the film's size
    fit: float  # how well it fits the words; only the order counts


class Album(Protocol):
    """Pictures, and how well each fits."""

    digest: str  # of all that the order depends on, but for the words and the size

    def ranked(self, text: str, size: tuple[int, int], count: int) -> list[Candidate]:
        """The `count` pictures that fit best, the best first, all of other names; fewer if there are no more.

        `size` is the film's width and height in pixels. The same at every call, and of a smaller count the
        beginning.
        """
