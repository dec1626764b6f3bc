"""CLIP's two towers with the heads, widths and activations that other houses than OpenAI have given them."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from torch import nn

from songreel.models.clip_configs import MEAN, STD

OPENAIS: tuple[str, ...] = (
    "embed_dim",
    "image_resolution",
    "vision_layers",
    "vision_width",
    "vision_patch_size",
)
OPENAIS += ("context_length", "vocab_size", "transformer_width", "transformer_heads", "transformer_layers")
MLP = 4  # times its width is what OpenAI's towers have inside


def build(clip: ModuleType, arguments: Mapping[str, Any]) -> Any:
    """A CLIP with random weights from OpenAI's `clip.model` and its arguments, and these of others:

    `vision_heads`, `vision_mlp` and `transformer_mlp` (the widths inside), `vision_activation` and
    `transformer_activation` (quick_gelu, gelu or gelu_tanh), `mean` and `std` of pixels.
    """
    usual = {name: arguments[name] for name in OPENAIS}
    model = _with_heads(clip, usual, arguments) if "vision_heads" in arguments else clip.CLIP(**usual)
    model.mean, model.std = arguments.get("mean", MEAN), arguments.get("std", STD)
    towers = {"transformer": model.transformer}
    if hasattr(model.visual, "transformer"):
        towers["vision"] = model.visual.transformer
    for name, tower in towers.items():
        for block in tower.resblocks:
            _refit(block, arguments.get(f"{name}_mlp"), arguments.get(f"{name}_activation", "quick_gelu"))
    return model


def _with_heads(clip: ModuleType, usual: Mapping[str, Any], arguments: Mapping[str, Any]) -> Any:
    """OpenAI's class takes 64 channels a head for granted; here a small tower stands in for the right one."""
    stand_in = {"image_resolution": 32, "vision_layers": 1, "vision_width": 64, "vision_patch_size": 32}
    model = clip.CLIP(**{**usual, **stand_in})
    side, layers, width = (usual[name] for name in ("image_resolution", "vision_layers", "vision_width"))
    heads, embedded = arguments["vision_heads"], usual["embed_dim"]
    if isinstance(layers, int):
        patch = usual["vision_patch_size"]
        model.visual = clip.VisionTransformer(side, patch, width, layers, heads, embedded)
    else:
        model.visual = clip.ModifiedResNet(layers, embedded, heads, side, width)
    return model


def _refit(block: Any, inside: int | None, activation: str) -> None:
    width = block.mlp.c_fc.in_features
    if inside not in (None, MLP * width):
        block.mlp.c_fc, block.mlp.c_proj = nn.Linear(width, inside), nn.Linear(inside, width)
    if activation != "quick_gelu":
        block.mlp.gelu = nn.GELU(approximate="tanh" if activation == "gelu_tanh" else "none")
