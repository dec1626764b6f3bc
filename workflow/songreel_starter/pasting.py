"""Sprites onto pictures: the same layer of many scenes at once, on whatever device they are."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from songreel_starter.things import Placement, Scene


def place(canvas: Tensor, pictures: Tensor, layer: int, scenes: Sequence[Scene]) -> None:
    """Put each scene's sprite of one layer on its picture [n, 3, side, side]."""
    wanted = [
        (row, scene.placements[layer]) for row, scene in enumerate(scenes) if len(scene.placements) > layer
    ]
    shrunk = pictures.shape[-1] / canvas.shape[-1]  # of a sprite that fills the picture
    for halvings in range(4):
        chosen = [it for it in wanted if _halvings(shrunk / it[1].size) == halvings]
        if chosen:
            rows, placements = [row for row, _ in chosen], [it for _, it in chosen]
            _paste(canvas, pictures, rows, placements, halvings)


def _halvings(ratio: float) -> int:
    return min(3, max(0, round(math.log2(ratio))))


def _paste(
    canvas: Tensor, pictures: Tensor, rows: Sequence[int], placements: Sequence[Placement], halvings: int
) -> None:
    device, side = canvas.device, canvas.shape[-1]
    chosen = torch.tensor([it.sprite for it in placements], device=device)
    pixels = pictures[chosen].float() / 255  # [m, 4, 96, 96]
    pixels[:, :3] *= pixels[:, 3:]
    if halvings:
        pixels = F.avg_pool2d(pixels, 2**halvings)
    pixels = _recolour(pixels, placements)
    where = torch.tensor(rows, device=device)
    moved = F.grid_sample(pixels, _grid(placements, side, device), align_corners=False)
    canvas[where] = canvas[where] * (1 - moved[:, 3:]) + moved[:, :3]


def _grid(placements: Sequence[Placement], side: int, device: torch.device) -> Tensor:
    """From the picture's coordinates (-1..1) to each sprite's, [m, side, side, 2]."""
    maps = []
    for it in placements:
        angle, flip = math.radians(it.degrees), -1 if it.flipped else 1
        cosine, sine = math.cos(angle) / it.size, math.sin(angle) / it.size
        x, y = 2 * it.x - 1, 2 * it.y - 1
        maps.append(
            (
                (cosine * flip, sine * flip, -(cosine * x + sine * y) * flip),
                (-sine, cosine, sine * x - cosine * y),
            )
        )
    theta = torch.tensor(maps, device=device)
    return F.affine_grid(theta, [len(maps), 1, side, side], align_corners=False)


def _recolour(pixels: Tensor, placements: Sequence[Placement]) -> Tensor:
    """Give premultiplied sprites [m, 4, h, w] their colours; their shades become shades of the colour."""
    chosen = [index for index, it in enumerate(placements) if it.colour is not None]
    if not chosen:
        return pixels
    colours = [placements[index].colour for index in chosen]
    colour = torch.tensor(colours, device=pixels.device).view(-1, 3, 1, 1) / 255
    some = pixels[chosen]
    alpha = some[:, 3:]
    grey = some[:, :3].mean(1, keepdim=True) / alpha.clamp(min=1e-3)
    middle = (grey * alpha).sum((2, 3), keepdim=True) / alpha.sum((2, 3), keepdim=True).clamp(min=1e-3)
    light = (grey - middle + 0.5).clamp(0, 1)
    dark, bright = colour * (0.3 + 1.4 * light), colour + (1 - colour) * (light - 0.5) * 0.9
    some = torch.cat((torch.where(light < 0.5, dark, bright) * alpha, alpha), 1)
    return pixels.index_copy(0, torch.tensor(chosen, device=pixels.device), some)
