"""What a film takes of the machine: Python and its packages, torch and its device, limits, a cluster."""

from __future__ import annotations

import importlib.metadata
import math
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
from packaging.requirements import InvalidRequirement, Requirement

import songreel
from songreel.ground import limits, shortage
from songreel.jobs import leases, scheduler
from songreel.upkeep.doctor.checks import Check, fault, gigabytes, note, ok, one_line
from songreel.upkeep.doctor.probe import Facts, TorchError

ANSWER_SECONDS = 5  # that SLURM's controller is waited for
SLURM = ("sinfo", "sbatch", "squeue", "scontrol")
PLUGIN = "snakemake-executor-plugin-slurm"


def python() -> Iterator[Check]:
    """Python, songreel and the packages that it asks for."""
    versions = f"Python {platform.python_version()}, songreel {songreel.__version__}"
    wrong = list(_wrong_packages())
    if wrong:
        yield fault(
            "Python",
            f"{versions}; {'; '.join(wrong)}",
            "install songreel again, in an environment of its own",
        )
    else:
        yield ok("Python", f"{versions}, Snakemake {_version('snakemake') or 'missing'}")


def _wrong_packages() -> Iterator[str]:
    """What is missing or of a version that songreel does not go with; nothing where it was not installed."""
    try:
        asked = importlib.metadata.requires("songreel") or []
    except importlib.metadata.PackageNotFoundError:
        return
    for text in asked:
        try:
            needed = Requirement(text)
        except InvalidRequirement:
            continue
        if needed.marker and not needed.marker.evaluate({"extra": ""}):
            continue
        version = _version(needed.name)
        if version is None:
            yield f"found no {needed.name}, expected {needed.name}{needed.specifier}"
        elif not needed.specifier.contains(version, prereleases=True):
            yield f"found {needed.name} {version}, expected {needed.specifier}"


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def torch(facts: Facts | TorchError | MemoryError) -> Iterator[Check]:
    """PyTorch, the device that it takes and the path that lines take on it."""
    if isinstance(facts, MemoryError):
        yield fault("PyTorch", shortage.sentence(facts) or "")
        return
    if isinstance(facts, TorchError):
        yield fault(
            "PyTorch", f"it cannot be used ({one_line(facts)})", "install torch and torchvision again"
        )
        return
    yield ok("PyTorch", f"{facts.torch} for {facts.built_for}, torchvision {facts.torchvision}")
    if facts.gpu:
        more = f", the first of {facts.gpus}" if facts.gpus > 1 else ""
        yield ok("GPU", f"{facts.gpu}, {gigabytes(facts.total_bytes)}{more}")
        yield _path(facts)
    else:
        yield _without_gpu(facts)


def _path(facts: Facts) -> Check:
    if facts.plain_path:
        return note("Kernels", "lines take the plain path, which is slower", facts.plain_path)
    return ok("Kernels", "fused, by Triton")


def _without_gpu(facts: Facts) -> Check:
    present = [driver for driver in leases.DRIVERS if Path(driver).exists()]
    hidden = os.environ.get(leases.VISIBLE)
    if present and hidden is not None:
        return note(
            "GPU", f"none is used, as {leases.VISIBLE} is {hidden!r}", f"unset {leases.VISIBLE} to use them"
        )
    if present:
        reason = facts.why_none or f"torch is built for {facts.built_for}"
        return fault(
            "GPU",
            f"this machine has one ({present[0]}) that torch does not find ({reason})",
            "install a torch that goes with the driver, see pytorch.org/get-started",
        )
    return ok("GPU", f"none; lines are rendered on the CPU, {os.cpu_count()} cores")


def memory() -> Iterator[Check]:
    """What limits the memory that a process may take."""
    groups = min(limits.in_groups(), default=math.inf)
    if groups < psutil.virtual_memory().available:
        yield ok("Limits", f"the control group leaves {gigabytes(max(0, groups))} of memory")
    allowed = limits.address_space()
    if allowed is None:
        return
    try:
        shortage.check_import()
    except MemoryError:
        yield fault(
            "Limits",
            f"`ulimit -v` allows {gigabytes(allowed)} of address space, too little for torch",
            "raise it, for example with `ulimit -v unlimited`",
        )
    else:
        yield note(
            "Limits", f"`ulimit -v` allows {gigabytes(allowed)} of address space", "GPUs want much more"
        )


def slurm() -> Iterator[Check]:
    """SLURM, if its commands are there: whether its controller answers."""
    present = [name for name in SLURM if shutil.which(name)]
    plugin = _version(PLUGIN)
    if not present:
        yield ok("SLURM", "none here; lines are rendered on this machine")
    elif len(present) < len(SLURM):
        missing = [name for name in SLURM if name not in present]
        yield note(
            "SLURM", f"found {', '.join(present)} without {', '.join(missing)}", "install its client commands"
        )
    elif plugin is None:
        yield fault("SLURM", f"found it without {PLUGIN}", f"pip install {PLUGIN}")
    else:
        yield _answering(plugin)


def _answering(plugin: str) -> Check:
    inside = ", in one of its jobs" if scheduler.scheduled() else ""
    try:
        done = subprocess.run(
            ["sinfo", "--noheader", "--format=%R %D"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=ANSWER_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return _silent(f"its controller does not answer within {ANSWER_SECONDS} s")
    if done.returncode:
        reason = (
            one_line(done.stderr.strip().rpartition("\n")[2]) or f"sinfo ends with status {done.returncode}"
        )
        return _silent(f"it does not answer ({reason})")
    partitions = [row.rsplit(" ", 1) for row in done.stdout.splitlines() if " " in row]
    nodes = sum(int(count) for _, count in partitions if count.isdecimal())
    return ok("SLURM", f"{len(partitions)} partitions of together {nodes} nodes, plugin {plugin}{inside}")


def _silent(found: str) -> Check:
    return note("SLURM", found, "ask who keeps the cluster; without profiles/slurm it is not needed")
