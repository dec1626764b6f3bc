"""Frames from keyframes: interpolated and blended as quantised latents, decoded in batches.

An interpolated latent is never quantised again: that would make pictures pop from code to code.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from songreel.drawing import averages
from songreel.ground.documents import MOTION_MARGIN, ClipPlan
from songreel.kernels.colour import LUMA
from songreel.models import large
from songreel.models.vqgan import VQGAN

# Decoded at a time: many on a GPU; on a CPU what its cache holds, 8 of 128x128, in half the time of 64.
BATCH_PIXELS = {"cuda": 1 << 20, "cpu": 1 << 17}
MOST_STRENGTH = 2.0  # of a blend's stretching


def frames(
    vqgan: VQGAN, clip: ClipPlan, shown: NDArray[np.uint16], before: NDArray[np.uint16] | None
) -> Iterator[NDArray[np.uint8]]:
    """A clip's frames in batches uint8 [b, height, width, 3], at the clip's `drawn_rate`.

    `shown` and `before` are the tokens [k, h, w] of the line's segment and of the one before it, whose
    still-moving tail turns into the line's moving head over the first `blend_frames` frames.
    """
    count, rate = drawn_frames(clip), clip.drawn_rate
    height, width = (side * vqgan.factor for side in shown.shape[1:])
    batch = max(1, BATCH_PIXELS[vqgan.codebook.device.type] // (height * width))
    seam = _seam(vqgan, clip, shown, before) if before is not None and clip.blend_frames else None
    for first in range(0, count, batch):
        instants = [Fraction(n) / rate for n in range(first, min(first + batch, count))]  # seconds
        yield as_bytes(_pictures(vqgan, clip, shown, seam, instants))


def drawn_frames(clip: ClipPlan) -> int:
    """How many frames are drawn. Motion interpolation must see a little past the clip's end."""
    frames = clip.shown.frames
    if clip.interpolation == "latent":
        return frames
    rate = clip.drawn_rate / clip.frames_per_second
    return ceil((frames - 1) * rate) + 1 + MOTION_MARGIN


@dataclass(frozen=True)
class Blending:
    """When the line before turns into the line that is shown."""

    offset: Fraction  # seconds on the line before's clock at which the line starts
    blending: Fraction  # seconds
    frame: Fraction  # seconds

    @classmethod
    def of(cls, clip: ClipPlan) -> Blending:
        """Of a clip with a line before it."""
        assert clip.before is not None
        rate = clip.frames_per_second
        return cls(clip.before.frames / rate, clip.blend_frames / rate, 1 / rate)

    def shares(self, instants: list[Fraction]) -> list[float]:
        """How much of the line itself is seen, for each instant inside the blend."""
        blended = [instant for instant in instants if instant < self.blending]
        return [_smoothstep((instant + self.frame) / (self.blending + self.frame)) for instant in blended]


@dataclass(frozen=True)
class _Seam:
    """How the line before turns into the line that is shown."""

    before: NDArray[np.uint16]  # tokens [k, h, w]
    times: Blending
    strength: float  # of the stretching that keeps the blend from greying


def _seam(vqgan: VQGAN, clip: ClipPlan, shown: NDArray[np.uint16], before: NDArray[np.uint16]) -> _Seam:
    times = Blending.of(clip)
    offset, blending = times.offset, times.blending
    ends = _at(vqgan, clip, before, [offset]), _at(vqgan, clip, shown, [blending])
    middle = _at(vqgan, clip, before, [offset + blending / 2]), _at(vqgan, clip, shown, [blending / 2])
    half = torch.full((1, 1, 1, 1), 0.5, device=vqgan.codebook.device)
    blends = [decode(vqgan, blend(*middle, half, strength)) for strength in (0, 1)]
    return _Seam(before, times, stretching(blends, [decode(vqgan, end) for end in ends]))


def stretching(blends: Sequence[Tensor], ends: Sequence[Tensor]) -> float:
    """How strongly to stretch a blend to keep the mean contrast of its ends.

    By the pictures [1, 3, h, w] of its middle, with a strength of 0 and of 1, and of its ends.
    """
    plain, stretched = map(_contrast, blends)
    wanted = sum(map(_contrast, ends)) / 2
    strength = (wanted - plain) / max(stretched - plain, 1e-3)
    return min(max(strength, 0), MOST_STRENGTH)


