"""Short rounds of the crash test; `make soak` plays many, and docs/reliability.md tells what for."""

from pathlib import Path

import pytest

from tests import soak


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> soak.Undisturbed:
    return soak.undisturbed(tmp_path_factory.mktemp("soak") / "undisturbed")


@pytest.mark.parametrize("seed", [170])
def test_a_film_survives_the_death_of_any_process(
    seed: int, undisturbed: soak.Undisturbed, tmp_path: Path
) -> None:
    played = soak.Round(seed, undisturbed, tmp_path / "round").play()
    assert not played.wrong
    assert played.identical
    assert played.kills
    assert played.lost == 0


def test_a_seed_repeats_its_kills() -> None:
    assert soak.drawn(7) == soak.drawn(7) != soak.drawn(8)
