"""Pictures for which a device has too little memory left, drawn in tiles.

An iteration takes far more, and must hold its picture whole: so a film can be drawn where its lines could not
be optimised. A network's norms are then a tile's own, so large tiles are nearest to the whole.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from songreel.ground.messages import say
from songreel.kernels import devices, tiles
from songreel.models.vqgan import VQGAN

OVERLAP = 16  # cells, over which tiles melt into each other
LEAST = 32  # cells along a side: with fewer a tile is all edges
SHARE = 0.8  # of the free memory; the rest is for its gaps


@torch.no_grad()
def decode(vqgan: VQGAN, latents: Tensor) -> Tensor:
    """Pictures [b, 3, h*factor, w*factor] of latents [b, c, h, w]; see `VQGAN.decode`."""
    # Once for all pictures: with tiles of another size they would look different.
    sides, (height, width) = _sides.setdefault(vqgan, {}), latents.shape[2:]
    if (height, width) not in sides:
        sides[height, width] = _side(vqgan, height, width)
    side = sides[height, width]
    return tiles.tiled(vqgan.decode, latents, side, OVERLAP, vqgan.factor)


_sides: WeakKeyDictionary[VQGAN, dict[tuple[int, int], int]] = WeakKeyDictionary()  # by cells of a picture


def _side(vqgan: VQGAN, height: int, width: int) -> int:
    """The cells along a side of the largest tile for which there is memory, of a picture of so many cells."""
    free = SHARE * devices.free_bytes(vqgan.codebook.device)
    side = max(height, width)
    if vqgan.bytes_to_draw(height, width) <= free:
        return side
    while side > LEAST and vqgan.bytes_to_draw(min(side, height), min(side, width)) > free:
        side = max(LEAST, side * 3 // 4)
    say(f"pictures are drawn in tiles of {side * vqgan.factor} pixels, for want of memory.")
    return side
