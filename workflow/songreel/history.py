"""What work has cost on this machine so far, to say what the next will cost.

One JSON line a job, appended whole: jobs of a cluster write side by side.
"""

from __future__ import annotations

import contextlib
import json
import platform
from collections.abc import Mapping
from statistics import median
from typing import Any

from songreel.files import Document
from songreel.paths import Paths

RECENT = 20  # jobs whose median counts


def remember(paths: Paths, work: Document, units: int, seconds: float) -> None:
    """Note, if that can be written, that `units` of some work (iterations, frames) took so long here."""
    if not units:
        return
    line = json.dumps({"work": work, "units": units, "seconds": round(seconds, 3)}, sort_keys=True) + "\n"
    target = paths.history(platform.node())
    with contextlib.suppress(OSError):
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("ab", buffering=0) as file:
            file.write(line.encode())


def recall(paths: Paths) -> list[Document]:
    """The jobs of this machine, oldest first; a line cut short by a full disk is passed over."""
    path = paths.history(platform.node())
    if not path.exists():
        return []
    jobs = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            job = json.loads(line)
        except ValueError:
            continue
        if isinstance(job, dict) and job.get("units"):
            jobs.append(job)
    return jobs


def seconds_per_unit(jobs: list[Document], work: Document) -> float | None:
    """The median of the latest jobs with the same work, or None before the first."""
    same = [job["seconds"] / job["units"] for job in jobs if job["work"] == work]
    return median(same[-RECENT:]) if same else None


def optimising(recipe: Mapping[str, Any]) -> Document:
    """What decides the cost of an iteration."""
    return {
        "kind": "iterations",
        "size": list(recipe["size"]),
        "cutouts": recipe["strategy"]["cutouts"],
        "model": recipe["model"]["name"],
        "perceptors": [entry["name"] for entry in recipe["perceptors"]],
    }


def drawing(recipe: Mapping[str, Any], clip: Mapping[str, Any]) -> Document:
    """What decides the cost of a frame."""
    return {
        "kind": "frames",
        "size": list(recipe["size"]),
        "model": recipe["model"]["name"],
        "interpolation": clip["interpolation"],
        "encoder": clip["encoder"],
    }
