"""Lines as the jobs of a real SLURM, which runs on this machine with GPUs that are not there."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
import yte

from songreel.ground.paths import Paths
from songreel.jobs import leases, slurm
from tests.conftest import REPOSITORY, Project, Settings, environment, new_project
from tests.soak import contents, saved

SCRIPT = REPOSITORY / "tests/slurm_cluster.sh"
PROFILE = REPOSITORY / "profiles/slurm"
PATIENCE = 600.0  # seconds after which something hangs

# The demo's first lines, as quickly rendered as they can be: most of the time is the start of processes.
LINES = [("Twinkle, twinkle, little star", 0), ("How I wonder what you are!", 2)]
FILM: Settings = {
    "size": "64x64",
    "iterations": 4,
    "lead_in": 1,
    "cutouts": 2,
    "learning_rate": 1,
    "keyframes_per_second": 2,
    "frames_per_second": 8,
    "transition": 0.5,
    "tail": 2,
    "audio": "none",
    "album": "none",
}


class Job(NamedTuple):
    """A row of the queue."""

    number: str
    name: str
    partition: str
    state: str
    node: str
    comment: str


@dataclass(frozen=True)
class Cluster:
    """A SLURM of two nodes with two GPUs each, whose files lie in a folder."""

    folder: Path

    def do(self, *command: str) -> None:
        subprocess.run(["bash", SCRIPT, self.folder, *command], check=True, timeout=PATIENCE)

    def jobs(self) -> list[Job]:
        """The jobs that wait or run."""
        command = ["squeue", "--noheader", "--format=%i|%j|%P|%t|%N|%k"]
        # None are seen while the controller is away.
        rows = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
        return [Job(*row.split("|", 5)) for row in rows]

    def job(self, text: str) -> Job | None:
        """The job that renders the keyframes of a line, as a person finds it."""
        return next((job for job in self.jobs() if job.comment.startswith(f"{text}: ")), None)

    def restarts(self, job: Job) -> int:
        command = ["scontrol", "show", "job", job.number]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return int(re.findall(r"Restarts=(\d+)", told)[0])


def _hindrance() -> str:
    """Why no SLURM can be started here, if so."""
    if os.geteuid():
        return "SLURM is tested as root only"
    missing = [name for name in ("slurmctld", "slurmd", "squeue", "munged") if not shutil.which(name)]
    if missing:
        return f"SLURM is not installed ({missing[0]}): tests/slurm_cluster.sh /tmp install"
    return ""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    if hindrance := _hindrance():
        assert os.environ.get("CI") != "true", hindrance
        pytest.skip(hindrance)
    if leases.devices():
        pytest.skip("the GPUs of this machine would be used, and no two films be the same to the byte")
    folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))  # its sockets want a short path
    folder.chmod(0o755)
    made = Cluster(folder)
    try:
        made.do("start")
        yield made
    finally:
        made.do("stop")
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The film as it is rendered without SLURM."""
    project = _project(tmp_path_factory.mktemp("local") / "project")
    project.rendered()
    return project


def _project(folder: Path) -> Project:
    project = new_project(folder, **FILM)
    project.write(LINES)
    return project


@dataclass
class Run:
    """A call of snakemake that sends its jobs to SLURM, and what was seen of them."""

    cluster: Cluster
    project: Project
    output: Path
    seen: set[Job] = field(default_factory=set)
    devices: set[frozenset[str]] = field(default_factory=set)  # of the jobs that ran at one time
    most: int = 0  # jobs that ran at one time

    def __post_init__(self) -> None:
        settings = ("--slurm-init-seconds-before-status-checks=1", "--max-status-checks-per-second=10")
        with self.output.open("wb") as file:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "tests.quick_snakemake", "--snakefile", REPOSITORY / "Snakefile"),
                    *("--directory", self.project.folder, "--workflow-profile", PROFILE),
                    *("--jobs", "2", "--latency-wait", "10", *settings),
                ],
                cwd=REPOSITORY,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )

    def until(self, event: Callable[[], object]) -> None:
        """Watch the jobs until something comes about."""
        deadline = time.monotonic() + PATIENCE
        while not event():
            self._look()
            assert time.monotonic() < deadline, self.output.read_text()
            time.sleep(0.2)

    def until_told(self, words: str, times: int = 1) -> None:
        """Wait until snakemake, which goes on, has printed something so many times."""
        deadline = time.monotonic() + PATIENCE
        while self.output.read_text().count(words) < times:
            assert not self.ended() and time.monotonic() < deadline, self.output.read_text()
            time.sleep(0.2)

    def ended(self) -> bool:
        return self.process.poll() is not None

    def _look(self) -> None:
        self.seen |= set(self.cluster.jobs())
        devices = [_device(process) for process in _at_work("keyframes", self.project)]
        if None not in devices:
            self.devices.add(frozenset(device for device in devices if device))
            self.most = max(self.most, len(devices))
            assert len(set(devices)) == len(devices), "two jobs see one device"


