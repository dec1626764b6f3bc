"""One job at a time on a segment, whatever becomes of the others."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import pytest

from songreel.jobs import heartbeat, locks
from songreel.jobs.locks import Lock, LostError
from tests.conftest import REPOSITORY


@pytest.fixture
def work(tmp_path: Path) -> Path:
    return tmp_path / "results/.work/0123456789abcdef"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for tenths of seconds where jobs wait for many."""
    monkeypatch.setattr(locks, "PATIENCE_SECONDS", 0.01)
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(heartbeat, "LEASE_SECONDS", 0.5)


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if every job were stopped, or cut off, right after its start: none is heard of again."""
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 1e6)


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if each job ran on another machine, whose kernel tells this one nothing."""
    boots = iter(range(10**6))
    monkeypatch.setattr(heartbeat, "machine", lambda: f"machine {next(boots)}")


def text(content: str) -> Callable[[BinaryIO], object]:
    return lambda file: file.write(content.encode())


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def done(work: Path) -> None:
    """The film is joined: nothing that was kept is needed any more."""
    locks.clear(work)
    assert not work.exists()


def test_a_result_stays_kept_until_the_film_is_done(work: Path, tmp_path: Path) -> None:
    """Snakemake deletes the outputs of a job that is killed, whoever made them."""
    target = tmp_path / "results/latents/x"
    with locks.held(work) as lock:
        assert not lock.kept.exists()
        lock.keep(text("one"))
        lock.keep(text("two"))
        assert lock.kept.read_text() == "two"
        lock.publish(target)
    assert target.read_text() == "two"
    target.unlink()
    with locks.held(work) as lock:
        lock.publish(target)
    assert target.read_text() == "two"
    done(work)
    assert target.read_text() == "two"


def test_a_job_that_fails_leaves_what_it_kept_to_the_next_one(work: Path) -> None:
    for found, kept in (("", "one"), ("one", "two"), ("two", "three")):
        with pytest.raises(ZeroDivisionError), locks.held(work) as lock:
            assert (lock.kept.read_text() if lock.kept.exists() else "") == found
            lock.keep(text(kept))
            raise ZeroDivisionError
    assert len(list(work.iterdir())) == 1


def test_a_job_that_keeps_nothing_hands_on_what_it_found(work: Path) -> None:
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), locks.held(work) as lock:
            if not lock.kept.exists():
                lock.keep(text("one"))
            raise ZeroDivisionError
    with locks.held(work) as lock:
        assert lock.kept.read_text() == "one"


@pytest.mark.usefixtures("elsewhere")
def test_a_second_job_waits_for_as_long_as_the_first_is_heard_of(work: Path, messages: list[str]) -> None:
    times: list[float] = []

    def second() -> None:
        with locks.held(work):
            times.append(time.monotonic())

    with locks.held(work):
        waiting = threading.Thread(target=second)
        waiting.start()
        time.sleep(3 * heartbeat.LEASE_SECONDS)
        times.append(time.monotonic())
    waiting.join()
    assert times == sorted(times)
    (message,) = messages
    assert f"waiting for process {os.getpid()} on " in message
    done(work)


def test_many_jobs_take_turns(work: Path) -> None:
    at_work: list[int] = []

    def job(number: int) -> None:
        with locks.held(work) as lock:
            at_work.append(number)
            done = lock.kept.read_text() if lock.kept.exists() else ""
            lock.keep(text(f"{done}."))
            time.sleep(0.01)
            assert at_work == [number]
            at_work.clear()
            if len(done) < 11:
                raise ZeroDivisionError  # and the next one goes on

    with ThreadPoolExecutor(12) as pool:
        failures = [future.exception() for future in [pool.submit(job, n) for n in range(12)]]
    assert [type(failure) for failure in failures].count(ZeroDivisionError) == 11
    assert [failure for failure in failures if not isinstance(failure, ZeroDivisionError)] == [None]
    done(work)


@pytest.mark.usefixtures("silent")
def test_the_job_that_lost_stops_and_writes_nothing(work: Path, stack: ExitStack, tmp_path: Path) -> None:
    target = tmp_path / "target"
    first = stack.enter_context(locks.held(work))
    first.keep(text("first"))
    second = stack.enter_context(locks.held(work))
    assert second.kept.read_text() == "first"
    check_lost(first, target)
    assert second.kept.read_text() == "first"
    second.keep(text("second"))
    second.publish(target)
    check_lost(first, target)
    assert target.read_text() == "second"


