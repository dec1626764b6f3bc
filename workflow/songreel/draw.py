"""Frames from keyframes: interpolated and blended as quantised latents, decoded in batches.

An interpolated latent is never quantised again: that would make pictures pop from code to code.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import ceil
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from songreel.plan import MOTION_MARGIN
from songreel.vqgan import VQGAN

BATCH_PIXELS = 1 << 20  # decoded at a time: 64 pictures of 128x128, 4 of 512x512


def frames(
    vqgan: VQGAN, clip: dict[str, Any], shown: NDArray[np.uint16], before: NDArray[np.uint16] | None
) -> Iterator[NDArray[np.uint8]]:
    """A clip's frames in batches uint8 [b, height, width, 3], at `drawn_rate(clip)` frames a second.

    `shown` and `before` are the tokens [k, h, w] of the line's segment and of the one before it, whose
    still-moving tail turns into the line's moving head over the first `blend_frames` frames.
    """
    count, rate = drawn_frames(clip), drawn_rate(clip)
    height, width = (side * vqgan.factor for side in shown.shape[1:])
    batch = max(1, BATCH_PIXELS // (height * width))
    for first in range(0, count, batch):
        instants = [Fraction(n) / rate for n in range(first, min(first + batch, count))]  # seconds
        yield _decode(vqgan, _latents(vqgan, clip, shown, before, instants))


def drawn_rate(clip: dict[str, Any]) -> Fraction:
    """Frames a second that are drawn: the film's own, or the keyframes' when ffmpeg makes those between."""
    motion = clip["interpolation"] == "motion"
    return Fraction(str(clip["keyframes_per_second" if motion else "frames_per_second"]))


def drawn_frames(clip: dict[str, Any]) -> int:
    """How many frames are drawn. Motion interpolation must see a little past the clip's end."""
    frames = int(clip["shown"]["frames"])
    if clip["interpolation"] == "latent":
        return frames
    rate = drawn_rate(clip) / int(clip["frames_per_second"])
    return ceil((frames - 1) * rate) + 1 + MOTION_MARGIN


def _latents(
    vqgan: VQGAN,
    clip: dict[str, Any],
    shown: NDArray[np.uint16],
    before: NDArray[np.uint16] | None,
    instants: list[Fraction],
) -> Tensor:
    """The latents [b, c, h, w] to decode at instants on the line's own clock."""
    per_second = Fraction(str(clip["keyframes_per_second"]))
    latents = _interpolate(vqgan, shown, [instant * per_second for instant in instants])
    blending = Fraction(clip["blend_frames"], clip["frames_per_second"])  # seconds
    head = [instant for instant in instants if instant < blending]
    if before is None or not head:
        return latents
    offset = Fraction(clip["before"]["frames"], clip["frames_per_second"])
    tail = _interpolate(vqgan, before, [(offset + instant) * per_second for instant in head])
    one_frame = Fraction(1, clip["frames_per_second"])
    shares = [_smoothstep(float((instant + one_frame) / (blending + one_frame))) for instant in head]
    weights = torch.tensor(shares, device=latents.device).view(-1, 1, 1, 1)
    return torch.cat((_blend(tail, latents[: len(head)], weights), latents[len(head) :]))


def _blend(tail: Tensor, head: Tensor, shares: Tensor) -> Tensor:
    """Linear interpolation [b, c, h, w] that keeps each channel's spread over the picture.

    Halfway between unrelated latents the plain mean is less spread out than either and decodes to grey mud.
    """
    blended = torch.lerp(tail, head, shares)
    spread = torch.lerp(_spread(tail), _spread(head), shares)
    mean = blended.mean((2, 3), keepdim=True)
    return mean + (blended - mean) * (spread / _spread(blended).clamp(min=1e-6))


def _spread(latents: Tensor) -> Tensor:
    return latents.std((2, 3), keepdim=True, correction=0)


def _interpolate(vqgan: VQGAN, tokens: NDArray[np.uint16], positions: list[Fraction]) -> Tensor:
    """Linear interpolation of quantised latents, float32 [b, c, h, w], at positions counted in keyframes."""
    device = vqgan.codebook.device
    last = len(tokens) - 1
    lower = np.array([int(position) for position in positions])
    upper = np.minimum(lower + 1, last)
    shares = torch.tensor([float(position % 1) for position in positions], device=device).view(-1, 1, 1, 1)
    ends = (torch.from_numpy(tokens[index].astype(np.int64)).to(device) for index in (lower, upper))
    start, end = (vqgan.embed(end) for end in ends)
    return torch.lerp(start, end, shares)


def _smoothstep(share: float) -> float:
    return share * share * (3 - 2 * share)


@torch.inference_mode()
def _decode(vqgan: VQGAN, latents: Tensor) -> NDArray[np.uint8]:
    pictures = vqgan.decode(latents).clamp(0, 1).mul(255).round().to(torch.uint8)
    return pictures.permute(0, 2, 3, 1).contiguous().cpu().numpy()
