"""The cutouts of one picture, sampled, erased, coloured, made noisy, normalised and laid out for a tower.

What `cutouts` does with some eighty operations each way is five kernels here. What chance decides is decided
for all iterations of a keyframe at once, by `cutouts.roll`, and only looked up in an iteration. The gradients
of samples add up as whole numbers, as in `resampling`, so that their order does not matter.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
from torch import Generator, Tensor

from songreel.kernels import cutouts
from songreel.kernels.cutouts import Dice
from songreel.kernels.fused import glances
from songreel.kernels.resampling import FINENESS, SMALLEST


class FusedLook(cutouts.Look):
    """The cutouts of a picture [1, 3, h, w] in each of at most `most` iterations, as a tower takes them.

    `patch` is the side of its patches, or that of a cutout where it takes pictures.
    """

    def __init__(
        self, count: int, side: int, patch: int, shape: tuple[int, int], most: int, noise: float,
        normal: tuple[Tensor, Tensor], dtype: torch.dtype,
    ) -> None:  # fmt: skip
        super().__init__(count, side, noise)
        self.patch, self.shape, self.dtype = patch, torch.Size(shape), dtype
        self.means, self.deviations = (it.flatten().contiguous() for it in normal)
        self.halvings = cutouts.deepest(self.shape, side)
        self.sizes, self.area = _sizes(shape, self.halvings)
        device = self.means.device
        self.places = torch.tensor(self.sizes, dtype=torch.int32, device=device)
        self.table = torch.zeros(most, count, glances.FIELDS.value, device=device)
        self.tiles = triton.cdiv(side * side, glances.BLOCK)
        self.padded = triton.next_power_of_2(self.tiles)

    def roll(self, generator: Generator, steps: int) -> None:
        """Decide how the cutouts of so many iterations are cut."""
        device, rows = self.table.device, steps * self.count
        dice = Dice(self.count, device, generator, pictures=steps)
        rolls = cutouts.roll(dice, self.side, self.shape)
        level = cutouts.levels(rolls.reductions, self.halvings)[:, None]
        strength = dice.uniform(0, self.noise, 1)
        facts = (
            rolls.homography.view(rows, 9),
            level,
            rolls.box,
            rolls.colours.view(rows, 9),
            rolls.offset[:, 0],
        )
        row = torch.cat((*facts, strength), 1)
        self.table[:steps, :, : row.shape[1]] = row.view(steps, self.count, -1)

    def __call__(self, image: Tensor, generator: Generator, step: Tensor) -> Tensor:
        """The cutouts of iteration `step`, int64 [1], as [n, patches, 3 * patch * patch] or pictures."""
        pixels = self.side * self.side
        noise = torch.randn(self.count, 3, pixels, device=image.device, generator=generator)
        views: Tensor = _Look.apply(image, self, noise, step)
        if self.patch == self.side:
            return views.view(self.count, 3, self.side, self.side)
        return views.transpose(0, 1)

    def atlas(self, image: Tensor) -> Tensor:
        """A picture and its halves, one behind another, float32 [3, area]."""
        if not self.halvings:
            return image.contiguous()
        atlas = image.new_empty(3, self.area)
        atlas[:, : self.sizes[0][1] * self.sizes[0][2]] = image.view(3, -1)
        for (start, width, _), (at, w, h) in zip(self.sizes, self.sizes[1:], strict=False):
            glances.halve[(triton.cdiv(w * h, glances.BLOCK), 3)](
                atlas[:, start:],
                atlas[:, at:],
                width,
                w,
                h,
                self.area,
                self.area,
                glances.BLOCK,
                num_warps=glances.WARPS,
            )
        return atlas


def _sizes(shape: tuple[int, int], halvings: int) -> tuple[list[tuple[int, int, int]], int]:
    """Where a picture's halves start in an atlas, their width and height, and the atlas' area."""
    start, (height, width), sizes = 0, shape, []
    for _ in range(halvings + 1):
        sizes.append((start, width, height))
        start, width, height = start + width * height, width // 2, height // 2
    return sizes, start


class _Look(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, image: Tensor, look: FusedLook, noise: Tensor, step: Tensor) -> Tensor:
        ctx.look, ctx.step = look, step
        grid, atlas = (look.tiles, look.count), look.atlas(image)
        sums = noise.new_empty(3, look.count, look.tiles)
        facts = (atlas, look.area, look.table, step, look.places, sums)
        glances.add_up[grid](
            *facts, look.count, look.side, look.patch, glances.BLOCK, num_warps=glances.WARPS
        )
        patches = (look.side // look.patch) ** 2
        views = noise.new_empty(patches, look.count, 3 * look.patch**2, dtype=look.dtype)
        glances.look[grid](
            *facts, noise, views, look.means, look.deviations, look.count, look.tiles, look.side, look.patch,
            glances.BLOCK, look.padded, num_warps=glances.WARPS,
        )  # fmt: skip
        return views

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        look, step, g = ctx.look, ctx.step, gradients[0].contiguous()
        grid, fine = (look.tiles, look.count), (FINENESS, SMALLEST)
        sums = look.means.new_empty(3, look.count, look.tiles)
        most = look.means.new_empty(look.count, look.tiles)
        glances.weigh[grid](
            g, look.table, step, sums, most, look.deviations, look.count, look.side, look.patch,
            glances.BLOCK, num_warps=glances.WARPS,
        )  # fmt: skip
        most = most.amax()
        totals = torch.zeros(3, look.area, dtype=torch.long, device=g.device)
        glances.scatter[grid](
            g, totals, look.area, look.table, step, look.places, sums, most, look.deviations, look.count,
            look.tiles, look.side, look.patch, glances.BLOCK, look.padded, *fine, num_warps=glances.WARPS,
        )  # fmt: skip
        height, width = look.shape
        gradient = look.means.new_empty(1, 3, height, width)
        glances.gather[(triton.cdiv(height * width, glances.BLOCK), 3)](
            totals, look.area, look.places, most, gradient, width, height, look.halvings + 1,
            glances.BLOCK, *fine, num_warps=glances.WARPS,
        )  # fmt: skip
        return gradient, None, None, None
