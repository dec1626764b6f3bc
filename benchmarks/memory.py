"""The tables of models in docs/models.md, with the memory that each is estimated to take."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from songreel.models import catalogue
from songreel.models.catalogue import Published
from songreel.models.perceptor import build
from songreel.models.vqgan import VQGAN
from songreel.sampling import memory
from tests import published

CUTOUTS = 32
BFLOAT16 = 2  # bytes


def full_vqgan(name: str) -> dict[str, Any]:
    """A published VQGAN at its full width."""
    params: dict[str, Any] = dict(published.VQGANS[name]["params"])
    ddconfig = params["ddconfig"] | {"ch": 128, "z_channels": 256}
    return {"ddconfig": ddconfig, "n_embed": params["n_embed"], "embed_dim": 256}


def full_clip(name: str) -> dict[str, Any]:
    """A published CLIP at its full width."""
    embed, vision, text = {
        "ViT-B/32": (512, 768, 512),
        "ViT-B/16": (512, 768, 512),
        "ViT-L/14": (768, 1024, 768),
        "ViT-L/14@336px": (768, 1024, 768),
        "RN50": (1024, 64, 512),
        "RN101": (512, 64, 512),
        "RN50x4": (640, 80, 640),
        "RN50x16": (768, 96, 768),
        "RN50x64": (1024, 128, 1024),
    }[name]
    widths = {"embed_dim": embed, "vision_width": vision, "transformer_width": text}
    return published.PERCEPTORS[name] | widths | {"transformer_heads": text // 64, "transformer_layers": 12}


def gigabytes(vqgan: dict[str, Any], clip: dict[str, Any], side: int) -> str:
    with torch.device("meta"):
        stored = _bytes(VQGAN(**vqgan)) + _bytes(build(clip))
    needs = memory.needed(vqgan, [clip], stored, (side, side), CUTOUTS, 0, BFLOAT16)
    return f"{needs / memory.GB:.1f} GB"


def _bytes(network: nn.Module) -> int:
    return sum(tensor.nbytes for tensor in (*network.parameters(), *network.buffers()))


def row(model: Published, vqgan: dict[str, Any], clip: dict[str, Any]) -> str:
    download = f"{model.files[-1].bytes / 1e6:.0f} MB"
    cells = (f"`{model.name}`", download, model.look, *(gigabytes(vqgan, clip, side) for side in (256, 512)))
    return f"| {' | '.join(cells)} |"


def main() -> None:
    for name in catalogue.vqgans():
        model = catalogue.vqgan(name)
        assert model
        print(row(model, full_vqgan(name), full_clip("ViT-B/32")))
    for name in catalogue.perceptors():
        judge = catalogue.perceptor(name)
        assert judge
        print(row(judge, full_vqgan("imagenet-16384"), full_clip(name)))


if __name__ == "__main__":
    main()
