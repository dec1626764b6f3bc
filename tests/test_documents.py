"""What plan files say is read as it was written, or refused in a sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from songreel.ground.documents import PerceptorEntry, SegmentRecipe, Shown, Sound, Timeline
from songreel.ground.errors import UserError
from songreel.ground.files import identity, write_json_if_changed
from songreel.ground.written import Written
from tests.plans import CLIP, RECIPE, clip, recipe, timeline

OTHERS = (PerceptorEntry("ViT-B/32", "c" * 64, 0.5, "a red"), PerceptorEntry("RN50", "d" * 64, words=""))
SONG = Sound("song.wav", "e" * 64)
DOCUMENTS: list[Written] = [
    RECIPE,
    replace(RECIPE, perceptors=(*RECIPE.perceptors, *OTHERS)),
    recipe(start="f" * 64, hold=0.3),
    CLIP,
    clip(7, "30000/1001", before=Shown("a", 2), blend_frames=3, interpolation="motion"),
    timeline([]),
    timeline([3, 4], "100/3", audio=SONG),
    timeline([3, 4], audio=Sound("other.mka", "e" * 64, track=2, late=True, mix="pan=stereo|FL=FC")),
]

Forge = Callable[[dict[str, Any]], object]


def save(folder: Path, document: Any) -> Path:
    path = folder / f"{identity(document)}.json"
    write_json_if_changed(path, document)
    return path


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_document_is_read_as_it_was_written(document: Written, tmp_path: Path) -> None:
    assert type(document).read(save(tmp_path, document.to_json())) == document


@pytest.mark.parametrize("document", DOCUMENTS)
def test_its_keys_are_in_order(document: Written) -> None:
    """Latents hold a recipe as it is told, so another order would be other bytes."""
    told = document.to_json()
    assert json.dumps(told) == json.dumps(told, sort_keys=True)


def test_what_is_as_usual_is_not_written() -> None:
    (usual,) = RECIPE.perceptors
    assert usual.to_json() == {"name": usual.name, "sha256": usual.sha256}
    assert [sorted(other.to_json())[2:] for other in OTHERS] == [["weight", "words"], ["words"]]
    assert SONG.to_json() == {"path": "song.wav", "sha256": "e" * 64}
    assert [RECIPE.words(entry) for entry in (usual, *OTHERS)] == [RECIPE.text, "a red", ""]


FORGERIES: dict[str, Forge] = {
    "a key is missing": lambda recipe: recipe.pop("take"),
    "a key is unknown": lambda recipe: recipe.update(time=3),
    "a key of a part is missing": lambda recipe: recipe["strategy"].pop("cutouts"),
    "a text is none": lambda recipe: recipe.update(text=7),
    "a number is true": lambda recipe: recipe.update(seed=True),
    "a part is none": lambda recipe: recipe.update(model=["starter"]),
    "a list is none": lambda recipe: recipe.update(perceptors={}),
    "a list is too long": lambda recipe: recipe["size"].append(1),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_what_another_version_wrote_is_refused_in_one_sentence(forgery: str, tmp_path: Path) -> None:
    told = RECIPE.to_json()
    FORGERIES[forgery](told)
    path = save(tmp_path, told)
    with pytest.raises(UserError) as error:
        SegmentRecipe.read(path)
    assert str(error.value).startswith(f"{path}: found a damaged plan, or one of another version (")
    assert str(error.value).endswith("); run snakemake, which writes it again.")


@pytest.mark.parametrize("rate", [None, [], "1/0", "fast", {}])
def test_a_rate_that_is_none_is_refused(rate: Any, tmp_path: Path) -> None:
    path = save(tmp_path, timeline([3]).to_json() | {"frames_per_second": rate})
    with pytest.raises(UserError, match="one of another version"):
        Timeline.read(path)


@pytest.mark.parametrize("value", [[], None, 3, replace(RECIPE, seed=1).to_json()])
def test_what_its_name_does_not_tell_is_refused(value: Any, tmp_path: Path) -> None:
    path = tmp_path / f"{RECIPE.id}.json"
    write_json_if_changed(path, value)
    with pytest.raises(UserError, match="found another plan than its name says"):
        SegmentRecipe.read(path)


@pytest.mark.parametrize(("data", "words"), [(None, "found no such file"), (b"{", "found a damaged file")])
def test_what_is_not_there_or_damaged_is_refused(data: bytes | None, words: str, tmp_path: Path) -> None:
    path = tmp_path / f"{RECIPE.id}.json"
    if data:
        path.write_bytes(data)
    with pytest.raises(UserError, match=words):
        SegmentRecipe.read(path)
