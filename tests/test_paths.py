"""What names, files and reports promise: whole files under safe names, and lines that tell how it goes."""

import json
import math
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from snakemake.io import PeriodicityDetector

from songreel.ground.files import read_json, replacing, write_json_if_changed
from songreel.ground.messages import EVERY, duration, logged, say, say_first, shorten
from songreel.ground.paths import Paths, song_folder
from songreel.jobs import environment, latents
from songreel.jobs.latents import Segment
from songreel.jobs.progress import FILM, Progress
from tests import plans
from tests.plans import recipe

# names

STEMS = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1).filter(
    lambda stem: stem not in (".", "..") and Path(f"{stem}.csv").stem == stem
)


def test_every_file_lies_below_the_results_folder_under_a_name_of_its_own() -> None:
    paths = Paths(Path("elsewhere"))
    files = [
        paths.segment_plan("a"),
        paths.clip_plan("a"),
        paths.audio_facts("a"),
        paths.latents("a", 5),
        paths.clip("a"),
        *paths.tunes("a"),
        paths.timeline("a"),
        paths.film("a"),
        paths.work("a"),
    ]
    assert len(set(files)) == len(files)
    assert all(Path("elsewhere") in file.parents for file in files)
    assert paths.segment_plan("a").parents[2] == Path("elsewhere")  # the command line finds the folder so
    assert Paths() == Paths(Path("results"))


@pytest.mark.parametrize("stem", ["twinkle", "my-song.v2", "Song_1", "a" * 19, "ab" * 19, "la-" * 25 + "end"])
def test_a_plain_screenplay_gives_its_name_to_the_song(stem: str) -> None:
    assert song_folder(Path(f"anywhere/{stem}.csv")) == stem


@pytest.mark.parametrize(
    "stem", ["a" * 20, "la" * 20, "song-" + "la." * 25 + "la", "x" * 242 + " y", "ab" * 125]
)
def test_a_name_that_repeats_or_is_too_long_is_given_a_hash(stem: str) -> None:
    folder = song_folder(Path(f"{stem}.csv"))
    assert folder.startswith(stem[:10]) and re.search(r"-[0-9a-f]{8}$", folder)
    assert len(f"{folder}.log") <= 255
    assert PeriodicityDetector().is_periodic(folder) is None


@given(STEMS)
def test_any_screenplay_gets_a_folder_that_rules_and_shells_take_as_it_is(stem: str) -> None:
    folder = song_folder(Path(f"{stem}.csv"))
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", folder)
    assert folder not in ("plan", "latents", "clips", "tunes", "logs", ".work")


ALIKE = st.text("aB1 ._-ä\n", min_size=1, max_size=3).filter(lambda stem: Path(f"{stem}.csv").stem == stem)


@given(ALIKE, ALIKE)
def test_two_songs_never_share_a_folder(one: str, other: str) -> None:
    same = song_folder(Path(f"{one}.csv")) == song_folder(Path(f"{other}.csv"))
    assert same == (one == other)


@pytest.mark.parametrize("name", ["plan", "latents", "clips", "tunes", "logs"])
def test_a_song_never_takes_the_place_of_the_intermediate_files(name: str) -> None:
    assert song_folder(Path(f"{name}.csv")).startswith(f"{name}-")


