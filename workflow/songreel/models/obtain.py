"""Bring a model's weights into the cache: downloaded if they are published, and converted, once."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from torch import Tensor

from songreel.ground.errors import UserError
from songreel.ground.files import set_aside, write_if_changed
from songreel.ground.messages import say
from songreel.models import (
    catalogue,
    checkpoints,
    clip_configs,
    digests,
    download,
    fits,
    naming,
    proofs,
    weights,
)
from songreel.models.config_tables import MOST_LAYERS
from songreel.models.perceptor import build
from songreel.models.vqgan import VQGAN
from songreel.models.weights import Weights


def vqgan(name: str) -> Weights:
    """The VQGAN of that name or path, ready to load. Raises UserError when it cannot be had."""
    sources = _fetched(name, catalogue.vqgan(name))
    checkpoint = sources[-1]
    entry = weights.vqgan(name)
    built = weights.architecture(entry)
    if _to_convert(entry, sources):
        expected = fits.expected(lambda: VQGAN(**built), checkpoint)

        def select(tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
            return fits.checked(
                naming.first_stage(tensors, expected), expected, checkpoint, entry.architecture
            )

        proofs.keep(entry, checkpoints.convert(checkpoint, entry.tensors, select))
    return entry


def perceptor(name: str) -> Weights:
    """The CLIP of that name or path, ready to load. Raises UserError when it cannot be had."""
    published = catalogue.perceptor(name)
    sources = _fetched(name, published)
    checkpoint = sources[-1]
    entry = weights.perceptor(name)
    if _to_convert(entry, sources):
        config = None if published else weights.clip_config(checkpoint)

        def select(tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
            state = naming.clip_state(tensors)
            params = clip_configs.params(config) if config else _clip_params(state, checkpoint)
            expected = fits.expected(lambda: build(params), checkpoint)
            fits.checked(state, expected, checkpoint, config or checkpoint)
            model = {"target": "clip.model.CLIP", "params": params}
            write_if_changed(entry.architecture, yaml.safe_dump({"model": model}).encode())
            return state

        proofs.keep(entry, checkpoints.convert(checkpoint, entry.tensors, select))
    return entry


def context(checkpoint: Path) -> int:
    """The tokens that the context of an own CLIP holds. Raises UserError when the file is no CLIP."""
    config = weights.clip_config(checkpoint)
    if config:
        return int(clip_configs.params(config)["context_length"])
    state = naming.clip_state(checkpoints.tensors(checkpoint))
    return int(_clip_params(state, checkpoint)["context_length"])


def model(name: str) -> Weights:
    """The VQGAN or CLIP of that name or path, ready to load. Raises UserError when it cannot be had."""
    if name in catalogue.DROPPED:
        return weights.vqgan(name)  # which says what became of it
    known = [*weights.VQGANS, *catalogue.vqgans(), *catalogue.perceptors()]
    if name not in known and not name.endswith(weights.SUFFIXES):
        raise UserError(
            f"fetch: found {name!r}, expected one of {', '.join(known)}, or the path of a checkpoint; correct"
            f" the name."
        )
    beside = not catalogue.perceptor(name) and Path(name).with_suffix(".yaml").is_file()
    is_vqgan = name in weights.VQGANS or catalogue.vqgan(name) or beside
    return vqgan(name) if is_vqgan else perceptor(name)


def _to_convert(entry: Weights, sources: Sequence[Path]) -> bool:
    """Whether a model is to be converted: it was not yet, or what it was converted to has changed since."""
    if fault := proofs.fault(entry):
        say(f"{fault}; it is now {set_aside(fault.path).name}, and converted again.")
    if entry.tensors.exists():
        return False
    say(f"{entry.name}: converting {sources[-1].name} to safetensors.")
    for file in sources:
        in_cache = file.parent == digests.cache_folder().absolute()
        digests.check_again(file, digests.record(file) if in_cache else weights.record_of_own(file))
    return True


def _fetched(name: str, published: catalogue.Published | None) -> list[Path]:
    """A published model's files, once all are in the cache, its checkpoint last; of any other, its path."""
    if not published:
        return [Path(name)]
    return [download.fetch(remote, digests.cache_folder()) for remote in published.files]


def _clip_params(state: Mapping[str, Tensor], checkpoint: Path) -> dict[str, Any]:
    """What `clip.model.CLIP` is built from, inferred from its weights as clip's own `build_model` does."""
    with contextlib.suppress(LookupError, TypeError, ValueError):  # tensors of the wrong shape
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
    """How many numbered modules there are under a prefix. Raises ValueError where no model has as many."""
    count = len({name.removeprefix(prefix).split(".")[0] for name in state if name.startswith(prefix)})
    if count > MOST_LAYERS:
        raise ValueError
    return count
