"""Pictures too large to be computed at once: in tiles that overlap and melt into each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import ceil

import torch
from torch import Tensor


def tiled(
    function: Callable[[Tensor], Tensor],
    pictures: Tensor,
    side: int,
    overlap: int,
    scale: int,
) -> Tensor:
    """What a function makes of pictures [b, c, h, w], which it makes `scale` times as high and wide.

    It sees tiles of `side` by `side` at most. Where two of them overlap, by `overlap` at least, the share of
    one falls as that of the other grows, so that no edge is seen. A picture of at most one tile is exactly
    what the function makes of it.
    """
    height, width = pictures.shape[2:]
    if max(height, width) <= side:
        return function(pictures)
    total = weight = torch.zeros(())
    for top, bottom in _spans(height, side, overlap):
        for left, right in _spans(width, side, overlap):
            made = function(pictures[:, :, top:bottom, left:right])
            if not total.ndim:
                shape = (*made.shape[:2], height * scale, width * scale)
                total, weight = made.new_zeros(shape), made.new_zeros(shape[2:])
            share = _share(made, overlap * scale)
            place = ..., slice(top * scale, bottom * scale), slice(left * scale, right * scale)
            total[place] += made * share
            weight[place] += share
    return total / weight


def _spans(length: int, side: int, overlap: int) -> Iterator[tuple[int, int]]:
    """The beginning and end of each of the fewest tiles that cover a length, evenly."""
    count = max(1, ceil((length - overlap) / (side - overlap)))
    for number in range(count):
        first = round(number * (length - side) / (count - 1)) if count > 1 else 0
        yield first, min(first + side, length)


def _share(made: Tensor, overlap: int) -> Tensor:
    """How much of a tile [..., h, w] is seen: from nearly nothing at its edges to all, `overlap` inside."""

    def ramp(length: int) -> Tensor:
        steps = torch.arange(1, length + 1, device=made.device, dtype=made.dtype)
        return torch.minimum(steps, steps.flip(0)).div(overlap + 1).clamp(max=1)

    height, width = made.shape[2:]
    return ramp(height)[:, None] * ramp(width)
