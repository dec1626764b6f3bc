"""Pictures moved by a camera: affine maps of their points, edges reflected."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from songreel.ground.motion import Move

FEATHER = 0.04  # of a picture's shorter side, over which what came in at an edge fades


def matrices(moves: Sequence[Move], size: tuple[int, int]) -> Tensor:
    """Where a move takes the points of a picture of that width and height: float64 [n, 3, 3].

    Of pixels from the picture's middle. A move at a steady pace is the exponential of its velocities, so that
    half of it, done twice, is all of it, whatever zooms, turns and glides at once.
    """
    width, height = size
    velocities = torch.zeros(len(moves), 3, 3, dtype=torch.float64)
    for velocity, move in zip(velocities, moves, strict=True):
        growth, turn = math.log(move.zoom), math.radians(move.angle)
        velocity[:2] = torch.tensor(
            [[growth, turn + move.shear, move.x * width], [-turn, growth, move.y * height]],
            dtype=torch.float64,
        )
    maps: Tensor = torch.linalg.matrix_exp(velocities)
    return maps


def moved(pictures: Tensor, maps: Tensor) -> Tensor:
    """Pictures [n, c, h, w] whose points went where maps [n, 3, 3] take them, what comes in reflected."""
    found: Tensor = F.grid_sample(
        pictures, _sources(pictures, maps), mode="bicubic", padding_mode="reflection", align_corners=False
    )
    return found.clamp(0, 1)


def seen(pictures: Tensor, maps: Tensor) -> Tensor:
    """How far each point of moved pictures [n, c, h, w] was in the picture: [n, 1, h, w].

    1 inside, less near the edge, 0 where it is reflected.
    """
    height, width = pictures.shape[-2:]
    inside = 1 - _sources(pictures, maps).abs()  # [n, h, w, 2], of half a side
    pixels = inside * torch.tensor((width / 2, height / 2), device=pictures.device)
    return (pixels.amin(-1) / (FEATHER * min(width, height))).clamp(0, 1)[:, None]


def _sources(pictures: Tensor, maps: Tensor) -> Tensor:
    """Where each point of moved pictures came from, [n, h, w, 2], -1..1 as `grid_sample` counts."""
    height, width = pictures.shape[-2:]
    scale = torch.tensor((2 / width, 2 / height, 1.0), dtype=torch.float64)
    back = scale[:, None] * torch.linalg.inv(maps) / scale
    theta = back[:, :2].to(pictures.device, torch.float32)
    return F.affine_grid(theta, [*pictures.shape], align_corners=False)


def coloured_as(pictures: Tensor, others: Tensor) -> Tensor:
    """Pictures [n, 3, h, w] with the mean and the spread of each channel that others have."""
    spread, mean = torch.std_mean(pictures, (2, 3), keepdim=True, correction=0)
    wanted, centre = torch.std_mean(others, (2, 3), keepdim=True, correction=0)
    return centre + (pictures - mean) * (wanted / spread.clamp(min=1e-6))
