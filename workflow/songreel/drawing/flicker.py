"""How much a film flickers: by how far its pixels' brightness turns back from frame to frame.

The mean absolute second difference in time, |f(t-1) - 2 f(t) + f(t+1)|, within each line, as a part of full
brightness. A picture that stands still has none, one that changes evenly hardly any, one that trembles much.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import ffmpeg
import numpy as np
from numpy.typing import NDArray

from songreel.drawing import sound
from songreel.ground import stops
from songreel.ground.errors import UserError
from songreel.ground.files import read_json, write_json_if_changed

SIDE = 64  # pixels to which a frame is reduced: what trembles in finer ones is not what one sees
FULL = 255.0

Grey = NDArray[np.int16]  # [SIDE, SIDE]


def of_film(clips: Sequence[Path], noted: Path, program: str) -> float | None:
    """The flicker of a film of these clips, 0 to 4; None where no clip has three frames.

    What each clip has is noted in a file, and is not measured again.
    """
    known = _known(noted)
    found = {clip.stem: known.get(clip.stem) or _measured(clip, program) for clip in dict.fromkeys(clips)}
    counts = [found[clip.stem][1] for clip in clips]
    whole = sum(found[clip.stem][0] for clip in clips) / sum(counts) if sum(counts) else None
    with suppress(OSError):
        write_json_if_changed(noted, {"flicker": whole, "clips": found}, lasting=False)
    return whole


def _known(noted: Path) -> Mapping[str, tuple[float, int]]:
    """The sum of what was measured of each clip, and of how many frames."""
    with suppress(UserError, OSError, LookupError, TypeError, ValueError, AttributeError):
        kept = read_json(noted)["clips"].items()
        return {str(clip): (float(total), int(count)) for clip, (total, count) in kept}
    return {}


def _measured(clip: Path, program: str) -> tuple[float, int]:
    before: list[Grey] = []
    total, count = 0.0, 0
    for frame in _frames(clip, program):
        if len(before) == 2:
            total += float(np.abs(before[0] - 2 * before[1] + frame).mean()) / FULL
            count += 1
        before = [*before[-1:], frame]
    return total, count


def _frames(clip: Path, program: str) -> Iterator[Grey]:
    """A clip's brightness, frame by frame; as far as ffmpeg gets."""
    # Grey keeps the levels as they are in the file, 16 to 235, which are stretched to 0 to 255.
    shown = ffmpeg.input(f"file:{clip}")["v"].filter("scale", SIDE, SIDE, flags="area", out_range="pc")
    output = shown.filter("format", "gray").output("pipe:", format="rawvideo")
    with (
        subprocess.Popen(
            sound.command(output, program),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process,
        stops.undoing(process.kill),
    ):
        assert process.stdout is not None
        while len(data := process.stdout.read(SIDE * SIDE)) == SIDE * SIDE:
            yield np.frombuffer(data, np.uint8).reshape(SIDE, SIDE).astype(np.int16)
