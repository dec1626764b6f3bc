"""What a run has come to, by the events so far: pure, so that it can be tried without a terminal or a clock.

Times are seconds of one monotonic clock, which the caller reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from songreel.display.events import (
    CLIP,
    FILM,
    KEYFRAMES,
    Began,
    Ended,
    Event,
    Failed,
    Idle,
    Stopped,
    Trouble,
)
from songreel.display.film import Film, Line
from songreel.jobs.standing import Standing

LATEST = 0.3  # what the latest measurement counts beside those before it


@dataclass(frozen=True)
class Job:
    """A job that was begun and has not ended."""

    began: Began
    since: float
    standing: Standing | None = None
    heard: float | None = None  # when it told its standing first

    @property
    def kind(self) -> str:
        """What kind of work it does."""
        return self.began.kind


@dataclass(frozen=True)
class Run:
    """A run of Snakemake, as far as it has come."""

    films: tuple[Film, ...]
    since: float
    local: bool = True  # whether a job works from when it is begun; on a cluster it may have to wait
    running: Mapping[int, Job] = field(default_factory=dict)
    failed: Mapping[int, tuple[Failed, Job | None]] = field(default_factory=dict)  # unless tried again
    sampled: frozenset[str] = frozenset()  # segments, in this run
    drawn: frozenset[str] = frozenset()  # clips, in this run
    joined: frozenset[str] = frozenset()  # songs, in this run
    troubles: tuple[Trouble, ...] = ()
    damage: tuple[str, ...] = ()  # what was found damaged when the film was planned, a sentence each
    measured: Mapping[str, float] = field(default_factory=dict)  # seconds an iteration or frame, by kind
    starting: float = 0.0  # seconds from a job's begin to its work
    spent: float = 0.0  # seconds of devices, by jobs that ended
    at_once: int = 1  # the most jobs that ran at a time
    idle: bool = False
    stopped: bool = False


def apply(run: Run, event: Event, now: float) -> Run:
    """The run after an event."""
    match event:
        case Began():
            return _began(run, event, now)
        case Ended():
            return _ended(run, event.job, now)
        case Failed():
            return _failed(run, event, now)
        case Idle():
            return replace(run, idle=True)
        case Stopped():
            return replace(run, stopped=True)
        case Trouble():
            return run if event in run.troubles else replace(run, troubles=(*run.troubles, event))


def _began(run: Run, event: Began, now: float) -> Run:
    running = {**run.running, event.job: Job(event, now)}
    failed = {job: failed for job, failed in run.failed.items() if job != event.job}
    working = sum(job.kind in (KEYFRAMES, CLIP) for job in running.values())
    return replace(run, running=running, failed=failed, at_once=max(run.at_once, working))


def _ended(run: Run, number: int, now: float) -> Run:
    job = run.running.get(number)
    if job is None:
        return run
    name = frozenset({job.began.name})
    return replace(
        _without(run, number, now),
        sampled=run.sampled | name if job.kind == KEYFRAMES else run.sampled,
        drawn=run.drawn | name if job.kind == CLIP else run.drawn,
        joined=run.joined | name if job.kind == FILM else run.joined,
    )


def _failed(run: Run, event: Failed, now: float) -> Run:
    failed = {**run.failed, event.job: (event, run.running.get(event.job))}
    return replace(_without(run, event.job, now), failed=failed)


def _without(run: Run, number: int, now: float) -> Run:
    running = {other: job for other, job in run.running.items() if other != number}
    spent = _device_seconds(run, run.running[number], now) if number in run.running else 0.0
    return replace(run, running=running, spent=run.spent + spent)


def heard(run: Run, number: int, standing: Standing, now: float) -> Run:
    """The run after a job has told how far it is."""
    job = run.running[number]
    first = job.heard is None
    told = replace(job, standing=standing, heard=now if job.heard is None else job.heard)
    measured = run.measured
    if standing.speed:
        before = measured.get(job.kind, 1 / standing.speed)
        measured = {**measured, job.kind: before + LATEST * (1 / standing.speed - before)}
    starting = now - job.since if first and run.local else run.starting
    return replace(run, running={**run.running, number: told}, measured=measured, starting=starting)


# What is told of it


def done(run: Run, film: Film) -> int:
    """How many of a film's lines are there, drawn."""
    return sum(line.cached or line.clip in run.drawn for line in film.lines)


def line_of(run: Run, name: str) -> Line | None:
    """The line that a segment or clip is of, the first one of those that share it."""
    return next((film.by_name[name] for film in run.films if name in film.by_name), None)


def share(run: Run, job: Job) -> float:
    """How much of a job's line is there, 0 to 1; a line that was begun in an earlier run starts from that."""
    if job.standing:
        return job.standing.share
    line = line_of(run, job.began.name)
    return line.kept / line.keyframes if job.kind == KEYFRAMES and line and line.keyframes else 0.0


def count(run: Run, job: Job) -> tuple[int, int]:
    """How many keyframes or frames of how many are there; 0 of 0 while that is not known."""
    if job.standing:
        return job.standing.done, job.standing.total
    line = line_of(run, job.began.name)
    return (line.kept, line.keyframes) if job.kind == KEYFRAMES and line else (0, 0)


def left_seconds(run: Run) -> float | None:
    """How long the run will go on, about; None before anything like its lines has been rendered."""
    jobs = {job.began.name: job for job in run.running.values()}
    each = [_seconds(run, jobs, line) for film in run.films for line in film.lines]
    known = [seconds for seconds in each if seconds is not None]
    if len(known) < len(each):
        return None
    return max([sum(known) / run.at_once, *known], default=0.0)


def device_seconds(run: Run, now: float) -> float:
    """How long devices were at work so far, those side by side added up."""
    return run.spent + sum(_device_seconds(run, job, now) for job in run.running.values())


def _device_seconds(run: Run, job: Job, now: float) -> float:
    if job.kind not in (KEYFRAMES, CLIP):
        return 0.0
    since = job.since if run.local else job.heard
    sharing = max(film.jobs_per_gpu for film in run.films) if job.began.on_gpu else 1
    return 0.0 if since is None else (now - since) * job.began.devices / sharing


def _seconds(run: Run, jobs: Mapping[str, Job], line: Line) -> float | None:
    """What is left to do for a line, in seconds of one job."""
    sampling = 0 if line.segment in run.sampled else line.iterations
    drawing = 0 if line.clip in run.drawn else line.frames
    to_sample = _part(run, KEYFRAMES, jobs.get(line.segment), sampling, line.per_iteration)
    to_draw = _part(run, CLIP, jobs.get(line.clip), drawing, line.per_frame)
    # Without a measurement, drawing is left out: it is much the smaller part.
    return None if to_sample is None else to_sample + (to_draw or 0.0)


def _part(run: Run, kind: str, job: Job | None, units: int, each: float | None) -> float | None:
    """What is left of one kind of work for a line; None when its speed is not known."""
    if not units:
        return 0.0
    if job and job.standing and job.standing.speed:
        return job.standing.left_seconds
    each = run.measured.get(kind, each)
    return None if each is None else units * each + run.starting
