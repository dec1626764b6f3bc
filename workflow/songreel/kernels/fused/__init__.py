"""The same arithmetic as the plain path's, in fewer and larger steps, for GPUs that run Triton.

A large GPU multiplies faster than its memory can feed it: most of a plain iteration goes to normalising,
adding and copying what lies between the products. Here that is fused into kernels of songreel's own, networks
keep their pictures channels last throughout, and their backward passes are written out, so that nothing is
kept or added that a frozen network does not need. What these modules do not know, the plain path does:
`vqgan` and `perceptor` ask `decoder.fused` and `tower.fused`, and go on without where they return None.

Nothing here is imported on a CPU, except by the tests, which run the kernels in Triton's interpreter.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil

import torch

SWITCH = "SONGREEL_FUSED"  # in the environment: 0 takes the plain path
COMPILERS = ("cc", "gcc", "clang")  # one of which Triton needs to build its launcher
CAPABILITY = 7, 5  # the oldest NVIDIA GPUs that Triton compiles for


@functools.cache
def obstacle(device: torch.device) -> str | None:
    """Why a GPU takes the plain path, to be told to the user; None where it need not."""
    if os.environ.get(SWITCH) == "0":
        return f"{SWITCH} is 0"
    if importlib.util.find_spec("triton") is None:
        return "Python finds no package triton; pip install triton"
    if not (os.environ.get("CC") or any(map(shutil.which, COMPILERS))):
        return "Triton needs a C compiler and finds none; install gcc"
    if torch.version.hip is None and torch.cuda.get_device_capability(device) < CAPABILITY:
        return "Triton knows no GPU as old as this one"
    return None


def usable(device: torch.device) -> bool:
    """Whether networks on this device shall be fused."""
    return device.type == "cuda" and obstacle(device) is None
