"""Processes that do one job after another, so that not every job imports PyTorch and wakes its GPU anew.

A rule's job stays a process of its own, which holds the GPU's lease and is stopped and killed as ever. Where
Snakemake runs it on this machine, it has its command run by a *worker* and ends with its exit status. That
one works for it alone meanwhile and dies with it; then it waits for the next job. What a job makes depends on
its command alone: a worker keeps modules, and what its GPU loaded, but no model and no tensor.

Idle workers listen on sockets in a folder of the workflow's, and end with it. A job takes one by renaming its
socket, which one job alone can do, and begins one where none is idle. Bazel calls such persistent workers.
What a worker does is in `serving`.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import hashlib
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from songreel.ground import stops
from songreel.ground.errors import UserError
from songreel.ground.messages import DISPLAYED
from songreel.jobs import environment, heartbeat, leases
from songreel.jobs.progress import FILM

POOL = "SONGREEL_WORKERS"  # in the environment of jobs: the folder of the workflow's workers
NONE = "0"  # or this, where there shall be none
OPEN = "open"  # a file in it, which the workflow has locked until it ends; what it has to render with
IDLE, BUSY = ".idle", ".busy"  # ends of a socket's name
NO_DEVICE = "any"  # in its name, of a worker that has not looked for a device yet
BEGUN, STOP = b"begun\n", b"stop\n"  # said by a worker of a job, and to it
STANDARD = (0, 1, 2)  # the descriptors that a worker takes over from its job
# What may differ from job to job, and is told with each; by the rest of the environment libraries are
# loaded and set up.
FREE = {
    *("_", "SHLVL", "PWD", "OLDPWD", "PATH", "PYTHONPATH", "TMPDIR", "TMP", "TEMPDIR", "TEMP"),
    *(POOL, FILM, DISPLAYED, leases.JOBS, leases.VISIBLE),
}
FORESEEN = 4  # jobs on each GPU, until it is planned how many
MOST_PREPARED = 8  # beyond which the memory that they take is worth more than the moment
PREFIX = "songreel-workers-"  # of the folder's name
LONGEST_PARENT = 46  # letters, with a folder's and a socket's name behind them: some systems take 103 in all


def begin(cores: int, gpus: int) -> None:
    """Let this process's jobs share workers until it ends, unless the user wants none."""
    forbid()
    if POOL in os.environ:
        return
    with contextlib.suppress(OSError):  # a disk that is full: they do without
        folder = _new_folder()
        (folder / OPEN).write_text(json.dumps([cores, gpus]))
        os.environ[POOL] = str(folder)


def forbid() -> None:
    """Let this process's jobs do without workers, also without those of a workflow around this one."""
    if os.environ.get(POOL) != NONE:
        os.environ.pop(POOL, None)


@cache
def _new_folder() -> Path:
    parent = Path(tempfile.gettempdir())
    parent = parent if len(str(parent)) <= LONGEST_PARENT else Path("/tmp")
    for left in parent.glob(f"{PREFIX}*/{OPEN}"):  # by workflows that were killed with all their workers
        if has_ended(left.parent):
            remove(left.parent)
    folder = Path(tempfile.mkdtemp(prefix=f".{PREFIX}", dir=parent))
    # Never closed: the kernel unlocks it when this process ends, in whatever way.
    fcntl.flock(os.open(folder / OPEN, os.O_WRONLY | os.O_CREAT), fcntl.LOCK_EX)
    folder = folder.rename(folder.with_name(folder.name.removeprefix(".")))
    atexit.register(remove, folder)
    return folder


def are_shared() -> bool:
    """Whether this process's jobs share workers."""
    return _folder() is not None


def remove(folder: Path) -> None:
    """Remove the folder of a workflow that has ended, if nothing else is in it."""
    for path in (*folder.glob(f"*{IDLE}"), *folder.glob(f"*{BUSY}"), folder / OPEN):
        with contextlib.suppress(OSError):
            path.unlink()
    with contextlib.suppress(OSError):
        folder.rmdir()


def has_ended(folder: Path) -> bool:
    """Whether the workflow whose folder this is has ended."""
    try:
        return not heartbeat.is_locked(folder / OPEN)
    except OSError:
        return True


