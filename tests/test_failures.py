"""What a user sees when something is wrong: one sentence, a non-zero exit, nothing rendered, nothing lost."""

import contextlib
import os
import re
import resource
import shutil
import signal
import stat
import subprocess
import sys
import time
import wave
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import pytest
import torch
import yaml

from songreel import cli
from songreel.drawing import film
from songreel.drawing.lyrics import WORD_JOINER
from songreel.ground.documents import ClipPlan, Timeline, TimelineLine
from songreel.ground.errors import UserError
from songreel.ground.files import read_json, write_json_if_changed
from songreel.ground.paths import Paths
from songreel.jobs import heartbeat, latents
from songreel.models import vqgan, weights
from songreel.planning import plan as planning
from songreel.planning.config import resolve
from songreel.storyboard import about, outlining
from songreel.upkeep import damage

REPOSITORY = Path(__file__).resolve().parents[1]
FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()

# A film of two lines that a warm process renders in half a second.
TINY = {
    "size": "16x16",
    "iterations": 1,
    "lead_in": 0,
    "cutouts": 1,
    "keyframes_per_second": 10,
    "frames_per_second": 10,
    "transition": 0.1,
    "tail": 0.2,
    "album": "none",
}
LYRICS = '"a star",0\n"a sea",0.3\n'
NASTY = 'a\'b $(touch x) {y} %d \\ `touch z` "q" ..#;'  # as a name or a text, only ever text


Files = dict[str, tuple[int, bytes]]  # time stamp and content by name


class Project:
    """A folder as a user has it, and the commands of the package in it."""

    def __init__(self, folder: Path, name: str = "song", **config: Any) -> None:
        self.folder, self.raw = folder, TINY | {"screenplay": f"screenplays/{name}.csv"} | config
        self.results = folder / "results"
        self.paths = Paths(self.results)
        self.screenplay = folder / "screenplays" / f"{name}.csv"

    def create(self, lyrics: str = LYRICS) -> "Project":
        self.screenplay.parent.mkdir(parents=True)
        self.screenplay.write_text(lyrics, encoding="utf-8")
        (self.folder / "config.yaml").write_text(yaml.safe_dump(self.raw), encoding="utf-8")
        return self

    def plan(self) -> planning.Plan:
        with contextlib.chdir(self.folder):
            settings = resolve(self.raw)
            plan = planning.make(settings, Paths())
            planning.write(plan, Paths())
            outlining.write(plan, settings, Paths())
            about.write(plan, self.raw, settings.screenplay, Paths())
        return plan

    def keyframes(self, segment: str, keyframes: int) -> int:
        return self.run("keyframes", self.paths.segment_plan(segment), keyframes)

    def clip(self, clip: str, **options: str) -> int:
        plan = ClipPlan.from_json(read_json(self.paths.clip_plan(clip)))
        return self.run(
            "clip", self.paths.clip_plan(clip), *planning.latents_of(plan, {}, self.paths), **options
        )

    def film(self, **options: str) -> int:
        timeline = self.timeline()
        clips = [self.paths.clip(entry.clip) for entry in Timeline.read(timeline).clips]
        return self.run("film", timeline, *clips, **options)

    def timeline(self) -> Path:
        (timeline,) = self.results.glob("*/timeline.json")
        return timeline

    def run(self, *arguments: Any, **options: str) -> int:
        with contextlib.chdir(self.folder):
            return cli.main([*map(str, arguments), *(f"--{key}={value}" for key, value in options.items())])

    def render(self) -> "Project":
        plan = self.plan()
        steps = [self.keyframes(segment, need) for segment, need in plan.needs.items()]
        steps += [self.clip(clip) for clip in plan.clips]
        steps += [self.film(), self.run("storyboard", self.timeline())]
        assert steps == [0] * len(steps)
        return self


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("rendered") / "song").create().render()


@pytest.fixture
def project(rendered: Project, tmp_path: Path) -> Project:
    """A copy of a project with its film."""
    return copied(rendered, tmp_path / "song")


def copied(project: Project, folder: Path) -> Project:
    shutil.copytree(project.folder, folder, dirs_exist_ok=True)
    return Project(folder)


