"""What the whole workflow promises, on small films rendered by the real Snakemake with the real models."""

from __future__ import annotations

import contextlib
import math
import shutil
import signal
import struct
import time
import wave
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from subprocess import Popen
from typing import Any

import numpy as np
import psutil
import pytest
import torch

from songreel.ground.documents import SegmentRecipe
from songreel.ground.paths import Paths
from songreel.jobs import latents
from songreel.kernels import devices
from songreel.planning import config, plan
from tests import films, published
from tests.conftest import TINY, Project, new_project
from tests.edits import CHOICES, EDITS, Line, Oracle, Song
from tests.films import Cue
from tests.plans import render
from tests.songs import SUNG_EIGHT_TIMES, Lines, whole_song

A, B, C, D = "a lighthouse at dusk", "the tide comes in, and in", "a red boat", "stars over the harbour"
LINES: Lines = [(A, 0), (B, 2), (C, 4), (D, 6)]
RATE = 8  # frames a second of the tiny settings
FRAME = 1 / RATE  # seconds


@pytest.fixture(scope="module")
def first_render(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A film of four lines of 16 frames, rendered once; tests work on copies of it."""
    project = new_project(tmp_path_factory.mktemp("first") / "project", **TINY)
    project.write(LINES)
    assert project.rendered() == {"keyframes": 4, "clip": 4, "film": 1}
    return project


@pytest.fixture
def rendered(first_render: Project, tmp_path: Path) -> Project:
    return first_render.copy(tmp_path / "copy")


# Only what is new runs


def test_a_rendered_film_is_done(first_render: Project) -> None:
    run = first_render.run()
    assert "Nothing to be done" in run.output
    assert (run.status, run.executed) == (0, {})


def test_editing_one_line_renders_one_segment_and_undoing_it_only_joins(rendered: Project) -> None:
    before = rendered.film.read_bytes()
    rendered.write([(A, 0), (B, 2), ("a blue boat", 4), (D, 6)])
    assert rendered.rendered() == {"keyframes": 1, "clip": 2, "film": 1}
    assert rendered.film.read_bytes() != before
    rendered.write(LINES)
    assert rendered.rendered() == {"film": 1}
    assert rendered.film.read_bytes() == before


@pytest.mark.parametrize(
    ("lines", "jobs"),
    [
        pytest.param([(A, 0), (B, 2), (C, 4), ("x", 6)], "1 keyframes 1 clip 1 film", id="last text"),
        pytest.param([(A, 0), (B, 2), ("x", 4), (C, 6), (D, 8)], "1 keyframes 2 clip 1 film", id="insert"),
        pytest.param([("x", 0), (A, 2), (B, 4), (C, 6), (D, 8)], "1 keyframes 2 clip 1 film", id="prepend"),
        pytest.param([(A, 0), (B, 2), (C, 4), (D, 6), ("x", 8)], "1 keyframes 1 clip 1 film", id="append"),
        # The new line has the pictures of the one that was there; that one is now the second time it is sung.
        pytest.param([(A, 0), (B, 2), (B, 4), (C, 6), (D, 8)], "1 keyframes 2 clip 1 film", id="repeat"),
        pytest.param([(A, 0), (C, 2), (D, 4)], "1 clip 1 film", id="delete and close the gap"),
        # A is shown for as long as both were, longer than it was rendered for.
        pytest.param([(A, 0), (C, 4), (D, 6)], "1 keyframes 2 clip 1 film", id="delete and leave the gap"),
        pytest.param([(B, 0), (C, 2), (D, 4)], "1 clip 1 film", id="delete the first"),
        pytest.param([(A, 0), (B, 2), (C, 4)], "1 film", id="delete the last"),
        pytest.param([(A, 0), (C, 2), (B, 4), (D, 6)], "3 clip 1 film", id="swap"),
        # The first line is shown from 0 whenever it is sung: its clip grows, the next one's blend moves.
        pytest.param([(A, 0.25), (B, 2.25), (C, 4.25), (D, 6.25)], "2 clip 1 film", id="shift"),
        pytest.param([(A, 0.05), (B, 2.05), (C, 4.05), (D, 6.05)], "1 film", id="shift by half a frame"),
        pytest.param([(A, 0), (B, 2), (C, 3.5), (D, 6)], "3 clip 1 film", id="retime"),
    ],
)
def test_an_edit_renders_what_is_new(rendered: Project, lines: Lines, jobs: str) -> None:
    rendered.write(lines)
    assert rendered.planned() == _counted(jobs)


@pytest.mark.parametrize(
    ("config", "jobs"),
    [
        ({"title": "Tide"}, "1 film"),
        ({"crf": 30}, "4 clip 1 film"),
        ({"seed": 1}, "4 keyframes 4 clip 1 film"),
    ],
)
def test_a_setting_costs_what_it_changes(rendered: Project, config: dict[str, Any], jobs: str) -> None:
    assert rendered.planned(config) == _counted(jobs)


def _counted(jobs: str) -> dict[str, int]:
    words = jobs.split()
    return {rule: int(count) for count, rule in zip(words[::2], words[1::2], strict=True)}


# Files are named by what they hold


def _forget_metadata(project: Project) -> None:
    shutil.rmtree(project.folder / ".snakemake")


def _touch(project: Project) -> None:
    for path in (project.results.root / "latents", project.results.root / "clips"):
        for file in path.iterdir():
            file.touch()


def _copy_anew(project: Project) -> None:
    """As `cp -r`, `git checkout` and object stores do, which keep no times."""
    for name in ("latents", "clips"):
        folder = project.results.root / name
        shutil.copytree(folder, folder.with_name("new"), copy_function=shutil.copyfile)
        shutil.rmtree(folder)
        folder.with_name("new").rename(folder)
    _forget_metadata(project)


@pytest.mark.parametrize("mishap", [_forget_metadata, _touch, _copy_anew])
def test_nothing_trusts_times_or_metadata(rendered: Project, mishap: Callable[[Project], None]) -> None:
    mishap(rendered)
    assert rendered.planned() == {}
    rendered.write([(A, 0), ("x", 2), (C, 4), (D, 6)])
    assert rendered.planned() == {"keyframes": 1, "clip": 2, "film": 1}


# Edits one after the other

FIRST = Song(
    lines=tuple(Line(text, 20) for text, _ in LINES),
    opening=0,
    settings={key: values[0] for key, values in CHOICES.items()}
    | {key: value for key, value in TINY.items() if key in CHOICES}
    | {"width": 32, "height": 32},
)
Session = list[tuple[Callable[[Project], None], str, int, int]]


def _lose_latents(project: Project) -> None:
    shutil.rmtree(project.results.root / "latents")


@pytest.mark.parametrize(
    "session",
    [
        [(_touch, "shift", 13, 38), (_forget_metadata, "undo", 0, 0)],
        [
            (_forget_metadata, "leave out", 11, 36),
            (_copy_anew, "write take", 23, 17),
            (_touch, "change film", 16, 38),
        ],
        [(_lose_latents, "insert", 34, 19), (_forget_metadata, "undo", 0, 0)],
    ],
    ids=lambda session: ", ".join(edit for _, edit, *_ in session),
)
def test_after_every_edit_the_film_is_as_if_rendered_from_nothing(
    rendered: Project, session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drawn by chance, and chosen for few jobs; test_edits.py has thousands, planned only."""
    monkeypatch.setattr(devices, "choose", lambda: torch.device("cpu"))
    oracle, songs = Oracle(), [FIRST]
    oracle.run(FIRST, oracle.jobs(FIRST))
    for number, (mishap, edit, at, pick) in enumerate(session):
        mishap(rendered)
        if mishap is _lose_latents:
            oracle.rendered.clear()
        songs.append(songs[at % len(songs)] if edit == "undo" else EDITS[edit](songs[-1], at, pick))
        jobs = oracle.jobs(songs[-1])
        _rewrite(rendered, songs[-1])
        assert rendered.rendered() == jobs.counts
        oracle.run(songs[-1], jobs)
        anew = _rendered_in_one_go(new_project(tmp_path / f"anew-{number}"), songs[-1])
        frames = films.frames(rendered.film)
        assert len(set(frames)) > 16
        assert frames == films.frames(anew.film)


def _rewrite(project: Project, song: Song) -> None:
    """What an author does between two runs."""
    settings = dict(song.settings)
    project.configure(size=f"{settings.pop('width')}x{settings.pop('height')}", **settings)
    project.screenplay.parent.mkdir(exist_ok=True)
    project.screenplay.write_text(song.screenplay, encoding="utf-8")


def _rendered_in_one_go(project: Project, song: Song) -> Project:
    """The film without Snakemake: every command of the plan, in this process."""
    _rewrite(project, song)
    with contextlib.chdir(project.folder):
        made, paths = plan.make(config.resolve(config.read(Path("config.yaml"))), Paths()), Paths()
        plan.write(made, paths)
        render(made, paths)
    return project


# Length is a prefix


def test_a_longer_line_goes_on_from_what_is_there(rendered: Project, tmp_path: Path) -> None:
    segment = rendered.segments[-1]
    short = rendered.results.latents(segment, 5)
    long = rendered.results.latents(segment, 10)
    elsewhere = _planned_only(rendered, tmp_path / "elsewhere")
    with _running(elsewhere, segment, 10) as in_one_go:
        assert rendered.rendered({"tail": 6}) == {"keyframes": 1, "clip": 1, "film": 1}
        assert in_one_go.wait() == 0
    log = (rendered.results.root / f"logs/keyframes/{segment}-10.log").read_text()
    assert "keyframe 5 of 10" in log.splitlines()[0]
    tokens = latents.load(long, segment).tokens
    assert len(tokens) == 10
    assert np.array_equal(tokens[:5], latents.load(short, segment).tokens)
    assert long.read_bytes() == elsewhere.results.latents(segment, 10).read_bytes()


def test_a_shorter_line_renders_no_keyframes(rendered: Project) -> None:
    segment = rendered.segments[-1]
    short = rendered.results.latents(segment, 5)
    recipe = SegmentRecipe.read(rendered.results.segment_plan(segment))
    grown = latents.load(short, segment)
    while len(grown) < 15:  # as if the last line had been longer once
        grown = grown.extended(grown.tokens[-1], 0, grown.latent)
        with rendered.results.latents(segment, len(grown)).open("wb") as file:
            latents.write(file, grown, recipe)
    short.unlink()
    assert rendered.planned() == {}
    assert rendered.planned({"tail": 1}) == {"clip": 1, "film": 1}


# A killed job goes on


def test_a_killed_job_goes_on_from_its_last_keyframe(tmp_path: Path) -> None:
    killed = new_project(tmp_path / "killed", **{**TINY, "iterations": 10})
    killed.write([(A, 0)])
    assert killed.planned() == {"keyframes": 1, "clip": 1, "film": 1}
    segment = killed.segments[0]
    undisturbed = killed.copy(tmp_path / "undisturbed")
    kept = killed.results.work(segment) / "1/kept.zarr.zip"

    with _running(undisturbed, segment, 15) as whole:
        with _running(killed, segment, 15) as process:
            _wait_until(kept.exists, process)
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
        done = len(latents.load(kept, segment))
        assert 1 <= done < 15
        assert not killed.results.rendered(segment)
        with _running(killed, segment, 15) as process:
            assert process.stderr
            assert f"keyframe {done} of 15" in process.stderr.readline()
            assert process.wait() == 0
        assert whole.wait() == 0

    resumed, straight = (project.results.latents(segment, 15) for project in (killed, undisturbed))
    assert resumed.read_bytes() == straight.read_bytes()


def _planned_only(project: Project, folder: Path) -> Project:
    """A project that has the other one's plan and nothing else."""
    shutil.copytree(project.results.root / "plan", folder / "results/plan")
    return Project(folder, project.song)


@contextmanager
def _running(project: Project, segment: str, keyframes: int) -> Iterator[Popen[str]]:
    process = project.command("keyframes", project.results.segment_plan(segment), str(keyframes))
    with process:
        try:
            yield process
        finally:
            process.kill()


def _wait_until(condition: Callable[[], bool], process: Popen[str]) -> None:
    while not condition():
        assert process.poll() is None, "it ended before it could be stopped"
        time.sleep(0.01)


# Two at once


def test_two_workflows_share_one_results_folder(first_render: Project, tmp_path: Path) -> None:
    """From two checkouts, with two songs that have lines in common, started together."""
    shared = tmp_path / "shared"
    shared.mkdir()
    ours, theirs = (_sharing(tmp_path / name, name, shared) for name in ("ours", "theirs"))
    ours.write([(A, 0), (B, 2)])
    theirs.write([(B, 0), (A, 2)])
    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(Project.run, (ours, theirs)))
    assert [run.status for run in runs] == [0, 0], runs[0].output + runs[1].output
    assert _rendered_lines(ours) == 2
    assert not list((shared / ".work").iterdir())
    for segment in ours.segments:
        path = first_render.results.latents(segment, 5)
        assert ours.results.latents(segment, 5).read_bytes() == path.read_bytes()
    assert films.frames(ours.film) == films.frames(first_render.film)[: 4 * RATE]
    assert len(films.frames(theirs.film)) == 4 * RATE


