"""What a perceptor steers a line by: words and image prompts, as it sees them."""

from __future__ import annotations

import torch

from songreel.ground import pictures
from songreel.ground.documents import PerceptorEntry, SegmentRecipe
from songreel.ground.errors import UserError
from songreel.ground.messages import shorten
from songreel.ground.paths import Paths
from songreel.ground.pictures import Pixels
from songreel.jobs.photographs import embedded
from songreel.models.perceptor import Perceptor
from songreel.sampling.loss import Weighing
from songreel.sampling.sampler import Pull


def pull(
    judge: Perceptor, entry: PerceptorEntry, recipe: SegmentRecipe, paths: Paths, micro_batch: int
) -> Pull:
    """What a recipe has a perceptor do. Raises UserError when an image prompt is not there."""
    if not recipe.parts:
        return Pull(judge, judge.embed_texts([recipe.words(entry)]), entry.weight, micro_batch)
    target = torch.cat(
        [
            embedded(judge, picture(part.picture, recipe, paths))[None]
            if part.picture
            else judge.embed_texts([words])
            for part, words in zip(recipe.parts, recipe.reads(entry), strict=True)
        ]
    )
    return Pull(judge, target, entry.weight, micro_batch, weighing(recipe, target.device))


def weighing(recipe: SegmentRecipe, device: torch.device) -> Weighing:
    """The weights and stops of a recipe's parts."""
    weights = [part.weight for part in recipe.parts]
    stops = [float("-inf") if part.stop is None else part.stop for part in recipe.parts]
    return Weighing(torch.tensor(weights, device=device), torch.tensor(stops, device=device))


def picture(name: str, recipe: SegmentRecipe, paths: Paths) -> Pixels:
    """A picture that a recipe names. Raises UserError when there is none, DamageError when it is another."""
    path = paths.start(name)
    try:
        return pictures.load(path, name)
    except FileNotFoundError:
        raise UserError(
            f"{path}: found no such file, expected a picture that {shorten(recipe.text)} is rendered with;"
            f" run snakemake, which makes it again."
        ) from None
