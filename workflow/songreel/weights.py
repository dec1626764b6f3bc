"""Published weights: which files a model needs, and whether they are the right ones."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from songreel.errors import UserError

MODELS = Path(__file__).resolve().parents[2] / "models"


@dataclass(frozen=True)
class Weights:
    """A checkpoint as safetensors, the YAML that tells its architecture, and what the file must hash to."""

    name: str
    tensors: Path
    architecture: Path
    sha256: str


VQGANS = {
    "starter": Weights(
        "starter",
        MODELS / "starter/vqgan.safetensors",
        MODELS / "starter/vqgan.yaml",
        "a2b62c3ed055879d581fd863124c7cfe0046af673463310aba9b85899c7c4c72",
    ),
}

PERCEPTORS = {
    "starter": Weights(
        "starter",
        MODELS / "starter/clip.safetensors",
        MODELS / "starter/clip.yaml",
        "8432095190a00adf3a1bc87f7de0761c1808bcf016972200d471b6e4e89101b9",
    ),
}


def vqgan(name: str) -> Weights:
    """The VQGAN of that name, its file checked. Raises UserError if unknown, missing or damaged."""
    return _checked("model", name, VQGANS)


def perceptor(name: str) -> Weights:
    """The CLIP of that name, its file checked. Raises UserError if unknown, missing or damaged."""
    return _checked("perceptors", name, PERCEPTORS)


def params(weights: Weights) -> dict[str, Any]:
    """What a model is built from, as its YAML says. Raises UserError when that is damaged."""
    try:
        found: dict[str, Any] = yaml.safe_load(weights.architecture.read_text(encoding="utf-8"))
        return dict(found["model"]["params"])
    except (yaml.YAMLError, ValueError, LookupError, TypeError):
        raise UserError(
            f"{weights.architecture}: found a damaged file, expected the architecture of the model"
            f" {weights.name!r}; restore it, for example with `git checkout -- models`."
        ) from None


def architecture(weights: Weights) -> dict[str, Any]:
    """What a taming YAML says of a VQGAN: `ddconfig`, `n_embed` and `embed_dim`."""
    found = params(weights)
    return {key: found[key] for key in ("ddconfig", "n_embed", "embed_dim")}


def factor(weights: Weights) -> int:
    """How many pixels wide and high the square is that a VQGAN draws for one token."""
    levels = len(architecture(weights)["ddconfig"]["ch_mult"])
    return 1 << (levels - 1)


def _checked(key: str, name: str, table: Mapping[str, Weights]) -> Weights:
    if name not in table:
        nearest = (difflib.get_close_matches(name, table, n=1, cutoff=0) or list(table))[0]
        raise UserError(
            f"config key '{key}': found {name!r}, expected one of {', '.join(sorted(table))};"
            f" did you mean {nearest!r}?"
        )
    _check_file(table[name])
    return table[name]


def _check_file(weights: Weights) -> None:
    try:
        with weights.tensors.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(
            f"{weights.tensors}: the weights cannot be read ({error.strerror}); restore the file,"
            f" for example with `git checkout -- models`."
        ) from None
    if found != weights.sha256:
        raise UserError(
            f"{weights.tensors}: found sha256 {found[:12]}…, expected {weights.sha256[:12]}…: the weights are"
            f" damaged or cut short; restore the file, for example with `git checkout -- models`."
        )
