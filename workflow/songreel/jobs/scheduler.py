"""What a job and the cluster's scheduler, SLURM, have to tell each other."""

from __future__ import annotations

import contextlib
import os
import subprocess
from contextlib import AbstractContextManager, nullcontext

from songreel.ground import stops

JOB = "SLURM_JOB_ID"
SECONDS = 10  # to wait for a scheduler that is busy


def scheduled() -> bool:
    """Whether SLURM runs this process. It then sends SIGTERM some time before it kills."""
    return JOB in os.environ


def grace() -> AbstractContextManager[None]:
    """A block that is ended before the job obeys SIGTERM, if it ends before the scheduler kills."""
    return stops.postponed() if scheduled() else nullcontext()


def show(words: str) -> None:
    """Show words beside this job in the queue, where its name and its rule say little to a person.

    They go into the comment: Snakemake finds its jobs by their name.
    """
    if scheduled():
        command = ["scontrol", "update", f"JobId={_job()}", f"Comment={words}"]
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(command, capture_output=True, check=False, timeout=SECONDS)


def _job() -> str:
    """This job's number, which one of an array shares with the others."""
    array = [os.environ.get(f"SLURM_ARRAY_{part}_ID", "") for part in ("JOB", "TASK")]
    return "_".join(array) if all(array) else os.environ[JOB]
