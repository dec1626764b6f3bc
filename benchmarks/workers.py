"""The demo film and an edit of it, with and without workers, in turns: python -m benchmarks.workers [PAIRS].

Prints the seconds of each and how many times as fast workers are, and the medians.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from songreel.jobs import workers

REPOSITORY = Path(__file__).resolve().parents[1]
DEMO = "screenplays/over-the-river.csv"
EDIT = ("Hurrah for the fun!", "Hurrah for the snow!")
ALONE = {workers.POOL: workers.NONE}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.workers", description=__doc__)
    parser.add_argument("pairs", type=int, nargs="?", default=3, help="default: 3")
    ratios: dict[str, list[float]] = {"the film": [], "a line edited": []}
    for number in range(parser.parse_args(arguments).pairs):
        # Each goes first as often as the other, for a machine that gets slower.
        settings: list[Mapping[str, str]] = [{}, ALONE] if number % 2 else [ALONE, {}]
        seconds = {bool(each): film_and_edit(each) for each in settings}
        for place, name in enumerate(ratios):
            shared, alone = seconds[False][place], seconds[True][place]
            ratios[name].append(alone / shared)
            print(
                f"{name}: {alone:5.1f} s, by workers {shared:5.1f} s: {alone / shared:.2f} times", flush=True
            )
    for name, each in ratios.items():
        print(f"{name}: median {median(each):.2f} times as fast by workers")


def film_and_edit(settings: Mapping[str, str]) -> tuple[float, float]:
    """The seconds that the demo film takes from nothing, and then with one line edited."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(REPOSITORY / "config.yaml", folder)
        shutil.copytree(REPOSITORY / "screenplays", folder / "screenplays")
        film = _seconds(folder, settings)
        lines = (folder / DEMO).read_text(encoding="utf-8")
        assert lines.count(EDIT[0]) == 1
        (folder / DEMO).write_text(lines.replace(*EDIT), encoding="utf-8")
        return film, _seconds(folder, settings)


def _seconds(folder: Path, settings: Mapping[str, str]) -> float:
    command: list[str | Path] = [
        *(sys.executable, "-m", "snakemake", "--snakefile", REPOSITORY / "Snakefile", "--directory", folder),
        *("--workflow-profile", REPOSITORY / "profiles/default", "--cores", str(os.cpu_count())),
        *("--quiet", "all"),
    ]
    began = time.monotonic()
    subprocess.run(
        command,
        env={**os.environ, **settings},
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return time.monotonic() - began


if __name__ == "__main__":
    main()
