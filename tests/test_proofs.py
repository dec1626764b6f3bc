"""A bit that flips in converted weights, which changes no time, is seen before anything is made of them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from songreel.ground.documents import ModelEntry
from songreel.ground.errors import DamageError, UserError
from songreel.ground.files import set_aside
from songreel.ground.paths import Paths
from songreel.jobs.render import weights_of
from songreel.models import digests, obtain, proofs, weights
from songreel.models.weights import Weights
from songreel.planning import plan
from songreel.planning.config import resolve
from songreel.upkeep.damage import find
from tests import published


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SONGREEL_WEIGHTS", str(tmp_path / "cache"))
    return tmp_path / "cache"


def flip(path: Path, where: float = 0.9) -> None:
    """Change one bit, as a disk does: no time, no size, no inode changes."""
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(int(before.st_size * where))
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CLIP of the user's own."""
    return published.write_clip("ViT-B/32", tmp_path_factory.mktemp("own") / "clip.pt")


@pytest.fixture
def model(archive: Path, cache: Path) -> Weights:
    """The same, converted."""
    return obtain.perceptor(str(archive))


def used(model: Weights) -> Weights:
    """As a job has it, once it may keep what it made with it."""
    found = weights_of(ModelEntry(model.name, model.sha256), weights.perceptor)
    with proofs.reading([found]) as proof:
        proof.settle()
    return found


@pytest.mark.parametrize("part", ["tensors", "architecture"])
def test_a_flipped_bit_is_seen_by_the_job_and_mended_by_the_next_run(part: str, model: Weights) -> None:
    whole = model.tensors.read_bytes(), model.architecture.read_bytes()
    assert used(model) == model
    flip(getattr(model, part))
    with pytest.raises(
        DamageError, match=r"other weights of .*clip.pt' or another .*yaml than were converted"
    ) as told:
        used(model)
    set_aside(told.value.path)  # as the command line does
    obtain.perceptor(model.name)
    assert (model.tensors.read_bytes(), model.architecture.read_bytes()) == whole
    assert used(model) == model


def test_fetching_mends_what_has_flipped_and_says_so(model: Weights, messages: list[str]) -> None:
    whole = model.tensors.read_bytes()
    flip(model.tensors)
    obtain.perceptor(model.name)
    assert "other weights" in messages[0] and "converted again" in messages[0]
    assert model.tensors.read_bytes() == whole


def test_a_checkpoint_that_has_flipped_is_not_converted(tmp_path: Path) -> None:
    own = published.write_vqgan("coco", tmp_path / "mine.ckpt")
    weights.vqgan(str(own))  # a plan, which hashes it
    flip(own, 0.5)
    with pytest.raises(UserError, match=r"mine\.ckpt: found sha256 .* damaged on its disk"):
        obtain.vqgan(str(own))


def planned(folder: Path, name: str) -> plan.Plan:
    (folder / "song.csv").write_text('"a red boat",0\n')
    keys = {"screenplay": str(folder / "song.csv"), "audio": "none", "perceptors": [name]}
    return plan.make(resolve(keys), Paths(folder / "results"))


def test_a_plan_hashes_what_was_touched_and_nothing_else(
    model: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, paths = planned(tmp_path, model.name), Paths(tmp_path / "results")
    with monkeypatch.context() as patch:
        patch.setattr("songreel.models.digests.digest", None)
        assert list(find(made, paths)) == []
    os.utime(model.tensors)
    assert list(find(made, paths)) == []
    with monkeypatch.context() as patch:
        patch.setattr("songreel.models.digests.digest", None)
        assert list(find(made, paths)) == []
    flip(model.tensors)
    os.utime(model.tensors)
    assert [fault.path for fault in find(made, paths)] == [model.tensors]


def test_weights_without_a_note_are_converted_again(model: Weights) -> None:
    digests.record(model.tensors).unlink()
    assert [fault.path for fault in proofs.find([model])] == [model.tensors]
    with pytest.raises(DamageError, match="no note of what it hashed to"):
        used(model)
    obtain.perceptor(model.name)
    assert proofs.fault(model) is None


NOTES = [
    "",
    "{}",
    "[]",
    '{"size": 1}',
    '{"sha256": 3}',
    '{"sha256": null}',
    '{"sha256": "abc"}',
    "[" * 100_000,
]


@pytest.mark.parametrize("text", [*NOTES, "a missing key"])
def test_a_note_that_says_nothing_is_no_traceback(text: str, archive: Path) -> None:
    first = weights.perceptor(str(archive))
    record = weights.record_of_own(archive)
    if text == "a missing key":
        note = json.loads(record.read_text())
        text = json.dumps({key: note[key] for key in ("size", "mtime_ns")})
    record.write_text(text)
    assert weights.perceptor(str(archive)) == first
    assert json.loads(record.read_text())["sha256"]


def test_a_cache_of_others_without_notes_is_used_as_it_is(
    model: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests.record(model.tensors).unlink()
    monkeypatch.setattr(os, "access", lambda *_: False)  # file modes do not bind root
    assert used(model) == model


def test_damage_explains_why_loading_failed(model: Weights) -> None:
    flip(model.tensors)
    with pytest.raises(DamageError, match="other weights of"), proofs.reading([model]):
        raise UserError("the tensors do not fit")
    obtain.perceptor(model.name)
    with pytest.raises(UserError, match="do not fit"), proofs.reading([model]):
        raise UserError("the tensors do not fit")