def test_only_finished_latents_of_the_segment_itself_are_found_shortest_first(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    assert paths.rendered("abc") == {}
    for name in ("abc-100", "abc-5", "abc-20", "abcd-10", "xabc-15", ".77-abc-25", "abc-", "abc-5x"):
        path = tmp_path / f"latents/{name}.zarr.zip"
        path.parent.mkdir(exist_ok=True)
        path.touch()
    found = paths.rendered("abc")
    assert list(found.items()) == [(keyframes, paths.latents("abc", keyframes)) for keyframes in (5, 20, 100)]


# files


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "deep/down/file.txt"
    with replacing(target) as temporary:
        temporary.write_text("half")
        assert not target.exists()
        assert temporary.parent == target.parent
        assert temporary.name.startswith(".") and temporary.name.endswith("file.txt")
        temporary.write_text("whole")
    assert target.read_text() == "whole"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("error", [OSError(28, "disk full"), KeyboardInterrupt(), ValueError("wrong")])
def test_a_write_that_fails_leaves_the_old_file_and_no_rest(tmp_path: Path, error: BaseException) -> None:
    target = tmp_path / "file.txt"
    target.write_text("old")
    with pytest.raises(type(error)), replacing(target) as temporary:
        temporary.write_text("new")
        raise error
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_block_that_writes_nothing_is_an_error_and_keeps_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    target.write_text("old")
    with pytest.raises(FileNotFoundError), replacing(target):
        pass
    assert target.read_text() == "old"


def test_json_is_only_written_when_it_says_something_else(tmp_path: Path) -> None:
    target = tmp_path / "plan.json"
    write_json_if_changed(target, {"b": 1, "a": "星"})
    os.utime(target, (1_000_000_000, 1_000_000_000))
    write_json_if_changed(target, {"a": "星", "b": 1})
    assert target.stat().st_mtime == 1_000_000_000
    write_json_if_changed(target, {"a": "星", "b": 2})
    assert target.stat().st_mtime > 1_000_000_000
    assert read_json(target) == {"a": "星", "b": 2}


def test_json_can_be_read_by_people(tmp_path: Path) -> None:
    write_json_if_changed(tmp_path / "plan.json", {"text": "Déjà vu 星", "take": 0})
    text = (tmp_path / "plan.json").read_text(encoding="utf-8")
    assert "Déjà vu 星" in text
    assert text.index("take") < text.index("text")
    assert text.count("\n") == 4 and text.endswith("}\n")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@settings(max_examples=40, deadline=None)
@given(JSON)
def test_json_comes_back_as_it_was(value: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_json_if_changed(Path(folder) / "value.json", value)
        assert read_json(Path(folder) / "value.json") == value


def test_latents_are_found_as_soon_as_they_are_there(tmp_path: Path) -> None:
    """The folder is read again only when it has changed, which its time may be too coarse to tell."""
    paths = Paths(tmp_path)
    assert not paths.rendered("abc")
    folder = paths.latents("abc", 5).parent
    folder.mkdir()
    long_ago, lately = 10**9, time.time_ns()
    for keyframes, changed in ((5, long_ago), (10, lately), (15, lately), (20, lately + 1)):
        paths.latents("abc", keyframes).touch()
        os.utime(folder, ns=(changed, changed))
        assert list(paths.rendered("abc"))[-1] == keyframes
        assert not paths.rendered("abcd")


# the jobs' environment


def test_jobs_find_this_python_and_this_package_and_know_the_film(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.delenv(FILM, raising=False)
    environment.hand_on("twinkle", 1)
    check = "python -c 'import songreel, sys; print(sys.executable)'; echo $SONGREEL_FILM"
    told = subprocess.run(["/bin/sh", "-c", check], check=True, capture_output=True, text=True, cwd="/")
    python, film = told.stdout.splitlines()
    assert Path(python).parent == Path(sys.executable).parent
    assert film == "twinkle"


def test_the_users_own_search_paths_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/users/own")
    environment.hand_on("twinkle", 1)
    assert os.environ["PYTHONPATH"].split(os.pathsep)[-1] == "/users/own"
    assert "" not in os.environ["PYTHONPATH"].split(os.pathsep)


# reports


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (0.4, "0 s"),
        (42, "42 s"),
        (59.6, "1 min 0 s"),
        (185, "3 min 5 s"),
        (3599.7, "1 h 0 min"),
        (7800, "2 h 10 min"),
        (360_000, "100 h 0 min"),
    ],
)
def test_a_duration_is_told_as_people_say_it(seconds: float, said: str) -> None:
    assert duration(seconds) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a red rose", "'a red rose'"),
        ("it's a rose", '"it\'s a rose"'),
        ("two\n lines", "'two lines'"),
        ("x" * 40, f"'{'x' * 40}'"),
        ("x" * 41, f"'{'x' * 39}…'"),
    ],
)
def test_a_text_is_told_on_one_line(text: str, said: str) -> None:
    assert shorten(text) == said


