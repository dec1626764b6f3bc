"""Networks of random weights for the tests of the fused path, and what holds two paths against each other."""

from __future__ import annotations

from typing import Any

import torch
import yaml
from torch import Generator, Tensor, nn

from songreel import data
from songreel.models import vqgan
from songreel.models.vqgan import VQGAN
from tests.published import VQGANS

WHERE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def rolls(seed: int = 0) -> Generator:
    return Generator(WHERE).manual_seed(seed)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=rolls(seed), device=WHERE)


def randomised(module: nn.Module) -> Any:
    """With weights that leave nothing at its beginning: norms of 1 and biases of 0 would hide faults."""
    dice = Generator().manual_seed(0)
    for name, tensor in module.named_parameters():
        norm = "norm" in name or "ln_" in name
        around = float(norm and "weight" in name)
        tensor.data = torch.randn(tensor.shape, generator=dice) * (0.3 if norm else 0.08) + around
    return module.eval().requires_grad_(False).to(WHERE)


def relative(found: Tensor, expected: Tensor) -> float:
    return float((found.double() - expected.double()).norm() / expected.double().norm())


def picture_maker(name: str, **over: Any) -> VQGAN:
    """The published architecture of that name, or the starter's, with random weights, ready to be fused."""
    params = yaml.safe_load((data.MODELS / "starter/vqgan.yaml").read_text())["model"]["params"]
    if name != "starter":
        params = {key: VQGANS[name]["params"][key] for key in ("ddconfig", "n_embed", "embed_dim")}
    maker = randomised(VQGAN(**{**params, "ddconfig": params["ddconfig"] | over}))
    for level in maker.decoder.up:
        if hasattr(level, "upsample"):
            level.upsample = vqgan.doubling(level.upsample.conv).requires_grad_(False)
    return maker  # type: ignore[no-any-return]


def both_ways(network: Any, values: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
    values = values.detach().requires_grad_()
    made = network(values)
    (gradient,) = torch.autograd.grad(made, values, g.to(made.dtype))
    return made.detach(), gradient