def _sharing(folder: Path, song: str, results: Path) -> Project:
    project = new_project(folder, song, **TINY)
    project.results.root.symlink_to(results)
    return project


def _rendered_lines(project: Project) -> int:
    """How many jobs had iterations to do."""
    (history,) = (project.results.root / "history").iterdir()
    return history.read_text().count('"iterations"')


def test_a_second_workflow_does_not_delete_what_the_first_has_rendered(rendered: Project) -> None:
    """A job that was planned when its latents and its clip were missing, and starts when they are there."""
    film = rendered.film.read_bytes()
    segment, clip = rendered.segments[0], rendered.clips[0]
    latents_file = rendered.results.latents(segment, 5)
    before = {path: path.stat().st_ino for path in (latents_file, clip)}
    targets = [str(path.relative_to(rendered.folder)) for path in before]
    run = rendered.run("--force", *targets)
    assert (run.status, run.executed) == (0, {"keyframes": 1, "clip": 1}), run.output
    assert {path: path.stat().st_ino for path in before} == before
    assert rendered.film.read_bytes() == film


# SIGTERM to Snakemake alone, as a batch system or a service manager sends it


def test_a_terminated_workflow_stops_its_jobs_and_goes_on(rendered: Project) -> None:
    settings = {"iterations": 2000}
    process = rendered.start(settings)
    kept = rendered.results.root / ".work"
    _wait_until(lambda: bool(list(kept.glob("*/1/owner.json"))), process)
    jobs = psutil.Process(process.pid).children(recursive=True)
    sent = time.monotonic()
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=20)
    assert time.monotonic() - sent < 3
    assert process.returncode == 1
    assert "songreel: stopped; finished keyframes are kept and the next run goes on from them." in output
    assert not [job for job in jobs if job.is_running() and job.status() != psutil.STATUS_ZOMBIE]
    assert rendered.planned(settings)["keyframes"] == 4


