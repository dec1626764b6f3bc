"""What a job asks a scheduler for: time and memory, from its plan and from what such work has taken."""

from __future__ import annotations

import functools
from math import ceil

from songreel.costs.history import Speeds
from songreel.ground.documents import SegmentRecipe
from songreel.ground.files import Document
from songreel.models import weights
from songreel.sampling import memory

# For imports from a disk that many share, and for waiting for another job on the line
START_MINUTES = 15
MARGIN = 2.0  # between the measured time and the one asked for: a node may be half as fast
SLOW_SECONDS = 1.0  # an iteration or frame, before any like it was measured
HOST_MB = 4000  # of a process with torch and a GPU's driver
FLOAT32, BFLOAT16 = 4, 2  # bytes
COPIES = 3  # of the weights: as read, as float32, as moved to the device


def minutes(speeds: Speeds, work: Document, units: int, attempt: int) -> int:
    """Minutes for so many iterations or frames, as the slowest machine took them; twice at each retry."""
    each = speeds.slowest(work) or SLOW_SECONDS
    return ceil(START_MINUTES + MARGIN * units * each / 60) << (attempt - 1)


def iterations(recipe: SegmentRecipe, keyframes: int) -> int:
    """The iterations of a segment that is rendered from its start."""
    return keyframes * recipe.strategy.iterations + recipe.strategy.lead_in


def megabytes(recipe: SegmentRecipe, micro_batch: int, on_cpu: bool, attempt: int) -> int:
    """Memory of the machine, not of its GPU, for optimising a segment; twice at each retry."""
    total = HOST_MB + _loading(recipe.model.name, _judges(recipe))
    if on_cpu:
        total += _iteration_bytes(recipe, micro_batch, FLOAT32) / 1e6
    return ceil(total) << (attempt - 1)


def gpu_bytes(recipe: SegmentRecipe, micro_batch: int) -> int:
    """Memory of a GPU for optimising a segment."""
    return _iteration_bytes(recipe, micro_batch, BFLOAT16)


def _iteration_bytes(recipe: SegmentRecipe, micro_batch: int, number_bytes: int) -> int:
    model, judges, cutouts = recipe.model.name, _judges(recipe), recipe.strategy.cutouts
    moves = recipe.motion is not None
    return _kept(model, judges, recipe.size, cutouts, micro_batch, number_bytes, moves)


def _judges(recipe: SegmentRecipe) -> tuple[str, ...]:
    return tuple(entry.name for entry in recipe.perceptors)


def drawing_megabytes(recipe: SegmentRecipe, attempt: int) -> int:
    """Memory of the machine for drawing a clip; twice at each retry."""
    return ceil(HOST_MB + _loading(recipe.model.name, ())) << (attempt - 1)


# Remembered, since to look models up is to hash them, and there may be thousands of lines.


@functools.cache
def _loading(model: str, judges: tuple[str, ...]) -> float:
    """Megabytes that models take while they are loaded."""
    files = [weights.vqgan(model), *map(weights.perceptor, judges)]
    return sum(COPIES * file.tensors.stat().st_size for file in files) / 1e6


@functools.cache
def _kept(
    model: str,
    judges: tuple[str, ...],
    size: tuple[int, int],
    cutouts: int,
    micro_batch: int,
    number_bytes: int,
    moves: bool,
) -> int:
    """Bytes that an iteration takes."""
    files = [weights.perceptor(judge) for judge in judges]
    return memory.estimate(weights.vqgan(model), files, size, cutouts, micro_batch, number_bytes, moves)
