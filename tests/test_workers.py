"""Jobs whose commands are run by processes that they share: the same films, and each job on its own."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from songreel.jobs import heartbeat, host, latents, leases, workers
from songreel.jobs.environment import of_job
from songreel.jobs.locks import OWNER
from tests.calls import await_death, happens, lives, words_of
from tests.conftest import REPOSITORY, TINY, Project, environment, new_project

LINES = [("a lighthouse at dusk", 0.0), ("the tide comes in", 1.5), ("a red boat", 3.0)]
SOON = 60.0  # seconds, on a busy machine


@dataclass
class Crew:
    """A workflow's folder of workers, and a planned project whose jobs they can do."""

    project: Project
    folder: Path

    def environment(self, **changes: str) -> dict[str, str]:
        return {
            **environment(),
            "PYTHONPATH": str(REPOSITORY / "workflow"),
            workers.POOL: str(self.folder),
            **changes,
        }

    def job(self, keyframes: int, **changes: str) -> subprocess.Popen[str]:
        """Start a job on the first line."""
        plan = self.project.results.segment_plan(self.segment)
        return subprocess.Popen(
            [sys.executable, "-m", "songreel", "keyframes", plan, str(keyframes)],
            cwd=self.project.folder,
            env=self.environment(**changes),
            stderr=subprocess.PIPE,
            text=True,
        )

    def done(self, keyframes: int, **changes: str) -> int:
        """Have a job done; the worker that has done it."""
        with self.job(keyframes, **changes) as job:
            assert job.stderr
            said = job.stderr.read()
            assert job.wait() == 0, said
        assert happens(lambda: bool(self.idle()), SOON)
        return self.owner()

    def owner(self) -> int:
        """The process that works or worked on the line last."""
        work = self.project.results.work(self.segment)
        last = max(work.glob("[1-9]*"), key=lambda lock: int(lock.name))
        facts = heartbeat.read(last / OWNER)
        assert facts
        return int(facts["pid"])

    def idle(self) -> set[int]:
        return {int(path.stem.rpartition("-")[2]) for path in self.folder.glob(f"*{workers.IDLE}")}

    def keeps(self, keyframes: int, job: subprocess.Popen[str]) -> psutil.Process:
        """Wait until a job has kept so many keyframes; the worker that works for it."""
        assert happens(lambda: job.poll() is not None or self.kept() >= keyframes, SOON)
        assert job.poll() is None
        return psutil.Process(self.owner())

    def kept(self) -> int:
        files = sorted(self.project.results.work(self.segment).glob("*/kept.zarr.zip"))
        return len(latents.load(files[-1], self.segment)) if files else 0

    @property
    def segment(self) -> str:
        return self.project.segments[0]


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = new_project(tmp_path_factory.mktemp("workers") / "project", **{**TINY, "iterations": 10})
    project.write(LINES)
    assert project.planned()["keyframes"] == len(LINES)
    return project


@pytest.fixture
def crew(planned: Project, tmp_path: Path) -> Iterator[Crew]:
    with workflow() as folder:
        yield Crew(planned.copy(tmp_path / "project"), folder)


@contextmanager
def workflow(parent: Path | None = None) -> Iterator[Path]:
    """The folder of a workflow that runs while the block does, and whose workers end with it."""
    folder = Path(tempfile.mkdtemp(prefix=workers.PREFIX, dir=parent))  # sockets have short paths
    with (folder / workers.OPEN).open("w") as lock:
        lock.write("[2, 0]")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder
        mine = working(folder)
    assert happens(lambda: not any(map(lives, mine)), SOON), mine
    workers.remove(folder)  # if the last one was killed
    assert not folder.exists()


def working(folder: Path) -> list[psutil.Process]:
    """A workflow's workers."""
    return [process for process in psutil.process_iter() if str(folder) in words_of(process)]


# The films