def snakemake(
    project: Project, *config: str, targets: tuple[str, ...] = (), dry: bool = False
) -> subprocess.CompletedProcess[str]:
    """The command that a user types, from somewhere else so that nothing lands in the repository."""
    command = [sys.executable, "-m", "snakemake", *targets, "--snakefile", str(REPOSITORY / "Snakefile")]
    command += [
        "--directory",
        str(project.folder),
        "--workflow-profile",
        str(REPOSITORY / "profiles/default"),
    ]
    command += ["--cores", "2", *(["--dry-run"] if dry else []), *(["--config", *config] if config else [])]
    return subprocess.run(command, cwd=project.folder, capture_output=True, text=True, check=False)


def sentence_of(result: subprocess.CompletedProcess[str]) -> str:
    output = result.stdout + result.stderr
    assert result.returncode != 0, output
    return only_sentence(output)


def only_sentence(output: str) -> str:
    """The one line that tells what is wrong, besides the progress of keyframes and which sound is heard."""
    assert "Traceback" not in output, output
    lines = [line for line in output.splitlines() if line.startswith("songreel: ")]
    usual = (
        r": keyframe \d+ of \d+|^songreel: sound: |: \d+ lines?, \d+ cached$|: \d+ of \d+ lines? done, in |"
        r"(: drawing|: drawn; .*|: sampling .*|: going on .*|are there, .*|joining the film| failed)$"
    )
    (sentence,) = (line for line in lines if not re.search(usual, line))
    return sentence


