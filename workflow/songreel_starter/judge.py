"""The judge: a second CLIP, to be asked what a picture shows by who did not steer it.

Its words are the teacher's own sentence embeddings, its eye a plain ResNet with another seed, and it learns
from the half of the styles that the pair's CLIP never sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from songreel.ground.files import replacing
from songreel.models.clip_configs import MEAN, STD
from songreel_starter import picture_towers, teacher
from songreel_starter.picture_towers import Recipe, Training
from songreel_starter.pool import Pool
from songreel_starter.things import Library

SIDE = 64  # pixels
BLOCKS = (1, 1, 1, 1)
VIEWS = ((0.0, 0.0, 1.0), (0.0, 0.0, 0.75), (0.25, 0.0, 0.75), (0.0, 0.25, 0.75), (0.25, 0.25, 0.75))


def tower(embed: int) -> nn.Module:
    """A ResNet of basic blocks (He et al., 2016) whose last layer gives `embed` numbers."""
    from torchvision.models.resnet import BasicBlock, ResNet

    return cast(nn.Module, ResNet(BasicBlock, list(BLOCKS), num_classes=embed))


def train(
    pool: Pool,
    captions: Path,
    library: Library,
    words: Path | None,
    recipe: Recipe,
    target: Path,
) -> None:
    """Train the judge and write it.

    `captions` is what `teacher.embed` made of the pool's, `words` the teacher's package; without that, a
    stand-in for tests.
    """
    torch.manual_seed(recipe.seed)
    embedded = torch.from_numpy(np.load(captions)).float()
    training = Training(
        tower(teacher.WIDTH), SIDE, pool, embedded, library, teacher.load(words).embed, recipe
    )
    averaged = picture_towers.train(training, target)
    with replacing(target) as temporary:
        save_file(averaged, temporary)


def load(path: Path, words: Path | None, device: torch.device) -> Judge:
    """A trained judge; `words` as in `train`."""
    trained = tower(teacher.WIDTH)
    trained.load_state_dict(load_file(path), strict=True)
    return Judge(trained, teacher.load(words), device)


class Judge:
    """Pictures and words to one space."""

    def __init__(self, tower: nn.Module, words: teacher.MiniLM | teacher.Bag, device: torch.device) -> None:
        self.tower = tower.eval().requires_grad_(False).to(device)
        self.words, self.device = words, device
        self.mean = torch.tensor(MEAN, device=device).view(1, 3, 1, 1)
        self.std = torch.tensor(STD, device=device).view(1, 3, 1, 1)

    @torch.no_grad()
    def embed_images(self, pictures: Tensor) -> Tensor:
        """Unit vectors float32 [n, d] of pictures [n, 3, h, w] in 0..1: the mean over five views of each."""
        views = torch.stack([self._seen(_view(pictures.to(self.device), *view)) for view in VIEWS])
        return F.normalize(views.mean(0), dim=-1)

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors float32 [n, d]."""
        return self.words.embed(texts).to(self.device)

    def _seen(self, pictures: Tensor) -> Tensor:
        pixels = F.interpolate(pictures, size=(SIDE, SIDE), mode="bilinear", antialias=True)
        return F.normalize(self.tower((pixels - self.mean) / self.std), dim=-1)


def _view(pictures: Tensor, x: float, y: float, size: float) -> Tensor:
    """A part of pictures [n, 3, h, w]; place and size are shares of the sides."""
    height, width = pictures.shape[-2:]
    top, left = round(y * height), round(x * width)
    return pictures[..., top : top + round(size * height), left : left + round(size * width)]
