"""The many glances at a picture: random crops, warped and recoloured, all as one batch.

CLIP sees small pictures and is fooled by single pixels; it judges many augmented crops instead. All of it
is batched arithmetic on the picture's device: no loop over cutouts, nothing copied to the host or from it.
"""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from songreel.kernels import resampling
from songreel.kernels.colour import LUMA

FULL_VIEWS = 0.35  # share of the cutouts that see the whole short side
FULL = 0.95, 1.05  # the side of such a view, as a share of the short side
BLUR = 0.25  # octaves by which a cutout is rather blurred than aliased
# Smallest crop's side, as a share of the short side, unless CLIP's own input is smaller still
SMALLEST = 0.5
DEGREES, PERSPECTIVE, JITTER, ERASED, NOISE = 15.0, 0.15, 0.1, 0.4, 0.08
# Times sqrt(1/3): cross product with it
AROUND_GREY = ((0.0, -1.0, 1.0), (1.0, 0.0, -1.0), (-1.0, 1.0, 0.0))


class Look:
    """The cutouts of a picture in each of many iterations, each drawn by chance when it is called."""

    def __init__(self, count: int, side: int, noise: float) -> None:
        self.count, self.side, self.noise = count, side, noise

    def roll(self, generator: Generator, steps: int) -> None:
        """Begin a keyframe of so many iterations; here nothing is decided beforehand."""

    def __call__(self, image: Tensor, generator: Generator, step: Tensor) -> Tensor:
        """Cutouts float32 [count, 3, side, side] of a picture [1, 3, h, w] in iteration `step`, int64 [1]."""
        return cut(image, self.count, self.side, generator, self.noise)


@dataclass(frozen=True)
class Rolls:
    """What chance decided for each of n cutouts, apart from their noise."""

    homography: Tensor  # [n, 3, 3], from a cutout's coordinates (-1..1) to the picture's
    reductions: Tensor  # [n], how many pixels of the picture's width a cutout's pixel stands for
    # [n, 4], the middle (y, x) of what is erased and how far it reaches, as shares of the side
    box: Tensor
    colours: Tensor  # [n, 3, 3], a map of the colours
    offset: Tensor  # [n, 1, 1], of all colours


def cut(image: Tensor, count: int, side: int, generator: Generator, noise: float | None = None) -> Tensor:
    """`count` cutouts float32 [count, 3, side, side] of pictures with values in 0..1.

    All of one picture [1, 3, h, w], or one of each of the pictures [count, 3, h, w]. `noise` is the largest
    standard deviation of what is added.
    """
    dice = Dice(count, image.device, generator)
    rolls = roll(dice, side, image.shape[-2:])
    return seen(image, rolls, dice.noise(NOISE if noise is None else noise, 3, side * side), side)


def roll(dice: Dice, side: int, shape: torch.Size) -> Rolls:
    """Decide how cutouts of that side are cut from pictures of that shape (h, w)."""
    ratio = min(shape) / side
    crops = _size(dice, 1 / ratio)
    homography, box = _homography(dice, crops, shape), _box(dice)
    return Rolls(homography, crops * ratio, box, *_colours(dice))


def seen(image: Tensor, rolls: Rolls, noise: Tensor, side: int) -> Tensor:
    """Cutouts float32 [n, 3, side, side] as was decided, with noise [n, 3, pixels], which is written over."""
    sampled = _sample(image, rolls.homography, rolls.reductions, side)  # [n, 3, pixels]
    erased = torch.lerp(sampled, sampled.mean(2, keepdim=True), _inside(rolls.box, side))
    coloured = torch.baddbmm(noise.add_(rolls.offset), rolls.colours, erased)
    return coloured.view(len(noise), 3, side, side)


