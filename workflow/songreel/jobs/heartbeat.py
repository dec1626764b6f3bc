"""A heartbeat: a file by which others, on this machine or another, know that its writer is still at work.

It is locked, which the kernel ends with the process, and it holds a beat that goes on counting, for those
whom the lock does not reach: machines that share the folder, and a process that is stopped but not dead.

`filelock` would need a second file that everybody may write: here the lock is on the file that holds the
beat, and whoever may only read it can ask whether it is locked.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import platform
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from songreel.ground import files
from songreel.ground.files import Document

BEAT_SECONDS = 3.0
LEASE_SECONDS = 30.0  # without a beat, until the writer is given up
DIGITS = 12  # of the beat, which stands before the rest and is counted up in place
ENDED = b"ended".ljust(DIGITS)  # instead of the beat


@contextmanager
def beating(path: Path, facts: Document) -> Iterator[None]:
    """While the block runs, keep a heartbeat in a new file, with who runs it and `facts`.

    The file stays behind; whoever made its folder removes it.
    """
    writer = {"machine": machine(), "host": platform.node(), "pid": os.getpid()}
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    ended = threading.Event()
    thread = threading.Thread(target=_beat, args=(descriptor, ended), daemon=True)
    try:
        with contextlib.suppress(OSError):  # some file systems of clusters have no locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.write(descriptor, b"%0*d\n" % (DIGITS, 0) + json.dumps(writer | facts).encode())
        thread.start()
        yield
    finally:
        ended.set()
        if thread.ident:
            thread.join()
        with contextlib.suppress(OSError):
            os.pwrite(descriptor, ENDED, 0)  # for other machines: this one's kernel tells it anyway
        os.close(descriptor)


def _beat(descriptor: int, ended: threading.Event) -> None:
    beat = 0
    while not ended.wait(BEAT_SECONDS):
        beat += 1
        # The disk may be back at the next beat, before the lease is over
        with contextlib.suppress(OSError):
            os.pwrite(descriptor, b"%0*d" % (DIGITS, beat), 0)
            os.fsync(descriptor)  # other machines see it only then


def read(path: Path) -> Document | None:
    """Who keeps the heartbeat in a file, and their facts; None when it says nothing."""
    try:
        facts = json.loads(files.read_bytes(path)[DIGITS:])
    except (OSError, ValueError):
        return None
    return facts if isinstance(facts, dict) else None


def has_ended(path: Path) -> bool:
    """Whether the writer has said, or the kernel knows, that it has ended.

    False says nothing of a writer on another machine, which may have been killed.
    """
    if not path.exists() or _beat_of(path) == ENDED:
        return True
    facts = read(path)
    if facts is None or facts.get("machine") != machine():
        return False
    try:
        return not is_locked(path)
    except OSError:
        return False


def is_locked(path: Path) -> bool:
    """Whether a process of this machine has a file locked. Raises OSError when that cannot be opened."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


class Watch:
    """Watches a file's beat over time, by this machine's own clock: those of others may go wrong."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen, self._since = _beat_of(path), time.monotonic()

    def over(self) -> bool:
        """Whether the writer has ended, or was not heard of for LEASE_SECONDS."""
        beat = _beat_of(self.path)
        if beat != self._seen:
            self._seen, self._since = beat, time.monotonic()
        return has_ended(self.path) or time.monotonic() - self._since > LEASE_SECONDS


def _beat_of(path: Path) -> bytes:
    try:
        with files.opened(path) as file:
            return file.read(DIGITS)
    except OSError:
        return b""


def machine() -> str:
    """This machine since it was started: locks are known to all its containers, and to no other machine."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return platform.node()