@contextlib.contextmanager
def rendering(cluster: Cluster, project: Project) -> Iterator[Run]:
    run = Run(cluster, project, project.folder / "snakemake.txt")
    try:
        yield run
    finally:
        if not run.ended():
            run.process.terminate()
            run.process.wait(PATIENCE)


def _at_work(command: str, project: Project) -> list[psutil.Process]:
    """The processes of a command of songreel that work for a project."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            words = process.cmdline()
            if words[1:4] == ["-m", "songreel", command] and str(project.folder) == process.cwd():
                found.append(process)
    return found


def _device(process: psutil.Process) -> str | None:
    """The node and the GPU that SLURM shows a process; None when it has just ended."""
    with contextlib.suppress(psutil.Error, KeyError):
        shown = process.environ()
        return f"{shown['SLURMD_NODENAME']}:{shown[leases.VISIBLE]}"
    return None


def test_lines_are_rendered_on_gpus_of_their_own_and_make_the_same_film(
    cluster: Cluster, film: Project, tmp_path: Path
) -> None:
    project = _project(tmp_path / "project")
    elsewhere = tmp_path / "shared disk"
    project.configure(results=str(elsewhere))
    with rendering(cluster, project) as run:
        run.until(run.ended)
        assert run.process.returncode == 0, run.output.read_text()
    assert run.most == 2
    assert frozenset({"n1:0", "n1:1"}) in run.devices
    _check_queue(run.seen)
    assert not project.results.root.exists()
    assert contents(Elsewhere(project.folder, elsewhere)) == contents(film)


@dataclass(frozen=True)
class Elsewhere(Project):
    """A project whose results lie in another folder."""

    root: Path = Path()

    def __init__(self, folder: Path, root: Path) -> None:
        super().__init__(folder)
        object.__setattr__(self, "root", root)

    @property
    def results(self) -> Paths:
        return Paths(self.root)


def _check_queue(seen: set[Job]) -> None:
    """A person recognises the jobs; each is where its rule sends it."""
    assert all(job.name.startswith("songreel_") for job in seen)
    words = {job.comment for job in seen}
    assert {f"{text}: 10 keyframes" for text, _ in LINES} <= words
    assert {job.partition for job in seen if "keyframes" in job.comment or "clip" in job.comment} == {"gpu"}
    assert {job.partition for job in seen if "rule_film" in job.comment} == {"cpu"}


def test_a_requeued_job_and_one_whose_daemon_died_go_on_and_make_the_same_film(
    cluster: Cluster, film: Project, tmp_path: Path
) -> None:
    project = _project(tmp_path / "project")
    (requeued, left), (one, other) = (text for text, _ in LINES), film.segments
    with rendering(cluster, project) as run:
        first, zombie = _suspended(run, [one, other])
        jobs = [cluster.job(text) for text in (requeued, left)]
        assert jobs[0] and jobs[1]
        had = saved(project.results, one)
        subprocess.run(["scontrol", "requeue", jobs[0].number], check=True)  # which lets it go on, and stop
        run.until(lambda: (job := cluster.job(requeued)) and job.state == "PD")
        assert not first.is_running()

        # Nobody tells the other job that its daemon is dead; it stands still until its second copy is there.
        cluster.do("kill-daemon", "n1")
        try:
            run.until(lambda: f"waiting for process {zombie.pid} on" in _log(project, other))
        finally:
            zombie.resume()
        run.until(lambda: "stopped" not in (log := _log(project, one)) and "keyframe" in log)
        assert _first_report(_log(project, one)) >= had
        run.until(run.ended)
        assert run.process.returncode == 0, run.output.read_text()
        assert all(cluster.restarts(job) for job in jobs if job)
        cluster.do("start-node", "n1")
    assert contents(project) == contents(film)


def _suspended(run: Run, segments: list[str]) -> list[psutil.Process]:
    """The jobs of segments, each held as soon as it has kept a keyframe: they are quick."""
    held: dict[str, psutil.Process] = {}

    def hold() -> bool:
        for job in _at_work("keyframes", run.project):
            segment = next(name for name in segments if name in " ".join(job.cmdline()))
            if segment not in held and saved(run.project.results, segment):
                job.suspend()
                held[segment] = job
        return len(held) == len(segments)

    run.until(hold)
    return [held[segment] for segment in segments]


def _log(project: Project, segment: str) -> str:
    log = project.results.log("keyframes", f"{segment}-10")
    return log.read_text() if log.exists() else ""


def _first_report(log: str) -> int:
    """The keyframes that a job went on from."""
    return int(re.findall(r"keyframe (\d+) of", log)[0])


def test_a_controller_that_is_away_stops_nothing(cluster: Cluster, film: Project, tmp_path: Path) -> None:
    """Away when it is first asked, and again when it is asked how jobs are, which last until it is back."""
    project = _project(tmp_path / "project")
    cluster.do("hush-controller")
    try:
        with rendering(cluster, project) as run:
            run.until_told("SLURM's controller does not answer")
            cluster.do("wake-controller")
            run.until_told("SLURM's controller answers again")
            jobs = _suspended(run, film.segments)
            cluster.do("hush-controller")
            run.until_told("SLURM's controller does not answer", times=2)
            cluster.do("wake-controller")
            for job in jobs:
                job.resume()
            run.until(run.ended)
            assert run.process.returncode == 0, run.output.read_text()
    finally:
        cluster.do("wake-controller")
    assert run.output.read_text().count("SLURM's controller answers again") == 2
    assert contents(project) == contents(film)


# Without SLURM


@pytest.fixture
def squeue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """What the commands of SLURM print from now on."""

    def prints(text: str) -> None:
        for name in ("squeue", "scontrol"):
            (tmp_path / name).write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\n")
            (tmp_path / name).chmod(0o755)

    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    return prints


@pytest.mark.parametrize(
    ("state", "row", "words"),
    [
        (
            "TIMEOUT",
            "1:00|a star: 10 keyframes",
            "out of time, of which it had 1:00: .*runtime .* for keyframes",
        ),
        ("TIMEOUT", "15:00|rule_clip_wildcards_00", "had 15:00: .* larger runtime .minutes. for clip under"),
        (
            "OUT_OF_MEMORY",
            "1:00|a sea: 9 frames",
            "(a sea: 9 frames) ran out of memory: .* mem_mb .* for clip",
        ),
        ("TIMEOUT", "", "SLURM's job 7 ran out of time: .* larger runtime .minutes. for its rule under"),
    ],
)
def test_a_job_that_ran_out_of_what_it_had_says_once_what_to_set(
    state: str, row: str, words: str, squeue: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    squeue(row)
    watch = slurm.Watch(waited_for=["7", "8"])
    for _ in range(2):
        assert watch.update({"7": state, "8": "RUNNING"}) == {"7": state, "8": "RUNNING"}
    told = capsys.readouterr().err
    assert len(told.splitlines()) == 1
    assert re.search(words.replace("(a sea: 9 frames)", r"\(a sea: 9 frames\)"), told), told


def test_jobs_that_slurm_has_forgotten_have_ended_and_no_answer_says_nothing_of_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    watch = slurm.Watch(waited_for=["7", "8", "9_3"])
    answer = {"8": "RUNNING", "9_[1-5]": "PENDING"}
    for _ in range(5):
        assert watch.update(None) == {}
    assert watch.update(answer) == watch.update(answer) == answer
    assert watch.update(None) == {}
    assert watch.update({**answer, "7": "RUNNING"}) == {**answer, "7": "RUNNING"}
    assert watch.update(answer) == watch.update(answer) == answer
    assert watch.update(answer) == {**answer, "7": "UNKNOWN"}
    assert capsys.readouterr().err.count("does not answer; it is asked again") == 2


@pytest.mark.parametrize(
    ("told", "there"),
    [
        ("Slurmctld(primary) at x is UP", True),
        ("Slurmctld(primary) at x is DOWN", False),
        ("Slurmctld(primary) at x is DOWN\nSlurmctld(backup) at y is UP", True),
        ("something else", True),
    ],
)
def test_a_controller_is_there_or_the_one_that_stands_in(
    told: str, there: bool, squeue: Callable[[str], None]
) -> None:
    squeue(told)
    assert slurm.answers() is there


def test_the_executor_is_the_one_that_is_mended() -> None:
    """Another version of it may need no mending, or another one."""
    plugin = importlib.import_module(slurm.PLUGIN)
    source = inspect.getsource(plugin.Executor.check_active_jobs)
    assert "await query_job_status(" in source and "get_min_job_age()" in source
    assert all(callable(getattr(plugin, name)) for name in slurm.MENDED)
    assert {"run_job", "run_array_jobs"} <= vars(plugin.Executor).keys()


@pytest.mark.parametrize(
    ("storage", "command"), [("accounting_storage/slurmdbd", "sacct"), ("accounting_storage/none", "squeue")]
)
def test_jobs_are_looked_up_where_the_cluster_keeps_account_of_them(
    storage: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scontrol = tmp_path / "scontrol"
    scontrol.write_text(
        f"#!/bin/sh\necho 'AccountingStorageHost = x'\necho 'AccountingStorageType   = {storage}'\n"
    )
    scontrol.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    profile = yte.process_yaml((PROFILE / "config.yaml").read_text(encoding="utf-8"), require_use_yte=True)
    assert profile["slurm-status-command"] == command


def test_what_the_default_profile_says_of_files_the_cluster_one_says_too() -> None:
    default, slurm = (
        yte.process_yaml((REPOSITORY / f"profiles/{name}/config.yaml").read_text(encoding="utf-8"))
        for name in ("default", "slurm")
    )
    assert default.items() <= slurm.items()