# The same words and seed, the same film


def test_the_same_seed_gives_the_same_film_anywhere(first_render: Project, project: Project) -> None:
    project.write(LINES[:2])
    assert project.rendered() == {"keyframes": 2, "clip": 2, "film": 1}
    for segment in project.segments:
        ours, theirs = (some.results.latents(segment, 5) for some in (project, first_render))
        assert ours.read_bytes() == theirs.read_bytes()
    frames, more_frames = (films.frames(some.film) for some in (project, first_render))
    assert len(set(frames)) > 16  # or the comparison would say nothing
    assert frames == more_frames[: len(frames)]


# The published strategies


def test_the_published_strategies_render_60_and_30_frames_a_second(tmp_path: Path) -> None:
    sizes = {key: TINY[key] for key in ("size", "iterations", "lead_in", "cutouts", "album")}
    project = new_project(tmp_path / "project", **sizes, tail=1, audio="none")
    project.write([(A, 0), (B, 1)])
    assert project.rendered({"preset": "reference"}) == {"keyframes": 2, "clip": 2, "film": 1}
    _check_rate(project, 60)
    assert project.rendered({"preset": "classic"}) == {"clip": 2, "film": 1}
    _check_rate(project, 30)


def _check_rate(project: Project, rate: int) -> None:
    assert [len(films.frames(clip)) for clip in project.clips] == [rate, rate]
    assert len(films.frames(project.film)) == 2 * rate
    assert {packet.duration * rate for packet in films.packets(project.film, "v")} == {1}


