"""Where a song begins to sound, where it ends, and where something new is heard."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from songreel.drawing import sound
from songreel.ground.errors import UserError

RATE = 8000  # samples a second; voices and drums are told apart by what is below 4 kHz
WINDOW, HOP = 512, 160  # samples: 64 ms, moved by 20 ms
LONGEST = 2 * 3600  # seconds of a song that are listened to
QUIET = 0.03  # of the loudest window: what is below is not heard
_BLOCK = 4096  # windows at a time, so that memory does not grow with the song


@dataclass(frozen=True)
class Heard:
    """What was heard of a song, in seconds."""

    begin: float  # of its first sound
    end: float  # of its last
    onsets: tuple[tuple[float, float], ...]  # each with its strength


def heard(source: Path, track: int, program: str) -> Heard:
    """Listen to one track of a song. Raises UserError where ffmpeg reads no sound."""
    samples = _samples(source, track, program)
    if len(samples) < WINDOW:
        raise UserError(
            f"{source}: found {len(samples) / RATE:.2f} s of sound, expected a song; name another file."
        )
    flux, loudness = _flux(samples)
    loud = np.flatnonzero(loudness > QUIET * loudness.max())
    if not len(loud):
        raise UserError(f"{source}: found silence, expected a song; name another file.")
    seconds = HOP / RATE
    return Heard(float(loud[0]) * seconds, float(loud[-1] + 1) * seconds, _peaks(flux, seconds))


def _samples(source: Path, track: int, program: str) -> NDArray[np.float32]:
    """Mono samples, float32 [n], up to LONGEST seconds of them."""
    command = [program, "-hide_banner", "-nostdin", "-v", "error", "-t", str(LONGEST), "-i", f"file:{source}"]
    options = ["-map", f"0:a:{track - 1}", "-ac", "1", "-ar", str(RATE), "-f", "s16le", "pipe:"]
    done = subprocess.run(
        [*command, *options],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=sound.environment(),
        check=False,
    )
    whole = done.stdout[: len(done.stdout) // 2 * 2]
    return np.frombuffer(whole, "<i2").astype(np.float32) / np.float32(32768)


def _flux(samples: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """By windows, float64 [n]: how much louder its frequencies became, and how loud it is.

    Spectral flux of compressed magnitudes (Bello et al. 2005, A tutorial on onset detection, II.B).
    """
    windows = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP]
    taper = np.hanning(WINDOW).astype(np.float32)
    flux, loudness, last = [], [], None
    for start in range(0, len(windows), _BLOCK):
        block = windows[start : start + _BLOCK]
        loudness.append(np.sqrt((block.astype(np.float64) ** 2).mean(axis=1)))
        spectra = np.log1p(100 * np.abs(np.fft.rfft(block * taper, axis=1)))  # [n, 257]
        before = np.vstack([spectra[:1] if last is None else last, spectra[:-1]])
        flux.append(np.maximum(spectra - before, 0).sum(axis=1))
        last = spectra[-1:]
    return np.concatenate(flux), np.concatenate(loudness)


def _peaks(flux: NDArray[np.float64], seconds: float) -> tuple[tuple[float, float], ...]:
    """The windows that are the strongest of a quarter of a second, and stronger than usual around them."""
    width = 6  # windows to each side
    padded = np.pad(flux, width, mode="edge")
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * width + 1)
    is_peak = (flux == around.max(axis=1)) & (flux > 1.3 * around.mean(axis=1) + 1e-9)
    # The largest change is that of the first window with what begins, which has it in its last hop.
    offset = (WINDOW - HOP) / RATE
    return tuple((float(at * seconds + offset), float(flux[at])) for at in np.flatnonzero(is_peak))
