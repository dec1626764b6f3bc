"""Trains picture towers, CLIP's and the judge's: to place pictures where the words for them already lie.

The words' side is frozen (Zhai et al.: LiT, 2022). Half of a batch are single things, told from every other
thing there is by name; the other half are scenes, told from thousands of other scenes by their captions. All
are seen as the sampler's cutouts show them, so that the gradients of what is learned steer.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from songreel.ground.messages import say
from songreel.kernels import devices
from songreel.kernels.cutouts import cut, halved
from songreel.models.clip_configs import MEAN, STD
from songreel_starter import words
from songreel_starter.pool import Pool
from songreel_starter.states import Keeper
from songreel_starter.things import ONE_COLOUR, Library

LEAST_WEIGHT = 0.5  # of the sprites that are shown as single things: what has a name that says what it is
AT_ONCE = 64  # pictures cut together: more need memory that has to be found anew each time
OTHERS = 4096  # captions of other scenes that a scene's own is told from
ALIKE, SHARE = 20.0, 0.2  # how near texts are right answers, too, and how much of the answer is theirs
THINGS, SCENES = 0.6, 1.0  # weights of the two losses
SCALE, MOST_SCALE = 20.0, 80.0  # of the logits
RISE, FALL = 100, 0.2  # steps over which the learning rate rises; share of the steps over which it falls
AVERAGED = 0.998  # of the weights' running average that stays at each step; the average is what is kept
REPORT_EVERY = 100  # steps
BLURRED, NOISE = 0.25, 0.3  # share of the cutouts that are blurred; the most noise, as a standard deviation
TINTED = 0.1  # share of the coloured things that get another colour
PUSH = 1.5  # the farthest that a cutout's pixels are pushed, as the length of a vector

Texts = Callable[[Sequence[str]], Tensor]  # words to unit vectors float32 [n, d], on the CPU


@dataclass(frozen=True)
class Recipe:
    """How a tower is trained. More steps than before go on from where a training ended."""

    steps: int
    batch: int = 256
    learning_rate: float = 1.5e-3
    seed: int = 0
    pushed_from: int | None = None  # the step from which pictures are pushed away from their words
    kept: dict[str, Any] = field(default_factory=dict)  # what else tells this training from others

    def identity(self) -> dict[str, Any]:
        """What a state must have been kept by to be gone on from."""
        return {"batch": self.batch, "learning_rate": self.learning_rate, "seed": self.seed, **self.kept}


class Things:
    """Single sprites, and the bank of names that each is told from."""

    def __init__(self, library: Library, embed: Texts, side: int, device: torch.device) -> None:
        """`side` is that of the pictures in pixels: sprites are shrunk to it once."""
        assert library.pictures is not None
        weights = [b - a for a, b in zip([0.0, *library.cumulative], library.cumulative, strict=False)]
        named = [index for index, weight in enumerate(weights) if weight > LEAST_WEIGHT]
        chosen = named or list(range(len(weights)))
        labels = [library.entries[index].label for index in chosen]
        often = Counter(labels)
        self.names = sorted(often)
        number = {name: index for index, name in enumerate(self.names)}
        self.device = device
        self.sprites = torch.cat(
            [_resized(part.to(device), side) for part in torch.split(library.pictures[chosen], AT_ONCE)]
        )  # uint8 [sprites, 4, side, side]
        self.labels = torch.tensor([number[label] for label in labels])
        # A name that many draw comes oftener than one that is drawn once, but not so many times as often.
        self.weights = torch.tensor(
            [weights[i] / often[name] ** 0.5 for i, name in zip(chosen, labels, strict=True)]
        )
        inks = [library.entries[index].source in ONE_COLOUR for index in chosen]
        self.of_one_ink = torch.tensor(inks)
        embedded = torch.stack([embed([form(name) for name in self.names]) for form in (str, words.article)])
        self.bank = F.normalize(embedded.mean(0), dim=-1).to(device)  # [names, d]

    def batch(self, behind: Tensor, dice: Generator) -> tuple[Tensor, Tensor]:
        """Sprites over backgrounds [n, 3, side, side] in 0..1, and the numbers [n] of their names."""
        count, side = len(behind), behind.shape[-1]
        picked = torch.multinomial(self.weights, count, replacement=True, generator=dice)
        pixels = self.sprites[picked.to(self.device)].float().div_(255)
        colour, alpha = pixels[:, :3], pixels[:, 3:]
        tinted = self.of_one_ink[picked] | (torch.rand(count, generator=dice) < TINTED)
        ink = torch.rand(count, 3, 1, 1, generator=dice).to(self.device)
        shade = colour.mean(1, keepdim=True) * 0.6 + 0.4
        colour = torch.where(tinted.to(self.device).view(-1, 1, 1, 1), shade * ink, colour)
        moved = F.grid_sample(
            torch.cat((colour * alpha, alpha), 1), self._places(count, side, dice), align_corners=False
        )
        return behind * (1 - moved[:, 3:]) + moved[:, :3], self.labels[picked].to(self.device)

    def _places(self, count: int, side: int, dice: Generator) -> Tensor:
        size = torch.rand(count, generator=dice) * 0.5 + 0.55  # of the picture's side
        at = (torch.rand(count, 2, generator=dice) - 0.5) * 0.35
        map_to_sprite = torch.zeros(count, 2, 3)
        map_to_sprite[:, 0, 0] = map_to_sprite[:, 1, 1] = 1 / size
        map_to_sprite[:, :, 2] = -at / size[:, None]
        return F.affine_grid(map_to_sprite, [count, 1, side, side], align_corners=False).to(self.device)


class Training:
    """A tower, its optimiser and the next step's number, of which the pictures it sees are a function."""

    def __init__(
        self,
        tower: nn.Module,
        side: int,
        pool: Pool,
        captions: Tensor,
        library: Library,
        embed: Texts,
        recipe: Recipe,
    ) -> None:
        """`captions` are the pool's, embedded [scenes, d]; `embed` does the same to the names of things."""
        self.recipe, self.pool, self.side, self.device = recipe, pool, side, devices.choose()
        self.tower = tower.train().to(self.device).to(memory_format=torch.channels_last)
        self.scale = nn.Parameter(torch.tensor(math.log(SCALE), device=self.device))
        matrices = [value for value in tower.parameters() if value.ndim > 1]
        vectors = [value for value in tower.parameters() if value.ndim < 2]
        groups: list[dict[str, Any]] = [{"params": matrices, "weight_decay": 0.05}]
        groups.append({"params": [*vectors, self.scale], "weight_decay": 0.0})
        self.optimiser = torch.optim.AdamW(groups, recipe.learning_rate, (0.9, 0.98))
        self.parameters = [*matrices, *vectors, self.scale]
        self.averaged = {name: value.clone() for name, value in tower.state_dict().items()}
        self.things = Things(library, embed, side, self.device)
        self.captions = captions.to(self.device)
        self.mean = torch.tensor(MEAN, device=self.device).view(1, 3, 1, 1)
        self.std = torch.tensor(STD, device=self.device).view(1, 3, 1, 1)
        self.step = 0

    def advance(self) -> tuple[Tensor, Tensor]:
        """One step; returns the losses of things and of scenes."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.learning_rate * self._rate()
        pictures, labels, captions = self._pictures()
        if self.recipe.pushed_from is not None and self.step >= self.recipe.pushed_from:
            pictures = self._pushed(pictures, labels, captions)
        of_things, of_scenes = self._losses(pictures, labels, captions)
        loss = THINGS * of_things + SCENES * of_scenes
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call, unused-ignore]
        nn.utils.clip_grad_norm_(self.parameters, 2.0)
        self.optimiser.step()
        self.step += 1
        self._average()
        return of_things.detach(), of_scenes.detach()

    def embed_images(self, images: Tensor) -> Tensor:
        """Unit vectors float32 [n, d] of pictures [n, 3, side, side] in 0..1."""
        pixels = ((images - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        dtype = devices.precision(self.device)
        with torch.autocast(self.device.type, dtype=dtype, enabled=dtype != torch.float32):
            embedded = self.tower(pixels)
        return F.normalize(embedded.float(), dim=-1)

    def state(self) -> dict[str, Any]:
        return {
            "tower": self.tower.state_dict(),
            "averaged": self.averaged,
            "optimiser": self.optimiser.state_dict(),
            "scale": self.scale.detach(),
            "step": self.step,
        }

    def restore(self, state: dict[str, Any] | None) -> None:
        if state:
            self.tower.load_state_dict(state["tower"])
            self.averaged = {name: value.to(self.device) for name, value in state["averaged"].items()}
            self.optimiser.load_state_dict(state["optimiser"])
            self.scale.data.copy_(state["scale"])
            self.step = state["step"]

    def _pictures(self) -> tuple[Tensor, Tensor, Tensor]:
        """Cutouts of single things and then of scenes, and the numbers of the names and of the captions."""
        half = self.recipe.batch // 2
        dice = Generator().manual_seed(self.recipe.seed * 1_000_003 + self.step)
        chosen = torch.randint(len(self.pool), (self.recipe.batch - half,), generator=dice)
        painted = self.pool.pictures(chosen, self.device).float().div_(255)
        small = painted
        while small.shape[-1] >= 2 * self.side:
            small = halved(small)
        behind = _behind(small, half, self.side, dice)
        things, labels = self.things.batch(behind, dice)
        generator = Generator(self.device).manual_seed(int(torch.randint(1 << 60, (), generator=dice)))
        seen = torch.cat((self._seen(things, generator), self._seen(painted, generator)))
        return seen, labels, chosen.to(self.device)

    def _seen(self, pictures: Tensor, generator: Generator) -> Tensor:
        """A cutout of each picture [n, 3, h, w], some of them blurred or noisy."""
        parts = torch.split(pictures, AT_ONCE)
        return torch.cat([roughened(cut(part, len(part), self.side, generator), generator) for part in parts])

    def _pushed(self, pictures: Tensor, labels: Tensor, captions: Tensor) -> Tensor:
        """Pictures moved up to PUSH along the gradient away from their words, as an opponent would.

        A tower that is not misled by that has gradients that draw what the words say (Santurkar et al.: Image
        Synthesis with a Single (Robust) Classifier, 2019).
        """
        pictures = pictures.detach().requires_grad_()
        of_things, of_scenes = self._losses(pictures, labels, captions)
        (gradient,) = torch.autograd.grad(THINGS * of_things + SCENES * of_scenes, pictures)
        dice = Generator().manual_seed(self.recipe.seed * 1_000_003 + self.step + 700_027)
        far = PUSH * torch.rand(len(pictures), 1, 1, 1, generator=dice).to(self.device)
        return pictures.detach() + far * F.normalize(gradient.flatten(1), dim=1).view_as(pictures)

    def _losses(self, pictures: Tensor, labels: Tensor, captions: Tensor) -> tuple[Tensor, Tensor]:
        """The losses of things and of scenes, as `_pictures` gives them."""
        embedded, things = self.embed_images(pictures), len(labels)
        scale = self.scale.exp().clamp(max=MOST_SCALE)
        of_things = _told_apart(embedded[:things], self.things.bank, labels, scale)
        return of_things, self._scenes_loss(embedded[things:], captions, scale)

    def _scenes_loss(self, embedded: Tensor, chosen: Tensor, scale: Tensor) -> Tensor:
        dice = Generator().manual_seed(self.recipe.seed * 1_000_003 + self.step + 500_009)
        others = torch.randint(len(self.pool), (OTHERS,), generator=dice).to(self.device)
        numbers = torch.arange(len(chosen), device=self.device)
        to_text = _told_apart(embedded, self.captions[torch.cat((chosen, others))], numbers, scale)
        to_picture = _told_apart(self.captions[chosen], embedded, numbers, scale, self.captions[chosen])
        return (to_text + to_picture) / 2

    def _rate(self) -> float:
        """A short rise, then level, then a fall over the last steps."""
        left = (self.recipe.steps - self.step) / (FALL * self.recipe.steps)
        return min(1.0, (self.step + 1) / RISE, max(0.02, left))

    @torch.no_grad()
    def _average(self) -> None:
        kept = min(AVERAGED, (1 + self.step) / (10 + self.step))
        for name, value in self.tower.state_dict().items():
            if value.is_floating_point():
                self.averaged[name].lerp_(value, 1 - kept)
            else:
                self.averaged[name].copy_(value)


def train(training: Training, target: Path) -> dict[str, Tensor]:
    """Train to the recipe's last step; returns the averaged weights, on the CPU.

    The state stays beside the target: a recipe with more steps goes on from it.
    """
    keeper = Keeper(target, training.recipe.identity())
    training.restore(keeper.last())
    while training.step < training.recipe.steps:
        losses = training.advance()
        if training.step % REPORT_EVERY == 0 or training.step == training.recipe.steps:
            things, seen = (value.item() for value in losses)
            message = (
                f"step {training.step} of {training.recipe.steps}: things {things:.3f}, scenes {seen:.3f}"
            )
            say(message)
        if keeper.is_due():
            keeper.keep(training.state())
    keeper.keep(training.state())
    return {name: value.cpu().contiguous() for name, value in training.averaged.items()}


def roughened(pictures: Tensor, generator: Generator) -> Tensor:
    """Pictures [n, 3, side, side] as half-done ones look: the first ones blurred, all more or less noisy.

    What tells things apart in spite of noise has gradients along their shapes, not along pixels (Kaur et al.:
    Are Perceptually-Aligned Gradients a General Property of Robust Classifiers?, 2019).
    """
    blurred = pictures[: round(BLURRED * len(pictures))]
    blurred = F.interpolate(halved(blurred), size=blurred.shape[-2:], mode="bilinear")
    amount = torch.rand(len(pictures), 1, 1, 1, device=pictures.device, generator=generator)
    noise = torch.randn(pictures.shape, device=pictures.device, generator=generator)
    return torch.cat((blurred, pictures[len(blurred) :])).addcmul_(noise, amount.square(), value=NOISE)


def fingerprint(path: Path) -> str:
    """What tells a file from any other, for a recipe."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _told_apart(
    embedded: Tensor, bank: Tensor, right: Tensor, scale: Tensor, meanings: Tensor | None = None
) -> Tensor:
    """Cross-entropy of vectors [n, d] against a bank [m, d], where what is near the right is right, too."""
    meanings = bank if meanings is None else meanings
    with torch.no_grad():
        alike = torch.softmax(ALIKE * meanings[right] @ meanings.T, 1)
        answer = SHARE * alike + (1 - SHARE) * F.one_hot(right, len(bank))
    return F.cross_entropy(scale * embedded @ bank.T, answer)


def _resized(sprites: Tensor, side: int) -> Tensor:
    """Pictures uint8 [n, 4, side, side] of larger or smaller ones."""
    return F.interpolate(sprites.float(), size=(side, side), mode="area").round().byte()


def _behind(painted: Tensor, count: int, side: int, dice: Generator) -> Tensor:
    """Backgrounds [count, 3, side, side]: one colour, a soft gradient, or a part of a scene, enlarged."""
    device = painted.device
    kind = torch.rand(count, generator=dice)
    colour = torch.rand(count, 3, 1, 1, generator=dice)
    soft = F.interpolate(
        torch.rand(count, 3, 3, 3, generator=dice), size=side, mode="bilinear", align_corners=True
    )
    row = torch.randint(len(painted), (count,), generator=dice)
    top, left = (int(torch.randint(side // 2 + 1, (), generator=dice)) for _ in range(2))
    part = painted[row.to(device), :, top : top + side // 2, left : left + side // 2]
    behind = torch.where((kind < 0.4).view(-1, 1, 1, 1), colour, soft).to(device)
    enlarged = F.interpolate(part, size=side, mode="bilinear")
    return torch.where((kind > 0.65).to(device).view(-1, 1, 1, 1), enlarged, behind).clamp(0, 1)
