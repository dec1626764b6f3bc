"""What stands where results belong, and where they may not be written: told in a sentence, or made good."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from songreel.ground.errors import UserError, sentence
from songreel.ground.files import set_aside
from songreel.ground.paths import Paths
from songreel.upkeep import damage, places
from tests.test_failures import Project, copied, sentence_of, snakemake, snapshot

NOBODY = "65534"


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("rendered") / "song").create().render()
    assert snakemake(project).returncode == 0
    return project


@pytest.fixture
def project(rendered: Project, tmp_path: Path) -> Project:
    return copied(rendered, tmp_path / "song")


def film_of(project: Project) -> Path:
    return project.timeline().with_name("film.mp4")


# Something else than a file has a result's name


def _folder(path: Path) -> None:
    (path / "inside").mkdir(parents=True)


def _dangling(path: Path) -> None:
    path.symlink_to("nowhere")


OBSTACLES = {"a folder": _folder, "a link that leads nowhere": _dangling, "a pipe": os.mkfifo}


def _all_files(project: Project) -> list[Path]:
    """One result of each kind that a new film with the same lines is made from."""
    folders = ("clips", "latents", "plan/clips", "plan/segments")
    files = [min((project.results / folder).iterdir()) for folder in folders]
    timeline = project.timeline()
    return [*files, timeline, timeline.with_name("screenplay.json"), film_of(project)]


@pytest.mark.parametrize(("found", "put"), OBSTACLES.items(), ids=OBSTACLES)
def test_whatever_has_a_results_name_is_named(
    found: str, put: Callable[[Path], None], project: Project
) -> None:
    plan, files = project.plan(), _all_files(project)
    for path in [*(project.results / "clips").iterdir(), *files]:
        path.unlink(missing_ok=True)
    for path in files:
        put(path)
    faults = [*damage.in_plans(plan, project.paths), *damage.find(plan, project.paths)]
    assert {fault.path for fault in faults} == set(files)
    assert len(faults) == len(files)
    assert all(f"found {found}, expected " in str(fault) for fault in faults)


def test_one_run_gets_past_whatever_has_a_results_name(project: Project) -> None:
    files = _all_files(project)
    whole = {path: path.read_bytes() for path in files}
    history = next((project.results / "history").iterdir())
    work = project.paths.work(files[1].name.split("-")[0])
    for path in [*(project.results / "clips").iterdir(), *files, history]:
        path.unlink(missing_ok=True)
    for path, put in zip([*files, history], itertools.cycle(OBSTACLES.values()), strict=False):
        put(path)
    work.parent.mkdir(exist_ok=True)
    work.write_text("no folder")
    result = snakemake(project)
    assert result.returncode == 0, result.stderr
    assert all(os.path.lexists(path.with_name(f"{path.name}.damaged")) for path in [*files, work])
    assert {path: path.read_bytes() for path in files} == whole
    assert "Nothing to be done" in snakemake(project).stderr


@pytest.mark.parametrize(("found", "put"), OBSTACLES.items(), ids=OBSTACLES)
def test_a_job_that_meets_an_obstacle_sets_it_aside(
    found: str, put: Callable[[Path], None], project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """It came up after the start."""
    clip = project.paths.clip(next(iter(project.plan().clips)))
    whole = clip.read_bytes()
    clip.unlink()
    put(clip)
    status = project.clip(clip.stem)
    if status:
        assert f"found {found}, expected the clip" in capsys.readouterr().err
        assert project.clip(clip.stem) == 0
    assert clip.read_bytes() == whole


def test_links_to_whole_results_are_results(project: Project, tmp_path: Path) -> None:
    for path in _all_files(project):
        moved = shutil.move(path, tmp_path / f"moved-{path.parent.name}-{path.name}")
        path.symlink_to(moved)
    plan = project.plan()
    assert [*damage.in_plans(plan, project.paths), *damage.find(plan, project.paths)] == []
    film_of(project).unlink()
    assert list(damage.find(plan, project.paths)) == []


# Something else than a folder has a folder's name


@pytest.mark.parametrize(
    "name", ["", "plan", "plan/clips", "clips", "latents", ".work", "logs", "logs/films", "song"]
)
@pytest.mark.parametrize("put", [_dangling, lambda path: path.write_text("a file")], ids=["link", "file"])
def test_what_has_a_folders_name_is_one_sentence_and_stays(
    name: str, put: Callable[[Path], object], tmp_path: Path
) -> None:
    """A link may lead to a disk that is not mounted at the moment."""
    folder = tmp_path / "results" / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    put(folder)
    with pytest.raises(
        UserError, match=r"found a (file|link that leads to no folder), expected a folder"
    ) as told:
        places.check_folders("song", Paths(tmp_path / "results"))
    assert str(told.value).startswith(f"{folder}: ")
    assert os.path.lexists(folder)


def test_folders_that_are_links_are_folders(project: Project, tmp_path: Path) -> None:
    for name in ("clips", "song", "latents"):
        shutil.move(project.results / name, tmp_path / name)
        (project.results / name).symlink_to(tmp_path / name)
    places.check_folders("song", project.paths)


# Results that may not be written


@contextlib.contextmanager
def on_a_disk(folder: Path, remount: Callable[[], str]) -> Iterator[None]:
    """The folder's content on a disk of its own, mounted anew with other options once it is there."""
    kept = folder.with_name(f"{folder.name}-kept")
    shutil.move(folder, kept)
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not permitted here")
    try:
        shutil.copytree(kept, folder, dirs_exist_ok=True)
        subprocess.run(["mount", "-o", f"remount,{remount()}", str(folder)], check=True)
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)
        folder.rmdir()
        shutil.move(kept, folder)


