"""What it costs to plan a film of very many lines: python -m benchmarks.scale [LINES ...].

Time and memory of `songreel plan` and of Snakemake's dry run: of a new film, and of one whose lines are all
rendered and whose clips are not drawn.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from songreel.ground.documents import SegmentRecipe
from songreel.jobs import latents
from tests.conftest import REPOSITORY, TINY, Project, environment, new_project


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("lines", type=int, nargs="*", default=[1000, 10000])
    for lines in parser.parse_args(arguments).lines:
        with tempfile.TemporaryDirectory() as folder:
            project = new_project(Path(folder) / "project", **TINY)
            project.write([(f"line {number} of a catalogue of songs", 4 * number) for number in range(lines)])
            _measure(lines, project)


def _measure(lines: int, project: Project) -> None:
    plan = [sys.executable, "-m", "songreel", "plan"]
    dry_run = project.snakemake("--dry-run", "--quiet", "all")
    for state in ("new", "rendered"):
        for name, command in (("plan", plan), ("dry run", dry_run)):
            _timed(f"{name} of {lines} lines, {state}", command, project)
        _render(project)


def _render(project: Project) -> None:
    """Leave the latents that a run would leave, of one token."""
    for plan in (project.results.root / "plan/segments").iterdir():
        target = project.results.latents(plan.stem, 10)
        target.parent.mkdir(exist_ok=True)
        state = latents.empty(np.zeros((1, 1, 1), np.float32))
        for _ in range(10):
            state = state.extended(np.zeros((1, 1)), 0, state.latent)
        with target.open("wb") as file:
            latents.write(file, state, SegmentRecipe.read(plan))


def _timed(name: str, command: Sequence[str | Path], project: Project) -> None:
    started = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=project.folder,
        env=environment() | {"PYTHONPATH": str(REPOSITORY / "workflow")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    assert status == 0, command
    took, cpu = time.monotonic() - started, used.ru_utime + used.ru_stime
    print(f"{took:7.1f} s, {cpu:7.1f} s of CPU, {used.ru_maxrss / 1024:6.0f} MB  {name}", flush=True)


if __name__ == "__main__":
    main()
