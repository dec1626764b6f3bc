"""What the display promises: it tells the truth of a run, in a few steady lines, on any terminal or none."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.registry import LoggerPluginRegistry
from snakemake_interface_logger_plugins.tests import TestLogHandlerBase

from snakemake_logger_plugin_songreel import LogHandler, LogHandlerSettings
from songreel.cli import main
from songreel.display import capture, events, lines, screen, state, words
from songreel.display.capture import Capture
from songreel.display.events import (
    CLIP,
    FILM,
    KEYFRAMES,
    STORYBOARD,
    Began,
    Ended,
    Event,
    Failed,
    Idle,
    Stopped,
    Trouble,
)
from songreel.display.film import Film, Line
from songreel.display.handler import Handler
from songreel.display.state import Run
from songreel.ground import messages
from songreel.ground.documents import SegmentRecipe
from songreel.ground.paths import Paths
from songreel.jobs import standing
from songreel.jobs.standing import Standing
from tests.conftest import REPOSITORY, TINY, Project, environment, new_project
from tests.terminal import Terminal

TEXTS = ("Over the river" + ", and on" * 20, "星星 🌟 שלום", "To grandmother's house \x1b[31m\x1b[2J now")


def line(number: int, text: str = "", **more: Any) -> Line:
    facts: dict[str, Any] = {"keyframes": 25, "iterations": 100, "frames": 300, **more}
    return Line(text or f"line {number}", f"segment{number}", f"clip{number}", **{"cached": False, **facts})


def film(*some: Line, root: Path = Path("results")) -> Film:
    return Film("river", "Over the River", 20.0, Path("screenplays/river.csv"), Paths(root), some)


CACHED = line(9, cached=True, keyframes=0, iterations=0, frames=0)


def began(job: int, kind: str = KEYFRAMES, log: Path | None = None, **more: Any) -> Began:
    name = {KEYFRAMES: f"segment{job % 100}", CLIP: f"clip{job % 100}", FILM: "river"}[kind]
    return Began(job, kind, name, log, **{"devices": 1, **more})


def played(run: Run, *told: Event | tuple[int, Standing], seconds: float = 1.0) -> Run:
    """The run after some events and standings, each so many seconds after the one before."""
    now = run.since
    for each in told:
        now += seconds
        run = state.heard(run, *each, now) if isinstance(each, tuple) else state.apply(run, each, now)
    return run


def run_of(*some: Line, **more: Any) -> Run:
    return Run((film(*some),), 0.0, **more)


# State


def test_a_line_is_done_when_its_clip_is_drawn() -> None:
    run = run_of(CACHED, line(0), line(1))
    assert state.done(run, run.films[0]) == 1
    run = played(run, began(0), Ended(0))
    assert state.done(run, run.films[0]) == 1
    run = played(run, began(100, CLIP), Ended(100))
    assert state.done(run, run.films[0]) == 2


def test_lines_that_share_a_clip_are_done_together() -> None:
    run = run_of(line(0), line(0), line(1))
    run = played(run, began(100, CLIP), Ended(100))
    assert state.done(run, run.films[0]) == 2


def test_a_bar_starts_from_what_an_earlier_run_kept() -> None:
    run = played(run_of(line(0, kept=15)), began(0))
    assert (state.share(run, run.running[0]), state.count(run, run.running[0])) == (0.6, (15, 25))
    run = played(run, (0, Standing(16, 25, 0.64, 4.0)))
    assert (state.share(run, run.running[0]), state.count(run, run.running[0])) == (0.64, (16, 25))


def test_the_time_left_is_unknown_until_something_was_measured() -> None:
    run = run_of(line(0), line(1))
    assert state.left_seconds(played(run, began(0))) is None
    run = played(run, began(0), (0, Standing(0, 25, 0.0, 10.0, 1.0, 9.0)))
    # Nine seconds of this one, and of the other its start, of a second, and ten for its iterations
    assert state.left_seconds(run) == pytest.approx(9 + 1 + 10)


def test_the_time_left_is_known_from_earlier_runs_and_shared_by_jobs_side_by_side() -> None:
    some = [line(number, per_iteration=0.1, per_frame=0.01) for number in range(4)]
    assert state.left_seconds(run_of(*some)) == pytest.approx(4 * (10 + 3))
    side_by_side = played(run_of(*some), began(0), began(1))
    assert state.left_seconds(side_by_side) == pytest.approx(2 * (10 + 3))
    # No line is done sooner than by itself, with however many others.
    run = played(run_of(*some), *map(began, range(4)))
    assert state.left_seconds(run) == pytest.approx(10 + 3)
    assert state.left_seconds(run_of(CACHED)) == 0


def test_what_it_cost_counts_devices_and_what_shares_one() -> None:
    run = played(run_of(line(0), line(1)), began(0, devices=2), seconds=0)
    assert state.device_seconds(run, 1800) == 3600
    assert words.cost(run, 2.5, 1800) == "2.50"
    shared = Film(**{**vars(run.films[0]), "jobs_per_gpu": 2})
    on_gpu = played(Run((shared,), 0.0), began(0, on_gpu=True), seconds=0)
    assert state.device_seconds(on_gpu, 3600) == 1800
    ended = state.apply(run, Ended(0), 10)
    assert state.device_seconds(ended, 99) == 20
    assert state.device_seconds(played(ended, began(5, FILM)), 99) == 20


def test_a_job_that_waits_in_a_queue_costs_nothing_yet() -> None:
    run = played(run_of(line(0), local=False), began(0))
    assert state.device_seconds(run, 500) == 0
    run = state.heard(run, 0, Standing(0, 25, 0.0), 400)
    assert state.device_seconds(run, 500) == 100


def test_a_job_that_is_tried_again_has_not_failed() -> None:
    run = played(run_of(line(0)), began(0), Failed(0, "keyframes", None))
    assert list(run.failed) == [0]
    run = played(run, began(0))
    assert not run.failed
    assert not list(words.failures(played(run, Ended(0))))


# Snakemake's records


def record(message: str = "", level: int = logging.INFO, **facts: Any) -> logging.LogRecord:
    made = logging.LogRecord("snakemake", level, "", 0, message, (), None)
    vars(made).update(facts)
    return made


def test_records_of_jobs_are_read_whatever_their_rules_are_called() -> None:
    facts: dict[str, Any] = {"jobid": 3, "rule_name": "mine_keyframes", "log": ["a.log"], "threads": 2}
    gpu: dict[str, Any] = {**facts, "wildcards": {"segment": "s", "keyframes": "5"}, "resources": {"gpu": 1}}
    assert events.read(record(event=LogEvent.JOB_INFO, **gpu)) == Began(
        3, KEYFRAMES, "s", Path("a.log"), 1, True
    )
    clip: dict[str, Any] = {**facts, "wildcards": {"clip": "c"}, "resources": {"gpu": 0}, "log": []}
    assert events.read(record(event=LogEvent.JOB_INFO, **clip)) == Began(3, CLIP, "c", None, 2)
    for made, kind in (
        ("results/river/film.mp4", FILM),
        ("results/river/storyboard.html (update)", STORYBOARD),
    ):
        song = record(event=LogEvent.JOB_INFO, **{**facts, "wildcards": {"song": "river"}, "output": [made]})
        assert events.read(song) == Began(3, kind, "river", Path("a.log"), 2)
    assert events.read(record(event=LogEvent.JOB_FINISHED, job_id=3)) == Ended(3)
    assert events.read(record(event=LogEvent.JOB_ERROR, level=40, **facts)) == Failed(
        3, "mine_keyframes", Path("a.log")
    )


def test_only_what_nothing_else_tells_is_trouble() -> None:
    assert events.read(record("Select jobs to execute...")) is None
    assert events.read(record("WorkflowError:\nAt least one job did not complete successfully.", 40)) is None
    assert events.read(record("No SLURM account", logging.WARNING)) == Trouble("No SLURM account", False)
    grave = record("MissingInputException", logging.ERROR, event=LogEvent.ERROR)
    assert events.read(grave) == Trouble("MissingInputException", True)
    assert events.read(record("Terminating processes on user request, this …")) == Stopped()
    assert events.read(record("Nothing to be done (all requested …).")) == Idle()


# The screen


def console(columns: int, rows: int, encoding: str = "utf-8", **more: Any) -> Console:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="backslashreplace")
    return Console(file=stream, force_terminal=True, width=columns, height=rows, **more)


def rendered(run: Run, columns: int, rows: int = 24, price: float = 0.0) -> list[str]:
    """The lines that are shown in so many columns and rows."""
    window = console(columns, rows)
    shown = window.render_lines(screen.render(run, price, 60.0, window), pad=False)
    return ["".join(segment.text for segment in each).rstrip() for each in shown]


def forty() -> Run:
    some = [line(number, TEXTS[number % 3]) for number in range(40)]
    run = played(run_of(CACHED, *some), *map(began, range(40)), seconds=0)
    return played(run, *((number, Standing(number % 25, 25, number / 40, 4.3)) for number in range(40)))


@pytest.mark.parametrize("columns", [40, 60, 80, 120])
@pytest.mark.parametrize("rows", [6, 24, 60])
def test_what_is_shown_fits_the_window(columns: int, rows: int) -> None:
    shown = rendered(forty(), columns, rows, price=2.5)
    assert len(shown) < rows
    assert max(map(cell_len, shown)) < columns
    assert not any(letter in each for each in shown for letter in "\x1b\x07\r\t")
    bars = sum("━" in each or "─" in each for each in shown)
    assert bars == 40 or shown[-1] == f"and {40 - bars} more"
    assert bars or rows == 6


@pytest.mark.parametrize(("columns", "bar"), [(40, 10), (80, 20), (120, 24)])
def test_bars_and_words_stand_below_each_other(columns: int, bar: int) -> None:
    shown = [each for each in rendered(forty(), columns, 60) if "━" in each or "─" in each]
    assert all(re.fullmatch(f"[━╸─]{{{bar}}}  .*", each) for each in shown)
    places = {each.index(begun) for each in shown for begun in ("Over", "星星", "To g") if begun in each}
    assert len(places) == 1
    assert all(each.endswith("…") for each in shown if "Over" in each)


def test_a_wide_window_says_more() -> None:
    run = played(run_of(line(0, "Over the river")), began(0), (0, Standing(12, 25, 0.5, 4.3, 3.0, 12.0)))
    narrow, usual, wide = (rendered(run, columns)[-1] for columns in (40, 80, 120))
    assert narrow == "━━━━━─────  12/25  Over the river"
    assert usual == "━━━━━━━━━━──────────  12/25   4.3 it/s  Over the river"
    assert wide.endswith("keyframe 12 of 25   4.3 iterations/s  Over the river")


def test_the_first_line_tells_lines_cache_time_and_cost() -> None:
    run = played(
        run_of(CACHED, line(0, frames=0)), began(0), (0, Standing(12, 25, 0.5, 4.0, 3.0, 12.0)), seconds=0
    )
    assert rendered(run, 100, price=60.0)[1] == (
        "Over the River  1 of 2 lines done · 1 cached · about 12 s left · cost 1.00 so far"
    )
    assert rendered(run, 40, price=60.0)[1:4] == [
        "Over the River  1 of 2 lines done",
        "1 cached · about 12 s left",
        "cost 1.00 so far",
    ]


def test_without_colours_and_without_unicode_bars_are_told_apart() -> None:
    run = played(run_of(line(0)), began(0), (0, Standing(12, 25, 0.5, 4.3)))
    plain = console(80, 24, "ascii", no_color=True)
    plain.print(screen.render(run, 0.0, 9.0, plain))
    plain.file.flush()
    written = plain.file.buffer.getvalue().decode("ascii")  # type: ignore[attr-defined]
    assert "==========----------" in re.sub(r"\x1b\[[0-9;]*m", "", written)
    assert not re.search(r"\x1b\[[0-9;]*(3|4|9|10)[0-7]\b", written)


def test_those_at_work_are_shown_before_those_that_wait() -> None:
    waiting = played(run_of(*map(line, range(40)), local=False), *map(began, range(40)))
    run = played(waiting, (33, Standing(3, 25, 0.1, 2.0)))
    assert rendered(run, 80, 10)[2].endswith("line 33")
    assert rendered(run, 80, 10)[3].endswith("waiting  line 0")


# Plain lines


def test_each_event_is_a_line() -> None:
    run, said = run_of(CACHED, line(0, "Over the river", kept=15)), []
    course: list[Event] = [began(0), Ended(0), began(100, CLIP), Ended(100), began(200, FILM), Ended(200)]
    for number, event in enumerate(course):
        before, run = run, state.apply(run, event, float(number))
        said.append(lines.of(before, event, run))
    assert lines.opening(run) == ["Over the River: 2 lines, 1 cached"]
    assert said == [
        "'Over the river': going on from keyframe 15 of 25 keyframes",
        "'Over the river': 25 keyframes are there",
        "'Over the river': drawing",
        "'Over the river': drawn; 2 of 2 lines done",
        "joining the film",
        None,
    ]


# Ends


def test_the_end_tells_where_the_film_is_and_what_to_do_next(tmp_path: Path) -> None:
    run = played(Run((film(CACHED, line(0), root=tmp_path),), 0.0), began(200, FILM), Ended(200))
    (ready,), (then,) = words.films_ending(run, 0.0, 42.0), words.next_steps(run)
    assert ready == f"{tmp_path}/river/film.mp4 is ready: 20 s, 2 lines, 1 cached; it took 42 s."
    assert "Change a line in screenplays/river.csv and run the same command" in then
    board = tmp_path / "river/storyboard.html"
    board.parent.mkdir()
    board.touch()
    assert str(board) in words.next_steps(run)[0]


def failing(tmp_path: Path, log: str, jobs: int = 1) -> Run:
    path = tmp_path / "job.log"
    path.write_text(log)
    run = run_of(*map(line, range(jobs)))
    for number in range(jobs):
        run = played(run, began(number, log=path), Failed(number, "keyframes", path))
    return run


STAMP = "2026-11-26 10:00:00 "


def test_a_failure_is_told_once_by_the_jobs_own_sentence(tmp_path: Path) -> None:
    log = f"{STAMP}'x': keyframe 0 of 5\n{STAMP}error: the disk is full; free some space.\n"
    assert words.errors(failing(tmp_path, log)) == ["'line 0': the disk is full; free some space."]
    assert words.errors(failing(tmp_path, log, 40)) == [
        "'line 0' and 39 more: the disk is full; free some space."
    ]


def test_a_job_that_ends_without_a_word_is_said_to(tmp_path: Path) -> None:
    run = failing(tmp_path, f"{STAMP}'x': keyframe 3 of 5, 2.0 iterations/s, 1 s left\n")
    (error,) = words.errors(run)
    assert "ended without a word, as when it is killed" in error
    assert str(tmp_path / "job.log") in error
    assert "run the same command again" in error
    # A scheduler may know more.
    slurm = Failed(0, "keyframes", None, "SLURM-job '7' failed, SLURM status is: 'TIMEOUT'. For further …")
    (error,) = words.errors(played(run_of(line(0)), began(0), slurm))
    assert error == (
        "'line 0': ended without a word, SLURM-job '7' failed, SLURM status is: 'TIMEOUT';"
        " run the same command again, finished keyframes are kept."
    )
    # Ctrl-C ends jobs, too, and that is no failure.
    stopped = state.apply(run, Stopped(), 9.0)
    assert words.errors(stopped) == []
    assert words.next_steps(stopped) == [words.STOPPED]


def test_what_a_job_cannot_write_into_its_log_is_heard(tmp_path: Path) -> None:
    """As on a full disk, or on one that may only be read."""
    run, full = failing(tmp_path, "", 2), "the disk is full; free some space."
    assert words.errors(run, [full, full]) == [f"'line 0' and 1 more: {full}"]
    # What a log says is not told once more for a job that says nothing.
    told = tmp_path / "told.log"
    told.write_text(f"{STAMP}error: {full}\n")
    run = played(run, began(1, log=told), Failed(1, "keyframes", told))
    assert [error.partition(" and ")[0] for error in words.errors(run, [full])] == [
        f"'line 1': {full.partition(' and ')[0]}",
        f"'line 0': ended without a word, as when it is killed or memory runs out; {tmp_path}/job.log tells"
        " how far it came; run the same command again, finished keyframes are kept.",
    ]


def test_a_job_that_fails_calls_its_last_words_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "job.log"
    assert main(["film", str(tmp_path / "gone.json"), "clip.mp4", "--log", str(log)]) == 1
    said = capsys.readouterr().err
    assert words.reason_in(log) == said.strip().removeprefix("songreel: ")
    assert "found no such file" in said


def test_a_job_that_crashes_leaves_its_traceback_in_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(_: Path) -> None:
        raise RuntimeError("a fault of\nsongreel's")

    monkeypatch.setattr(SegmentRecipe, "read", crash)
    with pytest.raises(RuntimeError):
        main(["keyframes", "x.json", "5", "--log", str(tmp_path / "job.log")])
    assert "Traceback" in (tmp_path / "job.log").read_text()
    assert words.reason_in(tmp_path / "job.log") == "RuntimeError: a fault of songreel's"


# What jobs tell


def test_a_job_tells_its_standing_while_it_works_and_takes_it_along(tmp_path: Path) -> None:
    path = tmp_path / "s.standing"
    with standing.shown(path) as tell:
        tell(Standing(3, 25, 0.12, 4.0, 5.0, 6.0))
        assert standing.read(path)[1] == Standing(3, 25, 0.12, 4.0, 5.0, 6.0)
        tell(Standing(4, 25, 0.16))
        assert standing.read(path)[1] == Standing(3, 25, 0.12, 4.0, 5.0, 6.0)  # it is too soon
        tell(Standing(25, 25, 1.0))
        assert standing.read(path)[1] == Standing(25, 25, 1.0)
    assert standing.read(path) == (b"", None)
    assert list(tmp_path.iterdir()) == []


def test_a_job_whose_folder_is_gone_makes_none(tmp_path: Path) -> None:
    with standing.shown(tmp_path / "gone/s.standing") as tell:
        tell(Standing(3, 25, 0.12))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"writer": 1}', '{"writer": "a", "x": 1}', "9" * 2000]
)
def test_what_no_job_wrote_is_no_standing(text: str, tmp_path: Path) -> None:
    path = tmp_path / "s.standing"
    path.write_text(text)
    assert standing.read(path)[1] is None


def test_two_jobs_never_tell_the_same(tmp_path: Path) -> None:
    told = set()
    for _ in range(2):
        with standing.shown(tmp_path / "s.standing") as tell:
            tell(Standing(15, 25, 0.6))
            told.add(standing.read(tmp_path / "s.standing")[0])
    assert len(told) == 2
    assert json.loads(told.pop())["done"] == 15


# What is printed meanwhile


def test_what_jobs_print_is_kept_from_the_terminal_and_the_unknown_told_once(
    capfd: pytest.CaptureFixture[str],
) -> None:
    kept = Capture()
    try:
        shell = (
            "echo songreel: known >&2; echo strange >&2; echo strange >&2; python -c 'raise SystemError' >&2"
        )
        subprocess.run(["bash", "-c", shell], check=False)
        subprocess.run(["bash", "-c", "bash -c 'kill -9 $$'; true"], check=False)
        kept.terminal.write("shown\n")
        kept.terminal.flush()
        said = "from songreel.ground.messages import fail; fail('the disk is full.')"
        subprocess.run([sys.executable, "-c", said], check=True)
        assert kept.news() == ["strange"]
        assert kept.failures == ["the disk is full."]
        os.write(2, b"later")
    finally:
        rest = kept.end()
    assert rest == []
    assert kept.tracebacks[0] == capture._TRACEBACK
    assert kept.tracebacks[-1] == "SystemError"
    os.write(2, b"back\n")
    assert capfd.readouterr().err == "shown\nback\n"


# Between Snakemake and what is shown


class TestPlugin(TestLogHandlerBase):
    """What Snakemake asks of every logger plugin."""

    __test__ = True

    def get_log_handler_cls(self) -> type[Handler]:
        return LogHandler

    def get_log_handler_settings(self) -> LogHandlerSettings:
        return LogHandlerSettings()


def test_snakemake_finds_the_plugin() -> None:
    plugin = LoggerPluginRegistry().get_plugin("songreel")
    told = {each["cliarg"] for each in plugin.get_settings_info()}
    assert told == {"--logger-songreel-off", "--logger-songreel-price"}


def handler(settings: LogHandlerSettings | None = None, **common: Any) -> Handler:
    plain = dict.fromkeys(("verbose", "debug_dag", "printshellcmds", "show_failed_logs", "nocolor", "dryrun"))
    told: Any = SimpleNamespace(**{**plain, "quiet": None, "stdout": False, **common})
    return LogHandler(told, settings)


STARTED = record("Workflow has started!", event=LogEvent.WORKFLOW_STARTED)


def test_snakemake_prints_itself_where_its_details_are_wanted() -> None:
    assert handler().writes_to_stream
    assert not handler(LogHandlerSettings(off=True)).writes_to_stream
    for wish in ("verbose", "debug_dag", "printshellcmds", "show_failed_logs", "dryrun"):
        assert not handler(None, **{wish: True}).writes_to_stream


def test_what_begins_no_run_prints_what_it_printed(capfd: pytest.CaptureFixture[str]) -> None:
    shown = handler()
    shown.film(film(line(0)), True)
    for message in ("Assuming a disk.", "Building DAG of jobs...", "Creating report..."):
        shown.emit(record(message))
    assert capfd.readouterr().err == "Assuming a disk.\nBuilding DAG of jobs...\nCreating report...\n"
    shown.close()
    shown = handler()
    shown.emit(record("Assuming a disk."))
    shown.damage("a clip was damaged.")
    shown.close()
    assert capfd.readouterr().err == "Assuming a disk.\nsongreel: a clip was damaged.\n"


def test_anothers_workflow_prints_what_it_printed(capfd: pytest.CaptureFixture[str]) -> None:
    shown = handler(quiet=[SimpleNamespace(name="HOST")])
    shown.emit(record("Assuming a disk."))
    shown.emit(record("Building DAG of jobs...", event=None))
    shown.emit(record("Finished jobid: 1", event=LogEvent.JOB_FINISHED, job_id=1))
    shown.close()
    assert "Assuming a disk." in (said := capfd.readouterr().err)
    assert "Finished jobid: 1" in said


def test_a_run_without_a_terminal_is_told_in_lines(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    shown = handler(LogHandlerSettings(price=2.5))
    shown.film(film(CACHED, line(0), root=tmp_path), True)
    shown.damage("a clip was damaged.")
    facts: dict[str, Any] = {"jobid": 1, "wildcards": {"clip": "clip0"}, "log": [], "threads": 1}
    shown.emit(STARTED)
    shown.emit(record("Building DAG of jobs..."))
    shown.emit(record(event=LogEvent.JOB_INFO, **facts))
    messages.say("somebody says something.")
    shown.emit(record(event=LogEvent.JOB_FINISHED, job_id=1))
    shown.emit(record(event=LogEvent.JOB_INFO, **{**facts, "jobid": 2, "wildcards": {"song": "river"}}))
    shown.emit(record(event=LogEvent.JOB_FINISHED, job_id=2))
    shown.close()
    shown.close()
    messages.say("and after.")
    said = capfd.readouterr().err
    assert "\x1b" not in said
    *course, ready, then, after = said.splitlines()
    assert course == [
        "songreel: a clip was damaged.",
        "songreel: Over the River: 2 lines, 1 cached",
        "songreel: 'line 0': drawing",
        "songreel: somebody says something.",
        "songreel: 'line 0': drawn; 2 of 2 lines done",
        "songreel: joining the film",
    ]
    assert ready.startswith(f"songreel: {tmp_path}/river/film.mp4 is ready: 20 s, 2 lines, 1 cached; it took")
    assert "and cost 0.0" in ready
    assert then.startswith("songreel: Change a line in")
    assert after == "songreel: and after."


@pytest.mark.parametrize(("quiet", "is_told"), [("PROGRESS", True), ("ALL", False)])
def test_a_quiet_run_tells_its_end_or_its_errors_alone(
    quiet: str, is_told: bool, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    shown = handler(quiet=[SimpleNamespace(name=quiet)])
    shown.film(film(line(0), root=tmp_path), True)
    facts: dict[str, Any] = {"jobid": 1, "wildcards": {"clip": "clip0"}, "log": [], "threads": 1}
    for each in (STARTED, record(event=LogEvent.JOB_INFO, **facts), record("Missing input", logging.ERROR)):
        shown.emit(each)
    shown.close()
    said = capfd.readouterr().err.splitlines()
    assert said[-1] == "songreel: Missing input"
    assert len(said) == 1 + is_told


def test_a_display_that_fails_leaves_the_run_to_snakemakes_output(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = handler()
    shown.film(film(line(0)), True)
    shown.emit(STARTED)
    monkeypatch.setattr(events, "read", lambda _: 1 / 0)
    shown.emit(record("Finished jobid: 1", event=LogEvent.JOB_FINISHED, job_id=1))
    shown.emit(record("Finished jobid: 2", event=LogEvent.JOB_FINISHED, job_id=2))
    shown.close()
    said = capfd.readouterr().err
    assert "the display was given up: ZeroDivisionError" in said
    assert "Finished jobid: 2" in said


# Real runs


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A film of one line, rendered by the first test that asks for it."""
    project = new_project(tmp_path_factory.mktemp("display") / "project", **TINY)
    project.write([("a lighthouse at dusk", 0.0)])
    return project


