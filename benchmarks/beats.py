"""How well beats are heard: python -m benchmarks.beats.

Songs are made by lot of a bass drum, a snare, cymbals, a bass, chords and a voice that keeps no time, at 75
to 165 beats a minute that drift by up to 3 %, with strokes left out and added. Told for each are its tempo,
the one that is heard, the F-measure of the beats within 70 ms, and how far the nearest one is in the median;
the same of librosa, where it is installed.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import mean, median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from songreel.planning import hearing, spectrum
from songreel.planning.spectrum import SAMPLE_RATE

SECONDS = 40.0
NEAR_SECONDS = 0.07  # what counts as a hit, as is usual (Davies, Degara and Plumbley 2009)

Samples = NDArray[np.float64]


def main() -> None:
    options = _parser().parse_args()
    rows: list[list[float]] = []
    for seed in range(options.count):
        song = Song.drawn(seed)
        found = hearing.listened(spectrum.analysed([song.samples.astype(np.float32).tobytes()]))
        row = [*song.judged(found.beats)]
        text = f"{seed}: {song.tempo:.1f} a minute; songreel {found.tempo:.1f}, {_told(*row)}"
        if others := by_librosa(song.samples):
            row += song.judged(others)
            text += f"; librosa {60 / median(np.diff(others)):.1f}, {_told(*row[2:])}"
        rows.append(row)
        print(text, flush=True)
    for name, at in (("songreel", 0), ("librosa", 2))[: len(rows[0]) // 2]:
        print(f"{name}: {_told(mean(row[at] for row in rows), median(row[at + 1] for row in rows))}")


def by_librosa(samples: Samples) -> list[float]:
    """The beats that librosa hears, in seconds; none where it is not installed."""
    try:
        import librosa
    except ImportError:
        return []
    resampled = librosa.resample(samples.astype(np.float32), orig_sr=SAMPLE_RATE, target_sr=22050)
    _, beats = librosa.beat.beat_track(y=resampled, sr=22050, units="time")
    return [float(beat) for beat in beats]


@dataclass(frozen=True)
class Song:
    """A song, and when its beats are."""

    samples: Samples
    beats: tuple[float, ...]
    tempo: float

    @classmethod
    def drawn(cls, seed: int) -> Song:
        """A song by lot."""
        lot = np.random.default_rng(seed)
        tempo, drift = float(lot.uniform(75, 165)), float(lot.uniform(-0.03, 0.03))
        beats, time = [], 0.3
        while time < SECONDS - 0.5:
            beats.append(time)
            pace = tempo * (1 + drift * np.sin(time / 8))
            time += 60 / pace * (1 + float(lot.normal(0, 0.008)))
        samples = np.zeros(round((SECONDS + 8) * SAMPLE_RATE))
        for number, (begin, end) in enumerate(pairwise(beats)):
            _beat(samples, number, begin, end - begin, lot)
        samples = samples[: round(SECONDS * SAMPLE_RATE)]
        samples += lot.standard_normal(len(samples)) * 0.003
        return cls(0.8 * samples / np.abs(samples).max(), tuple(beats), tempo)

    def judged(self, found: Sequence[float]) -> tuple[float, float]:
        """The F-measure of beats that were found, and how far the nearest one is in the median."""
        left, hits = [*found], 0
        for beat in self.beats:
            if near := [other for other in left if abs(other - beat) <= NEAR_SECONDS]:
                left.remove(near[0])
                hits += 1
        off = [min((abs(other - beat) for other in found), default=SECONDS) for beat in self.beats]
        return 2 * hits / (len(found) + len(self.beats)), median(off)


def _beat(samples: Samples, number: int, begin: float, length: float, lot: Any) -> None:
    """What sounds on one beat of four, and until the next."""
    place = number % 4

    def play(sound: Samples, at: float, loudness: float) -> None:
        first = round(at * SAMPLE_RATE)
        samples[first : first + len(sound)] += loudness * sound

    if lot.random() < (0.95 if place in (0, 2) else 0.35):
        play(_drum(), begin + lot.normal(0, 0.004), 0.8)
    if place in (1, 3):
        play(_hiss(lot, 0.14, 25), begin + lot.normal(0, 0.005), 0.25)
    for half in (0, 0.5):
        play(np.diff(_hiss(lot, 0.04, 90), prepend=0), begin + half * length, 0.08 * (1 + lot.random()))
    if lot.random() < 0.35:
        play(_drum(), begin + 0.5 * length, 0.5)
    play(_tone(55 * 2 ** (lot.choice([0, 3, 5, 7, 10]) / 12), 0.9 * length, (1,), 2), begin, 0.3)
    if place == 0:
        for step in (0, 3, 7):
            play(_tone(220 * 2 ** (step / 12), 4 * length, (1, 2, 3), 0.5), begin, 0.05)
    if lot.random() < 0.6:
        sung = _tone(220 * 2 ** (lot.integers(0, 12) / 12), 0.35, (1, 2, 3, 4, 5, 6), 0)
        play(sung * np.sin(np.linspace(0, np.pi, len(sung))), begin + lot.uniform(0, 1) * length, 0.12)


def _times(seconds: float) -> Samples:
    return np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE


def _drum() -> Samples:
    times = _times(0.2)
    turns = 50 * times + 0.75 * (1 - np.exp(-40 * times))
    return np.asarray(np.sin(2 * np.pi * turns) * np.exp(-18 * times))


def _hiss(lot: Any, seconds: float, fall: float) -> Samples:
    times = _times(seconds)
    return np.asarray(lot.standard_normal(len(times)) * np.exp(-fall * times))


def _tone(hertz: float, seconds: float, partials: Sequence[int], fall: float) -> Samples:
    times = _times(seconds)
    waves = [np.sin(2 * np.pi * hertz * partial * times) / partial for partial in partials]
    swell = np.minimum(1, 6 * times) if len(partials) > 1 else 1
    return np.asarray(sum(waves) * swell * np.exp(-fall * times))


def _told(score: float, off: float) -> str:
    return f"F {score:.3f}, {1000 * off:.0f} ms"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--count", type=int, default=12, help="songs (default 12)")
    return parser


if __name__ == "__main__":
    main()
