"""The judge: CLIP, which places pictures and words in one space.

Radford et al.: Learning Transferable Visual Models From Natural Language Supervision, 2021.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn import LayerNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval

from songreel.kernels import convolutions, cutouts, fused
from songreel.models import towers
from songreel.models.clip_configs import MEAN, STD
from songreel.models.tokens import ENDS, tokenizer
from songreel.models.tokens import clip_module as _clip
from songreel.models.vqgan import Blank, load_strictly
from songreel.models.weights import Weights, hint, params

GELU = 1.702  # of CLIP's activation, x * sigmoid(1.702 x)


class Perceptor:
    """A CLIP whose text tower runs in float32 and whose picture tower runs in the device's precision."""

    def __init__(
        self, clip: Any, device: torch.device, dtype: torch.dtype, noise: float | None = None
    ) -> None:
        self.clip = clip.float().eval().requires_grad_(False).to(device)
        _fold_batch_norms(self.clip.visual)
        if device.type == "cuda":
            fuse(self.clip.visual)
        self.clip.visual.to(dtype=dtype, memory_format=torch.channels_last)
        for module in self.clip.visual.modules():
            if isinstance(module, LayerNorm) and type(module) is not LayerNorm:
                module.float()  # clip normalises in float32, whatever goes in and comes out
        if device.type == "cpu":
            convolutions.pack(self.clip.visual)
        self.dtype = dtype
        # The most noise that its cutouts get; None: what published ones are given.
        self.noise = cutouts.NOISE if noise is None else noise
        self.tower: Any = self.clip.visual
        self.fused = fused.usable(device)
        if self.fused:
            from songreel.kernels.fused import tower

            self.tower = tower.fused(self.clip.visual) or self.clip.visual
        self.side: int = self.clip.visual.input_resolution  # pixels
        self.mean = torch.tensor(getattr(clip, "mean", MEAN), device=device).view(1, 3, 1, 1)
        self.std = torch.tensor(getattr(clip, "std", STD), device=device).view(1, 3, 1, 1)

    @torch.no_grad()
    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors float32 [len(texts), d]. A text longer than the context is cut at its end."""
        # CLIP's own `encode_text` would cast the words to the picture tower's precision.
        context = self.clip.positional_embedding.shape[0]
        tokens = tokenize(texts, context).to(self.mean.device)
        # [n, context, width]
        embedded = self.clip.token_embedding(tokens) + self.clip.positional_embedding
        hidden = self.clip.transformer(embedded.permute(1, 0, 2)).permute(1, 0, 2)
        at_end = self.clip.ln_final(hidden)[torch.arange(len(texts)), tokens.argmax(-1)]
        return F.normalize(at_end @ self.clip.text_projection, dim=-1)

    def embed_images(self, images: Tensor) -> Tensor:
        """Unit vectors float32 [n, d] of pictures [n, 3, side, side] in 0..1."""
        pixels = ((images - self.mean) / self.std).to(self.dtype)
        return self._embedded(self.tower.patches(pixels) if hasattr(self.tower, "patches") else pixels)

    def look(self, count: int, size: tuple[int, int], most: int) -> cutouts.Look:
        """What makes `count` cutouts of pictures of that height and width, in each of `most` iterations."""
        if not self.fused:
            return cutouts.Look(count, self.side, self.noise)
        from songreel.kernels.fused.cutouts import FusedLook

        patch, normal = getattr(self.tower, "patch", self.side), (self.mean, self.std)
        return FusedLook(count, self.side, patch, size, most, self.noise, normal, self.dtype)

    def embed_seen(self, cutouts: Tensor) -> Tensor:
        """Unit vectors float32 [n, d] of what `look` made."""
        return self._embedded(cutouts) if self.fused else self.embed_images(cutouts)

    def _embedded(self, pixels: Tensor) -> Tensor:
        """Of normalised pictures [n, 3, side, side], or of the patches that a fused tower takes."""
        if pixels.dim() == 4:
            pixels = pixels.contiguous(memory_format=torch.channels_last)
        return F.normalize(self.tower(pixels).float(), dim=-1)


def load(weights: Weights, device: torch.device, dtype: torch.dtype) -> Perceptor:
    """The perceptor ready to judge. Raises UserError when the tensors do not fit the architecture."""
    clip = read(weights, mapped=device.type != "cpu")
    return Perceptor(clip, device, dtype, hint(weights, "noise"))


def read(weights: Weights, mapped: bool = False) -> Any:
    """CLIP as it was published, float32 on the CPU. Raises UserError as `load` does.

    Its tensors are `mapped` from the file where they only are to be moved on.
    """
    with Blank():
        clip = build(params(weights))
    load_strictly(clip, weights, mapped)
    return clip.eval().requires_grad_(False)


def build(arguments: Mapping[str, Any]) -> Any:
    """A CLIP with random weights, from what its YAML says."""
    # clip's own `build_model` cannot infer the starter's number of heads
    return towers.build(_clip("model"), arguments)


def _fold_batch_norms(visual: nn.Module) -> None:
    """Let each convolution of a ResNet do the scaling and shifting of the batch normalisation behind it."""
    # The last: a shortcut's
    pairs = (("conv1", "bn1"), ("conv2", "bn2"), ("conv3", "bn3"), ("0", "1"))
    for module in visual.modules():
        for first, second in pairs:
            conv, norm = (getattr(module, name, None) for name in (first, second))
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(module, first, fuse_conv_bn_eval(conv, norm))
                setattr(module, second, nn.Identity().eval())


def fuse(visual: nn.Module) -> None:
    """Let a transformer's activations and normalisations take one kernel each, for GPUs, held up by memory.

    CLIP's x * sigmoid(1.702 x) is silu(1.702 x) / 1.702: the linear maps around it do the scaling. Its
    normalisation converts to float32 and back, where PyTorch's own does so inside.
    """
    for module in list(visual.modules()):
        for name, child in module.named_children():
            if isinstance(child, LayerNorm):
                setattr(module, name, _plain_norm(child))
        if isinstance(getattr(module, "gelu", None), _clip("model").QuickGELU):
            _scale_activation(module)


def _plain_norm(norm: LayerNorm) -> LayerNorm:
    plain = LayerNorm(norm.normalized_shape, norm.eps)
    plain.weight, plain.bias = norm.weight, norm.bias
    return plain


@torch.no_grad()
def _scale_activation(layers: Any) -> None:
    for into in (layers.c_fc.weight, layers.c_fc.bias):
        into.mul_(GELU)
    layers.c_proj.weight.div_(GELU)
    layers.gelu = nn.SiLU()


def tokenize(texts: Sequence[str], context: int) -> Tensor:
    """Byte-pair tokens int64 [n, context]; a text longer than that is cut at its end."""
    encoder = tokenizer().encoder
    start, end = encoder["<|startoftext|>"], encoder["<|endoftext|>"]
    tokens = torch.zeros(len(texts), context, dtype=torch.long)
    for row, text in zip(tokens, texts, strict=True):
        codes = [start, *tokenizer().encode(text)[: context - ENDS], end]
        row[: len(codes)] = torch.tensor(codes)
    return tokens
