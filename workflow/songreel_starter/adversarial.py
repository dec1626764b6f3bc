"""What both trainings of the picture maker are: against a critic, and followed by an average."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from songreel.ground.messages import say
from songreel.models.vqgan import VQGAN
from songreel_starter import likeness
from songreel_starter.pool import Pool
from songreel_starter.states import Keeper, State

REPORT_EVERY = 100  # steps
AVERAGE_DECAY = 0.998  # a step


class Adversarial(ABC):
    """A VQGAN of which something learns, its critic, their optimisers, and the number of the next step."""

    def __init__(self, vqgan: VQGAN, learning_rate: float, pool: Pool, held_out: int, device: Any) -> None:
        """`held_out` scenes of the pool at most, and no more than an eighth of them, are for judging."""
        self.vqgan, self.pool, self.device = vqgan, pool, device
        self.average = copy.deepcopy(vqgan).requires_grad_(False)
        self.critic = likeness.critic().to(device)
        self.parameters = [it for it in vqgan.parameters() if it.requires_grad]
        self.optimiser = torch.optim.AdamW(self.parameters, learning_rate, (0.9, 0.98))
        self.judging = torch.optim.AdamW(self.critic.parameters(), learning_rate, (0.5, 0.9))
        count = min(held_out, len(pool) // 8)
        self.held_out = torch.arange(count) * (len(pool) // count)  # from every file
        self.learnt = torch.tensor(sorted({*range(len(pool))} - {*self.held_out.tolist()}))
        self.step, self.losses = 0, list[Tensor]()

    @abstractmethod
    def advance(self) -> None:
        """One step."""

    @abstractmethod
    def progress(self) -> str:
        """The losses of the last steps, which are forgotten."""

    @abstractmethod
    def judged(self) -> str:
        """How good it is on scenes held out."""

    def train(self, steps: int, keeper: Keeper) -> None:
        """Go on from what was kept until so many steps are done, and keep that, too.

        For good: asked for more steps, the same training goes on from there.
        """
        self.restore(keeper.last())
        while self.step < steps:
            self.advance()
            if self.step % REPORT_EVERY == 0 or self.step == steps:
                say(f"step {self.step} of {steps}: {self.progress()}, {self.judged()}")
            if keeper.is_due():
                keeper.keep(self.state())
        keeper.keep(self.state())

    def state(self) -> State:
        """All that the next steps depend on."""
        return {**{name: part.state_dict() for name, part in self._parts().items()}, "step": self.step}

    def restore(self, state: State | None) -> None:
        """Go on from a state that was kept."""
        if state:
            for name, part in self._parts().items():
                part.load_state_dict(state[name])
            self.step = state["step"]

    def _parts(self) -> dict[str, Any]:
        names = "vqgan", "average", "critic", "optimiser", "judging"
        return {name: getattr(self, name) for name in names}

    def _rate(self, steps: int, last: float) -> float:
        """A short rise, then constant, since the steps may become more later, and down in the last part."""
        left = 1 - self.step / steps
        return min(1.0, (self.step + 1) / 200) * max(0.02, min(1.0, left / last))

    def _descend(self, loss: Tensor) -> None:
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call, unused-ignore]
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimiser.step()

    def _teach_critic(self, opinion: Tensor) -> None:
        """By what it says of drawn pictures and then, as many, of those wanted."""
        of_drawn, of_wanted = opinion.chunk(2)
        loss = F.relu(1 + of_drawn).mean() + F.relu(1 - of_wanted).mean()
        self.judging.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call, unused-ignore]
        self.judging.step()

    @torch.no_grad()
    def _follow(self) -> None:
        """Let the average follow the weights, faster at the start."""
        decay = min(AVERAGE_DECAY, self.step / (self.step + 10))
        for mean, value in zip(self.average.parameters(), self.vqgan.parameters(), strict=True):
            mean.lerp_(value, 1 - decay)


def urged(gradient: Tensor, opinion: Tensor, drawn: Tensor, share: float) -> Tensor:
    """A gradient at drawn pictures, with that of the critic's opinion of them in a share of its length."""
    (urge,) = torch.autograd.grad(-opinion.mean(), drawn)
    length: Tensor = gradient.norm() / urge.norm().clamp(min=1e-12)
    return gradient + share * urge * length


def decibels(drawn: Tensor, wanted: Tensor) -> Tensor:
    """The peak signal-to-noise ratio [n] of pictures [n, 3, h, w] in 0..1."""
    error: Tensor = (drawn - wanted).square().mean((1, 2, 3))
    return -10 * error.log10()


def set_rates(optimisers: Iterable[tuple[torch.optim.Optimizer, float]]) -> None:
    """Give each optimiser its learning rate."""
    for optimiser, rate in optimisers:
        for group in optimiser.param_groups:
            group["lr"] = rate
