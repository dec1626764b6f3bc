"""Ctrl-C and SIGTERM: the process ends where it stands, with one sentence and exit status 130 or 143.

Nothing is raised: an exception inside the imports of a compiled library, which go on long after the start,
can abort the process. So whoever begins what must not be left half done says beforehand how it is undone.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)

_undoings: list[Callable[[], object]] = []
_postponed: list[list[int]] = []  # the stops that wait, for each block that they wait for


@contextmanager
def undoing(undo: Callable[[], object]) -> Iterator[None]:
    """A stop inside the block calls `undo`, the last one begun first."""
    _undoings.append(undo)
    try:
        yield
    finally:
        _undoings.remove(undo)


@contextmanager
def postponed() -> Iterator[None]:
    """A SIGTERM inside the block waits for its end; Ctrl-C does not."""
    waiting: list[int] = []
    _postponed.append(waiting)
    try:
        yield
    finally:
        _postponed.remove(waiting)
        if waiting:
            signal.raise_signal(signal.SIGTERM)


@contextmanager
def handled(report: Callable[[], object]) -> Iterator[None]:
    """A stop inside the block undoes what is half done, calls `report` and ends the process."""

    def leave(number: int, _: FrameType | None) -> None:
        if number == signal.SIGTERM and _postponed:
            _postponed[-1].append(number)
            return
        try:
            for undo in reversed(_undoings):
                undo()
            report()
        finally:
            os._exit(128 + number)

    # What is ignored stays so, as `nohup` and a shell's `&` ask for; only the main thread may set any.
    before = {number: signal.getsignal(number) for number in SIGNALS} if _in_main_thread() else {}
    mine = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
    for number in mine:
        signal.signal(number, leave)
    try:
        yield
    finally:
        for number in mine:
            signal.signal(number, before[number])


def stop_jobs_too() -> None:
    """Let SIGTERM end Snakemake and its jobs as Ctrl-C does, which a terminal sends to all of them.

    Snakemake's own handler, set before this is called, would wait for the jobs that are running.
    """
    import psutil

    def leave(number: int, _: FrameType | None) -> None:
        for job in psutil.Process().children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                job.terminate()
        raise KeyboardInterrupt

    if _in_main_thread():
        signal.signal(signal.SIGTERM, leave)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
