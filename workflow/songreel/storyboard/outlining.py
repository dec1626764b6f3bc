"""The outline of a film that is planned, see `outline`: by the process that makes the plan."""

from __future__ import annotations

from collections.abc import Sequence

from songreel.ground.files import identity, write_json_if_changed
from songreel.ground.paths import Paths
from songreel.planning import prompts, steering
from songreel.planning.columns import Directions
from songreel.planning.config import Config
from songreel.planning.plan import Plan
from songreel.planning.prompts import Prompt
from songreel.storyboard.outline import Outline, OutlineLine


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


def _prompt(said: Directions, text: str, config: Config) -> str | None:
    """What steers a line and what it avoids, as it may be written; None where its text alone does."""
    away = steering.avoided(config) if said.avoid is None else said.avoid
    if said.prompt is None and not away:
        return None
    asked = (Prompt(text),) if said.prompt is None else said.prompt
    return _written([*asked, *away])


def _written(parts: Sequence[Prompt]) -> str:
    return " | ".join(prompts.written(it.words, it.path, it.weight, it.stop) for it in parts)
