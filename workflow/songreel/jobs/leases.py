"""One job at a time on each GPU of a machine, or `jobs_per_gpu` of them, whoever's and whichever workflow's.

Snakemake counts GPUs and does not say which one a job has. So a job leases one: it locks a file that stands
for the device, which the kernel unlocks when the job ends in whatever way, and shows CUDA that device alone.
A scheduler's devices are for the job that it gave them to, and are leased only where that job has several.

`filelock` was tried: it takes no lock on another user's file in a folder for everybody, as these are.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import takewhile
from pathlib import Path

from songreel.ground.messages import say
from songreel.jobs import scheduler

VISIBLE = "CUDA_VISIBLE_DEVICES"
JOBS = "SONGREEL_JOBS_PER_GPU"
HELD = "SONGREEL_GPU_HELD"  # by the job that this process works for
FAKE = "SONGREEL_FAKE_GPUS"  # so many that are not there, for tests
MACHINE = "SONGREEL_GPUS"  # those of this machine, which the workflow has asked its driver for
LEASES = "SONGREEL_LEASES"  # another folder, for containers that share devices and not /tmp
FOLDER = "/tmp/songreel-gpus"  # not in TMPDIR, of which each user may have one
PATIENCE_SECONDS = 0.2  # between two looks for a free device
# Looking for them is quicker than asking torch
DRIVERS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")


def devices() -> list[str]:
    """The GPUs that this process may use, in the words of CUDA_VISIBLE_DEVICES; none where there is none."""
    return list(_files())


def tell_jobs() -> None:
    """Let this process's jobs know the GPUs of their machine: to ask the driver may take a second."""
    forget()
    os.environ[MACHINE] = ",".join(_of_machine())


def forget() -> None:
    """Let each job ask the driver, since it may be on another machine."""
    os.environ.pop(MACHINE, None)


def _files() -> dict[str, str]:
    """The devices that this process may use, each with the beginning of its lock files' names."""
    present = _of_machine()
    listed = os.environ.get(VISIBLE)
    if listed is None or not present:
        words = present
    else:
        words = list(takewhile(_names_device, (word.strip() for word in listed.split(","))))
    return {word: _file_name(word, present) for word in words}


def _names_device(word: str) -> bool:
    """As CUDA reads its list: what names no device ends it, so "" and -1 hide all of them."""
    return re.fullmatch(r"[0-9]+|(GPU|MIG)-[0-9A-Za-z/-]+", word) is not None


def _of_machine() -> list[str]:
    """The GPUs of this machine, by names that mean the same to every process where the driver tells them."""
    if fake := os.environ.get(FAKE):
        return [str(number) for number in range(int(fake))]
    if not any(Path(driver).exists() for driver in DRIVERS):
        return []
    if known := os.environ.get(MACHINE):
        return known.split(",")
    return _named_by_driver() or ["0"]


def _file_name(device: str, present: Sequence[str]) -> str:
    """One name for a device, whether it is listed by its number or by the beginning of its UUID."""
    if device.isdecimal() and int(device) < len(present):
        device = present[int(device)]
    device = next((name for name in present if name.startswith(device)), device)
    owner = f"{os.environ[scheduler.JOB]}-" if scheduler.scheduled() else ""
    return owner + re.sub("[^0-9A-Za-z-]", "_", device)


def _named_by_driver() -> list[str]:
    """The names that nvidia-smi lists, of the parts where a GPU is split, for then only they can be used."""
    program = shutil.which("nvidia-smi")
    if not program:
        return []
    with contextlib.suppress(subprocess.TimeoutExpired):
        done = subprocess.run([program, "-L"], capture_output=True, text=True, check=False, timeout=60)
        return re.findall(r"UUID: (MIG-[^)]+)\)", done.stdout) or re.findall(r"UUID: ([^)]+)\)", done.stdout)
    return []


@contextmanager
def held() -> Iterator[None]:
    """While the block runs, one GPU is leased and the only one that CUDA sees; waits until one is free.

    To be entered before torch is imported, which looks once. That this job waits is said.
    """
    if HELD in os.environ:
        yield
        return
    choice = _files()
    if not choice or (scheduler.scheduled() and len(choice) == 1):
        yield
        return
    with _leased(choice) as device, _shown(device):
        yield


@contextmanager
def _shown(device: str) -> Iterator[None]:
    before = os.environ.get(VISIBLE)
    os.environ[VISIBLE] = device
    try:
        yield
    finally:
        if before is None:
            del os.environ[VISIBLE]
        else:
            os.environ[VISIBLE] = before


@contextmanager
def _leased(choice: Mapping[str, str]) -> Iterator[str]:
    with ExitStack() as stack:
        reported = False
        while (device := _take(choice, stack)) is None:
            if not reported:
                say(f"waiting for a GPU: other jobs are at work on {_all(len(choice))}.")
                reported = True
            time.sleep(PATIENCE_SECONDS)
        yield device


def _all(devices: int) -> str:
    return f"all {devices}" if devices > 1 else "the only one"


def _take(choice: Mapping[str, str], stack: ExitStack) -> str | None:
    """Lock a place on the device where the fewest jobs are, or return None when every place is taken."""
    folder = _folder()
    for place in range(int(os.environ.get(JOBS, "1"))):
        for device, name in choice.items():
            if (lock := _locked(folder / f"{name}-{place}.lock")) is not None:
                stack.callback(os.close, lock)
                return device
    return None


def _folder() -> Path:
    """The folder of the lock files, for all users of the machine."""
    folder = Path(os.environ.get(LEASES, FOLDER))
    with contextlib.suppress(FileExistsError):
        folder.mkdir()
        folder.chmod(0o1777)
    return folder


def _locked(path: Path) -> int | None:
    """A descriptor that holds the lock until it is closed, or None when another job has it."""
    descriptor = _opened(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), path.stat()):
            with contextlib.suppress(OSError):
                os.utime(descriptor)  # what is old is cleared from /tmp, locked or not
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    return None


def _opened(path: Path) -> int:
    """Open a lock file, another user's too: in a folder for everybody those can be read and not created."""
    while True:
        with contextlib.suppress(FileNotFoundError):
            return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with contextlib.suppress(FileExistsError):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            os.fchmod(descriptor, 0o666)
            os.close(descriptor)
