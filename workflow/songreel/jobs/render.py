"""One job's work on one segment: see how far its chain has come, go on from there, keep every keyframe."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Protocol, TypeVar

import torch

from songreel.ground.documents import ModelEntry, SegmentRecipe
from songreel.ground.errors import DamageError, UserError
from songreel.ground.files import set_aside
from songreel.ground.messages import say
from songreel.ground.paths import Paths
from songreel.jobs import beginning, latents, locks, looks, scheduler, targets
from songreel.jobs.latents import Segment
from songreel.jobs.locks import Lock
from songreel.kernels import devices, fused
from songreel.models import perceptor, proofs, vqgan, weights
from songreel.models.vqgan import VQGAN
from songreel.models.weights import Weights
from songreel.sampling import memory, sampler
from songreel.sampling.sampler import Pull, Start

Model = TypeVar("Model")


class Watcher(Protocol):
    """Who is told how the work goes on."""

    def iteration(self) -> None:
        """One iteration is done."""

    def keyframe(self, segment: Segment) -> None:
        """The segment as it is at the start, and after every keyframe."""


def segment(
    recipe: SegmentRecipe, name: str, keyframes: int, paths: Paths, watcher: Watcher, micro_batch: int = 0
) -> None:
    """Render a segment to `keyframes` keyframes and write its latents file.

    Goes on from the longest file of the same segment or from what an interrupted job kept in the work folder;
    waits while another job is at work on it. Raises LostError when another one has taken it over.
    `micro_batch` cutouts are judged at a time; 0 is all of them.
    """
    target = paths.latents(name, keyframes)
    try:
        with locks.held(paths.work(name)) as lock:
            so_far = _longest(name, [*paths.rendered(name).items(), (0, lock.kept)])
            looker = looks.Looker(recipe, name, len(so_far) if so_far else 0, paths)
            for grown in _grow(recipe, so_far, keyframes, paths, watcher, looker, micro_batch):
                _keep(lock, grown, recipe)
                so_far = grown
            if not target.exists():  # another workflow may have been quicker
                assert so_far is not None
                _keep(lock, so_far, recipe)
                lock.publish(target)
    except locks.LostError:
        if not target.exists():
            raise
        say(f"{target}: another job took this line over and has finished it.")


def _keep(lock: Lock, segment: Segment, recipe: SegmentRecipe) -> None:
    lock.keep(lambda file: latents.write(file, segment, recipe))


def _longest(name: str, files: Iterable[tuple[int, Path]]) -> Segment | None:
    """The longest of a segment's files that is whole: to render again what is damaged is only slower."""
    segments = []
    for keyframes, path in files:
        try:
            segments.append(latents.load(path, name, keyframes))
        except FileNotFoundError:
            pass  # nothing was kept
        except DamageError as error:
            say(f"{error}; it is passed over, as {set_aside(path)}, and rendered again.")
    return max(segments, key=len, default=None)


def _grow(
    recipe: SegmentRecipe,
    so_far: Segment | None,
    keyframes: int,
    paths: Paths,
    watcher: Watcher,
    looker: looks.Looker,
    micro_batch: int,
) -> Iterator[Segment]:
    """The segment after each keyframe that it still lacks; what is seen of the last one is kept, too."""
    if so_far is not None and len(so_far) >= keyframes:
        return
    device, precision = _device()
    picture_maker, pulls, proof = _loaded(recipe, paths, micro_batch, device, precision)
    so_far, start = _begun(recipe, so_far, picture_maker, paths)
    watcher.keyframe(so_far)
    state = torch.from_numpy(so_far.latent).to(device)
    chain = sampler.chain(
        picture_maker,
        pulls,
        recipe.strategy,
        state,
        recipe.seed,
        recipe.take,
        len(so_far),
        watcher.iteration,
        start,
        recipe.motion,
    )
    while len(so_far) < keyframes:
        with scheduler.grace():
            link = next(chain)
            proof.settle()
            so_far = so_far.extended(link.tokens.cpu().numpy(), link.loss, link.latent.cpu().numpy())
            watcher.keyframe(so_far)
            yield so_far  # and it is kept
    looker.look(picture_maker, pulls, so_far)


def _loaded(
    recipe: SegmentRecipe, paths: Paths, micro_batch: int, device: torch.device, precision: torch.dtype
) -> tuple[VQGAN, list[Pull], proofs.Reading]:
    """What draws, what it is pulled to, and what will prove that both were read whole."""
    model = weights_of(recipe.model, weights.vqgan)
    judges = [weights_of(entry, weights.perceptor) for entry in recipe.perceptors]
    with proofs.reading([model, *judges]) as proof:
        memory.check(model, judges, recipe, micro_batch, device, precision)
        picture_maker = vqgan.load(model, device, precision)
        pulls = [
            targets.pull(perceptor.load(judge, device, precision), entry, recipe, paths, micro_batch)
            for judge, entry in zip(judges, recipe.perceptors, strict=True)
        ]
    return picture_maker, pulls, proof


def _begun(
    recipe: SegmentRecipe, so_far: Segment | None, picture_maker: VQGAN, paths: Paths
) -> tuple[Segment, Start | None]:
    """The segment before its next keyframe, and its start where it is new or kept to that."""
    if so_far is not None and not recipe.strategy.hold and not recipe.mask:
        return so_far, None
    start = beginning.of(recipe, picture_maker, paths)
    return latents.empty(start.latent.cpu().numpy()) if so_far is None else so_far, start


def _device() -> tuple[torch.device, torch.dtype]:
    """Where a job computes, and in what; says so where that is not as fast as it could be."""
    device = devices.choose()
    if device.type == "cuda" and (obstacle := fused.obstacle(device)):
        say(f"this GPU takes the plain path, which is about a third as fast: {obstacle}.")
    return device, devices.precision(device)


def loaded(
    entry: ModelEntry,
    find: Callable[[str], Weights],
    load: Callable[[Weights, torch.device, torch.dtype], Model],
    device: torch.device,
) -> Model:
    """A model that a plan names, on a device, once its file is proved whole.

    Raises UserError as `weights_of` and loading do, DamageError where the file was read damaged.
    """
    found = weights_of(entry, find)
    with proofs.reading([found]) as proof:
        model = load(found, device, devices.precision(device))
        proof.settle()
    return model


def weights_of(entry: ModelEntry, find: Callable[[str], Weights]) -> Weights:
    """The weights that a plan names. Raises UserError when they are not the ones that it was made with.

    Whether what they were converted to is whole is for `proofs` to say.
    """
    current = find(entry.name)
    if current.sha256 != entry.sha256:
        raise UserError(
            f"{current.tensors}: the plan was made with weights {entry.sha256[:12]}…, found"
            f" {current.sha256[:12]}…; run snakemake again to plan with these."
        )
    return current