def test_a_films_jobs_share_workers_and_come_to_what_they_come_to_alone(
    planned: Project, tmp_path: Path
) -> None:
    shared, alone = (planned.copy(tmp_path / name) for name in ("shared", "alone"))
    log = tmp_path / "log"
    (tmp_path / "sitecustomize.py").write_text(
        f"import sys\nwith open({str(log)!r}, 'a') as file: file.write(' '.join(sys.orig_argv[1:4]) + '\\n')"
    )
    path = f"{tmp_path}{os.pathsep}{REPOSITORY / 'workflow'}"

    def began(project: Project, **changes: str) -> list[str]:
        """The processes of the package that rendering a film begins."""
        log.write_text("")
        run = {**environment(), "PYTHONPATH": path, **changes}
        subprocess.run(project.snakemake(config={"iterations": 1}), env=run, check=True, capture_output=True)
        return [words.split()[1] for words in log.read_text().splitlines() if "songreel" in words]

    processes = began(shared)
    assert len([name for name in processes if name == "songreel"]) >= 2 * len(LINES)
    # One for each core; a job that is quicker than the end of the one before it begins another.
    assert 2 <= processes.count("songreel.worker") <= 4
    assert "songreel.worker" not in began(alone, **{workers.POOL: workers.NONE})
    for folder in ("latents", "clips"):
        names = sorted(path.name for path in (shared.results.root / folder).iterdir())
        assert len(names) == len(LINES)
        for name in names:
            made, expected = (project.results.root / folder / name for project in (shared, alone))
            assert made.read_bytes() == expected.read_bytes(), name
    assert shared.film.read_bytes() == alone.film.read_bytes()


# One worker after another job


def test_a_worker_does_one_job_after_another_in_the_same_environment(crew: Crew) -> None:
    first = crew.done(1)
    assert crew.idle() == {first}
    assert crew.done(2) == first
    assert crew.done(3, PATH=os.environ["PATH"] + ":/x", TMPDIR=str(crew.folder)) == first
    other = crew.done(4, OMP_NUM_THREADS="1", MKL_NUM_THREADS="2")
    assert other != first
    assert crew.idle() == {first, other}
    assert len(latents.load(crew.project.results.latents(crew.segment, 4), crew.segment)) == 4


