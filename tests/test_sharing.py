"""How many lines share a GPU, where the user leaves that to songreel."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from songreel.costs import request, sharing
from songreel.costs.history import Speeds
from songreel.ground.documents import ModelEntry
from tests.plans import recipe

FAST, SLOW = "starter", "imagenet-16384"


def plan(model: str, iterations: int, lines: int = 20) -> Any:
    made = recipe(model=ModelEntry(model, "a" * 64), iterations=iterations, lead_in=300, cutouts=8)
    segments = {f"{line:016x}": made for line in range(lines)}
    return SimpleNamespace(segments=segments, needs=dict.fromkeys(segments, 30))


def shared(
    model: str = FAST,
    iterations: int = 7,
    lines: int = 20,
    cores: int = 64,
    gpus: int = 1,
    setting: str = "auto",
) -> int:
    return sharing.jobs_per_gpu(setting, plan(model, iterations, lines), 0, Speeds([]), cores, gpus)


@pytest.fixture(autouse=True)
def no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda program: None)


def test_a_draft_has_several_lines_on_a_gpu_and_a_film_of_a_large_model_two() -> None:
    assert shared() == sharing.MOST
    assert shared(SLOW, iterations=100) == 2


def test_no_more_lines_than_there_are_cores_or_lines() -> None:
    assert shared(cores=4) == 4
    assert shared(cores=16, gpus=4) == 4
    assert shared(lines=3) == 3
    assert shared(cores=1, gpus=4) == 1


def test_what_the_user_says_counts() -> None:
    assert shared(setting="5", cores=1) == 5


def driver(told: str, folder: Path) -> str:
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\nprintf '{told}'\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return str(program)


@pytest.mark.parametrize(("told", "free"), [("81000\\n4000\\n", 4000 << 20), ("[N/A]\\n", None), ("", None)])
def test_the_fullest_gpu_counts(
    told: str, free: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda program: driver(told, tmp_path))
    assert sharing.free_bytes() == free


def test_no_more_lines_than_fit_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    needs = request.gpu_bytes(plan(FAST, 7).segments[f"{0:016x}"], 0)
    monkeypatch.setattr(sharing, "free_bytes", lambda: int(3.5 * (sharing.CONTEXT + needs)))
    assert shared() == 3
    monkeypatch.setattr(sharing, "free_bytes", lambda: 1000)
    assert shared() == 1


def test_until_the_models_are_fetched_a_gpu_has_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SONGREEL_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(sharing, "free_bytes", lambda: 80 << 30)
    assert shared(SLOW, iterations=100) == 1
