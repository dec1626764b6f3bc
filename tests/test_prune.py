"""What no screenplay needs can be removed, and nothing else ever is."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from songreel.cli import main
from songreel.drawing import film
from songreel.ground.documents import SegmentRecipe
from songreel.ground.errors import UserError
from songreel.ground.files import Document
from songreel.ground.paths import Paths
from songreel.jobs import heartbeat, latents, locks
from songreel.jobs.latents import Segment
from songreel.models import weights
from songreel.planning import config, plan
from songreel.planning.plan import Plan
from songreel.upkeep import prune, running
from tests import films
from tests.conftest import REPOSITORY, TINY, Project, new_project

Lines = Sequence[tuple[str, float]]

LINES: Lines = [("red boat", 0), ("green hill", 4), ("blue sky", 8)]
EDITED: Lines = [("red boat", 0), ("a green hill", 4), ("blue sky", 8)]
HOURS = 3600
PATHS = Paths()


@pytest.fixture(autouse=True)
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash no weights and start no ffmpeg: many films are planned here."""
    monkeypatch.setattr(weights, "_check_file", lambda found: None)
    monkeypatch.setattr(film, "working", film.executable)


@pytest.fixture
def here(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project without lines, in whose folder the test runs."""
    monkeypatch.chdir(project.folder)
    return project


def planned(**over: Any) -> Plan:
    return plan.make(config.resolve(config.read(Path("config.yaml")) | over), PATHS)


def render(made: Plan) -> Plan:
    """Leave what a run would leave: plans, latents of one token, and empty clips, logs and films."""
    plan.write(made, PATHS)
    for part in {part.segment: need for clip in made.clips.values() for part, need in plan.sources(clip)}:
        if part in plan.missing_latents(made, PATHS):
            keep(made.segments[part], made.needs[part])
    clips = [path for clip in made.clips for path in (PATHS.clip(clip), PATHS.log("clips", clip))]
    for path in [*clips, PATHS.film(made.song), PATHS.log("films", made.song)]:
        touch(path)
    return made


def keep(recipe: SegmentRecipe, keyframes: int) -> Path:
    """A latents file with its log."""
    path = PATHS.latents(recipe.id, keyframes)
    touch(path)
    grid = np.zeros((keyframes, 1, 1), np.uint16)
    with path.open("wb") as file:
        latents.write(
            file, Segment(grid, np.zeros(keyframes, np.float32), np.zeros((1, 1, 1), np.float32)), recipe
        )
    touch(PATHS.log("keyframes", f"{recipe.id}-{keyframes}"))
    return path


def touch(path: Path, hours_ago: float = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    then = time.time() - hours_ago * HOURS
    os.utime(path, (then, then))
    return path


def edited(project: Project) -> set[Path]:
    """Render a film, edit a line and render it again; returns what only the first one needed."""
    project.write(LINES)
    render(planned())
    before = files()
    project.write(EDITED)
    now = render(planned())
    needed = {*now.segments, *now.clips}
    return {path for path in before if (name := named(path)) and name not in needed}


def named(path: Path) -> str | None:
    match = re.match(r"[0-9a-f]{16}", path.name)
    return match[0] if match else None


def files() -> set[Path]:
    return {path for path in PATHS.root.rglob("*") if path.is_file()}


def found(**over: Any) -> set[Path]:
    """What could be removed."""
    plans = prune.plans([Path("config.yaml")], over, PATHS)
    return {item.path for item in prune.find(running.union(map(running.needs, plans)), PATHS)}


def removed(*arguments: str) -> set[Path]:
    before = files()
    assert main(["prune", "--yes", *arguments]) == 0
    return before - files()


# What is listed


def test_a_film_that_is_as_its_screenplay_says_has_nothing_to_remove(
    here: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    here.write(LINES)
    render(planned())
    assert main(["prune"]) == 0
    assert capsys.readouterr().out.startswith("Nothing to remove: ")
    assert removed() == set()


def test_what_was_edited_away_is_listed_with_its_size_age_and_words(
    here: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = edited(here)
    (old,) = (path for path in gone if path.suffix == ".zip")
    touch(old, hours_ago=51)
    before = files()
    assert main(["prune"]) == 0
    *rows, total = capsys.readouterr().out.splitlines()
    assert {Path(row.split()[4]) for row in rows} == gone == found()
    size = old.stat().st_size / 1000
    assert rows[0].split(maxsplit=5) == [f"{size:.1f}", "kB", "2", "d", str(old), "'green hill'"]
    (clip,) = (row for row in rows if ".mp4" in row and "green hill" in row)
    assert clip.split()[:4] == ["0", "B", "0", "min"]
    assert re.fullmatch(
        rf"{len(gone)} files, [\d.]+ kB; nothing was removed: say --yes to remove them\.", total
    )
    assert files() == before


def test_yes_removes_exactly_what_was_listed(here: Project, capsys: pytest.CaptureFixture[str]) -> None:
    gone = edited(here)
    assert removed() == gone
    assert capsys.readouterr().out.endswith("kB; removed.\n")
    assert found() == set()
    assert PATHS.film("song").exists()
    assert plan.missing_latents(planned(), PATHS) == {}


def test_words_are_told_from_the_latents_when_the_plan_is_gone(
    here: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    (old,) = (path for path in edited(here) if path.suffix == ".zip")
    PATHS.segment_plan(old.name[:16]).unlink()
    assert main(["prune"]) == 0
    assert re.search(rf"{old} +'green hill'", capsys.readouterr().out)


def test_what_the_program_does_not_know_and_what_belongs_to_a_song_stays(here: Project) -> None:
    here.write(LINES)
    render(planned())
    kept = [
        "history/me.jsonl",
        "old/film.mp4",
        "old/timeline.json",
        "old/notes.mp4",
        "notes.txt",
        "clips/my.mp4",
    ]
    kept += ["latents/abc-5.zarr.zip", f"clips/{'a' * 16}.mov", "logs/films/old.log", f"old/{'a' * 16}.mp4"]
    for name in kept:
        touch(PATHS.root / name, hours_ago=10_000)
    assert found() == set()


def test_what_killed_runs_left_is_removed_when_it_is_old_enough(here: Project) -> None:
    here.write(LINES)
    (segment, *_), (clip, *_) = (list(ids) for ids in (render(planned()).segments, planned().clips))
    damaged = [
        path.with_name(f"{path.name}.damaged") for path in (PATHS.latents(segment, 5), PATHS.clip(clip))
    ]
    damaged += [PATHS.root / "song/film.mp4.damaged", PATHS.root / f"clips/{clip}.mp4-2.damaged"]
    old = [
        PATHS.root / name for name in (f"clips/.77-{clip}.mp4", "song/.78-film.mp4", "song/.1-timeline.json")
    ]
    for path in (*damaged, *old):
        touch(path, hours_ago=25)
    for name in (f"clips/.79-{clip}.mp4", "song/.80-film.mp4"):
        touch(PATHS.root / name, hours_ago=23)
    assert removed() == {*damaged, *old}


@pytest.mark.parametrize("root", ["results", "."])
def test_no_file_of_the_users_is_ever_removed(here: Project, root: str) -> None:
    """Though it is named as what a killed run leaves, and old; results may lie among everything else."""
    here.write(LINES)
    here.configure(results=root)
    paths = Paths(Path(root))
    made = planned()
    plan.write(made, paths)
    kept = [
        *(".1-y", ".7-notes.txt", "mine/.8-film.mp4", "mine/.9-timeline.json", "mine/film.mp4.damaged"),
        *("clips/.10-x.mp4", "clips/.11-mine.txt", "latents/.12-a-5.zarr.zip", "deep/down/.13-thing"),
        *(
            f"mine/.14-{'a' * 16}.mp4",
            f"song/.15-{'a' * 16}.mp4",
            "song/.16-cover.png",
            "song/cover.png.damaged",
        ),
        *(
            "clips/a.mp4.damaged",
            f"clips/{'a' * 16}.mov",
            f"{'a' * 16}.mp4",
            "plan/.17-notes",
            ".git/.18-lock",
        ),
        *(f".work/{'b' * 16}.txt", ".work/.gone-mine", f"clips/{'c' * 16}.mp4/inside.txt"),
        *(f"clips/{'d' * 16}.mp4.damaged/inside.txt", "mine/timeline.json"),
    ]
    for name in kept:
        touch(paths.root / name, hours_ago=10_000)
    before = {path for path in Path().rglob("*") if path.is_file()}
    assert main(["prune", "--yes"]) == 0
    assert {path for path in Path().rglob("*") if path.is_file()} == before


def test_a_link_goes_and_what_it_leads_to_stays(here: Project, tmp_path: Path) -> None:
    here.write(LINES)
    render(planned())
    (tmp_path / "folder").mkdir()
    kept = [touch(tmp_path / name, hours_ago=99) for name in ("film.mp4", "folder/inside")]
    links = [
        PATHS.clip("a" * 16),
        PATHS.latents("b" * 16, 5),
        PATHS.clip("c" * 16),
        PATHS.work(f".gone-{'d' * 32}"),
    ]
    for link, target in zip(links, [*kept, kept[1].parent, kept[1].parent], strict=True):
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(target)
    assert found() == set(links)
    assert main(["prune", "--yes"]) == 0
    assert not any(os.path.lexists(link) for link in links)
    assert not list(PATHS.work("any").parent.iterdir())
    assert all(path.exists() for path in kept)


def test_what_was_made_of_tunes_goes_unless_a_workflow_that_plays_them_is_at_work(here: Project) -> None:
    here.write(LINES)
    old, played = ([touch(file) for file in PATHS.tunes(digit * 16)] for digit in "ab")
    facts = {**running.needs(render(planned())), "tunes": [played[0].stem]}
    record = _elsewhere(PATHS.running("a.json"), facts)
    assert removed() == set(old)
    record.unlink()
    assert removed() == set(played)


def test_what_is_known_of_audio_stays_as_long_as_it_is_needed(here: Project) -> None:
    here.write(LINES)
    films.ffmpeg("-f", "lavfi", "-i", "sine=d=12", here.screenplay.with_suffix(".wav"))
    here.configure(audio="auto")
    render(planned())
    sound = planned().timeline.audio  # noted where there are results
    assert sound and PATHS.audio_facts(sound.sha256).exists()
    assert found() == set()
    facts = {touch(PATHS.audio_facts(digit * 64)) for digit in "ab"}
    assert found() == facts


# What is needed

WORDS = st.sampled_from(["one", "two", "three"])
VERSIONS = st.tuples(
    st.lists(st.tuples(WORDS, st.integers(1, 9)), min_size=1, max_size=4),
    st.sampled_from([{}, {"seed": 1}, {"crf": 20}, {"transition": 2}, {"repeats": "reuse"}]),
)


@settings(deadline=None, max_examples=25)
@given(st.lists(VERSIONS, min_size=1, max_size=4), st.booleans())
def test_whatever_was_edited_the_film_is_still_rendered_and_nothing_else_is_left(
    versions: list[Any], second: bool
) -> None:
    with TemporaryDirectory() as folder:
        project = new_project(Path(folder) / "project", **TINY)
        with contextlib.chdir(project.folder):
            for lengths, over in versions:
                starts = [sum(seconds for _, seconds in lengths[:row]) for row in range(len(lengths))]
                project.write([(text, start) for (text, _), start in zip(lengths, starts, strict=True)])
                render(planned(**over))
            project.configure(**over)
            if second:
                Project(project.folder, "other").write(LINES)
                render(planned(screenplay="screenplays/other.csv"))
            now = [planned(), *([planned(screenplay="screenplays/other.csv")] if second else [])]
            removed()
            for made in now:
                assert plan.missing_latents(made, PATHS) == {}
                assert all(PATHS.clip(clip).exists() for clip in made.clips)
                before = {path: path.read_bytes() for path in files()}
                plan.write(made, PATHS)
                assert before == {path: path.read_bytes() for path in files()}
            ids = {name for made in now for name in (*made.segments, *made.clips)}
            left = [path for path in files() if named(path) and named(path) not in ids]
            assert left == []
            assert all(len(PATHS.rendered(segment)) == 1 for made in now for segment in made.segments)


def test_other_screenplays_and_other_settings_are_needed_when_they_are_given(here: Project) -> None:
    here.write(LINES)
    first = render(planned())
    seven = render(planned(seed=7))
    Project(here.folder, "other").write([("unheard", 0)])
    other = render(planned(screenplay="screenplays/other.csv"))
    nine = render(planned(seed=9))
    Path("nine.yaml").write_text("seed: 9\n")  # on top of config.yaml, as for snakemake
    command = ["--configfile", "config.yaml", "nine.yaml", "--config", "seed=7"]
    assert removed(*command) == set()
    assert removed("--configfile", "nine.yaml", "--configfile", "config.yaml", "--config", "seed=7") == set()
    assert {named(path) for path in removed("--config", "seed=7")} >= {*nine.segments, *nine.clips}
    assert {named(path) for path in removed()} == {*seven.segments, *seven.clips}
    left = {named(path) for path in files()}
    assert left >= {*first.segments, *first.clips, *other.segments, *other.clips}


def test_other_songs_are_kept_with_the_configs_audio_and_with_their_own(here: Project) -> None:
    here.write(LINES)
    other = Project(here.folder, "other")
    other.write([("unheard", 0), ("unseen", 4)])
    for song, seconds in ((here.folder / "mine.wav", 20), (other.screenplay.with_suffix(".wav"), 30)):
        films.ffmpeg("-f", "lavfi", "-i", f"sine=d={seconds}", song)
    here.configure(audio="mine.wav")
    render(planned())
    for audio in ("mine.wav", "auto"):
        render(planned(screenplay="screenplays/other.csv", audio=audio))
    plans = list(prune.plans([Path("config.yaml")], {}, PATHS))
    assert [made.song for made in plans] == ["song", "other", "other"]
    assert not any(path.suffix == ".mp4" for path in found())


def test_other_songs_are_kept_without_the_configs_track_and_offset(here: Project) -> None:
    """A file of two tracks, where another song's has one."""
    here.write(LINES)
    other = Project(here.folder, "other")
    other.write([("unheard", 0), ("unseen", 4)])
    films.ffmpeg("-f", "lavfi", "-i", "sine=d=30", other.screenplay.with_suffix(".wav"))
    tones = ["-f", "lavfi", "-i", "sine=d=20", "-map", "0", "-map", "0"]
    films.ffmpeg(*tones, here.screenplay.with_suffix(".mka"))
    here.configure(audio="auto", audio_track=2, offset=-1)
    render(planned())
    for offset in (0, -1):
        render(planned(screenplay="screenplays/other.csv", audio_track=1, offset=offset))
    assert not any(path.suffix == ".mp4" for path in found())
    here.configure(audio_track=3)
    with pytest.raises(UserError, match=r"config\.yaml with screenplays/song\.csv: config key 'audio_track'"):
        list(prune.plans([Path("config.yaml")], {}, PATHS))


def test_shorter_latents_go_when_a_longer_file_holds_them_and_undoing_stays_free(here: Project) -> None:
    here.write(LINES)
    made = render(planned())
    segment, *_ = made.segments
    need = made.needs[segment]
    short, longer, longest = (keep(made.segments[segment], need + more) for more in (-2, 5, 10))
    exact = PATHS.latents(segment, need)
    logs = [PATHS.log("keyframes", f"{segment}-{need + more}") for more in (-2, 0, 5)]
    assert removed() == {short, exact, longer, *logs}
    for clip in made.clips:
        PATHS.clip(clip).unlink()
    assert plan.missing_latents(made, PATHS) == {}
    assert longest.exists()


def test_all_latents_of_a_line_stay_when_the_longest_is_damaged(here: Project) -> None:
    here.write(LINES)
    made = render(planned())
    segment, *_ = made.segments
    keep(made.segments[segment], made.needs[segment] + 5).write_bytes(b"cut short")
    assert found() == set()


# Nothing is removed on incomplete knowledge


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        (
            "other.csv",
            '"words",soon\n',
            "config.yaml with screenplays/other.csv: screenplays/other.csv row 1",
        ),
        ("song.csv", '"words",soon\n', "config.yaml with screenplays/song.csv: screenplays/song.csv row 1"),
        ("../config.yaml", "sede: 1\n", "config.yaml: config key 'sede'"),
    ],
)
def test_a_screenplay_or_config_that_cannot_be_planned_stops_it(
    here: Project, capsys: pytest.CaptureFixture[str], name: str, text: str, said: str
) -> None:
    edited(here)
    Path("screenplays", name).write_text(text)
    before = files()
    assert main(["prune", "--yes"]) == 1
    assert said in capsys.readouterr().err
    assert files() == before


