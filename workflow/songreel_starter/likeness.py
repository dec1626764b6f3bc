"""How like pictures are: by their pixels and edges, to CLIP's picture tower, and to a critic that learns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from songreel.models.clip_configs import MEAN, STD

SCALES = 3  # at which edges are compared, each half the size of the one before
SQUARES, EDGES = 2.0, 0.5  # weights beside the absolute error, which has 1


def difference(drawn: Tensor, wanted: Tensor) -> Tensor:
    """How far pictures [n, 3, h, w] in 0..1 are from others: absolute and squared, in pixels and in edges."""
    error = drawn - wanted
    value = SQUARES * error.square().mean()
    for _ in range(SCALES):
        value = value + error.abs().mean()
        value = value + EDGES * (error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean())
        error = F.avg_pool2d(error, 2)
    return value


def picture_tower(path: Path, device: torch.device) -> nn.Module:
    """The ModifiedResNet whose tensors a safetensors file calls `visual.*`."""
    from clip.model import ModifiedResNet
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        names = [name for name in file.keys() if name.startswith("visual.")]  # noqa: SIM118
        state = {name.removeprefix("visual."): file.get_tensor(name).float() for name in names}
    layers = [
        len({name.split(".")[1] for name in state if name.startswith(f"layer{n}.")}) for n in (1, 2, 3, 4)
    ]
    width = len(state["layer1.0.conv1.weight"])
    side = 32 * round((len(state["attnpool.positional_embedding"]) - 1) ** 0.5)
    tower: nn.Module = ModifiedResNet(layers, len(state["attnpool.c_proj.weight"]), width // 2, side, width)
    tower.load_state_dict(state)
    tower.eval().requires_grad_(False).to(device)
    return tower.to(memory_format=torch.channels_last)


def features(visual: Any, pictures: Tensor) -> list[Tensor]:
    """What a ModifiedResNet makes of pictures [n, 3, h, w] in 0..1 on its way, each smaller than the last."""
    mean, std = (torch.tensor(it, device=pictures.device).view(1, 3, 1, 1) for it in (MEAN, STD))
    hidden = ((pictures - mean) / std).contiguous(memory_format=torch.channels_last)
    hidden = visual.relu1(visual.bn1(visual.conv1(hidden)))
    hidden = visual.relu2(visual.bn2(visual.conv2(hidden)))
    layers = [visual.relu3(visual.bn3(visual.conv3(hidden)))]
    hidden = visual.avgpool(layers[0])
    for layer in (visual.layer1, visual.layer2, visual.layer3):
        hidden = layer(hidden)
        layers.append(hidden)
    return layers


def unlike(visual: Any, drawn: Tensor, wanted: Tensor) -> Tensor:
    """How far pictures are from others to a picture tower.

    Zhang et al.: The Unreasonable Effectiveness of Deep Features as a Perceptual Metric, CVPR 2018.
    """
    with torch.no_grad():
        aims = [F.normalize(it.float(), dim=1) for it in features(visual, wanted)]
    seen = [F.normalize(it.float(), dim=1) for it in features(visual, drawn)]
    return torch.stack(
        [(one - other).square().sum(1).mean() for one, other in zip(seen, aims, strict=True)]
    ).sum()


def critic(width: int = 32) -> nn.Module:
    """Tells drawn pictures from given ones, patch by patch: above 0 for what looks given.

    Isola et al.: Image-to-Image Translation with Conditional Adversarial Networks, CVPR 2017.
    """
    return nn.Sequential(
        nn.Conv2d(3, width, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(width, width * 2, 4, 2, 1),
        nn.GroupNorm(8, width * 2),
        nn.LeakyReLU(0.2),
        nn.Conv2d(width * 2, width * 4, 3, 1, 1),
        nn.GroupNorm(8, width * 4),
        nn.LeakyReLU(0.2),
        nn.Conv2d(width * 4, 1, 3, 1, 1),
    )
