"""The models that a film takes: whether their weights are there, and whether they fit the memory."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from pathlib import Path

from songreel.ground import limits
from songreel.models import catalogue, digests, proofs, weights
from songreel.models.catalogue import Published
from songreel.models.weights import Weights
from songreel.planning import recipes
from songreel.planning.config import Config, weighed
from songreel.sampling import memory
from songreel.upkeep.doctor.checks import Check, fault, gigabytes, guarded, note, ok
from songreel.upkeep.doctor.film import free_bytes
from songreel.upkeep.doctor.probe import Facts

NAME = "Model"


def there(config: Config) -> Iterator[Check]:
    """Each model that the config names; what is not there is looked for, not fetched. Raises UserError."""
    vqgan, judges = config.model, dict.fromkeys(weighed(entry)[0] for entry in config.perceptors)
    yield from guarded(NAME, lambda: _one(f"VQGAN {vqgan}", weights.vqgan(vqgan), catalogue.vqgan(vqgan)))
    for name in judges:
        yield from guarded(NAME, functools.partial(_judge, name))


def _judge(name: str) -> Iterator[Check]:
    yield from _one(f"CLIP {name}", weights.perceptor(name), catalogue.perceptor(name))


def drawn(config: Config) -> Iterator[Check]:
    """Nothing where the VQGAN draws pictures of the size that is asked for. Raises UserError."""
    maker = weights.vqgan(config.model)
    if catalogue.vqgan(config.model) or maker.architecture.exists():
        recipes.check_size(config, maker)
    yield from ()


def _one(title: str, entry: Weights, published: Published | None) -> Iterator[Check]:
    if weights.is_embedded(entry):
        yield ok(NAME, f"{title} came along, and is whole")
    elif damage := next(iter(proofs.find([entry])), None):
        yield note(NAME, str(damage), "the next run converts it again")
    elif entry.tensors.exists():
        yield ok(NAME, f"{title} is there, {gigabytes(entry.tensors.stat().st_size)}")
    else:
        yield from _to_come(title, entry, _missing(published) if published else 0)


def _missing(published: Published) -> int:
    """Bytes of a published model's files that are not in the cache."""
    folder = digests.cache_folder()
    return sum(file.bytes for file in published.files if not (folder / file.name).exists())


def _to_come(title: str, entry: Weights, missing: int) -> Iterator[Check]:
    """A model that is to be downloaded or converted: whether there is room for it."""
    folder = digests.cache_folder()
    what = f"{title} is to be downloaded, {gigabytes(missing)}" if missing else f"{title} is to be converted"
    if not os.access(_existing(folder), os.W_OK):
        advice = f"see that {folder} can be written, or name another with {digests.FOLDER}"
        yield fault(NAME, f"{what}, and the folder for weights cannot be written", advice)
    elif (free := free_bytes(folder)) < 2 * missing:  # as published, and converted
        advice = f"free some space in {folder}, or name another folder with {digests.FOLDER}"
        yield fault(NAME, f"{what}, with {gigabytes(free)} free where weights are kept", advice)
    else:
        where = " where there is a network" if missing else ""
        yield note(NAME, what, f"the first run does that, or songreel fetch {entry.name}{where}")


def _existing(folder: Path) -> Path:
    return folder if folder.exists() or folder == folder.parent else _existing(folder.parent)


def fit(config: Config, torch: Facts) -> Iterator[Check]:
    """What an iteration takes, against what is free on the device. Raises UserError."""
    name = "GPU memory" if torch.gpu else "Memory"
    free = torch.free_bytes if torch.gpu else limits.free()
    has = f"{gigabytes(free)} free" + (f" of {gigabytes(torch.total_bytes)}" if torch.gpu else "")
    judges = [weights.perceptor(weighed(entry)[0]) for entry in config.perceptors]
    maker = weights.vqgan(config.model)
    if not all(one.tensors.exists() and one.architecture.exists() for one in (maker, *judges)):
        yield note(
            name, f"{has}; what the models take is known when they are there", "docs/models.md lists it"
        )
        return
    size = (config.width, config.height)
    takes = memory.estimate(maker, judges, size, config.cutouts, config.micro_batch, torch.number_bytes)
    told = f"{has}, an iteration takes about {gigabytes(takes)}"
    if takes > free:
        yield fault(name, told, "lower 'size', 'micro_batch' or 'cutouts' in config.yaml, or free some")
    else:
        yield ok(name, told)