@pytest.mark.usefixtures("silent")
def test_the_job_that_lost_does_not_mistake_a_later_claim_for_its_own(work: Path, stack: ExitStack) -> None:
    first = stack.enter_context(locks.held(work))
    first.keep(text("first"))
    with locks.held(work):
        pass
    done(work)
    third = stack.enter_context(locks.held(work))
    assert third.folder == first.folder
    third.keep(text("third"))
    before = files(work)
    check_lost(first, work / "target")
    assert files(work) == before
    assert third.kept.read_text() == "third"


@pytest.mark.usefixtures("silent")
def test_a_write_that_was_under_way_when_the_job_lost_reaches_nobody(work: Path, stack: ExitStack) -> None:
    first = stack.enter_context(locks.held(work))
    first.keep(text("first"))

    def slow(file: BinaryIO) -> None:
        file.write(b"late")
        stack.enter_context(locks.held(work)).keep(text("second"))

    with pytest.raises(LostError):
        first.keep(slow)
    assert (work / "2/kept.zarr.zip").read_text() == "second"
    assert files(work) == ["2", "2/kept.zarr.zip", "2/owner.json"]


def check_lost(lock: Lock, target: Path) -> None:
    before = target.read_bytes() if target.exists() else None
    sentence = r"^/.*: found this job's work folder gone: .*stops and writes nothing"
    with pytest.raises(LostError, match=sentence):
        lock.keep(text("late"))
    with pytest.raises(LostError, match=sentence):
        lock.publish(target)
    assert (target.read_bytes() if target.exists() else None) == before


def test_a_full_disk_costs_nothing_that_was_kept(work: Path) -> None:
    def full(file: BinaryIO) -> None:
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space") as raised, locks.held(work) as lock:
        lock.keep(text("one"))
        lock.keep(full)
    assert raised.value.filename == str(work / "1/kept.zarr.zip")
    assert (work / "1/kept.zarr.zip").read_text() == "one"
    assert files(work) == ["1", "1/kept.zarr.zip", "1/owner.json"]


def test_what_was_published_first_stays(work: Path, tmp_path: Path) -> None:
    (tmp_path / "target").write_text("theirs")
    with locks.held(work) as lock:
        lock.keep(text("ours"))
        lock.publish(tmp_path / "target")
    assert (tmp_path / "target").read_text() == "theirs"


def test_nothing_is_cleared_while_a_job_is_at_work(work: Path) -> None:
    with locks.held(work) as lock:
        lock.keep(text("one"))
        locks.clear(work)
        lock.keep(text("two"))
    done(work)


@pytest.mark.parametrize("refusal", [errno.EXDEV, errno.EPERM])
def test_latents_may_lie_on_another_disk_or_one_without_links(
    refusal: int, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(refusal, os.strerror(refusal))

    monkeypatch.setattr(os, "link", refused)
    with locks.held(work) as lock:
        lock.keep(text("one"))
        lock.publish(tmp_path / "target")
    assert (tmp_path / "target").read_text() == "one"


# Real processes

SCRIPT = """
import sys
from pathlib import Path
from songreel.jobs import locks, heartbeat

heartbeat.BEAT_SECONDS, heartbeat.LEASE_SECONDS = 0.05, float(sys.argv[2])
with locks.held(Path(sys.argv[1])) as lock:
    for number in range(10**6):
        lock.keep(lambda file: file.write(str(number).encode()))
        print(number, flush=True)
        sys.stdin.readline()
"""


def started(work: Path, lease_seconds: float = 1e6) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(work), str(lease_seconds)],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY / "workflow")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "0\n"
    return process


def test_what_a_killed_job_held_is_free_at_once(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "LEASE_SECONDS", 1e6)
    with started(work) as process:
        assert locks.in_use(work)
        process.kill()
        process.wait()
        assert not locks.in_use(work)
        with locks.held(work) as lock:
            assert lock.kept.read_text() == "0"
    done(work)


def test_a_stopped_job_is_given_up_and_stops_when_it_goes_on(work: Path) -> None:
    with started(work) as process:
        process.send_signal(signal.SIGSTOP)
        with locks.held(work) as lock:
            process.send_signal(signal.SIGCONT)
            _, errors = process.communicate("\n", timeout=20)
            assert process.returncode == 1
            assert "LostError" in errors
            assert lock.kept.read_text() == "0"
            assert files(work) == ["2", "2/kept.zarr.zip", "2/owner.json"]
    done(work)
