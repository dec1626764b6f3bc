"""What a person is told: a line at a time, in the terminal and in a log file, whatever either can show."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from songreel.ground import files

EVERY = 5.0  # seconds between two reports of one job


class Handler(logging.Handler):
    """Hands each message to a function."""

    def __init__(self, write: Callable[[str], object]) -> None:
        super().__init__()
        self.write = write

    def emit(self, record: logging.LogRecord) -> None:
        self.write(record.getMessage())


def _print(message: str) -> None:
    # One write: where Python does not buffer, `print` makes two, and lines of jobs side by side run together.
    sys.stderr.write(f"songreel: {message}\n")
    sys.stderr.flush()


class _Terminal(Handler):
    """Hands each message to a function, and says to a display of an error that it is one."""

    def emit(self, record: logging.LogRecord) -> None:
        is_error = record.levelno >= logging.ERROR and DISPLAYED in os.environ
        self.write((FAILED if is_error else "") + record.getMessage())


DISPLAYED = "SONGREEL_DISPLAYED"  # in the environment of jobs whose standard error a display reads
FAILED = "error: "  # before the sentence that tells why a job failed, in its log file and to a display

TERMINAL = _Terminal(_print)
LOGGER = logging.getLogger("songreel")
LOGGER.setLevel(logging.INFO)
LOGGER.addHandler(TERMINAL)
LOGGER.propagate = False  # to what a program around it prints of all that it hears


def say(message: str) -> None:
    """Print one line to the terminal, and add it to the log file of `logged`, if any."""
    LOGGER.info(message)


def fail(sentence: str) -> None:
    """Say why this process fails, which is printed in any case; its log file calls that an error."""
    LOGGER.error(sentence)


@contextmanager
def quiet(wanted: bool) -> Iterator[None]:
    """Have only failures printed while the block runs; the log file has everything."""
    before = TERMINAL.level
    TERMINAL.setLevel(logging.ERROR if wanted else before)
    try:
        yield
    finally:
        TERMINAL.setLevel(before)


class _Log(Handler):
    """Hands each message to a function, and says of an error that it is one."""

    def emit(self, record: logging.LogRecord) -> None:
        self.write((FAILED if record.levelno >= logging.ERROR else "") + record.getMessage())


@contextmanager
def logged(log: Path | None) -> Iterator[None]:
    """Add what is said while the block runs to a log file, too, if one is named."""
    handler = _Log(lambda message: note(message, log))
    LOGGER.addHandler(handler)
    try:
        yield
    finally:
        LOGGER.removeHandler(handler)


def say_first(messages: Sequence[str], most: int = 20) -> None:
    """Say some messages of what may be thousands, and how many more there are."""
    for message in messages[:most]:
        say(message)
    if len(messages) > most:
        say(f"{len(messages) - most} more such lines: songreel plan tells of all.")


def print_anywhere() -> None:
    """Let a terminal or file that takes no UTF-8 have the rest as escapes, instead of ending in an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def prints_all() -> bool:
    """Whether the standard output takes every letter as it is."""
    return (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")


def note(message: str, log: Path | None) -> None:
    """Add one line to the log file, if that can be written: its disk may be the one that is full."""
    if log:
        with contextlib.suppress(OSError):
            files.append(log, f"{time.strftime('%Y-%m-%d %H:%M:%S')} {message}\n".encode())


def shorten(text: str, letters: int = 40) -> str:
    """A text on one line, quoted, and cut to about so many letters."""
    line = " ".join(text.split())
    return repr(line if len(line) <= letters else line[: letters - 1] + "…")


def duration(seconds: float) -> str:
    """A duration as people say it: 42 s, 3 min 5 s, 2 h 10 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
