"""The pair's CLIP: the distilled text tower and a picture tower that learns to agree with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
import yaml
from safetensors.torch import load_file, save_file
from torch import Tensor

from songreel.ground.files import replacing
from songreel.models import perceptor
from songreel_starter import distil, picture_towers
from songreel_starter.picture_towers import Recipe, Training
from songreel_starter.pool import Pool
from songreel_starter.things import Library

AT_ONCE = 512  # texts
STEERING_NOISE = (
    0.25  # of the cutouts it will judge: less than it learned from, more than published CLIPs bear
)
TEXT_ONLY = ("teacher.directions",)  # what the distilled tower's file holds beside CLIP's own tensors


@dataclass(frozen=True)
class Tower:
    """A ModifiedResNet of CLIP. `clip.model.build_model` infers all of it from the weights."""

    width: int = 24
    layers: tuple[int, ...] = (1, 1, 1, 1)
    side: int = 64  # pixels, a multiple of 32


def train(pool: Pool, library: Library, text: Path, tower: Tower, recipe: Recipe, target: Path) -> None:
    """Train the picture tower beside a distilled text tower and write both, with CLIP's names and YAML."""
    words = {name: value for name, value in load_file(text).items() if name not in TEXT_ONLY}
    built = arguments(words, tower)
    torch.manual_seed(recipe.seed)
    clip = perceptor.build(built).float()
    clip.load_state_dict(words, strict=False)

    def embed(texts: Sequence[str]) -> Tensor:
        return embed_texts(clip, texts)

    training = Training(clip.visual, tower.side, pool, embed(pool.captions), library, embed, recipe)
    averaged = picture_towers.train(training, target)
    scale = training.scale.detach().cpu()
    tensors = {f"visual.{name}": value for name, value in averaged.items()} | words | {"logit_scale": scale}
    described = {"model": {"target": "clip.model.CLIP", "params": built, "noise": STEERING_NOISE}}
    with replacing(target) as temporary, replacing(target.with_suffix(".yaml")) as beside:
        beside.write_text(yaml.safe_dump(described), encoding="utf-8")
        save_file(tensors, temporary)


@torch.no_grad()
def embed_texts(clip: Any, texts: Sequence[str]) -> Tensor:
    """Unit vectors float32 [n, d] of any number of texts."""
    ids = distil.tokens(texts, len(clip.positional_embedding))
    order = (ids != 0).sum(1).argsort()  # texts of a length together
    embedded = torch.cat([distil.encode(clip, part) for part in torch.split(ids[order], AT_ONCE)])
    return F.normalize(torch.empty_like(embedded).index_copy_(0, order, embedded), dim=-1)


def arguments(words: dict[str, Tensor], tower: Tower) -> dict[str, Any]:
    """What CLIP is built from, by the tensors of its text tower."""
    context, width = words["positional_embedding"].shape
    layers = {name.split(".")[2] for name in words if name.startswith("transformer.resblocks.")}
    return {
        "embed_dim": words["text_projection"].shape[1],
        "image_resolution": tower.side,
        "vision_layers": list(tower.layers),
        "vision_width": tower.width,
        "vision_patch_size": None,
        "context_length": context,
        "vocab_size": words["token_embedding.weight"].shape[0],
        "transformer_width": width,
        "transformer_heads": max(1, width // 64),
        "transformer_layers": len(layers),
    }
