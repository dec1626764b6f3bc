"""Which files a model needs: the embedded pair's, a published model's in the cache, or the user's own."""

from __future__ import annotations

import difflib
import functools
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from songreel import data
from songreel.ground import files, shortage
from songreel.ground.documents import SegmentRecipe
from songreel.ground.errors import UserError
from songreel.models import architectures, archives, catalogue, clip_configs, digests
from songreel.models.architectures import ArchitectureError
from songreel.models.catalogue import Published

SUFFIXES = (".ckpt", ".pt", ".pth", ".safetensors", ".bin")  # of a file of the user's own
# Of a checkpoint's own name in that of its tensors: file systems take 255 in all
MOST_LETTERS = 200


@dataclass(frozen=True)
class Weights:
    """A checkpoint as safetensors, the YAML that tells its architecture, and what identifies them."""

    name: str  # as config.yaml says it
    # Not there before a published model, or one of the user's own, was fetched and converted
    tensors: Path
    architecture: Path
    # Of the file as published; of the embedded pair and a user's own VQGAN, of both files
    sha256: str


VQGANS = {
    "starter": Weights(
        "starter",
        data.MODELS / "starter/vqgan.safetensors",
        data.MODELS / "starter/vqgan.yaml",
        "813944a7cfb9771ddaaaea8832b5c132bc4a7f465e2b77f8848885e5bf8727fd",
    ),
}

PERCEPTORS = {
    "starter": Weights(
        "starter",
        data.MODELS / "starter/clip.safetensors",
        data.MODELS / "starter/clip.yaml",
        "46859bf52da5247c1e77e204fc35bfc9dd4c17eb48087731290eb4256128427e",
    ),
}


def vqgan(name: str) -> Weights:
    """The VQGAN of that name or path. Raises UserError if unknown, missing or damaged."""
    if name in catalogue.DROPPED:
        raise _dropped(name)
    listed = (catalogue.vqgan, catalogue.vqgans)
    return _find("model", name, VQGANS, *listed, _own_vqgan)


def perceptor(name: str) -> Weights:
    """The CLIP of that name or path. Raises UserError if unknown, missing or damaged."""
    listed = (catalogue.perceptor, catalogue.perceptors)
    return _find("perceptors", name, PERCEPTORS, *listed, _own_perceptor)


def _find(
    key: str,
    name: str,
    embedded: Mapping[str, Weights],
    listed: Callable[[str], Published | None],
    all_listed: Callable[[], tuple[str, ...]],
    own: Callable[[Path], Weights],
) -> Weights:
    if name in embedded:
        _check_file(embedded[name])
        return embedded[name]
    if model := listed(name):
        return _published(model)
    if name.endswith(SUFFIXES):
        return own(Path(name))
    known = [*embedded, *all_listed()]
    nearest = (difflib.get_close_matches(name, known, n=1, cutoff=0) or known)[0]
    raise UserError(
        f"config key '{key}': found {name!r}, expected one of {', '.join(known)}, or the path of a checkpoint"
        f" ({', '.join(SUFFIXES)}); did you mean {nearest!r}?"
    )


def _published(model: Published) -> Weights:
    """A model of the catalogue, where it is in the cache or will be."""
    folder = digests.cache_folder()
    *config, checkpoint = model.files
    tensors = _named(model.name, checkpoint.sha256)
    return Weights(
        model.name,
        tensors,
        folder / config[0].name if config else tensors.with_suffix(".yaml"),
        checkpoint.sha256,
    )


def _dropped(name: str) -> UserError:
    copy = digests.cache_folder() / catalogue.DROPPED[name]
    return UserError(
        f"model {name!r}: found a name that songreel lists no longer, since nobody states the sha256 of its"
        f" files, expected another one; name a copy of it by its path, as {copy} with its YAML beside it, to"
        f" render its lines anew; films that were made of it stay as they are."
    )


