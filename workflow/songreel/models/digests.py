"""What a file of weights hashes to, and what it must: gigabytes are read once, and remembered after that.

Beside a file `<file>.sha256` says what it was found to hash to, with the size and time it had.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

import platformdirs

from songreel.ground import files
from songreel.ground.errors import UserError
from songreel.ground.files import Document, read_json, write_json_if_changed
from songreel.ground.messages import say
from songreel.models.catalogue import Remote

FOLDER = "SONGREEL_WEIGHTS"  # environment variable that names the cache
LARGE = 100_000_000  # bytes that take a while to hash


def cache_folder() -> Path:
    """Where weights are kept: $SONGREEL_WEIGHTS, or a folder in the user's cache."""
    named = os.environ.get(FOLDER)
    return Path(named).expanduser() if named else platformdirs.user_cache_path("songreel") / "weights"


def check(remote: Remote, target: Path) -> None:
    """Raise UserError unless the file is the published one."""
    sha256 = of(target, record(target), aloud=True)
    if sha256 != remote.sha256:
        raise UserError(
            f"{target}: found sha256 {sha256}, expected {remote.sha256}; move the file away, and the next"
            f" run downloads the right one."
        )
    remember(record(target), target.stat(), sha256)


def of(path: Path, record: Path, aloud: bool = False) -> str:
    """The sha256 of a file, as `record` remembers it if the file was not changed since."""
    stat, known = path.stat(), read_record(record)
    if known.get("sha256") and (known.get("size"), known.get("mtime_ns")) == (stat.st_size, stat.st_mtime_ns):
        return str(known["sha256"])
    return digest(path, aloud)


def remember(record: Path, stat: os.stat_result, sha256: str) -> None:
    """Note what a file of that size and time hashes to, if that can be written."""
    facts = {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "sha256": sha256}
    # A cache that others keep and that cannot be written is hashed each time
    with suppress(OSError):
        write_json_if_changed(record, facts)


def record(target: Path) -> Path:
    """Where it stands what a file in the cache hashes to."""
    return target.with_name(f"{target.name}.sha256")


def read_record(path: Path) -> Document:
    """What a small file beside a file says; nothing when it is not there or damaged, or its hash is none."""
    with suppress(UserError, OSError):
        document = read_json(path)
        if isinstance(document, dict) and re.fullmatch("[0-9a-f]{64}", str(document.get("sha256", "0" * 64))):
            return document
    return {}


def check_again(path: Path, record: Path) -> None:
    """Raise UserError when a file, read whole, hashes to something else than is remembered of it."""
    known = read_record(record).get("sha256")
    if known not in (None, sha256 := digest(path)):
        raise UserError(
            f"{path}: found sha256 {sha256[:12]}…, expected {known[:12]}… as before, and its time is"
            " the same: it was damaged on its disk; get the file again."
        )


def digest(path: Path, aloud: bool = False) -> str:
    """The sha256 of a file, read whole; `aloud`, a large one is announced."""
    size = path.stat().st_size
    if aloud and size >= LARGE:
        say(f"{path.name.removesuffix('.part')}: checking the sha256 of {megabytes(size)}.")
    return files.sha256(path)


def megabytes(size: int) -> str:
    """A size as people say it."""
    return f"{size / 1e6:.0f} MB" if size >= 1e6 else f"{size} bytes"
