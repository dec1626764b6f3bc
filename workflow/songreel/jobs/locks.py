"""One job at a time on a segment, on one machine or across many, and a fence against the one that lost.

A job locks a segment's work folder by renaming a folder of its own to the next number in it, which one job
alone can do. Others wait until it has ended or is given up (see `heartbeat`), and then take the next number,
take over what it kept and remove its folder.

That removal is the fence. A job that was believed dead and is not finds that its folder is gone: it works
through a handle on that very folder, so nothing that it writes or renames later can reach anybody's files.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from songreel.ground import stops
from songreel.ground.errors import UserError
from songreel.ground.files import replacing, set_aside, settle_names
from songreel.ground.messages import say
from songreel.jobs import heartbeat
from songreel.jobs.heartbeat import Watch

OWNER = "owner.json"
KEPT = "kept.zarr.zip"
NEW = f".{KEPT}"  # until it is whole
PATIENCE_SECONDS = 0.5  # between two looks at whether the owner is still there
# A rename that another job was quicker to make
TAKEN = (errno.ENOENT, errno.EEXIST, errno.ENOTEMPTY)
# Another disk, or one without links
UNLINKABLE = (errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK)
GONE = (errno.ENOENT, errno.ESTALE)  # what a handle on a folder that was removed gives


class LostError(UserError):
    """Another job took this one's segment over, believing it dead."""


@dataclass(frozen=True)
class Lock:
    """A segment's work folder, held: one file can be kept in it, and published when it is complete."""

    folder: Path
    handle: int

    @property
    def kept(self) -> Path:
        """What this owner or the one before it kept last, if anything."""
        return self.folder / KEPT

    def keep(self, write: Callable[[BinaryIO], object]) -> None:
        """Replace the kept file, whole or not at all and safe from a power cut. Raises LostError, OSError."""
        with self._fenced(), stops.undoing(self._discard):
            try:
                with open(NEW, "wb", opener=self._open) as file:
                    write(file)
                    file.flush()
                    os.fsync(file.fileno())
                os.rename(NEW, KEPT, src_dir_fd=self.handle, dst_dir_fd=self.handle)
                self._settle_names()
            finally:
                self._discard()

    def publish(self, target: Path) -> None:
        """Give the kept file its final name, too. Raises LostError, OSError.

        It stays kept until `clear`: Snakemake deletes the outputs of a job that is killed, also when they are
        another job's, whom this one waited for.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        with self._fenced(), contextlib.suppress(FileExistsError):
            try:
                os.link(KEPT, target, src_dir_fd=self.handle)
                settle_names(target.parent)
            except OSError as error:
                if error.errno not in UNLINKABLE:
                    raise
                with replacing(target) as temporary:
                    shutil.copyfile(self.kept, temporary)
                    self._check()

    @contextmanager
    def _fenced(self) -> Iterator[None]:
        try:
            self._check()
            yield
        except OSError as error:
            self._check()  # when the folder is gone that is why
            if error.filename in (None, KEPT, NEW):
                error.filename = str(self.kept)
            raise

    def _check(self) -> None:
        """Raise LostError unless the folder that this lock holds is still the one that others see."""
        try:
            held = os.path.samestat(os.fstat(self.handle), self.folder.stat())
        except OSError as error:
            if error.errno not in GONE:
                raise
            held = False
        if not held:
            raise LostError(
                f"{self.folder}: found this job's work folder gone: its disk has vanished, or nothing was"
                f" heard of it for {heartbeat.LEASE_SECONDS:g} s and another job has taken its line over;"
                f" this one stops and writes nothing, finished keyframes are kept."
            )

    def _open(self, name: str, flags: int) -> int:
        return os.open(name, flags, 0o666, dir_fd=self.handle)

    def _settle_names(self) -> None:
        with contextlib.suppress(OSError):  # not every file system can do that with a folder
            os.fsync(self.handle)

    def _discard(self) -> None:
        """Remove what was being written, if it is still there."""
        with contextlib.suppress(OSError):
            os.unlink(NEW, dir_fd=self.handle)


@contextmanager
def held(work: Path) -> Iterator[Lock]:
    """Lock a segment's work folder, waiting for as long as another job is at work in it.

    What was kept stays for the next owner. For whom this job waits is said.
    """
    with ExitStack() as stack:
        lock = None
        while lock is None:
            _make(work)
            lock = _take(work, _await_turn(work), stack)
        _inherit(work, lock)
        yield lock


def _make(work: Path) -> None:
    try:
        work.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        if not os.path.lexists(work) or work.is_dir():
            raise
        say(f"{work}: found no folder, expected one for keyframes; it is now {set_aside(work).name}.")
        work.mkdir()


def clear(work: Path) -> None:
    """Remove the work folder of a segment that is done, unless a job is at work in it."""
    if work.exists() and not in_use(work):
        with held(work) as lock:
            _leave(work, lock)


def kept(work: Path) -> Path | None:
    """What the last job that worked in a folder kept there, if anything."""
    files = (work / str(number) / KEPT for number in reversed(_numbers(work)))
    return next(filter(Path.exists, files), None)


def in_use(work: Path) -> bool:
    """Whether a job may be at work in a segment's work folder."""
    owners = [work / str(number) / OWNER for number in _numbers(work)]
    return bool(owners) and not heartbeat.has_ended(owners[-1])


