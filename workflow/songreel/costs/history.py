"""What work has cost on this machine so far, to say what the next will cost.

One JSON line a job, appended whole: jobs of a cluster write side by side.
"""

from __future__ import annotations

import contextlib
import functools
import json
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median

from songreel.ground import files
from songreel.ground.documents import ClipPlan, SegmentRecipe
from songreel.ground.files import Document
from songreel.ground.paths import Paths

RECENT = 20  # jobs whose median counts
MOST_UNITS = 10**9  # iterations or frames that one job can have done
SLOWEST = 86400.0  # seconds that one of them can have taken


def remember(paths: Paths, work: Document, units: int, seconds: float) -> None:
    """Note, if that can be written, that `units` of some work (iterations, frames) took so long here."""
    if not units:
        return
    line = json.dumps({"work": work, "units": units, "seconds": round(seconds, 3)}, sort_keys=True) + "\n"
    target = paths.history(platform.node())
    with contextlib.suppress(OSError):
        if not target.exists() or target.is_file():
            files.append(target, line.encode())


def recall(paths: Paths) -> list[Document]:
    """The jobs of this machine, oldest first; what is not as `remember` writes it is passed over."""
    return _read(paths.history(platform.node()))


def _read(path: Path) -> list[Document]:
    try:
        if not path.is_file():  # as a pipe, which would be waited for
            return []
        rows = files.read_bytes(path).decode("utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return [job for job in map(_job, rows) if job]


def _job(row: str) -> Document | None:
    """What a row tells of a job, if it can be true: the disk may have been full, the file edited."""
    try:
        job = json.loads(row)
        work, units, seconds = job["work"], job["units"], job["seconds"]
    except (ValueError, TypeError, LookupError, RecursionError):
        return None
    counted = type(units) is int and 0 < units <= MOST_UNITS  # True is an int, too
    timed = counted and type(seconds) in (int, float) and 0 <= seconds <= SLOWEST * units
    return job if timed and isinstance(work, dict) else None


def seconds_per_unit(jobs: list[Document], work: Document) -> float | None:
    """The median of the latest jobs with the same work, or None before the first."""
    same = [job["seconds"] / job["units"] for job in jobs if job["work"] == work]
    return median(same[-RECENT:]) if same else None


class Speeds:
    """What work costs on some machines, by their files.

    They are read at the first question, and each kind of work is looked up once: a film may have thousands
    of lines.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = files
        self._known: dict[str, float | None] = {}

    def slowest(self, work: Document) -> float | None:
        """The seconds of an iteration or frame on the slowest machine; None before the first."""
        kind = json.dumps(work, sort_keys=True)
        if kind not in self._known:
            each = [seconds_per_unit(jobs, work) for jobs in self._jobs]
            self._known[kind] = max((seconds for seconds in each if seconds is not None), default=None)
        return self._known[kind]

    @functools.cached_property
    def _jobs(self) -> list[list[Document]]:
        return [_read(file) for file in self._files]


def here(paths: Paths) -> Speeds:
    """What work costs on this machine."""
    return Speeds([paths.history(platform.node())])


def on_nodes(paths: Paths) -> Speeds:
    """What work costs on the machines that jobs are sent to: all but this one, unless it is the only one."""
    this = paths.history(platform.node())
    return Speeds([file for file in this.parent.glob("*.jsonl") if file != this] or [this])


def optimising(recipe: SegmentRecipe) -> Document:
    """What decides the cost of an iteration."""
    return {
        "kind": "iterations",
        "size": list(recipe.size),
        "cutouts": recipe.strategy.cutouts,
        "model": recipe.model.name,
        "perceptors": [entry.name for entry in recipe.perceptors],
    }


def drawing(recipe: SegmentRecipe, clip: ClipPlan) -> Document:
    """What decides the cost of a frame."""
    return {
        "kind": "frames",
        "size": list(recipe.size),
        "model": recipe.model.name,
        "interpolation": clip.interpolation,
        "encoder": clip.encoder,
        **({"enlarging": asdict(clip.enlarging)} if clip.enlarging else {}),
    }