def snapshot(folder: Path) -> Files:
    """Every file below a folder, hidden ones too."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def temporaries(project: Project) -> list[Path]:
    return [path for path in project.results.rglob(".*-*") if path.is_file()]


@contextlib.contextmanager
def monkeypatched(module: Any, **values: Any) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in values.items():
            patch.setattr(module, name, value)
        yield


# What is wrong with the input stops the real command


Outcome = tuple[subprocess.CompletedProcess[str], Files, Files]  # with the results before and after it
Prepare = Callable[[Path], tuple[str, ...]]  # does something to a folder; returns what to set by --config


def write(name: str, content: str | bytes) -> Prepare:
    def prepare(folder: Path) -> tuple[str, ...]:
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return ()

    return prepare


def lyrics(content: str | bytes) -> Prepare:
    return write("screenplays/song.csv", content)


def setting(*config: str) -> Prepare:
    return lambda folder: config


def two_songs(folder: Path) -> tuple[str, ...]:
    write("screenplays/song.mp3", b"")(folder)
    return write("screenplays/song.wav", b"")(folder)


MISTAKES: dict[str, tuple[Prepare, list[str]]] = {
    "no screenplay": (
        setting("screenplay=screenplays/none.csv"),
        ["screenplays/none.csv: found no such file"],
    ),
    "a folder for a screenplay": (setting("screenplay=screenplays"), ["screenplays: found a folder"]),
    "an empty screenplay": (lyrics(""), ["song.csv: found no line"]),
    "latin-1": (lyrics(b'"a",0\n"\xe4",1\n'), ["song.csv row 2: found the byte 0xE4, which is not UTF-8"]),
    "a binary file": (lyrics(b"\x7fELF\0\0"), ["song.csv row 1: found a NUL byte"]),
    "a bad time": (lyrics('"a",0\n"b",soon\n'), ["song.csv row 2: found the start 'soon'"]),
    "a missing quote": (lyrics('"a",0\n"b,1\n"c",2\n'), ["song.csv row 2: found "]),
    "an extra column": (lyrics('"a",0\n"b",1,2,3\n'), ["song.csv row 2: found 4 columns"]),
    "an empty text": (lyrics('"a",0\n" ",1\n'), ["song.csv row 2: found an empty text"]),
    "an unknown key": (setting("iteration=3"), ["config key 'iteration' is unknown", "'iterations'"]),
    "an unknown preset": (setting("preset=drft"), ["config key 'preset' is 'drft'", "'draft'"]),
    "an unknown model": (setting("model=startr"), ["config key 'model': found 'startr'", "'starter'"]),
    "an unknown perceptor": (
        setting("perceptors=x"),
        ["config key 'perceptors': found 'x'", "starter, ViT-B/32"],
    ),
    "a size off the grid": (
        setting("size=130x66"),
        ["config key 'size': found 130x66", "multiples of 8", "128x64"],
    ),
    "no audio file": (setting("audio=no.mp3"), ["config key 'audio': 'no.mp3' is not a file"]),
    "a folder for audio": (setting("audio=screenplays"), ["config key 'audio': 'screenplays' is not a file"]),
    "garbage for audio": (
        write("screenplays/song.mp3", b"garbage" * 99),
        ["song.mp3' holds no audio", "'none'"],
    ),
    "an old tune": (
        write("screenplays/song.tune", "tempo 120\nvoice harp\nC5 1\n"),
        ["screenplays/song.tune: found a tune", "save one as 'screenplays/song.wav'"],
    ),
    "two songs": (two_songs, ["screenplays/song.csv: 'song.wav', 'song.mp3' lie beside"]),
    "no ffmpeg": (setting("ffmpeg=/no/ffmpeg"), ["config key 'ffmpeg': found '/no/ffmpeg'"]),
    "an ffmpeg that may not run": (
        setting("ffmpeg=config.yaml"),
        ["config key 'ffmpeg': found 'config.yaml'"],
    ),
    "an ffmpeg that fails": (setting("ffmpeg=/bin/false"), ["config key 'ffmpeg': found '/bin/false'"]),
    "a config that is no YAML": (write("config.yaml", "seed: 0\ntitle: [a\n"), ["config.yaml row 3: found "]),
    "a config of no keys": (
        write("config.yaml", "hello\n"),
        ["config.yaml: found 'hello'", "write at least one"],
    ),
}


@pytest.fixture(scope="module")
def mistaken(
    rendered: Project, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Outcome]]]:
    """Every mistake, made in a project of its own; two at a time, as each run takes a second to start."""

    def make(mistake: str) -> Outcome:
        project = copied(rendered, tmp_path_factory.mktemp("mistake") / "song")
        config = MISTAKES[mistake][0](project.folder)
        before = snapshot(project.results)
        return snakemake(project, *config), before, snapshot(project.results)

    with ThreadPoolExecutor(2) as pool:
        yield {mistake: pool.submit(make, mistake) for mistake in MISTAKES}
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_sentence_and_touches_nothing(
    mistake: str, mistaken: dict[str, Future[Outcome]]
) -> None:
    result, before, after = mistaken[mistake].result()
    sentence = sentence_of(result)
    assert all(word in sentence for word in MISTAKES[mistake][1]), sentence
    assert after == before


def test_a_mistake_before_the_first_film_leaves_no_results(tmp_path: Path) -> None:
    project = Project(tmp_path).create('"a",0\n"b",0\n')
    assert "song.csv row 2: found the start 0.0 s" in sentence_of(snakemake(project))
    assert not project.results.exists()


# Weights


def cut_short(tmp_path: Path, whole: weights.Weights) -> weights.Weights:
    tensors = tmp_path / whole.tensors.name
    tensors.write_bytes(whole.tensors.read_bytes()[:-1000])
    return replace(whole, tensors=tensors)


def edited(tmp_path: Path, whole: weights.Weights) -> weights.Weights:
    """Its YAML says something else: how it steers, if not what it is built like."""
    architecture = tmp_path / whole.architecture.name
    architecture.write_text(whole.architecture.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    return replace(whole, architecture=architecture)


@pytest.mark.parametrize("table", [weights.VQGANS, weights.PERCEPTORS], ids=["vqgan", "perceptor"])
@pytest.mark.parametrize("damage", [cut_short, edited])
def test_weights_that_are_not_what_came_are_refused_by_the_plan_and_by_the_job(
    damage: Callable[[Path, weights.Weights], weights.Weights],
    table: dict[str, weights.Weights],
    project: Project,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    damaged = damage(tmp_path, table["starter"])
    segment, keyframes = next(iter(project.plan().needs.items()))
    project.paths.latents(segment, keyframes).unlink()
    monkeypatch.setitem(table, "starter", damaged)
    with pytest.raises(UserError, match=re.escape(f"{damaged.tensors}: found sha256 ")):
        project.plan()
    assert project.keyframes(segment, keyframes) == 1
    assert f"{damaged.tensors}: found sha256 " in only_sentence(capsys.readouterr().err)
    assert not project.paths.latents(segment, keyframes).exists()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("n_embed: 2048", "n_embed: 1024", "quantize.embedding.weight"),
        ("model:", "mod", "vqgan.yaml: found what is not YAML"),
    ],
)
def test_weights_that_do_not_fit_their_architecture_are_refused_by_name(
    old: str, new: str, words: str, tmp_path: Path
) -> None:
    whole = weights.VQGANS["starter"]
    changed = tmp_path / "vqgan.yaml"
    changed.write_text(whole.architecture.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    with pytest.raises(UserError, match=re.escape(words)):
        vqgan.load(replace(whole, architecture=changed), torch.device("cpu"), torch.float32)


# No room, no permission


@contextlib.contextmanager
def mounted(folder: Path) -> Iterator[None]:
    """A file system of one megabyte at the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system is not permitted here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def small_disk(rendered: Project, tmp_path: Path) -> Iterator[Project]:
    """A project with its film, on a disk of one megabyte."""
    with mounted(tmp_path / "song"):
        yield copied(rendered, tmp_path / "song")


