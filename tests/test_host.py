"""What the rules promise whoever runs them: without a profile, and as a module of another's workflow."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
import sysconfig
import threading
import types
from pathlib import Path

import pytest

from songreel import data
from songreel.ground.paths import Paths
from songreel.jobs import host
from songreel.jobs.host import FLAGS
from tests.conftest import TINY, Project, environment, new_project

WITHOUT = ("--workflow-profile", "none")  # a profile
SNAKEFILE = str(data.SNAKEFILE)
CONFIG = {**TINY, "screenplay": "song.csv", "results": "films"}
HOST = """
rule everything:
    input: "list.txt"

module songreel:
    snakefile: {snakefile!r}
    config: {config}
    {more}

use rule * from songreel as song_*

rule list:
    input: rules.song_all.input
    output: "list.txt"
    shell: "ls {{input}} > {{output}}"
"""


@pytest.fixture(scope="module")
def first_render(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A film of one line, rendered without a profile; tests work on copies of it."""
    project = new_project(tmp_path_factory.mktemp("first") / "project", **TINY)
    project.write([("a lighthouse at dusk", 0.0)])
    run = project.run(*WITHOUT)
    assert (run.status, run.executed) == (0, {"keyframes": 1, "clip": 1, "film": 1}), run.output
    return project


@pytest.fixture
def rendered(first_render: Project, tmp_path: Path) -> Project:
    return first_render.copy(tmp_path / "copy")


def test_without_a_profile_nothing_is_rendered_again(rendered: Project) -> None:
    # A parameter of a rule, but not of what it makes.
    assert "Nothing to be done" in rendered.run(*WITHOUT, config={"micro_batch": 1}).output


def test_without_a_profile_a_killed_run_goes_on_by_the_same_command(rendered: Project) -> None:
    film = rendered.film.relative_to(rendered.folder)
    clip = rendered.clips[0].relative_to(rendered.folder)
    rendered.film.unlink()
    for name, text in (
        ("locks/0.output.lock", f"{film}\n"),
        (f"incomplete/{base64.urlsafe_b64encode(bytes(clip)).decode()}", '{"external_jobid": null}'),
    ):
        left = rendered.folder / ".snakemake" / name
        left.parent.mkdir(exist_ok=True)
        left.write_text(text, encoding="utf-8")
    run = rendered.run(*WITHOUT)
    assert (run.status, run.executed) == (0, {"film": 1}), run.output


def test_triggers_that_somebody_asks_for_are_kept(rendered: Project) -> None:
    triggers = ("--rerun-triggers", "params")
    run = rendered.run(*WITHOUT, *triggers, "--dry-run", config={"micro_batch": 1})
    assert run.planned["keyframes"] == 1


CONDA = """#!{python}
# As much of conda as Snakemake asks for; an environment is one of Python's own, with the packages of here.
import json, sys, venv
from pathlib import Path

folder = Path(__file__).parents[1]
answers = {{
    "info": json.dumps({{"conda_prefix": str(folder), "platform": "linux-64"}}),
    "--version": "conda 25.1.0",
    "config": json.dumps({{"get": {{"channel_priority": "strict"}}}}),
}}
print(answers.get(sys.argv[1], ""))
if sys.argv[1] == "env":
    made = Path(sys.argv[sys.argv.index("--prefix") + 1])
    venv.create(made, symlinks=True)
    next(made.glob("lib/python3*/site-packages")).joinpath("here.pth").write_text({packages!r})
"""


