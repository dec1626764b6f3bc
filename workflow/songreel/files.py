"""Writing so that a file is whole or not there."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A temporary name beside the target, renamed to it when the block ends well and removed when not."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{os.getpid()}-{target.name}")
    try:
        yield temporary
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def write_json_if_changed(target: Path, value: Any) -> None:
    """Write canonical JSON, but leave a file that already says the same as it is, time stamp included."""
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    write_if_changed(target, text.encode("utf-8"))


def write_if_changed(target: Path, data: bytes) -> None:
    """Write a file, but leave one that already holds the same as it is, time stamp included."""
    if target.exists() and target.read_bytes() == data:
        return
    with replacing(target) as temporary:
        temporary.write_bytes(data)


def read_json(path: Path) -> Any:
    """What `write_json_if_changed` wrote."""
    return json.loads(path.read_text(encoding="utf-8"))
