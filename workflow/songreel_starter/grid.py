"""The grid that a picture maker leaves: steps between neighbouring pixels at the borders of its squares."""

from __future__ import annotations

import torch
from torch import Tensor


def profile(pictures: Tensor, period: int) -> Tensor:
    """The mean absolute step float [period] into each column and row of squares of so many pixels.

    Of pictures [n, c, h, w] in any unit, over both directions and all channels. The first is the step across
    a square's border. Pictures that know no squares have the same in all of them.
    """
    phases = []
    for dim in (2, 3):
        steps = pictures.diff(dim=dim).abs().mean((0, 1, 5 - dim))  # [side - 1]; step k leads into k + 1
        phases.append(torch.stack([steps[(phase - 1) % period :: period].mean() for phase in range(period)]))
    return torch.stack(phases).mean(0)


def ratio(steps: Tensor) -> float:
    """How many times as large the steps across the squares' borders are as the mean of those elsewhere.

    Of a profile [period]; 1 is no grid.
    """
    return float(steps[0] / steps[1:].mean())


def unevenness(pictures: Tensor, period: int) -> Tensor:
    """How far the steps' profile is from a flat one, as a share of its mean: float []."""
    steps = profile(pictures, period)
    return (steps / steps.mean().clamp(min=1e-6) - 1).abs().mean()
