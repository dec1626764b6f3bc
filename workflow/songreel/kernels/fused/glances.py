"""The kernels of the cutouts: a picture's halves, their samples, what becomes of them, and the way back.

A program works on some pixels of one cutout. What was decided for that is a row of `FIELDS` numbers: the
homography, the level, the box, the colours' map and offset, the noise's strength.
"""

from __future__ import annotations

import triton
import triton.language as tl

FIELDS: tl.constexpr = tl.constexpr(32)  # of a cutout's row, of which these are used
LEVEL: tl.constexpr = tl.constexpr(9)  # behind the homography
BOX: tl.constexpr = tl.constexpr(10)
COLOURS: tl.constexpr = tl.constexpr(14)
OFFSET: tl.constexpr = tl.constexpr(23)
NOISE: tl.constexpr = tl.constexpr(24)
BLOCK = 1024  # pixels of a program
WARPS = 8


@triton.jit
def _pixels(q, SIDE: tl.constexpr, PATCH: tl.constexpr):
    """Where on a cutout its pixels lie, one patch after another."""
    patch, inner = q // (PATCH * PATCH), q % (PATCH * PATCH)
    x = (patch % (SIDE // PATCH)) * PATCH + inner % PATCH
    y = (patch // (SIDE // PATCH)) * PATCH + inner // PATCH
    return x, y


@triton.jit
def _place(at, length):
    """As `cutouts._place`."""
    mirrored = tl.minimum(tl.maximum(at, -1.0), 1.0) * 2 - at
    return tl.minimum(tl.maximum((mirrored + 1) * (length * 0.5), 0.5), length - 0.5) - 0.5


@triton.jit
def _corners(row, sizes, x, y, SIDE: tl.constexpr):
    """The first of the four pixels that surround each place, the way to the others, and their shares."""
    level = tl.load(row + LEVEL).to(tl.int32)
    start, width, height = (
        tl.load(sizes + 3 * level),
        tl.load(sizes + 3 * level + 1),
        tl.load(sizes + 3 * level + 2),
    )
    u, v = (x.to(tl.float32) + 0.5) * (2 / SIDE) - 1, (y.to(tl.float32) + 0.5) * (2 / SIDE) - 1
    w = tl.maximum(tl.load(row + 6) * u + tl.load(row + 7) * v + tl.load(row + 8), 0.1)
    across = _place((tl.load(row) * u + tl.load(row + 1) * v + tl.load(row + 2)) / w, width.to(tl.float32))
    down = _place((tl.load(row + 3) * u + tl.load(row + 4) * v + tl.load(row + 5)) / w, height.to(tl.float32))
    left, top = tl.floor(across), tl.floor(down)
    right, low = across - left, down - top
    column, line = left.to(tl.int32), top.to(tl.int32)
    first = start + line * width + column
    return first, tl.where(column + 1 < width, 1, 0), tl.where(line + 1 < height, width, 0), right, low


@triton.jit
def _sampled(atlas, first, across, down, right, low, inside):
    upper = tl.load(atlas + first, mask=inside, other=0.0) * (1 - right)
    upper += tl.load(atlas + first + across, mask=inside, other=0.0) * right
    lower = tl.load(atlas + first + down, mask=inside, other=0.0) * (1 - right)
    lower += tl.load(atlas + first + down + across, mask=inside, other=0.0) * right
    return upper * (1 - low) + lower * low


@triton.jit
def _erased(row, x, y, SIDE: tl.constexpr):
    u, v = (x.to(tl.float32) + 0.5) / SIDE, (y.to(tl.float32) + 0.5) / SIDE
    down = tl.abs(v - tl.load(row + BOX)) < tl.load(row + BOX + 2)
    return down & (tl.abs(u - tl.load(row + BOX + 1)) < tl.load(row + BOX + 3))


@triton.jit
def _row(table, step, i, N, FIELDS: tl.constexpr):
    return table + (tl.load(step) * N + i) * FIELDS


@triton.jit
def _total(partial, i, tiles, T: tl.constexpr):
    t = tl.arange(0, T)
    return tl.sum(tl.load(partial + i * tiles + t, mask=t < tiles, other=0.0), 0)


@triton.jit
def halve(source, target, width, W, H, SOURCE, TARGET, BLOCK: tl.constexpr):
    """A picture of W x H from one that is `width` wide, for each of three colours."""
    i, colour = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK), tl.program_id(1)
    inside = i < W * H
    at = source + colour * SOURCE + (i // W) * 2 * width + (i % W) * 2
    left = tl.load(at, mask=inside, other=0.0) + tl.load(at + width, mask=inside, other=0.0)
    right = tl.load(at + 1, mask=inside, other=0.0) + tl.load(at + width + 1, mask=inside, other=0.0)
    tl.store(target + colour * TARGET + i, (left + right) / 4, mask=inside)


@triton.jit
def add_up(
    atlas, AREA, table, step, sizes, partial, N, SIDE: tl.constexpr, PATCH: tl.constexpr, BLOCK: tl.constexpr
):
    """The sums [3, n, tiles] of a cutout's samples, where they are needed: where something is erased."""
    tile, i, tiles = tl.program_id(0), tl.program_id(1), tl.num_programs(0)
    row = _row(table, step, i, N, FIELDS)
    if tl.load(row + BOX + 2) > 0:
        q = tile * BLOCK + tl.arange(0, BLOCK)
        x, y = _pixels(q, SIDE, PATCH)
        inside = q < SIDE * SIDE
        first, across, down, right, low = _corners(row, sizes, x, y, SIDE)
        for colour in tl.static_range(3):
            value = _sampled(atlas + colour * AREA, first, across, down, right, low, inside)
            tl.store(partial + (colour * N + i) * tiles + tile, tl.sum(tl.where(inside, value, 0.0), 0))


@triton.jit
def look(
    atlas, AREA, table, step, sizes, partial, noise, views, means, deviations, N, tiles, SIDE: tl.constexpr,
    PATCH: tl.constexpr, BLOCK: tl.constexpr, T: tl.constexpr,
):  # fmt: skip
    tile, i = tl.program_id(0), tl.program_id(1)
    row = _row(table, step, i, N, FIELDS)
    q = tile * BLOCK + tl.arange(0, BLOCK)
    x, y = _pixels(q, SIDE, PATCH)
    inside = q < SIDE * SIDE
    first, across, down, right, low = _corners(row, sizes, x, y, SIDE)
    red = _sampled(atlas, first, across, down, right, low, inside)
    green = _sampled(atlas + AREA, first, across, down, right, low, inside)
    blue = _sampled(atlas + 2 * AREA, first, across, down, right, low, inside)
    if tl.load(row + BOX + 2) > 0:
        erased = _erased(row, x, y, SIDE)
        pixels = SIDE * SIDE
        red = tl.where(erased, _total(partial, i, tiles, T) / pixels, red)
        green = tl.where(erased, _total(partial + N * tiles, i, tiles, T) / pixels, green)
        blue = tl.where(erased, _total(partial + 2 * N * tiles, i, tiles, T) / pixels, blue)
    patch, inner = q // (PATCH * PATCH), q % (PATCH * PATCH)
    to = views + (patch * N + i) * (3 * PATCH * PATCH) + inner
    strength, offset = tl.load(row + NOISE), tl.load(row + OFFSET)
    for colour in tl.static_range(3):
        c = row + COLOURS + 3 * colour
        value = tl.load(c) * red + tl.load(c + 1) * green + tl.load(c + 2) * blue + offset
        value += strength * tl.load(
            noise + (i * 3 + colour) * SIDE * SIDE + y * SIDE + x, mask=inside, other=0.0
        )
        value = (value - tl.load(means + colour)) / tl.load(deviations + colour)
        tl.store(to + colour * PATCH * PATCH, value.to(views.dtype.element_ty), mask=inside)


@triton.jit
def _uncoloured(g, row, i, q, deviations, inside, N, PATCH: tl.constexpr):
    """The gradient of a cutout's colours before they were changed, from that of the tower's input."""
    patch, inner = q // (PATCH * PATCH), q % (PATCH * PATCH)
    at = g + (patch * N + i) * (3 * PATCH * PATCH) + inner
    one = tl.load(at, mask=inside, other=0.0).to(tl.float32) / tl.load(deviations)
    two = tl.load(at + PATCH * PATCH, mask=inside, other=0.0).to(tl.float32) / tl.load(deviations + 1)
    three = tl.load(at + 2 * PATCH * PATCH, mask=inside, other=0.0).to(tl.float32) / tl.load(deviations + 2)
    c = row + COLOURS
    red = tl.load(c) * one + tl.load(c + 3) * two + tl.load(c + 6) * three
    green = tl.load(c + 1) * one + tl.load(c + 4) * two + tl.load(c + 7) * three
    blue = tl.load(c + 2) * one + tl.load(c + 5) * two + tl.load(c + 8) * three
    return red, green, blue


@triton.jit
def weigh(
    g, table, step, partial, most, deviations, N, SIDE: tl.constexpr, PATCH: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """The largest gradient of each tile, and the sums [3, n, tiles] of those of what was erased."""
    tile, i, tiles = tl.program_id(0), tl.program_id(1), tl.num_programs(0)
    row = _row(table, step, i, N, FIELDS)
    q = tile * BLOCK + tl.arange(0, BLOCK)
    inside = q < SIDE * SIDE
    red, green, blue = _uncoloured(g, row, i, q, deviations, inside, N, PATCH)
    largest = tl.maximum(tl.maximum(tl.abs(red), tl.abs(green)), tl.abs(blue))
    tl.store(most + i * tiles + tile, tl.max(largest, 0))
    if tl.load(row + BOX + 2) > 0:
        x, y = _pixels(q, SIDE, PATCH)
        erased = _erased(row, x, y, SIDE) & inside
        tl.store(partial + i * tiles + tile, tl.sum(tl.where(erased, red, 0.0), 0))
        tl.store(partial + (N + i) * tiles + tile, tl.sum(tl.where(erased, green, 0.0), 0))
        tl.store(partial + (2 * N + i) * tiles + tile, tl.sum(tl.where(erased, blue, 0.0), 0))


@triton.jit
def _scale(most, FINENESS: tl.constexpr, SMALLEST: tl.constexpr):
    # Twice: what was erased adds as much at most
    return FINENESS / tl.maximum(2 * tl.load(most), SMALLEST)


@triton.jit
def _give(totals, value, first, across, down, right, low, inside):
    """Add a gradient's shares to the four pixels that were sampled, as whole numbers."""
    tl.atomic_add(totals + first, (value * (1 - low) * (1 - right)).to(tl.int64), mask=inside, sem="relaxed")
    tl.atomic_add(
        totals + first + across, (value * (1 - low) * right).to(tl.int64), mask=inside, sem="relaxed"
    )
    tl.atomic_add(totals + first + down, (value * low * (1 - right)).to(tl.int64), mask=inside, sem="relaxed")
    tl.atomic_add(
        totals + first + down + across, (value * low * right).to(tl.int64), mask=inside, sem="relaxed"
    )


@triton.jit
def scatter(
    g, totals, AREA, table, step, sizes, partial, most, deviations, N, tiles, SIDE: tl.constexpr,
    PATCH: tl.constexpr, BLOCK: tl.constexpr, T: tl.constexpr, FINENESS: tl.constexpr, SMALLEST: tl.constexpr,
):  # fmt: skip
    tile, i = tl.program_id(0), tl.program_id(1)
    row = _row(table, step, i, N, FIELDS)
    q = tile * BLOCK + tl.arange(0, BLOCK)
    x, y = _pixels(q, SIDE, PATCH)
    inside = q < SIDE * SIDE
    red, green, blue = _uncoloured(g, row, i, q, deviations, inside, N, PATCH)
    if tl.load(row + BOX + 2) > 0:
        erased = _erased(row, x, y, SIDE)
        pixels = SIDE * SIDE
        red = tl.where(erased, 0.0, red) + _total(partial, i, tiles, T) / pixels
        green = tl.where(erased, 0.0, green) + _total(partial + N * tiles, i, tiles, T) / pixels
        blue = tl.where(erased, 0.0, blue) + _total(partial + 2 * N * tiles, i, tiles, T) / pixels
    scale = _scale(most, FINENESS, SMALLEST)
    first, across, down, right, low = _corners(row, sizes, x, y, SIDE)
    _give(totals, red * scale, first, across, down, right, low, inside)
    _give(totals + AREA, green * scale, first, across, down, right, low, inside)
    _give(totals + 2 * AREA, blue * scale, first, across, down, right, low, inside)


@triton.jit
def gather(
    totals, AREA, sizes, most, gradient, W, H, LEVELS: tl.constexpr, BLOCK: tl.constexpr,
    FINENESS: tl.constexpr, SMALLEST: tl.constexpr,
):  # fmt: skip
    """The picture's gradient, of all its halves' totals."""
    i, colour = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK), tl.program_id(1)
    x, y, scale = i % W, i // W, _scale(most, FINENESS, SMALLEST)
    value = tl.zeros([BLOCK], tl.float32)
    for level in tl.static_range(LEVELS):
        start, width, height = (
            tl.load(sizes + 3 * level),
            tl.load(sizes + 3 * level + 1),
            tl.load(sizes + 3 * level + 2),
        )
        column, line = x >> level, y >> level
        there = (column < width) & (line < height) & (i < W * H)
        total = tl.load(totals + colour * AREA + start + line * width + column, mask=there, other=0)
        value += total.to(tl.float32) / (scale * (1 << (2 * level)))
    tl.store(gradient + colour * W * H + i, value, mask=i < W * H)