def fill(folder: Path) -> Path:
    filler = folder / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(512))
    return filler


@contextlib.contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def keyframes_job(project: Project) -> tuple[Path, Callable[[], int]]:
    segment, keyframes = next(iter(project.plan().needs.items()))
    return project.paths.latents(segment, keyframes), lambda: project.keyframes(segment, keyframes)


def clip_job(project: Project) -> tuple[Path, Callable[[], int]]:
    clip = next(iter(project.plan().clips))
    return project.paths.clip(clip), lambda: project.clip(clip)


def film_job(project: Project) -> tuple[Path, Callable[[], int]]:
    return project.timeline().with_name("film.mp4"), project.film


Job = Callable[[Project], tuple[Path, Callable[[], int]]]
JOBS = pytest.mark.parametrize("job", [keyframes_job, clip_job, film_job])


@JOBS
def test_a_full_disk_is_one_sentence_and_the_next_run_goes_on(
    job: Job, small_disk: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    target, run = job(small_disk)
    whole = target.read_bytes()
    target.unlink()
    filler = fill(small_disk.folder)
    assert run() == 1
    assert re.search("disk is full|No space left", only_sentence(capsys.readouterr().err))
    assert not target.exists()
    assert not temporaries(small_disk)
    filler.unlink()
    assert run() == 0
    assert target.read_bytes() == whole


@JOBS
def test_a_file_that_may_not_grow_is_one_sentence_and_the_next_run_goes_on(
    job: Job, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    target, run = job(project)
    whole = target.read_bytes()
    target.unlink()
    with file_size_limit(600):
        assert run() == 1
    assert re.search("File too large|SIGXFSZ", only_sentence(capsys.readouterr().err))
    assert not target.exists()
    assert not temporaries(project)
    assert run() == 0
    assert target.read_bytes() == whole


def test_planning_on_a_full_disk_is_one_sentence_and_the_next_run_goes_on(tmp_path: Path) -> None:
    project = Project(tmp_path).create()
    with mounted(project.results):
        filler = fill(project.results)
        sentence = sentence_of(snakemake(project))
        assert "results/plan/segments" in sentence
        assert "the disk is full; free some space" in sentence
        assert [path for path in project.results.rglob("*") if path.is_file()] == [filler]
        filler.unlink()
        assert snakemake(project, dry=True).returncode == 0


@JOBS
def test_results_that_may_not_be_written_are_one_sentence(
    job: Job, small_disk: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    target, run = job(small_disk)
    target.unlink()
    before = snapshot(small_disk.results)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk.folder)], check=True)
    assert run() == 1
    assert "Read-only file system" in only_sentence(capsys.readouterr().err)
    assert snapshot(small_disk.results) == before


