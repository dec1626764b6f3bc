"""CLIP written down once more, plainly, from the paper and its numbers: what songreel's is held against."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

ACTIVATIONS = {
    "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
    "gelu": lambda x: x * (1 + torch.erf(x / 2**0.5)) / 2,
    "gelu_new": lambda x: x * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (x + 0.044715 * x**3))) / 2,
}
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
WIDTH, INSIDE, TEXT_WIDTH, TEXT_INSIDE, PATCH, SIDE, EMBEDDED = 48, 150, 32, 96, 8, 32, 24
LAYERS, CONTEXT, WORDS = 2, 77, 49408


def weights() -> dict[str, Tensor]:
    """Random weights of both towers under OpenAI's names, large enough for attention to matter."""
    draw = torch.Generator().manual_seed(0)

    def numbers(*shape: int, scale: float = 1.0) -> Tensor:
        return torch.randn(*shape, generator=draw) * scale

    found = {
        "visual.class_embedding": numbers(WIDTH),
        "visual.conv1.weight": numbers(WIDTH, 3, PATCH, PATCH, scale=0.1),
        "visual.positional_embedding": numbers((SIDE // PATCH) ** 2 + 1, WIDTH),
        "visual.proj": numbers(WIDTH, EMBEDDED),
        "token_embedding.weight": numbers(WORDS, TEXT_WIDTH),
        "positional_embedding": numbers(CONTEXT, TEXT_WIDTH, scale=0.3),
        "text_projection": numbers(TEXT_WIDTH, EMBEDDED),
        "logit_scale": torch.tensor(1.0),
    }
    for tower, width, inside in (("visual.", WIDTH, INSIDE), ("", TEXT_WIDTH, TEXT_INSIDE)):
        for layer in range(LAYERS):
            block, scale = f"{tower}transformer.resblocks.{layer}.", 2 / width**0.5
            found |= {
                f"{block}attn.in_proj_weight": numbers(3 * width, width, scale=scale),
                f"{block}attn.in_proj_bias": numbers(3 * width),
                f"{block}attn.out_proj.weight": numbers(width, width, scale=scale),
                f"{block}attn.out_proj.bias": numbers(width),
                f"{block}mlp.c_fc.weight": numbers(inside, width, scale=scale),
                f"{block}mlp.c_fc.bias": numbers(inside),
                f"{block}mlp.c_proj.weight": numbers(width, inside, scale=scale),
                f"{block}mlp.c_proj.bias": numbers(width),
            }
            norms = [f"{block}ln_1", f"{block}ln_2"]
            found |= {
                f"{name}.{part}": 1 + numbers(width) / 4 for name in norms for part in ("weight", "bias")
            }
    for name, width in (("visual.ln_pre", WIDTH), ("visual.ln_post", WIDTH), ("ln_final", TEXT_WIDTH)):
        found |= {f"{name}.{part}": 1 + numbers(width) / 4 for part in ("weight", "bias")}
    return found


def images(
    state: Mapping[str, Tensor], pictures: Tensor, heads: int, activation: str, **pixels: Any
) -> Tensor:
    """Unit vectors [n, d] of pictures [n, 3, side, side] in 0..1."""
    mean, std = (torch.tensor(pixels.get(name, usual)) for name, usual in (("mean", MEAN), ("std", STD)))
    normal = (pictures - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    patches = F.unfold(normal, PATCH, stride=PATCH).transpose(1, 2)  # [n, patches, 3 * patch * patch]
    seen = patches @ state["visual.conv1.weight"].flatten(1).T
    first = state["visual.class_embedding"].expand(len(pictures), 1, WIDTH)
    hidden = _norm(torch.cat((first, seen), 1) + state["visual.positional_embedding"], state, "visual.ln_pre")
    hidden = _tower(hidden, state, "visual.", heads, ACTIVATIONS[activation], None)
    return F.normalize(_norm(hidden[:, 0], state, "visual.ln_post") @ state["visual.proj"], dim=-1)


def texts(state: Mapping[str, Tensor], tokens: Tensor, heads: int, activation: str) -> Tensor:
    """Unit vectors [n, d] of tokens [n, context], whose end is the largest of them."""
    hidden = state["token_embedding.weight"][tokens] + state["positional_embedding"]
    mask = torch.full((CONTEXT, CONTEXT), float("-inf")).triu(1)
    hidden = _norm(_tower(hidden, state, "", heads, ACTIVATIONS[activation], mask), state, "ln_final")
    ends = hidden[torch.arange(len(tokens)), tokens.argmax(1)]
    return F.normalize(ends @ state["text_projection"], dim=-1)


def _tower(
    hidden: Tensor, state: Mapping[str, Tensor], name: str, heads: int, activation: Any, mask: Tensor | None
) -> Tensor:
    for layer in range(LAYERS):
        block = f"{name}transformer.resblocks.{layer}."
        part = {key.removeprefix(block): value for key, value in state.items() if key.startswith(block)}
        hidden = hidden + _attention(_norm(hidden, part, "ln_1"), part, heads, mask)
        inside = activation(_norm(hidden, part, "ln_2") @ part["mlp.c_fc.weight"].T + part["mlp.c_fc.bias"])
        hidden = hidden + inside @ part["mlp.c_proj.weight"].T + part["mlp.c_proj.bias"]
    return hidden


def _attention(hidden: Tensor, part: Mapping[str, Tensor], heads: int, mask: Tensor | None) -> Tensor:
    batch, length, width = hidden.shape
    all_three = hidden @ part["attn.in_proj_weight"].T + part["attn.in_proj_bias"]
    query, key, value = all_three.view(batch, length, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
    scores = query @ key.transpose(2, 3) / (width // heads) ** 0.5
    mixed: Tensor = (scores if mask is None else scores + mask).softmax(-1) @ value
    joined: Tensor = mixed.transpose(1, 2).reshape(batch, length, width)
    return joined @ part["attn.out_proj.weight"].T + part["attn.out_proj.bias"]


def _norm(hidden: Tensor, state: Mapping[str, Tensor], name: str) -> Tensor:
    centred = hidden - hidden.mean(-1, keepdim=True)
    spread = (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
    return centred / spread * state[f"{name}.weight"] + state[f"{name}.bias"]


def open_clip_config(heads: int, text_heads: int, quick: bool, **vision: Any) -> dict[str, Any]:
    """What open_clip's config says of these weights."""
    look = {"layers": LAYERS, "width": WIDTH, "head_width": WIDTH // heads, "mlp_ratio": INSIDE / WIDTH}
    look |= {"patch_size": PATCH, "image_size": SIDE} | vision
    words = {
        "layers": LAYERS,
        "width": TEXT_WIDTH,
        "heads": text_heads,
        "mlp_ratio": TEXT_INSIDE / TEXT_WIDTH,
    }
    return {"embed_dim": EMBEDDED, "quick_gelu": quick, "vision_cfg": look, "text_cfg": words}


def hugging_face_config(heads: int, text_heads: int, activation: str) -> dict[str, Any]:
    """What Hugging Face's config says of these weights."""
    look = {"hidden_size": WIDTH, "intermediate_size": INSIDE, "num_attention_heads": heads}
    look |= {"patch_size": PATCH, "image_size": SIDE}
    words = {"hidden_size": TEXT_WIDTH, "intermediate_size": TEXT_INSIDE, "num_attention_heads": text_heads}
    towers = {"num_hidden_layers": LAYERS, "hidden_act": activation}
    return {
        "model_type": "clip",
        "projection_dim": EMBEDDED,
        "vision_config": look | towers,
        "text_config": words | towers | {"eos_token_id": 2},
    }


def hugging_face_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same weights as Hugging Face saves them."""
    found = {
        "logit_scale": state["logit_scale"],
        "text_projection.weight": state["text_projection"].T.contiguous(),
        "visual_projection.weight": state["visual.proj"].T.contiguous(),
        "vision_model.embeddings.class_embedding": state["visual.class_embedding"],
        "vision_model.embeddings.patch_embedding.weight": state["visual.conv1.weight"],
        "vision_model.embeddings.position_embedding.weight": state["visual.positional_embedding"],
        "vision_model.embeddings.position_ids": torch.arange(5),
        "text_model.embeddings.token_embedding.weight": state["token_embedding.weight"],
        "text_model.embeddings.position_embedding.weight": state["positional_embedding"],
    }
    for part in ("weight", "bias"):
        found[f"vision_model.pre_layrnorm.{part}"] = state[f"visual.ln_pre.{part}"]
        found[f"vision_model.post_layernorm.{part}"] = state[f"visual.ln_post.{part}"]
        found[f"text_model.final_layer_norm.{part}"] = state[f"ln_final.{part}"]
        for ours, theirs in (("visual.", "vision_model"), ("", "text_model")):
            for layer in range(LAYERS):
                block, other = f"{ours}transformer.resblocks.{layer}.", f"{theirs}.encoder.layers.{layer}."
                thirds = state[f"{block}attn.in_proj_{part}"].chunk(3)
                names = [f"{other}self_attn.{which}_proj.{part}" for which in "qkv"]
                found |= {name: third.contiguous() for name, third in zip(names, thirds, strict=True)}
                found[f"{other}self_attn.out_proj.{part}"] = state[f"{block}attn.out_proj.{part}"]
                found[f"{other}layer_norm1.{part}"] = state[f"{block}ln_1.{part}"]
                found[f"{other}layer_norm2.{part}"] = state[f"{block}ln_2.{part}"]
                found[f"{other}mlp.fc1.{part}"] = state[f"{block}mlp.c_fc.{part}"]
                found[f"{other}mlp.fc2.{part}"] = state[f"{block}mlp.c_proj.{part}"]
    return found
