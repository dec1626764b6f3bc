"""CLIP's transformer for pictures, as rows [token, picture, width] throughout, and its way back written out.

Dosovitskiy et al.: An Image is Worth 16x16 Words, 2021. Its first token, of which alone the picture's place
in CLIP's space is read, lies before all others in memory, so that the last block can do without the others.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from songreel.kernels.fused import rows
from songreel.kernels.fused.kept import Kept, there_and_back
from songreel.kernels.fused.rows import LayerNorm


def fused(visual: Any) -> FusedTower | None:
    """The same tower, fused, with the weights it has; None where it is no transformer as known here.

    `perceptor.fuse` must have made its activations a swish, and its normalisations float32.
    """
    blocks = getattr(getattr(visual, "transformer", None), "resblocks", None)
    known = blocks is not None and all(
        isinstance(block.mlp.gelu, nn.SiLU) and block.attn_mask is None for block in blocks
    )
    return FusedTower(visual) if known else None


class FusedTower(nn.Module):
    """Takes patches [n, patches, 3 * patch * patch], as the cutouts come, and gives features [n, d]."""

    def __init__(self, visual: Any) -> None:
        super().__init__()
        self.patch: int = visual.conv1.weight.shape[-1]
        self.input_resolution: int = visual.input_resolution
        self.weight = visual.conv1.weight.detach().flatten(1)  # [width, 3 * patch * patch]
        places = visual.positional_embedding.detach().to(self.weight.dtype)
        self.first = (visual.class_embedding.detach().to(self.weight.dtype) + places[0])[None, None]
        self.places = places[1:, None]  # [patches, 1, width]
        self.before, self.after = LayerNorm(visual.ln_pre), LayerNorm(visual.ln_post)
        blocks = visual.transformer.resblocks
        self.blocks = [_Block(block, last=block is blocks[-1]) for block in blocks]
        self.leave = visual.proj.detach()

    def patches(self, images: Tensor) -> Tensor:
        """Pictures [n, 3, side, side] cut into patches."""
        n, c, side, _ = images.shape
        many, p = side // self.patch, self.patch
        grid = images.view(n, c, many, p, many, p).permute(0, 2, 4, 1, 3, 5)  # [n, y, x, c, p, p]
        return grid.reshape(n, many**2, c * p**2)

    def forward(self, patches: Tensor) -> Tensor:
        """Features [n, d]."""
        return there_and_back(self, patches)

    def there(self, patches: Tensor, kept: Kept) -> Tensor:
        """The features of patches."""
        n, many, _ = patches.shape
        x = patches.new_empty(many + 1, n, self.weight.shape[0])
        x[:1] = self.first
        torch.add(F.linear(patches.transpose(0, 1).contiguous(), self.weight), self.places, out=x[1:])
        kept.push(x)
        (_, x), h, bias = self.before.there(x), None, None
        for block in self.blocks:
            x, h, bias = block.there(x, h, bias, kept)
        x, y = self.after.there(x, h, bias)
        kept.push(x)
        features: Tensor = y[0] @ self.leave
        return features

    def back(self, gradient: Tensor, kept: Kept) -> Tensor:
        """The gradient of patches, from that of their features."""
        (x,) = kept.pop()
        g = self.after.back((gradient @ self.leave.T)[None], x)
        for block in reversed(self.blocks):
            g = block.back(g, kept)
        (x,) = kept.pop()
        of_patches: Tensor = self.before.back(g, x)[1:] @ self.weight
        return of_patches.transpose(0, 1)


class _Block:
    """One of a transformer's blocks, of rows x to which h and a bias are still to be added.

    Behind the attention the last block has rows for the first token only.
    """

    def __init__(self, block: Any, last: bool) -> None:
        self.norm1, self.norm2, self.last = LayerNorm(block.ln_1), LayerNorm(block.ln_2), last
        attn, mlp = block.attn, block.mlp
        self.look = _Attention(attn)
        self.leave, self.bias = attn.out_proj.weight.detach(), attn.out_proj.bias.detach().float()
        self.up, self.offset = mlp.c_fc.weight.detach(), mlp.c_fc.bias.detach()
        self.down, self.after = mlp.c_proj.weight.detach(), mlp.c_proj.bias.detach().float()

    def there(
        self, x: Tensor, h: Tensor | None, bias: Tensor | None, kept: Kept
    ) -> tuple[Tensor, Tensor, Tensor]:
        x, y = self.norm1.there(x, h, bias)
        kept.push(x)
        seen = self.look.there(y, kept)
        if self.last:
            x, seen = x[:1], seen[:1]
        x, y = self.norm2.there(x, F.linear(seen, self.leave), self.bias)
        u = F.linear(y, self.up, self.offset)
        kept.push(x, u)
        return x, F.linear(rows.swish(u), self.down), self.after

    def back(self, g: Tensor, kept: Kept) -> Tensor:
        x, u = kept.pop()
        g = self.norm2.back(rows.swish_back(g @ self.down, u) @ self.up, x, g)
        seen = g @ self.leave
        if self.last:
            seen, g = (_first_of(it, self.look.tokens) for it in (seen, g))
        of_y = self.look.back(seen, kept)
        (x,) = kept.pop()
        return self.norm1.back(of_y, x, g)


def _first_of(row: Tensor, tokens: int) -> Tensor:
    """Rows [tokens, n, width] of which only the first is not nothing."""
    all_rows = row.new_zeros(tokens, *row.shape[1:])
    all_rows[:1] = row
    return all_rows


class _Attention:
    def __init__(self, attn: nn.MultiheadAttention) -> None:
        assert attn.in_proj_weight is not None and attn.in_proj_bias is not None
        self.weight, self.offset = attn.in_proj_weight.detach(), attn.in_proj_bias.detach()
        self.heads, self.per_head = attn.num_heads, attn.head_dim
        self.tokens = 0  # of what came last

    def there(self, y: Tensor, kept: Kept) -> Tensor:
        looking = F.linear(y, self.weight, self.offset)  # [t, n, 3 * width]
        self.tokens = len(y)
        if rows.can_look(self.tokens, self.per_head):
            kept.push(looking, None)
            return rows.look(looking, self.heads)
        with torch.set_grad_enabled(kept.way_back):
            looking.requires_grad_(kept.way_back)
            seen = self._plain(looking)
        kept.push(looking, seen)
        return seen.detach()

    def _plain(self, looking: Tensor) -> Tensor:
        tokens, n, _ = looking.shape
        q, k, v = looking.view(tokens, n, 3, self.heads, self.per_head).permute(2, 1, 3, 0, 4)
        seen = F.scaled_dot_product_attention(q, k, v)  # [n, heads, t, d]
        return seen.permute(2, 0, 1, 3).reshape(tokens, n, -1)

    def back(self, g: Tensor, kept: Kept) -> Tensor:
        looking, seen = kept.pop()
        if seen is None:
            of_looking = rows.look_back(g, looking, self.heads)
        else:
            (of_looking,) = torch.autograd.grad(seen, looking, g)
        return of_looking @ self.weight
