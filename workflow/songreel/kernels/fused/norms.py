"""Group normalisation with swish of pictures [b, h, w, c], channels last, and the sums that it needs.

Wu and He: Group Normalization, 2018. Each way is two kernels: one adds up, tile by tile, what the other needs
of all pixels. The tiles' sums are added in a fixed order, so that the result is the same each time: by each
program that reads them where they are few, else by a third kernel in between.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor, nn

GROUPS = 32
BLOCK = 4096  # values in registers at a time
MOST_TILES = 512  # of a picture
FEW_TILES = 32  # so many every reader adds up itself
MOST_READERS = 1024
WARPS = 4
SIZES = ["rows", "tiles", "each", "count"]  # for which no kernels of their own are compiled


@triton.jit
def _channels(PER: tl.constexpr, WIDE: tl.constexpr):
    """The channels of 32 groups, each padded to WIDE, a power of two: [32 * WIDE], and which are real."""
    k = tl.arange(0, 32 * WIDE)
    real = (k % WIDE) < PER
    if PER != WIDE:  # else the compiler sees that they lie side by side
        k = (k // WIDE) * PER + k % WIDE
    return k, real


@triton.jit
def _block(b, r, c, real, rows, C: tl.constexpr, PER: tl.constexpr, WIDE: tl.constexpr):
    """Where the values of some rows lie, and which of them there are."""
    inside = r[:, None] < rows
    if PER != WIDE:
        inside = inside & real[None, :]
    return (b * rows + r[:, None]).to(tl.int64) * C + c[None, :], inside


@triton.jit
def _each(of_group, WIDE: tl.constexpr):
    """A value of each group [32] for each of its channels [32 * WIDE]."""
    return tl.reshape(tl.broadcast_to(of_group[:, None], (32, WIDE)), (32 * WIDE,))


@triton.jit
def _store_sums(one, two, partial, tile, b, tiles, WIDE: tl.constexpr):
    at = partial + (b * tiles + tile) * 64 + tl.arange(0, 32)
    tl.store(at, tl.sum(tl.reshape(tl.sum(one, 0), (32, WIDE)), 1))
    tl.store(at + 32, tl.sum(tl.reshape(tl.sum(two, 0), (32, WIDE)), 1))


@triton.jit
def _load_sums(partial, b, tiles, T: tl.constexpr):
    t, group = tl.arange(0, T), tl.arange(0, 32)
    at = partial + (b * tiles + t[:, None]) * 64 + group[None, :]
    inside = t[:, None] < tiles
    return tl.sum(tl.load(at, mask=inside, other=0.0), 0), tl.sum(tl.load(at + 32, mask=inside, other=0.0), 0)


@triton.jit(do_not_specialize=SIZES)
def _fold(partial, folded, tiles, T: tl.constexpr):
    b, group = tl.program_id(0), tl.arange(0, 32)
    one, two = _load_sums(partial, b, tiles, T)
    tl.store(folded + b * 64 + group, one)
    tl.store(folded + b * 64 + 32 + group, two)


@triton.jit(do_not_specialize=SIZES)
def _sum(
    x, h, shift, y, partial, rows, each, STEP: tl.constexpr, C: tl.constexpr, PER: tl.constexpr,
    WIDE: tl.constexpr, ADDED: tl.constexpr, SHIFTED: tl.constexpr,
):  # fmt: skip
    """Sums of x and x^2 by group and tile; x + shift counts where SHIFTED, y = x + h + shift where ADDED."""
    tile, b, tiles = tl.program_id(0), tl.program_id(1), tl.num_programs(0)
    c, real = _channels(PER, WIDE)
    one, two = tl.zeros([STEP, 32 * WIDE], tl.float32), tl.zeros([STEP, 32 * WIDE], tl.float32)
    add = tl.zeros([32 * WIDE], tl.float32)
    if SHIFTED:
        add = tl.load(shift + c, mask=real, other=0.0)
    for block in range(tile * each, (tile + 1) * each):
        r = block * STEP + tl.arange(0, STEP)
        at, inside = _block(b, r, c, real, rows, C, PER, WIDE)
        v = tl.load(x + at, mask=inside, other=0.0).to(tl.float32) + add[None, :]
        if ADDED:
            v = (v + tl.load(h + at, mask=inside, other=0.0).to(tl.float32)).to(y.dtype.element_ty)
            tl.store(y + at, v, mask=inside)
            v = v.to(tl.float32)
        v = tl.where(inside, v, 0.0)
        one += v
        two += v * v
    _store_sums(one, two, partial, tile, b, tiles, WIDE)


@triton.jit(do_not_specialize=SIZES)
def _normalise(
    x, shift, weight, bias, partial, stats, y, rows, tiles, each, count, eps, T: tl.constexpr,
    STEP: tl.constexpr, C: tl.constexpr, PER: tl.constexpr, WIDE: tl.constexpr, SHIFTED: tl.constexpr,
    SWISH: tl.constexpr,
):  # fmt: skip
    tile, b = tl.program_id(0), tl.program_id(1)
    one, two = _load_sums(partial, b, tiles, T)
    mean = one / count
    deviation = tl.sqrt(tl.maximum(two / count - mean * mean, 0.0) + eps)
    if tile == 0:
        group = tl.arange(0, 32)
        tl.store(stats + b * 64 + group, mean)
        tl.store(stats + b * 64 + 32 + group, 1 / deviation)
    c, real = _channels(PER, WIDE)
    scale = tl.load(weight + c, mask=real, other=0.0) * _each(1 / deviation, WIDE)
    offset = tl.load(bias + c, mask=real, other=0.0) - _each(mean, WIDE) * scale
    if SHIFTED:
        offset += tl.load(shift + c, mask=real, other=0.0) * scale
    for block in range(tile * each, (tile + 1) * each):
        r = block * STEP + tl.arange(0, STEP)
        at, inside = _block(b, r, c, real, rows, C, PER, WIDE)
        z = tl.load(x + at, mask=inside, other=0.0).to(tl.float32) * scale[None, :] + offset[None, :]
        if SWISH:
            z = z * tl.sigmoid(z)
        tl.store(y + at, z.to(y.dtype.element_ty), mask=inside)


@triton.jit
def _facts(shift, weight, bias, stats, b, c, real, WIDE: tl.constexpr, SHIFTED: tl.constexpr):
    """For each channel: the mean, as x has it, the reciprocal of the deviation, weight and bias."""
    group = tl.arange(0, 32)
    mean = _each(tl.load(stats + b * 64 + group), WIDE)
    reciprocal = _each(tl.load(stats + b * 64 + 32 + group), WIDE)
    if SHIFTED:
        mean -= tl.load(shift + c, mask=real, other=0.0)
    w, offset = tl.load(weight + c, mask=real, other=0.0), tl.load(bias + c, mask=real, other=0.0)
    return mean, reciprocal, w, offset


@triton.jit
def _of_normalised(x, g, at, inside, mean, reciprocal, w, offset, SWISH: tl.constexpr):
    """Values, normalised, and the gradients that reach them by way of weight and swish."""
    v = (tl.load(x + at, mask=inside, other=0.0).to(tl.float32) - mean[None, :]) * reciprocal[None, :]
    d = tl.load(g + at, mask=inside, other=0.0).to(tl.float32)
    if SWISH:
        z = v * w[None, :] + offset[None, :]
        s = tl.sigmoid(z)
        d = d * s * (1 + z * (1 - s))
    return v, d * w[None, :]


@triton.jit(do_not_specialize=SIZES)
def _back_sum(
    x, g, shift, weight, bias, stats, partial, rows, each, STEP: tl.constexpr, C: tl.constexpr,
    PER: tl.constexpr, WIDE: tl.constexpr, SHIFTED: tl.constexpr, SWISH: tl.constexpr,
):  # fmt: skip
    tile, b, tiles = tl.program_id(0), tl.program_id(1), tl.num_programs(0)
    c, real = _channels(PER, WIDE)
    mean, reciprocal, w, offset = _facts(shift, weight, bias, stats, b, c, real, WIDE, SHIFTED)
    one, two = tl.zeros([STEP, 32 * WIDE], tl.float32), tl.zeros([STEP, 32 * WIDE], tl.float32)
    for block in range(tile * each, (tile + 1) * each):
        r = block * STEP + tl.arange(0, STEP)
        at, inside = _block(b, r, c, real, rows, C, PER, WIDE)
        v, d = _of_normalised(x, g, at, inside, mean, reciprocal, w, offset, SWISH)
        one += d
        two += d * v
    _store_sums(one, two, partial, tile, b, tiles, WIDE)


@triton.jit(do_not_specialize=SIZES)
def _back(
    x, g, shift, weight, bias, stats, partial, extra, dx, rows, tiles, each, count, T: tl.constexpr,
    STEP: tl.constexpr, C: tl.constexpr, PER: tl.constexpr, WIDE: tl.constexpr, SHIFTED: tl.constexpr,
    SWISH: tl.constexpr, EXTRA: tl.constexpr,
):  # fmt: skip
    tile, b = tl.program_id(0), tl.program_id(1)
    one, two = _load_sums(partial, b, tiles, T)
    c, real = _channels(PER, WIDE)
    mean, reciprocal, w, offset = _facts(shift, weight, bias, stats, b, c, real, WIDE, SHIFTED)
    one, two = _each(one / count, WIDE), _each(two / count, WIDE)
    for block in range(tile * each, (tile + 1) * each):
        r = block * STEP + tl.arange(0, STEP)
        at, inside = _block(b, r, c, real, rows, C, PER, WIDE)
        v, d = _of_normalised(x, g, at, inside, mean, reciprocal, w, offset, SWISH)
        d = (d - one[None, :] - v * two[None, :]) * reciprocal[None, :]
        if EXTRA:
            d += tl.load(extra + at, mask=inside, other=0.0).to(tl.float32)
        tl.store(dx + at, d.to(dx.dtype.element_ty), mask=inside)


class Tiles:
    """How pictures [b, h, w, c] are cut up for programs, each of which goes through some blocks of rows."""

    def __init__(self, pictures: Tensor) -> None:
        self.batch, height, width, self.channels = pictures.shape
        self.rows = height * width
        self.per = self.channels // GROUPS
        self.wide = triton.next_power_of_2(self.per)
        self.step = max(1, BLOCK // (GROUPS * self.wide))
        blocks = triton.cdiv(self.rows, self.step)
        self.each, self.read_each = (triton.cdiv(blocks, most) for most in (MOST_TILES, MOST_READERS))
        self.tiles = triton.cdiv(blocks, self.each)
        self.grid = self.tiles, self.batch
        self.readers = triton.cdiv(blocks, self.read_each), self.batch
        self.folded = 1 if self.tiles > FEW_TILES else self.tiles
        self.count = float(self.rows * self.per)
        self.sizes = self.step, self.channels, self.per, self.wide

    def empty_sums(self, like: Tensor) -> Tensor:
        """Room for two sums of each group and tile, float32 [b, tiles, 2, 32]."""
        return like.new_empty(self.batch, self.tiles, 2, GROUPS, dtype=torch.float32)

    def few(self, sums: Tensor) -> Tensor:
        """The sums of few tiles, [b, folded, 2, 32], of those of all."""
        if self.folded == self.tiles:
            return sums
        folded = sums.new_empty(self.batch, 1, 2, GROUPS)
        _fold[(self.batch,)](sums, folded, self.tiles, MOST_TILES, num_warps=WARPS)
        return folded


def added(x: Tensor, h: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """x + h + bias of pictures [b, h, w, c] and biases float32 [c], and the sums that a `GroupNorm` needs."""
    cut = Tiles(x)
    y, sums = x.new_empty(x.shape), cut.empty_sums(x)
    _sum[cut.grid](x, h, bias, y, sums, cut.rows, cut.each, *cut.sizes, True, True, num_warps=WARPS)
    return y, cut.few(sums)


class GroupNorm:
    """A group normalisation, and the swish behind it, of pictures to which biases are still to be added."""

    def __init__(self, norm: nn.GroupNorm, swish: bool, shift: Tensor | None = None) -> None:
        assert norm.weight is not None and norm.bias is not None
        self.weight, self.bias = norm.weight.detach().float(), norm.bias.detach().float()
        self.eps, self.swish, self.shifted = norm.eps, swish, shift is not None
        self.shift = self.weight if shift is None else shift

    def there(self, x: Tensor, sums: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """What becomes of pictures [b, h, w, c], and statistics for `back`. `sums` are those of `added`."""
        cut = Tiles(x)
        if sums is None:
            sums = cut.empty_sums(x)
            facts = x, x, self.shift, x, sums, cut.rows, cut.each, *cut.sizes
            _sum[cut.grid](*facts, False, self.shifted, num_warps=WARPS)
            sums = cut.few(sums)
        y, stats = x.new_empty(x.shape), sums.new_empty(cut.batch, 2, GROUPS)
        _normalise[cut.readers](
            x, self.shift, self.weight, self.bias, sums, stats, y, cut.rows, cut.folded, cut.read_each,
            cut.count, self.eps, FEW_TILES, *cut.sizes, self.shifted, self.swish, num_warps=WARPS,
        )  # fmt: skip
        return y, stats

    def back(self, gradient: Tensor, x: Tensor, stats: Tensor, extra: Tensor | None = None) -> Tensor:
        """The gradient of x, and `extra`, the one by other ways, added to it."""
        cut = Tiles(x)
        sums, dx = cut.empty_sums(x), x.new_empty(x.shape)
        facts = x, gradient, self.shift, self.weight, self.bias, stats
        _back_sum[cut.grid](
            *facts, sums, cut.rows, cut.each, *cut.sizes, self.shifted, self.swish, num_warps=WARPS
        )
        _back[cut.readers](
            *facts, cut.few(sums), x if extra is None else extra, dx, cut.rows, cut.folded, cut.read_each,
            cut.count, FEW_TILES, *cut.sizes, self.shifted, self.swish, extra is not None, num_warps=WARPS,
        )  # fmt: skip
        return dx
