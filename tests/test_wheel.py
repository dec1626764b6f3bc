"""What an installed songreel promises: all it needs comes along, and projects are made in any folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from songreel import new
from songreel.ground.errors import UserError
from tests.conftest import REPOSITORY, TINY, Project, environment, new_project

LINE = [("a lighthouse at dusk", 0.0)]
IN_NO_WHEEL = (".*", "results", "build", "__pycache__", "*.egg-info", "*.whl")  # of a checkout


@dataclass(frozen=True)
class Installed:
    """A songreel that was installed from a wheel, apart from every checkout."""

    folder: Path

    def run(self, *command: str | Path, cwd: Path) -> str:
        """What a command prints, both streams; it must end well."""
        run = subprocess.run(
            [sys.executable, *command],
            cwd=cwd,
            env={**environment(), "PYTHONPATH": str(self.folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stdout
        return run.stdout

    def songreel(self, *arguments: str | Path, cwd: Path) -> str:
        return self.run(self.folder / "bin/songreel", *arguments, cwd=cwd)


def _pip(*arguments: str | Path, cwd: Path) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    run = subprocess.run(command, cwd=cwd, env=environment(), capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def _wheel(source: Path, folder: Path) -> Path:
    """`pip wheel` with the setuptools that is here, for a machine without network."""
    _pip("wheel", source, "--no-deps", "--no-build-isolation", "--wheel-dir", folder, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this checkout, with what its user has put there and what an earlier build has left."""
    folder = tmp_path_factory.mktemp("wheel") / "checkout"
    shutil.copytree(REPOSITORY, folder, ignore=shutil.ignore_patterns(*IN_NO_WHEEL))
    for name in (
        "screenplays/my.mp3",
        "models/my.ckpt",
        "profiles/mine/config.yaml",
        "build/lib/songreel/old.py",
    ):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("theirs", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def wheel(checkout: Path) -> Path:
    folder = checkout.parent / "wheels"
    folder.mkdir()
    return _wheel(checkout, folder)


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Installed:
    folder = wheel.parent / "installed"
    _pip("install", wheel, "--no-deps", "--no-index", "--target", folder, cwd=wheel.parent)
    return Installed(folder)


def _contents(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as file:
        return {name for name in file.namelist() if ".dist-info/" not in name}


# the wheel


def test_a_wheel_holds_the_package_and_what_it_needs_and_nothing_of_its_builders(wheel: Path) -> None:
    carried = [
        "Snakefile",
        "config.yaml",
        "envs/songreel.yaml",
        "models/published.yaml",
    ]
    carried += [f"profiles/{name}/config.yaml" for name in ("default", "slurm")]
    carried += [f"screenplays/over-the-river.{suffix}" for suffix in ("csv", "mp3")]
    for folder in ("fonts", "models/starter", "workflow/report", "workflow/rules", "workflow/schemas"):
        carried += [f"{folder}/{path.name}" for path in (REPOSITORY / folder).iterdir()]
    kinds = (".py", ".typed", ".html", ".css", ".js")
    packages = [REPOSITORY / "workflow" / name for name in ("songreel", "snakemake_logger_plugin_songreel")]
    files = [path for folder in packages for path in folder.rglob("*") if path.suffix in kinds]
    package = {path.relative_to(REPOSITORY / "workflow").as_posix() for path in files}
    assert _contents(wheel) == package | {f"songreel/share/{name}" for name in carried}


def test_a_source_distribution_gives_the_same_wheel(checkout: Path, wheel: Path, tmp_path: Path) -> None:
    build = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"
    subprocess.run(
        [sys.executable, "-c", build, tmp_path],
        cwd=checkout,
        env=environment(),
        capture_output=True,
        check=True,
    )
    (archive,) = tmp_path.glob("*.tar.gz")
    assert _contents(_wheel(archive, tmp_path)) == _contents(wheel)


# what was installed from it


def test_an_installed_songreel_renders_a_new_project_as_a_checkout_does(
    installed: Installed, tmp_path: Path
) -> None:
    assert str(installed.folder) in installed.run(
        "-c", "import songreel; print(songreel.__file__)", cwd=tmp_path
    )
    assert "--cores 2" in installed.songreel("new", "here", cwd=tmp_path)
    assert "'Hurrah for the pumpkin pie!'" in installed.songreel("plan", cwd=tmp_path / "here")

    here, there = Project(tmp_path / "here"), new_project(tmp_path / "there")
    for project in (here, there):
        project.configure(screenplay="screenplays/song.csv", **TINY)
        project.write(LINE)
    told = installed.run("-m", "snakemake", "--cores", "1", cwd=here.folder)
    assert "profiles/default" in told
    assert here.film.is_file()
    assert there.rendered() == {"keyframes": 1, "clip": 1, "film": 1}
    plans = [path for path in (there.folder / "results/plan").rglob("*.json") if path.name != "ffmpeg.json"]
    assert plans  # the other says what was tried, which here was the demo, too
    for path in plans:
        assert (here.folder / path.relative_to(there.folder)).read_bytes() == path.read_bytes()
    assert here.film.read_bytes() == there.film.read_bytes()


# `songreel new`


def test_a_new_project_holds_the_demo_and_the_profiles(tmp_path: Path) -> None:
    new.project(tmp_path / "songs" / "mine")
    found = {
        path.relative_to(tmp_path / "songs/mine").as_posix() for path in tmp_path.rglob("*") if path.is_file()
    }
    assert found == {
        *("Snakefile", "config.yaml", "screenplays/over-the-river.csv", "screenplays/over-the-river.mp3"),
        *("profiles/default/config.yaml", "profiles/slurm/config.yaml"),
    }
    assert (tmp_path / "songs/mine/config.yaml").read_bytes() == (REPOSITORY / "config.yaml").read_bytes()


def test_a_new_project_may_be_made_in_an_empty_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    new.project(Path())
    assert (tmp_path / "Snakefile").is_file()


@pytest.mark.parametrize("held", ["config.yaml", "song.mp3", ".git/HEAD", "a folder/"])
def test_a_new_project_is_refused_where_something_else_is(tmp_path: Path, held: str) -> None:
    path = tmp_path / held
    path.parent.mkdir(exist_ok=True)
    path.mkdir() if held.endswith("/") else path.write_text("theirs", encoding="utf-8")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=rf"holds '{held.split('/')[0]}', expected a new or an empty one"):
        new.project(tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("kind", ["a file", "a link to nowhere"])
def test_a_new_project_is_refused_where_no_folder_can_be(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "mine"
    path.touch() if kind == "a file" else path.symlink_to("nowhere")
    with pytest.raises(UserError, match="expected a new one"):
        new.project(path)


def test_a_new_project_that_fails_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = new._write

    def fail(path: Path, content: bytes, made: list[Path]) -> None:
        written(path, content, made)
        if path.name == "over-the-river.csv":
            raise OSError(28, os.strerror(28), str(path))

    monkeypatch.setattr(new, "_write", fail)
    with pytest.raises(OSError, match=r"over-the-river\.csv"):
        new.project(tmp_path / "songs" / "mine")
    assert not list(tmp_path.iterdir())
