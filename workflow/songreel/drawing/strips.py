"""A few small pictures of each clip, kept as what a page can show: picked while it is drawn.

For a clip that was drawn when none were picked, ffmpeg reads them from it.
"""

from __future__ import annotations

import base64
import io
import json
import re
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import ffmpeg
import numpy as np
from numpy.typing import NDArray

from songreel.drawing import sound
from songreel.ground import files
from songreel.ground.files import write_json_if_changed
from songreel.ground.pictures import Pixels

MOST = 8  # pictures of a clip
BOX = (160, 96)  # pixels that each fits into
QUALITY = 60  # WebP's: 2 kB
_URI = re.compile(r"data:image/webp;base64,[A-Za-z0-9+/=]+")


class Picker:
    """Lets a clip's frames pass and keeps some of them, evenly spaced."""

    def __init__(self, frames: int) -> None:
        self._wanted = set(chosen(frames))
        self.pictures: list[Pixels] = []

    def passing(self, batches: Iterable[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
        """The batches [b, height, width, 3], as they are."""
        first = 0
        for batch in batches:
            self.pictures += [
                batch[at - first] for at in sorted(self._wanted) if 0 <= at - first < len(batch)
            ]
            first += len(batch)
            yield batch


def chosen(frames: int) -> list[int]:
    """Which of a clip's frames are shown: each the middle one of an equal part of it."""
    count = min(frames, MOST)
    return [(2 * part + 1) * frames // (2 * count) for part in range(count)]


def keep(pictures: Sequence[Pixels], path: Path) -> None:
    """Keep pictures [height, width, 3] as small ones. Raises OSError."""
    write_json_if_changed(path, [_uri(picture) for picture in pictures], lasting=False)


def load(path: Path) -> tuple[str, ...] | None:
    """The `data:` URIs of a clip's pictures; None where none were kept, or the file is damaged."""
    with suppress(OSError, ValueError, RecursionError):
        uris = json.loads(files.read_bytes(path))
        # They go into a page: nothing but pictures may
        if isinstance(uris, list) and all(isinstance(it, str) and _URI.fullmatch(it) for it in uris):
            return tuple(uris)
    return None


def read(clip: Path, frames: int, size: tuple[int, int], program: str) -> list[Pixels]:
    """Some of the frames of a clip of that width and height; none where ffmpeg cannot read it."""
    width, height = _fitting(size)
    asked = "+".join(f"eq(n,{at})" for at in chosen(frames))
    stream = ffmpeg.input(f"file:{clip}").filter("select", asked).filter("scale", width, height)
    output = stream.output("pipe:", format="rawvideo", pix_fmt="rgb24", fps_mode="passthrough")
    made = subprocess.run(
        sound.command(output, program), stdin=subprocess.DEVNULL, capture_output=True, check=False
    ).stdout
    count = len(made) // (3 * width * height)
    return list(np.frombuffer(made, np.uint8, count * 3 * width * height).reshape(count, height, width, 3))


def _uri(picture: Pixels) -> str:
    from PIL import Image

    image: Any = Image.fromarray(picture)
    height, width = picture.shape[:2]
    if (small := _fitting((width, height))) != (width, height):
        image = image.resize(small, Image.Resampling.LANCZOS)
    written = io.BytesIO()
    image.save(written, "WEBP", quality=QUALITY)
    return f"data:image/webp;base64,{base64.b64encode(written.getvalue()).decode()}"


def _fitting(size: tuple[int, int]) -> tuple[int, int]:
    """A width and height of the same shape that fit into the box; small ones stay as they are."""
    scale = min(1.0, *(most / side for most, side in zip(BOX, size, strict=True)))
    width, height = (max(1, round(side * scale)) for side in size)
    return width, height
