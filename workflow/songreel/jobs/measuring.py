"""Looking at lines that were rendered when nobody looked, for a storyboard to tell how they follow words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache

from songreel.ground.documents import ModelEntry, SegmentRecipe
from songreel.ground.errors import DamageError
from songreel.ground.messages import say, shorten
from songreel.ground.paths import Paths
from songreel.jobs import latents, looks, scores, targets
from songreel.jobs.render import loaded
from songreel.jobs.scores import Score
from songreel.kernels import devices
from songreel.models import perceptor, vqgan, weights
from songreel.models.perceptor import Perceptor
from songreel.models.vqgan import VQGAN


def segments(names: Iterable[str], paths: Paths) -> int:
    """Look at those of some segments that were rendered and not looked at; returns how many.

    Raises UserError when a model is not the one that they were rendered with, OSError when nothing can be
    kept.
    """
    count = 0
    for name, keyframes in _unmeasured(names, paths):
        recipe = SegmentRecipe.read(paths.segment_plan(name))
        try:
            segment = latents.load(paths.latents(name, keyframes), name, keyframes)
        except DamageError as fault:
            say(f"{fault}; it was not measured.")
            continue
        pulls = [targets.pull(_judge(entry), entry, recipe, paths, 0) for entry in recipe.perceptors]
        judged = tuple(looks.seen(_picture_maker(recipe.model), pulls, recipe, segment))
        known = scores.load(name, keyframes, paths)
        scores.keep(Score(segment.loss, judged, known.seconds if known else None), name, paths)
        say(f"{shorten(recipe.text)}: measured.")
        count += 1
    return count


def _unmeasured(names: Iterable[str], paths: Paths) -> Iterator[tuple[str, int]]:
    """The longest file of each segment that was not looked at, by its keyframes."""
    for name in names:
        rendered = paths.rendered(name)
        scored = (scores.load(name, keyframes, paths) for keyframes in rendered)
        if rendered and not any(score and score.judged for score in scored):
            yield name, max(rendered)


@cache
def _judge(entry: ModelEntry) -> Perceptor:
    return loaded(entry, weights.perceptor, perceptor.load, devices.choose())


@cache
def _picture_maker(entry: ModelEntry) -> VQGAN:
    return loaded(entry, weights.vqgan, vqgan.load, devices.choose())
