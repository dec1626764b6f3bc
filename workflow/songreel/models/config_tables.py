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
        found = self.fields.get(key)
        return Table(self.path, f"{self.where}{key}.", default if found is None else found)

    def over(self, other: Table) -> Table:
        return Table(self.path, self.where, self.fields | other.fields)

    def check_known(self, known: tuple[str, ...]) -> None:
        for key, found in self.fields.items():
            if key in known or key in IDLE:
                continue
            if key not in PLAIN:
                raise self.unfit(key, found, "no such key, which says what songreel does not know")
            if found not in (PLAIN[key], None) and found != {}:
                raise self.unfit(key, found, f"{PLAIN[key]}, as CLIP's own towers have it")

    def check(self, key: str, default: Any, *known: Any) -> None:
        if (found := self.fields.get(key, default)) not in known:
            raise self.unfit(key, found, " or ".join(map(repr, known)))

    def count(self, key: str, default: int | None, most: int = MOST) -> int:
        found = self.fields.get(key, default)
        if type(found) is not int or not 0 < found <= most:
            raise self.unfit(key, found, f"a whole number from 1 to {most}")
        return found

    def layers(self, key: str, default: int) -> int | list[int]:
        found = self.fields.get(key, default)
        if not isinstance(found, list):
            return self.count(key, default, MOST_LAYERS)
        if len(found) != 4 or not all(type(depth) is int and 0 < depth <= MOST_LAYERS for depth in found):
            raise self.unfit(key, found, "a number of layers, or those of a ResNet's four stages")
        return found

    def side(self, key: str, default: int) -> int:
        found = self.fields.get(key, default)
        if isinstance(found, list) and len(found) == 2 and found[0] == found[1]:
            found = found[0]
        return Table(self.path, self.where, {key: found}).count(key, None)

    def ratio(self, key: str, default: float) -> float:
        found = self.fields.get(key, default)
        if isinstance(found, bool) or not isinstance(found, int | float) or not 0 < found <= 64:
            raise self.unfit(key, found, "a number above 0")
        return float(found)

    def flag(self, key: str, default: bool) -> bool:
        if not isinstance(found := self.fields.get(key, default), bool):
            raise self.unfit(key, found, "true or false")
        return found

    def activation(self, key: str) -> str:
        found = self.fields.get(key, "quick_gelu")
        if not isinstance(found, str) or found not in ACTIVATIONS:
            raise self.unfit(key, found, f"one of {', '.join(ACTIVATIONS)}")
        return ACTIVATIONS[found]

    def colours(self, key: str, default: tuple[float, ...]) -> list[float]:
        found = self.fields.get(key)
        numbers = list(default) if found is None else found
        if not isinstance(numbers, list) or len(numbers) != 3 or not all(map(_is_number, numbers)):
            raise self.unfit(key, found, "three numbers, one a colour")
        return [float(number) for number in numbers]

    def unfit(self, key: str, found: Any, expected: str) -> UserError:
        shown = " ".join(ascii(found).split())[:60]
        return UserError(
            f"{self.path}: found {shown} for {self.where}{key}, expected {expected}; choose another CLIP, or"
            f" correct the config if it is yours."
        )


def _is_number(found: Any) -> bool:
    return isinstance(found, int | float) and not isinstance(found, bool) and abs(found) < 1e6
