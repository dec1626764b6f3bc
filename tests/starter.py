"""The embedded model pair, loaded once for all tests, in float32 on one thread of the CPU."""

import functools
from collections.abc import Iterator

import torch
from torch import Tensor

from songreel.ground.strategy import Strategy
from songreel.models import perceptor, vqgan, weights
from songreel.models.perceptor import Perceptor
from songreel.models.vqgan import VQGAN
from songreel.sampling import sampler
from songreel.sampling.sampler import Keyframe, Pull

torch.set_num_threads(1)

CPU = torch.device("cpu")


@functools.cache
def picture_maker() -> VQGAN:
    return vqgan.load(weights.vqgan("starter"), CPU, torch.float32)


@functools.cache
def codes() -> int:
    return len(picture_maker().codebook)


@functools.cache
def judge() -> Perceptor:
    return perceptor.load(weights.perceptor("starter"), CPU, torch.float32)


@functools.cache
def pull(text: str) -> Pull:
    return Pull(judge(), judge().embed_texts([text]))


@functools.cache
def canvas(size: tuple[int, int] = (32, 32), seed: int = 0) -> Tensor:
    return sampler.canvas(picture_maker(), size, seed)


def chain(
    text: str, strategy: Strategy, latent: Tensor, seed: int = 0, take: int = 0, first: int = 0
) -> Iterator[Keyframe]:
    return sampler.chain(picture_maker(), [pull(text)], strategy, latent, seed, take, first)
