"""Results that are not what their names say, found before anything is made from them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from songreel.drawing import film, joined
from songreel.ground import pictures
from songreel.ground.errors import DamageError
from songreel.ground.files import check_is_file
from songreel.ground.paths import Paths
from songreel.models import proofs, weights
from songreel.models.weights import Weights
from songreel.planning.plan import Plan, missing_latents, sources


def in_plans(plan: Plan, paths: Paths) -> Iterator[DamageError]:
    """What stands where a plan file is to be written and is no file."""
    files = [*map(paths.segment_plan, plan.segments), *map(paths.clip_plan, plan.clips)]
    files += map(paths.font, plan.fonts)
    of_song = [paths.owner, paths.timeline, paths.starts_of, paths.film_asked, paths.film_read]
    of_song += [paths.outline, paths.about, paths.run, paths.live, paths.storyboard, paths.storyboard_asked]
    for file in [*files, *(path(plan.song) for path in of_song)]:
        with suppress(FileNotFoundError):
            try:
                check_is_file(file, "a plan")
            except DamageError as fault:
                yield fault


def find(plan: Plan, paths: Paths) -> Iterator[DamageError]:
    """What the next run would use and must not: a film, clips to join, latents to draw the other clips from.

    Nothing else is read for a film that is the plan's.
    """
    try:
        if joined.is_film(paths.film(plan.song), plan.timeline, paths.film_read(plan.song)):
            return
    except DamageError as damaged:
        yield damaged
    checked: set[Path] = set()
    yield from proofs.find(_models(plan))
    yield from _damaged_starts(plan, paths)
    for clip, drawing in plan.clips.items():
        file = paths.clip(clip)
        if fault := _fault(file):
            yield fault
        elif file.exists():
            continue
        for part, need in sources(drawing):
            yield from _unusable_latents(part.segment, need, checked, paths)
    for recipe in (plan.segments[name] for name in missing_latents(plan, paths)):
        if before := recipe.previous:
            yield from _unusable_latents(before.segment, before.keyframes, checked, paths)


def _damaged_starts(plan: Plan, paths: Paths) -> Iterator[DamageError]:
    """The pictures that lines are to be rendered with, where they are not whole."""
    for start in sorted(
        {name for line in missing_latents(plan, paths) for name in plan.segments[line].pictures}
    ):
        with suppress(FileNotFoundError):
            try:
                pictures.load(paths.start(start), start)
            except DamageError as fault:
                yield fault


def _models(plan: Plan) -> list[Weights]:
    """The models of a film that did not come with songreel; all its lines have the same."""
    return next((weights.brought(recipe) for recipe in plan.segments.values()), [])


def is_outdated(plan: Plan, paths: Paths) -> bool:
    """Whether there is a film of an older plan; if so, Snakemake is asked to join it again."""
    outdated = joined.is_older(paths.film(plan.song), plan.timeline)
    if outdated:
        joined.ask_again(paths.film(plan.song), paths.film_asked(plan.song))
    return outdated


def _fault(clip: Path) -> DamageError | None:
    try:
        film.check(clip)
    except DamageError as fault:
        return fault
    except FileNotFoundError:
        pass  # it is yet to be drawn
    return None


def _unusable_latents(segment: str, need: int, checked: set[Path], paths: Paths) -> Iterator[DamageError]:
    """The files of a segment that would be taken before one that can be."""
    from songreel.jobs import latents  # zarr takes a while to import

    for keyframes, path in paths.rendered(segment).items():
        if keyframes < need or path in checked:
            continue
        checked.add(path)
        try:
            latents.load(path, segment, keyframes)
        except DamageError as fault:
            yield fault
        else:
            return
