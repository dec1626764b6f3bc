"""A trained pair as the repository carries it: float16, nothing but what is needed, and not too large."""

from __future__ import annotations

from pathlib import Path

import torch
import yaml
from safetensors.torch import load_file, save
from torch import Tensor, nn

from songreel.ground.errors import UserError
from songreel.ground.files import replacing
from songreel.models import perceptor, vqgan
from songreel.models import weights as architectures
from songreel.models.vqgan import VQGAN
from songreel.models.weights import Weights
from songreel_starter import pairs

MOST_BYTES = 25_000_000  # of models/starter
COUNTED = (
    "num_batches_tracked"  # what batch normalisation counts while it learns, and a loader does not ask for
)


def export(trained: Path, target: Path) -> None:
    """Write a folder's pair into another. Raises UserError when it is too large or does not fit float16."""
    half = {kind: _halved(pairs.weights(trained, kind), kind) for kind in pairs.KINDS}
    size = sum(tensor.nbytes for tensors in half.values() for tensor in tensors.values())
    check_size(target, size)
    for kind, tensors in half.items():
        source = pairs.weights(trained, kind)
        with replacing(target / f"{kind}.yaml") as temporary:
            temporary.write_text(_architecture(source), encoding="utf-8")
        with replacing(target / f"{kind}.safetensors") as temporary:
            temporary.write_bytes(save(tensors))
    for kind in pairs.KINDS:
        _check_loads(pairs.weights(target, kind), kind)


def check_size(folder: Path, size: int) -> None:
    """Raise UserError when a pair's files are more bytes than the repository should carry."""
    if size > MOST_BYTES:
        raise UserError(
            f"{folder}: found {size / 1e6:.1f} MB, expected at most {MOST_BYTES // 10**6} MB in a pair's"
            f" folder; train a narrower tower or decoder."
        )


def _halved(source: Weights, kind: str) -> dict[str, Tensor]:
    """A model's own tensors in float16. Raises UserError when one is missing or float16 cannot hold it."""
    with architectures.readable(source):
        tensors = load_file(source.tensors)
    wanted = [name for name in _built(source, kind).state_dict() if not name.endswith(COUNTED)]
    if missing := [name for name in wanted if name not in tensors]:
        raise UserError(
            f"{source.tensors}: found no tensor {missing[0]}, expected what {source.architecture.name} tells;"
            f" train it again."
        )
    half = {name: tensors[name].to(torch.float16).contiguous() for name in wanted}
    for name, tensor in half.items():
        if not tensor.isfinite().all():
            raise UserError(
                f"{source.tensors}: found numbers in {name} that float16 cannot hold; train it again with a"
                f" lower learning rate."
            )
    return half


def _built(source: Weights, kind: str) -> nn.Module:
    if kind == "vqgan":
        return VQGAN(**architectures.architecture(source))
    clip: nn.Module = perceptor.build(architectures.params(source))
    return clip


def _architecture(source: Weights) -> str:
    model = yaml.safe_load(source.architecture.read_text(encoding="utf-8"))["model"]
    return yaml.safe_dump({"model": model})


def _check_loads(exported: Weights, kind: str) -> None:
    load = vqgan.load if kind == "vqgan" else perceptor.load
    load(exported, torch.device("cpu"), torch.float32)
