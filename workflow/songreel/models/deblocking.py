"""What a decoder's squares of pixels go through, so that their borders cannot be seen.

Dong, Deng, Loy, Tang: Compression Artifacts Reduction by a Deep Convolutional Network, ICCV 2015.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


def least_channels(fold: int) -> int:
    """The numbers of a square half as wide as `fold` pixels."""
    return 3 * (fold // 2) ** 2


class Deblocking(nn.Module):
    """Corrects what a decoder made, seen as squares half as wide as its own, which know their neighbours.

    A decoder with `fold` makes each square of fold x fold pixels at one place, and what it guesses wrong
    ends at the square's border. Here a quarter of a square is `channels` numbers: its pixels, and what else
    the decoder tells of it, such as which of the four it is.
    """

    def __init__(self, fold: int, channels: int) -> None:
        super().__init__()
        self.side, self.pixels = fold // 2, least_channels(fold)
        self.enter = nn.Conv2d(channels, channels, 3, padding=1)
        self.middle = nn.Conv2d(channels, channels, 3, padding=1)
        self.leave = nn.Conv2d(channels, self.pixels, 3, padding=1)

    def forward(self, squares: Tensor) -> Tensor:
        """Pictures [b, 3, h*fold, w*fold] of what a decoder makes, [b, 4*channels, h, w]."""
        quarters = F.pixel_shuffle(squares, 2)  # [b, channels, 2h, 2w]
        correction = self.leave(F.silu(self.middle(F.silu(self.enter(quarters)))))
        return F.pixel_shuffle(quarters[:, : self.pixels] + correction, self.side)
