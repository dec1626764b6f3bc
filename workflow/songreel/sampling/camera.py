"""A chain whose picture moves: what the next keyframe starts from, and what it is held to.

A latent's cells are too coarse to be moved: the picture that it draws is, and encoded again. What encoding
loses of a latent is moved with it, cell by cell, or else each keyframe would be softer than the one before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from songreel.ground.motion import Motion, Move
from songreel.kernels import moving
from songreel.models.vqgan import VQGAN

DARK = 0.5  # below which a mask keeps what lies there


@dataclass(frozen=True)
class Start:
    """What a chain is kept to: the latent that it began with, and where it may not leave it at all."""

    latent: Tensor  # [c, h, w]
    kept: Tensor | None = None  # bool [h, w]
    # What that was encoded from, and the mask, where the picture moves: [3, height, width] in 0..1
    picture: Tensor | None = None
    mask: Tensor | None = None
    seen: Tensor | None = None  # [1, h, w] in 0..1: how much of it is there, not beyond its edge; None: all

    @property
    def moves(self) -> bool:
        """Whether it can move along."""
        return self.picture is not None

    def moving(self, picture: Tensor, mask: Tensor | None) -> Start:
        """The same, where its picture [3, height, width] is to move, and with it the mask."""
        return replace(self, picture=picture, mask=mask, seen=torch.ones_like(self.latent[:1]))


def kept_where_dark(mask: Tensor, factor: int) -> Tensor:
    """Which cells bool [h, w] of a latent a mask [3, height, width] in 0..1 says to keep."""
    return F.avg_pool2d(mask.mean(0)[None, None], factor)[0, 0] < DARK


@torch.no_grad()
def moved_on(vqgan: VQGAN, latent: Tensor, move: Move, like: Tensor | None = None) -> Tensor:
    """The latent [c, h, w] of the picture that a latent draws, after a move.

    With the colours, by their mean and spread, of the picture before, or of what the latent `like` draws,
    which then is what comes in at an edge.
    """
    before = _drawn(vqgan, latent)
    size = before.shape[-1], before.shape[-2]
    maps = moving.matrices([move], size)
    after = moving.moved(before, maps)
    if like is None:
        after = moving.coloured_as(after, before)
    else:
        example = _drawn(vqgan, like)
        # At an edge, where a strip would be reflected over and over
        inside = moving.seen(maps, size, before.device) > 0
        after = torch.where(inside, moving.coloured_as(after, example), example)
    lost = latent[None] - vqgan.encode(before)
    return (vqgan.encode(after.clamp(0, 1)) + moving.moved_cells(lost, maps, vqgan.factor))[0]


@torch.no_grad()
def start_after(vqgan: VQGAN, start: Start, motion: Motion, keyframe: int) -> Start:
    """A start with its mask where the moves before a keyframe have taken them."""
    if start.picture is None or not keyframe:
        return start
    height, width = start.picture.shape[-2:]
    maps = moving.matrices([motion.move(number) for number in range(keyframe)], (width, height))
    whole = maps[:1]
    for following in maps[1:]:
        whole = following @ whole
    picture = moving.moved(start.picture[None], whole)
    seen = F.avg_pool2d(moving.seen(whole, (width, height), picture.device), vqgan.factor)[0]
    kept = None
    if start.mask is not None:
        # What was never in the picture is not kept.
        kept = kept_where_dark(moving.moved(start.mask[None], whole)[0], vqgan.factor) & (seen[0] > DARK)
    return replace(start, latent=vqgan.encode(picture)[0], kept=kept, seen=seen)


def _drawn(vqgan: VQGAN, latent: Tensor) -> Tensor:
    """The picture [1, 3, height, width] in 0..1 of a latent [c, h, w], by its tokens."""
    return vqgan.decode(vqgan.embed(vqgan.nearest(latent[None]))).clamp(0, 1)