def _no_inodes(folder: Path) -> Callable[[], str]:
    def option() -> str:
        disk = os.statvfs(folder)
        return f"nr_inodes={disk.f_files - disk.f_ffree}"

    return option


@pytest.mark.parametrize("name", ["results", "."])
def test_a_film_that_cannot_be_written_is_one_sentence_and_one_that_is_done_is_none(
    name: str, project: Project
) -> None:
    folder = project.folder / name
    with on_a_disk(folder, lambda: "ro"):
        if name == "results":
            assert "Nothing to be done" in snakemake(project).stderr
        else:  # Snakemake itself writes, always
            assert ".snakemake: snakemake may not write its notes here" in sentence_of(snakemake(project))
    film_of(project).unlink()
    with on_a_disk(folder, lambda: "ro"):
        before = snapshot(project.results)
        assert "Read-only file system" in sentence_of(snakemake(project))
        assert snapshot(project.results) == before
    with on_a_disk(folder, _no_inodes(folder)):
        assert "the disk holds as many files as it can; remove some" in sentence_of(snakemake(project))
    assert snakemake(project).returncode == 0


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="only root can be someone else")
def test_another_users_checkout_is_one_sentence(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for parent in project.folder.parents[:3]:
        if not parent.stat().st_mode & 1:
            parent.chmod(parent.stat().st_mode | 0o111)
    command = subprocess.run
    nobody = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    monkeypatch.setenv("XDG_CACHE_HOME", f"/tmp/songreel-test-{os.getpid()}")
    monkeypatch.setattr(subprocess, "run", lambda words, **more: command([*nobody, *words], **more))
    try:
        result = snakemake(project)
    finally:
        shutil.rmtree(f"/tmp/songreel-test-{os.getpid()}", ignore_errors=True)
    if "Permission denied" in result.stderr and ".snakemake" not in result.stderr:
        pytest.skip("this Python may not be run by others")
    assert "snakemake may not write its notes here (Permission denied)" in sentence_of(result)


def test_a_disk_without_inodes_is_told_from_a_full_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = OSError(28, "No space left on device", str(tmp_path / "not/yet/there"))
    assert "the disk is full; free some space" in sentence(full)

    def without(path: Path) -> os.statvfs_result:
        return os.statvfs_result((4096, 4096, 9, 9, 9, 99, 0, 0, 0, 255))

    monkeypatch.setattr(os, "statvfs", without)
    assert "holds as many files as it can" in sentence(full)


def test_setting_aside_never_needs_a_free_name(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    asides = []
    for put in OBSTACLES.values():
        put(clip)
        asides.append(set_aside(clip))
    assert len({aside.name for aside in asides}) == 3
