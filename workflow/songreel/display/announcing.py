"""What the rules tell the display, if there is one, when they have planned a film."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from songreel.display import handler
from songreel.ground.messages import say
from songreel.ground.paths import Paths
from songreel.planning.plan import Plan


def announce(workflow: Any, plan: Plan, paths: Paths, screenplay: Path, jobs_per_gpu: int) -> None:
    """Have a film shown while it is rendered."""
    display = handler.of(workflow)
    if display is None:
        return
    display.is_songreels = True
    if display.writes_to_stream:
        from songreel.display import film

        display.film(film.of(plan, paths, screenplay, jobs_per_gpu), workflow.local_exec)


def damaged(workflow: Any, sentence: str) -> None:
    """Tell of something damaged that is made again: at the end where there is a display, now where not."""
    display = handler.of(workflow)
    if not (display and display.damage(sentence)):
        say(sentence)


def await_begin(workflow: Any) -> None:
    """Have jobs begin after the display."""
    if display := handler.of(workflow):
        display.await_begin()
