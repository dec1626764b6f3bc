"""Whether a checkpoint's tensors are those of the network that its YAML or config tells."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from songreel.ground import shortage
from songreel.ground.errors import UserError
from songreel.models.pickles import printable

# Of weights that mean what they say
NUMBERS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def expected(build: Callable[[], nn.Module], source: Path) -> dict[str, Tensor]:
    """The names and shapes of a network's tensors, without its numbers. Raises UserError if it cannot be."""
    try:
        with torch.device("meta"):
            return dict(build().state_dict())
    except Exception as error:  # whatever torch says of sizes that do not fit together
        if shortage.sentence(error):
            raise
        reason = printable(str(error) or type(error).__name__)
        raise UserError(
            f"{source}: found an architecture that cannot be built ({reason}), expected one of numbers that"
            f" fit together; choose another model, or correct its config if it is yours."
        ) from None


def checked(
    state: Mapping[str, Tensor], expected: Mapping[str, Tensor], source: Path, config: Path
) -> Mapping[str, Tensor]:
    """The same tensors. Raises UserError that names one which `config`, a YAML or config, says otherwise."""
    if state and (problem := _misfit(state, expected)):
        raise UserError(
            f"{source}: the tensors do not fit {config.name} (found {problem}); fetch both files from the"
            f" same place, or choose another model."
        )
    return state


def _misfit(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> str | None:
    """The first tensor that is not as expected, in words."""
    for name, like in expected.items():
        if name not in state:
            return f"no {name}"
        tensor = state[name]
        if tensor.shape != like.shape:
            return f"{name} of shape {list(tensor.shape)}, expected {list(like.shape)}"
        if like.is_floating_point() and tensor.dtype not in NUMBERS:
            return f"{name} as {str(tensor.dtype).removeprefix('torch.')}, expected floating-point numbers"
        if like.is_floating_point() and not tensor.isfinite().all():
            return f"{name} with numbers that are not finite"
    surplus = sorted(set(state) - set(expected))
    return f"{printable(surplus[0])}, which it knows nothing of" if surplus else None
