"""An ffmpeg on a machine with a graphics card, played by the one that comes with songreel."""

from __future__ import annotations

import sys
from collections.abc import Collection
from pathlib import Path

from songreel.drawing import encoders, film

CARD = """#!{python}
import os, sys
arguments = sys.argv[1:]
for name in {names!r}:
    if name in arguments and name not in {works!r}:
        sys.exit(f"Cannot load the driver of {{name}}")
    if name in arguments:
        arguments[arguments.index(name)] = "libx264"
        for option in {options!r}:  # which libx264 does not know
            if option in arguments:
                at = arguments.index(option)
                del arguments[at : at + 2]
os.execv({ffmpeg!r}, [{ffmpeg!r}, *arguments])
"""


def ffmpeg(folder: Path, *works: str) -> str:
    """An ffmpeg that lists all encoders in hardware, of which those named work."""
    program = folder / "ffmpeg-with-a-card"
    facts = {"names": tuple(encoders.HARDWARE), "works": works, "options": _options(encoders.HARDWARE)}
    program.write_text(CARD.format(python=sys.executable, ffmpeg=film.executable(""), **facts))
    program.chmod(0o755)
    return str(program)


def _options(names: Collection[str]) -> tuple[str, ...]:
    return tuple({f"-{option}" for name in names for option in encoders.HARDWARE[name](16)})