# The film

STARTS = (0.5, 2.04, 3.96, 6.01)  # each within half a frame of where the rendered lines start
END = 8.03


@pytest.fixture
def ending(rendered: Project) -> Project:
    """The same pictures, sung off the frames' beat, with an end marker."""
    texts = [text for text, _ in LINES]
    rendered.write([*zip(texts, STARTS, strict=True), ("(end)", END)])
    rendered.configure(tail=0)
    return rendered


@pytest.mark.parametrize(
    ("name", "seconds"),
    [("song.wav", 3), ("song.wav", 8), ("song.wav", 11.3), ("song.mp3", 5.1), ("song.ogg", 9)],
)
def test_sound_and_pictures_end_together(ending: Project, name: str, seconds: float) -> None:
    audio = ending.folder / "screenplays" / name
    _record(audio, seconds)
    assert ending.rendered({"audio": "auto"}) == {"film": 1}
    pictures = films.packets(ending.film, "v")
    assert len(pictures) == len(films.frames(ending.film)) == 64
    assert [packet.start * RATE for packet in pictures] == list(range(64))
    assert films.seconds_of_sound(ending.film) == pytest.approx(8, abs=FRAME)
    assert films.loudness(ending.film, 0, min(seconds, 8) - 0.1) > 3000
    if seconds < 7:
        assert films.loudness(ending.film, seconds + 0.2, 8) < 30  # silence


