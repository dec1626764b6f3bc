"""What is said of a run, in words that the screen and the plain lines share."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from songreel.display import state
from songreel.display.events import CLIP, FETCH, FILM, KEYFRAMES, STORYBOARD, Failed
from songreel.display.film import Film
from songreel.display.state import Job, Run
from songreel.ground import files
from songreel.ground.messages import FAILED, duration, shorten

TAIL = 8192  # bytes of a log that are looked at
STOPPED = "stopped; finished keyframes are kept and the next run goes on from them."
AGAIN = "run the same command again, finished keyframes are kept"
# Escape sequences and the like, also those that turn what follows around
_CONTROL = re.compile("\x1b\\[[0-9;?]*[A-Za-z]|[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def plain(text: str) -> str:
    """A text on one line, with nothing in it that a terminal would obey."""
    return " ".join(_CONTROL.sub(" ", text).split())


def counted(number: int, one: str, several: str = "") -> str:
    """A number of things: 1 line, 2 lines."""
    return f"{number} {one if number == 1 else several or one + 's'}"


def title(film: Film) -> str:
    """What a film is called."""
    return plain(film.title or film.song)


def standing(run: Run, price: float, now: float) -> list[str]:
    """How far all films are together, piece by piece: lines, what was cached, time left, cost."""
    lines = sum(len(film.lines) for film in run.films)
    cached = sum(film.cached for film in run.films)
    pieces = [f"{sum(state.done(run, film) for film in run.films)} of {counted(lines, 'line')} done"]
    if cached:
        pieces.append(f"{cached} cached")
    left = state.left_seconds(run)
    if left is not None and left >= 1:
        pieces.append(f"about {duration(left)} left")
    if price:
        pieces.append(f"cost {cost(run, price, now)} so far")
    return pieces


def cost(run: Run, price: float, now: float) -> str:
    """What the devices have cost so far, at a price of one of them an hour."""
    return f"{state.device_seconds(run, now) / 3600 * price:.2f}"


def of_job(run: Run, job: Job) -> str:
    """What a job works on: a line's words, or what else it makes."""
    if job.kind in (KEYFRAMES, CLIP):
        line = state.line_of(run, job.began.name)
        return plain(line.text) if line else job.began.name
    made = {
        FETCH: f"fetching {job.began.name}",
        FILM: "joining the film",
        STORYBOARD: "making the storyboard",
    }
    return made.get(job.kind, job.began.name)


def last_line(log: Path | None) -> str:
    """The last line of a job's log, without its time."""
    lines = _tail(log)
    return plain(lines[-1][20:]) if lines else ""


def failures(run: Run, heard: Sequence[str] = ()) -> Iterator[tuple[str, str]]:
    """Why lines are missing, each reason once: what is missing, and the job's sentence.

    `heard` are sentences of jobs, of which one may have been unable to write its log, as on a full disk.
    """
    reasons: dict[str, list[tuple[str, Failed]]] = defaultdict(list)
    for event, job in run.failed.values():
        reason = reason_in(event.log)
        if not (reason is None and run.stopped):
            reasons[reason or ""].append((of_job(run, job) if job else event.rule, event))
    if "" in reasons:
        unwritten = [plain(sentence) for sentence in heard if plain(sentence) not in reasons]
        silent = reasons.pop("")
        reasons |= {"; ".join(dict.fromkeys(unwritten)) or _without_reason(silent[0][1]): silent}
    for reason, jobs in reasons.items():
        yield shorten(jobs[0][0]) + (f" and {len(jobs) - 1} more" if len(jobs) > 1 else ""), reason


def reason_in(log: Path | None) -> str | None:
    """The sentence with which a job failed, if its last words are that."""
    words = last_line(log)
    return words.removeprefix(FAILED) if words.startswith(FAILED) else None


def _without_reason(event: Failed) -> str:
    there = f" {event.log} tells how far it came;" if event.log and event.log.exists() else ""
    how = event.words.partition(". ")[0].rstrip(".") or "as when it is killed or memory runs out"
    return f"ended without a word, {how};{there} {AGAIN}."


def _tail(log: Path | None) -> list[str]:
    if log is None:
        return []
    try:
        with files.opened(log) as file:
            file.seek(max(file.seek(0, 2) - TAIL, 0))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.strip()]


def troubles(run: Run) -> list[str]:
    """What was damaged and what Snakemake could not do, a sentence each."""
    return [*run.damage, *(trouble.words for trouble in run.troubles if trouble.grave)]


def errors(run: Run, heard: Sequence[str] = ()) -> list[str]:
    """All that went wrong, each once, with what to do."""
    missing = [f"{names}: {reason}" for names, reason in failures(run, heard)]
    return [*run.damage, *missing, *_unexplained(run)]


def _unexplained(run: Run) -> list[str]:
    return [trouble.words for trouble in run.troubles if trouble.grave]


def films_ending(run: Run, price: float, now: float) -> list[str]:
    """What there is of each film at the end of a run."""
    took = duration(now - run.since) + (f" and cost {cost(run, price, now)}" if price else "")
    return [_film_ending(run, film, took) for film in run.films]


def _film_ending(run: Run, film: Film, took: str) -> str:
    lines, path = counted(len(film.lines), "line"), film.paths.film(film.song)
    if run.idle and path.exists():
        return f"{path} is ready: {duration(film.seconds)}, {lines}. Nothing to be done."
    if film.song not in run.joined:
        return f"{title(film)}: {state.done(run, film)} of {lines} done, in {took}."
    cached = f", {film.cached} cached" if film.cached else ""
    return f"{path} is ready: {duration(film.seconds)}, {lines}{cached}; it took {took}."


def next_steps(run: Run) -> list[str]:
    """What to do with a film that is ready, or was stopped."""
    if run.stopped:
        return [STOPPED]
    ready = [film for film in run.films if film.song in run.joined or run.idle]
    if not ready or run.failed:
        return []
    board = ready[0].paths.storyboard(ready[0].song)
    look = f"Look at it line by line in {board}. " if board.exists() else ""
    return [
        f"{look}Change a line in {ready[0].screenplay} and run the same command:"
        f" only what changed is rendered."
    ]