def shown_to_a_user(project: Project, *arguments: str) -> list[str | Path]:
    """The command that a user gives, who sees the display."""
    return [word for word in project.snakemake(*arguments) if word != "--logger-songreel-off"]


def on_a_terminal(project: Project, columns: int, **variables: str) -> tuple[Terminal, list[list[str]]]:
    """A terminal on which a film was rendered, and what stood on it after everything that was written."""
    terminal = Terminal(columns)
    kept = {key: value for key, value in environment().items() if key not in ("CI", "NO_COLOR")}
    kept |= {"TERM": "xterm-256color", "COLUMNS": "1", **variables}
    return terminal, [*terminal.run(shown_to_a_user(project), project.folder, kept)]


def test_a_run_on_a_terminal_shows_bars_and_leaves_where_the_film_is(ours: Project) -> None:
    terminal, screens = on_a_terminal(ours, 80)
    assert terminal.process.returncode == 0, terminal.lines
    heads = {each for shown in screens for each in shown if each.startswith("song  ")}
    assert any(head.startswith("song  0 of 1 line done") for head in heads)
    assert terminal.colour("results/song/film.mp4 is ready") == "green"
    bars = {each for shown in screens for each in shown if each.endswith("  a lighthouse at dusk")}
    assert len({bar.split()[1] for bar in bars}) > 1
    assert not [each for each in terminal.lines if "─" in each or "━" in each or "lines done" in each]
    end = "\n".join(terminal.lines)
    assert "results/song/film.mp4 is ready: 2 s, 1 line" in end
    assert "keyframe " not in end
    assert "Finished jobid" not in end
    assert not terminal.screen.cursor.hidden
    assert not terminal.screen.history.top
    assert list(ours.results.running("x").parent.iterdir()) == []


