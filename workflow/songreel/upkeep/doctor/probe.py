"""What torch can do here, found out in a process of its own: a broken one ends the process that imports it.

Run as a module this is that process, which prints a JSON object.
"""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from dataclasses import dataclass
from typing import Any

from songreel.ground import shortage

PATIENCE_SECONDS = 60  # for an import of torch from a disk that many share


@dataclass(frozen=True)
class Facts:
    """What torch tells of itself and of the device that it takes."""

    torch: str  # version
    torchvision: str
    built_for: str  # "CUDA 12.8", "ROCm 6.3" or "the CPU alone"
    gpu: str  # its name; "" where torch finds none
    gpus: int
    why_none: str  # torch's own words
    total_bytes: int  # of the GPU's memory
    free_bytes: int
    number_bytes: int  # 2 where the device multiplies bfloat16, 4 where it is float32
    plain_path: str  # why the fused kernels are not used; "" where they are, or there is no GPU
    threads: int

    @property
    def device(self) -> str:
        """As torch calls it."""
        return "cuda" if self.gpu else "cpu"


class TorchError(Exception):
    """It cannot be imported, and why."""


def start() -> subprocess.Popen[str]:
    """Begin to import torch, which takes seconds."""
    return subprocess.Popen(
        [sys.executable, "-m", __name__],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )


def finish(process: subprocess.Popen[str]) -> Facts:
    """What it found. Raises MemoryError or TorchError."""
    try:
        printed, complaint = process.communicate(timeout=PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise TorchError(f"it was not imported within {PATIENCE_SECONDS} s") from None
    if process.returncode == 0:
        return Facts(**json.loads(printed.splitlines()[-1]))
    reason = " ".join((complaint.strip().splitlines() or [f"exit status {process.returncode}"])[-1].split())
    if shortage.MESSAGES.search(complaint):
        raise MemoryError
    raise TorchError(f"killed by signal {-process.returncode}" if process.returncode < 0 else reason)


def _facts() -> Facts:
    import torch
    import torchvision

    # What songreel builds networks of; taming and clip are imported with them
    import songreel.models.perceptor
    import songreel.models.vqgan  # noqa: F401
    from songreel.kernels import devices, fused

    with warnings.catch_warnings(record=True) as complaints:
        warnings.simplefilter("always")
        device = devices.choose()
    gpu: dict[str, Any] = {"gpu": "", "gpus": 0, "total_bytes": 0, "free_bytes": 0, "plain_path": ""}
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info()
        gpu = {
            "gpu": torch.cuda.get_device_name(),
            "gpus": torch.cuda.device_count(),
            "total_bytes": total,
            "free_bytes": free,
            "plain_path": fused.obstacle(torch.device("cuda", torch.cuda.current_device())) or "",
        }
    return Facts(
        torch=torch.__version__,
        torchvision=torchvision.__version__,
        built_for=_built_for(torch.version),
        why_none=" ".join(str(complaints[0].message).split()) if complaints else "",
        number_bytes=devices.precision(device).itemsize,
        threads=torch.get_num_threads(),
        **gpu,
    )


def _built_for(version: Any) -> str:
    if version.hip:
        return f"ROCm {version.hip}"
    return f"CUDA {version.cuda}" if version.cuda else "the CPU alone"


if __name__ == "__main__":
    print(json.dumps(vars(_facts())))
