"""The crash test: a film is rendered while its processes are killed at random, and must come out the same.

A round starts snakemake, kills a job, snakemake or everything at a random moment, starts the same command
again, and so on. At its end the film, the clips and the latents must be to the byte those of a rendering that
nobody disturbed, and no finished keyframe may have been rendered twice. docs/reliability.md tells more.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

import psutil

from songreel.ground.documents import SegmentRecipe
from songreel.ground.errors import DamageError
from songreel.ground.messages import shorten
from songreel.ground.paths import Paths
from songreel.jobs import latents
from tests import bands
from tests.calls import DRAWING, IMPORTING, JOINING, SAMPLING, Call, happens, kill
from tests.conftest import TINY, Project, Settings, new_project

# About 12 seconds on two cores; ten keyframes a line, a quarter of a second each.
SECONDS = 4.5
FILM: Settings = {**TINY, "keyframes_per_second": 4, "iterations": 20, "audio": "auto"}
# One of them moves, by the song, and is held to itself.
LINES = """text,start,zoom,angle,learning_rate,stability
a lighthouse at dusk,0,,,,
"the tide comes in, and in",1.5,1 + 0.5*low,"sin(p=1s, a=20)",0.5 + 0.5*onset,2
a red boat,3,,,,
"""

JOB, FAMILY, WORKER = "a job", "a job with shell and ffmpeg", "a worker"
SNAKEMAKE, ALL = "snakemake alone", "everything"
KINDS = (JOB, FAMILY, WORKER, SNAKEMAKE, ALL)
PLANNING = "planning"  # or between two jobs
DOINGS = (PLANNING, IMPORTING, DRAWING, JOINING, SAMPLING)  # of two at a time the later one counts

MOST_KILLS = 4  # in a round
STARTING = 3.0  # seconds, about, until a run that goes on has come to where the one before was killed
PATIENCE = 600.0  # seconds after which a process hangs


class BrokenPromiseError(Exception):
    """A promise that was not kept."""


@dataclass(frozen=True)
class Undisturbed:
    """The film as it is when nobody kills anything, and the seconds it takes."""

    project: Project
    seconds: float

    @property
    def texts(self) -> dict[str, str]:
        """The lines as reports name them, by segment."""
        plans = {segment: self.project.results.segment_plan(segment) for segment in self.project.segments}
        return {segment: shorten(SegmentRecipe.read(plan).text) for segment, plan in plans.items()}


@dataclass(frozen=True)
class Blow:
    """A kill as it is drawn by lot."""

    kind: str
    moment: float  # 0 to 1, of the time that the rendering still takes
    job: float  # 0 to 1, of the jobs that run then


@dataclass(frozen=True)
class Kill:
    """A kill as it happened."""

    kind: str
    doing: str
    unfinished: int  # keyframes that were being sampled, at most


@dataclass
class Round:
    """One film, rendered in spite of everything."""

    seed: int
    undisturbed: Undisturbed
    folder: Path
    calls: list[Call] = field(default_factory=list)
    kills: list[Kill] = field(default_factory=list)
    late: int = 0  # kills that the rendering was quicker than
    seconds: float = 0
    lost: int = 0  # keyframes that were on disk before a job began and that it rendered again
    leftovers: int = 0  # temporary files that nobody was left to remove
    identical: bool | None = None  # with the undisturbed film; None when it did not come to that
    wrong: str = ""  # the promise that was not kept

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self.project = _project(self.folder / "project")
        self.texts = self.undisturbed.texts
        self.saved: Counter[str] = Counter()  # the most keyframes seen on disk, by segment
        self.begun: Counter[Call] = Counter()  # how many of its segments have been looked at

    def play(self) -> Round:
        """Render and kill, and render to the end."""
        started = time.monotonic()
        try:
            for blow in drawn(self.seed):
                left = max(0.0, self.undisturbed.seconds - (time.monotonic() - started))
                self._disturb(blow, blow.moment * (left + STARTING))
            self._finish()
            self._compare()
        except BrokenPromiseError as violation:
            self.wrong = str(violation)
        finally:
            self._kill_all()
        self.seconds = time.monotonic() - started
        self.leftovers = sum(path.is_file() for path in self.project.results.root.rglob(".[0-9]*-*"))
        return self

    def _disturb(self, blow: Blow, seconds: float) -> None:
        call = self._call()
        if self._comes(call.ended, seconds):
            self.late += 1
            self._expect(call, 0)
            return
        self._strike(blow, call)
        self._look()
        if self.kills[-1].kind in (JOB, FAMILY, WORKER):
            self._expect(call, 0, 1)  # 0 when the job was left over from a call before

    def _finish(self) -> None:
        self._expect(self._call(), 0)
        if not self._comes(lambda: not any(call.members() for call in self.calls), PATIENCE):
            raise BrokenPromiseError("a job that outlived its snakemake does not end")

    def _call(self) -> Call:
        output = self.folder / f"snakemake-{len(self.calls) + 1}.txt"
        self.calls.append(Call.start(self.project, output, self.texts))
        return self.calls[-1]

    def _expect(self, call: Call, *statuses: int) -> None:
        if not self._comes(call.ended, PATIENCE):
            raise BrokenPromiseError(f"snakemake does not end; see {call.output}")
        if call.process.returncode not in statuses:
            raise BrokenPromiseError(
                f"snakemake ended with status {call.process.returncode}; see {call.output}"
            )

    def _comes(self, event: Callable[[], bool], seconds: float) -> bool:
        """Whether something comes about within some seconds, which are spent looking at the keyframes."""

        def look() -> bool:
            self._look()
            return event()

        return happens(look, seconds)

    def _look(self) -> None:
        """See what jobs went on from since the last look, and then how many keyframes are on disk now.

        While a job holds a segment nobody else makes it longer: it has all that was there at the last look.
        """
        for call in self.calls:
            for segment, keyframes in call.begun()[self.begun[call] :]:
                self.lost += max(0, self.saved[segment] - keyframes)
                self.begun[call] += 1
        self.saved |= Counter({segment: saved(self.project.results, segment) for segment in self.texts})
        if self.lost:
            raise BrokenPromiseError(f"{self.lost} finished keyframes are rendered again")

    def _strike(self, blow: Blow, call: Call) -> None:
        """Kill what was drawn, and see it dead. Where no job runs, snakemake is killed instead of one."""
        jobs = [job for each in self.calls for job in each.jobs()]
        workers = [worker for each in self.calls for worker in each.workers()]
        if blow.kind == ALL:
            kind, hit = ALL, jobs
            self._kill_all()
        elif blow.kind == SNAKEMAKE or not jobs:
            kind, hit = SNAKEMAKE, []
            kill([psutil.Process(call.process.pid)])
        elif blow.kind == WORKER and workers:
            kind, hit = WORKER, jobs  # one of them, or none where it was idle
            kill([workers[int(blow.job * len(workers))]])
        else:
            kind, hit = (FAMILY if blow.kind == FAMILY else JOB), [jobs[int(blow.job * len(jobs))]]
            kill(hit[0].family() if kind == FAMILY else [hit[0].process])
        doing = max((job.doing for job in hit or jobs), key=DOINGS.index, default=PLANNING)
        self.kills.append(Kill(kind, doing, sum(job.doing == SAMPLING for job in hit)))

    def _kill_all(self) -> None:
        for call in self.calls:
            call.kill_all()

    def _compare(self) -> None:
        ours, theirs = contents(self.project), contents(self.undisturbed.project)
        differing = sorted(name for name in ours | theirs if ours.get(name) != theirs.get(name))
        self.identical = not differing
        if differing:
            raise BrokenPromiseError(f"other than undisturbed: {', '.join(differing)}")


def drawn(seed: int) -> list[Blow]:
    """The kills of a round."""
    lot = random.Random(seed)
    kills = lot.randint(1, MOST_KILLS)
    kinds = (JOB, FAMILY, WORKER, SNAKEMAKE, SNAKEMAKE, ALL, ALL)
    return [Blow(lot.choice(kinds), lot.random(), lot.random()) for _ in range(kills)]


def saved(results: Paths, segment: str) -> int:
    """The keyframes of a segment that are on disk. Raises BrokenPromiseError when a file is damaged."""
    files = [*_kept(results.work(segment)), *results.rendered(segment).values()]
    return max((_keyframes(path, segment) for path in files), default=0)


def _kept(work: Path) -> list[Path]:
    try:
        return list(work.glob("**/kept.zarr.zip"))
    except FileNotFoundError:
        return []


def _keyframes(path: Path, segment: str) -> int:
    try:
        return len(latents.load(path, segment))
    except FileNotFoundError:
        return 0
    except DamageError as error:
        raise BrokenPromiseError(str(error)) from None


def contents(project: Project) -> dict[str, bytes]:
    """The film and all that it is made of, but for temporary files and the note whose folder it is.

    The storyboard, too, tells of a run: how long each line took. How much a film flickers is measured when it
    is there, and is nobody's input.
    """
    root = project.results.root
    folders = (root / "latents", root / "clips", project.film.parent)
    files = {path for folder in folders for path in folder.glob("[!.]*")}
    files -= set(root.glob("*/screenplay.json"))  # which tells where the screenplay lies from there
    files -= {*root.glob("*/storyboard.*"), *root.glob("*/flicker.json")}
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def undisturbed(folder: Path) -> Undisturbed:
    """Render the film, and let nobody disturb it."""
    project = _project(folder)
    started = time.monotonic()
    project.rendered()
    return Undisturbed(project, time.monotonic() - started)


def _project(folder: Path) -> Project:
    project = new_project(folder, **FILM)
    project.screenplay.parent.mkdir(parents=True)
    project.screenplay.write_text(LINES, encoding="utf-8")
    drums = bands.struck(bands.bass_drum(), bands.times(120, SECONDS), SECONDS)
    bands.wav(drums, project.screenplay.with_suffix(".wav"))
    return project


def rounds(count: int, seed: int, undisturbed: Undisturbed, folder: Path) -> Iterator[Round]:
    """Play rounds in folders of their own, each of which is removed when all went well."""
    for number in range(seed, seed + count):
        played = Round(number, undisturbed, folder / f"round-{number}").play()
        yield played
        if played.wrong:
            return
        shutil.rmtree(played.folder)


def line(played: Round) -> str:
    """What a round was like."""
    kills = [f"{kill.kind} while {kill.doing}" for kill in played.kills] + ["too late"] * played.late
    identical = {True: "yes", False: "no", None: "not compared"}[played.identical]
    return (
        f"seed {played.seed}: {'; '.join(kills)}: {played.seconds:.0f} s, lost {played.lost},"
        f" {played.leftovers} left over, identical {identical}"
    )


def summary(played: Sequence[Round]) -> str:
    """The figures of all rounds, as docs/reliability.md has them."""
    kills = [kill for each in played for kill in each.kills]
    figures = {
        "rounds": len(played),
        "seconds a round": round(fmean(each.seconds for each in played)),
        "kills": len(kills),
        "calls of snakemake": sum(len(each.calls) for each in played),
        "finished keyframes rendered again": sum(each.lost for each in played),
        "unfinished keyframes rendered again, at most": sum(kill.unfinished for kill in kills),
        "rounds with the same film, clips and latents": sum(each.identical is True for each in played),
        "temporary files left over": sum(each.leftovers for each in played),
    }
    return f"{_kills_table(kills)}\n\n{_table(['in all', ''], figures.items())}"


def _kills_table(kills: Sequence[Kill]) -> str:
    counted = Counter((kill.kind, kill.doing) for kill in kills)
    rows = [[kind, *(counted[kind, doing] for doing in DOINGS)] for kind in KINDS]
    return _table(["killed, while", *DOINGS], rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    cells = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in cells)


def main(arguments: Sequence[str] | None = None) -> int:
    """Play rounds until one fails; the exit status is 1 then."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("rounds", type=int, nargs="?", default=10, help="default: 10")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of the first round")
    options = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    reference = undisturbed(folder / "undisturbed")
    print(f"Undisturbed, the film takes {reference.seconds:.0f} s.", flush=True)
    played = []
    for each in rounds(options.rounds, options.seed, reference, folder):
        print(line(each), flush=True)
        played.append(each)
    print(f"\n{summary(played)}")
    if played[-1].wrong:
        last = played[-1]
        print(f"\n{last.wrong}; see {last.folder}; the same again: --seed {last.seed}", file=sys.stderr)
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
