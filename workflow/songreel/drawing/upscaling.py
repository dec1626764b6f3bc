"""Pictures enlarged by a model of one's own, such as Real-ESRGAN, that spandrel builds from its tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from songreel.ground.enlarging import Upscaler
from songreel.ground.errors import UserError
from songreel.kernels import tiles
from songreel.models import checkpoints, weights

Batches = Iterable[NDArray[np.uint8]]

# What trainers of such models call the dict with its tensors, the average of a training's steps first
HOLDERS = ("params_ema.", "params-ema.", "params.", "model_state_dict.")
# Of a tile, in pixels: most such models see some tens of pixels far.
SIDE, OVERLAP = 512, 32


def load(upscaler: Upscaler, device: torch.device) -> Callable[[Batches], Iterator[NDArray[np.uint8]]]:
    """What makes batches of frames uint8 [b, height, width, 3] larger, by the model's own factor.

    Raises UserError when the file is another one than was planned with, or holds no such model.
    """
    path = Path(upscaler.path)
    if (found := weights.hash_once("upscaler", path)) != upscaler.sha256:
        raise UserError(
            f"{path}: the plan was made with weights {upscaler.sha256[:12]}…, found {found[:12]}…; run"
            f" snakemake again to plan with these."
        )
    model = read(path).to(device)

    def enlarged(batches: Batches) -> Iterator[NDArray[np.uint8]]:
        for batch in batches:
            for frame in batch:
                yield _enlarged(model, frame, device)

    return enlarged


def read(path: Path) -> Any:
    """The model in a checkpoint, on the CPU, as spandrel describes it.

    Raises UserError when it is none that makes a picture of three colours larger.
    """
    import spandrel

    try:
        model = spandrel.ModelLoader(device="cpu").load_from_state_dict(_tensors(path))
    except (spandrel.UnsupportedModelError, RuntimeError, KeyError, ValueError) as error:
        reason = str(error).strip().splitlines()[:1]
        raise _unusable(path, f"no architecture that spandrel knows ({''.join(reason) or error!r})") from None
    if not isinstance(model, spandrel.ImageModelDescriptor) or model.scale < 2:
        raise _unusable(path, "a model that does something else")
    if (model.input_channels, model.output_channels) != (3, 3):
        raise _unusable(path, f"one for {model.input_channels} colours")
    return model.eval()


def _tensors(path: Path) -> dict[str, Tensor]:
    """A checkpoint's tensors: of several states of a model in one file, the average that is to be used."""
    state = checkpoints.tensors(path)
    for holder in HOLDERS:
        if inside := {name.removeprefix(holder): it for name, it in state.items() if name.startswith(holder)}:
            return inside
    return state


def _unusable(path: Path, found: str) -> UserError:
    return UserError(
        f"config key 'upscaler': {path}: found {found}, expected a model that enlarges pictures; name another"
        f" checkpoint, or leave the key empty for ffmpeg's enlarging."
    )


@torch.inference_mode()
def _enlarged(model: Any, frame: NDArray[np.uint8], device: torch.device) -> NDArray[np.uint8]:
    """A frame uint8 [height, width, 3] as a batch [1, height, width, 3], larger."""
    pixels = torch.from_numpy(frame).to(device).permute(2, 0, 1)[None].float() / 255
    larger: Tensor = tiles.tiled(model, pixels, SIDE, OVERLAP, model.scale)
    whole = larger.clamp(0, 1).mul(255).round().to(torch.uint8)
    return whole.permute(0, 2, 3, 1).contiguous().cpu().numpy()