def run(arguments: Sequence[str]) -> int | None:
    """Have a worker run a command; its exit status, or None where this process is to run it itself.

    A stop of this process waits until the worker has stopped. Raises UserError when the worker is killed.
    """
    folder = _folder()
    worker = (_idle(folder) or _begun(folder)) if folder else None
    if worker is None:
        return None
    told = {name: os.environ[name] for name in FREE if name in os.environ}
    request = json.dumps({"arguments": list(arguments), "environment": told}).encode()
    with worker, stops.undoing(lambda: _stop(worker)):
        said = _answer(worker, request + b"\n")
    if not said.startswith(BEGUN):
        return None
    if not said.endswith(b"\n") or said == BEGUN:
        raise UserError(
            "found that the process at work on this line ended without a word, most likely killed for want of"
            " memory; run the same command again, with fewer --cores, finished keyframes are kept."
        )
    return int(said.removeprefix(BEGUN))


def foresee(lines: int, new: int) -> None:
    """Prepare for a film of so many lines, so many of them new, while it is planned on one of the cores."""
    folder = _folder()
    if folder:
        cores, gpus = json.loads((folder / OPEN).read_text())
        threads = 1 if gpus else environment.threads_per_job(cores, lines)
        prepare(min(new, (cores - 1) // threads, FORESEEN * gpus or cores), threads)


def prepare(jobs: int, threads: int) -> None:
    """Have so many workers import what jobs import, for jobs of so many threads that are about to start."""
    folder = _folder()
    if folder is None:
        return
    settings = os.environ | environment.of_job(threads)
    ready = len(list(folder.glob(f"{_kind(settings)}-*")))
    for _ in range(min(jobs, MOST_PREPARED) - ready):
        with contextlib.suppress(OSError):
            _start(folder, settings)


def _folder() -> Path | None:
    folder = Path(os.environ.get(POOL, NONE))
    return folder if folder.is_absolute() and (folder / OPEN).is_file() else None


def _answer(worker: socket.socket, request: bytes) -> bytes:
    """All that a worker says until it is done or dead."""
    said = b""
    with contextlib.suppress(OSError):
        sent = socket.send_fds(worker, [request], STANDARD)
        worker.sendall(request[sent:])
        while part := worker.recv(1024):
            said += part
    return said


def _stop(worker: socket.socket) -> None:
    with contextlib.suppress(OSError):
        worker.sendall(STOP)
        while worker.recv(1024):
            pass


def _idle(folder: Path) -> socket.socket | None:
    """A connection to a worker that was idle and is now taken, if there is one for jobs like this one."""
    for name in _fitting(folder):
        taken = name.with_suffix(BUSY)
        worker = socket.socket(socket.AF_UNIX)
        try:
            name.rename(taken)
            worker.connect(str(taken))
            taken.unlink()
        except OSError:  # another job was quicker, or it is dead
            worker.close()
        else:
            return worker
    return None


def _fitting(folder: Path) -> Iterator[Path]:
    """The sockets of idle workers that this job can use, those first that know its device."""
    kind = _kind(os.environ)
    for device in (device_tag(os.environ.get(leases.VISIBLE)), NO_DEVICE):
        yield from sorted(folder.glob(f"{kind}-{device}-*{IDLE}"))


def _begun(folder: Path) -> socket.socket | None:
    """A connection to a new worker; None where the system allows no more processes."""
    mine, other = socket.socketpair()
    with other:
        try:
            _start(folder, os.environ, other)
        except OSError:
            mine.close()
            return None
    return mine


def _start(folder: Path, settings: Mapping[str, str], first: socket.socket | None = None) -> None:
    """Start a worker, with a connection to its first job, if that is already there. Raises OSError."""
    connection = [str(first.fileno())] if first else []
    # With its job's standard error for its own it would hold open what Snakemake reads to the end.
    subprocess.Popen(
        [sys.executable, "-m", "songreel.worker", folder, _kind(settings), *connection],
        env={**settings, POOL: NONE, leases.HELD: "1"},
        pass_fds=[int(number) for number in connection],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _kind(settings: Mapping[str, str]) -> str:
    """What a worker and its jobs have in common: the environment, Python, and the current folder."""
    rows = sorted((name, value) for name, value in settings.items() if name not in FREE)
    return _tag(repr((rows, sys.prefix, str(Path.cwd()))))


def device_tag(visible: str | None) -> str:
    """What stands in a socket's name for what CUDA was let see when its worker looked for devices."""
    return _tag(repr(visible))


def _tag(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:8]
