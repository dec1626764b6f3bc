"""What steers a line beyond plain words: parts with weights, image prompts, the line that it goes on from."""

from __future__ import annotations

from dataclasses import dataclass

from songreel.ground.motion import Move


@dataclass(frozen=True)
class Part:
    """One of several things that pull a line's picture, or push it away."""

    text: str = ""  # with the style; "" for an image prompt
    picture: str = ""  # the sha256 of an image prompt's pixels, see `pictures.digest`; "" for words
    weight: float = 1.0  # below 0 pushes away
    stop: float | None = None  # the signed spherical distance below which it no longer pulls; None: never


@dataclass(frozen=True)
class Previous:
    """The segment that a chain goes on from: from the last of its first so many keyframes."""

    segment: str
    keyframes: int
    # How that line's picture moves on until the chain begins
    move: Move | None = None
