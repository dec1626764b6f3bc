"""Whether a film is the one that its plan asks for: told by what it holds, never by times.

A film ends with the hash of the plan that it was joined by, its song's name and a checksum of everything (see
`seal`). Snakemake itself compares times, and takes a timeline that it has seen before for old: so a film that
is there and not the plan's gets one more input, new at each start, for as long as it is there.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from contextlib import suppress
from pathlib import Path

from songreel.ground import files, seal
from songreel.ground.documents import Timeline
from songreel.ground.errors import DamageError, UserError
from songreel.ground.files import Document, check_is_file, read_json, write_if_changed, write_json_if_changed

# Of a film that takes a while to read at every start: a second, at 1.5 GB a second
LARGE_BYTES = 1 << 30
LATER_NS = 2_000_000_000  # the coarsest clock of a file system


def finish(film: Path, timeline: Timeline, target: Path) -> None:
    """Seal a film that was just joined by a timeline, for its place.

    Raises UserError when the song is no longer the one that the timeline was made for.
    """
    check_song(timeline)
    seal.add(film, _seal(timeline, target))


def check_song(timeline: Timeline) -> None:
    """Raise UserError when a timeline's song is no longer the one that it was made for, OSError when gone."""
    sound = timeline.audio
    if sound and files.sha256(Path(sound.path)) != sound.sha256:
        raise UserError(
            f"{sound.path}: found a song that was changed since the film was planned, expected the one it"
            f" was planned with; run the same command again."
        )


def is_film(film: Path, timeline: Timeline, noted: Path) -> bool:
    """Whether a film is whole and the timeline's; False when there is none or it is an older plan's.

    Raises DamageError when it is no film of this song as songreel made it. A large one is read again only
    when it was changed since `noted` says that it was whole: the file's number, size and times tell that.
    """
    wanted, expected = _seal(timeline, film), f"the film {film.parent.name}"
    payload = _read_payload(film, expected)
    if payload is not None and payload[: seal.DIGEST_BYTES] != wanted.payload[: seal.DIGEST_BYTES]:
        raise DamageError(film, "another screenplay's film", expected)
    if payload != wanted.payload:
        return False
    facts = _facts(film)
    if not _was_read(facts, noted):
        if not seal.intact(film, wanted):
            raise DamageError(film, "a damaged file", expected)
        _note(facts, noted)
    return True


def is_older(film: Path, timeline: Timeline) -> bool:
    """Whether a film is there and tells another plan than the timeline. Raises DamageError as `is_film`."""
    payload = _read_payload(film, f"the film {film.parent.name}")
    return payload is not None and payload != _seal(timeline, film).payload


def _read_payload(film: Path, expected: str) -> bytes | None:
    """What a film tells of itself; None when there is none."""
    try:
        check_is_file(film, expected)
        payload = seal.read_payload(film, seal.FILM, 2 * seal.DIGEST_BYTES)
    except FileNotFoundError:
        return None
    if payload is None:
        raise DamageError(film, "a damaged file, or a film of an earlier version", expected)
    return payload


def ask_again(film: Path, asked: Path) -> None:
    """Have Snakemake join a film again that is there and not its plan's, by a file that is newer than it."""
    write_if_changed(asked, uuid.uuid4().bytes)
    stamp = film.stat().st_mtime_ns
    if asked.stat().st_mtime_ns <= stamp:
        os.utime(asked, ns=(stamp + LATER_NS,) * 2)


def _seal(timeline: Timeline, film: Path) -> seal.Seal:
    text = json.dumps(timeline.to_json(), sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return seal.of_film(film.parent.name, hashlib.sha256(text.encode()).digest())


def _was_read(facts: Document, noted: Path) -> bool:
    with suppress(UserError, OSError):
        return bool(facts["size"] > LARGE_BYTES and read_json(noted) == facts)
    return False


def _note(facts: Document, noted: Path) -> None:
    if facts["size"] > LARGE_BYTES:
        with suppress(OSError):
            write_json_if_changed(noted, facts)


def _facts(film: Path) -> Document:
    """What changes whenever a file is written or exchanged, whatever its time of modification is set to."""
    stat = film.stat()
    return {
        "inode": stat.st_ino,
        "size": stat.st_size,
        "mtime_ns": stat.st_mtime_ns,
        "ctime_ns": stat.st_ctime_ns,
    }
