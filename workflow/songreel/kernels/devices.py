"""Where the arithmetic runs and in which precision."""

from __future__ import annotations

import torch

from songreel.ground import limits


def choose() -> torch.device:
    """The GPU when there is one, else the CPU. cuDNN is told to add up in the same order each time."""
    torch.backends.cudnn.deterministic = True
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def precision(device: torch.device) -> torch.dtype:
    """bfloat16 where the device multiplies it natively, float32 elsewhere.

    Never float16: CLIP's activations overflow it and the gradients become NaN.
    """
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if native else torch.float32


def free_bytes(device: torch.device) -> int:
    """The memory that a device has left for this process."""
    return int(torch.cuda.mem_get_info(device)[0]) if device.type == "cuda" else limits.free()


def memory_format(device: torch.device) -> torch.memory_format:
    """How a decoder with group normalisation keeps its pictures: channels last on GPUs only.

    On CPUs the backward pass of channels-last group normalisation takes some 25 times as long.
    """
    return torch.channels_last if device.type == "cuda" else torch.contiguous_format
