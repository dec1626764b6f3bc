"""A songreel project in a folder of its own, rendered by the real Snakemake with the real starter model."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Before Triton is imported by whatever imports it: without a GPU its kernels are interpreted.
if not any(map(os.path.exists, ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg"))):
    os.environ["TRITON_INTERPRET"] = "1"

import pytest

from songreel.ground.documents import Timeline
from songreel.ground.messages import LOGGER, Handler
from songreel.ground.paths import Paths, song_folder
from songreel.planning import album

REPOSITORY = Path(__file__).parents[1]

# Files of tests that take longest, which are begun first: else one worker ends with them, and others wait.
LONGEST = (
    *("slurm", "edits", "workflow", "failures", "soak", "album", "direction", "steered", "storyboard"),
    *("examples", "wheel", "browser", "display", "camera", "host", "joined", "growth", "fused", "doctor"),
    *("starter_evaluation", "starter_vqgan", "starter_towers", "models", "prune", "places", "bench"),
)

Settings = Mapping[str, Any]

STORYBOARD = "storyboard"  # the rule

# As little work as draws every line differently: with fewer or smaller steps no token would ever change.
TINY: Settings = {
    "size": "32x32",
    "iterations": 1,
    "lead_in": 1,
    "cutouts": 2,
    "learning_rate": 1,
    "keyframes_per_second": 1,
    "frames_per_second": 8,
    "transition": 0.5,
    "tail": 2,
    "audio": "none",
    "album": "none",
}


@dataclass(frozen=True)
class Run:
    """One call of snakemake: its exit status, what it printed, and the jobs of the film it ran, by rule.

    The storyboard, which shows a film and costs nothing of it, is counted for itself.
    """

    status: int
    output: str
    executed: Counter[str]
    storyboards: int = 0  # that were made

    @property
    def planned(self) -> Counter[str]:
        """The jobs of the film that were to be run, by rule."""
        rows = self.all_planned.items()
        return Counter({rule: count for rule, count in rows if rule != STORYBOARD})

    @property
    def all_planned(self) -> Counter[str]:
        """All jobs that were to be run, by rule."""
        table = re.search(r"^Job stats:\n.*\n-.*\n((?:\w+ +\d+\n)+)", self.output, re.MULTILINE)
        assert table or "Nothing to be done" in self.output, self.output
        rows = (row.split() for row in table[1].splitlines()) if table else ()
        return Counter({rule: int(count) for rule, count in rows if rule not in ("all", "total")})


@dataclass(frozen=True)
class Project:
    """A folder with a config.yaml and screenplays of its own, rendered by this checkout's workflow."""

    folder: Path
    song: str = "song"  # the screenplay's stem

    def configure(self, **settings: Any) -> None:
        """Set keys in config.yaml, those behind a # too."""
        config = self.folder / "config.yaml"
        text = config.read_text(encoding="utf-8")
        for key, value in settings.items():
            line = f"{key}: {json.dumps(value)}".replace("\\", r"\\")
            text, count = re.subn(rf"^(# )?{key}:.*$", line, text, flags=re.MULTILINE)
            assert count == 1, key
        config.write_text(text, encoding="utf-8")

    def write(self, lines: Sequence[tuple[str, float]]) -> None:
        """Write the screenplay: texts with their starts in seconds."""
        rows = ('"{}",{}\n'.format(text.replace('"', '""'), start) for text, start in lines)
        self.screenplay.parent.mkdir(parents=True, exist_ok=True)
        self.screenplay.write_text("".join(rows), encoding="utf-8")

    def snakemake(self, *arguments: str, config: Settings | None = None) -> list[str | Path]:
        """The command that renders the film, with `config` on top of what config.yaml says.

        It prints what Snakemake itself tells of its jobs.
        """
        over = ("--config", *(f"{key}={value}" for key, value in config.items())) if config else ()
        return [
            *(sys.executable, "-m", "snakemake", "--snakefile", REPOSITORY / "Snakefile"),
            *("--directory", self.folder, "--workflow-profile", REPOSITORY / "profiles/default"),
            *("--logger-songreel-off", "--cores", "2", *over, *arguments),
        ]

    def run(self, *arguments: str, config: Settings | None = None) -> Run:
        """Run snakemake, with `config` on top of what config.yaml says."""
        process = self.start(config, *arguments)
        output, _ = process.communicate()
        finished = re.findall(r"^Finished jobid: \d+ \(Rule: (\w+)\)", output, re.MULTILINE)
        jobs = Counter(rule for rule in finished if rule != "all")
        storyboards = jobs.pop(STORYBOARD, 0)
        return Run(process.returncode, output, jobs, storyboards)

    def start(self, config: Settings | None = None, *arguments: str) -> subprocess.Popen[str]:
        """Start snakemake; its output, errors included, can be read from the process."""
        return subprocess.Popen(
            self.snakemake(*arguments, config=config),
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )

    def rendered(self, config: Settings | None = None) -> Counter[str]:
        """Render the film; the jobs that ran, by rule."""
        run = self.run(config=config)
        assert run.status == 0, run.output
        assert run.storyboards == 1 if run.executed["film"] else run.storyboards <= 1, run.output
        return run.executed

    def planned(self, config: Settings | None = None) -> Counter[str]:
        """The jobs that would run, by rule."""
        run = self.run("--dry-run", config=config)
        assert run.status == 0, run.output
        return run.planned

    def command(self, *arguments: str | Path) -> subprocess.Popen[str]:
        """Start one of the package's commands in the project's folder, as a rule does."""
        return subprocess.Popen(
            [sys.executable, "-m", "songreel", *arguments],
            cwd=self.folder,
            env={**environment(), "PYTHONPATH": str(REPOSITORY / "workflow")},
            stderr=subprocess.PIPE,
            text=True,
        )

    def copy(self, folder: Path) -> Project:
        """The same project in another folder, with the files' times."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Project(folder, self.song)

    @property
    def screenplay(self) -> Path:
        return self.folder / f"screenplays/{self.song}.csv"

    @property
    def results(self) -> Paths:
        return Paths(self.folder / "results")

    @property
    def film(self) -> Path:
        return self.results.film(song_folder(self.screenplay))

    @property
    def timeline(self) -> Timeline:
        """What the film is joined from, by the latest plan."""
        return Timeline.read(self.results.timeline(song_folder(self.screenplay)))

    @property
    def clips(self) -> list[Path]:
        """The film's clips in order."""
        return [self.results.clip(entry.clip) for entry in self.timeline.clips]

    @property
    def segments(self) -> list[str]:
        """The lines' segments in order."""
        return [line.segment for line in self.timeline.lines]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest."""
    places = {f"test_{name}.py": place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))


def environment() -> dict[str, str]:
    """Nobody's Snakemake settings, and no GPU: only on a CPU are two renderings the same to the byte."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("SNAKEMAKE_")}
    return {**kept, "CUDA_VISIBLE_DEVICES": ""}


def new_project(folder: Path, song: str = "song", **settings: Any) -> Project:
    """A project without lines yet, with this checkout's config.yaml and the settings given in it."""
    folder.mkdir()
    shutil.copy(REPOSITORY / "config.yaml", folder)
    project = Project(folder, song)
    project.configure(screenplay=f"screenplays/{song}.csv", **settings)
    return project


@pytest.fixture(scope="session", autouse=True)
def no_album() -> Iterator[None]:
    """What tests plan starts from the canvas unless they ask for an album, since to choose takes long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(album, "STARTER", Path("no album"))
        yield


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return new_project(tmp_path / "project", **TINY)


@pytest.fixture
def messages() -> Iterator[list[str]]:
    """What is said in this process while a test runs."""
    heard: list[str] = []
    handler = Handler(heard.append)
    LOGGER.addHandler(handler)
    yield heard
    LOGGER.removeHandler(handler)