def test_a_config_file_that_is_not_there_stops_it(here: Project, capsys: pytest.CaptureFixture[str]) -> None:
    edited(here)
    assert main(["prune", "--yes", "--configfile", "draft.yaml"]) == 1
    assert "draft.yaml: found no such file" in capsys.readouterr().err


def test_an_editors_hidden_files_are_no_screenplays(here: Project) -> None:
    here.write(LINES)
    Path("screenplays/.#song.csv").symlink_to("me@nowhere.1")
    assert found() == set()


# What others use


def test_what_a_running_workflow_needs_stays_as_long_as_it_runs(here: Project) -> None:
    here.write(LINES)
    made = render(planned())
    segment, *_ = made.segments
    longer = keep(
        made.segments[segment], made.needs[segment] + 5
    )  # but the workflow has planned with the other
    here.write(EDITED)
    with running.protected(made, PATHS):
        assert removed() == set()
    gone = removed()
    assert {named(path) for path in gone} >= set(made.clips) - set(planned().clips)
    assert longer not in gone and PATHS.latents(segment, made.needs[segment]) in gone
    assert list(PATHS.running("x").parent.iterdir()) == []


def test_a_workflow_that_ends_in_another_folder_leaves_no_record(here: Project, tmp_path: Path) -> None:
    """As Snakemake does after --directory."""
    here.write(LINES)
    with running.protected(planned(), PATHS):
        os.chdir(tmp_path)
    assert list(here.results.running("x").parent.iterdir()) == []