def test_a_film_says_what_is_sung_when(ending: Project) -> None:
    _record(ending.folder / "voice.wav", 8)
    names = {"title": "Tide; or: 100 % = #1", "artist": "Anon & Co"}
    ending.configure(audio="voice.wav", **names)
    assert ending.rendered() == {"film": 1}
    sung = [Cue(*times, text) for times, (text, _) in zip(_spans(*STARTS, END), LINES, strict=True)]
    assert films.cues(ending.film) == [_about(cue) for cue in sung]
    opening = Cue(0, STARTS[0], names["title"])
    assert films.chapters(ending.film) == [_about(cue) for cue in (opening, *sung)]
    assert films.tags(ending.film).items() >= names.items()


def test_a_film_plays_everywhere_and_at_once(ending: Project) -> None:
    _record(ending.folder / "voice.wav", 8)
    ending.rendered({"audio": "voice.wav"})
    about = films.described(ending.film)
    assert "Video: h264" in about
    assert "yuv420p" in about
    assert "32x32" in about
    assert "8 fps" in about
    assert "Audio: aac" in about
    assert "Subtitle: mov_text" in about
    order = films.boxes(ending.film)
    assert order.index("moov") < order.index("mdat")


def test_a_film_is_not_joined_from_clips_of_another_plan(rendered: Project) -> None:
    """As when the screenplay is edited, and planned anew, while the film is rendered."""
    old = rendered.clips
    rendered.write([(A, 0), (B, 2), ("x", 4), (D, 6)])
    rendered.planned()
    with rendered.command("film", rendered.results.timeline("song"), *old) as process:
        assert process.wait() == 1
        assert process.stderr
        assert "run the same command again" in process.stderr.read()


def _spans(*times: float) -> Iterator[tuple[float, float]]:
    return pairwise(times)


def _about(cue: Cue) -> Any:
    """A cue, but for a rounding of its milliseconds."""
    return (*(pytest.approx(seconds, abs=0.0011) for seconds in cue[:2]), cue.text)


