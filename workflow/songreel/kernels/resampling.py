"""Sampling a picture between its pixels, with a gradient that is the same each time on a GPU too.

There the gradients of all samples are added to the pixels in whatever order they arrive, and a sum of floats
depends on its order: the same seed would give another film. Whole numbers add up to the same in any order.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

# Whole numbers for the largest gradient; 2^22 such samples fit a pixel's 63 bits
FINENESS = 2.0**40
SMALLEST = 2.0**-80  # gradient for which that is so: the scale must fit a float


def sample(picture: Tensor, grid: Tensor) -> Tensor:
    """Samples [1, c, n, m] of a picture [1, c, h, w] at places [1, n, m, x and y] in -1..1.

    As `F.grid_sample` without aligned corners, when no place is nearer to the edge than half a pixel. Only
    the picture gets a gradient.
    """
    if picture.device.type == "cuda":
        sampled: Tensor = _SameEachTime.apply(picture, grid)
        return sampled
    return F.grid_sample(picture, grid, align_corners=False)


class _SameEachTime(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, picture: Tensor, grid: Tensor) -> Tensor:
        ctx.save_for_backward(grid)
        ctx.shape = picture.shape
        return F.grid_sample(picture, grid, align_corners=False)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (grid,) = ctx.saved_tensors
        (gradient,) = gradients
        return scatter(gradient, grid, ctx.shape), None


def scatter(gradient: Tensor, grid: Tensor, shape: torch.Size) -> Tensor:
    """The gradient [1, c, h, w] of a picture of that shape, from that of its samples [1, c, n, m]."""
    _, channels, height, width = shape
    pixels, shares = _corners(grid.view(-1, 2), height, width)  # [4, samples]
    scale = FINENESS / gradient.abs().amax().float().clamp(min=SMALLEST)
    given = gradient.reshape(channels, 1, -1) * scale
    whole = (given * shares).long().view(channels, -1)  # [c, 4 * samples]
    total = torch.zeros(channels, height * width, dtype=torch.long, device=grid.device)
    total.scatter_add_(1, pixels.view(1, -1).expand(channels, -1), whole)
    return (total / scale).to(gradient.dtype).view(shape)


def _corners(places: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """The four pixels [4, samples] that surround each place, and their shares in its sample."""
    columns, right = _neighbours(places[:, 0], width)
    rows, low = _neighbours(places[:, 1], height)
    pixels = [row * width + column for row in rows for column in columns]
    shares = [down * across for down in (1 - low, low) for across in (1 - right, right)]
    return torch.stack(pixels), torch.stack(shares)


def _neighbours(place: Tensor, length: int) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """The pixels before and after places -1..1 on a line of so many, and the share of the one after."""
    at = ((place + 1) * (length / 2) - 0.5).clamp(0, length - 1)
    before = at.floor()
    first = before.long()
    return (first, (first + 1).clamp(max=length - 1)), at - before
