"""The optimisation loop: decode, cut, embed, compare, step. Pure: no files, no workflow.

VQGAN+CLIP as published by Katherine Crowson and @advadnoun in 2021: a latent is moved by gradient descent
until CLIP finds that the picture decoded from it looks like the words. A keyframe is the latent's tokens
after a fixed number of steps; the next one goes on from the latent, with a new optimiser and a random stream
of its own, so the latent alone is the state of the chain.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from songreel.ground.motion import Motion
from songreel.ground.pictures import Pixels
from songreel.ground.strategy import Strategy
from songreel.kernels.cutouts import Look
from songreel.models.perceptor import Perceptor
from songreel.models.vqgan import VQGAN
from songreel.sampling import camera, graphs
from songreel.sampling.camera import DARK
from songreel.sampling.camera import Start as Start
from songreel.sampling.loss import Weighing, clamp_inwards, spherical_distance, straight_through

# Of the noise that a film starts from. With more, all lines keep its blots; with less, blends turn grey.
CANVAS_CONTRAST = 0.1
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8  # Adam's, as published


@dataclass(frozen=True)
class Pull:
    """A perceptor, the unit vectors [n, d] to steer by, how strongly, and how it is made to fit.

    Judging `micro_batch` cutouts at a time (0 is all) takes less memory and a little longer, and changes no
    more than the last digits of a gradient.
    """

    perceptor: Perceptor
    target: Tensor
    weight: float = 1.0
    micro_batch: int = 0
    weighing: Weighing | None = None  # None: towards all of them alike


@dataclass(frozen=True)
class Keyframe:
    """One link of a chain: what is drawn (the tokens) and what the next one starts from (the latent)."""

    tokens: Tensor  # int64 [h, w]
    loss: float  # mean over the keyframe's iterations
    latent: Tensor  # float32 [c, h, w]


def canvas(vqgan: VQGAN, size: tuple[int, int], seed: int) -> Tensor:
    """The latent float32 [c, h, w] that every chain of a film starts from: multi-scale noise, encoded.

    `size` is the picture's width and height in pixels. Drawn on the CPU, so that every device starts from the
    same picture.
    """
    generator = Generator().manual_seed(_stream(seed, "canvas"))
    contrast = CANVAS_CONTRAST if vqgan.canvas is None else vqgan.canvas
    width, height = size
    picture = torch.zeros(1, 3, height, width)
    for cells in (2, 4, 8, 16):
        noise = torch.randn(1, 3, cells, cells, generator=generator) * (contrast / cells**0.5)
        picture += F.interpolate(noise, size=(height, width), mode="bicubic")
    with torch.no_grad():
        return vqgan.embed(vqgan.tokens((picture + 0.5).clamp(0, 1).to(vqgan.codebook.device)))[0]


def started(vqgan: VQGAN, picture: Pixels) -> Tensor:
    """The latent float32 [c, h, w] of a picture that a chain starts from, in the codes that draw it."""
    with torch.no_grad():
        return vqgan.embed(vqgan.tokens(pixels(vqgan, picture)[None]))[0]


def pixels(vqgan: VQGAN, picture: Pixels) -> Tensor:
    """A picture as float32 [3, height, width] in 0..1, where the model is."""
    return torch.from_numpy(picture).to(vqgan.codebook.device).permute(2, 0, 1) / 255


def kept_where_black(vqgan: VQGAN, mask: Pixels) -> Tensor:
    """Which cells bool [h, w] of a latent a picture [height, width, 3] says to keep: the dark ones."""
    pixels = torch.from_numpy(mask).to(vqgan.codebook.device).float().mean(2)[None, None] / 255
    return F.avg_pool2d(pixels, vqgan.factor)[0, 0] < DARK


def chain(
    vqgan: VQGAN,
    pulls: Sequence[Pull],
    strategy: Strategy,
    latent: Tensor,
    seed: int,
    take: int,
    first: int,
    callback: Callable[[], None] = lambda: None,
    start: Start | None = None,
    motion: Motion | None = None,
) -> Iterator[Keyframe]:
    """Keyframes `first`, `first + 1`, … without end, from the latent [c, h, w] after keyframe `first - 1`.

    Nothing here depends on where the chain will stop or was resumed: k keyframes are a prefix of k + 1. The
    callback is called after every iteration. It is kept to its `start`, as the strategy says, and where its
    picture moves, the start moves along.
    """
    # As `VQGAN.embed` lays out what a chain begins with; what was on disk is laid out otherwise, and in which
    # order a sum is added up depends on that.
    latent = latent[None].contiguous(memory_format=torch.channels_last)[0]
    longest = strategy.iterations + (strategy.lead_in if first == 0 else 0)
    held = start if motion and start and start.moves and (strategy.hold or start.mask is not None) else None
    iteration = Iteration(vqgan, pulls, strategy, latent, longest + graphs.REHEARSALS, start)
    iterate = graphs.replayed(iteration, iteration.generator)
    number = first
    while True:
        steps = strategy.iterations + (strategy.lead_in if number == 0 else 0)
        if motion and number:
            if held:
                iteration.keep_to(along := camera.start_after(vqgan, held, motion, number))
            like = along.latent if held else None
            latent = camera.moved_on(vqgan, latent, motion.move(number - 1), like)
        iteration.begin(latent, _stream(seed, f"{take}/{number}"), steps, number)
        for _ in range(steps):
            iterate()
            callback()
        keyframe = iteration.keyframe(steps)
        yield keyframe
        latent, number = keyframe.latent, number + 1


class Iteration:
    """One iteration, on tensors that stay where they are: nothing is read back, nothing copied in.

    So a GPU can record and replay it. `like` is a latent [c, h, w] of the shape that is optimised; after
    `begin` there can be `most` iterations. It is kept to its `start`, as the strategy says.
    """

    def __init__(
        self,
        vqgan: VQGAN,
        pulls: Sequence[Pull],
        strategy: Strategy,
        like: Tensor,
        most: int,
        start: Start | None = None,
    ) -> None:
        self.vqgan, self.pulls, self.most = vqgan, pulls, most
        self.looks = looks(vqgan, pulls, strategy.cutouts, like, most)
        self.generator = Generator(like.device)
        self.latent = torch.zeros_like(like[None]).requires_grad_()  # [1, c, h, w]
        self.low, self.high = (ends.view(1, -1, 1, 1) for ends in torch.aminmax(vqgan.codebook, dim=0))
        self.strategy = strategy
        # What changes from keyframe to keyframe is a tensor, and else a number, which costs a replay nothing.
        self.adam = _Adam(self.latent, 1.0 if strategy.learning_rates else strategy.learning_rate, most)
        self.pace = torch.ones((), device=like.device) if strategy.learning_rates else None
        self.total = torch.zeros((), device=like.device)  # of the losses since `begin`
        self.start = start.latent[None].clone() if start else None
        self.kept = start.kept.clone() if start and start.kept is not None else None
        self.seen = start.seen.clone() if start and start.seen is not None else None
        # Of the codes' own spread, so that it means the same for every codebook.
        self.hold = strategy.hold / float(vqgan.codebook.var()) if start and strategy.hold else 0.0
        self.stability = strategy.stability / float(vqgan.codebook.var()) if strategy.stability else 0.0
        self.before = torch.zeros_like(like[None]) if strategy.stability else None
        self.tie = torch.zeros((), device=like.device)  # to the keyframe before; 0 at the first

    @torch.no_grad()
    def begin(self, start: Tensor, stream: int, steps: int = 0, keyframe: int = 0) -> None:
        """Start a keyframe from a latent [c, h, w], for so many iterations (0: as many as there can be).

        With a new optimiser and the random numbers of a seed, which may depend on how many iterations follow.
        """
        self.latent.copy_(start[None])
        if self.before is not None:
            self.before.copy_(start[None])
            self.tie.fill_(self.stability if keyframe else 0.0)
        if self.pace is not None:
            self.pace.fill_(self.strategy.learning_rate_of(keyframe))
        self.adam.reset()
        self.total.zero_()
        self.generator.manual_seed(stream)
        for look in self.looks:
            look.roll(self.generator, steps or self.most)

    @torch.no_grad()
    def keep_to(self, start: Start) -> None:
        """Keep to another start, of the same parts as the first one."""
        parts = (self.start, start.latent[None]), (self.kept, start.kept), (self.seen, start.seen)
        for own, other in parts:
            if own is not None and other is not None:
                own.copy_(other)

    def __call__(self) -> None:
        """Decode, cut, embed, compare, step."""
        loss = _distance(self.vqgan, self.pulls, self.looks, self.latent, self.generator, self.adam.steps)
        if self.start is not None and self.hold:
            loss = loss + self.hold * _away(self.latent, self.start, self.seen)
        if self.before is not None:
            loss = loss + self.tie * F.mse_loss(self.latent, self.before)
        (gradient,) = torch.autograd.grad(loss, self.latent)
        with torch.no_grad():
            self.adam.step(gradient, self.pace)
            self.latent.clamp_(self.low, self.high)
            if self.start is not None and self.kept is not None:
                self.latent.copy_(torch.where(self.kept, self.start, self.latent))
            self.total += loss

    def keyframe(self, steps: int) -> Keyframe:
        """What so many iterations since `begin` have come to."""
        state = self.latent.detach().clone()
        return Keyframe(self.vqgan.nearest(state)[0], float(self.total / steps), state[0])


def looks(vqgan: VQGAN, pulls: Sequence[Pull], count: int, like: Tensor, most: int) -> list[Look]:
    """How each pull's perceptor looks at a picture, in each of `most` iterations: at `count` cutouts.

    `like` is a latent [..., h, w] of the picture's shape.
    """
    height, width = (side * vqgan.factor for side in like.shape[-2:])
    return [pull.perceptor.look(count, (height, width), most) for pull in pulls]


class _Adam:
    """Adam for one tensor (Kingma and Ba, 2015), of at most `most` steps.

    `torch.optim.Adam` imports PyTorch's compiler, which takes a job longer than its first keyframe, and
    counts its steps on the host, where a replayed graph does not come by. Here they are counted on the
    device, and what depends on their number is looked up.
    """

    def __init__(self, latent: Tensor, learning_rate: float, most: int) -> None:
        self.latent = latent
        self.mean, self.square = torch.zeros_like(latent), torch.zeros_like(latent)
        self.steps = torch.zeros(1, dtype=torch.long, device=latent.device)
        corrections = [
            ((1 - BETA2**step) ** 0.5, -learning_rate / (1 - BETA1**step)) for step in range(1, most + 1)
        ]
        table = np.array(corrections, np.float32)  # [most, 2]: of the spread, and the step's size
        self.corrections = torch.from_numpy(table).to(latent.device)

    def reset(self) -> None:
        """Forget all steps."""
        for state in (self.mean, self.square, self.steps):
            state.zero_()

    def step(self, gradient: Tensor, pace: Tensor | None = None) -> None:
        """Move the latent against its gradient, at `pace` times the learning rate."""
        correction, size = self.corrections.index_select(0, self.steps)[0].unbind()
        size = size if pace is None else size * pace
        self.steps += 1
        self.mean.lerp_(gradient, 1 - BETA1)
        self.square.mul_(BETA2).addcmul_(gradient, gradient, value=1 - BETA2)
        spread = self.square.sqrt().div_(correction).add_(EPSILON)
        self.latent.addcdiv_(self.mean * size, spread)


def _distance(
    vqgan: VQGAN,
    pulls: Sequence[Pull],
    looks: Sequence[Look],
    latent: Tensor,
    generator: Generator,
    step: Tensor,
) -> Tensor:
    """How far the decoded picture is from the words, float32 [], as seen in iteration `step`, int64 [1]."""
    quantised = vqgan.embed(vqgan.nearest(latent.detach()))
    image = clamp_inwards(vqgan.decode(straight_through(latent, quantised)), 0, 1)
    loss = torch.zeros((), device=latent.device)
    for pull, look in zip(pulls, looks, strict=True):
        loss = loss + pull.weight * _judged(pull, look(image, generator, step))
    return loss


def _judged(pull: Pull, cutouts: Tensor) -> Tensor:
    """How far cutouts [n, …], as the perceptor's look made them, are from the words, float32 []."""
    if not 0 < pull.micro_batch < len(cutouts):
        return _mean_distance(pull, cutouts)
    loss = torch.zeros((), device=cutouts.device)
    gradients: list[Tensor] = []
    for part in torch.split(cutouts.detach(), pull.micro_batch):
        part.requires_grad_()
        share = _mean_distance(pull, part) * (len(part) / len(cutouts))
        gradients += torch.autograd.grad(share, part)
        loss += share.detach()
    # Its value is the loss, its gradient that of all parts; what the perceptor kept for them is freed by now.
    pulled = (cutouts * torch.cat(gradients)).sum()
    return loss + pulled - pulled.detach()


def _away(latent: Tensor, start: Tensor, seen: Tensor | None) -> Tensor:
    """How far a latent [1, c, h, w] is from another one, float32 [], where that one's picture is seen."""
    if seen is None:
        return F.mse_loss(latent, start)
    return (seen * (latent - start).square()).mean()


def _mean_distance(pull: Pull, cutouts: Tensor) -> Tensor:
    embedded = pull.perceptor.embed_seen(cutouts)  # [n, d]
    distances = spherical_distance(embedded[:, None], pull.target)  # [n, targets]
    return pull.weighing.judged(distances) if pull.weighing else distances.mean()


def _stream(seed: int, name: str) -> int:
    """A 63-bit seed for one random stream, the same on every machine and in every release of Python."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:8]) >> 1
