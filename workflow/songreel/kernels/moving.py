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
    """Pictures [n, c, h, w] whose points went where maps [n, 3, 3] take them, what comes in reflected.

    Interpolated as by Catmull and Rom, which leaves slopes as they are. `grid_sample` is sharper, and moves a
    point by up to twice as far as it is told, or by half, as it lies between pixels: a slow glide trembles.
    """
    height, width = pictures.shape[-2:]
    half = torch.tensor((width / 2, height / 2), device=pictures.device)
    places = (_sources(maps, (width, height), pictures.device) + 1) * half - 0.5  # [n, h, w, 2], pixels
    whole = places.floor()
    across, down = (_weights(share) for share in (places - whole).unbind(-1))
    columns, rows = whole.long().unbind(-1)
    flat = pictures.permute(0, 2, 3, 1).flatten(0, 2)  # [n h w, c]
    first = torch.arange(len(pictures), device=pictures.device).view(-1, 1, 1) * (height * width)
    total = torch.zeros_like(flat).view(len(pictures), height, width, -1)
    for y in range(4):
        row = first + _reflected(rows + y - 1, height) * width
        for x in range(4):
            weight = (across[x] * down[y])[..., None]  # [n, h, w, 1]
            total.addcmul_(weight, F.embedding(row + _reflected(columns + x - 1, width), flat))
    return total.permute(0, 3, 1, 2).clamp(0, 1)


def finer(pictures: Tensor) -> Tensor:
    """Pictures [n, c, h, w] of twice as many columns and rows, to be moved by `moved_finely`."""
    # Catmull and Rom's, too, with `antialias`, which does nothing else to what grows
    return F.interpolate(pictures, scale_factor=2, mode="bicubic", antialias=True)


def moved_finely(pictures: Tensor, maps: Tensor) -> Tensor:
    """As `moved`, of pictures that `finer` made, [n, c, 2h, 2w], a tenth as long, and a little softer."""
    height, width = pictures.shape[-2:]
    sources = _sources(maps, (width // 2, height // 2), pictures.device)
    found: Tensor = F.grid_sample(
        pictures, sources, mode="bilinear", padding_mode="reflection", align_corners=False
    )
    return found.clamp(0, 1)


def _weights(share: Tensor) -> tuple[Tensor, ...]:
    """What the four pixels around a place count that lies a share of the way from the second to the third."""
    square, cube = share**2, share**3
    return (
        (-cube + 2 * square - share) / 2,
        (3 * cube - 5 * square + 2) / 2,
        (-3 * cube + 4 * square + share) / 2,
        (cube - square) / 2,
    )


def _reflected(index: Tensor, count: int) -> Tensor:
    """Of pixels beyond an edge those as far inside."""
    index = index % (2 * count)
    return torch.minimum(index, 2 * count - 1 - index)


def moved_cells(latents: Tensor, maps: Tensor, factor: int) -> Tensor:
    """Latents [n, c, h, w] of cells of factor x factor pixels, moved as `moved` does their pictures."""
    maps = maps.clone()
    maps[:, :2, 2] /= factor
    sources = _sources(maps, (latents.shape[-1], latents.shape[-2]), latents.device)
    found: Tensor = F.grid_sample(
        latents, sources, mode="bilinear", padding_mode="reflection", align_corners=False
    )
    return found


def seen(maps: Tensor, size: tuple[int, int], device: torch.device) -> Tensor:
    """How far within a picture of that width and height each of its points was before a move: [n, 1, h, w].

    1 inside, less near the edge, 0 where it is reflected.
    """
    width, height = size
    inside = 1 - _sources(maps, size, device).abs()  # [n, h, w, 2], of half a side
    pixels = inside * torch.tensor((width / 2, height / 2), device=device)
    return (pixels.amin(-1) / (FEATHER * min(width, height))).clamp(0, 1)[:, None]


def _sources(maps: Tensor, size: tuple[int, int], device: torch.device) -> Tensor:
    """Where each point of moved pictures came from, [n, h, w, 2], -1..1 as `grid_sample` counts."""
    width, height = size
    scale = torch.tensor((2 / width, 2 / height, 1.0), dtype=torch.float64)
    back = scale[:, None] * torch.linalg.inv(maps) / scale
    theta = back[:, :2].to(device, torch.float32)
    return F.affine_grid(theta, [len(maps), 1, height, width], align_corners=False)


def coloured_as(pictures: Tensor, others: Tensor) -> Tensor:
    """Pictures [n, 3, h, w] with the mean and the spread of each channel that others have."""
    spread, mean = torch.std_mean(pictures, (2, 3), keepdim=True, correction=0)
    wanted, centre = torch.std_mean(others, (2, 3), keepdim=True, correction=0)
    return centre + (pictures - mean) * (wanted / spread.clamp(min=1e-6))
