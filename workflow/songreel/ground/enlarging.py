"""How a film becomes larger than its pictures are drawn, as a clip's plan says it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Upscaler:
    """A checkpoint of a model that enlarges pictures."""

    path: str
    sha256: str


@dataclass(frozen=True)
class Enlarging:
    """How much larger a film is than its pictures are drawn, and the model that enlarges them, if any."""

    scale: float  # of their width and of their height
    upscaler: Upscaler | None = None  # None: ffmpeg alone

    def size(self, drawn: tuple[int, int]) -> tuple[int, int]:
        """Width and height in pixels of what is drawn at a size: even, as encoders want them."""
        width, height = (2 * max(1, round(side * self.scale / 2)) for side in drawn)
        return width, height
