"""A step as a CUDA graph: recorded once, then replayed by a single call.

An iteration launches hundreds of small kernels, which takes Python longer than a large GPU needs to run them.
A graph launches them all at once. What it replays is what was recorded, to the address: so a step must read
and write tensors that stay where they are, decide nothing by their values and leave no counting to Python.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import torch
from torch import Generator

from songreel.ground.errors import UserError

# Calls before the recording, in which libraries choose kernels and constants are copied
REHEARSALS = 3
SWITCH = "SONGREEL_GRAPHS"  # in the environment: 0 launches each kernel from Python


def replayed(step: Callable[[], None], generator: Generator) -> Callable[[], None]:
    """What does the same as `step`, from one launch where the generator's device is a GPU.

    There `step` is called a few times at first. All its random numbers must come from `generator`, whose seed
    may be set between two calls. Raises UserError when a GPU cannot record it.
    """
    if generator.device.type != "cuda" or os.environ.get(SWITCH) == "0":
        return step
    with torch.cuda.device(generator.device):
        _rehearse(step)
        return _record(step, generator)


def _rehearse(step: Callable[[], None]) -> None:
    """Call it on a stream of its own, as a recording asks for."""
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(REHEARSALS):
            step()
    torch.cuda.current_stream().wait_stream(stream)


def _record(step: Callable[[], None], generator: Generator) -> Callable[[], None]:
    graph = torch.cuda.CUDAGraph()
    graph.register_generator_state(generator)
    try:
        with torch.cuda.graph(graph):
            step()
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        reason = str(error).strip().partition("\n")[0].rstrip(".")
        raise UserError(
            f"the GPU could not record an iteration as a graph ({reason}); set {SWITCH}=0 in the environment"
            f" to render without, which is slower."
        ) from error
    return graph.replay
