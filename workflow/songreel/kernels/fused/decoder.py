"""taming's decoder with pictures channels last throughout, [b, h, w, c], and its way back written out.

Biases that stand before a normalisation are added inside it, those before a sum inside the sum, and the
gradient of what goes past a block inside that of the block's first normalisation.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
import torch.nn.functional as F
from taming.modules.diffusionmodules.model import Decoder, ResnetBlock
from torch import Tensor, nn

from songreel.kernels.fused.kept import Kept, there_and_back
from songreel.kernels.fused.norms import GROUPS, GroupNorm, added

ALIGNED = 32  # channels of a picture that its gradient's convolution is quick with


def fused(decoder: nn.Module) -> nn.Module | None:
    """The same decoder, fused, with the weights it has; None where it is built in an unknown way.

    Its upsampling must have been made `doubling` before.
    """
    return FusedDecoder(decoder) if isinstance(decoder, Decoder) and _known(decoder) else None


def _known(decoder: Any) -> bool:
    blocks = [module for module in decoder.modules() if isinstance(module, ResnetBlock)]
    norms = [module for module in decoder.modules() if isinstance(module, nn.GroupNorm)]
    doubled = [level.upsample for level in decoder.up if hasattr(level, "upsample")]
    return (
        not decoder.give_pre_end
        and decoder.temb_ch == 0
        and all(norm.num_groups == GROUPS for norm in norms)
        and all(block.dropout.p == 0 and not hasattr(block, "conv_shortcut") for block in blocks)
        and all(isinstance(it, nn.ConvTranspose2d) for it in doubled)
    )


class FusedDecoder(nn.Module):
    """Takes latents [b, c, h, w] and makes pictures [b, out, h * f, w * f], as what it is made of."""

    def __init__(self, decoder: Any) -> None:
        super().__init__()
        self.enter = _Conv(decoder.conv_in)
        mid, shift = decoder.mid, decoder.conv_in.bias
        self.parts: list[Any] = [_Block(mid.block_1, shift), _Attention(mid.attn_1), _Block(mid.block_2)]
        for level in reversed(decoder.up):
            shift = None
            for number, block in enumerate(level.block):
                if number == 0 and isinstance(self.parts[-1], _Doubling):
                    shift = self.parts[-1].bias
                self.parts.append(_Block(block, shift if number == 0 else None))
                self.parts += [_Attention(level.attn[number])] if len(level.attn) else []
            self.parts += [_Doubling(level.upsample)] if hasattr(level, "upsample") else []
        self.norm = GroupNorm(decoder.norm_out, swish=True)
        self.out = decoder.conv_out.out_channels
        self.leave = _Conv(_aligned(decoder.conv_out))
        self.bias = self.leave.bias.to(self.leave.weight.dtype)

    def forward(self, latents: Tensor) -> Tensor:
        """Pictures, channels last in memory."""
        return there_and_back(self, latents)

    def there(self, latents: Tensor, kept: Kept) -> Tensor:
        """The pictures of latents."""
        x, sums = self.enter.there(latents.permute(0, 2, 3, 1).contiguous()), None
        for part in self.parts:
            x, sums = part.there(x, sums, kept)
        y, stats = self.norm.there(x, sums)
        kept.push(x, stats)
        made = self.leave.there(y)[..., : self.out] + self.bias[: self.out]
        return made.permute(0, 3, 1, 2)

    def back(self, gradient: Tensor, kept: Kept) -> Tensor:
        """The gradient of latents, from that of their pictures."""
        g = self.leave.back(F.pad(gradient.permute(0, 2, 3, 1), (0, self.leave.out - self.out)))
        g = self.norm.back(g, *kept.pop())
        for part in reversed(self.parts):
            g = part.back(g, kept)
        return self.enter.back(g).permute(0, 3, 1, 2)


@torch.no_grad()
def _aligned(conv: nn.Conv2d) -> nn.Conv2d:
    """The same convolution with channels of nothing behind its own."""
    surplus = -conv.out_channels % ALIGNED
    wide = copy.copy(conv)
    wide._parameters = {}
    wide.out_channels = conv.out_channels + surplus
    assert conv.bias is not None
    wide.weight = nn.Parameter(F.pad(conv.weight, (0, 0, 0, 0, 0, 0, 0, surplus)), requires_grad=False)
    wide.bias = nn.Parameter(F.pad(conv.bias, (0, surplus)), requires_grad=False)
    return wide


class _Conv:
    """A convolution of stride 1 without its bias, which whoever reads its pictures adds."""

    def __init__(self, conv: nn.Conv2d) -> None:
        assert conv.bias is not None
        self.weight = conv.weight.detach().contiguous(memory_format=torch.channels_last)
        self.bias = conv.bias.detach().float()
        assert isinstance(conv.padding, tuple)
        self.padding = list(conv.padding)
        self.out = conv.out_channels

    def there(self, x: Tensor) -> Tensor:
        y = F.conv2d(x.permute(0, 3, 1, 2), self.weight, padding=self.padding)
        return y.permute(0, 2, 3, 1).contiguous()

    def back(self, g: Tensor) -> Tensor:
        shape = g.shape[0], self.weight.shape[1], *g.shape[1:3]
        return _input_gradient(g, shape, self.weight, 1, self.padding, transposed=False)


def _input_gradient(
    g: Tensor, shape: tuple[int, ...], weight: Tensor, stride: int, padding: list[int], transposed: bool
) -> Tensor:
    """The gradient [b, h, w, in] of a convolution's pictures, which were of that shape [b, in, h, w]."""
    once, none = [1, 1], [0, 0]
    # Of what was convolved only shape and layout matter.
    values = torch.empty(shape, dtype=g.dtype, device=g.device, memory_format=torch.channels_last)
    gradient, _, _ = torch.ops.aten.convolution_backward(
        g.permute(0, 3, 1, 2), values, weight, None, [stride, stride], padding, once, transposed, none, 1,
        [True, False, False],
    )  # fmt: skip
    made: Tensor = gradient.permute(0, 2, 3, 1).contiguous()
    return made


