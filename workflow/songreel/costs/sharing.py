"""How many lines share a GPU, where the user leaves that to songreel.

While a job starts, its GPU has nothing to do for it: others at work meanwhile hide that. Drafts, which take
no longer than their start, want several at a time, films of large models two.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from math import ceil
from statistics import median

from songreel.costs import history, request
from songreel.costs.history import Speeds
from songreel.ground.documents import SegmentRecipe
from songreel.ground.errors import UserError
from songreel.models import weights
from songreel.planning.plan import Plan

AUTO = "auto"
START_SECONDS = 5.0  # of a job, until its first iteration
MOST = 8  # beyond which a GPU's jobs only wait for each other
SECONDS_EACH = {
    True: 0.001,
    False: 0.006,
}  # of an iteration, unmeasured: the starter's, another's
CONTEXT = 1e9  # bytes that a process holds on a GPU besides what its iteration takes


def jobs_per_gpu(setting: str, plan: Plan, micro_batch: int, speeds: Speeds, cores: int, gpus: int) -> int:
    """The lines that a film has rendered on each of `gpus` at a time, with so many cores of the machine."""
    if setting != AUTO:
        return int(setting)
    hiding = 1 + ceil(START_SECONDS / max(_line_seconds(plan, speeds), 1e-3))
    most = min(hiding, MOST, cores // gpus, ceil(len(plan.segments) / gpus))
    return max(1, min(most, _fitting(plan, micro_batch) if most > 1 else 1))


def _line_seconds(plan: Plan, speeds: Speeds) -> float:
    """What optimising a line of the film takes, once its job has started."""
    return median(
        request.iterations(recipe, plan.needs[segment]) * _each(recipe, speeds)
        for segment, recipe in plan.segments.items()
    )


def _each(recipe: SegmentRecipe, speeds: Speeds) -> float:
    known = speeds.slowest(history.optimising(recipe))
    return known or SECONDS_EACH[recipe.model.name in weights.VQGANS]


def _fitting(plan: Plan, micro_batch: int) -> int:
    """How many iterations of the film's first line fit the fullest GPU's free memory."""
    free = free_bytes()
    recipe = next(iter(plan.segments.values()))
    if free is None:
        return MOST
    try:
        return int(free // (CONTEXT + request.gpu_bytes(recipe, micro_batch)))
    except UserError:
        return 1  # the models are yet to be fetched, and until then nobody knows what they take


def free_bytes() -> int | None:
    """The free memory of the GPU with the least of it, by NVIDIA's driver; None where that does not tell."""
    program = shutil.which("nvidia-smi")
    if not program:
        return None
    query = [program, "--query-gpu=memory.free", "--format=csv,noheader,nounits"]
    try:
        output = subprocess.run(query, capture_output=True, text=True, check=False, timeout=60).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    mebibytes = [int(row) for row in re.findall(r"^\s*([0-9]+)\s*$", output, re.MULTILINE)]
    return min(mebibytes) << 20 if mebibytes else None
