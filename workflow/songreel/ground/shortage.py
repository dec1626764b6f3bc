"""Too little memory, told in one sentence: it ends a job in as many ways as there are libraries."""

from __future__ import annotations

import errno
import re
import subprocess
import sys

from songreel.ground import limits
from songreel.ground.errors import DamageError, UserError

# Of torch, its allocators, numpy, the dynamic linker and Python
MESSAGES = re.compile(
    r"out of memory|(can.?t|cannot|unable to|failed to) allocate|failed to map segment|not enough memory"
    r"|bad_alloc|ALLOC_FAILED|can't start new thread",
    re.IGNORECASE,
)
# Bytes; with less of them left any failure of a library is for want of memory
NOTHING = 200_000_000
# Bytes of address space beyond torch itself, without which no model was ever loaded and run
HEADROOM = 1_000_000_000
GB = 1e9


def check_import() -> None:
    """Raise MemoryError where a limit of address space lets torch be imported barely, or not at all.

    With too little left its libraries end the process from threads of their own, where nothing can be caught.
    Only a process of its own can find that out; it is asked only where there is such a limit.
    """
    limit = limits.address_space()
    if limit is None or "torch" in sys.modules:
        return
    lowered = f"import resource; resource.setrlimit(resource.RLIMIT_AS, ({max(limit - HEADROOM, 0)},) * 2)"
    trial = subprocess.run(
        [sys.executable, "-c", f"{lowered}; import torch"], capture_output=True, text=True, check=False
    )
    if trial.returncode and "ModuleNotFoundError" not in trial.stderr:
        raise MemoryError


def sentence(error: BaseException | None) -> str | None:
    """What to say when an error, or one that led to it, is for want of memory; None for all others."""
    for _ in range(16):
        if error is None:
            return None
        if _is_shortage(error):
            return _message()
        error = error.__cause__ or error.__context__
    return None


def _is_shortage(error: BaseException) -> bool:
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno == errno.ENOMEM
    if isinstance(error, UserError | DamageError):
        return False
    in_vain = isinstance(error, RuntimeError) and limits.free() < NOTHING
    return in_vain or bool(MESSAGES.search(str(error)))


def _message() -> str:
    limit = limits.address_space()
    allowed = f", where `ulimit -v` allows {limit / GB:.1f} GB of address space" if limit else ""
    return (
        f"found too little memory{allowed}, expected enough for the models and an iteration; allow more, or"
        " lower 'size', 'micro_batch' or 'cutouts', and run the same command again, finished keyframes are"
        " kept."
    )
