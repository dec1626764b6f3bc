"""Whether converted weights still are what was written: a bit that flips on a disk changes no time.

Beside converted tensors `<file>.sha256` says what they and their YAML hashed to, and the size and time
that they had. A job, which reads them all, has hashed them before it keeps what it made with them; a
plan hashes them only when size or time are other ones.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

from songreel.ground import files
from songreel.ground.errors import DamageError
from songreel.models import digests, weights
from songreel.models.weights import Weights


def keep(model: Weights, sha256: str) -> None:
    """Note what a model's tensors, just converted, hash to. Raises OSError when that cannot be written."""
    stat = model.tensors.stat()
    facts = {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "sha256": sha256}
    files.write_json_if_changed(
        digests.record(model.tensors), facts | {"architecture": files.sha256(model.architecture)}
    )


def fault(model: Weights) -> DamageError | None:
    """What is wrong with a model's tensors or YAML, all of them read; nothing where they are yet to come."""
    if weights.is_embedded(model) or not model.tensors.exists():
        return None
    known = digests.read_record(digests.record(model.tensors))
    if not known.get("sha256"):
        return _unproven(model)
    hashes = digests.digest(model.tensors), _architecture(model)
    if hashes != (known["sha256"], known.get("architecture")):
        return DamageError(
            model.tensors,
            f"other weights of {model.name!r} or another {model.architecture.name} than were converted",
            "the same: a disk, or somebody, has changed them",
        )
    return None


class Reading:
    """The hashing of models in other threads, which takes a second for a gigabyte, while a job goes on."""

    def __init__(self, models: Iterable[Weights]) -> None:
        self.pool = ThreadPoolExecutor(thread_name_prefix="proofs")
        self.faults = [self.pool.submit(fault, model) for model in models]

    def settle(self) -> None:
        """Wait for it, once. Raises the DamageError of a model that is not what was converted."""
        faults, self.faults = self.faults, []
        results = [it.result() for it in faults]
        self.pool.shutdown()
        for damage in filter(None, results):
            raise damage


@contextmanager
def reading(models: Iterable[Weights]) -> Iterator[Reading]:
    """Hash models while the block loads them. Damage that explains why it failed is raised in its place."""
    begun = Reading(models)
    try:
        yield begun
    except Exception:
        begun.settle()
        raise


def find(models: Iterable[Weights]) -> Iterator[DamageError]:
    """What is wrong with models by a look at sizes and times; read are those that were touched."""
    for model in models:
        if _untouched(model):
            continue
        if damage := fault(model):
            yield damage
        else:
            _remember(model)


def _remember(model: Weights) -> None:
    """Note the time of what was touched only, as Snakemake does after each job."""
    known = digests.read_record(digests.record(model.tensors)).get("sha256")
    with suppress(OSError):
        if known:
            keep(model, known)


def _untouched(model: Weights) -> bool:
    try:
        stat, known = model.tensors.stat(), digests.read_record(digests.record(model.tensors))
    except OSError:
        return True  # it is yet to be converted
    size_and_time = stat.st_size, stat.st_mtime_ns
    return (known.get("size"), known.get("mtime_ns")) == size_and_time and (
        known.get("architecture") == _architecture(model)
    )


def _unproven(model: Weights) -> DamageError | None:
    """Converted by an earlier songreel, or halfway: not trusted, but where nobody here can do it again."""
    if not os.access(model.tensors.parent, os.W_OK):
        return None
    return DamageError(
        model.tensors, "no note of what it hashed to", f"one in {digests.record(model.tensors).name}"
    )


def _architecture(model: Weights) -> str | None:
    try:
        return files.sha256(model.architecture)
    except OSError:
        return None
