"""Writing so that a file is whole or not there."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from songreel import stops
from songreel.errors import UserError

Document = dict[str, Any]  # what a JSON file says


KINDS = {  # of what is no file, as people call it
    stat.S_IFDIR: (errno.EISDIR, "a folder"),
    stat.S_IFIFO: (errno.EINVAL, "a named pipe"),
    stat.S_IFSOCK: (errno.EINVAL, "a socket"),
    stat.S_IFCHR: (errno.EINVAL, "a device"),
    stat.S_IFBLK: (errno.EINVAL, "a device"),
}


def opened(path: Path) -> io.BufferedReader:
    """A file, open for reading. Raises OSError, also for a pipe or a device, which would be waited for."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    kind = stat.S_IFMT(os.fstat(handle).st_mode)
    if kind != stat.S_IFREG:
        os.close(handle)
        number, name = KINDS.get(kind, (errno.EINVAL, "no file"))
        raise OSError(number, f"it is {name}, not a file", str(path))
    return io.BufferedReader(io.FileIO(handle))


def read_bytes(path: Path, most: int | None = None) -> bytes:
    """What a file holds, or where `most` is given so many bytes and one more. Raises OSError as `opened`."""
    with opened(path) as file:
        return file.read(-1 if most is None else most + 1)


def append(path: Path, data: bytes) -> None:
    """Add to a file in one write. Raises OSError, also for a pipe that nobody reads."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    try:
        os.write(handle, data)
    finally:
        os.close(handle)


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A temporary name beside the target, renamed to it when the block ends well and removed when not.

    An OSError raised on the way names the target: a full disk names no file, and the temporary one is gone.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{os.getpid()}-{target.name}")
    with stops.undoing(lambda: temporary.unlink(missing_ok=True)):
        try:
            yield temporary
            temporary.replace(target)
        except OSError as error:
            if error.filename in (None, str(temporary)):
                error.filename = str(target)
            raise
        finally:
            temporary.unlink(missing_ok=True)


def write_json_if_changed(target: Path, value: Any) -> None:
    """Write canonical JSON, but leave a file that already says the same as it is, time stamp included."""
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    write_if_changed(target, text.encode("utf-8"))


def write_if_changed(target: Path, data: bytes) -> None:
    """Write a file, but leave one that already holds the same as it is, time stamp included."""
    if target.exists() and read_bytes(target) == data:
        return
    with replacing(target) as temporary:
        temporary.write_bytes(data)


def identity(document: Document) -> str:
    """The id of a document: the first 16 hex digits of the sha256 of its canonical JSON."""
    text = json.dumps(document, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def set_aside(path: Path) -> Path:
    """Give a file a name that nothing takes for a result; returns that name."""
    aside = path.with_name(f"{path.name}.damaged")
    path.replace(aside)
    return aside


def read_named(path: Path) -> Document:
    """A document whose file is named by its `identity`. Raises UserError when it is another or damaged."""
    document = read_json(path)
    if not isinstance(document, dict) or identity(document) != path.stem:
        raise UserError(
            f"{path}: found another plan than its name says; run snakemake, which writes it again."
        )
    return document


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
