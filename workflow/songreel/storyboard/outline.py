"""What a plan knows of a film's lines and no document says, written for whoever tells of them later.

A timeline says what to join and a recipe what to optimise; in which row a line stands, what its row said and
how far it is to be rendered, neither does.
"""

from __future__ import annotations

from dataclasses import dataclass

from songreel.ground.documents import Timeline
from songreel.ground.errors import UserError
from songreel.ground.files import identity
from songreel.ground.paths import Paths
from songreel.ground.written import Written


@dataclass(frozen=True)
class OutlineLine(Written):
    """A line of a film, in the film's order; see `facts.Line`."""

    row: int
    take: int
    keyframes: int  # that its segment is rendered to
    prompt: str | None = None
    style: str = ""
    start_from: str | None = None


@dataclass(frozen=True)
class Outline(Written):
    """A film's lines, and the timeline that they are of."""

    timeline: str  # the id of what it says
    screenplay: str  # as the config names it
    size: tuple[int, int]  # width and height in pixels
    lines: tuple[OutlineLine, ...]


def read(song: str, paths: Paths) -> tuple[Timeline, Outline]:
    """A film's timeline and its outline. Raises UserError when one is missing or they are of two plans."""
    timeline = Timeline.read(paths.timeline(song))
    outline = Outline.read(paths.outline(song))
    if outline.timeline != identity(timeline.to_json()) or len(outline.lines) != len(timeline.lines):
        raise UserError(
            f"{paths.outline(song)}: found the lines of another plan than {paths.timeline(song)} is of; run"
            f" snakemake, which writes both again."
        )
    return timeline, outline