class Dice:
    """Random numbers, one row for each of `count` cutouts of a picture, all from one generator.

    Or for those of several pictures at once, one after another.
    """

    def __init__(self, count: int, device: torch.device, generator: Generator, pictures: int = 1) -> None:
        self.of_each, self.count, self.device, self.generator = count, count * pictures, device, generator

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        values = torch.empty(self.count, *shape, device=self.device)
        return values.uniform_(low, high, generator=self.generator)

    def chance(self, probability: float, *shape: int) -> Tensor:
        return (self.uniform(0, 1, *shape) < probability).float()

    def noise(self, most: float, *shape: int) -> Tensor:
        values = torch.randn(self.count, *shape, device=self.device, generator=self.generator)
        return values.mul_(self.uniform(0, most, *[1] * len(shape)))


def _full_views(count: int) -> int:
    return math.ceil(FULL_VIEWS * count)


def _size(draw: Dice, input_share: float) -> Tensor:
    """Each crop's side as a share of the picture's short side, [n]: the full views come first."""
    smallest = min(input_share, SMALLEST)
    number = torch.arange(draw.count, device=draw.device) % draw.of_each
    full = number < _full_views(draw.of_each)
    return torch.where(full, draw.uniform(*FULL), draw.uniform(smallest, 1.0))


def _homography(draw: Dice, crops: Tensor, shape: torch.Size) -> Tensor:
    """Maps [n, 3, 3] from a cutout's coordinates (-1..1) to the picture's, aspect ratio kept."""
    height, width = shape
    n, short = draw.count, min(height, width)
    angle = draw.uniform(-DEGREES, DEGREES) * (math.pi / 180) * draw.chance(0.7)
    flip = 1 - 2 * draw.chance(0.5)
    turn = torch.zeros(n, 3, 3, device=draw.device)
    turn[:, 0, 0], turn[:, 0, 1] = angle.cos() * flip, -angle.sin()
    turn[:, 1, 0], turn[:, 1, 1] = angle.sin() * flip, angle.cos()
    turn[:, 2, :2] = draw.uniform(-PERSPECTIVE, PERSPECTIVE, 2) * draw.chance(0.5, 1)
    turn[:, 2, 2].fill_(1)
    scale_x, scale_y = crops * (short / width), crops * (short / height)
    place = torch.zeros(n, 3, 3, device=draw.device)
    place[:, 0, 0], place[:, 0, 2] = scale_x, (1 - scale_x).clamp(min=0) * draw.uniform(-1, 1)
    place[:, 1, 1], place[:, 1, 2] = scale_y, (1 - scale_y).clamp(min=0) * draw.uniform(-1, 1)
    place[:, 2, 2].fill_(1)
    return place @ turn


def _sample(image: Tensor, homography: Tensor, reductions: Tensor, side: int) -> Tensor:
    """Samples [n, 3, pixels], each cutout's from a picture halved until large crops do not alias.

    The halved pictures lie side by side in one, so that whichever a cutout needs, each pixel is sampled once.
    """
    single, n = len(image) == 1, len(reductions)
    sizes, atlas = _atlas(image, deepest(image.shape[-2:], side))
    table = _constant(
        tuple((float(x), float(width), float(height)) for x, width, height in sizes), image.device
    )
    offset, *lengths = table[levels(reductions, len(sizes) - 1)].T.reshape(3, n, 1, 1)
    grid = torch.stack(
        [
            _place(part, length) * (2 / whole) + (shift * (2 / whole) - 1)
            for part, length, shift, whole in zip(
                _grid(homography, side), lengths, (offset, 0.0), reversed(atlas.shape[-2:]), strict=True
            )
        ],
        dim=-1,
    )  # [n, side, side, x and y]
    # All sampled as one tall cutout: no gradient as large as the picture for each of them
    if single:
        sampled = resampling.sample(atlas, grid.view(1, n * side, side, 2))
        return sampled.view(3, n, -1).transpose(0, 1)
    return F.grid_sample(atlas, grid, align_corners=False).flatten(2)


