"""The picture maker, trained: an autoencoder first, then a codebook for it, then a critic that sharpens it.

Esser, Rombach, Ommer: Taming Transformers for High-Resolution Image Synthesis, CVPR 2021. The codebook
follows its vectors as in van den Oord et al.: Neural Discrete Representation Learning, NeurIPS 2017.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
import yaml
from torch import Generator, Tensor, nn

from songreel.ground.errors import UserError
from songreel.ground.files import replacing
from songreel.kernels import devices
from songreel.models.vqgan import VQGAN
from songreel_starter import adversarial, likeness
from songreel_starter.adversarial import Adversarial
from songreel_starter.pool import Pool
from songreel_starter.states import Keeper, State

# What a film's speed is decided by: all pictures inside the decoder are as small as its grid of codes.
FOLD, LEVELS, CHANNELS = 8, (1,), 64
HIDDEN = 64  # channels between encoder and codebook
CANVAS = 0.1  # contrast of the noise that its films start from: of a livelier one blots are left
HELD_OUT = 64  # scenes
PERCEPTION = 0.12  # weight of the picture tower's opinion
COMMITMENT = 0.25  # weight of the distance from the codes by the latents' variance; at 0.03 half of them died
MODESTY = 0.01  # weight of what latents are larger than one
RAW = 0.1  # of the pictures are drawn from unquantised latents: the decoder stays smooth between codes
NOISE = 0.1, 0.4  # in standard deviations, at the start and the end of the time without codes
SHARPNESS = 0.5  # the critic's gradient by that of all else
RISE = 500  # steps in which the critic gains its say
CODEBOOK_DECAY = 0.98  # a step
LAST = 0.2  # of the steps, in which the learning rate falls
RARE = 0.2  # of its share of the vectors, under which a code is used for something else
RESTART_EVERY = 25  # steps
SAMPLE = 32  # vectors for each code of the first codebook
SPREAD = (
    4.7  # standard deviation of the codes, as of the first pair's, for which the sampler's steps are tuned
)


@dataclass(frozen=True)
class Recipe:
    """A VQGAN and how it is trained: `autoencoder_steps` without codes, and with a critic from a step on."""

    codes: int = 2048
    code_width: int = 16
    blocks: int = 1  # of each level of the encoder; the decoder has one more
    steps: int = 20_000
    autoencoder_steps: int = 2000
    adversarial_from: int = 12_000
    batch: int = 16
    crop: int = 64  # pixels
    learning_rate: float = 1e-3
    seed: int = 0


def architecture(recipe: Recipe, side: int) -> dict[str, Any]:
    """What songreel.models.vqgan.VQGAN is built from, for pictures of so many pixels' side."""
    ddconfig = {
        "double_z": False,
        "z_channels": HIDDEN,
        "resolution": side // FOLD,
        "ch": CHANNELS,
        "ch_mult": list(LEVELS),
        "num_res_blocks": recipe.blocks,
        "attn_resolutions": [],
        "dropout": 0.0,
    }
    return {"ddconfig": ddconfig, "n_embed": recipe.codes, "embed_dim": recipe.code_width, "fold": FOLD}


def train(scenes: Sequence[Path], clip: Path, recipe: Recipe, target: Path) -> None:
    """Train and write the VQGAN: safetensors, and beside it the YAML that tells its architecture."""
    if recipe.autoencoder_steps >= recipe.steps:
        raise UserError(
            f"found {recipe.autoencoder_steps} steps without codes, expected fewer than the {recipe.steps} in"
            f" all; correct autoencoder_steps or vqgan_steps."
        )
    device = devices.choose()
    pool = Pool(scenes)
    training = _Training(recipe, pool, likeness.picture_tower(clip, device), device)
    keeper = Keeper(target, _lasting(recipe))
    training.train(recipe.steps, keeper)
    save(training.average, architecture(recipe, pool.side), target)


