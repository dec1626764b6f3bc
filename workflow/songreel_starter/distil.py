"""The text tower, distilled: CLIP's words learn to lie where a sentence-embedding model puts them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from songreel.ground.files import replacing
from songreel.ground.messages import say
from songreel.kernels import devices
from songreel.models.perceptor import build, tokenize
from songreel_starter.states import Keeper, fingerprint

HELD_OUT = 2000  # texts at the end of the list, or a tenth of a short one
SAMPLE = 20_000  # texts whose embeddings give the principal directions
RELATIONS, CONTRAST = 10.0, 0.3  # weights of two losses beside the distance from the teacher, which has 4
DISTANCE = 4.0
SHARPNESS = 20.0  # of the contrast
REPORT_EVERY = 200  # steps


@dataclass(frozen=True)
class Recipe:
    """A text tower and how it is trained. `clip.model.build_model` infers heads as width / 64."""

    embed: int = 256
    width: int = 128
    layers: int = 3
    context: int = 32
    steps: int = 4000
    batch: int = 512
    learning_rate: float = 1.5e-3
    seed: int = 0


def tower(recipe: Recipe) -> nn.Module:
    """A CLIP with this text tower; its picture tower is the least there can be and is not trained here."""
    torch.manual_seed(recipe.seed)
    text = (recipe.context, 49408, recipe.width, max(1, recipe.width // 64), recipe.layers)
    names = ("context_length", "vocab_size", "transformer_width", "transformer_heads", "transformer_layers")
    eye = {
        "image_resolution": 32,
        "vision_layers": (1, 1, 1, 1),
        "vision_width": 8,
        "vision_patch_size": None,
    }
    arguments = {"embed_dim": recipe.embed, **eye, **dict(zip(names, text, strict=True))}
    return cast(nn.Module, build(arguments).float())


def tokens(texts: Sequence[str], context: int) -> Tensor:
    """Byte-pair tokens int32 [n, context]; a text longer than that is cut at its end."""
    return tokenize(texts, context).int()


def encode(clip: Any, ids: Tensor) -> Tensor:
    """Embeddings float32 [n, embed], not normalised, of tokens [n, t] cut to the longest."""
    ids = ids[:, : int((ids != 0).sum(1).max())].long()
    hidden = clip.token_embedding(ids) + clip.positional_embedding[: ids.shape[1]]
    hidden = clip.transformer(hidden.permute(1, 0, 2)).permute(1, 0, 2)  # clip cuts its causal mask itself
    at_end = clip.ln_final(hidden)[torch.arange(len(ids), device=ids.device), ids.argmax(-1)]
    return cast(Tensor, at_end.float() @ clip.text_projection)


def principal(vectors: Tensor, width: int, seed: int) -> Tensor:
    """The `width` directions [384, width] that hold most of embeddings [n, 384]."""
    chosen = torch.randperm(len(vectors), generator=Generator().manual_seed(seed))[:SAMPLE]
    directions: Tensor = torch.linalg.svd(vectors[chosen].float(), full_matrices=False).Vh[:width].T
    return directions.contiguous()


def loss(embedded: Tensor, wanted: Tensor) -> Tensor:
    """How far unit vectors [n, d] are from the teacher's: each from its own, and all from each other."""
    distance = 1 - (embedded * wanted).sum(-1).mean()
    logits = SHARPNESS * embedded @ wanted.T
    contrast = F.cross_entropy(logits, torch.arange(len(logits), device=logits.device))
    relations = (embedded @ embedded.T - wanted @ wanted.T).square().mean()
    return DISTANCE * distance + CONTRAST * contrast + RELATIONS * relations


