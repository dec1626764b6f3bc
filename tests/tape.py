"""A CUDA graph's stand-in on any device: it records a step's operations and replays those, not the step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Generator, Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from songreel.sampling import graphs


class Tape(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records what is dispatched while it is entered.

    As a graph does, it keeps the addresses of all tensors and the values of all else: what the step's Python
    decides or counts is as it was when it was recorded.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: list[tuple[Any, Any, dict[str, Any], Any]] = []

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        self.calls.append((function, args, kwargs or {}, result))
        return result

    @torch.no_grad()
    def replay(self) -> None:
        """Do it again, each result to the address that it had."""
        for function, args, kwargs, recorded in self.calls:
            again = function(*args, **kwargs)
            for old, new in zip(tree_leaves(recorded), tree_leaves(again), strict=True):
                if isinstance(old, Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)

    def shapes(self) -> list[tuple[str, list[torch.Size]]]:
        """The operations in their order, with the shapes of their results."""
        return [
            (str(function), [it.shape for it in tree_leaves(result) if isinstance(it, Tensor)])
            for function, _, _, result in self.calls
        ]


def taped(step: Callable[[], None]) -> Tape:
    with (tape := Tape()):
        step()
    return tape


def replayed(step: Callable[[], None], generator: Generator) -> Callable[[], None]:
    """As `graphs.replayed` on a GPU."""
    for _ in range(graphs.REHEARSALS):
        step()
    return taped(step).replay
