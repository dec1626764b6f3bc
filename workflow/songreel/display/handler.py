"""Snakemake's log records on their way to a display, or to Snakemake's own output where nothing is shown.

Snakemake hands them over one by one, in a thread of its own. Until a run of songreel's rules begins, nobody
knows whether there will be one: `--dag`, `--report` and the like begin none.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from songreel.display import events
from songreel.display.settings import Settings
from songreel.ground.messages import say

# Snakemake imports this at each start, also of what renders nothing: the rest is imported when it is needed.
if TYPE_CHECKING:
    from songreel.display.film import Film
    from songreel.display.show import Show

BUILDING = "Building DAG"  # what Snakemake says first of what it does with the rules
PATIENCE_SECONDS = 30.0
NO_SCREEN = ("", "dumb", "unknown")  # terminals, by TERM, that know no cursor


class Handler(LogHandlerBase):
    """Shows the films that it is told of while they are rendered."""

    def __post_init__(self) -> None:
        common = self.common_settings
        self._settings = self.settings if isinstance(self.settings, Settings) else Settings()
        self._quiet = {quietness.name for quietness in common.quiet or ()}
        details = common.verbose, common.debug_dag, common.printshellcmds, common.show_failed_logs
        self._active = not (self._settings.off or common.dryrun or any(details))
        self._films: tuple[Film, ...] = ()
        self._damage: tuple[str, ...] = ()
        self._local = True
        self._early: list[logging.LogRecord] = []  # what was logged before it was known whether a run begins
        self._show: Show | None = None
        self._begun = threading.Event()
        self._own: logging.Handler | None = None  # Snakemake's, once it is known that none does
        self._planned: Mapping[str, int] = {}  # jobs by rule
        self.is_songreels = False  # whether the rules are songreel's

    @property
    def writes_to_stream(self) -> bool:
        """Whether this handler shows runs, and Snakemake prints nothing itself."""
        return self._active

    writes_to_file = property(lambda _: False)
    has_filter = property(lambda _: True)
    has_formatter = property(lambda _: True)
    needs_rulegraph = property(lambda _: False)

    def film(self, film: Film, local: bool) -> None:
        """Show this film, too, when the run begins; `local` where jobs work when they are begun."""
        from songreel.display import show  # noqa: F401

        # Imported here, where the workflow waits for it: its jobs may not begin before the display does.
        self._films, self._local = (*self._films, film), local

    def await_begin(self) -> None:
        """Wait until the display has the terminal, for the jobs that are about to begin would write on it."""
        if self._active and self._films:
            self._begun.wait(PATIENCE_SECONDS)

    def damage(self, sentence: str) -> bool:
        """Keep for the end what was found damaged; False where this handler shows nothing."""
        self._damage = (*self._damage, sentence) if self._active else ()
        return self._active

    def emit(self, record: logging.LogRecord) -> None:
        """Show what a record tells. A display that fails is given up for Snakemake's own output."""
        try:
            self._take(record)
        except Exception as error:
            self._pass_on()
            say(f"the display was given up: {error!r}.")

    def _take(self, record: logging.LogRecord) -> None:
        event = getattr(record, "event", None)
        if event == LogEvent.RUN_INFO:
            self._planned = getattr(record, "stats", {})
        if not self._active:
            return
        if self._own or (self._show and self._show.ended):
            self._pass_on(record)
        elif self._show:
            if told := events.read(record):
                self._show.take(told)
        elif event == LogEvent.WORKFLOW_STARTED and self._films:
            self._begin()
        elif event == LogEvent.WORKFLOW_STARTED or str(record.msg).startswith(BUILDING):
            self._pass_on(record)
        else:
            self._early.append(record)

    def _begin(self) -> None:
        from songreel.display import show

        own = _snakemakes(self.common_settings)
        for record in self._early:
            if record.levelno >= logging.WARNING:
                own.handle(record)
        wishes = show.Wishes(
            kind=self._kind(),
            price=self._settings.price,
            colours=not self.common_settings.nocolor,
            local=self._local,
        )
        self._show = show.Show(self._films, self._damage, wishes)
        self._early, self._damage = [], ()
        self._begun.set()

    def _kind(self) -> str:
        from songreel.display import show

        if self._quiet:
            return show.NOTHING if "ALL" in self._quiet else show.ENDING
        screen = os.isatty(2) and os.environ.get("TERM", "") not in NO_SCREEN and "CI" not in os.environ
        return show.SCREEN if screen else show.LINES

    def _pass_on(self, *records: logging.LogRecord) -> None:
        """Have Snakemake's own handler print these records, and what was kept back before them."""
        if self._show:
            self._show.give_up()
        if self._own is None:
            self._own = _snakemakes(self.common_settings)
        self._begun.set()
        early, self._early = self._early, []
        for record in (*early, *records):
            self._own.handle(record)

    def close(self) -> None:
        """Show what there is at the end."""
        if self._active:
            self._end()
        elif self.common_settings.dryrun and self.is_songreels and not (self._settings.off or self._quiet):
            if self._planned:
                say(_in_words(self._planned))
            self._planned = {}
        super().close()

    def _end(self) -> None:
        if self._show:
            self._show.end()
        elif self._early:
            self._pass_on()
        for sentence in self._damage:
            say(sentence)
        self._damage = ()


def _snakemakes(settings: Any) -> logging.Handler:
    """What Snakemake prints with where there is no plugin."""
    from snakemake import logging as snakemakes

    handler = snakemakes.ColorizingTextHandler(nocolor=settings.nocolor, stream=sys.stderr)
    handler.addFilter(
        snakemakes.DefaultFilter(
            settings.quiet,
            settings.debug_dag,
            settings.verbose,
            settings.dryrun,
            settings.printshellcmds,
        )
    )
    handler.setFormatter(snakemakes.DefaultFormatter(settings.quiet, settings.show_failed_logs))
    return handler  # type: ignore[no-any-return]


def _in_words(planned: Mapping[str, int]) -> str:
    """What a dry run has found to do."""
    parts = [
        f"{verb} {planned[rule]} {thing if planned[rule] == 1 else things}"
        for rule, verb, thing, things in (
            ("fetch", "fetch", "model", "models"),
            ("keyframes", "optimise", "line", "lines"),
            ("clip", "draw", "clip", "clips"),
            ("film", "join", "film", "films"),
            ("storyboard", "make", "storyboard", "storyboards"),
        )
        if planned.get(rule)
    ]
    return f"a run would {', '.join(parts) or 'do nothing'}; `songreel plan` says how long that takes."


def of(workflow: Any) -> Handler | None:
    """The handler that a workflow's Snakemake logs to, if its profile or user asked for it."""
    handlers = workflow.logger_manager.get_log_handlers()
    return next((handler for handler in handlers if isinstance(handler, Handler)), None)
