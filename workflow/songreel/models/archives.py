"""Where in a checkpoint its tensors lie, read from its directory and its pickle without torch.

Everything is held against the size of the file before anything is unpacked from it.
"""

from __future__ import annotations

import io
import json
import math
import mmap
import re
import struct
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from songreel.ground import files, shortage, unpacking
from songreel.ground.errors import UserError
from songreel.models.pickles import LEGACY_MAGIC, MOST_PICKLE, Reader, Storage, Stored, named, printable

ZIP = b"PK\x03\x04"
PICKLE = b"\x80"  # the first opcode of every pickle since protocol 2
MOST_HEADER = 32 << 20  # bytes, of safetensors
TIED = 2  # times that the numbers of a file may be used: some models share weights between layers
SMALL = 1 << 20  # bytes that nobody minds


class Span(NamedTuple):
    """Where the numbers of a storage lie."""

    start: int  # bytes from the beginning of the file
    length: int  # bytes
    crc: int | None


class Contents(NamedTuple):
    """The tensors of a checkpoint by name, and where the numbers of each storage lie."""

    tensors: Mapping[str, Stored]
    spans: Mapping[Storage, Span]


@contextmanager
def opened(path: Path) -> Iterator[mmap.mmap]:
    """A checkpoint, mapped; changes stay in memory. Each failure inside the block is one sentence."""
    try:
        with files.opened(path) as file:
            yield mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    except UserError:
        raise
    except OSError as error:
        if shortage.sentence(error):
            raise
        raise UserError(
            f"{path}: the checkpoint cannot be read ({error.strerror}), expected a file; mend that."
        ) from None
    except Exception as error:  # a damaged pickle can raise anything
        if shortage.sentence(error):
            raise
        reason = str(error) if isinstance(error, ValueError) else f"{type(error).__name__} {error}"
        raise unusable(path, f"a damaged file or no checkpoint ({printable(reason)})") from None


def unusable(path: Path, found: str) -> UserError:
    return UserError(
        f"{path}: found {found}, expected a checkpoint of torch, TorchScript or safetensors;"
        f" fetch the file again from its publisher."
    )


def contents(path: Path, mapped: mmap.mmap) -> Contents | None:
    """What `torch.save` or TorchScript wrote, or None for safetensors. Raises ValueError for other files."""
    if mapped[:4] == ZIP:
        inside = _from_zip(path, mapped)
    elif mapped[8:9] == b"{":  # before pickles, since the length before it may begin as they do
        if struct.unpack_from("<Q", mapped)[0] > min(MOST_HEADER, len(mapped)):
            raise ValueError("a header longer than the file or of absurd size")
        return None
    elif mapped[:1] == PICKLE:
        inside = _from_legacy(path, mapped)
    else:
        raise ValueError("it begins with " + mapped[:20].decode("latin1"))
    _check_sizes(inside, len(mapped))
    return inside


def names(path: Path) -> frozenset[str]:
    """The names of a checkpoint's tensors. Raises UserError as `opened` does."""
    with opened(path) as mapped:
        inside = contents(path, mapped)
        if inside is not None:
            return frozenset(inside.tensors)
        (length,) = struct.unpack_from("<Q", mapped)
        return frozenset(json.loads(mapped[8 : 8 + length])) - {"__metadata__"}


def _check_sizes(inside: Contents, size: int) -> None:
    """Let no file grow: entries may lie over one another, and tensors share their numbers."""
    stored = sum(span.length for span in inside.spans.values())
    used = sum(math.prod(_sizes(one)) * one.storage.kind.bytes for one in inside.tensors.values())
    if stored > size or used > TIED * size + SMALL:
        raise ValueError(f"{max(stored, used)} bytes of tensors in {size} bytes of file")


def _sizes(stored: Stored) -> tuple[int, ...]:
    if not all(isinstance(length, int) and 0 <= length < 1 << 63 for length in stored.size):
        raise ValueError("a tensor that does not fit its storage")
    return stored.size


def _from_zip(path: Path, mapped: mmap.mmap) -> Contents:
    unpacking.check_directory(mapped)
    with files.opened(path) as file, zipfile.ZipFile(file) as archive:
        roots = {name.split("/")[0] for name in archive.namelist() if re.fullmatch("[^/]+/data.pkl", name)}
        if len(roots) != 1:
            raise ValueError("a zip archive without one data.pkl")
        root = roots.pop()
        if f"{root}/byteorder" in archive.namelist() and _small(archive, f"{root}/byteorder") != b"little":
            raise ValueError("numbers in big-endian order")
        tensors = named(Reader(io.BytesIO(_small(archive, f"{root}/data.pkl")), path).load())
        storages = {stored.storage for stored in tensors.values()}
        entries = {storage: archive.getinfo(f"{root}/data/{storage.key}") for storage in storages}
    return Contents(tensors, {storage: _span(mapped, entry) for storage, entry in entries.items()})


def _small(archive: zipfile.ZipFile, name: str) -> bytes:
    if archive.getinfo(name).file_size > MOST_PICKLE:
        raise ValueError(f"{name} is of absurd size")
    return archive.read(name)


def _span(mapped: mmap.mmap, entry: zipfile.ZipInfo) -> Span:
    if entry.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"the entry {entry.filename} is compressed")
    name, extra = struct.unpack_from("<HH", mapped, entry.header_offset + 26)  # lengths, in bytes
    return Span(entry.header_offset + 30 + name + extra, entry.file_size, entry.CRC)


def _from_legacy(path: Path, mapped: mmap.mmap) -> Contents:
    file = io.BytesIO(mapped[:MOST_PICKLE])
    if Reader(file, path).load() != LEGACY_MAGIC:
        raise ValueError("a pickle that torch.save did not write")
    for _ in ("protocol", "system"):
        Reader(file, path).load()
    reader = Reader(file, path)
    tensors = named(reader.load())
    keys = Reader(file, path).load()
    spans, start = {}, file.tell()
    for key in keys:
        if key not in reader.storages:
            raise ValueError("numbers of no tensor")
        storage = reader.storages[key]
        (count,) = struct.unpack_from("<Q", mapped, start)
        spans[storage] = Span(start + 8, count * storage.kind.bytes, None)
        start += 8 + spans[storage].length
    return Contents(tensors, spans)
