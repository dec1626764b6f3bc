"""How ffmpeg draws words on a clip's picture: by libass, from a script that `ass` writes.

A script carries its fonts and is handed on as an open file: no path has to be escaped, nothing is left behind
by a kill, and no font of the machine can get in. Its clock counts frames, whatever the rate: from 1, a tenth
of a second each, and everything changes halfway between two, so no rounding moves it to another one.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

from songreel import data
from songreel.ground import files
from songreel.ground.documents import ClipPlan
from songreel.ground.errors import DamageError, UserError
from songreel.ground.lettering import FRAME_MS
from songreel.ground.paths import Paths


def of_clip(clip: ClipPlan, size: tuple[int, int], paths: Paths) -> bytes | None:
    """The script of a planned clip, None where it has no words on its picture.

    Raises DamageError when a font is not what its name says, UserError when it is not there.
    """
    if clip.lettering is None:
        return None
    from songreel.drawing import ass  # and with it fontTools: most clips have no words

    carried = {face.sha256: _font(paths.font(face.sha256)) for face in clip.lettering.faces}
    return ass.script(clip.lettering, size, clip.frames_per_second, carried)


def _font(path: Path) -> bytes:
    try:
        content = files.read_bytes(path)
    except FileNotFoundError:
        raise UserError(
            f"{path}: found no such file, expected a font that the clip is drawn with; run snakemake, which"
            f" copies it there again."
        ) from None
    if hashlib.sha256(content).hexdigest() != path.stem:
        raise DamageError(path, "another file than its name says", "a font that the clip is drawn with")
    return content


@contextmanager
def handed_on(made: bytes | None) -> Iterator[int | None]:
    """An open file that holds a script, by its number, for ffmpeg to inherit; it has no name on any disk."""
    if made is None:
        yield None
        return
    with tempfile.TemporaryFile() as file:
        file.write(made)
        file.flush()
        yield file.fileno()


def drawn(stream: Any, handle: int | None, frames_per_second: Fraction) -> Any:
    """A stream of ffmpeg-python's whose frames, counted from its first, have a script's words on them."""
    if handle is None:
        return stream
    stream = stream.filter("settb", expr=f"{FRAME_MS}/1000").filter("setpts", expr="N+1")
    stream = stream.filter("ass", filename=f"/dev/fd/{handle}")
    return stream.filter("settb", expr=str(1 / frames_per_second)).filter("setpts", expr="N")


def environment() -> dict[str, str]:
    """What an ffmpeg is started with that draws words: without the machine's own fonts."""
    return {**os.environ, "FONTCONFIG_FILE": str(data.NO_FONTS)}
