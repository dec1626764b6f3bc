"""What a perceptor steers a line by: words and image prompts, as it sees them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from songreel.ground import pictures
from songreel.ground.documents import PerceptorEntry, SegmentRecipe
from songreel.ground.errors import UserError
from songreel.ground.messages import shorten
from songreel.ground.paths import Paths
from songreel.ground.pictures import Pixels
from songreel.jobs.photographs import squares
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
            seen(judge, picture(part.picture, recipe, paths)) if part.picture else judge.embed_texts([words])
            for part, words in zip(recipe.parts, recipe.reads(entry), strict=True)
        ]
    )
    return Pull(judge, target, entry.weight, micro_batch, weighing(recipe, target.device))


def weighing(recipe: SegmentRecipe, device: torch.device) -> Weighing:
    """The weights and stops of a recipe's parts."""
    weights = [part.weight for part in recipe.parts]
    stops = [float("-inf") if part.stop is None else part.stop for part in recipe.parts]
    return Weighing(torch.tensor(weights, device=device), torch.tensor(stops, device=device))


@torch.no_grad()
def seen(judge: Perceptor, shown: Pixels) -> Tensor:
    """What a perceptor makes of a picture: a unit vector float32 [1, d], the middle of its squares'."""
    pixels = (
        torch.from_numpy(shown).to(judge.mean.device).permute(2, 0, 1)[None].float() / 255
    )  # [1, 3, h, w]
    side = (judge.side, judge.side)
    scaled = [F.interpolate(it, side, mode="bicubic", antialias=True) for it in squares(pixels)]
    embedded = judge.embed_images(torch.cat(scaled).clamp(0, 1))
    return F.normalize(embedded.mean(0, keepdim=True), dim=-1)


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
