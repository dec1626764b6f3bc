"""How pictures of a film move: measured, not taken from what drew them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from songreel.kernels.colour import LUMA

Frame = NDArray[np.uint8]  # [height, width, 3]


@dataclass(frozen=True)
class Measured:
    """How a frame's points have moved in the next one."""

    scale: float
    degrees: float  # against the clock
    right: float  # pixels
    down: float  # pixels


def measured(before: Frame, after: Frame, steps: int = 40) -> Measured:
    """By least squares over the inner part of both, blurred: which affine map takes one to the other."""
    first, second = (_blurred(frame) for frame in (before, after))
    height, width = first.shape
    ys, xs = torch.meshgrid(_middle(height), _middle(width), indexing="ij")
    edge = round(0.12 * min(height, width))
    inner = slice(edge, height - edge), slice(edge, width - edge)
    back = torch.eye(2, 3, dtype=torch.float64)  # where a point came from
    for _ in range(steps):
        places = torch.stack([row[0] * xs + row[1] * ys + row[2] for row in back], -1)
        grid = (places * torch.tensor((2 / width, 2 / height)))[None]
        warped = F.grid_sample(first[None, None], grid, padding_mode="border", align_corners=False)[0, 0]
        down, across = torch.gradient(warped)
        slopes = [slope * by for slope in (across, down) for by in (xs, ys, torch.ones_like(xs))]
        given = torch.stack([slope[inner].reshape(-1) for slope in slopes], -1)
        step = torch.linalg.lstsq(given, (second - warped)[inner].reshape(-1, 1)).solution.view(2, 3)
        back += step
        if step.abs().max() < 1e-7:
            break
    whole = torch.linalg.inv(torch.cat((back, torch.tensor([[0.0, 0, 1]], dtype=torch.float64))))
    turn = torch.rad2deg(torch.atan2(whole[0, 1] - whole[1, 0], whole[0, 0] + whole[1, 1]))
    scale = torch.linalg.det(whole[:2, :2]).sqrt()
    return Measured(float(scale), float(turn), float(whole[0, 2]), float(whole[1, 2]))


def _blurred(frame: Frame) -> Tensor:
    kernel = torch.exp(-(torch.arange(-8, 9.0) ** 2) / 12.5).double()
    kernel /= kernel.sum()
    luma = torch.from_numpy(frame @ np.array(LUMA))[None, None]
    padded = F.pad(luma, (8, 8, 8, 8), mode="reflect")
    return F.conv2d(F.conv2d(padded, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))[0, 0]


def _middle(count: int) -> Tensor:
    return torch.arange(count, dtype=torch.float64) + 0.5 - count / 2