def _lasting(recipe: Recipe) -> State:
    """What a kept state is bound to; steps, scenes and picture tower may be others than they were."""
    return {key: value for key, value in asdict(recipe).items() if key not in ("steps", "adversarial_from")}


def crops(pictures: Tensor, side: int, dice: Generator) -> Tensor:
    """Squares float32 [n, 3, side, side] in 0..1 of scenes uint8 [n, 3, h, h], some of them mirrored.

    Half of them show the scene's own pixels, a quarter enlarged ones, and a quarter shrunk ones.
    """
    widths = side, side, _between(side // 2, side, dice), _between(side, pictures.shape[-1], dice)
    parts = [
        F.interpolate(_cut(part, width, dice), size=(side, side), mode="bilinear", antialias=True)
        for part, width in zip(pictures.chunk(len(widths)), widths, strict=False)
    ]
    squares = torch.cat(parts) / 255
    mirrored = torch.rand(len(squares), 1, 1, 1, generator=dice) < 0.5
    return torch.where(mirrored, squares.flip(-1), squares)


def _between(least: int, most: int, dice: Generator) -> int:
    return int(torch.randint(least, most + 1, (), generator=dice))


def _cut(pictures: Tensor, width: int, dice: Generator) -> Tensor:
    """A square float32 [n, 3, width, width] from somewhere in each picture uint8 [n, 3, h, h]."""
    corners = torch.randint(pictures.shape[-1] - width + 1, (len(pictures), 2, 1), generator=dice)
    rows, columns = (corners + torch.arange(width)).unbind(1)  # each [n, width]
    one_each = torch.arange(len(pictures))[:, None, None]
    found = pictures[one_each, :, rows[:, :, None], columns[:, None, :]]  # [n, width, width, 3]
    return found.permute(0, 3, 1, 2).float()


def centres(vectors: Tensor, count: int, seed: int, rounds: int = 10) -> Tensor:
    """The means [count, c] of as many clusters of vectors [n, c], by k-means; n is no less than count."""
    dice = Generator().manual_seed(seed)
    found = vectors[torch.randperm(len(vectors), generator=dice)[:count].to(vectors.device)]
    for _ in range(rounds):
        nearest = torch.cat([torch.cdist(part, found).argmin(1) for part in torch.split(vectors, 8192)])
        sums = torch.zeros_like(found).index_add_(0, nearest, vectors)
        sizes = torch.bincount(nearest, minlength=count)[:, None]
        found = torch.where(sizes > 0, sums / sizes.clamp(min=1), found)
    return found


class _Training(Adversarial):
    """The number of the next step decides what it sees."""

    def __init__(self, recipe: Recipe, pool: Pool, visual: nn.Module, device: torch.device) -> None:
        self.recipe, self.visual = recipe, visual
        torch.manual_seed(recipe.seed)
        vqgan = VQGAN(**architecture(recipe, pool.side)).to(device)
        vqgan.codebook.requires_grad_(False)  # it follows the latents, not a gradient
        super().__init__(vqgan, recipe.learning_rate, pool, HELD_OUT, device)
        self.sums = torch.zeros_like(vqgan.codebook)  # of the vectors of each code, fading
        self.sizes = torch.zeros(recipe.codes, 1, device=device)

    def advance(self) -> None:
        """One step."""
        if self.step == self.recipe.autoencoder_steps:
            self._choose_codes()
        rate = self.recipe.learning_rate * self._rate(self.recipe.steps, LAST)
        adversarial.set_rates([(self.optimiser, rate), (self.judging, rate / 2)])
        dice = self._dice(self.step)
        wanted = self._batch(dice)
        with self._precision():
            latents = self.vqgan.encode(wanted).float()
        shown, distance = self._quantised(latents, dice)
        with self._precision():
            drawn = self.vqgan.decode(shown)
        gradient, loss = self._gradient(drawn, wanted)
        self._descend((drawn * gradient).sum() + COMMITMENT * distance + MODESTY * _excess(latents))
        if self.step >= self.recipe.adversarial_from:
            self._teach_critic(self._opinion(torch.cat((drawn.detach(), wanted))))
        self.step += 1
        self._follow()
        self.losses.append(torch.stack((loss, distance.detach())))

    def progress(self) -> str:
        loss, distance = torch.stack(self.losses).mean(0).tolist()
        self.losses.clear()
        return f"loss {loss:.4f}, distance from the codes {distance:.3f}"

    @torch.no_grad()
    def judged(self) -> str:
        """On scenes held out: how true the pictures are, and how many of the codes they need."""
        truth, tokens = list[Tensor](), list[Tensor]()
        for part in torch.split(self.held_out, 16):
            wanted = self.pool.pictures(part).to(self.device) / 255
            with self._precision():
                latents = self.average.encode(wanted).float()
            tokens.append(self.average.nearest(latents))
            shown = self.average.embed(tokens[-1]) if self.has_codes else latents
            with self._precision():
                drawn = self.average.decode(shown).clamp(0, 1)
            truth.append(adversarial.decibels(drawn, wanted))
        used = (
            f", {torch.cat(tokens).flatten().bincount().count_nonzero()} of {self.recipe.codes} codes"
            if self.has_codes
            else ""
        )
        return f"held out: {torch.cat(truth).mean():.2f} dB{used}"

    def state(self) -> State:
        return {**super().state(), "sums": self.sums, "sizes": self.sizes}

    def restore(self, state: State | None) -> None:
        super().restore(state)
        if state:
            self.sums.copy_(state["sums"])
            self.sizes.copy_(state["sizes"])

    @property
    def has_codes(self) -> bool:
        return self.step > self.recipe.autoencoder_steps

    def _dice(self, number: int) -> Generator:
        return Generator().manual_seed(self.recipe.seed * 1_000_003 + number)

    def _precision(self) -> AbstractContextManager[Any]:
        dtype = devices.precision(self.device)
        return torch.autocast(self.device.type, dtype=dtype, enabled=dtype != torch.float32)

    def _batch(self, dice: Generator) -> Tensor:
        chosen = self.learnt[torch.randint(len(self.learnt), (self.recipe.batch,), generator=dice)]
        return self._moved(crops(self.pool.pictures(chosen), self.recipe.crop, dice))

    def _moved(self, tensor: Tensor) -> Tensor:
        """A tensor where the arithmetic runs, without waiting for that."""
        return (
            tensor.pin_memory().to(self.device, non_blocking=True) if self.device.type == "cuda" else tensor
        )

    def _quantised(self, latents: Tensor, dice: Generator) -> tuple[Tensor, Tensor]:
        """What the decoder is shown of latents [n, c, h, w], and their distance from it by their variance."""
        if self.step < self.recipe.autoencoder_steps:
            # Codes from the start would leave a latent of two or three dimensions; noise makes it use all.
            done = self.step / self.recipe.autoencoder_steps
            noise = self._moved(torch.randn(latents.shape, generator=dice))
            size = NOISE[0] + (NOISE[1] - NOISE[0]) * done
            return latents + size * latents.detach().std() * noise, latents.new_zeros(())
        tokens = self.vqgan.nearest(latents.detach())
        codes = self.vqgan.embed(tokens)
        distance = (latents - codes).square().mean() / latents.detach().var()
        raw = self._moved(torch.rand(len(latents), 1, 1, 1, generator=dice)) < RAW
        shown = latents + (codes - latents).detach().masked_fill(raw, 0.0)
        self._learn_codes(_vectors(latents.detach()), tokens.flatten(), dice)
        return shown, distance

    def _gradient(self, drawn: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
        """The loss's gradient at drawn pictures [n, 3, h, w], the critic's with it, and the loss without."""
        seen = drawn.detach().requires_grad_()
        with self._precision():
            loss = likeness.difference(seen, wanted) + PERCEPTION * likeness.unlike(self.visual, seen, wanted)
        (gradient,) = torch.autograd.grad(loss, seen)
        say_so = SHARPNESS * min(1.0, (self.step - self.recipe.adversarial_from) / RISE)
        if say_so > 0:
            gradient = adversarial.urged(gradient, self._opinion(seen), seen, say_so)
        return gradient, loss.detach()

    def _opinion(self, pictures: Tensor) -> Tensor:
        """What the critic says of pictures, in float32."""
        with self._precision():
            opinion: Tensor = self.critic(pictures)
        return opinion.float()

    @torch.no_grad()
    def _follow(self) -> None:
        """As all do; the codebook is an average already."""
        super()._follow()
        self.average.codebook.copy_(self.vqgan.codebook)

    @torch.no_grad()
    def _choose_codes(self) -> None:
        """The first codebook: the centres of what the encoder makes of many pictures."""
        vectors = list[Tensor]()
        while sum(map(len, vectors)) < SAMPLE * self.recipe.codes:
            with self._precision():
                latents = self.vqgan.encode(self._batch(self._dice(-1 - len(vectors)))).float()
            vectors.append(_vectors(latents))
        codebook = centres(torch.cat(vectors), self.recipe.codes, self.recipe.seed)
        self.vqgan.codebook.copy_(codebook)
        self.sizes.fill_(len(vectors[0]) / self.recipe.codes)
        self.sums.copy_(codebook * self.sizes)

    @torch.no_grad()
    def _learn_codes(self, vectors: Tensor, tokens: Tensor, dice: Generator) -> None:
        """Move codes to the mean of their vectors [n, c]; now and then, rare codes to any vector."""
        share = len(vectors) / self.recipe.codes
        ones = torch.ones(len(vectors), 1, device=self.device)
        sizes = torch.zeros_like(self.sizes).index_add_(0, tokens, ones)
        self.sizes.lerp_(sizes, 1 - CODEBOOK_DECAY)
        self.sums.lerp_(torch.zeros_like(self.sums).index_add_(0, tokens, vectors), 1 - CODEBOOK_DECAY)
        if self.step % RESTART_EVERY == 0:
            rare = self.sizes < RARE * share
            others = vectors[self._moved(torch.randint(len(vectors), (self.recipe.codes,), generator=dice))]
            self.sizes.masked_fill_(rare, share)
            self.sums.copy_(torch.where(rare, others * share, self.sums))
        self.vqgan.codebook.copy_(self.sums / self.sizes.clamp(min=1e-6))


def _vectors(latents: Tensor) -> Tensor:
    """[n * h * w, c] of latents [n, c, h, w]."""
    return latents.permute(0, 2, 3, 1).flatten(0, 2)


def _excess(latents: Tensor) -> Tensor:
    """What latents are larger than a standard deviation of one, which nothing else holds them to."""
    return F.relu(latents.square().mean() - 1)


def save(vqgan: VQGAN, params: dict[str, Any], target: Path) -> None:
    from safetensors.torch import save_file

    state = {name: value.detach().cpu().contiguous() for name, value in scaled(vqgan).items()}
    document = {"model": {"target": "taming.models.vqgan.VQModel", "params": params, "canvas": CANVAS}}
    with replacing(target.with_suffix(".yaml")) as temporary:
        temporary.write_text(yaml.safe_dump(document), encoding="utf-8")
    with replacing(target) as temporary:
        save_file(state, temporary)


def scaled(vqgan: VQGAN) -> State:
    """The state of a VQGAN that draws the same, with codes of standard deviation SPREAD."""
    state, factor = dict(vqgan.state_dict()), SPREAD / vqgan.codebook.std()
    for name in ("quant_conv.weight", "quant_conv.bias", "quantize.embedding.weight"):
        state[name] = state[name] * factor
    state["post_quant_conv.weight"] = state["post_quant_conv.weight"] / factor
    return state
