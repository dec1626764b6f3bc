"""What a worker does, see `workers`: a job's command, tidying up, and waiting for the next one."""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from songreel.ground import shortage
from songreel.jobs import leases, workers

IDLE_SECONDS = 60.0  # that it waits for a job, after which it gives its memory back
INTERVAL = 0.2  # seconds between two looks at whether the workflow is still there
MOST_BYTES = 1 << 20  # of a request

Run = Callable[[Sequence[str]], int]


def serve(folder: Path, kind: str, first: socket.socket | None, run: Run) -> None:
    """Run jobs until one fails, none comes any more or the workflow has ended; the first one may be there.

    Without one, what jobs import is imported until it comes.
    """
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback of an idle one
    job = first or _next(folder, _name(kind, workers.NO_DEVICE), _import)
    while job and _work(job, run):
        job = _next(folder, _name(kind, workers.device_tag(os.environ.get(leases.VISIBLE))), _tidy)


def _name(kind: str, device: str) -> str:
    return f"{kind}-{device}-{os.getpid()}"


def _import() -> None:
    """Import what takes longest of what jobs import."""
    with contextlib.suppress(MemoryError):  # which a job will say
        shortage.check_import()
        importlib.import_module("songreel.jobs.render")


def _tidy() -> None:
    """Give back what the last job held."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    gc.freeze()  # what is left are modules, which need not be looked through again


def _next(folder: Path, name: str, prepare: Callable[[], None]) -> socket.socket | None:
    """The connection to the next job; None when there will be none.

    What is to be prepared is done when jobs can already find this worker, or they would begin another one.
    """
    hidden, idle = folder / f".{name}", folder / f"{name}{workers.IDLE}"
    with socket.socket(socket.AF_UNIX) as door:
        try:
            door.bind(str(hidden))
            door.listen(1)
            hidden.rename(idle)
        except OSError:
            return None
        prepare()
        deadline = time.monotonic() + IDLE_SECONDS
        while not select.select([door], [], [], INTERVAL)[0]:
            if workers.has_ended(folder):
                workers.remove(folder)
                return None
            if time.monotonic() > deadline and _withdrawn(idle):
                return None
        return door.accept()[0]


def _withdrawn(idle: Path) -> bool:
    """Take back a socket's name, or return False when a job has just taken it, and is about to connect."""
    try:
        idle.unlink()
    except OSError:
        return False
    return True


def _work(job: socket.socket, run: Run) -> bool:
    """Run a job's command, and tell it the exit status; returns whether another job can follow."""
    with job:
        arguments = _received(job)
        if arguments is None:
            return True
        done = threading.Event()
        threading.Thread(target=_heed, args=(job, done), daemon=True).start()
        status = _status(run, arguments)
        _take_over(os.open(os.devnull, os.O_RDWR) for _ in workers.STANDARD)
        done.set()
        with contextlib.suppress(OSError):
            job.sendall(b"%d\n" % status)
            job.shutdown(socket.SHUT_RDWR)  # also ends the thread's reading
    return status == 0


def _received(job: socket.socket) -> list[str] | None:
    """A job's command, once its environment and standard files are this process's; None when it has died."""
    data, descriptors, *_ = socket.recv_fds(job, MOST_BYTES, len(workers.STANDARD))
    while data and not data.endswith(b"\n"):
        part = job.recv(MOST_BYTES)
        data = data + part if part else b""
    if not data:
        return None
    _take_over(descriptors)
    request = json.loads(data)
    for name in workers.FREE - {workers.POOL}:
        _set(name, request["environment"].get(name))
    tempfile.tempdir = None  # as TMPDIR says
    job.sendall(workers.BEGUN)
    arguments: list[str] = request["arguments"]
    return arguments


def _set(variable: str, value: str | None) -> None:
    if os.environ.get(variable) != value:
        os.environ.pop(variable, None)
        if value is not None:
            os.environ[variable] = value


def _take_over(descriptors: Iterable[int]) -> None:
    """Make other files this process's standard input, output and error."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    for descriptor, number in zip(descriptors, workers.STANDARD, strict=True):
        os.dup2(descriptor, number)
        os.close(descriptor)
    # New ones, for what the old ones know of their files
    sys.stdin = open(0, encoding=sys.stdin.encoding, errors=sys.stdin.errors, closefd=False)  # noqa: SIM115
    sys.stdout, sys.stderr = (
        open(number, "w", lines, stream.encoding, stream.errors, closefd=False)  # noqa: SIM115
        for number, lines, stream in ((1, -1, sys.stdout), (2, 1, sys.stderr))
    )


def _status(run: Run, arguments: Sequence[str]) -> int:
    try:
        return run(arguments)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except Exception:
        traceback.print_exc()
        return 1


def _heed(job: socket.socket, done: threading.Event) -> None:
    """Stop when the job is stopped, and die when it is killed."""
    with contextlib.suppress(OSError):
        while job.recv(len(workers.STOP)) and not done.is_set():
            os.kill(os.getpid(), signal.SIGTERM)
    if not done.is_set():
        os._exit(1)
