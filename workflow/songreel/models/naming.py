"""What a model's tensors are called: taming's and OpenAI's names, found in what other houses save.

Trainers put `module.` or `model.` before names, keep averages (EMA) beside or instead of the weights, and
Hugging Face has names of its own for the same networks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from songreel.models.clip_configs import CLIP_FACTS

VQGAN_PARTS = ("encoder.", "decoder.", "quantize.", "quant_conv.", "post_quant_conv.")
FIRST_STAGE = "first_stage_model."  # of a transformer's checkpoint, which may hold a second VQGAN
# Of a codebook in training
AVERAGING = ("quantize.embedding.cluster_size", "quantize.embedding.embed_avg")
FLAT = "model_ema."  # before the names of averages, which have lost their dots
NO_WEIGHTS = (
    *CLIP_FACTS,
    "attn_mask",
    "position_ids",
    "logit_bias",
)  # what a model makes itself, or never uses

# Patterns of its names, and what OpenAI calls the same
HUGGING_FACE = (
    (r"text_model\.embeddings\.token_embedding\.weight", "token_embedding.weight"),
    (r"text_model\.embeddings\.position_embedding\.weight", "positional_embedding"),
    (r"text_model\.final_layer_norm\.", "ln_final."),
    (r"text_projection\.weight", "text_projection"),
    (r"vision_model\.embeddings\.class_embedding", "visual.class_embedding"),
    (r"vision_model\.embeddings\.patch_embedding\.", "visual.conv1."),
    (r"vision_model\.embeddings\.position_embedding\.weight", "visual.positional_embedding"),
    (r"vision_model\.pre_layrnorm\.", "visual.ln_pre."),
    (r"vision_model\.post_layernorm\.", "visual.ln_post."),
    (r"visual_projection\.weight", "visual.proj"),
    (r"text_model\.encoder\.layers\.", "transformer.resblocks."),
    (r"vision_model\.encoder\.layers\.", "visual.transformer.resblocks."),
    (r"\.self_attn\.out_proj\.", ".attn.out_proj."),
    (r"\.layer_norm([12])\.", r".ln_\1."),
    (r"\.mlp\.fc1\.", ".mlp.c_fc."),
    (r"\.mlp\.fc2\.", ".mlp.c_proj."),
)
THIRD = re.compile(r"(.+)\.self_attn\.q_proj\.(weight|bias)")  # of what OpenAI keeps as one tensor


class AmbiguousError(ValueError):
    """A file holds a model more than once, and nothing tells which is meant."""


def first_stage(tensors: Mapping[str, Tensor], expected: Iterable[str] = ()) -> dict[str, Tensor]:
    """What a VQGAN needs to draw, from its own checkpoint or that of a transformer trained on its tokens.

    `expected` are the names that it has, by which averages without dots are known. Raises AmbiguousError when
    it is there more than once.
    """
    prefixes = _prefixes(tensors, "decoder.conv_out.weight")
    inner = [prefix for prefix in prefixes if prefix.endswith(FIRST_STAGE)]
    state = _below(tensors, _only(inner or prefixes)) if prefixes else _undotted(tensors, expected)
    return {
        name: tensor
        for name, tensor in state.items()
        if name.startswith(VQGAN_PARTS) and name not in AVERAGING
    }


def clip_state(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a CLIP under OpenAI's names, but for numbers and masks that the model makes itself.

    Nothing where there is no CLIP. Raises AmbiguousError when there is more than one.
    """
    if prefixes := _prefixes(tensors, "vision_model.post_layernorm.weight"):
        return _weights(_renamed(_weights(_below(tensors, _only(prefixes)))))
    # open_clip's towers of any kind
    if prefixes := _prefixes(tensors, "text.token_embedding.weight"):
        state = _below(tensors, _only(prefixes))
        return _weights({name.removeprefix("text."): tensor for name, tensor in state.items()})
    if prefixes := _prefixes(tensors, "token_embedding.weight"):
        return _weights(_below(tensors, _only(prefixes)))
    return {}


def _prefixes(tensors: Mapping[str, Tensor], anchor: str) -> list[str]:
    """What stands before a name that only the wanted model has."""
    ends = (name.removesuffix(anchor) for name in tensors if name.endswith(anchor))
    return sorted(prefix for prefix in ends if not prefix or prefix.endswith("."))


def _only(prefixes: list[str]) -> str:
    """The one prefix; none where there are names without, as the weights that are not averages have."""
    if len(prefixes) > 1 and "" not in prefixes:
        raise AmbiguousError(
            f"found the model {len(prefixes)} times, under {' and '.join(prefixes[:4])}, expected it once;"
            f" save the weights that are meant alone"
        )
    return "" if "" in prefixes else prefixes[0]


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _undotted(tensors: Mapping[str, Tensor], expected: Iterable[str]) -> dict[str, Tensor]:
    averages = _below(tensors, FLAT)
    dotted = {name.replace(".", ""): name for name in expected}
    return {dotted[name]: tensor for name, tensor in averages.items() if name in dotted}


def _weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    wanted = {name: tensor for name, tensor in state.items() if name.rpartition(".")[2] not in NO_WEIGHTS}
    scale = wanted.get("logit_scale")
    return wanted if scale is None or scale.shape != (1,) else wanted | {"logit_scale": scale[0]}


def _renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Hugging Face's tensors as OpenAI has them: projections turned, queries, keys and values in one."""
    whole = dict(state)
    for name in state:
        if match := THIRD.fullmatch(name):
            thirds = [f"{match[1]}.self_attn.{part}_proj.{match[2]}" for part in "qkv"]
            if all(third in whole for third in thirds):
                whole[f"{match[1]}.attn.in_proj_{match[2]}"] = torch.cat(
                    [whole.pop(third) for third in thirds]
                )
    for name in ("text_projection.weight", "visual_projection.weight"):
        if name in whole and whole[name].dim() == 2:
            whole[name] = whole[name].T
    return {_openais(name): tensor for name, tensor in whole.items()}


def _openais(name: str) -> str:
    for pattern, ours in HUGGING_FACE:
        name = re.sub(pattern, ours, name)
    return name
