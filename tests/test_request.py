"""What a job asks a scheduler for comes from its plan and from what such work has taken."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest
from psutil import Process

from songreel.costs import history, request
from songreel.ground.documents import SegmentRecipe
from songreel.ground.paths import Paths
from songreel.models.weights import PERCEPTORS, VQGANS
from songreel.sampling import memory
from tests.conftest import Project
from tests.plans import recipe

RECIPE = recipe(iterations=100, lead_in=300, cutouts=32)
WORK = history.optimising(RECIPE)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path)


def measured(
    paths: Paths, machine: str, seconds_per_iteration: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "node", lambda: machine)
    history.remember(paths, WORK, 1000, 1000 * seconds_per_iteration)
    monkeypatch.setattr(platform, "node", lambda: "login")


def test_time_is_keyframes_by_the_speed_of_the_slowest_node(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    iterations = request.iterations(RECIPE, 57)
    assert iterations == 6000
    measured(paths, "node1", 0.05, monkeypatch)
    measured(paths, "node2", 0.1, monkeypatch)
    measured(paths, "login", 9, monkeypatch)  # tried where there is no GPU: no job is sent there
    assert request.minutes(history.on_nodes(paths), WORK, iterations, 1) == 15 + 2 * 10
    assert request.minutes(history.on_nodes(paths), WORK, iterations, 3) == 4 * 35


def test_time_is_told_by_the_only_machine_there_is(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    measured(paths, "login", 0.2, monkeypatch)
    assert request.minutes(history.on_nodes(paths), WORK, 6000, 1) == 15 + 2 * 20


def test_what_was_never_measured_is_given_a_second(paths: Paths) -> None:
    assert request.minutes(history.on_nodes(paths), WORK, 6000, 1) == 15 + 2 * 100


def test_a_cpu_is_asked_for_what_an_iteration_keeps() -> None:
    on_gpu, on_cpu = (request.megabytes(RECIPE, 0, on_cpu, 1) for on_cpu in (False, True))
    kept = memory.estimate(VQGANS["starter"], [PERCEPTORS["starter"]], RECIPE.size, 32, 0, 4) / 1e6
    assert on_cpu - on_gpu == pytest.approx(kept, abs=1)
    assert on_gpu > request.HOST_MB > Process().memory_info().rss / 1e6  # this process has imported torch
    assert request.megabytes(RECIPE, 0, True, 2) == 2 * on_cpu
    assert request.drawing_megabytes(RECIPE, 2) == 2 * request.drawing_megabytes(RECIPE, 1)


def test_the_rules_ask_for_it(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line of 5 keyframes and 16 frames, which take 1 + 5 iterations."""
    project.write([("a red boat", 0)])
    run = project.run("--dry-run")
    planned = SegmentRecipe.read(next(project.results.root.glob("plan/segments/*")))
    assert "runtime=16, mem_mb=40" in run.output
    history.remember(project.results, history.optimising(planned), 1, 600)
    run = project.run("--dry-run")
    assert f"runtime={15 + 2 * 60}, mem_mb=40" in run.output
