"""Every published architecture, by its true config at a reduced width, with random weights."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from songreel.models import catalogue
from songreel.models.catalogue import Catalogue, Published, Remote
from songreel.models.perceptor import build
from songreel.models.vqgan import VQGAN
from tests import checkpoints
from tests.server import Answer, Server

CODES = 32  # instead of thousands, wherever a codebook's own size does not matter
WIDTH = 32  # of latents and of the narrowest layers, as narrow as taming's 32 groups allow


def vqgan_config(ch_mult: list[int], attention: list[int], codes: int, target: str, **over: Any) -> Any:
    """What taming's YAML says of a VQGAN."""
    ddconfig = {
        "double_z": False,
        "z_channels": WIDTH,
        "resolution": 256,
        "in_channels": 3,
        "out_ch": 3,
        "ch": WIDTH,
        "ch_mult": ch_mult,
        "num_res_blocks": 2,
        "attn_resolutions": attention,
        "dropout": 0.0,
    }
    loss = {"target": "taming.modules.losses.vqperceptual.DummyLoss"}
    params = {"embed_dim": WIDTH, "n_embed": codes, "ddconfig": ddconfig | over, "lossconfig": loss}
    return {"target": f"taming.models.vqgan.{target}", "params": params}


F16, F8 = [1, 1, 2, 2, 4], [1, 1, 2, 4]
VQGANS: dict[str, Any] = {
    "imagenet-16384": vqgan_config(F16, [16], 16384, "VQModel"),
    "openimages-8192": vqgan_config(F8, [32], 8192, "GumbelVQ"),
    "sflckr": vqgan_config(F16, [16], 1024, "VQModel"),
    "wikiart-16384": vqgan_config(F16, [16], 16384, "VQModel"),
    "coco": vqgan_config(F16, [16], 8192, "VQModel"),
}


def clip_config(side: int, layers: Any, patch: int | None) -> dict[str, Any]:
    """What clip.model.CLIP takes: all as published but for the widths and the text tower's depth."""
    vit = patch is not None
    return {
        "embed_dim": 32,
        "image_resolution": side,
        "vision_layers": layers,
        "vision_width": 64 if vit else 8,
        "vision_patch_size": patch,
        "context_length": 77,
        "vocab_size": 49408,
        "transformer_width": 64,
        "transformer_heads": 1,
        "transformer_layers": 2,
    }


PERCEPTORS = {
    "ViT-B/32": clip_config(224, 12, 32),
    "ViT-B/16": clip_config(224, 12, 16),
    "ViT-L/14": clip_config(224, 24, 14),
    "ViT-L/14@336px": clip_config(336, 24, 14),
    "RN50": clip_config(224, (3, 4, 6, 3), None),
    "RN101": clip_config(224, (3, 4, 23, 3), None),
    "RN50x4": clip_config(288, (4, 6, 10, 6), None),
    "RN50x16": clip_config(384, (6, 8, 18, 8), None),
    "RN50x64": clip_config(448, (3, 15, 36, 10), None),
}


def vqgan_state(config: Any) -> dict[str, Tensor]:
    """Random weights for a VQGAN."""
    torch.manual_seed(0)
    params = {key: config["params"][key] for key in ("ddconfig", "n_embed", "embed_dim")}
    state: dict[str, Tensor] = VQGAN(**params, gumbel=config["target"].endswith("GumbelVQ")).state_dict()
    return state


def write_vqgan(name: str, checkpoint: Path) -> Path:
    """Write a VQGAN's checkpoint and, beside it, its YAML, in the formats in which that one is published."""
    config = VQGANS[name]
    state = vqgan_state(config)
    if name == "sflckr":
        checkpoints.transformer_with_first_stage(checkpoint, state)
        target = "taming.models.cond_transformer.Net2NetTransformer"
        config = {"target": target, "params": {"first_stage_config": config, "transformer_config": {}}}
    else:
        checkpoints.lightning(checkpoint, state | checkpoints.losses())
    yaml_file = checkpoint.with_suffix(".yaml")
    yaml_file.write_text(yaml.safe_dump({"model": config, "data": {"params": {"batch_size": 8}}}))
    return checkpoint


def write_clip(name: str, checkpoint: Path) -> Path:
    """Write a CLIP as OpenAI publishes them: a TorchScript archive in half precision."""
    torch.manual_seed(0)
    return checkpoints.archive(build(PERCEPTORS[name]), PERCEPTORS[name], checkpoint)


def served(server: Server, folder: Path, name: str, *answers: Answer) -> Published:
    """The model of that name, served from this machine with files that are written to a folder."""
    real = catalogue.vqgan(name) or catalogue.perceptor(name)
    assert real
    if real.kind == "vqgan":
        checkpoint = write_vqgan(name, folder / f"{name}.ckpt")
        contents = [checkpoint.with_suffix(".yaml").read_bytes(), checkpoint.read_bytes()]
    else:
        contents = [write_clip(name, folder / "clip.pt").read_bytes()]
    remotes = [
        Remote(
            remote.name, (server.serve(f"/{remote.name}", content, *answers),), len(content), _sha256(content)
        )
        for remote, content in zip(real.files, contents, strict=True)
    ]
    return Published(name, real.kind, tuple(remotes), real.look, real.licence, real.codebook, real.factor)


def listing(*models: Published) -> Callable[[], Catalogue]:
    """A catalogue of these models, to put in the place of the real one."""
    kinds = ({model.name: model for model in models if model.kind == kind} for kind in ("vqgan", "perceptor"))
    found = Catalogue(*kinds)
    return lambda: found


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