class _Doubling:
    """A picture twice as wide and high, without the bias."""

    def __init__(self, double: nn.ConvTranspose2d) -> None:
        assert double.bias is not None
        self.weight = double.weight.detach().contiguous(memory_format=torch.channels_last)
        self.bias = double.bias.detach().float()

    def there(self, x: Tensor, sums: Tensor | None, kept: Kept) -> tuple[Tensor, None]:
        y = F.conv_transpose2d(x.permute(0, 3, 1, 2), self.weight, stride=2, padding=1)
        return y.permute(0, 2, 3, 1).contiguous(), None

    def back(self, g: Tensor, kept: Kept) -> Tensor:
        batch, height, width, _ = g.shape
        shape = batch, self.weight.shape[0], height // 2, width // 2
        return _input_gradient(g, shape, self.weight, 2, [1, 1], transposed=True)


class _Block:
    """Two convolutions, each behind a normalisation, beside a shortcut; `shift` is still to be added to x."""

    def __init__(self, block: Any, shift: Tensor | None = None) -> None:
        shift = None if shift is None else shift.detach().float()
        self.conv1, self.conv2 = _Conv(block.conv1), _Conv(block.conv2)
        self.norm1 = GroupNorm(block.norm1, True, shift)
        self.norm2 = GroupNorm(block.norm2, True, self.conv1.bias)
        self.shortcut, past = None, shift
        if hasattr(block, "nin_shortcut"):
            wide, bias = block.nin_shortcut.weight.detach()[:, :, 0, 0], block.nin_shortcut.bias.detach()
            self.shortcut, past = wide, bias.float() + (0 if shift is None else wide.float() @ shift)
        self.bias = self.conv2.bias if past is None else self.conv2.bias + past

    def there(self, x: Tensor, sums: Tensor | None, kept: Kept) -> tuple[Tensor, Tensor]:
        y, of_x = self.norm1.there(x, sums)
        h = self.conv1.there(y)
        y, of_h = self.norm2.there(h)
        kept.push(x, of_x, h, of_h)
        past = x if self.shortcut is None else F.linear(x, self.shortcut)
        return added(past, self.conv2.there(y), self.bias)

    def back(self, g: Tensor, kept: Kept) -> Tensor:
        x, of_x, h, of_h = kept.pop()
        through = self.norm2.back(self.conv2.back(g), h, of_h)
        past = g if self.shortcut is None else g @ self.shortcut
        return self.norm1.back(self.conv1.back(through), x, of_x, past)


class _Attention:
    """Each pixel looks at all others: one product for queries, keys and values, [b, h * w, 3 * c]."""

    def __init__(self, block: Any) -> None:
        self.norm = GroupNorm(block.norm, swish=False)
        into = (block.q, block.k, block.v)
        self.weight = torch.cat([conv.weight.detach()[:, :, 0, 0] for conv in into])
        self.offset = torch.cat([conv.bias.detach() for conv in into])
        self.leave, self.bias = (
            block.proj_out.weight.detach()[:, :, 0, 0],
            block.proj_out.bias.detach().float(),
        )
        self.scale = block.q.weight.shape[0] ** -0.5

    def there(self, x: Tensor, sums: Tensor | None, kept: Kept) -> tuple[Tensor, Tensor]:
        y, stats = self.norm.there(x, sums)
        looking = F.linear(y, self.weight, self.offset).flatten(1, 2)
        q, k, v = looking.chunk(3, -1)
        shares = torch.softmax(self._times(q, k.transpose(1, 2), self.scale), -1)
        kept.push(x, stats, looking, shares)
        seen = torch.bmm(shares, v).view(x.shape)
        return added(x, F.linear(seen, self.leave), self.bias)

    def back(self, g: Tensor, kept: Kept) -> Tensor:
        x, stats, looking, shares = kept.pop()
        q, k, v = looking.chunk(3, -1)
        seen = (g @ self.leave).flatten(1, 2)
        of_shares = torch.bmm(seen, v.transpose(1, 2))
        scores = torch.ops.aten._softmax_backward_data(of_shares, shares, -1, shares.dtype)
        each = self._times(scores, k, self.scale), self._times(scores.transpose(1, 2), q, self.scale)
        of_looking = torch.cat((*each, torch.bmm(shares.transpose(1, 2), seen)), -1)
        return self.norm.back((of_looking @ self.weight).view(x.shape), x, stats, g)

    @staticmethod
    def _times(a: Tensor, b: Tensor, scale: float) -> Tensor:
        return torch.baddbmm(a.new_zeros(()), a, b, beta=0, alpha=scale)
