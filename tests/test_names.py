"""Any name and any place does: a checkout with braces, results that begin with a dash, a name used twice."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from songreel.ground.errors import UserError
from songreel.ground.paths import Paths
from songreel.models import weights
from songreel.planning.config import resolve
from tests import checkpoints
from tests.conftest import REPOSITORY, TINY, Project, new_project

LYRICS = [("Déjà vu 星 “x”…", 0.0), ("b", 1.0)]


def test_a_checkout_may_lie_in_a_folder_with_braces(tmp_path: Path) -> None:
    checkout = tmp_path / "a {b} {{c}}"
    checkout.mkdir()
    for name in ("Snakefile", "workflow", "profiles", "envs", "models", "config.yaml"):
        (checkout / name).symlink_to(REPOSITORY / name)
    (checkout / "song.csv").write_text("a,0\n")
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--dry-run", "--config"]
    run = subprocess.run(
        [*command, "screenplay=song.csv", "audio=none"],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0 and "results/song/film.mp4" in run.stdout + run.stderr, run.stderr


def test_weights_in_a_folder_with_braces_are_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SONGREEL_WEIGHTS", str(tmp_path / "{a}"))
    checkpoints.torchscript_clip(tmp_path / "clip.pt")
    with pytest.raises(UserError, match=r"\{a\}/converted: found braces in the path, .* SONGREEL_WEIGHTS\."):
        weights.perceptor(str(tmp_path / "clip.pt"))


def test_a_checkpoint_may_have_the_longest_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SONGREEL_WEIGHTS", str(tmp_path))
    checkpoints.torchscript_clip(tmp_path / f"{'x' * 252}.pt")
    assert len(weights.perceptor(str(tmp_path / f"{'x' * 252}.pt")).tensors.name) < 240


def test_two_screenplays_of_one_name_are_two_films_also_where_results_begin_with_a_dash(
    tmp_path: Path,
) -> None:
    project = new_project(tmp_path / "project", **TINY)
    films = set()
    for name in ("a", "b"):
        (project.folder / name).mkdir()
        (project.folder / name / "lyrics.csv").write_text(f"{name},0\n")
        run = project.run(config={"screenplay": f"{name}/lyrics.csv", "results": "-out"})
        assert run.executed == {"keyframes": 1, "clip": 1, "film": 1}, run.output
        films = set((project.folder / "-out").glob("*/film.mp4"))
    assert len({film.read_bytes() for film in films}) == 2


ASCII = {"PYTHONIOENCODING": "ascii", "LANG": "C", "LC_ALL": "C"}


@pytest.fixture
def foreign(tmp_path: Path) -> Project:
    project = new_project(tmp_path / "project", "söng", **TINY)
    project.write(LYRICS)
    return project


def plan(project: Project, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "songreel", "plan", *options]
    environment = {**os.environ, **ASCII, "PYTHONPATH": str(REPOSITORY / "workflow")}
    return subprocess.run(
        command, cwd=project.folder, env=environment, capture_output=True, text=True, check=False
    )


def test_the_plan_is_shown_where_only_ascii_can_be(foreign: Project) -> None:
    table = plan(foreign)
    assert (table.returncode, table.stderr) == (0, "")
    assert r"D\xe9j\xe0 vu \u661f" in table.stdout
    told = json.loads(plan(foreign, "--json").stdout)
    assert told["rows"][0]["text"] == LYRICS[0][0]


def test_the_workflow_starts_where_only_ascii_can_be_shown(
    foreign: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in ASCII.items():
        monkeypatch.setenv(name, value)
    assert foreign.planned() == {"keyframes": 2, "clip": 2, "film": 1}


@pytest.mark.parametrize("key", ["screenplay", "audio", "model", "results", "ffmpeg", "perceptors"])
def test_a_tilde_is_home(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    found = getattr(resolve({key: "~/x/y"}), key)
    assert str(found[0] if isinstance(found, tuple) else found) == "/home/me/x/y"
    with pytest.raises(UserError, match=f"config key '{key}' is '~nobody-here/x'"):
        resolve({key: "~nobody-here/x"})


@pytest.mark.parametrize("key", ["screenplay", "audio", "model", "results", "ffmpeg", "perceptors"])
@pytest.mark.parametrize("path", ["$SCRATCH/x/y"])
def test_a_variable_at_the_beginning_of_a_path_is_what_it_says(
    path: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCRATCH", "/scratch/me")
    found = getattr(resolve({key: path}), key)
    assert str(found[0] if isinstance(found, tuple) else found) == "/scratch/me/x/y"
    monkeypatch.delenv("SCRATCH")
    with pytest.raises(UserError, match=f"config key '{key}' is '.{{,2}}SCRATCH"):
        resolve({key: path})


@pytest.mark.parametrize("name", ["-out", "--out", "./-out", "-"])
def test_results_that_begin_with_a_dash_are_no_option(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Paths(resolve({"results": name}).results).root == tmp_path / name
    (tmp_path / "{a}").mkdir()
    monkeypatch.chdir(tmp_path / "{a}")
    with pytest.raises(UserError, match=r"config key .results. is .* a folder, without braces was expected"):
        resolve({"results": name})


def test_other_results_stay_as_they_are_written() -> None:
    assert [str(resolve({"results": name}).results) for name in ("results", ".", "a/-b")] == [
        "results",
        ".",
        "a/-b",
    ]