def _pictures(
    vqgan: VQGAN, clip: ClipPlan, shown: NDArray[np.uint16], seam: _Seam | None, instants: list[Fraction]
) -> Tensor:
    """The pictures float32 [b, 3, height, width] in 0..1 at instants on the line's own clock."""
    latents = _at(vqgan, clip, shown, instants)
    share = seam.times.shares(instants) if seam else []
    shares = torch.tensor(share, device=latents.device).view(-1, 1, 1, 1)
    if seam is not None and len(shares):
        blended = len(shares)
        tail = _at(vqgan, clip, seam.before, [seam.times.offset + instant for instant in instants[:blended]])
        latents[:blended] = blend(tail, latents[:blended], shares, seam.strength)
    return decode(vqgan, latents)


def pictures(vqgan: VQGAN, clip: ClipPlan, tokens: NDArray[np.uint16], instants: list[Fraction]) -> Tensor:
    """The pictures float32 [b, 3, height, width] in 0..1 of a segment at instants on its own clock."""
    return decode(vqgan, _at(vqgan, clip, tokens, instants))


def blend(tail: Tensor, head: Tensor, shares: Tensor, strength: float) -> Tensor:
    """Linear interpolation [b, c, h, w], each channel stretched over the picture against greying.

    Halfway between unrelated latents the plain mean is less spread out than either and decodes to grey mud.
    A strength of 1 gives it the spread of its ends; what that does for the picture differs from seam to seam.
    """
    blended = torch.lerp(tail, head, shares)
    spread = torch.lerp(_spread(tail), _spread(head), shares)
    mean = blended.mean((2, 3), keepdim=True)
    return mean + (blended - mean) * (spread / _spread(blended).clamp(min=1e-6)) ** strength


def _spread(latents: Tensor) -> Tensor:
    return latents.std((2, 3), keepdim=True, correction=0)


def _contrast(picture: Tensor) -> float:
    """The standard deviation of the brightness of a picture [1, 3, h, w]."""
    luma = torch.tensor(LUMA, device=picture.device).view(1, 3, 1, 1)
    return float((picture * luma).sum(1).std(correction=0))


def _at(vqgan: VQGAN, clip: ClipPlan, tokens: NDArray[np.uint16], instants: list[Fraction]) -> Tensor:
    """The latents [b, c, h, w] of a segment at instants on its own clock."""
    positions = [instant * clip.keyframe_rate for instant in instants]
    return _interpolate(vqgan, tokens, positions, averages.shares(clip))


def _interpolate(
    vqgan: VQGAN, tokens: NDArray[np.uint16], positions: list[Fraction], neighbours: list[float]
) -> Tensor:
    """Linear interpolation of quantised latents, float32 [b, c, h, w], at positions counted in keyframes.

    Each keyframe is an average with its neighbours, those of a chain's ends with what there is of them.
    """
    device = vqgan.codebook.device
    last = len(tokens) - 1
    lower = np.array([int(position) for position in positions])
    upper = np.minimum(lower + 1, last)
    shares = torch.tensor([float(position % 1) for position in positions], device=device).view(-1, 1, 1, 1)
    start, end = (_averaged(vqgan, tokens, index, neighbours) for index in (lower, upper))
    return torch.lerp(start, end, shares)


def _averaged(
    vqgan: VQGAN, tokens: NDArray[np.uint16], numbers: NDArray[np.int64], neighbours: list[float]
) -> Tensor:
    """The latents [b, c, h, w] of some keyframes, each an average with its neighbours."""
    reach = len(neighbours) // 2
    first, last = max(0, int(numbers.min()) - reach), min(len(tokens) - 1, int(numbers.max()) + reach)
    within = torch.from_numpy(tokens[first : last + 1].astype(np.int64)).to(vqgan.codebook.device)
    wanted = torch.from_numpy(numbers - first).to(within.device)
    if not reach:
        return vqgan.embed(within[wanted])
    return averages.of_latents(vqgan.embed(within), neighbours)[wanted]


def _smoothstep(share: Fraction) -> float:
    return float(share * share * (3 - 2 * share))


@torch.no_grad()
def decode(vqgan: VQGAN, latents: Tensor) -> Tensor:
    """The pictures float32 [b, 3, height, width] in 0..1 of quantised latents [b, c, h, w]."""
    return large.decode(vqgan, latents).clamp(0, 1)


def as_bytes(pictures: Tensor) -> NDArray[np.uint8]:
    """Pictures [b, 3, height, width] in 0..1 as uint8 [b, height, width, 3]."""
    whole = pictures.mul(255).round().to(torch.uint8)
    return whole.permute(0, 2, 3, 1).contiguous().cpu().numpy()
