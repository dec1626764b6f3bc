"""Plans for tests: real ones, of which a test says what matters to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from songreel import cli
from songreel.ground.documents import (
    ClipPlan,
    ModelEntry,
    PerceptorEntry,
    SegmentRecipe,
    Shown,
    Timeline,
    TimelineClip,
    TimelineLine,
)
from songreel.ground.paths import Paths
from songreel.ground.strategy import Strategy
from songreel.planning.plan import Plan, latents_of

RECIPE = SegmentRecipe(
    recipe=1,
    text="a red boat",
    seed=0,
    take=0,
    model=ModelEntry("starter", "a" * 64),
    perceptors=(PerceptorEntry("starter", "b" * 64),),
    size=(128, 128),
    strategy=Strategy(iterations=10, lead_in=20, cutouts=8, learning_rate=0.1),
)


def recipe(base: SegmentRecipe = RECIPE, **said: Any) -> SegmentRecipe:
    """A recipe of which some fields, its strategy's among them, are told."""
    strategy = {name: said.pop(name) for name in Strategy.__dataclass_fields__ if name in said}
    return replace(base, strategy=replace(base.strategy, **strategy), **said)


CLIP = ClipPlan(
    recipe=1,
    shown=Shown("b", 30),
    before=None,
    blend_frames=0,
    frames_per_second=Fraction(30),
    keyframes_per_second=15.0,
    interpolation="latent",
    encoder="libx264",
    crf=18,
)


def clip(frames: int, frames_per_second: Any = 30, **said: Any) -> ClipPlan:
    """A clip of so many frames, of which some fields are told."""
    return replace(CLIP, shown=Shown("b", frames), frames_per_second=Fraction(frames_per_second), **said)


def timeline(frames: Sequence[int], frames_per_second: Any = 30, **said: Any) -> Timeline:
    """A silent film of clips of so many frames and of one line, of which some fields are told."""
    rate = Fraction(frames_per_second)
    made = Timeline(
        recipe=1,
        title="A title",
        artist="An artist",
        frames_per_second=rate,
        audio=None,
        clips=tuple(TimelineClip(str(number), count) for number, count in enumerate(frames)),
        lines=(line("one", 0.0, float(sum(frames) / rate)),),
    )
    return replace(made, **said)


def line(text: str, start_seconds: float, end_seconds: float, segment: str = "a") -> TimelineLine:
    """A line of a film."""
    return TimelineLine(text, start_seconds, end_seconds, segment)


def render(made: Plan, paths: Paths) -> None:
    """The film of a plan that was written, without Snakemake: every command of it, in this process."""
    commands: list[list[Any]] = []
    for segment, keyframes in made.needs.items():
        commands.append(["keyframes", paths.segment_plan(segment), keyframes])
    for name, drawing in made.clips.items():
        commands.append(["clip", paths.clip_plan(name), *latents_of(drawing, made.needs, paths)])
    names = [entry.clip for entry in made.timeline.clips]
    commands.append(["film", paths.timeline(made.song), *map(paths.clip, names)])
    assert [cli.main([*map(str, command)]) for command in commands] == [0] * len(commands)
