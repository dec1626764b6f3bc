"""A VQGAN is found under the names that trainers give its tensors, once or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from songreel.ground.errors import UserError
from songreel.models import checkpoints as reading
from songreel.models import naming, obtain
from tests import checkpoints, published


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SONGREEL_WEIGHTS", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def full() -> Mapping[str, Tensor]:
    """All tensors of a network."""
    return published.vqgan_state(published.VQGANS["coco"])


@pytest.fixture(scope="module")
def state() -> Mapping[str, Tensor]:
    """A few of them."""
    return checkpoints.vqgan_state()


def selected(folder: Path, found: object, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What of a checkpoint is taken for a VQGAN with the names of the expected one."""
    torch.save(found, folder / "mine.ckpt")
    return naming.first_stage(reading.tensors(folder / "mine.ckpt"), expected)


def converted(folder: Path, found: object) -> dict[str, Tensor]:
    """What a checkpoint of these tensors is converted to."""
    own = published.write_vqgan("coco", folder / "mine.ckpt")
    torch.save(found, own)
    return load_file(obtain.vqgan(str(own)).tensors)


def same(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> bool:
    return found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in found)


def other(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Other weights of the same network, under a prefix."""
    return {f"{prefix}{name}": tensor + 1 for name, tensor in state.items()}


PREFIXES = ["module.", "model.", "_orig_mod.", "ema.", "model_ema.", "module.vqgan.", "first_stage_model."]
PREFIXES += ["module.first_stage_model."]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_what_stands_before_every_name_is_passed_over(
    prefix: str, state: Mapping[str, Tensor], tmp_path: Path
) -> None:
    found = {f"{prefix}{name}": tensor for name, tensor in {**state, **checkpoints.losses()}.items()}
    assert same(selected(tmp_path, {"state_dict": found}, state), state)


@pytest.mark.parametrize("key", ["model", "ema", "generator"])
def test_a_state_dict_under_any_key_is_found(key: str, state: Mapping[str, Tensor], tmp_path: Path) -> None:
    found = {"step": 7, key: dict(state), "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}}}
    assert same(selected(tmp_path, found, state), state)


def test_averages_whose_names_have_lost_their_dots_are_read(
    state: Mapping[str, Tensor], tmp_path: Path
) -> None:
    found = {f"model_ema.{name.replace('.', '')}": tensor for name, tensor in state.items()}
    found |= {"model_ema.decay": torch.tensor(0.99), "model_ema.num_updates": torch.tensor(3)}
    assert same(selected(tmp_path, found, state), state)


@pytest.mark.parametrize("averages", ["ema.", "model_ema.", "module."])
def test_beside_plain_names_averages_are_left_alone(
    averages: str, state: Mapping[str, Tensor], tmp_path: Path
) -> None:
    found = {"state_dict": {**other(state, averages), **state}}
    assert same(selected(tmp_path, found, state), state)


def test_which_of_two_is_meant_is_not_guessed(state: Mapping[str, Tensor], tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"mine\.ckpt: found the model 2 times, under ema\. and model\."
    ) as told:
        converted(tmp_path, {"model": dict(state), "ema": other(state, "")})
    assert str(told.value).endswith("save the weights that are meant alone.")


def test_a_codebook_that_was_averaged_in_training_sheds_what_that_took(
    state: Mapping[str, Tensor], tmp_path: Path
) -> None:
    averaging = {name: torch.ones(3) for name in naming.AVERAGING}
    assert same(selected(tmp_path, {**state, **averaging}, state), state)


def test_a_wrapped_checkpoint_is_converted_to_its_tensors(full: Mapping[str, Tensor], tmp_path: Path) -> None:
    found = {f"model_ema.{name.replace('.', '')}": tensor for name, tensor in full.items()}
    assert same(converted(tmp_path, found), full)


MISFITS = {
    "shape": ({"decoder.conv_out.bias": torch.zeros(4)}, r"conv_out\.bias of shape \[4\], expected \[3\]"),
    "kind": ({"decoder.conv_out.bias": torch.zeros(3, dtype=torch.int8)}, "conv_out.bias as int8"),
    "number": ({"decoder.conv_out.bias": torch.tensor([0, float("inf"), 0])}, "numbers that are not finite"),
    "scalar": ({"quantize.embedding.weight": torch.tensor(1.0)}, r"weight of shape \[\], expected"),
}


@pytest.mark.parametrize("what", MISFITS)
def test_a_tensor_that_the_yaml_tells_otherwise_is_named(
    what: str, full: Mapping[str, Tensor], tmp_path: Path
) -> None:
    over, named = MISFITS[what]
    with pytest.raises(UserError, match=named):
        converted(tmp_path, {**full, **over})
    assert not list((tmp_path / "cache").glob("converted/*"))
