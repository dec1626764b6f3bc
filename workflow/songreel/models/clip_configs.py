"""What a CLIP's own config says of it that its tensors do not: heads, activations, statistics of pixels.

open_clip keeps it in `open_clip_config.json`, Hugging Face in `config.json`. A value that changes what a
tower computes and that songreel's towers do not have is refused by name.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from songreel.ground import files
from songreel.ground.errors import UserError
from songreel.models.config_tables import MOST_LAYERS, Table

OPEN_CLIP, HUGGING_FACE, PIXELS = "open_clip_config.json", "config.json", "preprocessor_config.json"
MOST_BYTES = 1 << 20
WORDS = 49408  # tokens of CLIP's byte pairs, which texts are cut into
EPSILON = 1e-5  # of normalisations
# Numbers that OpenAI keeps as tensors
CLIP_FACTS = ("input_resolution", "context_length", "vocab_size")
MEAN = (
    0.48145466,
    0.4578275,
    0.40821073,
)  # of the pixels that OpenAI trained with (openai/CLIP, clip/clip.py)
STD = (0.26862954, 0.26130258, 0.27577711)
VISION: tuple[str, ...] = (
    "layers",
    "width",
    "head_width",
    "mlp_ratio",
    "patch_size",
    "image_size",
    "pool_type",
)
TEXT: tuple[str, ...] = ("context_length", "vocab_size", "width", "heads", "layers", "mlp_ratio", "pool_type")
MODEL: tuple[str, ...] = (
    "embed_dim",
    "vision_cfg",
    "text_cfg",
    "quick_gelu",
    "custom_text",
    "init_logit_scale",
)
MODEL += ("init_logit_bias", "output_dict", "cast_dtype")


def beside(checkpoint: Path) -> Path | None:
    """The config of a CLIP: `<its stem>.json`, else the one that open_clip or Hugging Face put beside it.

    Raises UserError where both did and the checkpoint's name does not tell whose it is.
    """
    own = checkpoint.with_suffix(".json")
    theirs = {name: checkpoint.with_name(name) for name in (OPEN_CLIP, HUGGING_FACE)}
    present = {name: path for name, path in theirs.items() if path.is_file()}
    if own.is_file():
        return own
    if len(present) < 2:
        return next(iter(present.values()), None)
    if checkpoint.stem.startswith("open_clip"):
        return present[OPEN_CLIP]
    if checkpoint.stem in ("model", "pytorch_model"):
        return present[HUGGING_FACE]
    raise UserError(
        f"{checkpoint}: found {OPEN_CLIP} and {HUGGING_FACE} beside it, expected one config; copy the"
        f" one that is its own to {own.name}."
    )


def is_openais(names: Iterable[str]) -> bool:
    """Whether tensors of these names are those of an archive of OpenAI's, whose architecture is known."""
    return set(CLIP_FACTS) <= set(names)


def is_clip(names: Iterable[str]) -> bool:
    """Whether tensors of these names are those of a CLIP, whoever trained it."""
    return any(name.endswith("token_embedding.weight") for name in names)


def unknown(checkpoint: Path) -> UserError:
    """What to say of a CLIP that has no config and is not OpenAI's."""
    return UserError(
        f"{checkpoint}: found a CLIP whose tensors do not tell its heads and activations, expected its config"
        f" beside it ({OPEN_CLIP}, Hugging Face's {HUGGING_FACE}, or either as"
        f" {checkpoint.with_suffix('.json').name}) or an archive as OpenAI publishes them; put the config"
        " there."
    )


def params(config: Path) -> dict[str, Any]:
    """What a CLIP is built from (see `towers`), by its config. Raises UserError that names a key."""
    table = Table(config, "", _document(config))
    if "model_cfg" in table.fields:
        return _open_clip(table.row("model_cfg"), table.row("preprocess_cfg", {}))
    if "vision_cfg" in table.fields:
        return _open_clip(table, Table(config, "", {}))
    return _hugging_face(table, _pixels(config))