def test_a_run_that_fails_says_why_once_in_red_and_last(ours: Project, tmp_path: Path) -> None:
    broken = ours.copy(tmp_path / "project")
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\nif sys.orig_argv[3:4] == ['film']: os.kill(os.getpid(), 9)"
    )
    broken.film.unlink()
    terminal, _ = on_a_terminal(broken, 200, PYTHONPATH=f"{tmp_path}:{REPOSITORY / 'workflow'}")
    assert terminal.process.returncode == 1
    *_, last = terminal.lines
    assert last.startswith("'joining the film': ended without a word")
    assert terminal.colour(last) == "red"
    assert "Traceback" not in terminal.written
    assert terminal.written.count("ended without a word") == 1


def test_a_run_in_a_pipe_prints_plain_lines_and_a_dry_run_what_it_printed(ours: Project) -> None:
    def told(*arguments: str) -> tuple[str, str]:
        command = shown_to_a_user(ours, *arguments)
        run = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
        assert "\x1b" not in run.stdout + run.stderr
        return run.stdout, run.stderr

    out, said = told()
    assert out == ""
    assert "songreel: results/song/film.mp4 is ready: 2 s, 1 line. Nothing to be done.\n" in said
    ours.film.unlink()
    out, said = told("--dry-run")
    assert re.search(r"^film +1$", out, re.MULTILINE)
    assert "This was a dry-run" in out
    would = "a run would join 1 film, make 1 storyboard; `songreel plan` says how long that takes."
    assert said.splitlines()[-1] == f"songreel: {would}"
    out, _ = told("--dag")
    assert out.startswith("digraph")
