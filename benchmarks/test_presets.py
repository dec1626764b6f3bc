"""What the comparison of presets measures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import presets
from benchmarks.presets import Frames, Result
from songreel.planning.config import resolve, schema
from tests.conftest import REPOSITORY

STARTER = REPOSITORY / "models/starter"


def greys(levels: list[int]) -> Frames:
    return np.broadcast_to(np.array(levels, np.uint8)[:, None, None, None], (len(levels), 8, 8, 3)).copy()


def test_steady_motion_does_not_flicker_and_trembling_does() -> None:
    assert presets.flicker(greys([10, 20, 30, 40, 50])) == 0
    assert presets.flicker(greys([10, 20, 10, 20, 10])) == 20
    assert presets.flicker(greys([10, 10, 13, 10, 10])) == pytest.approx(np.sqrt((9 + 36 + 9) / 3))


def test_presets_are_compared_phrase_by_phrase() -> None:
    swift = [Result(0.31, 2.0, 9.0, 1.0), Result(0.41, 3.0, 9.0, 1.0)]
    reference = [Result(0.30, 4.0, 49.0, 1.0), Result(0.20, 6.0, 49.0, 1.0)]
    found = [
        dict(zip(("swift", "reference"), row, strict=True)) for row in zip(swift, reference, strict=True)
    ]
    row = presets.table(found, ["swift", "reference"]).splitlines()[1]
    assert "0.3600" in row and "+0.1100 ± 0.1000, 0.50 times, 0.200 of it" in row


def test_a_preset_is_rendered_with_settings_of_its_own_over_those_for_all(tmp_path: Path) -> None:
    tiny = {"size": "32x32", "cutouts": 2, "iterations": 2, "lead_in": 1, "frames_per_second": 6}
    made = presets.studio(STARTER, "swift,iterations=1,learning_rate=1", tiny)
    assert (made.film.iterations, made.film.lead_in, made.film.preset) == (1, 1, "swift")
    judge = presets.load_judge(STARTER, None)
    found = presets.rendered(made, judge, "a red rose", 0.5)
    assert -1 < found.score < 1
    assert found.flicker > 0
    assert found.optimising_seconds > 0 and found.drawing_seconds > 0


def test_swift_takes_less_than_a_third_of_the_references_iterations() -> None:
    """Of a line of a second and of one of a minute, and as many frames are drawn."""
    swift, reference = (resolve({"preset": name}) for name in ("swift", "reference"))
    for seconds in (1, 60):
        mine, other = (
            it.lead_in + seconds * it.keyframes_per_second * it.iterations for it in (swift, reference)
        )
        assert mine < other / 3
    same = set(schema()["presets"]["swift"]) - {
        "keyframes_per_second",
        "iterations",
        "lead_in",
        "learning_rate",
    }
    assert all(getattr(swift, key, 0) == getattr(reference, key, 0) for key in same)
