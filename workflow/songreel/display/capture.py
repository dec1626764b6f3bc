"""The standard error of this process and its jobs, while a display has the terminal for itself.

It goes to a file without a name, which cannot fill up like a pipe or break when this process is killed.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator

from songreel.ground.messages import DISPLAYED, FAILED

STDERR = 2
# What jobs say is in their logs, too; a shell tells of jobs that were killed, which the logs' ends show.
_KNOWN = re.compile(r"songreel: |.*: line \d+: +\d+ (Killed|Terminated|Interrupt|Aborted|Segmentation fault)")
_FAILURE = f"songreel: {FAILED}"
_TRACEBACK = "Traceback (most recent call last):"
_BETWEEN = ("During handling of the above", "The above exception was")


class Capture:
    """What is printed meanwhile, and the way to the terminal."""

    def __init__(self) -> None:
        sys.stderr.flush()
        self._file = tempfile.TemporaryFile()  # noqa: SIM115
        self._read = 0
        self._rest = b""
        self._in_traceback = False
        self.tracebacks: list[str] = []  # their lines, which a job's log has as well
        self.failures: list[
            str
        ] = []  # why jobs failed, which their logs say as well where they could be written
        self._seen: set[str] = set()
        self._terminal = os.dup(STDERR)
        encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
        self.terminal = open(os.dup(STDERR), "w", encoding=encoding, errors="backslashreplace")  # noqa: SIM115, PTH123
        os.dup2(self._file.fileno(), STDERR)
        os.environ[DISPLAYED] = "1"

    def news(self) -> list[str]:
        """The lines that were printed since the last call and that nothing else tells, each once."""
        data = self._rest + os.pread(self._file.fileno(), 1 << 20, self._read)
        self._read += len(data) - len(self._rest)
        *lines, self._rest = data.split(b"\n")
        return [*self._new(line.decode("utf-8", errors="replace").rstrip() for line in lines)]

    def _new(self, lines: Iterator[str]) -> Iterator[str]:
        for line in lines:
            if line == _TRACEBACK or line.startswith(_BETWEEN) or self._in_traceback:
                self._in_traceback = line == _TRACEBACK or (self._in_traceback and line.startswith(" "))
                self.tracebacks.append(line)
            elif line.startswith(_FAILURE):
                self.failures.append(line.removeprefix(_FAILURE))
            elif line and not _KNOWN.match(line) and line not in self._seen:
                self._seen.add(line)
                yield line

    def end(self) -> list[str]:
        """Give the standard error back; what was not read yet."""
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()
        news = [line for lines in iter(self.news, []) for line in lines]
        os.dup2(self._terminal, STDERR)
        os.environ.pop(DISPLAYED, None)
        os.close(self._terminal)
        self.terminal.close()
        self._file.close()
        return news