def deepest(shape: torch.Size, side: int) -> int:
    """How many times a picture of that shape (h, w) is halved at most."""
    return max(0, math.floor(math.log2(FULL[1] * min(shape) / side) + BLUR + 0.5))


def levels(reductions: Tensor, most: int) -> Tensor:
    """How many times, int64 [n], a picture is halved before it is reduced so many times [n]."""
    return (reductions.log2() + (BLUR + 0.5)).floor().clamp(0, most).long()


def _atlas(image: Tensor, deepest: int) -> tuple[list[tuple[int, int, int]], Tensor]:
    """A picture and its halves, `deepest` of them, from left to right, and each one's x, width and height."""
    pictures = [image]
    for _ in range(deepest):
        pictures.append(halved(pictures[-1]))
    widths, heights = ([it.shape[axis] for it in pictures] for axis in (-1, -2))
    sizes = list(zip([0, *itertools.accumulate(widths[:-1])], widths, heights, strict=True))
    padded = [F.pad(it, (0, 0, 0, heights[0] - it.shape[-2])) for it in pictures]
    return sizes, torch.cat(padded, -1) if deepest else image


def _grid(homography: Tensor, side: int) -> Tensor:
    """Where in the picture the pixels of the cutouts lie, in -1..1: [x and y, n, side, side]."""
    maps = homography.transpose(0, 1).reshape(-1, 3)
    mapped = (maps @ _points(side, homography.device)).view(3, -1, side, side)
    return mapped[:2] / mapped[2:].clamp(min=0.1)


def _place(at: Tensor, length: Tensor) -> Tensor:
    """Pixels of a picture so long, from coordinates -1..1; those a little outside are mirrored back in."""
    mirrored = at.clamp(-1, 1) * 2 - at
    return torch.minimum(((mirrored + 1) * (length / 2)).clamp(min=0.5), length - 0.5)


def halved(image: Tensor) -> Tensor:
    """Each square of four pixels as one, in half the time that `F.avg_pool2d` takes a CPU for a batch."""
    rows = image[..., 0:-1:2, :] + image[..., 1::2, :]
    return (rows[..., 0:-1:2] + rows[..., 1::2]) / 4


@functools.cache
def _points(side: int, device: torch.device) -> Tensor:
    """The homogeneous coordinates [3, side * side] of a cutout's pixels."""
    axis = (torch.arange(side) + 0.5) * (2 / side) - 1
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return torch.stack((x, y, torch.ones_like(x))).flatten(1).to(device)


def _colours(draw: Dice) -> tuple[Tensor, Tensor]:
    """Brightness, contrast, saturation and hue: a map [n, 3, 3] of the colours and an offset [n, 1, 1]."""
    device = draw.device
    on = draw.chance(0.7, 1, 1)
    grey = _constant(LUMA, device).expand(3, 3)
    identity = torch.eye(3, device=device)
    saturation = 1 + draw.uniform(-JITTER, JITTER, 1, 1) * on
    contrast = 1 + draw.uniform(-JITTER, JITTER, 1, 1) * on
    colours = (saturation * identity + (1 - saturation) * grey) @ _hue(draw, on) * contrast
    return colours, 0.5 * (1 - contrast) + draw.uniform(-JITTER, JITTER, 1, 1) * on


def _hue(draw: Dice, on: Tensor) -> Tensor:
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


def _box(draw: Dice) -> Tensor:
    reach = draw.uniform(0.05, ERASED / 2, 2) * draw.chance(0.4, 1)
    return torch.cat((draw.uniform(0, 1, 2), reach), 1)


def _inside(box: Tensor, side: int) -> Tensor:
    """The rectangle to be replaced by the cutout's mean colour: 1 inside, else 0, [n, 1, pixels]."""
    axis = (torch.arange(side, device=box.device) + 0.5) / side
    inside = ((axis - box[:, :2, None]).abs() < box[:, 2:, None]).float()  # [n, 2, side]
    return (inside[:, 0, :, None] * inside[:, 1, None, :]).view(len(box), 1, -1)
