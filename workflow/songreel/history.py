"""What work has cost on this machine so far, to say what the next will cost.

One JSON line a job, appended whole: jobs of a cluster write side by side.
"""

from __future__ import annotations

import contextlib
import json
import platform
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from songreel.paths import Paths

Document = dict[str, Any]

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


def seconds_per_unit(paths: Paths, work: Document) -> float | None:
    """The median of the latest jobs with the same work on this machine, or None before the first."""
    entries = [entry for entry in _entries(paths.history(platform.node())) if entry["work"] == work]
    return median(entry["seconds"] / entry["units"] for entry in entries[-RECENT:]) if entries else None


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


def _entries(path: Path) -> list[Document]:
    """All whole lines; a line cut short by a full disk is passed over."""
    if not path.exists():
        return []
    entries = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and entry.get("units"):
            entries.append(entry)
    return entries