def test_jobs_in_a_conda_environment_find_the_package_of_the_rules(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "conda/bin"
    programs.mkdir(parents=True)
    conda = CONDA.format(python=sys.executable, packages=sysconfig.get_path("purelib"))
    (programs / "conda").write_text(conda, encoding="utf-8")
    (programs / "conda").chmod(0o755)
    (programs / "activate").write_text('PATH="$1/bin:$PATH"\n', encoding="utf-8")
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    project.write([("a lighthouse at dusk", 0.0)])
    run = project.run("--software-deployment-method", "conda", "--until", "keyframes")
    assert (run.status, run.executed) == (0, {"keyframes": 1}), run.output
    assert "Activating conda environment" in run.output


# as a module of another's workflow


def _host(folder: Path, more: str = "") -> subprocess.CompletedProcess[str]:
    """Run a workflow of somebody's own, in a folder without config.yaml, that renders a song on its way."""
    return _run(folder, HOST.format(snakefile=SNAKEFILE, config=CONFIG, more=more))


def _run(folder: Path, text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    folder.mkdir(exist_ok=True)
    (folder / "Snakefile").write_text(text, encoding="utf-8")
    (folder / "song.csv").write_text('"a lighthouse at dusk",0\n', encoding="utf-8")
    command = [sys.executable, "-m", "snakemake", "--cores", "1", *arguments]
    return subprocess.run(
        command,
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def test_a_module_renders_the_same_for_its_host_and_says_what_the_host_can_set(
    rendered: Project, tmp_path: Path
) -> None:
    run = _host(tmp_path / "host")
    assert run.returncode == 0, run.stdout
    assert FLAGS in run.stdout
    # The host's own first rule is what it makes.
    made = (tmp_path / "host/list.txt").read_text(encoding="utf-8").split()
    assert made == ["films/song/film.mp4", "films/song/storyboard.html"]
    films = Paths(tmp_path / "host/films")
    assert films.segment_plan(rendered.segments[0]).is_file()
    for clip in rendered.clips:
        assert films.clip(clip.stem).read_bytes() == clip.read_bytes()
    assert "Nothing to be done" in _host(tmp_path / "host").stdout


def test_a_module_with_a_prefix_is_told_to_name_its_results(tmp_path: Path) -> None:
    run = _host(tmp_path / "host", more='prefix: "elsewhere"')
    assert run.returncode == 1
    assert "found a `prefix`" in run.stdout
    assert "Traceback" not in run.stdout


TWO = """
module one:
    snakefile: {snakefile!r}
    config: {config}

use rule * from one as one_*

module two:
    snakefile: {snakefile!r}
    config: {config} | {over}

use rule * from two as two_*

rule both:
    default_target: True
    input: rules.one_all.input, rules.two_all.input
"""


def test_two_songs_of_a_host_share_what_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SONGREEL_WEIGHTS", str(tmp_path / "weights"))
    config, over = {**CONFIG, "perceptors": ["ViT-B/32"]}, {"results": "others", "seed": 1}
    text = TWO.format(snakefile=SNAKEFILE, config=config, over={**over, "perceptors": ["ViT-B/32", "RN50"]})
    run = _run(tmp_path / "host", text, "--dry-run")
    assert run.returncode == 0, run.stdout
    jobs = dict(re.findall(r"^(\w+) +(\d+)$", run.stdout, re.MULTILINE))
    assert (jobs["one_fetch"], jobs["one_film"], jobs["two_film"]) == ("2", "1", "1")


def test_two_songs_of_a_host_with_one_folder_for_results_are_refused(tmp_path: Path) -> None:
    run = _run(tmp_path / "host", TWO.format(snakefile=SNAKEFILE, config=CONFIG, over={}))
    assert run.returncode == 1
    assert "found two songs with the results folder films" in run.stdout
    assert "Traceback" not in run.stdout


def test_snakemake_waits_for_none_of_its_timers_at_its_end() -> None:
    def wake() -> None:
        """What a timer of Snakemake's calls."""

    theirs, other = threading.Timer(60, wake), threading.Timer(60, wake)
    wake_of_snakemake = types.FunctionType(wake.__code__, {"__name__": "snakemake.scheduling.job_scheduler"})
    theirs.function = wake_of_snakemake
    try:
        theirs.start()
        other.start()
        host.end_timers()
        theirs.join(timeout=30)
        assert not theirs.is_alive()
        assert other.is_alive()
    finally:
        theirs.cancel()
        other.cancel()
