"""What a network's way there keeps for its way back, where both are written out."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor


class Kept:
    """A stack: what was pushed last is needed first. Nothing is held where there is no way back."""

    def __init__(self, way_back: bool) -> None:
        self.way_back = way_back
        self.stack: list[tuple[Any, ...]] = []

    def push(self, *values: Any) -> None:
        """Keep values for the way back."""
        if self.way_back:
            self.stack.append(values)

    def pop(self) -> tuple[Any, ...]:
        """The values that were pushed last and not popped."""
        return self.stack.pop()


class Network(Protocol):
    """A frozen network with a way there and a way back; only its input gets a gradient."""

    def there(self, values: Tensor, kept: Kept) -> Tensor:
        """What it makes of its input."""

    def back(self, gradient: Tensor, kept: Kept) -> Tensor:
        """The gradient of its input, from that of what it made."""


def there_and_back(network: Network, values: Tensor) -> Tensor:
    """What a network makes of values, differentiable where a gradient is asked for."""
    if torch.is_grad_enabled() and values.requires_grad:
        made: Tensor = _ThereAndBack.apply(values, network)
        return made
    return network.there(values, Kept(way_back=False))


class _ThereAndBack(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, network: Network) -> Tensor:
        ctx.network, ctx.kept = network, Kept(way_back=True)
        return network.there(values, ctx.kept)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,) = gradients
        return ctx.network.back(gradient, ctx.kept), None