def _await_turn(work: Path) -> int:
    """The number to take, once nobody is at work under the number before."""
    watches: dict[int, Watch] = {}
    while numbers := _numbers(work):
        last = numbers[-1]
        owner = work / str(last) / OWNER
        if last not in watches:
            watches = {last: Watch(owner)}
            if not watches[last].over():
                say(f"waiting for {_name(owner)}, which is at work on this line.")
        if watches[last].over():
            return last + 1
        time.sleep(PATIENCE_SECONDS)
    return 1


def _take(work: Path, number: int, stack: ExitStack) -> Lock | None:
    """Take a number, or return None if another job was quicker."""
    new = work / f".new-{uuid.uuid4().hex}"
    folder = work / str(number)
    with ExitStack() as attempt:
        try:
            new.mkdir()
            attempt.callback(shutil.rmtree, new, ignore_errors=True)
            handle = os.open(new, os.O_RDONLY | os.O_DIRECTORY)
            attempt.callback(os.close, handle)
            attempt.enter_context(heartbeat.beating(new / OWNER, {}))
            new.rename(folder)
        except OSError as error:
            if error.errno in TAKEN:
                return None
            error.filename = str(work)
            raise
        stack.push(attempt.pop_all())
    return Lock(folder, handle)


def _inherit(work: Path, lock: Lock) -> None:
    """Take over what the owners before kept, the last one's most, and fence them off."""
    for number in _numbers(work):
        if number < int(lock.folder.name):
            with contextlib.suppress(FileNotFoundError):
                (work / str(number) / KEPT).replace(lock.kept)
            remove(work / str(number))


def _leave(work: Path, lock: Lock) -> None:
    """Remove the work folder, unless the next job is already there."""
    remove(lock.folder)
    for litter in work.glob(".*"):  # of jobs that were killed; one that is just locking tries again
        shutil.rmtree(litter, ignore_errors=True)
    with contextlib.suppress(OSError):
        work.rmdir()


def remove(folder: Path) -> None:
    """Remove a folder; from the first step on nothing can be found under its name."""
    gone = folder.with_name(f".gone-{uuid.uuid4().hex}")
    with contextlib.suppress(FileNotFoundError):
        folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)


def _numbers(work: Path) -> list[int]:
    """The locks in a work folder, the owner's last."""
    return sorted(int(path.name) for path in work.glob("[1-9]*") if path.name.isdecimal())


def _name(owner: Path) -> str:
    facts = heartbeat.read(owner)
    return f"process {facts['pid']} on {facts['host']}" if facts else "another job"
