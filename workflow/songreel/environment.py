"""What the jobs of a workflow inherit from the Snakemake that starts them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

FILM = "SONGREEL_FILM"  # the song whose lines a job counts when it reports


def hand_on(song: str) -> None:
    """Let jobs find this Python and this package, also when neither is on the user's search paths."""
    _prepend("PATH", Path(sys.executable).parent)
    _prepend("PYTHONPATH", Path(__file__).resolve().parents[1])
    os.environ[FILM] = song


def gpus_per_job() -> int:
    """1 where there is a GPU to share, else 0. Looks for the driver's device, which is quicker than torch."""
    return int(any(Path(device).exists() for device in ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")))


def _prepend(variable: str, folder: Path) -> None:
    inherited = os.environ.get(variable)
    os.environ[variable] = os.pathsep.join([str(folder), inherited] if inherited else [str(folder)])
