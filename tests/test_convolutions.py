"""What packed convolutions promise: PyTorch's own, there and back, in fewer steps."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from songreel.costs import roofline
from songreel.kernels import convolutions
from songreel.models import perceptor

pytestmark = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(),  # type: ignore[no-untyped-call]
    reason="PyTorch was built without oneDNN here: convolutions stay as they are",
)

TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2e-2}
TINY_RESNET = {
    "embed_dim": 16,
    "image_resolution": 32,
    "vision_layers": [1, 2, 1, 1],
    "vision_width": 8,
    "vision_patch_size": None,
    "context_length": 8,
    "vocab_size": 49408,
    "transformer_width": 16,
    "transformer_heads": 1,
    "transformer_layers": 1,
}


def both_ways(network: nn.Module, pictures: Tensor) -> tuple[Tensor, Tensor]:
    pictures = pictures.clone(memory_format=torch.preserve_format).requires_grad_()
    out = network(pictures)
    (gradient,) = torch.autograd.grad(out.float().square().sum(), pictures)
    return out.detach(), gradient


def assert_the_same(ours: tuple[Tensor, Tensor], published: tuple[Tensor, Tensor], tolerance: float) -> None:
    for found, expected in zip(ours, published, strict=True):
        assert found.dtype == expected.dtype
        torch.testing.assert_close(found, expected, rtol=0, atol=tolerance * float(expected.abs().max()))


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("side", "padding"), [(1, 0), (3, 1), (3, 0), (5, (1, 2))])
@pytest.mark.parametrize("rectified", [False, True])
def test_it_is_the_convolution_and_its_gradient(
    dtype: torch.dtype,
    memory_format: torch.memory_format,
    side: int,
    padding: Any,
    rectified: bool,
) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(6, 10, side, padding=padding).to(dtype).requires_grad_(False)
    packed = convolutions.Packed(conv, rectified)
    plain = nn.Sequential(conv, nn.ReLU()) if rectified else conv
    for shape in ((2, 6, 9, 7), (5, 6, 4, 12)):  # it is laid out for the first, and must do for others
        pictures = torch.randn(shape).to(dtype).contiguous(memory_format=memory_format)
        found, expected = both_ways(packed, pictures), both_ways(plain, pictures)
        assert_the_same(found, expected, TOLERANCE[dtype])
        assert found[0].is_contiguous(memory_format=memory_format)


def test_without_a_gradient_nothing_is_kept_for_one() -> None:
    packed = convolutions.Packed(nn.Conv2d(3, 4, 3).requires_grad_(False))
    with torch.no_grad():
        assert packed(torch.rand(1, 3, 8, 8)).grad_fn is None


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_a_packed_tower_sees_what_the_published_one_does(dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    published = perceptor.build(TINY_RESNET).visual.eval().requires_grad_(False).to(dtype)
    packed = copy.deepcopy(published)
    convolutions.pack(packed)
    kinds = [type(module) for module in packed.modules()]
    assert kinds.count(nn.Conv2d) == 1  # the first one, of stride 2
    assert kinds.count(nn.ReLU) == 1 + 1 + 5  # after that, after the stem, and after each block's sum
    pictures = torch.rand(3, 3, 32, 32).to(dtype)
    assert_the_same(both_ways(packed, pictures), both_ways(published, pictures), 4 * TOLERANCE[dtype])


@pytest.mark.parametrize(
    "options",
    [{"stride": 2}, {"groups": 2}, {"dilation": 2}, {"padding": "same"}, {"padding_mode": "reflect"}],
)
def test_what_cannot_be_packed_stays(options: dict[str, Any]) -> None:
    network = nn.Sequential(nn.Conv2d(4, 4, 3, **options))
    convolutions.pack(network)
    assert type(network[0]) is nn.Conv2d


def test_its_work_is_counted() -> None:
    conv = nn.Conv2d(16, 32, 3, padding=1).requires_grad_(False)
    pictures = torch.rand(2, 16, 8, 8, requires_grad=True)

    def flop(network: nn.Module) -> int:
        return roofline.count(lambda: torch.autograd.grad(network(pictures.square()).sum(), pictures)).flop

    assert flop(convolutions.Packed(conv)) == flop(conv) == 2 * 2 * (2 * 32 * 8 * 8) * (16 * 9)
