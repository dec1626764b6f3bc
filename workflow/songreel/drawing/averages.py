"""Keyframes as they are drawn where a film is smooth: averages with their neighbours, the nearer the more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

import torch
from torch import Tensor

from songreel.ground.documents import ClipPlan
from songreel.ground.motion import Motion
from songreel.kernels import moving


def shares(clip: ClipPlan) -> list[float]:
    """What part of a keyframe, as it is drawn, each of its neighbours has, itself in the middle: 1 in all."""
    reach = clip.averaged
    width = float(Fraction(str(clip.smooth)) * clip.keyframe_rate) if reach else 1.0  # keyframes
    weights = [1 - abs(step) / width for step in range(-reach, reach + 1)]
    return [weight / sum(weights) for weight in weights]


def of_latents(latents: Tensor, neighbours: Sequence[float]) -> Tensor:
    """Latents [k, c, h, w] of keyframes in a row, each an average with its neighbours, if they are there."""
    reach = len(neighbours) // 2
    total, whole = torch.zeros_like(latents), torch.zeros(len(latents), 1, 1, 1, device=latents.device)
    for step, share in zip(range(-reach, reach + 1), neighbours, strict=True):
        here = slice(max(0, -step), len(latents) - max(0, step))
        there = slice(max(0, step), len(latents) + min(0, step))
        total[here] += share * latents[there]
        whole[here] += share
    return total / whole


def of_moving(
    pictures: Mapping[int, Tensor], number: int, motion: Motion, neighbours: Sequence[float]
) -> Tensor:
    """A keyframe's picture [3, height, width], averaged with those of its neighbours that are there.

    Each is moved to where it would be at that keyframe; what lay beyond its edge counts for nothing.
    """
    reach = len(neighbours) // 2
    own = pictures[number]
    size = own.shape[-1], own.shape[-2]
    total, whole = neighbours[reach] * own, torch.full_like(own[:1], neighbours[reach])
    for step, share in zip(range(-reach, reach + 1), neighbours, strict=True):
        if step and number + step in pictures:
            picture = pictures[number + step][None]
            maps = _between(number + step, number, motion, size)
            weight = share * moving.seen(maps, size, own.device)[0]
            total = total + weight * moving.moved(picture, maps)[0]
            whole = whole + weight
    return total / whole


def _between(first: int, last: int, motion: Motion, size: tuple[int, int]) -> Tensor:
    """Where the moves from one keyframe to another take a picture's points, also back: [1, 3, 3]."""
    way = torch.eye(3, dtype=torch.float64)
    for step in moving.matrices([motion.move(it) for it in range(min(first, last), max(first, last))], size):
        way = step @ way
    return (torch.linalg.inv(way) if last < first else way)[None]
