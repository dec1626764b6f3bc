"""One run's display: it looks at jobs four times a second, and shows them on a terminal or in lines."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console, ConsoleDimensions
from rich.live import Live
from rich.segment import Segment
from rich.text import Text

from songreel.display import lines, screen, state, words
from songreel.display.capture import Capture
from songreel.display.events import CLIP, KEYFRAMES, Began, Event, Trouble
from songreel.display.film import Film
from songreel.display.state import Run
from songreel.ground import messages
from songreel.jobs import standing

SCREEN, LINES, ENDING, NOTHING = "screen", "lines", "ending", "nothing"
OURS = "songreel: "  # before what songreel says, where there is no screen
TICK = 0.25  # seconds
MOST_LOOKS = 16  # files of jobs that are read in one tick: many may lie on a slow disk


@dataclass(frozen=True)
class Wishes:
    """How a run is to be shown."""

    kind: str = SCREEN
    price: float = 0.0  # of an hour of a core or GPU
    colours: bool = True
    local: bool = True  # whether jobs work as soon as they are begun


class Show:
    """Shows a run until it ends; what is printed meanwhile by anybody comes through it."""

    def __init__(self, films: tuple[Film, ...], damage: tuple[str, ...], wishes: Wishes) -> None:
        self.wishes = wishes
        self.run = Run(films, time.monotonic(), local=wishes.local, damage=damage)
        self._lock = threading.RLock()
        self._told: dict[int, bytes] = {}  # what a job's file held when it was last looked at
        self._turn = 0
        self._shown: list[list[Segment]] = []  # what stands on the screen
        self._spoken = self.run.since
        self._ended = threading.Event()
        self._capture = Capture()
        self._console = _console(self._capture, wishes)
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )
        self._thread = threading.Thread(target=self._go_on, daemon=True)
        self._print, messages.TERMINAL.write = messages.TERMINAL.write, self.note
        atexit.register(self.give_up)
        self._begin()

    def _begin(self) -> None:
        if self.wishes.kind == SCREEN:
            self._live.start()
        elif self.wishes.kind == LINES:
            self._say(*self.run.damage, *lines.opening(self.run))
        self._thread.start()

    def take(self, event: Event) -> None:
        """Take an event in."""
        with self._lock:
            before, now = self.run, time.monotonic()
            self.run = state.apply(before, event, now)
            if isinstance(event, Began):
                self._told[event.job] = standing.read(self._path(event))[0]
            if isinstance(event, Trouble) and not event.grave and event not in before.troubles:
                self._pass_on(event.words)
            if self.wishes.kind == LINES and (line := lines.of(before, event, self.run)):
                self._say(line)

    def note(self, message: str) -> None:
        """Print what somebody says meanwhile above what is shown."""
        with self._lock:
            if message.startswith(messages.FAILED):
                self.take(Trouble(message.removeprefix(messages.FAILED), grave=True))
            else:
                self._pass_on(message, by=OURS)

    def _pass_on(self, message: str, by: str = "") -> None:
        """Print words that are not the display's own."""
        if self.wishes.kind == SCREEN and not self._ended.is_set():
            self._console.print(Text(message, style="dim"))
        elif self.wishes.kind != NOTHING:
            self._say(message, by=by)

    def _say(self, *messages: str, by: str = OURS) -> None:
        self._spoken = time.monotonic()
        for message in messages:
            self._capture.terminal.write(f"{by}{message}\n")
        self._capture.terminal.flush()

    def _go_on(self) -> None:
        while not self._ended.wait(TICK):
            try:
                with self._lock:
                    self._look()
                    self._show()
            except Exception as error:
                # A display that fails must not take the run's words with it
                self.give_up()
                messages.say(f"nothing more is shown of this run, which goes on ({error!r}).")
                return

    def _look(self) -> None:
        for line in self._capture.news():
            self._pass_on(line)
        jobs = [job for job in self.run.running.values() if job.kind in (KEYFRAMES, CLIP)]
        self._turn += MOST_LOOKS
        first = self._turn % len(jobs) if len(jobs) > MOST_LOOKS else 0
        for job in (jobs[first:] + jobs[:first])[:MOST_LOOKS]:
            data, told = standing.read(self._path(job.began))
            # What a job that was killed left behind says nothing of this one
            if told and data != self._told.get(job.began.job):
                self._told[job.began.job] = data
                self.run = state.heard(self.run, job.began.job, told, time.monotonic())

    def _path(self, job: Began) -> Path:
        films = self.run.films
        film = next((film for film in films if job.name in film.by_name), films[0])
        return film.paths.standing(job.name)

    def _show(self) -> None:
        now = time.monotonic()
        if self.wishes.kind == SCREEN:
            self._fit()
            frame = screen.render(self.run, self.wishes.price, now, self._console)
            shown = self._console.render_lines(frame, pad=False)
            # What stays as it is is not written again, so that nothing can flicker
            if shown != self._shown:
                self._shown = shown
                self._live.update(frame, refresh=True)
        elif self.wishes.kind == LINES and now - self._spoken >= lines.EVERY:
            self._say(lines.now_and_then(self.run, self.wishes.price, now))

    def _fit(self) -> None:
        """Take the window's size over: one that was made narrower has broken its lines in two."""
        before, size = self._console.size, _size(self._console)
        if size.width < before.width and self._shown:
            cells = [sum(segment.cell_length for segment in line) for line in self._shown]
            rows = sum(max(1, -(-line // size.width)) for line in cells)
            up = f"\x1b[{rows - 1}A" if rows > 1 else ""
            # The rows are deleted: of erased ones, some terminals remember that they are parts of one.
            self._capture.terminal.write(f"\r{up}\x1b[{rows}M")
            self._capture.terminal.flush()
            # Live knows nothing of windows that change.
            self._live._live_render._shape, self._shown = None, []
        self._console.size = size

    @property
    def ended(self) -> bool:
        """Whether it shows nothing any more."""
        return self._ended.is_set()

    def end(self) -> None:
        """Show what there is at the end, and give the terminal back."""
        tracebacks = self.give_up()
        if tracebacks is None:
            return
        run, now = self.run, time.monotonic()
        errors = words.errors(run, self._capture.failures)
        is_wrong = bool(errors) and not (run.joined or run.idle)
        console = _console(None, self.wishes)
        if self.wishes.kind != NOTHING:
            ready = "green" if (run.joined or run.idle) and not errors else ""
            films, then = words.films_ending(run, self.wishes.price, now), words.next_steps(run)
            _print(console, films, ready)
            _print(console, then, "")
        told = run.damage if self.wishes.kind == LINES else ()
        _print(console, [error for error in errors if error not in told], "red")
        if is_wrong and not run.failed:
            _print(console, tracebacks, "dim")

    def give_up(self) -> list[str] | None:
        """Stop showing; the tracebacks that nobody has seen, or None when that was done before."""
        if self._ended.is_set():
            return None
        self._ended.set()
        if self._thread is not threading.current_thread() and self._thread.ident:
            self._thread.join()
        with self._lock:
            messages.TERMINAL.write = self._print
            with contextlib.suppress(OSError, ValueError):
                self._live.stop()
            news = self._capture.end()
            if self.wishes.kind != NOTHING:
                _print(_console(None, self.wishes), news, "")
        return self._capture.tracebacks


def _console(capture: Capture | None, wishes: Wishes) -> Console:
    on_screen = wishes.kind == SCREEN
    console = Console(
        file=capture.terminal if capture else sys.stderr,
        force_terminal=on_screen,
        no_color=None if wishes.colours else True,
        color_system="auto" if on_screen else None,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=not on_screen,
    )
    if on_screen:
        # Rich would believe COLUMNS, which does not change with the window.
        console.size = _size(console)
    return console


def _size(console: Console) -> ConsoleDimensions:
    """The columns and rows of a console's window; as many as it had where nobody knows."""
    with contextlib.suppress(OSError, ValueError):
        width, height = os.get_terminal_size(console.file.fileno())
        return ConsoleDimensions(width or 80, height or 25)
    return console.size


def _print(console: Console, said: Iterable[str], style: str) -> None:
    for message in said:
        for line in message.splitlines():
            prefix = "" if console.is_terminal else OURS
            console.print(Text(prefix + line, style=style))
