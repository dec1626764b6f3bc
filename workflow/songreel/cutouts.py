"""The many glances at a picture: random crops, warped and recoloured, all as one batch.

CLIP sees small pictures and is fooled by single pixels; it judges many augmented crops instead. All of it
is batched arithmetic on the picture's device: no loop over cutouts, nothing copied to the host or from it.
"""

from __future__ import annotations

import functools
import math

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

FULL_VIEWS = 0.35  # share of the cutouts that see the whole short side
SMALLEST = 0.5  # smallest crop's side, as a share of the short side, unless CLIP's own input is smaller still
DEGREES, PERSPECTIVE, JITTER, ERASED, NOISE = 15.0, 0.15, 0.1, 0.4, 0.08
LUMA = (0.299, 0.587, 0.114)
AROUND_GREY = ((0.0, -1.0, 1.0), (1.0, 0.0, -1.0), (-1.0, 1.0, 0.0))  # times sqrt(1/3): cross product with it


def cut(image: Tensor, count: int, side: int, generator: Generator) -> Tensor:
    """`count` cutouts float32 [count, 3, side, side] of a picture [1, 3, h, w] with values in 0..1."""
    draw = _Dice(count, image.device, generator)
    crops = _size(draw, side / min(image.shape[-2:]))
    cutouts = _sample(image, _homography(draw, crops, image.shape[-2:]), crops, side)
    cutouts = _erase(draw, _jitter(draw, cutouts))
    noise = torch.randn(cutouts.shape, device=image.device, generator=generator)
    return cutouts + noise * draw.uniform(0, NOISE, 1, 1, 1)


class _Dice:
    """Random numbers, one row for each cutout, all from one generator."""

    def __init__(self, count: int, device: torch.device, generator: Generator) -> None:
        self.count, self.device, self.generator = count, device, generator

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        values = torch.rand(self.count, *shape, device=self.device, generator=self.generator)
        return values * (high - low) + low

    def chance(self, probability: float, *shape: int) -> Tensor:
        return (self.uniform(0, 1, *shape) < probability).float()


def _size(draw: _Dice, input_share: float) -> Tensor:
    """Each crop's side as a share of the picture's short side, [n]."""
    smallest = min(input_share, SMALLEST)
    sizes = draw.uniform(smallest, 1.0)
    full = torch.arange(draw.count, device=draw.device) < FULL_VIEWS * draw.count
    return torch.where(full, draw.uniform(0.95, 1.05), sizes)


def _homography(draw: _Dice, crops: Tensor, shape: torch.Size) -> Tensor:
    """Maps [n, 3, 3] from a cutout's coordinates (-1..1) to the picture's, aspect ratio kept."""
    height, width = shape
    n, short = draw.count, min(height, width)
    angle = draw.uniform(-DEGREES, DEGREES) * (math.pi / 180) * draw.chance(0.7)
    flip = 1 - 2 * draw.chance(0.5)
    turn = torch.zeros(n, 3, 3, device=draw.device)
    turn[:, 0, 0], turn[:, 0, 1] = angle.cos() * flip, -angle.sin()
    turn[:, 1, 0], turn[:, 1, 1] = angle.sin() * flip, angle.cos()
    turn[:, 2, :2] = draw.uniform(-PERSPECTIVE, PERSPECTIVE, 2) * draw.chance(0.5, 1)
    turn[:, 2, 2] = 1
    scale_x, scale_y = crops * (short / width), crops * (short / height)
    place = torch.zeros(n, 3, 3, device=draw.device)
    place[:, 0, 0], place[:, 0, 2] = scale_x, (1 - scale_x).clamp(min=0) * draw.uniform(-1, 1)
    place[:, 1, 1], place[:, 1, 2] = scale_y, (1 - scale_y).clamp(min=0) * draw.uniform(-1, 1)
    place[:, 2, 2] = 1
    return place @ turn


def _sample(image: Tensor, homography: Tensor, crops: Tensor, side: int) -> Tensor:
    """Trilinear sampling from a pyramid of halved pictures, so that large crops do not alias."""
    n = len(homography)
    axis = (torch.arange(side, device=image.device) + 0.5) * (2 / side) - 1
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    points = torch.stack((x, y, torch.ones_like(x)), -1)  # [side, side, 3]
    mapped = torch.einsum("nij,hwj->nhwi", homography, points)
    grid = mapped[..., :2] / mapped[..., 2:].clamp(min=0.1)
    short = min(image.shape[-2:])
    level = (crops * (short / side)).log2().clamp(min=0).view(n, 1, 1, 1)
    cutouts = torch.zeros(n, 3, side, side, device=image.device)
    for depth in range(max(1, math.ceil(math.log2(max(1.05 * short / side, 1)) + 1))):
        layer = F.avg_pool2d(image, 2**depth) if depth else image
        sampled = F.grid_sample(
            layer.expand(n, -1, -1, -1), grid, padding_mode="reflection", align_corners=False
        )
        cutouts = cutouts + sampled * (1 - (level - depth).abs()).clamp(min=0)
    return cutouts


def _jitter(draw: _Dice, cutouts: Tensor) -> Tensor:
    """Brightness, contrast, saturation and hue as one affine map of the colours."""
    n, device = draw.count, draw.device
    on = draw.chance(0.7, 1, 1)
    grey = _constant(LUMA, device).expand(3, 3)
    identity = torch.eye(3, device=device)
    saturation = 1 + draw.uniform(-JITTER, JITTER, 1, 1) * on
    contrast = 1 + draw.uniform(-JITTER, JITTER, 1, 1) * on
    colours = (saturation * identity + (1 - saturation) * grey) @ _hue(draw, on) * contrast  # [n, 3, 3]
    offset = 0.5 * (1 - contrast) + draw.uniform(-JITTER, JITTER, 1, 1) * on
    return (colours @ cutouts.flatten(2) + offset).view(n, *cutouts.shape[1:])


def _hue(draw: _Dice, on: Tensor) -> Tensor:
    """Rotations [n, 3, 3] of the colours about the grey axis (Rodrigues' formula)."""
    angle = draw.uniform(-JITTER, JITTER, 1, 1) * math.pi * on
    cross = _constant(AROUND_GREY, draw.device) / math.sqrt(3)
    outer = torch.full((3, 3), 1 / 3, device=draw.device)
    identity = torch.eye(3, device=draw.device)
    return angle.cos() * identity + angle.sin() * cross + (1 - angle.cos()) * outer


@functools.cache
def _constant(values: tuple[float, ...] | tuple[tuple[float, ...], ...], device: torch.device) -> Tensor:
    """Copied to a device once: a copy in every step would make the host wait until the device is idle."""
    return torch.tensor(values, device=device)


def _erase(draw: _Dice, cutouts: Tensor) -> Tensor:
    """Replace a random rectangle by the cutout's mean colour."""
    side = cutouts.shape[-1]
    axis = (torch.arange(side, device=draw.device) + 0.5) / side
    reach = draw.uniform(0.05, ERASED / 2, 2) * draw.chance(0.4, 1)
    centre = draw.uniform(0, 1, 2)
    inside = (axis - centre[..., None]).abs() < reach[..., None]  # [n, 2, side]
    box = (inside[:, 0, :, None] & inside[:, 1, None, :])[:, None]  # [n, 1, side, side]
    return torch.where(box, cutouts.mean((2, 3), keepdim=True), cutouts)
