"""What a chain begins with: the canvas, a picture, or the last keyframe that is seen of the line before."""

from __future__ import annotations

import torch

from songreel.ground.documents import SegmentRecipe
from songreel.ground.errors import UserError
from songreel.ground.messages import shorten
from songreel.ground.paths import Paths, latents_file
from songreel.ground.steering import Previous
from songreel.jobs import latents, targets
from songreel.models.vqgan import VQGAN
from songreel.sampling import camera, sampler
from songreel.sampling.sampler import Start


def of(recipe: SegmentRecipe, vqgan: VQGAN, paths: Paths) -> Start:
    """A recipe's start. Raises UserError when that is not there, DamageError when it is not whole."""
    if recipe.previous:
        return Start(_drawn_before(recipe, recipe.previous, vqgan, paths))
    if recipe.start is None:
        return Start(sampler.canvas(vqgan, recipe.size, recipe.seed))
    picture = targets.picture(recipe.start, recipe, paths)
    mask = targets.picture(recipe.mask, recipe, paths) if recipe.mask else None
    kept = None if mask is None else sampler.kept_where_black(vqgan, mask)
    start = Start(sampler.started(vqgan, picture), kept)
    if recipe.motion is None:
        return start
    masking = None if mask is None else sampler.pixels(vqgan, mask)
    return start.moving(sampler.pixels(vqgan, picture), masking)


def _drawn_before(recipe: SegmentRecipe, before: Previous, vqgan: VQGAN, paths: Paths) -> torch.Tensor:
    """The latent [c, h, w] that draws the last keyframe that is seen of the line before.

    By its tokens, which every file of that line has, however long it is.
    """
    path = latents_file(before.segment, before.keyframes, paths)
    if path is None:
        raise UserError(
            f"{paths.latents(before.segment, before.keyframes)}: found no such file, expected the line that"
            f" {shorten(recipe.text)} goes on from; run snakemake, which renders it first."
        )
    tokens = latents.load(path, before.segment, before.keyframes).tokens[before.keyframes - 1]
    with torch.no_grad():
        latent = vqgan.embed(torch.from_numpy(tokens.astype("int64"))[None].to(vqgan.codebook.device))[0]
    return camera.moved_on(vqgan, latent, before.move) if before.move else latent