def test_what_a_workflow_needs_stays_while_it_is_stopped(here: Project) -> None:
    here.write(LINES)
    with running.protected(render(planned()), PATHS):
        (record,) = PATHS.running("x").parent.iterdir()
        here.write(EDITED)
        touch(record, hours_ago=2)  # as after hours of Ctrl-Z, or of a laptop that was shut
        assert found() == set()


KILLED = """
import sys, time
from pathlib import Path
from songreel.planning import config, plan
from songreel.upkeep import running
from songreel.ground.paths import Paths
running.protect(plan.make(config.resolve(config.read(Path("config.yaml"))), Paths()), Paths())
print("ready", flush=True)
time.sleep(600)
"""


def test_what_a_killed_workflow_needed_can_go(here: Project) -> None:
    here.write(LINES)
    render(planned())
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "workflow")}
    command = [sys.executable, "-c", KILLED]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline() == b"ready\n"
        here.write(EDITED)
        assert removed() == set()
        (record,) = PATHS.running("x").parent.iterdir()
        process.kill()
    gone = removed()
    assert record in gone
    assert any(path.suffix == ".zip" for path in gone)


def _elsewhere(path: Path, facts: Document) -> Path:
    """What a process of another machine shows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{0:012}\n" + json.dumps({"machine": "elsewhere", "host": "b", "pid": 1, **facts}))
    return path


def test_a_workflow_of_anothermachine_is_running_until_it_was_silent_for_an_hour(here: Project) -> None:
    here.write(LINES)
    record = _elsewhere(PATHS.running("a.json"), dict(running.needs(render(planned()))))
    here.write(EDITED)
    touch(record, hours_ago=0.9)
    assert found() == set()
    touch(record, hours_ago=1.1)
    assert record in found() and len(found()) > 1


def test_a_workflow_that_does_not_say_yet_what_it_needs_stops_it(
    here: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    edited(here)
    record = touch(PATHS.running("a.json"))
    assert main(["prune", "--yes"]) == 1
    assert "run the same command again" in capsys.readouterr().err
    touch(record, hours_ago=2)
    assert record in removed()


def test_a_workflow_that_starts_waits_for_the_removal_that_is_going_on(here: Project) -> None:
    here.write(LINES)
    made, began = planned(), threading.Event()

    def start() -> None:
        with running.protected(made, PATHS):
            began.set()

    with running.removing(PATHS):
        workflow = threading.Thread(target=start)
        workflow.start()
        assert not began.wait(0.6)
    assert began.wait(5)
    workflow.join()


def test_a_workflow_does_not_wait_for_a_removal_that_was_killed(here: Project) -> None:
    here.write(LINES)
    record = PATHS.running("a.prune")
    record.parent.mkdir(parents=True)
    with heartbeat.beating(record, {}):
        pass  # the file stays behind, as after a kill
    started = time.monotonic()
    with running.protected(planned(), PATHS):
        assert time.monotonic() - started < 2
    assert found() == {record}


@pytest.fixture
def read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, facts: Document) -> Iterator[None]:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(heartbeat, "beating", refuse)


@pytest.mark.usefixtures("read_only")
def test_a_read_only_disk_stops_no_workflow_and_every_removal(
    here: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = edited(here)
    with running.protected(planned(), PATHS):
        pass
    assert main(["prune"]) == 0
    assert main(["prune", "--yes"]) == 1
    assert "Read-only file system" in capsys.readouterr().err
    assert gone <= files()


def test_a_segment_stays_as_long_as_a_job_is_at_work_on_it(here: Project) -> None:
    gone = edited(here)
    (old,) = (path for path in gone if path.suffix == ".zip")
    segment = old.name[:16]
    with locks.held(PATHS.work(segment)) as lock:
        lock.keep(lambda file: file.write(b"half"))
        left = removed()
        assert lock.kept.exists() and old.exists()
        assert segment not in {named(path) for path in left}
    assert old in removed()


@pytest.mark.parametrize("machine", ["here", "elsewhere"])
def test_the_work_of_a_killed_job_goes_with_its_line(here: Project, machine: str) -> None:
    (old,) = (path for path in edited(here) if path.suffix == ".zip")
    work = PATHS.work(old.name[:16])
    kept = touch(work / "1" / locks.KEPT)
    kept.write_bytes(b"x" * 2000)
    owner = work / "1" / locks.OWNER
    if machine == "here":
        with heartbeat.beating(owner, {}):
            assert work not in found()
    else:
        _elsewhere(owner, {})
        assert work not in found()
        touch(owner, hours_ago=2)
    assert work in found()
    removed()
    assert list(work.parent.iterdir()) == []


def test_the_work_of_a_needed_line_stays(here: Project) -> None:
    here.write(LINES)
    segment, *_ = planned().segments
    touch(PATHS.work(segment) / "1" / locks.KEPT, hours_ago=100)
    assert found() == set()


def test_a_running_snakemake_keeps_its_files_while_its_screenplay_is_edited(here: Project) -> None:
    here.write([("a red boat", 0), ("a blue sky", 1)])
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(here.run)
        while not (before := [path for path in files() if path.suffix == ".zip" and "latents" in path.parts]):
            assert not run.done(), run.result().output
            time.sleep(0.05)
        here.write([("a green hill", 0)])
        assert removed() & set(before) == set()
        assert run.result().status == 0, run.result().output
    assert here.film.exists()
    assert list(PATHS.running("x").parent.iterdir()) == []
    assert removed() > set(before)
    assert here.film.exists()
