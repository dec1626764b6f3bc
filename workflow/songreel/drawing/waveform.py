"""How loud a song is from moment to moment, as the film has it: read once, kept by the hash of the song."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path

import ffmpeg
import numpy as np
from numpy.typing import NDArray

from songreel.drawing import sound
from songreel.ground import stops
from songreel.ground.documents import Sound
from songreel.ground.files import replacing

PER_SECOND = 64  # moments that are kept
SAMPLES = 125  # in each
FULL = 127  # of int8, for 1
COLUMNS = 1200  # that a page shows
BLOCK = 4096  # moments read at a time

Peaks = NDArray[np.int8]  # [n, 2], the lowest and the highest sample of each moment


def read(song: Sound, seconds: float, program: str) -> Peaks | None:
    """The peaks of a film's first so many seconds; None where ffmpeg cannot read them."""
    heard = f"{sound.until(seconds, song.late, song.mix)},aformat=channel_layouts=mono"
    stream = ffmpeg.input(f"file:{song.path}")[f"a:{song.track - 1}"]
    output = stream.output("pipe:", format="s16le", af=heard, ar=PER_SECOND * SAMPLES)
    parts = []
    with (
        subprocess.Popen(
            sound.command(output, program),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=sound.environment(),
        ) as process,
        stops.undoing(process.kill),
    ):
        assert process.stdout is not None
        while block := process.stdout.read(2 * SAMPLES * BLOCK):
            parts.append(_peaks(np.frombuffer(block, "<i2", len(block) // 2)))
    return np.concatenate(parts) if parts and not process.returncode else None


def _peaks(samples: NDArray[np.int16]) -> Peaks:
    """Of samples [n], the last moment filled up with silence."""
    missing = -len(samples) % SAMPLES
    moments = np.pad(samples, (0, missing)).reshape(-1, SAMPLES).astype(np.float32) / 32768
    return (np.stack([moments.min(1), moments.max(1)], 1) * FULL).round().astype(np.int8)


def keep(peaks: Peaks, path: Path) -> None:
    """Keep a song's peaks. Raises OSError."""
    with replacing(path, lasting=False) as temporary, temporary.open("wb") as file:
        np.save(file, peaks)


def load(path: Path, seconds: float) -> Peaks | None:
    """The peaks of so many seconds; None where fewer were kept, or the file is damaged."""
    with suppress(OSError, ValueError, EOFError):
        peaks = np.load(path, allow_pickle=False)
        whole = isinstance(peaks, np.ndarray) and peaks.dtype == np.int8 and peaks.shape[1:] == (2,)
        if whole and len(peaks) >= _moments(seconds):
            return np.asarray(peaks)
    return None


def columns(peaks: Peaks, seconds: float) -> tuple[tuple[float, float], ...]:
    """The lowest and the highest, -1 to 1, of each of equally long parts of so many seconds."""
    peaks = peaks[: _moments(seconds)]
    count = min(len(peaks), COLUMNS)
    firsts = np.arange(count) * len(peaks) // max(count, 1)
    if not count:
        return ()
    lows, highs = np.minimum.reduceat(peaks[:, 0], firsts), np.maximum.reduceat(peaks[:, 1], firsts)
    return tuple(
        (round(int(low) / FULL, 3), round(int(high) / FULL, 3)) for low, high in zip(lows, highs, strict=True)
    )


def _moments(seconds: float) -> int:
    """Moments in so many seconds. The last does not count, for ffmpeg may be some samples short."""
    return max(1, int(seconds * PER_SECOND - 1))
