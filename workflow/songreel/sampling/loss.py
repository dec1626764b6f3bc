"""What pulls a picture towards words, and how the pull passes what has no gradient of its own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def spherical_distance(x: Tensor, y: Tensor) -> Tensor:
    """Half the squared great-circle distance between unit vectors [..., d], as [...] (Crowson, 2021)."""
    chord: Tensor = torch.linalg.vector_norm(x - y, dim=-1)
    return chord.div(2).arcsin().square().mul(2)


def straight_through(latents: Tensor, quantised: Tensor) -> Tensor:
    """The quantised values forwards, the identity backwards (van den Oord et al., 2017)."""
    return latents + (quantised - latents).detach()


class _ClampInwards(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, low: float, high: float) -> Tensor:
        clamped = x.clamp(low, high)
        ctx.save_for_backward(x - clamped)
        return clamped

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (overshoot,) = ctx.saved_tensors
        (gradient,) = gradients
        return gradient * (gradient * overshoot >= 0), None, None


def clamp_inwards(x: Tensor, low: float, high: float) -> Tensor:
    """Clamp, with a gradient that can pull values back inside but never push them further out."""
    clamped: Tensor = _ClampInwards.apply(x, low, high)
    return clamped