def _own_vqgan(checkpoint: Path) -> Weights:
    config = checkpoint.with_suffix(".yaml")
    if not config.is_file():
        raise UserError(
            f"config key 'model': found no {config}, expected taming's YAML beside {checkpoint.name}; put it"
            f" there under that name."
        )
    sha256 = _of_both(hash_once("model", checkpoint), config)
    weights = Weights(str(checkpoint), _named(checkpoint.stem, sha256), config, sha256)
    architecture(weights)  # what is wrong with it is told before anything is rendered
    return weights


def _own_perceptor(checkpoint: Path) -> Weights:
    sha256 = hash_once("perceptors", checkpoint)
    if config := clip_config(checkpoint):
        sha256 = _with_config(sha256, config, config.stat().st_mtime_ns)
    tensors = _named(checkpoint.stem, sha256)
    return Weights(str(checkpoint), tensors, tensors.with_suffix(".yaml"), sha256)


def clip_config(checkpoint: Path) -> Path | None:
    """The config beside a CLIP of the user's own; None where OpenAI's archive needs none.

    Raises UserError where neither tells what it is built from.
    """
    names = _names(checkpoint, checkpoint.stat().st_mtime_ns)
    if clip_configs.is_openais(names) or not clip_configs.is_clip(names):
        return None
    if config := clip_configs.beside(checkpoint):
        return config
    raise clip_configs.unknown(checkpoint)


# Remembered while a file is unchanged: a film asks for each of its lines.


@functools.lru_cache
def _names(checkpoint: Path, _: int) -> frozenset[str]:
    return archives.names(checkpoint)


@functools.lru_cache
def _with_config(sha256: str, config: Path, _: int) -> str:
    """What identifies a checkpoint of that hash with what its config alone tells, if that is anything."""
    identity = clip_configs.identity(clip_configs.params(config))
    text = json.dumps(identity, sort_keys=True)
    return hashlib.sha256((sha256 + text).encode()).hexdigest() if identity else sha256


def _of_both(sha256: str, config: Path) -> str:
    """What identifies a checkpoint of that hash together with its YAML, which says how to steer, too."""
    return hashlib.sha256(sha256.encode() + files.read_bytes(config)).hexdigest()


def hash_once(key: str, path: Path) -> str:
    """The sha256 of a file of the user's own, remembered by its path, size and time."""
    record = record_of_own(path)
    try:
        sha256 = digests.of(path, record)
        digests.remember(record, path.stat(), sha256)
    except OSError as error:
        raise UserError(
            f"config key '{key}': {str(path)!r} cannot be read ({error.strerror}); correct the path."
        ) from None
    return sha256


def record_of_own(path: Path) -> Path:
    """Where it stands what a file of the user's own hashes to."""
    place = hashlib.sha256(str(path.absolute()).encode("utf-8", "surrogateescape")).hexdigest()
    return digests.cache_folder() / f"own/{place[:16]}.sha256"


def _named(name: str, sha256: str) -> Path:
    plain = re.sub(r"[^\w.@-]+", "-", name, flags=re.ASCII)[:MOST_LETTERS]
    tensors = converted(f"{plain}-{sha256[:16]}")
    if set("{}") & set(str(tensors)):  # Snakemake's wildcards
        raise UserError(
            f"{tensors.parent}: found braces in the path, expected none where weights are kept; name another"
            f" folder with the environment variable SONGREEL_WEIGHTS."
        )
    return tensors


def converted(stem: str) -> Path:
    """Where a checkpoint's tensors lie once they are converted."""
    return digests.cache_folder() / f"converted/{stem}.safetensors"


def brought(recipe: SegmentRecipe) -> list[Weights]:
    """The models of a segment that did not come with songreel: its VQGAN first, then its perceptors."""
    # The embedded pair is not looked up, which would hash it for every line of a film.
    makers = [name for name in (recipe.model.name,) if name not in VQGANS]
    judges = [entry.name for entry in recipe.perceptors if entry.name not in PERCEPTORS]
    return [*map(vqgan, makers), *map(perceptor, judges)]