def _record(path: Path, seconds: float) -> None:
    """A hum of that length, in the format that the file's name says."""
    wav = path.with_suffix(".wav")
    with wave.open(str(wav), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        hum = (round(9000 * math.sin(n * 0.35)) for n in range(round(seconds * 8000)))
        file.writeframes(b"".join(struct.pack("<h", value) for value in hum))
    if path != wav:
        films.ffmpeg("-i", wav, path)
        wav.unlink()


# A whole song


def test_a_whole_song_is_exact_at_every_line(tmp_path: Path) -> None:
    rate = 4
    tinier = {"size": "16x16", "keyframes_per_second": 0.2, "frames_per_second": rate, "tail": 0}
    project = new_project(tmp_path / "project", **{**TINY, **tinier})
    lines = whole_song()
    texts, starts = zip(*lines, strict=True)
    assert (len(lines), texts.count(SUNG_EIGHT_TIMES)) == (38, 8)
    project.write([(text, int(start) if start.is_integer() else start) for text, start in lines])

    assert project.rendered() == {"keyframes": 37, "clip": 37, "film": 1}
    assert len(set(project.segments)) == 37
    frames = [len(films.packets(clip, "v")) for clip in project.clips]
    firsts = np.cumsum([0, *frames])
    assert np.abs(firsts / rate - starts).max() <= 0.5 / rate
    shown = films.packets(project.film, "v")
    assert [packet.start * rate for packet in shown] == list(range(209 * rate))
    assert [cue.text for cue in films.cues(project.film)] == list(texts[:-1])


def test_a_job_on_a_cluster_finds_all_it_needs_in_the_plan_that_was_made_before(rendered: Project) -> None:
    """It reads the Snakefile again, when the screenplay may have been edited."""
    film = rendered.film.relative_to(rendered.folder)
    rendered.film.unlink()
    rendered.write([("a line of tomorrow", 0)])
    job = ("--mode", "remote", "--nolock", "--force", "--allowed-rules", "film")
    run = rendered.run(*job, "--target-jobs", f"film:song={rendered.song}", "--", str(film))
    assert (run.status, run.executed) == (0, {"film": 1}), run.output
    assert [cue.text for cue in films.cues(rendered.film)] == [text for text, _ in LINES]


# Any name and any words

NAME = """It's "my" $(touch pwned) {song} `x` & 100% \\ ; song"""
WORDS = (
    """../../up 'and' "away" $(touch pwned) `touch pwned` $HOME; rm -rf results & # | > x""",
    "line\nbreaks, {braces} {wildcards.x} {\\an8}, <i>tags</i> &amp; 100% %(x)s, back\\Nslash \\",
)


def test_any_name_and_any_words_are_just_text(tmp_path: Path) -> None:
    project = new_project(tmp_path / "project", NAME, **{**TINY, "audio": "auto"})
    project.write([(WORDS[0], 0), (WORDS[1], 1)])
    _record(project.screenplay.with_suffix(".wav"), 2)
    inputs = _files(tmp_path)
    run = project.run()
    assert run.executed == {"keyframes": 2, "clip": 2, "film": 1}, run.output
    made = {path.relative_to(project.folder).parts[0] for path in _files(tmp_path) - inputs}
    assert made == {"results", ".snakemake"}
    shown = [" ".join(text.split()) for text in WORDS]
    assert [_visible(cue.text) for cue in films.cues(project.film)] == shown
    assert [chapter.text.rstrip() for chapter in films.chapters(project.film)] == shown
    assert films.tags(project.film)["title"] == NAME


def _visible(text: str) -> str:
    """A text without word joiners, which keep a player from taking parts of it for markup."""
    return text.replace("\u2060", "")


def _files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if not path.is_dir()}


# Models that did not come with songreel


def test_models_of_ones_own_are_converted_by_the_workflow_once(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SONGREEL_WEIGHTS", str(tmp_path / "cache"))
    model = published.write_vqgan("coco", tmp_path / "my model.ckpt")
    judge = published.write_clip("RN50", tmp_path / "judge.pt")
    project.configure(model=str(model), perceptors=["starter", f"{judge}:0.5"], micro_batch=1)
    project.write([(A, 0)])
    assert project.rendered() == {"fetch": 2, "keyframes": 1, "clip": 1, "film": 1}
    assert len(list((tmp_path / "cache/converted").glob("*.safetensors"))) == 2
    assert films.frames(project.film)
    project.write([("x", 0)])
    assert project.planned() == {"keyframes": 1, "clip": 1, "film": 1}
