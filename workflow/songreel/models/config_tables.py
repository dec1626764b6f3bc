"""A CLIP's config as a table that is asked for numbers and words, and says in a sentence what is unfit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from songreel.ground.errors import UserError

MOST_LAYERS = 1000
MOST = 1 << 17  # of any count in a config; a vocabulary is the largest
ACTIVATIONS = {
    "quick_gelu": "quick_gelu",
    "gelu": "gelu",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_new": "gelu_tanh",
}

# open_clip's keys that may say only this, and those that change nothing where the others are so.
PLAIN: dict[str, Any] = {
    "ls_init_value": None,
    "attentional_pool": False,
    "no_ln_pre": False,
    "pos_embed_type": "learnable",
    "final_ln_after_pool": False,
    "act_kwargs": None,
    "norm_kwargs": None,
    "block_type": None,
    "qk_norm": False,
    "scaled_cosine_attn": False,
    "scale_heads": False,
    "scale_attn_inner": False,
    "scale_attn": False,
    "scale_fc": False,
    "timm_model_name": None,
    "hf_model_name": None,
    "hf_tokenizer_name": None,
    "tokenizer_kwargs": None,
    "embed_cls": False,
    "no_causal_mask": False,
    "proj_bias": False,
    "proj_type": "linear",
}
IDLE: tuple[str, ...] = (
    "patch_dropout",
    "output_tokens",
    "attn_pooler_queries",
    "attn_pooler_heads",
    "pad_id",
    "eos_id",
)
IDLE += ("timm_model_pretrained", "timm_pool", "timm_proj", "timm_proj_bias", "timm_drop", "timm_drop_path")
IDLE += ("hf_model_pretrained", "hf_proj_type", "hf_pooler_type", "tokenizer_mode")


class Table:
    """A mapping in a config, which file it is in and where. Its questions raise UserError."""

    def __init__(self, path: Path, where: str, fields: Any) -> None:
        self.path, self.where = path, where
        if not isinstance(fields, dict):
            raise self.unfit("", fields, "keys with values")
        self.fields: dict[str, Any] = fields

    def row(self, key: str, default: Any = None) -> Table:
        """What a key holds; an empty one says nothing, as with Hugging Face's."""
        value = self.fields.get(key)
        return Table(self.path, f"{self.where}{key}.", default if value is None else value)

    def over(self, other: Table) -> Table:
        return Table(self.path, self.where, self.fields | other.fields)

    def check_known(self, known: tuple[str, ...]) -> None:
        for key, value in self.fields.items():
            if key in known or key in IDLE:
                continue
            if key not in PLAIN:
                raise self.unfit(key, value, "no such key, which says what songreel does not know")
            if value not in (PLAIN[key], None) and value != {}:
                raise self.unfit(key, value, f"{PLAIN[key]}, as CLIP's own towers have it")

    def check(self, key: str, default: Any, *known: Any) -> None:
        if (value := self.fields.get(key, default)) not in known:
            raise self.unfit(key, value, " or ".join(map(repr, known)))

    def count(self, key: str, default: int | None, most: int = MOST) -> int:
        value = self.fields.get(key, default)
        if type(value) is not int or not 0 < value <= most:
            raise self.unfit(key, value, f"a whole number from 1 to {most}")
        return value

    def layers(self, key: str, default: int) -> int | list[int]:
        value = self.fields.get(key, default)
        if not isinstance(value, list):
            return self.count(key, default, MOST_LAYERS)
        if len(value) != 4 or not all(type(depth) is int and 0 < depth <= MOST_LAYERS for depth in value):
            raise self.unfit(key, value, "a number of layers, or those of a ResNet's four stages")
        return value

    def side(self, key: str, default: int) -> int:
        value = self.fields.get(key, default)
        if isinstance(value, list) and len(value) == 2 and value[0] == value[1]:
            value = value[0]
        return Table(self.path, self.where, {key: value}).count(key, None)

    def ratio(self, key: str, default: float) -> float:
        value = self.fields.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 64:
            raise self.unfit(key, value, "a number above 0")
        return float(value)

    def flag(self, key: str, default: bool) -> bool:
        if not isinstance(value := self.fields.get(key, default), bool):
            raise self.unfit(key, value, "true or false")
        return value

    def activation(self, key: str) -> str:
        value = self.fields.get(key, "quick_gelu")
        if not isinstance(value, str) or value not in ACTIVATIONS:
            raise self.unfit(key, value, f"one of {', '.join(ACTIVATIONS)}")
        return ACTIVATIONS[value]

    def colours(self, key: str, default: tuple[float, ...]) -> list[float]:
        value = self.fields.get(key)
        numbers = list(default) if value is None else value
        if not isinstance(numbers, list) or len(numbers) != 3 or not all(map(_is_number, numbers)):
            raise self.unfit(key, value, "three numbers, one a colour")
        return [float(number) for number in numbers]

    def unfit(self, key: str, value: Any, expected: str) -> UserError:
        shown = " ".join(ascii(value).split())[:60]
        return UserError(
            f"{self.path}: found {shown} for {self.where}{key}, expected {expected}; choose another CLIP, or"
            f" correct the config if it is yours."
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e6
