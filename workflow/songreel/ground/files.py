"""Writing so that a file is whole or not there."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import itertools
import json
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from songreel.ground import stops
from songreel.ground.errors import DamageError, UserError

Document = dict[str, Any]  # what a JSON file says

# What can stand where a file should
KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFLNK: "a link that leads nowhere",
}


def opened(path: Path) -> io.BufferedReader:
    """A file, open for reading. Raises OSError, also for a pipe or a device, which would be waited for."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    kind = stat.S_IFMT(os.fstat(handle).st_mode)
    if kind != stat.S_IFREG:
        os.close(handle)
        number = errno.EISDIR if kind == stat.S_IFDIR else errno.EINVAL
        raise OSError(number, f"it is {KINDS.get(kind, 'something else')}, not a file", str(path))
    return io.BufferedReader(io.FileIO(handle))


def read_bytes(path: Path, most: int | None = None) -> bytes:
    """What a file holds, or where `most` is given so many bytes and one more. Raises OSError as `opened`."""
    with opened(path) as file:
        return file.read(-1 if most is None else most + 1)


def sha256(path: Path) -> str:
    """What a file of any size hashes to. Raises OSError as `opened`."""
    with opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def append(path: Path, data: bytes) -> None:
    """Add to a file in one write. Raises OSError, also for a pipe that nobody reads."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    try:
        os.write(handle, data)
    finally:
        os.close(handle)


@contextmanager
def replacing(target: Path, lasting: bool = True) -> Iterator[Path]:
    """A temporary name beside the target, renamed to it when the block ends well and removed when not.

    Unless it need not be `lasting`, the target is whole after a power cut, too: the new file or the old one.
    An OSError raised on the way names the target: a full disk names no file, and the temporary one is gone.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{os.getpid()}-{target.name}")
    with stops.undoing(lambda: temporary.unlink(missing_ok=True)):
        try:
            yield temporary
            if lasting:
                settle(temporary)
            temporary.replace(target)
            if lasting:
                settle_names(target.parent)
        except OSError as error:
            if error.filename in (None, str(temporary)):
                error.filename = str(target)
            raise
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def filled(folder: Path) -> Iterator[None]:
    """A folder that is there while the block runs, if it can be made, and goes again if it is empty then."""
    made = not folder.exists()
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        if made:
            with contextlib.suppress(OSError):
                folder.rmdir()


def settle(file: Path) -> None:
    """Have a file's content on the disk before its name says that it is whole. Raises OSError."""
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def settle_names(folder: Path) -> None:
    """Have a folder's new names on the disk; what they name is whole in any case."""
    with contextlib.suppress(OSError):  # some file systems of clusters cannot do that with a folder
        settle(folder)


def write_json_if_changed(target: Path, value: Any, lasting: bool = True) -> None:
    """Write canonical JSON, but leave a file that already says the same as it is, time stamp included."""
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    write_if_changed(target, text.encode("utf-8"), lasting)


def write_if_changed(target: Path, data: bytes, lasting: bool = True) -> None:
    """Write a file, but leave one that already holds the same as it is, time stamp included."""
    if target.exists() and read_bytes(target) == data:
        return
    with replacing(target, lasting) as temporary:
        temporary.write_bytes(data)


def identity(document: Document) -> str:
    """The id of a document: the first 16 hex digits of the sha256 of its canonical JSON."""
    text = json.dumps(document, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def check_is_file(path: Path, expected: str) -> None:
    """Raise DamageError when something else than a file, or a link to one, has its name.

    Raises FileNotFoundError when there is nothing, OSError when it cannot be seen.
    """
    try:
        mode = path.stat().st_mode
    except OSError:
        mode = path.lstat().st_mode
        if not stat.S_ISLNK(mode):
            raise
    if not stat.S_ISREG(mode):
        found = KINDS.get(stat.S_IFMT(mode), "something else")
        raise DamageError(path, found, expected)


def set_aside(path: Path) -> Path:
    """Give a file, or what stands in its place, a name that nothing takes for a result; returns that name.

    What was set aside before stays.
    """
    names = itertools.chain([path.name], (f"{path.name}-{number}" for number in itertools.count(2)))
    free = (path.with_name(f"{name}.damaged") for name in names)
    aside = next(name for name in free if not os.path.lexists(name))
    path.rename(aside)
    return aside


def not_later(files: Iterable[Path], target: Path) -> None:
    """Take back the time stamps of files that lie ahead of that of the `target` just made from them.

    The clock of the machine that wrote them was ahead. Snakemake would take the target for outdated.
    """
    made = target.stat().st_mtime_ns
    for file in files:
        with contextlib.suppress(OSError):
            if file.stat().st_mtime_ns > made:
                os.utime(file, ns=(made, made))


def read_json(path: Path) -> Any:
    """What `write_json_if_changed` wrote. Raises UserError when it is not there or damaged."""
    try:
        return json.loads(read_bytes(path))
    except FileNotFoundError:
        raise UserError(
            f"{path}: found no such file, expected a plan; run snakemake, which writes it."
        ) from None
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{path}: found a damaged file ({error}), expected JSON; run snakemake, which writes it again."
        ) from None
