"""What an iteration asks of a device, and what the device can give: operations and bytes.

Williams, Waterman, Patterson: Roofline, an insightful visual performance model, 2009.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Size, Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

SIDES = {"cpu": 2048, "cuda": 8192}  # of the matrices that are multiplied to find the peak
COPIED = {"cpu": 1 << 28, "cuda": 1 << 31}  # bytes, more than a cache holds
TRIES = 7


@dataclass(frozen=True)
class Work:
    """What one call of something takes."""

    flop: int  # multiplications and additions of matrix products and convolutions
    # Read and written by all operations, as if no two of them shared a cache or a kernel
    bytes: int


@dataclass(frozen=True)
class Device:
    """What a device was measured to give."""

    flop_per_second: float  # the best of matrix products in the precision that is used
    bytes_per_second: float  # the best of copies, reading and writing counted

    def attainable(self, work: Work) -> float:
        """How often a second the work could be done at most."""
        return min(self.flop_per_second / work.flop, self.bytes_per_second / work.bytes)


def count(work: Callable[[], object]) -> Work:
    """What a call of `work` takes, by calling it once."""
    traffic = _Traffic()
    packed = {torch.ops.mkldnn._convolution_pointwise: _convolution}
    with FlopCounterMode(display=False, custom_mapping=packed) as flop, traffic:
        work()
    return Work(flop.get_total_flops(), traffic.bytes)


def _convolution(pictures: Size, kernel: Size, *_: object, out_shape: Size, **__: object) -> int:
    """The operations of a packed convolution, which PyTorch's counter does not know."""
    return 2 * out_shape.numel() * kernel[1:].numel()


class _Traffic(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the tensors that go into operations and come out of them; views move nothing."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        if not function.is_view:
            tensors = [it for it in tree_leaves((args, kwargs, result)) if isinstance(it, Tensor)]
            self.bytes += sum(tensor.nbytes for tensor in tensors)
        return result


def measure(device: torch.device, dtype: torch.dtype) -> Device:
    """Multiply matrices and copy memory for a moment."""
    side, values = SIDES[device.type], COPIED[device.type] // 4
    factors = [torch.randn(side, side, device=device).to(dtype) for _ in range(2)]
    source, target = (torch.zeros(values, device=device) for _ in range(2))
    product = torch.empty(side, side, device=device, dtype=dtype)
    return Device(
        2 * side**3 / _quickest(lambda: torch.mm(*factors, out=product), device),
        2 * source.nbytes / _quickest(lambda: target.copy_(source), device),
    )


def _quickest(work: Callable[[], object], device: torch.device) -> float:
    """Seconds that a call of `work` took at best."""
    return min(seconds(work, device) for _ in range(TRIES))


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """Seconds from the call of `work` until the device has done it."""
    settle(device)
    started = time.perf_counter()
    work()
    settle(device)
    return time.perf_counter() - started


def settle(device: torch.device) -> None:
    """Wait until a device has done all that it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
