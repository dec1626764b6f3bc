"""Frames of lines whose picture moves: every keyframe moved to its frame's time, and blended as pictures.

To cross-fade two keyframes of other sizes would stand still between them and double every edge.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from songreel.drawing import averages, draw
from songreel.drawing.draw import BATCH_PIXELS
from songreel.ground.documents import ClipPlan
from songreel.ground.motion import Motion, Move
from songreel.kernels import moving
from songreel.models.vqgan import VQGAN

FAINT = 1e-3  # the weight of what is reflected, where nothing else is there to be seen


@dataclass(frozen=True)
class Chain:
    """What is drawn: the tokens [k, h, w] of a line's keyframes, and how the picture moves."""

    tokens: NDArray[np.uint16]
    motion: Motion | None = None


def frames(vqgan: VQGAN, clip: ClipPlan, shown: Chain, before: Chain | None) -> Iterator[NDArray[np.uint8]]:
    """A clip's frames in batches uint8 [b, height, width, 3], at the clip's `drawn_rate`.

    Of lines that stand still they are what `draw.frames` draws. Where one of two moves, they turn into each
    other as pictures, not as latents.
    """
    if before is None or not clip.blend_frames:
        before = None
    if shown.motion is None and (before is None or before.motion is None):
        yield from draw.frames(vqgan, clip, shown.tokens, before.tokens if before else None)
        return
    count, rate = draw.drawn_frames(clip), clip.drawn_rate
    height, width = (side * vqgan.factor for side in shown.tokens.shape[1:])
    batch = max(1, BATCH_PIXELS[vqgan.codebook.device.type] // (height * width))
    head = Reel(vqgan, clip, shown, batch)
    seam = Seam.of(vqgan, clip, head, Reel(vqgan, clip, before, batch)) if before else None
    for first in range(0, count, batch):
        instants = [Fraction(n) / rate for n in range(first, min(first + batch, count))]  # seconds
        pictures = head.at(instants)
        yield draw.as_bytes(seam.blended(pictures, instants) if seam else pictures)


class Reel:
    """A line's pictures at any time, of which each keyframe is decoded once as time goes on."""

    def __init__(self, vqgan: VQGAN, clip: ClipPlan, chain: Chain, batch: int) -> None:
        self.vqgan, self.clip, self.chain, self.batch = vqgan, clip, chain, batch
        self.decoded: dict[int, Tensor] = {}  # keyframes as they are, [3, height, width]
        self.drawn: dict[int, Tensor] = {}  # as they are drawn, and `moving.finer`, [3, 2 height, 2 width]

    def at(self, instants: Sequence[Fraction]) -> Tensor:
        """The pictures float32 [b, 3, height, width] in 0..1 at rising instants on the line's own clock."""
        if self.chain.motion is None:
            return draw.pictures(self.vqgan, self.clip, self.chain.tokens, list(instants))
        positions = [instant * self.clip.keyframe_rate for instant in instants]
        lower = [int(position) for position in positions]
        upper = [min(number + 1, len(self.chain.tokens) - 1) for number in lower]
        self._draw(lower[0], upper[-1])
        start, end = (torch.stack([self.drawn[it] for it in numbers]) for numbers in (lower, upper))
        moves = [self.chain.motion.move(number) for number in lower]
        return _between(start, end, moves, [float(position % 1) for position in positions])

    def alone(self, instant: Fraction) -> Tensor:
        """The picture [1, 3, height, width] at any one instant."""
        return Reel(self.vqgan, self.clip, self.chain, self.batch).at([instant])

    @torch.no_grad()
    def _draw(self, first: int, last: int) -> None:
        """Have these keyframes as they are drawn, and none before them."""
        neighbours = averages.shares(self.clip)
        reach = len(neighbours) // 2
        self._decode(max(0, first - reach), min(last + reach, len(self.chain.tokens) - 1))
        self.drawn = {number: it for number, it in self.drawn.items() if number >= first}
        assert self.chain.motion is not None
        for number in range(first, last + 1):
            if number not in self.drawn:
                picture = averages.of_moving(self.decoded, number, self.chain.motion, neighbours)
                self.drawn[number] = moving.finer(picture[None])[0]

    def _decode(self, first: int, last: int) -> None:
        """Have these keyframes as pictures, and none before them."""
        self.decoded = {number: it for number, it in self.decoded.items() if number >= first}
        missing = [number for number in range(first, last + 1) if number not in self.decoded]
        for begin in range(0, len(missing), self.batch):
            numbers = missing[begin : begin + self.batch]
            tokens = torch.from_numpy(self.chain.tokens[numbers].astype(np.int64))
            latents = self.vqgan.embed(tokens.to(self.vqgan.codebook.device))
            self.decoded |= dict(zip(numbers, draw.decode(self.vqgan, latents), strict=True))


def _between(start: Tensor, end: Tensor, moves: Sequence[Move], shares: Sequence[float]) -> Tensor:
    """Pictures [b, 3, h, w] a share of the way from one keyframe to the next, which are [b, 3, 2h, 2w].

    Both are moved to that time. What is seen of both is blended; what only one of them holds, as the other
    had it beyond its edge, is taken from that one.
    """
    size = start.shape[-1] // 2, start.shape[-2] // 2
    forth = moving.matrices([move.part(share) for move, share in zip(moves, shares, strict=True)], size)
    back = moving.matrices([move.part(share - 1) for move, share in zip(moves, shares, strict=True)], size)
    late = torch.tensor(list(shares), device=start.device).view(-1, 1, 1, 1)
    within = [moving.seen(maps, size, start.device) for maps in (forth, back)]
    weights = (1 - late) * within[0], late * within[1]
    weight = (weights[1] + FAINT * late) / (weights[0] + weights[1] + FAINT)
    return torch.lerp(moving.moved_finely(start, forth), moving.moved_finely(end, back), weight)


@dataclass(frozen=True)
class Seam:
    """How the line before turns into the line that is shown, as pictures."""

    before: Reel
    times: draw.Blending
    strength: float  # of the stretching that keeps the blend from greying

    @classmethod
    def of(cls, vqgan: VQGAN, clip: ClipPlan, head: Reel, before: Reel) -> Seam:
        """By the contrast of both lines where they meet, as with latents."""
        times = draw.Blending.of(clip)
        offset, blending = times.offset, times.blending
        ends = before.alone(offset), head.alone(blending)
        middle = before.alone(offset + blending / 2), head.alone(blending / 2)
        half = torch.full((1, 1, 1, 1), 0.5, device=vqgan.codebook.device)
        blends = [draw.blend(*middle, half, strength).clamp(0, 1) for strength in (0, 1)]
        return cls(before, times, draw.stretching(blends, ends))

    def blended(self, pictures: Tensor, instants: list[Fraction]) -> Tensor:
        """The line's pictures [b, 3, h, w] at instants, with what is left of the line before."""
        shares = torch.tensor(self.times.shares(instants), device=pictures.device).view(-1, 1, 1, 1)
        count = len(shares)
        if not count:
            return pictures
        tail = self.before.at([self.times.offset + instant for instant in instants[:count]])
        mixed = draw.blend(tail, pictures[:count], shares, self.strength).clamp(0, 1)
        return torch.cat((mixed, pictures[count:]))
