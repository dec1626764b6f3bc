"""Sound made by numbers, of which a test knows what is in it: clicks, drums, tones."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from songreel.planning.spectrum import SAMPLE_RATE

Samples = NDArray[np.float32]


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * SAMPLE_RATE), np.float32)


def tone(hertz: float, seconds: float, loudness: float = 0.5) -> Samples:
    times = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (loudness * np.sin(2 * np.pi * hertz * times)).astype(np.float32)


def click() -> Samples:
    """A fiftieth of a second of 1 kHz."""
    beep = tone(1000, 0.02, 0.7)
    return beep * np.hanning(len(beep)).astype(np.float32) ** 0.5


def bass_drum() -> Samples:
    body = tone(60, 0.2, 0.8)
    return body * np.exp(-np.arange(len(body)) / SAMPLE_RATE * 20).astype(np.float32)


def hi_hat(seed: int = 0) -> Samples:
    noise = np.diff(np.random.default_rng(seed).standard_normal(SAMPLE_RATE // 20), prepend=0)
    return (0.3 * noise * np.exp(-np.arange(len(noise)) / SAMPLE_RATE * 80)).astype(np.float32)


def struck(what: Samples, times: list[float], seconds: float) -> Samples:
    """A sound again and again."""
    whole = silence(seconds + 1)
    for time in times:
        first = round(time * SAMPLE_RATE)
        whole[first : first + len(what)] += what[: len(whole) - first]
    return whole[: round(seconds * SAMPLE_RATE)]


def times(bpm: float, seconds: float, first: float = 0.25) -> list[float]:
    """When the beats of a tempo are."""
    return [float(time) for time in np.arange(first, seconds - 0.1, 60 / bpm)]


def wav(samples: Samples, target: Path) -> Path:
    """Written as 16 bits of one channel."""
    with wave.open(str(target), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return target
