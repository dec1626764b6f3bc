"""Two lines side by side on two cores against one after the other: python -m benchmarks.sidebyside [PAIRS].

Prints, for each pair of runs, how many times as fast side by side is, and the median.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from tests.conftest import Project, Settings, new_project

# Two lines of the demo's preset: what two cores render in about a minute one after the other.
LINES = [("a lighthouse at dusk", 0), ("the tide comes in, and in", 4)]
SETTINGS: Settings = {"audio": "none", "tail": 4}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sidebyside", description=__doc__)
    parser.add_argument("pairs", type=int, nargs="?", default=5, help="default: 5")
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(parser.parse_args(arguments).pairs):
            # Each goes first as often as the other, for a machine that gets slower.
            first, second = (1, 2) if number % 2 else (2, 1)
            seconds = {jobs: _render(jobs, Path(folder) / "project") for jobs in (first, second)}
            ratios.append(seconds[1] / seconds[2])
            print(f"{seconds[1]:6.1f} s, {seconds[2]:6.1f} s: {ratios[-1]:.2f} times", flush=True)
    print(f"median {median(ratios):.2f} times as fast side by side")


def _render(jobs: int, folder: Path) -> float:
    """Seconds for the lines' keyframes, so many at a time with a thread each."""
    project: Project = new_project(folder, **SETTINGS)
    project.write(LINES)
    started = time.monotonic()
    run = project.run("--cores", str(jobs), "--until", "keyframes", "--set-threads", "keyframes=1")
    took = time.monotonic() - started
    assert run.status == 0 and run.executed["keyframes"] == len(LINES), run.output
    shutil.rmtree(folder)
    return took


if __name__ == "__main__":
    main()