def is_embedded(weights: Weights) -> bool:
    """Whether the files came with songreel: nothing has to be fetched or converted."""
    return weights.tensors.is_relative_to(data.MODELS)


def params(weights: Weights) -> dict[str, Any]:
    """What a CLIP is built from, as its YAML says. Raises UserError when that is missing or damaged."""
    with _read(weights) as document:
        return architectures.params(document)


def hint(weights: Weights, name: str) -> float | None:
    """What a model's YAML says it steers best with, or None where it does not.

    A VQGAN's `canvas` is the contrast of the noise that a film starts from, a perceptor's `noise` the most
    that its cutouts get. Only the embedded pair and a VQGAN of the user's own say so, whose YAML is part of
    what identifies them.
    """
    with _read(weights) as document:
        return architectures.hint(document, name)


def architecture(weights: Weights) -> dict[str, Any]:
    """What a VQGAN is built from: `ddconfig`, `n_embed`, `embed_dim`, `fold` and whether it is `gumbel`.

    A transformer's YAML holds that of its first stage. Raises UserError when anything is missing, unfit or
    larger than any model has it, or when there are more codes than a token can tell apart.
    """
    with _read(weights) as document:
        return architectures.vqgan(document)


def factor(weights: Weights) -> int:
    """How many pixels wide and high the square is that a VQGAN draws for one token."""
    listed = catalogue.vqgan(weights.name)
    if listed and listed.factor:
        return listed.factor
    built = architecture(weights)
    return int(built["fold"]) << (len(built["ddconfig"]["ch_mult"]) - 1)


@contextmanager
def _read(weights: Weights) -> Iterator[Any]:
    """A model's YAML. Raises UserError when it is not there, or not as expected inside the block."""
    try:
        yield architectures.document(weights.architecture)
    except FileNotFoundError:
        raise missing(weights, weights.architecture) from None
    except OSError as error:
        raise _unfit(weights, f"that it cannot be read ({error.strerror}), expected a model's YAML") from None
    except ArchitectureError as error:
        raise _unfit(weights, str(error)) from None


@contextmanager
def readable(weights: Weights) -> Iterator[None]:
    """Raise UserError when, inside the block, a model's tensors turn out to be missing or damaged."""
    try:
        yield
    except FileNotFoundError:
        raise missing(weights, weights.tensors) from None
    except SafetensorError as error:
        if shortage.sentence(error):
            raise
        raise UserError(
            f"{weights.tensors}: found a damaged file ({error}), expected the weights of {weights.name!r};"
            f" remove it and run songreel fetch {weights.name}, which converts them again."
        ) from None


def missing(weights: Weights, file: Path) -> UserError:
    """What to say when a file of a model is not there."""
    return UserError(
        f"{file}: found no such file, expected a part of the model {weights.name!r}; run songreel fetch"
        f" {weights.name} where there is a network."
    )


def _unfit(weights: Weights, reason: str) -> UserError:
    remedy = f"restore it, {data.RESTORE}"
    if not is_embedded(weights):
        remedy = "correct it if it is yours, or remove it and fetch it again"
    return UserError(f"{weights.architecture}: {reason}; {remedy}.")


def _check_file(weights: Weights) -> None:
    try:
        sha256 = _of_both(files.sha256(weights.tensors), weights.architecture)
    except OSError as error:
        raise UserError(
            f"{error.filename}: the weights cannot be read ({error.strerror}); restore the file,"
            f" {data.RESTORE}."
        ) from None
    if sha256 != weights.sha256:
        raise UserError(
            f"{weights.tensors}: found sha256 {sha256[:12]}… of it and {weights.architecture.name}, expected"
            f" {weights.sha256[:12]}…: one of them is damaged or was changed; restore them,"
            f" {data.RESTORE}."
        )
