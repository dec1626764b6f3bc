"""What a plan knows of a film's lines and no document says, written for whoever tells of them later.

A timeline says what to join and a recipe what to optimise; in which row a line stands, what its row said and
how far it is to be rendered, neither does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from songreel.ground.documents import Timeline, Written
from songreel.ground.errors import UserError
from songreel.ground.files import identity, write_json_if_changed
from songreel.ground.paths import Paths
from songreel.planning import prompts, steering
from songreel.planning.columns import Directions
from songreel.planning.config import Config
from songreel.planning.plan import Plan
from songreel.planning.prompts import Prompt


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


def of(plan: Plan, config: Config) -> Outline:
    """The outline of a plan that was made by a config."""
    began = plan.began or (None,) * len(plan.shots)
    lines = [
        OutlineLine(
            row=shot.line.row,
            take=plan.segments[line.segment].take,
            keyframes=plan.needs[line.segment],
            prompt=_prompt(shot.line.directions, shot.line.text, config),
            style=config.style if shot.line.directions.style is None else shot.line.directions.style,
            start_from=start,
        )
        for shot, line, start in zip(plan.shots, plan.timeline.lines, began, strict=True)
    ]
    size = config.width, config.height
    return Outline(identity(plan.timeline.to_json()), str(config.screenplay), size, tuple(lines))


def write(plan: Plan, config: Config, paths: Paths) -> None:
    """Write the outline of a plan, unless it is there. Raises OSError."""
    write_json_if_changed(paths.outline(plan.song), of(plan, config).to_json(), lasting=False)


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


def _prompt(said: Directions, text: str, config: Config) -> str | None:
    """What steers a line and what it avoids, as it may be written; None where its text alone does."""
    away = steering.avoided(config) if said.avoid is None else said.avoid
    if said.prompt is None and not away:
        return None
    asked = (Prompt(text),) if said.prompt is None else said.prompt
    return _written([*asked, *away])


def _written(parts: Sequence[Prompt]) -> str:
    return " | ".join(prompts.written(it.words, it.path, it.weight, it.stop) for it in parts)
