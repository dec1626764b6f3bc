"""Convolutions whose weights never change, for CPUs: laid out once, and the same kernel there and back.

PyTorch lays a convolution's weights out for oneDNN in every call, and once more for the gradient, which is a
third of the time where pictures are small. What a convolution of stride 1 does to a gradient is a convolution
again: of the kernel turned round, with inputs and outputs exchanged.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

RECTIFIED = {
    "conv1": "relu1",
    "conv2": "relu2",
}  # in CLIP's ResNets: a convolution and what comes right after
ONCE = (1, 1)  # stride and dilation


def pack(network: nn.Module) -> None:
    """Replace a frozen network's convolutions by packed ones, in CLIP's ResNets with their rectifiers.

    A convolution of another stride than 1, or in groups, stays as it is. So does all of it where PyTorch was
    built without oneDNN.
    """
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return
    for module in list(network.modules()):
        for name, conv in list(module.named_children()):
            if not isinstance(conv, nn.Conv2d) or not _fits(conv):
                continue
            rectifier = RECTIFIED.get(name, "")
            rectified = hasattr(module, rectifier)
            setattr(module, name, Packed(conv, rectified).eval())
            if rectified:
                setattr(module, rectifier, nn.Identity().eval())


def _fits(conv: nn.Conv2d) -> bool:
    plain = conv.padding_mode == "zeros" and isinstance(conv.padding, tuple)
    return plain and conv.groups == 1 and conv.stride == conv.dilation == ONCE


class Packed(nn.Module):
    """A convolution of stride 1, and a rectifier behind it if asked for. Only pictures get a gradient."""

    def __init__(self, conv: nn.Conv2d, rectified: bool = False) -> None:
        super().__init__()
        assert isinstance(conv.padding, tuple)
        back = tuple(side - 1 - rows for side, rows in zip(conv.kernel_size, conv.padding, strict=True))
        turned = conv.weight.flip(2, 3).transpose(0, 1)
        self.weight = conv.weight  # for who asks what the network is in
        self.there = _Kernel(conv.weight, conv.bias, conv.padding, "relu" if rectified else "none")
        self.back = _Kernel(turned, None, back, "none")
        self.rectified = rectified

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures [n, out, h, w] of pictures [n, in, h, w], in the memory format that they come in."""
        convolved: Tensor = _ThereAndBack.apply(pictures, self)
        return convolved


class _Kernel:
    """A kernel [out, in, h, w] as oneDNN wants it for the pictures that come first; others can follow."""

    def __init__(
        self, weight: Tensor, bias: Tensor | None, padding: tuple[int, ...], activation: str
    ) -> None:
        self.weight, self.bias, self.padding = weight.detach(), bias, padding
        self.activation = activation
        self.packed: Tensor | None = None

    def __call__(self, pictures: Tensor) -> Tensor:
        if self.packed is None:
            kernel = self.weight.contiguous().to_mkldnn()
            lay_out: Any = torch._C._nn.mkldnn_reorder_conv2d_weight  # its stub lacks the shape
            self.packed = lay_out(kernel, self.padding, ONCE, ONCE, 1, pictures.shape)
        convolved: Tensor = torch.ops.mkldnn._convolution_pointwise.default(
            pictures, self.packed, self.bias, self.padding, ONCE, ONCE, 1, self.activation, [], None
        )
        return convolved.contiguous() if pictures.is_contiguous() else convolved


class _ThereAndBack(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, pictures: Tensor, packed: Packed) -> Tensor:
        convolved = packed.there(pictures)
        ctx.packed = packed
        ctx.save_for_backward(convolved if packed.rectified else None)
        return convolved

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,) = gradients
        (rectified,) = ctx.saved_tensors
        if rectified is not None:
            gradient = torch.ops.aten.threshold_backward.default(gradient, rectified, 0)
        return ctx.packed.back(gradient), None