class Clock:
    """Time that passes when told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


RECIPE = recipe(text="a red rose", iterations=10, lead_in=20)


def segment(keyframes: int) -> Segment:
    grown = latents.empty(np.zeros((4, 2, 2), np.float32))
    for _ in range(keyframes):
        grown = grown.extended(np.zeros((2, 2)), 0.5, grown.latent)
    return grown


def work(progress: Progress, watch: Clock, kept: int, keyframes: int, seconds: float) -> None:
    """Render as the job does, with so many seconds for an iteration."""
    progress.keyframe(segment(kept))
    for number in range(kept, keyframes):
        for _ in range(10 + (20 if number == 0 else 0)):
            watch.now += seconds
            progress.iteration()
        progress.keyframe(segment(number + 1))


def told(log: Path) -> list[str]:
    lines = log.read_text(encoding="utf-8").splitlines()
    stamps, reports = zip(*((line[:19], line[20:]) for line in lines), strict=True)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", stamp) for stamp in stamps)
    return list(reports)


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.delenv(FILM, raising=False)
    return Clock(monkeypatch)


def test_a_job_tells_its_start_its_course_and_its_end(tmp_path: Path, watch: Clock) -> None:
    log = tmp_path / "logs/deep/job.log"
    with logged(log):
        work(Progress(RECIPE, 3, Paths(tmp_path)), watch, kept=0, keyframes=3, seconds=0.5)
    assert told(log) == [
        "'a red rose': keyframe 0 of 3",
        "'a red rose': keyframe 0 of 3, 2.0 iterations/s, 20 s left",
        "'a red rose': keyframe 0 of 3, 2.0 iterations/s, 15 s left",
        "'a red rose': keyframe 0 of 3, 2.0 iterations/s, 10 s left",
        "'a red rose': keyframe 1 of 3, 2.0 iterations/s, 5 s left",
        "'a red rose': keyframe 2 of 3, 2.0 iterations/s, 0 s left",
        "'a red rose': keyframe 3 of 3, 2.0 iterations/s, 0 s left",
    ]


def test_a_resumed_job_counts_on_and_promises_only_what_is_left(tmp_path: Path, watch: Clock) -> None:
    log = tmp_path / "job.log"
    with logged(log):
        work(Progress(RECIPE, 10, Paths(tmp_path)), watch, kept=8, keyframes=10, seconds=1)
    assert told(log) == [
        "'a red rose': keyframe 8 of 10",
        "'a red rose': keyframe 8 of 10, 1.0 iterations/s, 15 s left",
        "'a red rose': keyframe 8 of 10, 1.0 iterations/s, 10 s left",
        "'a red rose': keyframe 9 of 10, 1.0 iterations/s, 5 s left",
        "'a red rose': keyframe 9 of 10, 1.0 iterations/s, 0 s left",
        "'a red rose': keyframe 10 of 10, 1.0 iterations/s, 0 s left",
    ]


def test_loading_the_models_does_not_count_as_slowness(tmp_path: Path, watch: Clock) -> None:
    log = tmp_path / "job.log"
    progress = Progress(RECIPE, 1, Paths(tmp_path))
    watch.now += 600
    with logged(log):
        work(progress, watch, kept=0, keyframes=1, seconds=1)
    assert all("1.0 iterations/s" in report for report in told(log)[1:])


def test_a_fast_job_says_little_and_a_slow_one_not_more_often_than_every_few_seconds(
    tmp_path: Path, watch: Clock
) -> None:
    quick, slow = tmp_path / "quick.log", tmp_path / "slow.log"
    for log, seconds in ((quick, 0.001), (slow, 0.7)):
        with logged(log):
            work(Progress(RECIPE, 5, Paths(tmp_path)), watch, kept=0, keyframes=5, seconds=seconds)
    assert len(told(quick)) == 2
    assert len(told(slow)) <= 3 + 70 * 0.7 / EVERY
    assert len(told(slow)) > 0.8 * math.floor(70 * 0.7 / EVERY)


def test_the_films_lines_are_counted(
    tmp_path: Path, watch: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(FILM, "twinkle")
    paths = Paths(tmp_path)
    Progress(RECIPE, 3, paths).keyframe(segment(0))
    lines = tuple(plans.line("one", 0, 1, segment) for segment in ("a", "b", "a", "c"))
    write_json_if_changed(paths.timeline("twinkle"), plans.timeline([], lines=lines).to_json())
    for name in ("a", "x"):
        paths.latents(name, 5).parent.mkdir(parents=True, exist_ok=True)
        paths.latents(name, 5).touch()
    Progress(RECIPE, 3, paths).keyframe(segment(0))
    assert capsys.readouterr().err.splitlines() == [
        "songreel: 'a red rose': keyframe 0 of 3",
        "songreel: 'a red rose': keyframe 0 of 3; 2 of 4 lines done",
    ]


def test_the_log_has_plain_lines_also_of_words_beyond_ascii(tmp_path: Path, watch: Clock) -> None:
    log = tmp_path / "job.log"
    odd = recipe(text="Déjà vu\n星\t\x1b[31mred")
    with logged(log):
        Progress(odd, 3, Paths(tmp_path)).keyframe(segment(0))
    (report,) = told(log)
    assert report.startswith("'Déjà vu 星 ")
    assert report.isprintable()
    assert json.dumps(report)


def test_lines_of_jobs_side_by_side_stay_whole_where_python_does_not_buffer(tmp_path: Path) -> None:
    code = "from songreel.jobs.progress import say\nfor n in range(400): say('x' * 60 + f' {n}')"
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with (tmp_path / "output").open("ab") as output:
        jobs = [
            subprocess.Popen([sys.executable, "-c", code], stderr=output, env=environment) for _ in range(4)
        ]
        assert [job.wait() for job in jobs] == [0] * 4
    lines = (tmp_path / "output").read_text().splitlines()
    assert len(lines) == 1600
    assert [line for line in lines if not re.fullmatch(r"songreel: x{60} \d+", line)] == []


def test_a_line_is_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    monkeypatch.setattr(sys, "stderr", SimpleNamespace(write=written.append, flush=lambda: None))
    say("a red rose")
    assert written == ["songreel: a red rose\n"]


def test_of_very_many_messages_the_first_are_said_and_the_rest_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    say_first([f"message {n}" for n in range(3)], most=3)
    say_first([f"message {n}" for n in range(5)], most=3)
    told = capsys.readouterr().err.splitlines()
    assert told[2:] == [
        *(f"songreel: message {n}" for n in (2, 0, 1, 2)),
        "songreel: 2 more such lines: songreel plan tells of all.",
    ]
