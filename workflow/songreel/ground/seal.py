"""A box at a file's end, which players pass over, that tells whether the file is whole and which it is."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

CLIP = b"songreel-seal-v2"  # kinds of boxes, of 16 bytes each
FILM = b"songreel-film-v1"
DIGEST_BYTES = hashlib.sha256().digest_size
HEAD_BYTES = 4 + len(b"uuid") + len(CLIP)
BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class Seal:
    """What a file is: its name goes into the checksum, and what is `payload` stands in the box to be read."""

    kind: bytes
    name: bytes
    payload: bytes = b""

    @property
    def size(self) -> int:
        """Of the box, in bytes."""
        return HEAD_BYTES + len(self.payload) + DIGEST_BYTES


def of_clip(clip: str) -> Seal:
    """The seal of the clip of that id."""
    return Seal(CLIP, clip.encode())


def of_film(song: str, plan: bytes) -> Seal:
    """The seal of a song's film by the plan of that sha256."""
    facts = hashlib.sha256(song.encode()).digest() + plan
    return Seal(FILM, facts, facts)


def add(file: Path, seal: Seal) -> None:
    """Seal a file that is whole now."""
    with file.open("r+b") as sealed:
        sealed.write(_box(sealed, seal, file.stat().st_size))


def intact(file: Path, seal: Seal) -> bool:
    """Whether a file is to the byte the one that was sealed so; reads all of it."""
    with file.open("rb") as sealed:
        size = file.stat().st_size - seal.size
        return size >= 0 and _box(sealed, seal, size) == sealed.read()


def read_payload(file: Path, kind: bytes, count: int) -> bytes | None:
    """The `count` bytes that a box of that kind tells; None when the file does not end with one."""
    box_bytes = HEAD_BYTES + count + DIGEST_BYTES
    with file.open("rb") as sealed:
        if file.stat().st_size < box_bytes:
            return None
        sealed.seek(-box_bytes, 2)
        box = sealed.read(HEAD_BYTES + count)
    return box[HEAD_BYTES:] if box[:HEAD_BYTES] == _head(box_bytes, kind) else None


def _head(box_bytes: int, kind: bytes) -> bytes:
    return box_bytes.to_bytes(4) + b"uuid" + kind


def _box(sealed: BinaryIO, seal: Seal, size: int) -> bytes:
    """The box for the first `size` bytes of a file, which is then read so far."""
    digest = hashlib.sha256(seal.name)
    left = size
    while block := sealed.read(min(left, BLOCK_BYTES)):
        digest.update(block)
        left -= len(block)
    return _head(seal.size, seal.kind) + seal.payload + digest.digest()
