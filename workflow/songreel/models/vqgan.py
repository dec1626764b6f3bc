"""The picture maker: taming-transformers' VQGAN, from tokens to pictures and back.

Esser, Rombach, Ommer: Taming Transformers for High-Resolution Image Synthesis, CVPR 2021.
"""

from __future__ import annotations

import contextlib
from typing import Any

import taming.modules.diffusionmodules.model as taming_model
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from taming.modules.diffusionmodules.model import Decoder, Encoder
from taming.modules.vqvae.quantize import VectorQuantizer
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from songreel.ground.errors import UserError
from songreel.kernels import convolutions, devices, fused
from songreel.models.deblocking import Deblocking
from songreel.models.weights import Weights, architecture, hint, readable

# taming writes swish as x * sigmoid(x): the fused function is the same and keeps one activation less.
taming_model.nonlinearity = F.silu


BLOCK = 64  # codes
# What is in memory at once to draw a picture: so many of the largest activations, and matrices of attention
ACTIVATIONS, ATTENTION = 6, 3


class GumbelQuantizer(nn.Module):
    """The codebook of a Gumbel VQGAN, with taming's names: a projection chooses codes for an encoded picture.

    A latent that is optimised has no such projection; its code is the nearest one, as with a plain codebook.
    """

    def __init__(self, n_embed: int, embed_dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(embed_dim, n_embed, 1)
        self.embed = nn.Embedding(n_embed, embed_dim)


class VQGAN(nn.Module):
    """Encoder, codebook and decoder, with taming's names so that its checkpoints load strictly.

    `taming.models.vqgan.VQModel` itself does not import with today's Lightning and downloads LPIPS weights
    when it is built; its parts do neither. With `fold`, encoder and decoder see squares of fold x fold pixels
    as one pixel of more channels: the largest pictures inside, which take most of the time, get smaller. With
    `deblock`, the decoder's squares go through a `Deblocking` of so many channels.
    """

    def __init__(
        self,
        ddconfig: dict[str, Any],
        n_embed: int,
        embed_dim: int,
        gumbel: bool = False,
        fold: int = 1,
        deblock: int = 0,
    ) -> None:
        super().__init__()
        made = 4 * deblock or 3 * fold**2
        ddconfig = {**ddconfig, "in_channels": 3 * fold**2, "out_ch": made}
        with contextlib.redirect_stdout(None):  # taming prints the latent's shape
            self.encoder = Encoder(**ddconfig)
            self.decoder = Decoder(**ddconfig)
        self.quantize = (
            GumbelQuantizer(n_embed, embed_dim) if gumbel else VectorQuantizer(n_embed, embed_dim, beta=0.25)
        )
        self.quant_conv = nn.Conv2d(ddconfig["z_channels"], embed_dim, 1)
        self.post_quant_conv = nn.Conv2d(embed_dim, ddconfig["z_channels"], 1)
        self.fold = fold
        self.channels: int = ddconfig["ch"] * ddconfig["ch_mult"][0]  # of the largest activations
        self.deblocking: Any = Deblocking(fold, deblock) if deblock else nn.PixelShuffle(fold)
        # The contrast of what its films start from; None: what published ones do
        self.canvas: float | None = None
        self.factor = fold * 2 ** (len(ddconfig["ch_mult"]) - 1)
        self.search: Any = None  # what finds codes on a GPU

    @property
    def codebook(self) -> Tensor:
        """The code vectors, float32 [n, c]."""
        quantize = self.quantize
        codes = quantize.embed if isinstance(quantize, GumbelQuantizer) else quantize.embedding
        weight: Tensor = codes.weight
        return weight

    def encode(self, images: Tensor) -> Tensor:
        """Float latents [b, c, h, w] of pictures [b, 3, h*factor, w*factor] in 0..1."""
        pixels = F.pixel_unshuffle(images * 2 - 1, self.fold)
        latents: Tensor = self.quant_conv(self.encoder(pixels))
        return latents

    def tokens(self, images: Tensor) -> Tensor:
        """The tokens int64 [b, h, w] of pictures [b, 3, h*factor, w*factor] in 0..1."""
        latents = self.encode(images)
        if isinstance(self.quantize, GumbelQuantizer):
            chosen: Tensor = self.quantize.proj(latents).argmax(1)
            return chosen
        return self.nearest(latents)

    def decode(self, latents: Tensor) -> Tensor:
        """Pictures float32 [b, 3, h*factor, w*factor], about 0..1, not clamped, of latents [b, c, h, w]."""
        hidden = self.post_quant_conv(latents.to(self.post_quant_conv.weight.dtype))
        squares = self.decoder(hidden.contiguous(memory_format=devices.memory_format(hidden.device)))
        pictures: Tensor = self.deblocking(squares)
        return pictures.float() * 0.5 + 0.5

    def bytes_to_draw(self, height: int, width: int) -> int:
        """Memory that it takes to draw a picture of so many cells, as measured of the published decoder."""
        cells, pixels = height * width, height * width * (self.factor // self.fold) ** 2
        numbers = ACTIVATIONS * self.channels * pixels + ATTENTION * cells**2
        total: int = numbers * self.post_quant_conv.weight.dtype.itemsize
        return total

    def nearest(self, latents: Tensor) -> Tensor:
        """The tokens int64 [b, h, w] whose codes lie nearest to latents [b, c, h, w]."""
        batch, channels, height, width = latents.shape
        vectors = latents.permute(0, 2, 3, 1).reshape(-1, channels)
        if self.search is not None:
            tokens: Tensor = self.search.nearest(vectors)
            return tokens.view(batch, height, width)
        # |c|^2 - 2zc: without |z|^2, which is the same for all codes
        distances = torch.addmm(self.codebook.square().sum(1), vectors, self.codebook.T, alpha=-2)
        return _argmin(distances).view(batch, height, width)

    def embed(self, tokens: Tensor) -> Tensor:
        """The quantised latents float32 [b, c, h, w] of tokens int [b, h, w]."""
        return F.embedding(tokens.long(), self.codebook).permute(0, 3, 1, 2)


def _argmin(rows: Tensor) -> Tensor:
    """`rows.argmin(-1)` of [n, m]: the least of each block first, which takes a CPU a twelfth of it."""
    if rows.shape[1] % BLOCK:
        return rows.argmin(-1)
    blocks = rows.view(len(rows), -1, BLOCK)
    block = blocks.amin(-1).argmin(-1, keepdim=True)  # [n, 1]
    inside = blocks.gather(1, block[..., None].expand(-1, 1, BLOCK))[:, 0].argmin(-1)
    return block[:, 0] * BLOCK + inside


def load(weights: Weights, device: torch.device, dtype: torch.dtype) -> VQGAN:
    """The VQGAN ready to steer. Raises UserError when the tensors do not fit the architecture."""
    return ready(read(weights, mapped=device.type != "cpu"), device, dtype)


def read(weights: Weights, mapped: bool = False) -> VQGAN:
    """The VQGAN as it was published, float32 on the CPU. Raises UserError as `load` does.

    Its tensors are `mapped` from the file where they only are to be moved on.
    """
    with Blank():
        vqgan = VQGAN(**architecture(weights))
    vqgan.canvas = hint(weights, "canvas")
    load_strictly(vqgan, weights, mapped)
    return vqgan.eval().requires_grad_(False)


def ready(vqgan: VQGAN, device: torch.device, dtype: torch.dtype) -> VQGAN:
    """Decoder in `dtype` and made quick, encoder and codebook in float32, no weight gradients."""
    vqgan.to(device)
    for level in vqgan.decoder.up:
        if hasattr(level, "upsample"):
            level.upsample = doubling(level.upsample.conv)
    vqgan.eval().requires_grad_(False)
    for drawing in (vqgan.decoder, vqgan.deblocking):
        drawing.to(dtype=dtype, memory_format=devices.memory_format(device))
    vqgan.post_quant_conv.to(dtype=dtype)
    if device.type == "cpu":
        convolutions.pack(vqgan.decoder)
        convolutions.pack(vqgan.deblocking)
    elif fused.usable(device):
        from songreel.kernels.fused import codes, decoder

        vqgan.decoder = decoder.fused(vqgan.decoder) or vqgan.decoder
        vqgan.search = codes.Codebook(vqgan.codebook)
    return vqgan


@torch.no_grad()
def doubling(conv: nn.Conv2d) -> nn.ConvTranspose2d:
    """What doubling a picture by repeating its pixels and then this 3x3 convolution do, in one step.

    Of the nine pixels that the convolution sees many are the same: four multiplications are left of nine.
    """
    shape = conv.in_channels, conv.out_channels, 4
    with Blank():
        double = nn.ConvTranspose2d(*shape, stride=2, padding=1, device=conv.weight.device)
    kernel = conv.weight.flip(2, 3).transpose(0, 1)  # [in, out, 3, 3]
    shifted = [F.pad(kernel, (x, 1 - x, y, 1 - y)) for x in (0, 1) for y in (0, 1)]
    double.weight.copy_(torch.stack(shifted).sum(0))
    assert conv.bias is not None and double.bias is not None
    double.bias.copy_(conv.bias)
    return double.to(conv.weight.dtype)


class Blank(TorchFunctionMode):
    """Draws no random numbers: those of a network that is built to be loaded take longer than all else."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """What PyTorch calls for every one of its functions."""
        if function in (Tensor.normal_, Tensor.uniform_) or _is_init(function):
            return args[0] if args else (kwargs or {})["tensor"]
        return (torch.empty if function is torch.randn else function)(*args, **(kwargs or {}))


def _is_init(function: Any) -> bool:
    return getattr(function, "__module__", None) == "torch.nn.init"


def load_strictly(module: nn.Module, weights: Weights, mapped: bool = False) -> None:
    """Give a module its tensors from safetensors, float32 on the CPU.

    Raises UserError that names a missing, surplus or misshapen tensor.
    """
    with readable(weights):
        tensors = load_file(weights.tensors)
    # In a mapped file numbers lie at any address, and what a CPU adds up comes out as that has it.
    tensors = {name: it.to(torch.float32, copy=not mapped) for name, it in tensors.items()}
    try:
        module.load_state_dict(tensors, strict=True, assign=True)
    except RuntimeError as error:
        reason = str(error).replace("\n\t", " ").splitlines()[0]
        raise UserError(
            f"{weights.tensors}: the tensors do not fit {weights.architecture.name} ({reason});"
            f" fetch both files from the same place."
        ) from None
