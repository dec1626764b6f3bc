"""The networks that are measured: of published sizes, with random weights, so that nothing is downloaded."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from songreel.ground.strategy import Strategy
from songreel.models import perceptor, vqgan, weights
from songreel.models.perceptor import Perceptor
from songreel.models.vqgan import VQGAN
from songreel.models.weights import Weights
from songreel.planning.config import Config, weighed
from songreel.sampling import sampler
from songreel.sampling.sampler import Pull

TEXT = "a red rose"

# The architectures of the models of those names.
IMAGENET_16384: Mapping[str, Any] = {
    "ddconfig": {
        "double_z": False,
        "z_channels": 256,
        "resolution": 256,
        "in_channels": 3,
        "out_ch": 3,
        "ch": 128,
        "ch_mult": [1, 1, 2, 2, 4],
        "num_res_blocks": 2,
        "attn_resolutions": [16],
        "dropout": 0.0,
    },
    "n_embed": 16384,
    "embed_dim": 256,
}
_TEXT_TOWER = {"context_length": 77, "vocab_size": 49408, "transformer_width": 512, "transformer_heads": 8}
VIT_B_32: Mapping[str, Any] = {
    "embed_dim": 512,
    "image_resolution": 224,
    "vision_layers": 12,
    "vision_width": 768,
    "vision_patch_size": 32,
    **_TEXT_TOWER,
    "transformer_layers": 12,
}
RN50: Mapping[str, Any] = {
    "embed_dim": 1024,
    "image_resolution": 224,
    "vision_layers": (3, 4, 6, 3),
    "vision_width": 64,
    "vision_patch_size": None,
    **_TEXT_TOWER,
    "transformer_layers": 12,
}
CLIPS = {"ViT-B/32": VIT_B_32, "RN50": RN50}


@dataclass(frozen=True)
class Bench:
    """How thoroughly to measure, and on what."""

    rounds: int
    seconds: float  # about, for each measurement
    threads: int  # of the CPU
    device: torch.device
    precision: torch.dtype


def published(settings: Config) -> tuple[VQGAN, list[Any]]:
    """A picture maker and CLIPs as they were published, float32 on the CPU."""
    if settings.model == "starter":
        return vqgan.read(weights.vqgan("starter")), [perceptor.read(weights.perceptor("starter"))]
    torch.manual_seed(0)
    maker, clips = VQGAN(**IMAGENET_16384), [perceptor.build(CLIPS[name]) for name in _judges(settings)]
    torch.nn.init.normal_(maker.codebook)  # taming's own start is nearly a point
    return maker.eval().requires_grad_(False), [clip.eval().requires_grad_(False) for clip in clips]


def _judges(settings: Config) -> list[str]:
    return [weighed(entry)[0] for entry in settings.perceptors]


def ready(settings: Config, bench: Bench) -> tuple[VQGAN, list[Pull]]:
    """The same as a job uses them, with places in the CLIPs' spaces to steer to."""
    maker, clips = published(settings)
    pulls = [
        Pull(Perceptor(clip, bench.device, bench.precision), target(clip, bench.device)) for clip in clips
    ]
    return vqgan.ready(maker, bench.device, bench.precision), pulls


def target(clip: Any, device: torch.device) -> Tensor:
    """A place [1, d] in a CLIP's space."""
    towards = torch.randn(1, clip.text_projection.shape[1], generator=torch.Generator().manual_seed(0))
    return F.normalize(towards, dim=-1).to(device)


def canvas(settings: Config, maker: VQGAN) -> Tensor:
    """What a film of these settings starts from, [c, h, w]."""
    return sampler.canvas(maker, (settings.width, settings.height), settings.seed)


def strategy(settings: Config, iterations: int) -> Strategy:
    """The settings' strategy, with so many iterations for a keyframe and none before."""
    return replace(settings.strategy, iterations=iterations, lead_in=0)


def files(settings: Config, folder: Path) -> list[Weights]:
    """Where `save` writes the networks, the VQGAN first."""
    if settings.model == "starter":
        return [weights.vqgan("starter"), weights.perceptor("starter")]
    stems = "vqgan", *(name.replace("/", "-") for name in _judges(settings))
    return [Weights(stem, folder / f"{stem}.safetensors", folder / f"{stem}.yaml", "") for stem in stems]


def save(settings: Config, folder: Path) -> None:
    """Write the networks to where `files` looks for them; the starter's are there."""
    if settings.model == "starter":
        return
    maker, clips = published(settings)
    arguments: Sequence[Any] = [IMAGENET_16384, *(CLIPS[name] for name in _judges(settings))]
    for place, network, built in zip(files(settings, folder), [maker, *clips], arguments, strict=True):
        save_file({key: value.contiguous() for key, value in network.state_dict().items()}, place.tensors)
        place.architecture.write_text(json.dumps({"model": {"params": dict(built)}}), encoding="utf-8")
