"""One job at a time on each GPU of a machine, shown with devices that are not there."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from songreel.jobs import leases, scheduler
from tests.conftest import REPOSITORY, TINY, environment, new_project

SOON = 20.0  # seconds, for a process to start on a busy machine
WHILE = 0.7  # seconds, in which a job that may start would

# A job says which device it sees when it has one, and ends when it is told so.
SCRIPT = """
import os, sys
from songreel.jobs import leases

with leases.held():
    with open(f"{sys.argv[1]}/{os.getpid()}", "w") as file:
        file.write("sees " + os.environ[leases.VISIBLE])
    sys.stdin.readline()
"""


Job = subprocess.Popen[bytes]


@dataclass
class Machine:
    """A machine with fake devices, and the jobs that run on it."""

    folder: Path
    settings: dict[str, str]
    jobs: list[Job] = field(default_factory=list)

    def start(self, count: int = 1, **settings: str) -> list[Job]:
        """Start jobs, which take a device or wait for one."""
        unset = (leases.VISIBLE, scheduler.JOB, leases.JOBS, leases.FAKE)
        inherited = {key: value for key, value in os.environ.items() if key not in unset}
        started = [
            subprocess.Popen(
                [sys.executable, "-c", SCRIPT, str(self.folder)],
                env=inherited | {"PYTHONPATH": str(REPOSITORY / "workflow"), **self.settings, **settings},
                stdin=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            for _ in range(count)
        ]
        self.jobs += started
        return started

    def at_work(self) -> dict[Job, str]:
        """The jobs that have a device and have not ended, with the device."""
        files = {job: self.folder / str(job.pid) for job in self.jobs if job.poll() is None}
        said = {job: file.read_text().split(" ") for job, file in files.items() if file.exists()}
        return {job: words[1] for job, words in said.items() if len(words) == 2}

    def comes(self, devices: Sequence[str]) -> None:
        """Wait until just these devices are at work, and see that no other job starts."""
        deadline = time.monotonic() + SOON
        while Counter(self.at_work().values()) != Counter(devices):
            assert time.monotonic() < deadline, (self.at_work().values(), devices)
            time.sleep(0.05)
        time.sleep(WHILE)
        assert Counter(self.at_work().values()) == Counter(devices)


@contextlib.contextmanager
def machine(folder: Path, devices: int, **settings: str) -> Iterator[Machine]:
    fake = {leases.FAKE: str(devices), leases.LEASES: str(folder / "leases")}
    made = Machine(folder, fake | settings)
    try:
        yield made
    finally:
        for job in made.jobs:
            job.kill()
            job.wait()


def finish(job: Job) -> None:
    assert job.stdin
    job.stdin.close()
    job.wait(timeout=SOON)
    assert job.returncode == 0


def test_six_jobs_on_four_devices_leave_none_idle_and_none_to_two(tmp_path: Path) -> None:
    four = ["0", "1", "2", "3"]
    with machine(tmp_path, 4) as gpus:
        jobs = gpus.start(6)
        gpus.comes(four)
        first, second, *_ = gpus.at_work()
        finish(first)
        gpus.comes(four)  # a job that waited has the device that was left
        finish(second)
        gpus.comes(four)
        for job in [job for job in jobs if job.poll() is None][:2]:
            finish(job)
        assert len(gpus.at_work()) == 2  # nobody waits any more


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_job_frees_its_device(number: signal.Signals, tmp_path: Path) -> None:
    with machine(tmp_path, 2) as gpus:
        gpus.start(3)
        gpus.comes(["0", "1"])
        killed = next(iter(gpus.at_work()))
        killed.send_signal(number)
        killed.wait()
        gpus.comes(["0", "1"])
        assert killed not in gpus.at_work()


def test_a_stopped_job_keeps_its_device(tmp_path: Path) -> None:
    """Its memory is still there."""
    with machine(tmp_path, 1) as gpus:
        (stopped,) = gpus.start()
        gpus.comes(["0"])
        stopped.send_signal(signal.SIGSTOP)
        gpus.start()
        gpus.comes(["0"])
        assert list(gpus.at_work()) == [stopped]
        stopped.send_signal(signal.SIGCONT)


def test_two_jobs_per_gpu_share_one_only_when_each_has_one(tmp_path: Path) -> None:
    with machine(tmp_path, 2, SONGREEL_JOBS_PER_GPU="2") as gpus:
        gpus.start(2)
        gpus.comes(["0", "1"])
        gpus.start(3)
        gpus.comes(["0", "0", "1", "1"])


def test_jobs_take_only_what_the_user_lists(tmp_path: Path) -> None:
    with machine(tmp_path, 4, CUDA_VISIBLE_DEVICES="3, 1") as gpus:
        gpus.start(3)
        gpus.comes(["1", "3"])


def test_a_device_that_is_listed_is_the_one_that_is_found(tmp_path: Path) -> None:
    """Two users of one machine, one of whom lists a device."""
    with machine(tmp_path, 2) as gpus:
        gpus.start(CUDA_VISIBLE_DEVICES="1")
        gpus.comes(["1"])
        gpus.start(2)
        gpus.comes(["0", "1"])


def test_a_schedulers_device_is_not_leased(tmp_path: Path) -> None:
    """Where jobs are confined to their devices, each of them has number 0."""
    with machine(tmp_path, 4, CUDA_VISIBLE_DEVICES="0") as gpus:
        gpus.start(SLURM_JOB_ID="7")
        gpus.start(SLURM_JOB_ID="8")
        gpus.start(SLURM_JOB_ID="8")
        gpus.comes(["0", "0", "0"])


def test_jobs_within_one_allocation_share_its_devices(tmp_path: Path) -> None:
    with machine(tmp_path, 4, CUDA_VISIBLE_DEVICES="0,1") as gpus:
        gpus.start(3, SLURM_JOB_ID="7")
        gpus.comes(["0", "1"])
        gpus.start(2, SLURM_JOB_ID="8")
        gpus.comes(["0", "0", "1", "1"])


def test_jobs_of_a_machine_without_a_gpu_wait_for_nothing(tmp_path: Path) -> None:
    with machine(tmp_path, 0) as gpus:
        gpus.start(3, CUDA_VISIBLE_DEVICES="")
        gpus.comes(["", "", ""])


def test_a_file_that_was_cleared_away_leases_nothing_twice(tmp_path: Path) -> None:
    """As programs do that clear /tmp of what is old."""
    with machine(tmp_path, 1) as gpus:
        gpus.start()
        gpus.comes(["0"])
        (file,) = (gpus.folder / "leases").iterdir()
        os.utime(file, (0, 0))
        gpus.start()
        gpus.comes(["0"])
        assert file.stat().st_mtime < 1  # whoever has it, not whoever looks, touches it


# What is there


SMI = """#!/bin/sh
echo 'GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-11111111-aaaa)'
echo 'GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-22222222-bbbb)'
"""
SPLIT = (
    SMI
    + """
