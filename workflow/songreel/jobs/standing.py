"""How far a job is, in a small file, for whoever looks on: the display, on this machine or another.

The file says nothing of whether its writer lives. Whoever reads it believes it when it has changed since
they began to look; a job that ends takes it along, and one that is killed leaves it to the next.
"""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from songreel.ground import files, stops

EVERY = 0.5  # seconds between two writings
MOST_BYTES = 1000


@dataclass(frozen=True)
class Standing:
    """How far a job is."""

    done: int  # keyframes or frames
    total: int  # of them
    share: float  # of all that, 0 to 1, with parts of a keyframe
    speed: float = 0.0  # iterations or frames a second; 0 while it is not known
    seconds: float = 0.0  # that the job has worked
    left_seconds: float = 0.0  # that it will still work; counts when the speed is known


Tell = Callable[[Standing], object]


def nobody(_: Standing) -> None:
    """Tell nobody."""


@contextmanager
def shown(path: Path) -> Iterator[Tell]:
    """While the block runs, what it tells stands in a file, if that can be written."""
    writer, told = uuid.uuid4().hex, 0.0

    def tell(standing: Standing) -> None:
        nonlocal told
        finished = standing.done == standing.total
        if not told or finished or time.monotonic() - told >= EVERY:
            told = time.monotonic()
            with contextlib.suppress(OSError):
                _write(path, {"writer": writer, **asdict(standing)})

    def remove() -> None:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)

    with stops.undoing(remove):
        try:
            yield tell
        finally:
            remove()


def _write(path: Path, facts: files.Document) -> None:
    # A workflow made the folder. Where it is gone, so is the disk with the results, or nobody looks on.
    if not path.parent.is_dir():
        return
    with files.replacing(path, lasting=False) as temporary:
        temporary.write_text(json.dumps(facts), encoding="utf-8")


def read(path: Path) -> tuple[bytes, Standing | None]:
    """What a file holds, to be compared, and the standing that it tells, if it can be true."""
    try:
        data = files.read_bytes(path, MOST_BYTES)
        facts = json.loads(data)
        writer, standing = facts.pop("writer"), Standing(**{key: abs(facts[key]) for key in facts})
    except OSError:
        return b"", None
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return data, None
    return data, standing if isinstance(writer, str) and standing.share <= 1 else None
