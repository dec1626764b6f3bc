"""The steps of a transformer between its products, of rows [..., width]: normalising, looking, rectifying.

Ba, Kiros, Hinton: Layer Normalization, 2016. Vaswani et al.: Attention Is All You Need, 2017. A normalisation
also adds what comes before it, and its way back the gradient of what goes past it. Few tokens look at each
other within one program: nothing of their scores goes to memory.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor, nn

MOST_TOKENS = 64  # whose scores fit a program's registers, both ways
WARPS = 4
BLOCK = 2048


@triton.jit
def _norm(
    x, h, bias, weight, offset, total, y, rows, eps, W: tl.constexpr, WIDE: tl.constexpr,
    ROWS: tl.constexpr, ADDED: tl.constexpr,
):  # fmt: skip
    r, k = tl.program_id(0) * ROWS + tl.arange(0, ROWS), tl.arange(0, WIDE)
    real = k < W
    inside = (r[:, None] < rows) & real[None, :]
    at = r[:, None] * W + k[None, :]
    v = tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
    if ADDED:
        v += tl.load(h + at, mask=inside, other=0.0).to(tl.float32)
        v = (v + tl.load(bias + k, mask=real, other=0.0)[None, :]).to(total.dtype.element_ty)
        tl.store(total + at, v, mask=inside)
        v = v.to(tl.float32)
    apart = tl.where(inside, v - (tl.sum(v, 1) / W)[:, None], 0.0)
    reciprocal = 1 / tl.sqrt(tl.sum(apart * apart, 1) / W + eps)
    w, o = tl.load(weight + k, mask=real, other=0.0), tl.load(offset + k, mask=real, other=0.0)
    tl.store(
        y + at, (apart * reciprocal[:, None] * w[None, :] + o[None, :]).to(y.dtype.element_ty), mask=inside
    )


@triton.jit
def _norm_back(
    x, g, weight, extra, dx, rows, eps, W: tl.constexpr, WIDE: tl.constexpr, ROWS: tl.constexpr,
    EXTRA: tl.constexpr,
):  # fmt: skip
    r, k = tl.program_id(0) * ROWS + tl.arange(0, ROWS), tl.arange(0, WIDE)
    real = k < W
    inside = (r[:, None] < rows) & real[None, :]
    at = r[:, None] * W + k[None, :]
    v = tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
    apart = tl.where(inside, v - (tl.sum(v, 1) / W)[:, None], 0.0)
    reciprocal = 1 / tl.sqrt(tl.sum(apart * apart, 1) / W + eps)
    n = apart * reciprocal[:, None]
    d = tl.load(g + at, mask=inside, other=0.0).to(tl.float32)
    d = d * tl.load(weight + k, mask=real, other=0.0)[None, :]
    d = (d - (tl.sum(d, 1) / W)[:, None] - n * (tl.sum(d * n, 1) / W)[:, None]) * reciprocal[:, None]
    if EXTRA:
        d += tl.load(extra + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(dx + at, d.to(dx.dtype.element_ty), mask=inside)


class LayerNorm:
    """A layer normalisation of rows [..., width], float32 inside."""

    def __init__(self, norm: nn.LayerNorm) -> None:
        self.weight, self.offset = norm.weight.detach().float(), norm.bias.detach().float()
        self.eps, self.width = norm.eps, norm.weight.shape[0]
        self.wide = triton.next_power_of_2(self.width)
        self.rows = max(1, BLOCK // self.wide)

    def there(self, x: Tensor, h: Tensor | None = None, bias: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """x + h + bias, or x where nothing is to be added, and that normalised."""
        rows, added = x.numel() // self.width, h is not None
        total, y = (x.new_empty(x.shape) if added else x), x.new_empty(x.shape)
        _norm[(triton.cdiv(rows, self.rows),)](
            x, x if h is None else h, self.weight if bias is None else bias, self.weight, self.offset, total,
            y, rows, self.eps, self.width, self.wide, self.rows, added, num_warps=WARPS,
        )  # fmt: skip
        return total, y

    def back(self, gradient: Tensor, x: Tensor, extra: Tensor | None = None) -> Tensor:
        """The gradient of x, and `extra`, the one by other ways, added to it."""
        rows, dx = x.numel() // self.width, x.new_empty(x.shape)
        _norm_back[(triton.cdiv(rows, self.rows),)](
            x, gradient, self.weight, x if extra is None else extra, dx, rows, self.eps, self.width,
            self.wide, self.rows, extra is not None, num_warps=WARPS,
        )  # fmt: skip
        return dx


@triton.jit
def _shares(looking, n, head, t, d, N, tokens, HEADS: tl.constexpr, D: tl.constexpr, scale):
    """Queries, keys, values [T, D] of a picture and head, and the shares [T, T] of each token in each."""
    at = ((t[:, None] * N + n) * 3 * HEADS + head) * D + d[None, :]
    inside = (t[:, None] < tokens) & (d[None, :] < D)
    q = tl.load(looking + at, mask=inside, other=0.0)
    k = tl.load(looking + at + HEADS * D, mask=inside, other=0.0)
    v = tl.load(looking + at + 2 * HEADS * D, mask=inside, other=0.0)
    scores = tl.dot(q, tl.trans(k), input_precision="ieee") * scale
    scores = tl.where(t[None, :] < tokens, scores, float("-inf"))
    scores = tl.exp(scores - tl.max(scores, 1)[:, None])
    return q, k, v, scores / tl.sum(scores, 1)[:, None]


@triton.jit
def _look(looking, seen, N, tokens, scale, HEADS: tl.constexpr, T: tl.constexpr, D: tl.constexpr):
    n, head, t, d = tl.program_id(0), tl.program_id(1), tl.arange(0, T), tl.arange(0, D)
    _, _, v, p = _shares(looking, n, head, t, d, N, tokens, HEADS, D, scale)
    o = tl.dot(p.to(v.dtype), v, input_precision="ieee")
    to = ((t[:, None] * N + n) * HEADS + head) * D + d[None, :]
    tl.store(seen + to, o.to(seen.dtype.element_ty), mask=t[:, None] < tokens)


@triton.jit
def _look_back(looking, g, of, N, tokens, scale, HEADS: tl.constexpr, T: tl.constexpr, D: tl.constexpr):
    n, head, t, d = tl.program_id(0), tl.program_id(1), tl.arange(0, T), tl.arange(0, D)
    q, k, v, p = _shares(looking, n, head, t, d, N, tokens, HEADS, D, scale)
    inside = t[:, None] < tokens
    o = tl.load(g + ((t[:, None] * N + n) * HEADS + head) * D + d[None, :], mask=inside, other=0.0)
    at = of + ((t[:, None] * N + n) * 3 * HEADS + head) * D + d[None, :]
    dv = tl.dot(tl.trans(p.to(v.dtype)), o, input_precision="ieee")
    tl.store(at + 2 * HEADS * D, dv.to(of.dtype.element_ty), mask=inside)
    dp = tl.dot(o, tl.trans(v), input_precision="ieee")
    ds = (p * (dp - tl.sum(dp * p, 1)[:, None]) * scale).to(q.dtype)
    tl.store(at, tl.dot(ds, k, input_precision="ieee").to(of.dtype.element_ty), mask=inside)
    dk = tl.dot(tl.trans(ds), q, input_precision="ieee")
    tl.store(at + HEADS * D, dk.to(of.dtype.element_ty), mask=inside)


def can_look(tokens: int, per_head: int) -> bool:
    """Whether so many tokens with heads of that width can look at each other in one program."""
    return tokens <= MOST_TOKENS and per_head in (16, 32, 64, 128)


def look(looking: Tensor, heads: int) -> Tensor:
    """What tokens see in each other, [t, n, width], of their queries, keys and values [t, n, 3 * width]."""
    tokens, n, width = looking.shape
    seen = looking.new_empty(tokens, n, width // 3)
    _look[(n, heads)](looking, seen, *_sizes(looking, heads), num_warps=WARPS)
    return seen


def look_back(gradient: Tensor, looking: Tensor, heads: int) -> Tensor:
    """The gradient [t, n, 3 * width] of queries, keys and values, from that of what was seen."""
    of_looking = looking.new_empty(looking.shape)
    _look_back[(looking.shape[1], heads)](
        looking, gradient, of_looking, *_sizes(looking, heads), num_warps=WARPS
    )
    return of_looking


def _sizes(looking: Tensor, heads: int) -> tuple[int, int, float, int, int, int]:
    tokens, n, width = looking.shape
    per_head = width // 3 // heads
    return n, tokens, per_head**-0.5, heads, max(16, triton.next_power_of_2(tokens)), per_head


@triton.jit
def _swish(u, y, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    v = tl.load(u + i, mask=i < n).to(tl.float32)
    tl.store(y + i, (v * tl.sigmoid(v)).to(y.dtype.element_ty), mask=i < n)


@triton.jit
def _swish_back(u, g, dx, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    v, d = tl.load(u + i, mask=i < n).to(tl.float32), tl.load(g + i, mask=i < n).to(tl.float32)
    s = tl.sigmoid(v)
    tl.store(dx + i, (d * s * (1 + v * (1 - s))).to(dx.dtype.element_ty), mask=i < n)


def swish(u: Tensor) -> Tensor:
    """x * sigmoid(x)."""
    y = torch.empty_like(u)
    _swish[(triton.cdiv(u.numel(), BLOCK),)](u, y, u.numel(), BLOCK, num_warps=WARPS)
    return y


def swish_back(gradient: Tensor, u: Tensor) -> Tensor:
    """The gradient of u, written over that of its swish."""
    n = u.numel()
    _swish_back[(triton.cdiv(n, BLOCK),)](u, gradient, gradient, n, BLOCK, num_warps=WARPS)
    return gradient
