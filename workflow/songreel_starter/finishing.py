"""A trained VQGAN, finished: its decoder learns anew, with a deblocking behind it, to leave no grid.

Encoder and codebook stay as they are, so that tokens mean what they meant. The decoder starts as the one that
it was, whose pictures the deblocking passes on unchanged at first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor, nn

from songreel.kernels import devices
from songreel.models import vqgan as models
from songreel.models import weights as architectures
from songreel.models.vqgan import VQGAN
from songreel.models.weights import Weights
from songreel_starter import adversarial, autoencoder, grid, likeness
from songreel_starter.adversarial import Adversarial
from songreel_starter.autoencoder import PERCEPTION, RAW
from songreel_starter.pool import Pool
from songreel_starter.states import Keeper, State

STRAYS = 0.25  # pictures of tokens in disorder, as steering makes them, by those of scenes
STEPS = 0.1  # weight of the profiles of steps, of scenes by those wanted and of strays by even ones, each
SHARPNESS = 0.15  # the critic's gradient by that of all else; with 0.5 edges were torn into teeth
RISE = 300  # steps in which the critic learns, before it has a say, and again until it has all of it
LAST = 0.33  # of the steps, in which the learning rate falls
HELD_OUT = 32  # scenes


@dataclass(frozen=True)
class Recipe:
    """How a VQGAN is finished, with a deblocking of so many channels."""

    channels: int = 64
    steps: int = 2600
    batch: int = 4
    crop: int = 96  # pixels
    learning_rate: float = 8e-4
    seed: int = 0


def finish(scenes: Sequence[Path], clip: Path, trained: Weights, recipe: Recipe, target: Path) -> None:
    """Train and write the finished VQGAN: safetensors, and beside it the YAML that tells its architecture."""
    device = devices.choose()
    training = Finishing(recipe, Pool(scenes), likeness.picture_tower(clip, device), trained, device)
    keeper = Keeper(target, {**_lasting(recipe), "trained": trained.sha256})
    training.train(recipe.steps, keeper)
    autoencoder.save(training.average, architecture(trained, recipe.channels), target)


def _lasting(recipe: Recipe) -> State:
    """What a kept state is bound to; steps and scenes may be others than they were."""
    return {key: value for key, value in asdict(recipe).items() if key != "steps"}


def architecture(trained: Weights, channels: int) -> dict[str, Any]:
    """What the finished VQGAN is built from."""
    built = architectures.architecture(trained)
    return {name: built[name] for name in ("ddconfig", "n_embed", "embed_dim", "fold")} | {
        "deblock": channels
    }


@torch.no_grad()
def unfinished(trained: Weights, channels: int) -> VQGAN:
    """A trained VQGAN with a deblocking behind it that passes its pictures on as they are."""
    before, after = models.read(trained), VQGAN(**architecture(trained, channels))
    state = before.state_dict()
    for name in ("weight", "bias"):
        leave = f"decoder.conv_out.{name}"
        made, half = after.state_dict()[leave], before.fold // 2
        # The numbers of a square, [3, fold, fold], told by quarters: [pixels of a quarter, quarters].
        quarters = state[leave].view(3, 2, half, 2, half, -1).permute(0, 2, 4, 1, 3, 5)
        made[: 3 * before.fold**2] = quarters.reshape(3 * before.fold**2, *made.shape[1:])
        state[leave] = made
    for name, value in after.deblocking.state_dict().items():
        state[f"deblocking.{name}"] = value.zero_() if name.startswith("leave.") else value
    after.load_state_dict(state)
    return after


class Finishing(Adversarial):
    """Only the decoder learns."""

    def __init__(
        self, recipe: Recipe, pool: Pool, visual: nn.Module, trained: Weights, device: torch.device
    ) -> None:
        self.recipe, self.visual = recipe, visual
        torch.manual_seed(recipe.seed)
        vqgan = unfinished(trained, recipe.channels).to(device).requires_grad_(False)
        for part in (vqgan.post_quant_conv, vqgan.decoder, vqgan.deblocking):
            part.requires_grad_(True)
        super().__init__(vqgan, recipe.learning_rate, pool, HELD_OUT, device)

    def advance(self) -> None:
        rate = self.recipe.learning_rate * self._rate(self.recipe.steps, LAST)
        adversarial.set_rates([(self.optimiser, rate), (self.judging, rate)])
        dice = Generator().manual_seed(self.recipe.seed * 1_000_003 + self.step)
        chosen = self.learnt[torch.randint(len(self.learnt), (self.recipe.batch,), generator=dice)]
        wanted = autoencoder.crops(self.pool.pictures(chosen), self.recipe.crop, dice).to(self.device)
        drawn = self.vqgan.decode(self._shown(wanted, dice))
        gradient, losses = self._gradient(drawn, wanted)
        self._descend((drawn * gradient).sum())
        self._teach_critic(self.critic(torch.cat((drawn.detach()[: len(wanted)], wanted))))
        self.step += 1
        self._follow()
        self.losses.append(losses)

    def progress(self) -> str:
        loss, mismatch, uneven = torch.stack(self.losses).mean(0).tolist()
        self.losses.clear()
        return f"loss {loss:.4f}, steps unlike {mismatch:.3f}, uneven {uneven:.3f}"

    @torch.no_grad()
    def judged(self) -> str:
        """On scenes held out: how true the pictures are, and how much of a grid they show."""
        truth, steps = list[Tensor](), list[Tensor]()
        for part in torch.split(self.held_out, 16):
            wanted = self.pool.pictures(part).to(self.device) / 255
            drawn = self.average.decode(self.average.embed(self.average.tokens(wanted))).clamp(0, 1)
            truth.append(adversarial.decibels(drawn, wanted))
            steps.append(grid.profiles(drawn, self.average.factor))
        ratio = grid.ratio(torch.cat(steps))
        return f"held out: {torch.cat(truth).mean():.2f} dB, grid {ratio:.3f}"

    @torch.no_grad()
    def _shown(self, wanted: Tensor, dice: Generator) -> Tensor:
        """Latents of the scenes, as their codes and some as they are, and behind them those of the strays."""
        latents = self.vqgan.encode(wanted)
        tokens = self.vqgan.nearest(latents)
        raw = torch.rand(len(latents), 1, 1, 1, generator=dice).to(self.device) < RAW
        strays = tokens[: round(STRAYS * len(tokens))]
        others = tokens.flatten()[torch.randint(tokens.numel(), strays.shape, generator=dice).to(self.device)]
        share = torch.rand(len(strays), 1, 1, generator=dice)
        swapped = torch.rand(strays.shape, generator=dice) < share
        strays = torch.where(swapped.to(self.device), others, strays)
        return torch.cat((torch.where(raw, latents, self.vqgan.embed(tokens)), self.vqgan.embed(strays)))

    def _gradient(self, drawn: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
        """The loss's gradient at drawn pictures, those of scenes before strays, the critic's with it."""
        seen = drawn.detach().requires_grad_()
        scenes, strays = seen[: len(wanted)], seen[len(wanted) :]
        loss = likeness.difference(scenes, wanted) + PERCEPTION * likeness.unlike(self.visual, scenes, wanted)
        mismatch = grid.mismatch(scenes, wanted, self.vqgan.factor)
        uneven = grid.unevenness(strays, self.vqgan.factor)
        (gradient,) = torch.autograd.grad(loss + STEPS * (mismatch + uneven), seen)
        say_so = SHARPNESS * max(0.0, min(1.0, self.step / RISE - 1))
        if say_so:
            gradient = adversarial.urged(gradient, self.critic(scenes), seen, say_so)
        return gradient, torch.stack((loss, mismatch, uneven)).detach()
