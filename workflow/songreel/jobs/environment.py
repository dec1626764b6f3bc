"""What the jobs of a workflow inherit from the Snakemake that starts them."""

from __future__ import annotations

import getpass
import os
import site
import sys
from pathlib import Path

from songreel.jobs import leases
from songreel.jobs.progress import FILM


def hand_on(song: str, jobs_per_gpu: int = 1) -> None:
    """Let jobs find this Python and this package, also when neither is on the user's search paths."""
    _name_user()
    _prepend("PATH", Path(sys.executable).parent)
    packages = Path(__file__).resolve().parents[2]
    if packages not in _looked_in():
        _prepend("PYTHONPATH", packages)
    os.environ[FILM] = song
    os.environ[leases.JOBS] = str(jobs_per_gpu)


def _looked_in() -> set[Path]:
    """Where this Python finds packages by itself; on PYTHONPATH they would come before its own library."""
    return {Path(folder).resolve() for folder in [*site.getsitepackages(), site.getusersitepackages()]}


def _name_user() -> None:
    """Have a name for a user whom this machine does not know, as in containers: Snakemake asks for one."""
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["USER"] = str(os.getuid())


def threads_per_job(cores: int | None, lines: int) -> int:
    """The CPU threads of one line's jobs: a film's lines share the cores, which are seldom more than they.

    It is the film's lines that count and not those that are rendered anew, for another number of threads
    rounds otherwise, and an edited film would not be the one that is rendered from nothing.
    """
    return max(1, (cores or 1) // max(lines, 1))


def of_job(threads: int) -> dict[str, str]:
    """What Snakemake sets for jobs of so many threads, by which libraries are set up when they are loaded."""
    libraries = ("OMP", "GOTO", "OPENBLAS", "MKL", "NUMEXPR")
    return {
        **{f"{library}_NUM_THREADS": str(threads) for library in libraries},
        "VECLIB_MAXIMUM_THREADS": str(threads),
    }


def _prepend(variable: str, folder: Path) -> None:
    inherited = os.environ.get(variable)
    os.environ[variable] = os.pathsep.join([str(folder), inherited] if inherited else [str(folder)])
