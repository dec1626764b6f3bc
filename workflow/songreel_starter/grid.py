"""The grid that a picture maker leaves: steps between neighbouring pixels at the borders of its squares."""

from __future__ import annotations

import torch
from torch import Tensor

PATCH = 4  # squares along a side of what is compared as one
LEAST = 1 / 255  # a step that can be seen


def profiles(pictures: Tensor, period: int) -> Tensor:
    """The mean absolute step float [n, period] into each column and row of squares of so many pixels.

    Of pictures [n, c, h, w] in any unit, over both directions and all channels. The first is the step across
    a square's border. Pictures that know no squares have about the same in all of them.
    """
    ways = []
    for dim in (2, 3):
        steps = pictures.diff(dim=dim).abs().mean((1, 5 - dim))  # [n, side - 1]; step k leads into k + 1
        phases = [steps[:, (phase - 1) % period :: period].mean(1) for phase in range(period)]
        ways.append(torch.stack(phases, 1))
    return torch.stack(ways).mean(0)


def ratio(steps: Tensor) -> float:
    """How many times as large the steps across the squares' borders are as the mean of those elsewhere.

    Of profiles [n, period]; 1 is no grid.
    """
    mean = steps.mean(0)
    return float(mean[0] / mean[1:].mean())


def unevenness(pictures: Tensor, period: int) -> Tensor:
    """How far the steps' profile of all pictures is from a flat one, as a share of its mean: float []."""
    steps = profiles(pictures, period).mean(0)
    return (steps / steps.mean().clamp(min=1e-6) - 1).abs().mean()


def mismatch(drawn: Tensor, wanted: Tensor, period: int) -> Tensor:
    """How far the profiles of pictures [n, c, h, w] are from those of others, patch by patch: float [].

    As a share of each patch's mean step: in a smooth sky small steps count as much as large ones do in a
    drawing, and steps that are missing, since the picture is blurred, as much as those that are too many.
    """
    ours, theirs = (profiles(_patches(it, PATCH * period), period) for it in (drawn, wanted))
    return ((ours - theirs).abs().mean(1) / (theirs.mean(1) + LEAST)).mean()


def _patches(pictures: Tensor, side: int) -> Tensor:
    """Squares [m, c, side, side] of pictures [n, c, h, w], without what is left over at two sides."""
    cut = pictures.unfold(2, side, side).unfold(3, side, side)  # [n, c, rows, columns, side, side]
    return cut.permute(0, 2, 3, 1, 4, 5).flatten(0, 2)
