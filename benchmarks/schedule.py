"""How lines share GPUs: python -m benchmarks.schedule --iteration S --frame S --start S.

Plays the schedule of a song's lines on 1 to 64 GPUs, from the seconds that an iteration, a frame and the
start of a job take. Prints the time, how many times as fast as one GPU that is, the share of time in which
GPUs are idle, and the time of the longest line: no number of GPUs is quicker than it.
"""

from __future__ import annotations

import argparse
import heapq
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log2
from pathlib import Path

from songreel.costs import request
from songreel.ground.messages import duration
from songreel.planning import plan
from songreel.planning.config import resolve
from songreel.planning.plan import Plan
from tests.conftest import new_project
from tests.songs import whole_song

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
GPUS = (1, 2, 4, 8, 16, 32, 64)


@dataclass(frozen=True)
class Cost:
    """Seconds of a GPU."""

    iteration: float
    frame: float
    start: float  # of a job


@dataclass(frozen=True)
class Line:
    """Seconds for a line's keyframes, and for its clip, which needs those of the line before, too."""

    keyframes: float
    clip: float


@dataclass(frozen=True)
class Schedule:
    """How long a film takes on so many GPUs, in seconds."""

    gpus: int
    seconds: float
    busy: float  # of all GPUs together
    bound: float  # of the longest line and its clip

    @property
    def idle(self) -> float:
        """The share of the GPUs' time in which they wait."""
        return max(0.0, 1 - self.busy / (self.gpus * self.seconds))


def play(lines: Sequence[Line], gpus: int) -> Schedule:
    """Keyframes in the song's order, and clips after them, each on the first GPU that is free."""
    free = [0.0] * gpus
    heapq.heapify(free)
    rendered: list[float] = []
    for line in lines:
        rendered.append(heapq.heappop(free) + line.keyframes)
        heapq.heappush(free, rendered[-1])
    ready = [max(rendered[max(number - 1, 0) : number + 1]) for number in range(len(lines))]
    ended = []
    for start, clip in sorted((start, line.clip) for start, line in zip(ready, lines, strict=True)):
        ended.append(max(start, heapq.heappop(free)) + clip)
        heapq.heappush(free, ended[-1])
    busy = sum(line.keyframes + line.clip for line in lines)
    return Schedule(gpus, max(ended), busy, max(line.keyframes + line.clip for line in lines))


def lines(made: Plan, cost: Cost) -> list[Line]:
    """What a film's lines cost."""
    found = []
    for entry in made.timeline.clips:
        shown = made.clips[entry.clip].shown
        iterations = request.iterations(made.segments[shown.segment], made.needs[shown.segment])
        found.append(Line(cost.start + iterations * cost.iteration, cost.start + shown.frames * cost.frame))
    return found


def table(schedules: Sequence[Schedule]) -> str:
    """One row for each number of GPUs."""
    rows = ["| GPUs | time | times as fast | GPUs idle |", "|---|---|---|---|"]
    alone = schedules[0].seconds
    for each in schedules:
        faster = f"{alone / each.seconds:.1f}"
        rows.append(f"| {each.gpus} | {duration(each.seconds)} | {faster} | {100 * each.idle:.0f}% |")
    return "\n".join(rows)


# The picture: both axes go from 1 to 64 by doubling

SIDE, EDGE = 60, 50  # pixels for a doubling, and around


def _point(gpus: float, faster: float) -> str:
    return f"{EDGE + SIDE * log2(gpus):.1f},{EDGE + SIDE * (6 - log2(faster)):.1f}"


def _curve(points: Sequence[tuple[float, float]], colour: str, dashes: str = "") -> str:
    path = " ".join(_point(*point) for point in points)
    style = f'fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dashes}"'
    return f'<polyline points="{path}" {style}/>'


def _text(x: float, y: float, words: str, colour: str = "black") -> str:
    font = f'fill="{colour}" font-family="sans-serif" font-size="13"'
    return f'<text x="{x:.0f}" y="{y:.0f}" {font}>{words}</text>'


def picture(films: Mapping[str, Sequence[Schedule]]) -> str:
    """An SVG of how many times as fast each film is, over the number of GPUs."""
    size = 2 * EDGE + 6 * SIDE
    marks = [_text(EDGE + SIDE * log2(gpus) - 5, size - EDGE + 20, str(gpus)) for gpus in GPUS]
    marks += [_text(EDGE - 25, EDGE + SIDE * (6 - log2(gpus)) + 5, str(gpus)) for gpus in GPUS]
    marks += [_text(size / 2 - 20, size - 10, "GPUs"), _text(10, 25, "times as fast as one")]
    shown = [_curve([(1, 1), (64, 64)], "grey", "4 4")]
    for number, (name, schedules) in enumerate(films.items()):
        colour = COLOURS[number % len(COLOURS)]
        alone = schedules[0].seconds
        shown.append(_curve([(each.gpus, alone / each.seconds) for each in schedules], colour))
        shown.append(_text(EDGE + 15, EDGE + 20 + 18 * number, name, colour))
    box = f'x="{EDGE}" y="{EDGE}" width="{6 * SIDE}" height="{6 * SIDE}"'
    frame = f'<rect width="{size}" height="{size}" fill="white"/><rect {box} fill="none" stroke="silver"/>'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{size}" height="{size}">'
    return "\n".join([head, frame, *marks, *shown, "</svg>"]) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.schedule", description=__doc__)
    for name in ("iteration", "frame", "start"):
        parser.add_argument(f"--{name}", type=float, required=True, help="seconds")
    parser.add_argument("--songs", type=int, nargs="+", default=[1], help="so many of them in one go")
    parser.add_argument("--plot", type=Path, help="an SVG file to write")
    parser.add_argument("--config", nargs="*", default=[], metavar="KEY=VALUE", help="as snakemake's")
    options = parser.parse_args(arguments)
    cost = Cost(options.iteration, options.frame, options.start)
    song = lines(_planned(dict(entry.split("=", 1) for entry in options.config)), cost)
    films = {
        f"{len(song) * songs} lines": [play(song * songs, gpus) for gpus in GPUS] for songs in options.songs
    }
    for name, schedules in films.items():
        print(f"{name}, the longest of which takes {duration(schedules[0].bound)}\n\n{table(schedules)}\n")
    if options.plot:
        options.plot.write_text(picture(films), encoding="utf-8")


def _planned(over: dict[str, str]) -> Plan:
    """The plan of a song of 38 rows, 37 lines."""
    with tempfile.TemporaryDirectory() as folder:
        project = new_project(Path(folder) / "project")
        project.write(whole_song())
        keys = {"screenplay": str(project.screenplay), "audio": "none", "tail": 0}
        return plan.make(resolve(keys | over), project.results)


if __name__ == "__main__":
    main()
