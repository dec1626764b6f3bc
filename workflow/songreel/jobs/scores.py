"""What is kept of a segment beside its latents: what its perceptors made of its pictures and its words.

No rule declares these files and nothing is rendered from them: without them a line has not been measured. So
they are passed over where they are missing or damaged.

A safetensors file:
    losses      float32 [k]     mean over each keyframe's iterations
    pictures.j  float16 [n, d]  some keyframes, as perceptor j sees them: unit vectors
    words.j     float16 [d]     what they were steered towards, as perceptor j reads it
    about       what the rest is of, as JSON
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save

from songreel.ground.files import replacing
from songreel.ground.paths import Paths

Vectors = NDArray[np.float16]


@dataclass(frozen=True)
class Judged:
    """A perceptor, how much its judgement counts, and what it made of pictures [n, d] and words [d]."""

    name: str
    weight: float
    pictures: Vectors
    words: Vectors


@dataclass(frozen=True)
class Score:
    """What is known of a segment of so many keyframes as the losses [k] are."""

    losses: NDArray[np.float32]
    judged: tuple[Judged, ...] = ()  # none where it was not measured, or is steered towards nothing
    seconds: float | None = None  # that rendering took; None where that is not known of all of it


def keep(score: Score, segment: str, paths: Paths) -> None:
    """Keep what is known of a segment. Raises OSError."""
    arrays: dict[str, NDArray[Any]] = {"losses": score.losses}
    for number, judged in enumerate(score.judged):
        arrays |= {f"pictures.{number}": judged.pictures, f"words.{number}": judged.words}
    about = {
        "segment": segment,
        "judges": [[judged.name, judged.weight] for judged in score.judged],
        "seconds": score.seconds,
    }
    with replacing(paths.score(segment, len(score.losses)), lasting=False) as temporary:
        temporary.write_bytes(save(arrays, {"about": json.dumps(about)}))


def load(segment: str, keyframes: int, paths: Paths) -> Score | None:
    """What is known of a segment of so many keyframes; None where nothing is, or the file is damaged."""
    path = paths.score(segment, keyframes)
    if not path.is_file():
        return None
    try:
        return _read(path, segment, keyframes)
    except Exception:  # a damaged one can raise any
        return None


def _read(path: Path, segment: str, keyframes: int) -> Score:
    """Raises what safetensors and JSON raise, and ValueError when it is of something else."""
    with safe_open(path, framework="numpy") as file:
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        about = json.loads(file.metadata()["about"])
    losses, seconds = arrays["losses"], about["seconds"]
    whole = losses.dtype == np.float32 and all(np.isfinite(array).all() for array in arrays.values())
    if about["segment"] != segment or losses.shape != (keyframes,) or not whole:
        raise ValueError(path)
    judges = [(str(name), float(weight)) for name, weight in about["judges"]]
    judged = tuple(_judged(number, *judge, arrays) for number, judge in enumerate(judges))
    return Score(losses, judged, None if seconds is None else float(seconds))


def _judged(number: int, name: str, weight: float, arrays: Mapping[str, NDArray[Any]]) -> Judged:
    pictures, words = arrays[f"pictures.{number}"], arrays[f"words.{number}"]
    if pictures.ndim != 2 or not len(pictures) or words.shape != pictures.shape[1:]:
        raise ValueError(name)
    return Judged(name, weight, pictures, words)
