"""The frames of a film, read from its file: exactly those asked for, as streams or as arrays."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ffmpeg
import numpy as np
from numpy.typing import NDArray

from songreel.drawing import film, joined
from songreel.drawing.film import FFmpegError
from songreel.ground import stops
from songreel.ground.errors import DamageError, UserError
from songreel.ground.paths import Paths
from songreel.planning.plan import Plan

Frame = NDArray[np.uint8]  # [height, width, 3]
Size = tuple[int, int]  # width and height in pixels

AROUND = 1.0  # seconds before the first frame that is wanted and after the last that ffmpeg reads
EXACT = "accurate_rnd+full_chroma_int+full_chroma_inp"
SMALLER: Mapping[str, Any] = {"flags": f"lanczos+{EXACT}"}
# By Mitchell and Netravali's filter: a sharper one shows the blocks that an encoder leaves.
LARGER: Mapping[str, Any] = {"flags": f"bicubic+{EXACT}", "param0": 1 / 3, "param1": 1 / 3}
_LACKS = re.compile(r"(?:Unknown (encoder)|No such (filter):) '([^']*)'")


@dataclass(frozen=True)
class Footage:
    """A film that is whole and its plan's, and the ffmpeg that reads it."""

    film: Path
    rate: Fraction  # frames a second
    frames: int
    size: Size
    program: str

    def stream(self, first: int, end: int) -> Any:
        """The frames from `first` to before `end` as one of ffmpeg-python's streams, counted from 0.

        They are told by their times, so that it does not matter where ffmpeg starts to read.
        """
        start = max(0.0, float(first / self.rate) - AROUND)
        seconds = float(end / self.rate) + AROUND - start
        read = {"ss": f"{start:.6f}", "t": f"{seconds:.6f}", "copyts": None}
        stream = ffmpeg.input(f"file:{self.film}", **read)["v:0"]
        stream = stream.filter("select", f"between(round(t*{self.rate}),{first},{end - 1})")
        stream = stream.filter("trim", end_frame=end - first)
        return stream.filter("settb", expr=str(1 / self.rate)).filter("setpts", "N")

    def still(self, frame: int, size: Size) -> Frame:
        """One frame, at a size. Raises UserError."""
        with scratch() as folder:
            raw = folder / "frame.rgb"
            stream = scaled(self.stream(frame, frame + 1), self.size, size)
            output = stream.output(f"file:{raw}", format="rawvideo", **{"frames:v": 1})
            make(output, raw, self.film, self.program)
            return read_raw(raw, size, self.film)

    def stills(self, frames: Iterable[int], size: Size) -> Iterator[Frame]:
        """Some frames, one after the other."""
        return (self.still(frame, size) for frame in frames)


def of(plan: Plan, paths: Paths, program: str) -> Footage:
    """The film of a plan. Raises UserError where there is none, an older one's or a damaged one."""
    file, timeline = paths.film(plan.song), plan.timeline
    try:
        ready = joined.is_film(file, timeline, paths.film_read(plan.song))
    except DamageError as fault:
        raise UserError(f"{fault}; run snakemake, which renders it again.") from None
    if not ready:
        found = "the film of an older plan" if file.exists() else "no such file"
        raise UserError(
            f"{file}: found {found}, expected the film that is planned now; run snakemake, which renders it."
        )
    size = next(iter(plan.segments.values())).size
    frames = sum(clip.frames for clip in timeline.clips)
    return Footage(file, timeline.frames_per_second, frames, size, program)


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for what ffmpeg makes on the way, which is gone at the end, and when a stop is."""
    with TemporaryDirectory() as folder, stops.undoing(lambda: shutil.rmtree(folder, ignore_errors=True)):
        yield Path(folder)


def fitted(size: Size, longest: int, larger: bool = False) -> Size:
    """A size whose longer side has at most so many pixels or, where it may become larger, just as many."""
    scale = Fraction(longest, max(size))
    if scale > 1 and not larger:
        return size
    width, height = (max(1, round(side * scale)) for side in size)
    return width, height


def scaled(stream: Any, before: Size, size: Size) -> Any:
    """A stream of another size at a size, as RGB that tells no gamma, as PNG would otherwise."""
    how = LARGER if max(size) > max(before) else SMALLER
    stream = stream.filter("scale", *size, in_color_matrix="bt709", in_range="tv", **how)
    stream = stream.filter("format", "rgb24")
    return stream.filter("setparams", color_primaries="unknown", color_trc="unknown")


def make(output: Any, made: Path, target: Path, program: str, **piped: Any) -> None:
    """`film.make`, which tells in a sentence what an ffmpeg lacks. Raises UserError."""
    try:
        film.make(output, made, target, program, **piped)
    except FFmpegError as error:
        if not (lacks := _LACKS.search(error.reason)):
            raise
        what = f"the {lacks[1] or lacks[2]} {lacks[3]!r}"
        raise UserError(
            f"{target}: found an ffmpeg without {what} ({program}), expected one that has it; leave the"
            f" config key 'ffmpeg' empty for the one that comes with songreel."
        ) from None


def read_raw(raw: Path, size: Size, film: Path) -> Frame:
    """What ffmpeg wrote of a picture. Raises UserError where the film has no such frame."""
    width, height = size
    pixels = np.fromfile(raw, np.uint8)
    if pixels.size != width * height * 3:
        raise UserError(
            f"{film}: found no frame where the plan has one, expected a film that is whole; run snakemake"
            f" and the same command again."
        )
    return pixels.reshape(height, width, 3)
