"""Bring a model's weights into the cache: downloaded if they are published, and converted, once."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from torch import Tensor

from songreel import catalogue, checkpoints, digests, download, weights
from songreel.digests import Tell
from songreel.errors import UserError
from songreel.files import write_if_changed
from songreel.weights import Weights


def vqgan(name: str, tell: Tell) -> Weights:
    """The VQGAN of that name or path, ready to load. Raises UserError when it cannot be had."""
    checkpoint = _fetched(name, catalogue.vqgan(name), tell)
    found = weights.vqgan(name)
    weights.architecture(found)
    if not found.tensors.exists():
        tell(f"{name}: converting {checkpoint.name} to safetensors.")
        checkpoints.convert(checkpoint, found.tensors, checkpoints.first_stage)
    return found


def perceptor(name: str, tell: Tell) -> Weights:
    """The CLIP of that name or path, ready to load. Raises UserError when it cannot be had."""
    checkpoint = _fetched(name, catalogue.perceptor(name), tell)
    found = weights.perceptor(name)
    if not found.tensors.exists():
        tell(f"{name}: converting {checkpoint.name} to safetensors.")
        state = checkpoints.clip_state(checkpoints.tensors(checkpoint))
        model = {"target": "clip.model.CLIP", "params": _clip_params(state, checkpoint)}
        write_if_changed(found.architecture, yaml.safe_dump({"model": model}).encode())
        checkpoints.convert(checkpoint, found.tensors, checkpoints.clip_state)
    return found


def context(checkpoint: Path) -> int:
    """The tokens that the context of an own CLIP holds. Raises UserError when the file is no CLIP."""
    state = checkpoints.clip_state(checkpoints.tensors(checkpoint))
    return int(_clip_params(state, checkpoint)["context_length"])


def model(name: str, tell: Tell) -> Weights:
    """The VQGAN or CLIP of that name or path, ready to load. Raises UserError when it cannot be had."""
    known = [*weights.VQGANS, *catalogue.vqgans(), *catalogue.perceptors()]
    if name not in known and not name.endswith(weights.SUFFIXES):
        raise UserError(
            f"fetch: found {name!r}, expected one of {', '.join(known)}, or the path of a checkpoint; correct"
            f" the name."
        )
    beside = not catalogue.perceptor(name) and Path(name).with_suffix(".yaml").is_file()
    is_vqgan = name in weights.VQGANS or catalogue.vqgan(name) or beside
    return vqgan(name, tell) if is_vqgan else perceptor(name, tell)


def _fetched(name: str, published: catalogue.Published | None, tell: Tell) -> Path:
    """The checkpoint of a published model, once all its files are in the cache; of any other, its path."""
    path = Path(name)
    for remote in published.files if published else ():
        path = download.fetch(remote, digests.cache_folder(), tell)
    return path


def _clip_params(state: Mapping[str, Tensor], checkpoint: Path) -> dict[str, Any]:
    """What `clip.model.CLIP` is built from, inferred from its weights as clip's own `build_model` does."""
    with contextlib.suppress(KeyError):
        return {
            "embed_dim": state["text_projection"].shape[1],
            **(_vit(state) if "visual.proj" in state else _resnet(state)),
            "context_length": len(state["positional_embedding"]),
            "vocab_size": len(state["token_embedding.weight"]),
            "transformer_width": len(state["ln_final.weight"]),
            "transformer_heads": max(1, len(state["ln_final.weight"]) // 64),
            "transformer_layers": _count(state, "transformer.resblocks."),
        }
    raise UserError(
        f"{checkpoint}: found no tensors of a CLIP, expected a checkpoint of OpenAI's; choose another file."
    )


def _vit(state: Mapping[str, Tensor]) -> dict[str, Any]:
    width, _, patch, _ = state["visual.conv1.weight"].shape
    grid = round((len(state["visual.positional_embedding"]) - 1) ** 0.5)
    return {
        "image_resolution": patch * grid,
        "vision_layers": _count(state, "visual.transformer.resblocks."),
        "vision_width": width,
        "vision_patch_size": patch,
    }


def _resnet(state: Mapping[str, Tensor]) -> dict[str, Any]:
    grid = round((len(state["visual.attnpool.positional_embedding"]) - 1) ** 0.5)
    return {
        "image_resolution": 32 * grid,
        "vision_layers": [_count(state, f"visual.layer{stage}.") for stage in (1, 2, 3, 4)],
        "vision_width": len(state["visual.layer1.0.conv1.weight"]),
        "vision_patch_size": None,
    }


def _count(state: Mapping[str, Tensor], prefix: str) -> int:
    """How many numbered modules there are under a prefix."""
    return len({name.removeprefix(prefix).split(".")[0] for name in state if name.startswith(prefix)})