echo '  MIG 3g.20gb     Device  0: (UUID: MIG-33333333-cccc)'
echo '  MIG 3g.20gb     Device  1: (UUID: MIG-44444444-dddd)'
"""
)


@pytest.fixture
def smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that tells of two GPUs, on a machine with a driver."""
    program = tmp_path / "nvidia-smi"
    program.write_text(SMI)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setattr(leases, "DRIVERS", (str(tmp_path),))
    for variable in (leases.VISIBLE, leases.FAKE, leases.MACHINE, scheduler.JOB):
        monkeypatch.delenv(variable, raising=False)
    return program


def test_devices_are_those_that_the_driver_tells(smi: Path) -> None:
    assert leases.devices() == ["GPU-11111111-aaaa", "GPU-22222222-bbbb"]
    smi.write_text(SPLIT)
    assert leases.devices() == ["MIG-33333333-cccc", "MIG-44444444-dddd"]
    smi.write_text("#!/bin/sh\nexit 1\n")
    assert leases.devices() == ["0"]  # a driver that tells nothing has one device


def test_jobs_need_not_ask_the_driver_again(smi: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(leases.MACHINE, "")  # to be restored
    leases.tell_jobs()
    smi.write_text("#!/bin/sh\nexit 1\n")
    assert leases.devices() == ["GPU-11111111-aaaa", "GPU-22222222-bbbb"]
    smi.write_text(SPLIT)
    leases.tell_jobs()
    assert leases.devices() == ["MIG-33333333-cccc", "MIG-44444444-dddd"]
    smi.write_text(SMI)
    leases.forget()
    assert leases.devices() == ["GPU-11111111-aaaa", "GPU-22222222-bbbb"]


def test_a_machine_without_a_driver_has_none(smi: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "DRIVERS", (f"{smi}-driver",))
    assert leases.devices() == []
    monkeypatch.setenv(leases.VISIBLE, "0")
    assert leases.devices() == []


@pytest.mark.parametrize(
    ("listed", "seen"),
    [
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        ("1", ["1"]),
        ("1,0", ["1", "0"]),
        ("1, -1, 0", ["1"]),
        ("GPU-2222", ["GPU-2222"]),
    ],
)
@pytest.mark.usefixtures("smi")
def test_a_list_is_read_as_cuda_reads_it(
    listed: str, seen: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(leases.VISIBLE, listed)
    assert leases.devices() == seen


@pytest.mark.usefixtures("smi")
def test_a_device_has_one_lock_however_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "leases"
    monkeypatch.setenv(leases.LEASES, str(folder))
    for listed in ("GPU-22222222-bbbb", "GPU-2222", "1"):
        monkeypatch.setenv(leases.VISIBLE, listed)
        with leases.held():
            assert os.environ[leases.VISIBLE] == listed
    assert [file.name for file in folder.iterdir()] == ["GPU-22222222-bbbb-0.lock"]


def test_everybody_may_lease(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "leases"
    monkeypatch.setenv(leases.LEASES, str(folder))
    monkeypatch.setenv(leases.FAKE, "1")
    monkeypatch.delenv(leases.VISIBLE, raising=False)
    with leases.held():
        (file,) = folder.iterdir()
    assert (folder.stat().st_mode & 0o7777, file.stat().st_mode & 0o777) == (0o1777, 0o666)


# In the workflow


def at_work_on(folder: Path) -> set[int]:
    """The processes that hold a lease."""
    files = {file.stat().st_ino for file in folder.glob("*")}
    rows = (row.split() for row in Path("/proc/locks").read_text().splitlines())
    locks = [(int(row[4]), int(row[5].split(":")[2])) for row in rows if row[1] == "FLOCK"]
    return {pid for pid, inode in locks if inode in files}


@pytest.mark.parametrize(
    ("jobs_per_gpu", "arguments", "lines"), [(1, (), 4), (2, (), 8), (2, ("--resources", "gpu=3"), 3)]
)
def test_a_workflow_renders_as_many_lines_as_its_devices_take(
    jobs_per_gpu: int, arguments: tuple[str, ...], lines: int, tmp_path: Path
) -> None:
    project = new_project(tmp_path / "project", **TINY, jobs_per_gpu=jobs_per_gpu)
    project.write([("a red boat", 0)])
    command = project.snakemake("--cores", "8", *arguments, "--until", "keyframes", "--touch")
    run = subprocess.run(command, env=four_fakes(tmp_path), capture_output=True, text=True, check=False)
    (limit,) = re.findall(r"^Provided resources: gpu=\D*(\d+)", run.stdout + run.stderr, re.MULTILINE)
    assert int(limit) == lines


def four_fakes(folder: Path) -> dict[str, str]:
    seen = {leases.VISIBLE: "0,1,2,3", leases.FAKE: "4", leases.LEASES: str(folder / "leases")}
    return environment() | seen


def test_a_film_keeps_four_devices_busy_and_its_author_names_none(tmp_path: Path) -> None:
    project = new_project(tmp_path / "project", **{**TINY, "size": "16x16", "jobs_per_gpu": 1})
    project.write([(f"a boat of {number} sails", 2 * number) for number in range(6)])
    process = subprocess.Popen(
        project.snakemake("--cores", "8", "--until", "keyframes"), env=four_fakes(tmp_path)
    )
    most = 0
    while process.poll() is None:
        most = max(most, len(at_work_on(tmp_path / "leases")))
        time.sleep(0.05)
    assert process.returncode == 0
    assert most == 4
    assert len(list(project.results.root.glob("latents/*"))) == 6


# Without one


@pytest.mark.parametrize(("cores", "lines", "threads"), [(2, 6, 1), (8, 3, 2), (9, 3, 3), (16, 1, 16)])
def test_a_films_lines_share_the_cores(cores: int, lines: int, threads: int, tmp_path: Path) -> None:
    project = new_project(tmp_path / "project", **TINY)
    project.write([(f"line {number}", 2 * number) for number in range(lines)])
    told = project.run("--cores", str(cores), "--dry-run").output
    planned = re.findall(r"^rule (?:keyframes|clip):\n(?:    .*\n)*?    resources: (.*)$", told, re.MULTILINE)
    assert len(planned) == 2 * lines
    asked = re.findall(r"^    threads: (\d+)$", told, re.MULTILINE)
    assert asked == ([str(threads)] * 2 * lines if threads > 1 else [])