def identity(built: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of what a CLIP is built from, what its tensors do not tell; nothing where it is as with OpenAI's.

    So a checkpoint of OpenAI's kind is the same model with a config and without one.
    """
    width, text = built["vision_width"], built["transformer_width"]
    side, patch = built["image_resolution"], built["vision_patch_size"] or 32
    usual = {
        "image_resolution": side // patch * patch,
        "vision_heads": width * 32 // 64 if isinstance(built["vision_layers"], list) else width // 64,
        "transformer_heads": max(1, text // 64),
        "vision_activation": "quick_gelu",
        "transformer_activation": "quick_gelu",
        "mean": list(MEAN),
        "std": list(STD),
    }
    return {name: built[name] for name, value in usual.items() if built[name] != value}


def _document(path: Path) -> Any:
    try:
        return json.loads(files.read_bytes(path, MOST_BYTES))
    except OSError as error:
        raise UserError(f"{path}: found that it cannot be read ({error.strerror}); mend that.") from None
    except (ValueError, RecursionError):
        raise UserError(
            f"{path}: found what is not JSON, expected a CLIP's config; fetch it again from where the"
            " checkpoint is from."
        ) from None


def _pixels(config: Path) -> Table:
    """Hugging Face's settings of how pictures are prepared; as OpenAI's where there are none."""
    path = config.with_name(PIXELS)
    return Table(path, "", _document(path) if path.is_file() else {})


# open_clip


def _open_clip(model: Table, pixels: Table) -> dict[str, Any]:
    vision, text = model.row("vision_cfg"), model.row("text_cfg", {})
    model.check_known(MODEL)
    activation = "quick_gelu" if model.flag("quick_gelu", False) else "gelu"
    built = {
        "embed_dim": model.count("embed_dim", None),
        **_open_clips_pictures(vision, activation),
        **_open_clips_texts(text, activation),
        **_statistics(pixels, "mean", "std"),
    }
    return _checked(vision, built)


def _open_clips_pictures(vision: Table, activation: str) -> dict[str, Any]:
    vision.check_known(VISION)
    vision.check("pool_type", "tok", "tok")
    layers, width = vision.layers("layers", 12), vision.count("width", 768)
    resnet = isinstance(layers, list)
    return {
        "image_resolution": vision.side("image_size", 224),
        "vision_layers": layers,
        "vision_width": width,
        "vision_patch_size": None if resnet else vision.count("patch_size", 16),
        "vision_heads": width * (32 if resnet else 1) // vision.count("head_width", 64),
        "vision_mlp": int(width * vision.ratio("mlp_ratio", 4.0)),
        # A ResNet's is always another one
        "vision_activation": "quick_gelu" if resnet else activation,
    }


def _open_clips_texts(text: Table, activation: str) -> dict[str, Any]:
    text.check_known(TEXT)
    text.check("pool_type", "argmax", "argmax")
    width = text.count("width", 512)
    return {
        "context_length": text.count("context_length", 77),
        "vocab_size": text.count("vocab_size", WORDS),
        "transformer_width": width,
        "transformer_heads": text.count("heads", 8),
        "transformer_layers": text.count("layers", 12, MOST_LAYERS),
        "transformer_mlp": int(width * text.ratio("mlp_ratio", 4.0)),
        "transformer_activation": activation,
    }


# Hugging Face


def _hugging_face(model: Table, pixels: Table) -> dict[str, Any]:
    model.check("model_type", None, "clip")
    vision = model.row("vision_config", {}).over(model.row("vision_config_dict", {}))
    text = model.row("text_config", {}).over(model.row("text_config_dict", {}))
    vision.check("num_channels", 3, 3)
    # 2 stands for the largest token, in old configs
    text.check("eos_token_id", WORDS - 1, WORDS - 1, 2)
    for tower in (vision, text):
        tower.check("layer_norm_eps", EPSILON, EPSILON)
    pixels.check("do_normalize", True, True)
    width, text_width = vision.count("hidden_size", 768), text.count("hidden_size", 512)
    return _checked(
        vision,
        {
            "embed_dim": model.count("projection_dim", 512),
            "image_resolution": vision.side("image_size", 224),
            "vision_layers": vision.count("num_hidden_layers", 12, MOST_LAYERS),
            "vision_width": width,
            "vision_patch_size": vision.count("patch_size", 32),
            "vision_heads": vision.count("num_attention_heads", 12),
            "vision_mlp": vision.count("intermediate_size", 3072),
            "vision_activation": vision.activation("hidden_act"),
            "context_length": text.count("max_position_embeddings", 77),
            "vocab_size": text.count("vocab_size", WORDS),
            "transformer_width": text_width,
            "transformer_heads": text.count("num_attention_heads", 8),
            "transformer_layers": text.count("num_hidden_layers", 12, MOST_LAYERS),
            "transformer_mlp": text.count("intermediate_size", 2048),
            "transformer_activation": text.activation("hidden_act"),
            **_statistics(pixels, "image_mean", "image_std"),
        },
    )


def _statistics(pixels: Table, mean: str, std: str) -> dict[str, Any]:
    return {"mean": pixels.colours(mean, MEAN), "std": pixels.colours(std, STD)}


def _checked(vision: Table, built: dict[str, Any]) -> dict[str, Any]:
    """The same, once its numbers are known to fit together."""
    towers = [("transformer_width", "transformer_heads")]
    if not isinstance(built["vision_layers"], list):
        towers.append(("vision_width", "vision_heads"))
    for width, heads in towers:
        if not built[heads] or built[width] % built[heads]:
            raise vision.unfit(heads, built[heads], f"heads that divide a width of {built[width]}")
    if built["vocab_size"] < WORDS:
        raise vision.unfit("vocab_size", built["vocab_size"], f"CLIP's {WORDS} tokens or more")
    if min(built["std"]) <= 0:
        raise vision.unfit("std", built["std"], "numbers above 0")
    return built
