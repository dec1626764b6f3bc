"""Results that are not what their names say, found before anything is made from them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from songreel import film, proofs, weights
from songreel.errors import DamageError
from songreel.files import Document
from songreel.paths import Paths
from songreel.plan import Plan, sources
from songreel.weights import Weights


def find(plan: Plan, paths: Paths) -> Iterator[DamageError]:
    """What the next run would use and must not: weights, clips to join, and latents to
    draw the other clips from.

    Nothing is read for a film that is up to date.
    """
    if _joined(paths.film(plan.song), paths.timeline(plan.song)):
        return
    checked: set[Path] = set()
    yield from proofs.find(_models(plan))
    for clip, drawing in plan.clips.items():
        file = paths.clip(clip)
        if fault := _fault(file):
            yield fault
        elif file.exists():
            continue
        for part, need in sources(drawing):
            yield from _unusable_latents(part, need, checked, paths)


def _models(plan: Plan) -> list[Weights]:
    """The models of a film that did not come with songreel; all its lines have the same."""
    return next((weights.brought(recipe) for recipe in plan.segments.values()), [])


def _joined(film_file: Path, timeline: Path) -> bool:
    """Whether a film is newer than its timeline: Snakemake joins it again only when it is not."""
    try:
        return film_file.stat().st_mtime_ns > timeline.stat().st_mtime_ns
    except FileNotFoundError:
        return False


def _fault(clip: Path) -> DamageError | None:
    try:
        film.check(clip)
    except DamageError as fault:
        return fault
    except FileNotFoundError:
        pass  # it is yet to be drawn
    return None


def _unusable_latents(part: Document, need: int, checked: set[Path], paths: Paths) -> Iterator[DamageError]:
    """The files of a segment that would be taken before one that can be."""
    from songreel import latents  # zarr takes a while to import

    for keyframes, path in paths.rendered(part["segment"]).items():
        if keyframes < need or path in checked:
            continue
        checked.add(path)
        try:
            latents.load(path, part["segment"], keyframes)
        except DamageError as fault:
            yield fault
        else:
            return