def train(texts: Sequence[str], vectors: Path, recipe: Recipe, target: Path) -> None:
    """Train and write the tower: safetensors with the directions that its space keeps of the teacher's."""
    device = devices.choose()
    taught = torch.from_numpy(np.load(vectors))
    width = min(recipe.embed, taught.shape[1], len(texts))
    directions = principal(taught, width, recipe.seed)
    wanted = F.normalize(taught.float() @ directions, dim=-1)
    wanted = F.pad(wanted, (0, recipe.embed - width)).to(device)
    ids = tokens(texts, recipe.context).to(device)
    training = _Training(recipe, ids, wanted, device)
    keeper = Keeper(target, {**asdict(recipe), "texts": fingerprint(texts)})
    training.restore(keeper.last())
    while training.step < recipe.steps:
        value = training.advance()
        if training.step % REPORT_EVERY == 0 or training.step == recipe.steps:
            say(f"step {training.step} of {recipe.steps}: loss {value:.3f}, {training.judged()}")
        if keeper.is_due():
            keeper.keep(training.state())
    _save(training.clip, directions, target)
    keeper.forget()


class _Training:
    """A tower, its optimiser and the next step's number, of which the texts it sees are a function."""

    def __init__(self, recipe: Recipe, ids: Tensor, wanted: Tensor, device: torch.device) -> None:
        self.recipe, self.ids, self.wanted, self.device = recipe, ids, wanted, device
        self.clip = tower(recipe).to(device)
        parameters = [value for name, value in self.clip.named_parameters() if _is_text(name)]
        self.optimiser = torch.optim.AdamW(parameters, recipe.learning_rate, (0.9, 0.98), weight_decay=0.01)
        self.parameters, self.step = parameters, 0
        self.learnt = len(ids) - min(HELD_OUT, len(ids) // 10)
        self.epoch, self.order = -1, torch.empty(0, dtype=torch.long)

    def advance(self) -> float:
        """One step; returns its loss."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.learning_rate * self._rate()
        chosen = self._batch()
        value = loss(self._encoded(self.ids[chosen]), self.wanted[chosen])
        self.optimiser.zero_grad(set_to_none=True)
        value.backward()  # type: ignore[no-untyped-call, unused-ignore]
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimiser.step()
        self.step += 1
        return value.item()

    @torch.no_grad()
    def judged(self) -> str:
        """On texts held out: nearness to the teacher, and how often a text's own vector is nearest."""
        ids, wanted = self.ids[self.learnt :], self.wanted[self.learnt :]
        embedded = torch.cat([self._encoded(part) for part in torch.split(ids, 500)])
        near = (embedded * wanted).sum(-1).mean()
        first = (embedded @ wanted.T).argmax(1) == torch.arange(len(ids), device=self.device)
        return f"held out: cosine {near:.3f}, own vector nearest {first.float().mean():.3f}"

    def state(self) -> dict[str, Any]:
        return {"clip": self.clip.state_dict(), "optimiser": self.optimiser.state_dict(), "step": self.step}

    def restore(self, state: dict[str, Any] | None) -> None:
        if state:
            self.clip.load_state_dict(state["clip"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.step = state["step"]

    def _encoded(self, ids: Tensor) -> Tensor:
        dtype = devices.precision(self.device)
        with torch.autocast(self.device.type, dtype=dtype, enabled=dtype != torch.float32):
            embedded = encode(self.clip, ids)
        return F.normalize(embedded.float(), dim=-1)

    def _rate(self) -> float:
        """A short rise, then a cosine down to a fiftieth."""
        done = self.step / self.recipe.steps
        return min(1.0, (self.step + 1) / 100) * max(0.02, 0.5 * (1 + math.cos(math.pi * done)))

    def _batch(self) -> Tensor:
        size = min(self.recipe.batch, self.learnt)
        epoch, place = divmod(self.step, self.learnt // size)
        if epoch != self.epoch:
            dice = Generator().manual_seed(self.recipe.seed * 1_000_003 + epoch)
            self.epoch, self.order = epoch, torch.randperm(self.learnt, generator=dice)
        return self.order[place * size : (place + 1) * size].to(self.device)


def _is_text(name: str) -> bool:
    return not name.startswith("visual.") and name != "logit_scale"


def _save(clip: nn.Module, directions: Tensor, target: Path) -> None:
    from safetensors.torch import save_file

    kept = {name: value.cpu().contiguous() for name, value in clip.state_dict().items() if _is_text(name)}
    with replacing(target) as temporary:
        save_file({**kept, "teacher.directions": directions}, temporary)
