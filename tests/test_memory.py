"""The memory that is told before the first iteration is what the networks keep."""

from __future__ import annotations

import re
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from songreel.ground.errors import UserError
from songreel.kernels import devices
from songreel.models import weights
from songreel.models.perceptor import Perceptor, build
from songreel.models.vqgan import VQGAN, ready
from songreel.sampling import memory
from tests.plans import recipe

META = torch.device("meta")  # runs the networks on shapes alone


def taming(
    ch: int, ch_mult: list[int], attention: list[int], blocks: int = 2, z: int = 256
) -> dict[str, Any]:
    ddconfig = {
        "double_z": False,
        "z_channels": z,
        "resolution": 256,
        "in_channels": 3,
        "out_ch": 3,
        "ch": ch,
        "ch_mult": ch_mult,
        "num_res_blocks": blocks,
        "attn_resolutions": attention,
        "dropout": 0.0,
    }
    return {"ddconfig": ddconfig, "n_embed": 1024, "embed_dim": z}


def clip(side: int, layers: Any, width: int, patch: int | None, embed: int = 512) -> dict[str, Any]:
    text = {"transformer_width": 512, "transformer_heads": 8, "transformer_layers": 12}
    vision = {"vision_layers": layers, "vision_width": width, "vision_patch_size": patch}
    return {
        "embed_dim": embed,
        "image_resolution": side,
        "context_length": 77,
        "vocab_size": 49408,
        **text,
        **vision,
    }


VQGANS = {
    "f16": taming(128, [1, 1, 2, 2, 4], [16]),
    "f8": taming(128, [1, 1, 2, 4], [32]),
    "small": taming(32, [1, 1, 2, 4], [], 1, 64),
}
PERCEPTORS = {
    "ViT-B/32": clip(224, 12, 768, 32),
    "ViT-B/16": clip(224, 12, 768, 16),
    "ViT-L/14": clip(224, 24, 1024, 14, 768),
    "ViT-L/14@336px": clip(336, 24, 1024, 14, 768),
    "RN50": clip(224, (3, 4, 6, 3), 64, None, 1024),
    "RN101": clip(224, (3, 4, 23, 3), 64, None),
    "RN50x4": clip(288, (4, 6, 10, 6), 80, None, 640),
    "small": clip(64, (1, 1, 1, 1), 24, None, 256),
    "ViT-bigG-14": clip(224, 6, 1664, 14, 1280)
    | {"vision_heads": 16, "vision_mlp": 8192, "vision_activation": "gelu"},
}


def kept(function: Callable[[Tensor], Tensor], given: Tensor, network: nn.Module) -> int:
    """The bytes that a network keeps for its backward pass, its weights aside."""
    network.requires_grad_(False)
    own = {tensor.untyped_storage()._cdata for tensor in (*network.parameters(), *network.buffers())}
    found: dict[int, torch.UntypedStorage] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            found[storage._cdata] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        function(given.requires_grad_())
    return sum(storage.nbytes() for storage in found.values())


PRECISIONS = pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])


@PRECISIONS
@pytest.mark.parametrize("size", [(256, 256), (512, 512), (384, 128)])
@pytest.mark.parametrize("name", VQGANS)
def test_the_decoder_keeps_what_is_told(name: str, size: tuple[int, int], dtype: torch.dtype) -> None:
    with META:
        maker = ready(VQGAN(**VQGANS[name]), META, dtype)
        grid = (side // maker.factor for side in reversed(size))
        measured = kept(maker.decode, torch.empty(1, maker.codebook.shape[1], *grid), maker)
    told = memory.decoder(VQGANS[name]["ddconfig"], size) * dtype.itemsize
    assert 0.9 < told / measured < 1.2


@PRECISIONS
def test_a_deblocking_keeps_what_is_told(dtype: torch.dtype) -> None:
    starter = weights.architecture(weights.VQGANS["starter"]) | {"deblock": 64}
    with META:
        maker = ready(VQGAN(**starter), META, dtype)
        squares = torch.empty(1, 256, 24, 16, dtype=dtype)
        measured = kept(maker.deblocking, squares, maker)
    told = memory.deblocking(starter, (16, 24)) * dtype.itemsize
    assert 0.9 < told / measured < 1.2


class Alive(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """How many bytes of tensors there are at most at a time, of those that were made since it was entered."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.most = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        for made in tree_leaves(result):
            if isinstance(made, Tensor) and all(made is not given for given in tree_leaves(args)):
                self._count(made.untyped_storage())
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        if not hasattr(storage, "counted"):
            storage.counted = True  # type: ignore[attr-defined]
            self.now += storage.nbytes()
            self.most = max(self.most, self.now)
            weakref.finalize(storage, self._gone, storage.nbytes())

    def _gone(self, size: int) -> None:
        self.now -= size


@pytest.mark.parametrize("size", [(256, 256), (512, 256)])
@pytest.mark.parametrize("name", VQGANS)
def test_an_encoder_has_at_a_time_what_is_told(name: str, size: tuple[int, int]) -> None:
    with META, torch.no_grad():
        maker, picture = VQGAN(**VQGANS[name]), torch.empty(1, 3, size[1], size[0])
        with Alive() as alive:
            maker.encode(picture)
    assert 1 <= memory.encoding(VQGANS[name], size) / alive.most < 1.6


def test_a_moving_picture_takes_more() -> None:
    job = VQGANS["f16"], [PERCEPTORS["ViT-B/32"]], 0, (256, 256), 8, 0, 2
    assert memory.needed(*job, moves=True) - memory.needed(*job) == pytest.approx(
        memory.encoding(VQGANS["f16"], (256, 256)) * memory.MARGIN, abs=2
    )


@PRECISIONS
@pytest.mark.parametrize("name", PERCEPTORS)
def test_a_perceptor_keeps_what_is_told(name: str, dtype: torch.dtype) -> None:
    with META:
        judge = Perceptor(build(PERCEPTORS[name]), META, dtype)
        measured = kept(judge.embed_images, torch.empty(4, 3, judge.side, judge.side), judge.clip) / 4
    told = memory.judge(PERCEPTORS[name], dtype.itemsize)
    assert 0.8 < told / measured < 1.25


def test_a_card_of_6_gb_takes_384x384_a_few_cutouts_at_a_time() -> None:
    """With weights of 1.2 GB: float32, as on cards without bfloat16."""
    f16, clips = VQGANS["f16"], [PERCEPTORS["ViT-B/32"]]
    needs = memory.needed(f16, clips, 1_200_000_000, (384, 384), 32, 4, 4)
    assert needs < 6 * memory.GB
    assert needs < memory.needed(f16, clips, 1_200_000_000, (384, 384), 32, 0, 4)


def test_what_does_not_fit_is_said_with_what_to_lower(monkeypatch: pytest.MonkeyPatch) -> None:
    models = weights.vqgan("starter"), [weights.perceptor("starter")]
    job = (*models, recipe(size=(512, 256), cutouts=32), 8, torch.device("cpu"), torch.float32)
    monkeypatch.setattr(devices, "free_bytes", lambda _: 1_500_000_000)
    memory.check(*job)
    monkeypatch.setattr(devices, "free_bytes", lambda _: 40_000_000)
    with pytest.raises(UserError) as told:
        memory.check(*job)
    assert re.fullmatch(
        r"config key 'size': 512x256 with 32 cutouts, 8 of them judged at a time, takes about 0\.2 GB of"
        r" memory, found 0\.0 GB free on the CPU; lower 'size', 'micro_batch' or 'cutouts'\.",
        str(told.value),
    )
