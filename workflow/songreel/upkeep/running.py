"""Who is at work in a results folder, so that nobody's files are removed under their hands.

A removal and a workflow are kept apart without locks, which not every shared disk has. Each shows itself in
results/.running and only then looks for the other, so at least one sees the other: a removal keeps what the
workflows that it sees need, and a workflow that sees a removal waits for its end before it looks which files
there are. Nobody is waited for who has ended, and a job that is run by hand has its lock.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import tempfile
import time
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from songreel.ground import stops
from songreel.ground.errors import FULL, UserError
from songreel.ground.files import Document
from songreel.ground.messages import say
from songreel.ground.paths import Paths
from songreel.jobs import heartbeat, locks
from songreel.jobs.heartbeat import Watch
from songreel.planning import choices
from songreel.planning.plan import Plan

# Versions that played tunes may be at work in the same results: each tells and looks for these four.
ALWAYS = ("segments", "clips", "tunes", "audio")
KINDS = (*ALWAYS, "fonts", "starts", "rankings", "seen", "albums")
HOUR = 3600  # seconds without a beat, until a workflow on another machine is taken for dead
PATIENCE_SECONDS = 0.2  # between two looks at whether a removal has ended

Needs = Mapping[str, Collection[str]]  # the ids that are needed, for each of KINDS


def needs(plan: Plan) -> Needs:
    """The ids of everything that a film is made from."""
    sound = plan.timeline.audio
    chosen_by = choices.needs(plan.album)
    return {
        "segments": sorted(plan.segments),
        "clips": sorted(plan.clips),
        "fonts": sorted(plan.fonts),
        "tunes": [],
        "audio": [sound.sha256] if sound else [],
        "starts": sorted({choice.start for choice in plan.starts} | set(plan.pictures)),
        **chosen_by,
        "albums": sorted({*chosen_by["albums"], *(it.place for it in plan.pictures.values())}),
    }


def union(several: Iterable[Needs]) -> dict[str, set[str]]:
    """What at least one of several needs."""
    together: dict[str, set[str]] = {kind: set() for kind in KINDS}
    for each in several:
        for kind in KINDS:
            together[kind].update(each.get(kind, ()))
    return together


def protect(plan: Plan, paths: Paths) -> None:
    """Keep what a plan needs from every removal, for as long as this process lives."""
    stack = ExitStack()
    atexit.register(stack.close)
    stack.enter_context(protected(plan, paths))


@contextmanager
def protected(plan: Plan, paths: Paths) -> Iterator[None]:
    """Keep what a plan needs from every removal; one that is going on has ended when the block begins."""
    with ExitStack() as stack:
        # Where nothing can be written nothing can be removed either
        with contextlib.suppress(OSError):
            stack.enter_context(_recorded(paths.running(f"{uuid.uuid4().hex}.json"), dict(needs(plan))))
        _await_removals(paths)
        yield


@contextmanager
def removing(paths: Paths) -> Iterator[None]:
    """Let workflows that start wait until the block has ended."""
    with ExitStack() as stack:
        try:
            stack.enter_context(_recorded(paths.running(f"{uuid.uuid4().hex}.prune"), {}))
        except OSError as error:
            # No workflow gets far on a full disk, and this is how to make room
            if error.errno not in FULL:
                raise
        yield


@contextmanager
def _recorded(path: Path, facts: Document) -> Iterator[None]:
    path = path.absolute()  # Snakemake ends in another folder than it works in
    path.parent.mkdir(parents=True, exist_ok=True)
    with stops.undoing(lambda: path.unlink(missing_ok=True)):
        try:
            with heartbeat.beating(path, facts):
                yield
        finally:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


def _await_removals(paths: Paths) -> None:
    """Wait for the removals that began before this process showed itself; later ones see it."""
    watches = [Watch(path) for path in _records(paths, ".prune")]
    reported = False
    while any(watch.path.exists() and not watch.over() for watch in watches):
        if not reported:
            say("waiting for `songreel prune` to end.")
            reported = True
        time.sleep(PATIENCE_SECONDS)


def workflows(paths: Paths, now: float) -> Iterator[Needs]:
    """What each workflow needs that may be running `now` (`file_time`). Raises UserError if one is silent."""
    for record in _records(paths, ".json"):
        if _alive(record, now):
            facts = heartbeat.read(record)
            if facts and all(kind in facts for kind in ALWAYS):
                yield facts
            elif record.exists():
                raise UserError(
                    f"{record}: found a workflow that does not say yet what it needs; run the same command"
                    f" again in a moment."
                )


def segments(paths: Paths, now: float) -> set[str]:
    """The segments that a job may be at work on. A power cut releases no lock, but ends its heartbeat."""
    return {
        work.name
        for work in paths.work("any").parent.glob("*")
        if locks.in_use(work) and any(_alive(owner, now) for owner in work.glob(f"*/{locks.OWNER}"))
    }


def ended(paths: Paths, now: float) -> list[Path]:
    """What workflows, removals and jobs left in results/.running that were killed."""
    records = [*_records(paths, ".json"), *_records(paths, ".prune")]
    standings = _records(paths, paths.standing("any").suffix)
    return [path for path in records if not _alive(path, now)] + [
        path for path in standings if _silent(path, now)
    ]


def _alive(shown: Path, now: float) -> bool:
    """Whether the writer of a heartbeat may be at work: here the kernel knows, elsewhere silence tells."""
    if heartbeat.has_ended(shown):
        return False
    facts = heartbeat.read(shown) or {}
    return facts.get("machine") == heartbeat.machine() or not _silent(shown, now)


def _silent(path: Path, now: float) -> bool:
    """Whether a file is gone or was not written for an hour."""
    try:
        return now - path.stat().st_mtime >= HOUR
    except FileNotFoundError:
        return True


def _records(paths: Paths, suffix: str) -> list[Path]:
    return sorted(paths.running("any").parent.glob(f"*{suffix}"))


def file_time(folder: Path) -> float:
    """The time by the clock that stamps the files in a folder, which may be another machine's."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            return os.fstat(file.fileno()).st_mtime
    except OSError:
        return time.time()
