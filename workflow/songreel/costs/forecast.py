"""What the next run will render and what that costs, said before any of it is spent."""

from __future__ import annotations

from dataclasses import dataclass, replace

from songreel.costs import history
from songreel.costs.history import Speeds
from songreel.ground.documents import ClipPlan, TimelineLine
from songreel.ground.errors import DamageError
from songreel.ground.files import Document
from songreel.ground.messages import duration, shorten
from songreel.ground.paths import Paths
from songreel.jobs import locks
from songreel.planning.plan import Plan, missing_latents


@dataclass(frozen=True)
class Row:
    """One line of the film and the work that it still needs."""

    start_seconds: float
    text: str
    state: str  # cached, draw, extend by n, render n
    keyframes: int
    iterations: int
    seconds: float | None  # of one device or core; None before anything like it was rendered here
    start: str | None = None  # the name of the picture that it starts from


@dataclass(frozen=True)
class Forecast:
    """A film's lines and what they cost together."""

    rows: tuple[Row, ...]
    keyframes: int
    iterations: int
    seconds: float | None  # of one device or core
    cost: float | None  # at the price given


def make(plan: Plan, paths: Paths, price_per_hour: float) -> Forecast:
    """Compare a plan with what is on disk. Opens no GPU and reads no latents."""
    speeds = history.here(paths)
    missing = missing_latents(plan, paths)
    to_draw = {clip for clip in plan.clips if not paths.clip(clip).exists()}
    rows = []
    began = plan.began or [None] * len(plan.timeline.lines)
    for line, entry, start in zip(plan.timeline.lines, plan.timeline.clips, began, strict=True):
        # What several lines share is rendered, and counted, for the first of them.
        want = missing.pop(line.segment, 0)
        frames = plan.clips[entry.clip].shown.frames if entry.clip in to_draw else 0
        to_draw.discard(entry.clip)
        have = _keyframes(line.segment, paths) if want else 0
        row = _row(plan, speeds, line, plan.clips[entry.clip], have, want, frames)
        rows.append(replace(row, start=start))
    seconds = _total([row.seconds for row in rows])
    return Forecast(
        tuple(rows),
        sum(row.keyframes for row in rows),
        sum(row.iterations for row in rows),
        seconds,
        None if seconds is None else seconds / 3600 * price_per_hour,
    )


def _keyframes(segment: str, paths: Paths) -> int:
    """How far a segment is, by its longest file or by what an interrupted job kept."""
    rendered = max(paths.rendered(segment), default=0)
    kept = locks.kept(paths.work(segment))
    if not kept:
        return rendered
    from songreel.jobs import latents  # zarr takes a while to import

    try:
        return max(rendered, len(latents.load(kept, segment)))
    except (DamageError, FileNotFoundError):
        return rendered


def _row(
    plan: Plan, speeds: Speeds, line: TimelineLine, clip: ClipPlan, have: int, want: int, frames: int
) -> Row:
    """A line that has `have` keyframes, wants `want` and lacks `frames` frames; 0 is none."""
    recipe = plan.segments[line.segment]
    keyframes = max(want - have, 0)
    lead_in = recipe.strategy.lead_in if keyframes and not have else 0
    iterations = keyframes * recipe.strategy.iterations + lead_in
    state = f"extend by {keyframes}" if have else f"render {keyframes}"
    if not keyframes:
        state = "draw" if frames else "cached"
    costs = [
        _cost(speeds, history.optimising(recipe), iterations),
        _cost(speeds, history.drawing(recipe, clip), frames),
    ]
    return Row(line.start_seconds, line.text, state, keyframes, iterations, _total(costs))


def _cost(speeds: Speeds, work: Document, units: int) -> float | None:
    if not units:
        return 0.0
    each = speeds.slowest(work)
    return None if each is None else units * each


def _total(costs: list[float | None]) -> float | None:
    known = [cost for cost in costs if cost is not None]
    return sum(known) if len(known) == len(costs) else None


def as_table(forecast: Forecast, jobs: int, price_per_hour: float) -> str:
    """The forecast for a person to read, with the time that `jobs` jobs side by side take."""
    table = [f"{'time':>9}  {'work':<14} {'takes':>12}  text"]
    for row in forecast.rows:
        from_picture = f" from {shorten(row.start)}" if row.start else ""
        takes = "?" if row.seconds is None else duration(row.seconds)
        table.append(
            f"{_time(row.start_seconds):>9}  {row.state:<14} {takes:>12}  {shorten(row.text)}{from_picture}"
        )
    return "\n".join([*table, as_sum(forecast, jobs, price_per_hour)])


def as_sum(forecast: Forecast, jobs: int, price_per_hour: float) -> str:
    """The same without a row for each line."""
    total = f"{forecast.keyframes} keyframes, {forecast.iterations} iterations to do: {_sum(forecast, jobs)}"
    if price_per_hour and forecast.cost is not None:
        return f"{total}\n{forecast.cost:.2f} at {price_per_hour:g} an hour"
    return total


def _sum(forecast: Forecast, jobs: int) -> str:
    if forecast.seconds is None:
        return "time unknown until a line like these has been rendered on this machine"
    return f"about {duration(forecast.seconds / jobs)} with {jobs} at a time"


def _time(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes)}:{rest:06.3f}"
