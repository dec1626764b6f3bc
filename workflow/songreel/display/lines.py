"""What is said where there is no terminal: one line for each event, and now and then how far the film is."""

from __future__ import annotations

from songreel.display import state, words
from songreel.display.events import CLIP, FETCH, KEYFRAMES, OTHER, Began, Ended, Event, Failed
from songreel.display.state import Job, Run
from songreel.ground.messages import shorten

EVERY = 60.0  # seconds without a line, until it is said how far the film is


def opening(run: Run) -> list[str]:
    """What is said of the films when their run begins."""
    return [
        f"{words.title(film)}: {words.counted(len(film.lines), 'line')}, {film.cached} cached"
        for film in run.films
    ]


def of(before: Run, event: Event, after: Run) -> str | None:
    """What is said of an event, by the run before and after it."""
    match event:
        case Began() if event.kind != OTHER and event.job in after.running:
            return _began(after, after.running[event.job])
        case Ended() if event.job in before.running:
            return _ended(before, after, before.running[event.job])
        case Failed() if event.job in before.running:
            return f"{_name(before, before.running[event.job])} failed"
    return None


def now_and_then(run: Run, price: float, now: float) -> str:
    """How far the film is."""
    working = sum(job.kind in (KEYFRAMES, CLIP) for job in run.running.values())
    pieces = [*words.standing(run, price, now), f"{working} at work"]
    return ", ".join(pieces)


def _name(run: Run, job: Job) -> str:
    name = words.of_job(run, job)
    return shorten(name) if job.kind in (KEYFRAMES, CLIP) else name


def _began(run: Run, job: Job) -> str:
    name = _name(run, job)
    if job.kind == CLIP:
        return f"{name}: drawing"
    if job.kind != KEYFRAMES:
        return name
    kept, keyframes = state.count(run, job)
    return f"{name}: {f'going on from keyframe {kept} of' if kept else 'sampling'} {keyframes} keyframes"


def _ended(before: Run, after: Run, job: Job) -> str | None:
    name = _name(before, job)
    if job.kind == KEYFRAMES:
        speed = f", {job.standing.speed:.1f} iterations/s" if job.standing and job.standing.speed else ""
        return f"{name}: {state.count(before, job)[1]} keyframes are there{speed}"
    if job.kind == CLIP:
        done = sum(state.done(after, film) for film in after.films)
        return f"{name}: drawn; {done} of {sum(len(film.lines) for film in after.films)} lines done"
    return f"{job.began.name} is there" if job.kind == FETCH else None
