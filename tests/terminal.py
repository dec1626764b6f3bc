"""A terminal to run a program on, and what stands on it."""

from __future__ import annotations

import codecs
import contextlib
import fcntl
import os
import pty
import struct
import subprocess
import termios
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyte


@dataclass
class Terminal:
    """A screen of some columns and rows, on which a program runs."""

    columns: int = 80
    rows: int = 24

    def __post_init__(self) -> None:
        self.screen = pyte.HistoryScreen(self.columns, self.rows, history=1000)
        self._stream = pyte.Stream(self.screen)
        self.written = ""

    def feed(self, text: str) -> None:
        """Show what a program writes."""
        self.written += text
        self._stream.feed(text.replace("\r\n", "\n").replace("\n", "\r\n"))

    def run(
        self, command: Sequence[str | Path], folder: Path, environment: Mapping[str, str]
    ) -> Iterator[list[str]]:
        """Run a program on the terminal to its end, and show the screen after whatever it writes."""
        ours, its = pty.openpty()
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", self.rows, self.columns, 0, 0))
        self.process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=its, stdout=its, stderr=its, start_new_session=True
        )
        os.close(its)
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        # The terminal is gone with the last process that has it.
        with contextlib.suppress(OSError):
            while data := os.read(ours, 1 << 16):
                self.feed(decoder.decode(data))
                yield self.lines
        os.close(ours)
        self.process.wait()

    @property
    def lines(self) -> list[str]:
        """What stands on the screen, without the empty rows at its end."""
        lines = [line.rstrip() for line in self.screen.display]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def colour(self, words: str) -> str:
        """The colour of the letters that some words on the screen begin with."""
        for row, line in enumerate(self.screen.display):
            if words in line:
                return str(self.screen.buffer[row][line.index(words)].fg)
        raise AssertionError(f"{words} is not on the screen: {self.lines}")