def test_a_prepared_worker_does_the_job_that_it_was_prepared_for(
    crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in crew.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(crew.project.folder)
    workers.foresee(lines=2, new=2)
    assert happens(lambda: len(crew.idle()) == 1, SOON)
    workers.prepare(jobs=1, threads=1)
    (prepared,) = crew.idle()
    assert crew.done(1, **of_job(1), CUDA_VISIBLE_DEVICES="") == prepared


def test_each_device_has_workers_of_its_own(crew: Crew, tmp_path: Path) -> None:
    gpus = {leases.FAKE: "2", leases.LEASES: str(tmp_path / "leases"), "CUDA_VISIBLE_DEVICES": "0,1"}
    first = crew.done(1, **gpus)
    with (tmp_path / "leases/0-0.lock").open() as busy:
        fcntl.flock(busy, fcntl.LOCK_EX)
        second = crew.done(2, **gpus)
    assert second != first
    assert crew.done(3, **gpus) == first


# Jobs that end before their time


def test_a_killed_job_takes_its_worker_along_and_the_next_goes_on(crew: Crew) -> None:
    with crew.job(15) as job:
        worker = crew.keeps(2, job)
        job.kill()
        await_death([worker])
    done = crew.kept()
    assert 2 <= done < 15
    with crew.job(15) as job:
        assert job.stderr
        said = job.stderr.read()
        assert job.wait() == 0
    first, *_ = [line for line in said.splitlines() if "waiting for" not in line]
    assert f"keyframe {done} of 15" in first


def test_a_stopped_job_says_so_once_when_its_worker_has_stopped(crew: Crew) -> None:
    with crew.job(15) as job:
        worker = crew.keeps(1, job)
        job.send_signal(signal.SIGTERM)
        assert job.wait() == 128 + signal.SIGTERM
        assert not lives(worker)
        assert job.stderr
        assert job.stderr.read().count("songreel: stopped; ") == 1


def test_a_job_whose_worker_is_killed_says_so_in_a_sentence(crew: Crew) -> None:
    with crew.job(15) as job:
        crew.keeps(1, job).kill()
        assert job.wait() == 1
        assert job.stderr
        *_, last = job.stderr.read().splitlines()
    assert "ended without a word, most likely killed for want of memory" in last
    assert crew.done(15) > 0


def test_a_job_that_fails_says_why_once_and_ends_its_worker(crew: Crew) -> None:
    plan = crew.project.results.segment_plan(crew.segment)
    plan.write_text(plan.read_text().replace('"sha256": "', '"sha256": "0'))
    with crew.job(1) as job:
        assert job.wait() == 1
        assert job.stderr
        assert job.stderr.read().count("found another plan than its name says") == 1
    assert happens(lambda: not any(map(lives, working(crew.folder))), SOON)


# Who shares them


@pytest.mark.parametrize(
    ("changes", "shares"),
    [
        ({}, True),
        ({"dryrun": True}, False),
        ({"nodes": 4}, False),
        ({"cores": None}, False),
        ({"is_main_process": False}, False),
        ({"deployment_method": {"conda"}}, False),
        ({"executor": {"local_exec": False}}, False),
        ({"executor": {"local_exec": True}, "nodes": 4}, True),
        ({"executor": {"local_exec": True, "dryrun": True}}, False),
        ({"executor": {"local_exec": True, "touch": True}}, False),
    ],
)
def test_jobs_share_workers_where_snakemake_renders_on_this_machine(
    changes: dict[str, Any], shares: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(workers.POOL, "/another workflow's")
    monkeypatch.setenv(leases.MACHINE, "another machine's")
    host.share_workers(snakemake(**changes))
    folder = os.environ.get(workers.POOL)
    assert (folder is not None) == shares == (leases.MACHINE in os.environ)
    assert os.environ.get(leases.MACHINE) != "another machine's"
    assert folder is None or not workers.has_ended(Path(folder))


def test_a_workflows_folder_is_locked_and_short_and_those_of_killed_ones_are_removed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with tempfile.TemporaryDirectory() as parent:
        monkeypatch.setattr(tempfile, "tempdir", parent)
        with workflow(Path(parent)) as other:
            left, users = (Path(tempfile.mkdtemp(prefix=workers.PREFIX)) for _ in range(2))
            (left / workers.OPEN).touch()
            (left / f"12345678-any-1{workers.IDLE}").touch()
            (users / "notes").touch()
            (users / workers.OPEN).touch()
            made = workers._new_folder.__wrapped__()
            assert {other, users, made} == set(Path(parent).iterdir())
            assert not workers.has_ended(made)
        monkeypatch.setattr(tempfile, "tempdir", f"{parent}/{'x' * workers.LONGEST_PARENT}")
        elsewhere = workers._new_folder.__wrapped__()
        assert elsewhere.parent == Path("/tmp")
        longest = f"/{made.name}/12345678-12345678-1234567{workers.IDLE}"
        assert workers.LONGEST_PARENT + len(longest) <= 103
        workers.remove(elsewhere)
        assert not elsewhere.exists()


def test_who_wants_none_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(workers.POOL, workers.NONE)
    monkeypatch.setenv(leases.MACHINE, "")
    host.share_workers(snakemake())
    assert os.environ[workers.POOL] == workers.NONE
    assert workers.run(["keyframes"]) is None


def snakemake(
    executor: dict[str, bool] | None = None,
    dryrun: bool = False,
    cores: int | None = 2,
    nodes: int | None = None,
    is_main_process: bool = True,
    deployment_method: set[str] | None = None,
) -> SimpleNamespace:
    """A workflow as Snakemake knows it when it reads the Snakefile, or later, when it has its executor."""
    known = {"local_exec": True, "dryrun": False, "touch": False, **(executor or {})}
    return SimpleNamespace(
        **known,
        executor_plugin=executor and object(),
        is_main_process=is_main_process,
        deployment_settings=SimpleNamespace(deployment_method=deployment_method or set()),
        resource_settings=SimpleNamespace(cores=cores, nodes=nodes),
        output_settings=SimpleNamespace(dryrun=dryrun),
    )
