"""What pulls a picture towards words, and how the pull passes what has no gradient of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


def spherical_distance(x: Tensor, y: Tensor) -> Tensor:
    """Half the squared great-circle distance between unit vectors [..., d], as [...] (Crowson, 2021)."""
    chord: Tensor = torch.linalg.vector_norm(x - y, dim=-1)
    return chord.div(2).arcsin().square().mul(2)


@dataclass(frozen=True)
class Weighing:
    """How strongly each of several targets pulls, and where it stops; tensors that stay where they are."""

    weights: Tensor  # float32 [n]; below 0 pushes away
    stops: Tensor  # float32 [n], signed spherical distances; -inf for those that never stop

    def judged(self, distances: Tensor) -> Tensor:
        """The pull [] of targets at spherical distances [cutouts, n], as in VQGAN+CLIP (Crowson, 2021).

        The weight's sign is the distance's, its size is a factor. Below its stop a signed distance keeps its
        value and has no gradient.
        """
        signed = distances * self.weights.sign()
        pulling = torch.maximum(signed, self.stops)
        return (straight_through(pulling, signed).mean(0) * self.weights.abs()).sum()


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
