"""How large a container becomes, told before it is unpacked: 65 kB may hold 8 GB."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterable
from mmap import mmap

MOST_DIRECTORY = 32 << 20  # bytes, of a zip archive; a hundred thousand entries take half of them
END, END_64 = (
    b"PK\x05\x06",
    b"PK\x06\x07",
)  # of the record that ends an archive, and of where a large one's is
LONGEST_COMMENT = 1 << 16
ZSTD = b"\x28\xb5\x2f\xfd"  # which begins each of its frames
# How many times as large a file may become, and bytes that it always may
GROWTH, FLOOR = 100, 256 << 20


class GrowthError(ValueError):
    """A container would take more memory than anything of its kind."""


def check_directory(data: bytes | mmap) -> None:
    """Raise GrowthError for a zip archive whose list of entries alone would take gigabytes."""
    end = data.rfind(END, max(0, len(data) - LONGEST_COMMENT - 22))
    if end < 0:
        return  # zipfile says what it misses
    entries, size = struct.unpack_from("<HI", data, end + 10)
    if data[end - 20 : end - 16] == END_64:
        (at,) = struct.unpack_from("<Q", data, end - 12)
        entries, size = struct.unpack_from("<QQ", data, at + 32)
    if size > MOST_DIRECTORY:
        raise GrowthError(f"a zip archive whose directory of {entries} entries takes {size} bytes")


def check_growth(sizes: Iterable[int], packed: int) -> None:
    """Raise GrowthError when what a file of `packed` bytes holds takes absurdly many more."""
    total = sum(sizes)
    if total > FLOOR + GROWTH * packed:
        raise GrowthError(f"{packed} bytes that would become {total}")


def entry_sizes(archive: zipfile.ZipFile) -> list[int]:
    """The bytes of each entry, unpacked."""
    return [entry.file_size for entry in archive.infolist()]


def zstd_size(data: bytes) -> int:
    """The bytes that a frame of zstd becomes, by its header (RFC 8878, 3.1.1.1)."""
    if data[:4] != ZSTD or len(data) < 6:
        raise GrowthError("a chunk that is not zstd's")
    descriptor = data[4]
    flag, single, dictionary = descriptor >> 6, descriptor >> 5 & 1, descriptor & 3
    width = (single, 2, 4, 8)[flag]  # bytes of the field
    if not width:
        raise GrowthError("a chunk of unknown size")
    start = 5 + (not single) + (0, 1, 2, 4)[dictionary]
    return int.from_bytes(data[start : start + width], "little") + (256 if width == 2 else 0)
