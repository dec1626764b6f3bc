"""Which ffmpeg runs, and whether it does."""

from __future__ import annotations

import shutil
import subprocess

import imageio_ffmpeg

from songreel.errors import UserError

EXPECTED = "expected an ffmpeg that runs; correct it, or leave it empty for the one that comes with songreel."


def executable(setting: str) -> str:
    """The ffmpeg that the config key `ffmpeg` names, or the one that imageio-ffmpeg ships.

    Raises UserError when there is no such program.
    """
    if not setting:
        return _shipped()
    found = shutil.which(setting)
    if found is None:
        raise UserError(f"config key 'ffmpeg': found {setting!r}, which is not a program, {EXPECTED}")
    return found


def working(setting: str) -> str:
    """The `executable`, tried out: what cannot run is told before hours of work that end in it."""
    program = executable(setting)
    try:
        subprocess.run([program, "-version"], stdin=subprocess.DEVNULL, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"status {error.returncode}"
        raise UserError(
            f"config key 'ffmpeg': found {program!r}, which does not run ({reason}), {EXPECTED}"
        ) from None
    return program


def _shipped() -> str:
    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError:
        raise UserError(
            "config key 'ffmpeg': found none that comes with songreel and runs on this machine, expected the"
            " path of an ffmpeg; install one and name it."
        ) from None