def test_a_disk_that_vanishes_is_one_sentence_and_the_next_run_goes_on(
    project: Project, tmp_path: Path
) -> None:
    file, render = keyframes_job(project)
    segment = file.name.split("-")[0]
    shutil.rmtree(project.results / "latents")
    disk = project.results.rename(tmp_path / "disk")
    project.results.mkdir()
    bind = ["mount", "--bind", str(disk), str(project.results)]
    if not shutil.which("mount") or subprocess.run(bind, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not permitted here")
    process = started(project, "keyframes", project.paths.segment_plan(segment), 100_000)
    wait_for((project.paths.work(segment) / "1/kept.zarr.zip").exists, process)
    subprocess.run(["umount", "--lazy", str(project.results)], check=True)
    _, output = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "its disk has vanished" in only_sentence(output)
    assert list(project.results.iterdir()) == []
    subprocess.run(bind, check=True)
    try:
        assert render() == 0
        assert len(latents.load(file, segment, 5)) >= 5
    finally:
        subprocess.run(["umount", str(project.results)], check=True)


# A power cut


@JOBS
def test_a_result_is_on_the_disk_before_its_name_is(
    job: Job, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a power cut leaves a whole file or none; and the name is there before the job says it is done."""
    target, run = job(project)
    target.unlink()
    done: list[tuple[str, tuple[int, int]]] = []  # what happened to which inode

    def noting(name: str, call: Callable[..., Any], place: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*arguments: Any, **more: Any) -> Any:
            about = place(*arguments, **more)
            result = call(*arguments, **more)
            done.append((name, (about.st_dev, about.st_ino)))
            return result

        return noted

    monkeypatch.setattr(os, "fsync", noting("settled", os.fsync, os.fstat))
    monkeypatch.setattr(
        os, "link", noting("named", os.link, lambda file, _, src_dir_fd: os.stat(file, dir_fd=src_dir_fd))
    )
    monkeypatch.setattr(Path, "replace", noting("named", Path.replace, lambda file, _: file.stat()))
    assert run() == 0
    file, folder = ((stat.st_dev, stat.st_ino) for stat in (target.stat(), target.parent.stat()))
    # The last one of that number: a file of a job's standing, which is gone, may have had it before.
    named = len(done) - 1 - done[::-1].index(("named", file))
    assert ("settled", file) in done[:named]
    assert ("settled", folder) in done[named:]


# Damaged and missing results


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut short": lambda whole: whole[: len(whole) * 2 // 3],
    "zeroed": lambda whole: bytes(len(whole)),
    "zeroed in the middle": lambda whole: whole[:400] + bytes(len(whole) - 800) + whole[-400:],
    "empty": lambda whole: b"",
    "something else": lambda whole: b"<html>" * 99,
}
DAMAGED = pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)


def swap(file: Path, other: Path) -> None:
    ours, theirs = file.read_bytes(), other.read_bytes()
    file.write_bytes(theirs)
    other.write_bytes(ours)


@DAMAGED
def test_damaged_latents_end_in_no_clip_and_the_next_job_renders_them_again(
    damage: Callable[[bytes], bytes], project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    file, render = keyframes_job(project)
    clip, draw = clip_job(project)
    whole, drawn = file.read_bytes(), clip.read_bytes()
    clip.unlink()
    file.write_bytes(damage(whole))
    assert draw() == 1
    sentence = only_sentence(capsys.readouterr().err)
    assert f"{file}: found a damaged file" in sentence
    assert f"now {file.name}.damaged: run the same command again" in sentence
    assert not clip.exists()
    assert not file.exists()
    assert (render(), draw()) == (0, 0)
    assert (file.read_bytes(), clip.read_bytes()) == (whole, drawn)


def test_latents_of_another_line_end_in_no_clip(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = (project.paths.latents(segment, need) for segment, need in project.plan().needs.items())
    clip, draw = clip_job(project)
    clip.unlink()
    swap(one, other)
    assert draw() == 1
    assert f"{one}: found the latents of {other.name[:16]}" in only_sentence(capsys.readouterr().err)
    assert not clip.exists()


@DAMAGED
def test_damaged_keyframes_are_passed_over_with_a_warning_and_rendered_again(
    damage: Callable[[bytes], bytes], project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    file, render = keyframes_job(project)
    whole = file.read_bytes()
    segment = file.name.split("-")[0]
    kept = project.paths.work(segment) / "1/kept.zarr.zip"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(damage(whole))
    file.unlink()
    assert render() == 0
    told = capsys.readouterr().err
    assert "kept.zarr.zip: found a damaged file" in told
    assert file.read_bytes() == whole


@DAMAGED
def test_a_damaged_clip_ends_in_no_film_and_the_next_job_draws_it_again(
    damage: Callable[[bytes], bytes], project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    last = project.paths.clip(Timeline.read(project.timeline()).clips[-1].clip)
    target, join = film_job(project)
    before, whole = target.read_bytes(), last.read_bytes()
    last.write_bytes(damage(whole))
    assert join() == 1
    assert f"{last}: found a damaged file or another clip" in only_sentence(capsys.readouterr().err)
    assert target.read_bytes() == before  # the film that was there is not lost
    assert not temporaries(project)
    assert (project.clip(last.stem), join()) == (0, 0)
    assert (last.read_bytes(), target.read_bytes()) == (whole, before)


def test_one_run_renders_again_what_was_damaged_or_swapped(rendered: Project, tmp_path: Path) -> None:
    project = copied(rendered, tmp_path / "song")
    assert snakemake(project, dry=True).returncode == 0
    latents_files = sorted((project.results / "latents").iterdir())
    clips = sorted((project.results / "clips").iterdir())
    plans = sorted((project.results / "plan").rglob("*.json"))
    film_file = project.timeline().with_name("film.mp4")
    whole = {path: path.read_bytes() for path in [*latents_files, *clips, *plans, film_file]}
    swap(*latents_files)
    clips[0].write_bytes(bytes(len(whole[clips[0]])))
    clips[1].write_bytes(whole[clips[1]][:-99])
    swap(*plans[:2])
    plans[2].write_bytes(b"")
    film_file.unlink()
    result = snakemake(project)
    assert result.returncode == 0, result.stderr
    told = [line for line in result.stderr.splitlines() if "and rendered again" in line]
    assert all(any(f"/{path.name}: found" in line for line in told) for path in [*latents_files, *clips])
    assert len(told) == 4
    assert {path: path.read_bytes() for path in whole} == whole
    assert snakemake(project).returncode == 0


def test_damage_is_not_looked_for_where_it_is_not_used(project: Project) -> None:
    """A film that is up to date is made from nothing; reading all of an hour's clips would take a while."""
    for path in [*(project.results / "clips").iterdir(), *(project.results / "latents").iterdir()]:
        path.write_bytes(b"")
    before = snapshot(project.results)
    plan = project.plan()
    assert list(damage.find(plan, project.paths)) == []
    project.timeline().with_name("film.mp4").unlink()
    before = {name: content for name, content in before.items() if not name.endswith("film.mp4")}
    with contextlib.chdir(project.folder):
        found = {fault.path for fault in damage.find(plan, Paths())}
    assert len(found) == 4
    assert {name: content for name, (_, content) in snapshot(project.results).items()} == {
        name: content for name, (_, content) in before.items()
    }


def test_the_forecast_says_what_is_damaged_and_leaves_it(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    clip, _ = clip_job(project)
    clip.write_bytes(b"")
    project.timeline().with_name("film.mp4").unlink()
    assert project.run("plan") == 0
    assert f"{clip.name}: found a damaged file" in only_sentence(capsys.readouterr().err)
    assert clip.read_bytes() == b""


@pytest.mark.parametrize("kind", ["segments", "clips"])
def test_a_job_with_another_jobs_plan_says_what_writes_it(
    kind: str, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = sorted((project.results / "plan" / kind).iterdir())
    for path in (*(project.results / "clips").iterdir(), *(project.results / "latents").iterdir()):
        path.unlink()
    swap(one, other)
    status = project.keyframes(one.stem, 5) if kind == "segments" else project.run("clip", one, "none")
    assert status == 1
    sentence = only_sentence(capsys.readouterr().err)
    assert f"{one.name}: found another plan than its name says; run snakemake" in sentence


def test_a_job_without_its_plan_says_what_writes_it(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert project.keyframes("0" * 16, 5) == 1
    sentence = only_sentence(capsys.readouterr().err)
    assert f"{project.paths.segment_plan('0' * 16)}: found no such file" in sentence
    assert "run snakemake" in sentence


def test_a_job_with_a_damaged_plan_says_what_writes_it(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.timeline().write_bytes(bytes(99))
    clip = project.paths.clip("0" * 16)
    assert project.run("film", project.timeline(), clip) == 1
    assert f"{project.timeline()}: found a damaged file" in only_sentence(capsys.readouterr().err)


def test_a_log_that_cannot_be_written_hides_nothing(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert project.run("keyframes", project.paths.segment_plan("0" * 16), 5, log="/dev/full") == 1
    assert "found no such file" in only_sentence(capsys.readouterr().err)


# Stops


def started(project: Project, *arguments: Any) -> subprocess.Popen[str]:
    def with_default_signals() -> None:  # a shell's `&` has them ignored
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    return subprocess.Popen(
        [sys.executable, "-m", "songreel", *map(str, arguments)],
        cwd=project.folder,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY / "workflow")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=with_default_signals,
    )


def check_stops(process: subprocess.Popen[str], number: signal.Signals) -> None:
    sent = time.monotonic()
    process.send_signal(number)
    _, output = process.communicate(timeout=20)
    assert time.monotonic() - sent < 2
    assert process.returncode == 128 + number
    assert "finished keyframes are kept" in only_sentence(output)


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    for _ in range(1200):
        if condition():
            return
        assert process.poll() is None
        time.sleep(0.05)
    raise TimeoutError


STOPS = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])


@STOPS
def test_a_stopped_job_keeps_its_keyframes_and_leaves_nothing_half_written(
    number: signal.Signals, project: Project
) -> None:
    file, _ = keyframes_job(project)
    segment = file.name.split("-")[0]
    file.unlink()
    kept = project.paths.work(segment) / "1/kept.zarr.zip"
    process = started(project, "keyframes", project.paths.segment_plan(segment), 100_000)
    wait_for(kept.exists, process)
    check_stops(process, number)
    assert len(latents.load(kept, segment)) > 0
    assert not temporaries(project)


def test_a_job_whose_line_was_taken_over_stops_and_writes_nothing(project: Project) -> None:
    """It was stopped, or cut off from the disk, so long that its scheduler started another one elsewhere."""
    file, render = keyframes_job(project)
    segment = file.name.split("-")[0]
    file.unlink()
    process = started(project, "keyframes", project.paths.segment_plan(segment), 100_000)
    wait_for((project.paths.work(segment) / "1/kept.zarr.zip").exists, process)
    process.send_signal(signal.SIGSTOP)
    with monkeypatched(heartbeat, LEASE_SECONDS=0.5):
        assert render() == 0
    after = snapshot(project.results)
    process.send_signal(signal.SIGCONT)
    _, output = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "another job has taken its line over; this one stops" in only_sentence(output)
    assert snapshot(project.results) == after


@pytest.mark.parametrize("seconds", [0.6, 1.4])
def test_a_job_stops_while_it_imports(seconds: float, project: Project) -> None:
    file, _ = keyframes_job(project)
    segment = file.name.split("-")[0]
    file.unlink()
    process = started(project, "keyframes", project.paths.segment_plan(segment), 100_000)
    time.sleep(seconds)
    check_stops(process, signal.SIGINT)


@STOPS
def test_a_stopped_film_ends_its_ffmpeg(number: signal.Signals, project: Project) -> None:
    program = script(project, HALF_A_FILE + "exec sleep 60")
    target, _ = film_job(project)
    before = snapshot(target.parent)
    clips = [project.paths.clip(entry.clip) for entry in Timeline.read(project.timeline()).clips]
    process = started(project, "film", project.timeline(), *clips, f"--ffmpeg={program}")
    wait_for(lambda: bool(temporaries(project)), process)
    check_stops(process, number)  # which includes that nobody holds its output any more
    assert snapshot(target.parent) == before


# An ffmpeg that fails


def script(project: Project, body: str) -> str:
    program = project.folder / "fake-ffmpeg"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return str(program)


HALF_A_FILE = 'for word; do case "$word" in *.mp4) echo half > "$word";; esac; done; '
FAKES = {
    "fails": ("cat > /dev/null; echo 'Unknown encoder' >&2; exit 1", "(Unknown encoder)"),
    "fails half way": (HALF_A_FILE + "head -c 99 > /dev/null; echo boom >&2; exit 1", "(boom)"),
    "writes nothing": ("cat > /dev/null", "(status 0 and no word)"),
    "closes its input": ("exec <&-; echo 'no input wanted' >&2; exit 3", "(no input wanted)"),
    "is killed": ("kill -9 $$", "(ended by SIGKILL)"),
}
FAKE = pytest.mark.parametrize(("body", "words"), FAKES.values(), ids=FAKES)


@FAKE
@pytest.mark.parametrize("job", ["clip", "film"])
def test_an_ffmpeg_that_fails_is_quoted_and_leaves_no_file(
    job: str, body: str, words: str, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    target, _ = clip_job(project) if job == "clip" else film_job(project)
    target.unlink()
    program = script(project, body)
    run = project.film(ffmpeg=program) if job == "film" else project.clip(target.stem, ffmpeg=program)
    assert run == 1
    sentence = only_sentence(capsys.readouterr().err)
    assert str(target) in sentence
    assert words in sentence
    assert not target.exists()
    assert not temporaries(project)


@FAKE
def test_an_ffmpeg_that_fails_amid_many_frames_is_quoted(body: str, words: str, project: Project) -> None:
    clip = ClipPlan.read(next(project.results.glob("plan/clips/*.json")))
    batches = (np.zeros((16, 256, 256, 3), np.uint8) for _ in range(4))
    target = project.results / "large.mp4"
    with pytest.raises(UserError, match=re.escape(words)):
        film.encode(batches, clip, (256, 256), target, script(project, body))
    assert not target.exists()
    assert not temporaries(project)


# Texts and names are only ever text


def read_back(film_file: Path, *arguments: str) -> str:
    command = [FFMPEG, "-v", "error", "-i", str(film_file), *arguments, "-"]
    return subprocess.run(command, capture_output=True, check=True).stdout.decode()


TEXTS = [
    NASTY,
    "<b>bold</b> & <i>sly</i> &amp; &lt;",
    "{\\an8}up {b} \\N \\n \\h \\\\ {y:i}",
    "1 --> 2",
    "00:00:01,000 --> 00:00:02,000",
    "12",
    "a=b;c#d\\",
    "♪ 你好 — “hm”",
    "two\nrows",
]


@pytest.fixture(scope="module")
def odd_film(rendered: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film whose timeline is full of odd texts."""
    project = copied(rendered, tmp_path_factory.mktemp("odd") / "song")
    timeline = replace(
        Timeline.read(project.timeline()),
        title=f"{NASTY}\nb=c;d#e\\",
        artist="[CHAPTER]\n;x=y",
        lines=tuple(TimelineLine(text, n, n + 0.5, "0" * 16) for n, text in enumerate(TEXTS)),
    )
    write_json_if_changed(project.timeline(), timeline.to_json())
    target, join = film_job(project)
    assert join() == 0
    return target


def test_lyrics_read_back_from_the_subtitles_as_they_were(odd_film: Path) -> None:
    cues = read_back(odd_film, "-map", "0:s", "-f", "webvtt").strip().split("\n\n")[1:]
    shown = [cue.split("\n", 1)[1].replace(WORD_JOINER, "") for cue in cues]
    assert shown == [text.replace("\n", " ") for text in TEXTS]
    assert cues[1].startswith("00:01.000 --> 00:01.500\n")


def test_title_artist_and_chapters_read_back_as_they_were(odd_film: Path) -> None:
    head, *chapters = metadata_of(odd_film)
    assert head["title"] == f"{NASTY} b=c;d#e\\"
    assert head["artist"] == "[CHAPTER] ;x=y"
    assert [chapter["title"] for chapter in chapters] == [text.replace("\n", " ") for text in TEXTS]


def metadata_of(film_file: Path) -> list[dict[str, str]]:
    """The film's own metadata, then each chapter's, without spaces at the ends."""
    sections = read_back(film_file, "-f", "ffmetadata").split("\n[CHAPTER]\n")
    pairs = [re.findall(r"^([a-zA-Z_]+)=((?:\\.|[^\\\n])*)$", section, re.MULTILINE) for section in sections]
    return [{key: re.sub(r"\\(.)", r"\1", value).strip() for key, value in found} for found in pairs]


def test_a_song_with_an_odd_name_becomes_a_film_with_sound(tmp_path: Path) -> None:
    project = Project(tmp_path / NASTY, NASTY, title=NASTY).create()
    with wave.open(str(project.screenplay.with_suffix(".wav")), "wb") as song:
        song.setparams((1, 2, 8000, 0, "NONE", ""))
        song.writeframes(b"\0\1" * 4000)
    project.render()
    film_file = project.timeline().with_name("film.mp4")
    film_file.unlink()
    ffmpeg = project.folder / f"{NASTY} ffmpeg"
    ffmpeg.symlink_to(FFMPEG)
    result = snakemake(project, f"ffmpeg={ffmpeg}")
    assert result.returncode == 0, result.stderr
    assert metadata_of(film_file)[0]["title"] == NASTY
    assert len(read_back(film_file, "-map", "0:a", "-f", "framecrc").splitlines()) > 5
    assert not [path for path in tmp_path.rglob("[xz]") if path.is_file()]
