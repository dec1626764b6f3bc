"""What a run will render is said before it is rendered, and so is what it costs."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from songreel.cli import main
from songreel.costs import forecast, history
from songreel.ground.paths import Paths
from songreel.jobs import latents
from songreel.planning import plan
from songreel.planning.config import resolve
from songreel.planning.plan import Plan
from tests.conftest import Project

LINES = [("red boat", 0), ("green hill", 4), ("red boat", 8), ("blue sky", 12)]


def _planned(paths: Paths, lines: Sequence[tuple[str, float]] = LINES, **settings: Any) -> Plan:
    screenplay = paths.root / "song.csv"
    screenplay.parent.mkdir(parents=True, exist_ok=True)
    screenplay.write_text("".join(f'"{text}",{start}\n' for text, start in lines), encoding="utf-8")
    return plan.make(resolve({"screenplay": str(screenplay), "audio": "none", **settings}), paths)


def _render(made: Plan, paths: Paths) -> None:
    """Leave the files that a run would leave; only their names count here."""
    clips = [paths.clip(clip) for clip in made.clips]
    for file in [*(paths.latents(*need) for need in made.needs.items()), *clips]:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def _states(made: Plan, paths: Paths) -> list[str]:
    return [row.state for row in forecast.make(made, paths, 0).rows]


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path / "results")


def test_a_new_film_is_rendered_whole(paths: Paths) -> None:
    made = _planned(paths)
    told = forecast.make(made, paths, 0)
    assert [row.state for row in told.rows] == ["render 30"] * 4
    assert (told.keyframes, told.iterations) == (120, 120 * 7 + 4 * 300)


def test_what_is_rendered_costs_nothing(paths: Paths) -> None:
    made = _planned(paths)
    _render(made, paths)
    told = forecast.make(made, paths, 2.5)
    assert [row.state for row in told.rows] == ["cached"] * 4
    assert (told.keyframes, told.iterations, told.seconds, told.cost) == (0, 0, 0, 0)


def test_an_edited_line_is_rendered_and_the_next_one_drawn(paths: Paths) -> None:
    _render(_planned(paths), paths)
    edited = [LINES[0], ("a green hill", 4), *LINES[2:]]
    assert _states(_planned(paths, edited), paths) == ["cached", "render 30", "draw", "cached"]


def test_a_longer_line_is_extended_by_what_it_lacks(paths: Paths) -> None:
    _render(_planned(paths), paths)
    later = [*LINES[:2], ("red boat", 9), ("blue sky", 13)]
    told = forecast.make(_planned(paths, later), paths, 0)
    assert [row.state for row in told.rows] == ["cached", "extend by 5", "draw", "cached"]
    assert told.iterations == 5 * 7  # no second lead-in


def test_a_line_that_is_used_twice_is_counted_once(paths: Paths) -> None:
    told = forecast.make(_planned(paths, repeats="reuse"), paths, 0)
    assert [row.keyframes for row in told.rows] == [30, 30, 0, 30]


def test_time_and_cost_come_from_what_was_measured_here(paths: Paths) -> None:
    made = _planned(paths)
    recipe, clip = next(iter(made.segments.values())), next(iter(made.clips.values()))
    told = forecast.make(made, paths, 3.6)
    assert told.seconds is None and told.cost is None
    for seconds in (10, 20, 90):
        history.remember(paths, history.optimising(recipe), 100, seconds)
    history.remember(paths, history.optimising(replace(recipe, size=(8, 8))), 100, 1)
    history.remember(paths, history.drawing(recipe, clip), 50, 1)
    told = forecast.make(made, paths, 3.6)
    assert told.seconds == pytest.approx(told.iterations * 0.2 + 16 * 30 / 50)
    assert told.cost == pytest.approx((told.iterations * 0.2 + 16 * 30 / 50) / 1000)
    assert "about 3 min 29 s with 2 at a time" in forecast.as_table(told, 2, 3.6)


def test_a_history_that_was_cut_short_is_read_as_far_as_it_goes(paths: Paths) -> None:
    work = {"kind": "iterations"}
    history.remember(paths, work, 10, 5)
    (file,) = (paths.root / "history").iterdir()
    file.write_text(file.read_text(encoding="utf-8") + '{"work": {"kind"', encoding="utf-8")
    assert history.seconds_per_unit(history.recall(paths), work) == 0.5
    assert history.seconds_per_unit(history.recall(paths), {"kind": "frames"}) is None


WORK = {"kind": "iterations"}
ODD_ROWS = [
    *(
        "null",
        "true",
        "0",
        "[]",
        '""',
        "{}",
        "NaN",
        "-Infinity",
        "[" * 9999,
        '{"a":' * 9999,
        "9" * 9999,
        "\0" * 99,
    ),
    *(
        '{{"work": {{"kind": "iterations"}}, "units": {}, "seconds": {}}}'.format(*pair)
        for pair in [
            *((units, 1) for units in (0, -1, "null", '"9"', "[9]", "{}", "1e400", "NaN", "true", "9" * 400)),
            *((1, seconds) for seconds in (-1, "null", '"9"', "[9]", "{}", "1e400", "-1e400", "NaN", "true")),
            *((1, seconds) for seconds in ("1e300", "9" * 400)),
            (-1, -1),
        ]
    ),
    '{"units": 1, "seconds": 1}',
    '{"work": 7, "units": 1, "seconds": 1}',
    '{"work": {"kind": "iterations"}, "seconds": 1}',
    '{"work": {"kind": "iterations"}, "units": 1}',
]


def test_rows_of_the_history_that_cannot_be_are_passed_over(paths: Paths) -> None:
    history.remember(paths, WORK, 10, 5)
    (file,) = (paths.root / "history").iterdir()
    true = file.read_text(encoding="utf-8")
    for row in ODD_ROWS:
        file.write_text(f"{row}\n", encoding="utf-8")
        assert history.recall(paths) == [], row
        assert history.here(paths).slowest(WORK) is None
    file.write_text("\n".join(ODD_ROWS) + f"\n{true}", encoding="utf-8")
    assert [history.seconds_per_unit(history.recall(paths), WORK)] == [0.5]


@pytest.mark.parametrize("put", [Path.mkdir, os.mkfifo, lambda file: file.symlink_to("nowhere/x")])
def test_what_stands_in_the_historys_place_is_no_history(put: Callable[[Path], object], paths: Paths) -> None:
    history.remember(paths, WORK, 10, 5)
    (file,) = (paths.root / "history").iterdir()
    file.unlink()
    put(file)
    history.remember(paths, WORK, 10, 5)
    assert history.recall(paths) == []


@pytest.mark.parametrize(
    "option", ["--jobs=0", "--jobs=-2", "--jobs=x", "--price=-1", "--price=nan", "--price=inf"]
)
def test_no_forecast_is_below_zero(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["plan", option])
    assert "expected a" in capsys.readouterr().err


def test_the_plan_command_tells_what_snakemake_then_runs(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project.write([("a red boat", 0), ("a blue sky", 1)])
    monkeypatch.chdir(project.folder)
    assert main(["plan", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [row["state"] for row in told["rows"]] == ["render 5"] * 2
    assert not project.results.root.exists()
    assert project.rendered() == {"keyframes": 2, "clip": 2, "film": 1}
    assert main(["plan", "--config", "seed=7", "iterations=3"]) == 0
    table = capsys.readouterr().out
    assert "10 keyframes, 32 iterations to do: about" in table  # this machine's speed is known by now
    assert main(["plan"]) == 0
    assert capsys.readouterr().out.count("cached") == 2


def test_the_plan_command_refuses_what_snakemake_refuses(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project.write([("a red boat", 0), ("a blue sky", 1)])
    monkeypatch.chdir(project.folder)
    assert main(["plan", "--config", "iteratoins=3"]) == 1
    assert capsys.readouterr().err.count("'iterations'") == 1


def test_what_an_interrupted_job_has_kept_is_not_counted_again(paths: Paths) -> None:
    made = _planned(paths)
    (segment, need), *_ = made.needs.items()
    kept = paths.work(segment) / "3/kept.zarr.zip"
    kept.parent.mkdir(parents=True)
    state = latents.empty(np.zeros((1, 2, 2), np.float32))
    for _ in range(10):
        state = state.extended(np.zeros((2, 2)), 0, state.latent)
    with kept.open("wb") as file:
        latents.write(file, state, made.segments[segment])
    told = forecast.make(made, paths, 0)
    assert [row.state for row in told.rows] == [f"extend by {need - 10}", *["render 30"] * 3]
    assert told.rows[0].iterations == (need - 10) * 7
    kept.write_bytes(b"")
    assert _states(made, paths) == ["render 30"] * 4
