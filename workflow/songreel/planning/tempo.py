"""A song's tempo, and when its beats are: by what is new in its sound.

After Ellis 2007, Beat tracking by dynamic programming (J. New Music Research 36.1).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

USUAL_BPM, OCTAVES = 120.0, 1.0  # what people tap to, and how far from it is still likely
SLOWEST_BPM, FASTEST_BPM = 40.0, 240.0
TIGHTNESS = 100.0  # how much a beat that comes when it should weighs against one that is loud
REGULAR = 0.1  # how like itself a sound is a beat later, of how like itself it is, or it has no beat
AUDIBLE = 0.05  # of the usual beat's strength: weaker ones at both ends are none

Flux = NDArray[np.float32]


def tracked(flux: Flux, rate: int) -> tuple[float, NDArray[np.float64]]:
    """The tempo in beats a minute and the beats in seconds, float64 [n]; 0 and none where nothing is regular.

    `flux` is how much is new, float32 [n], `rate` values a second.
    """
    none = 0.0, np.zeros(0)
    strength = flux - around(flux, rate)
    spread = float(strength.std())
    if len(flux) < 2 * rate or spread < 1e-6:
        return none
    strength = np.maximum(strength, 0) / spread
    period = _period(strength, rate)
    if not period:
        return none
    beats = _trimmed(_chained(strength, period), strength)
    if len(beats) < 4:
        return none
    # Of all steps but those over a pause: closer than the period, which is of whole values and their thirds.
    steps = np.diff(beats)
    usual = steps[np.abs(steps - np.median(steps)) <= 0.15 * np.median(steps)]
    return 60 * rate / float(usual.mean()), beats / rate


def around(values: Flux, width: int) -> Flux:
    """The mean of the `width` values around each."""
    padded = np.pad(values.astype(np.float64), (width // 2 + 1, width - width // 2), mode="edge")
    sums = np.cumsum(padded)
    return ((sums[width:-1] - sums[: -width - 1]) / width).astype(np.float32)[: len(values)]


def _period(strength: Flux, rate: int) -> float:
    """The distance of two beats in values: so much later the strength is most like itself; 0 if never."""
    shortest, longest = round(60 * rate / FASTEST_BPM), round(60 * rate / SLOWEST_BPM)
    # Smoothed, so that a period that is no whole number of values is as good as any.
    likeness = _autocorrelation(np.convolve(strength, np.hanning(9) / 4, mode="same"), longest + 2)
    lags = np.arange(shortest, longest + 1)
    prior = np.exp(-0.5 * (np.log2(60 * rate / lags / USUAL_BPM) / OCTAVES) ** 2)
    best = int(lags[np.argmax(likeness[lags] * prior)])
    if likeness[best] < REGULAR * likeness[0]:
        return 0.0
    return best + _peak_offset(likeness[best - 1 : best + 2])


def _peak_offset(three: NDArray[np.float64]) -> float:
    """Where between its neighbours the top of a parabola through three values lies, -0.5 to 0.5."""
    before, at, after = three
    bend = before - 2 * at + after
    return float(np.clip(0.5 * (before - after) / bend, -0.5, 0.5)) if bend < 0 else 0.0


def _autocorrelation(values: NDArray[Any], lags: int) -> NDArray[np.float64]:
    """How like itself a curve is so many values later, per value that there is, float64 [lags]."""
    centred = values.astype(np.float64) - values.mean()
    size = 1 << (len(values) + lags).bit_length()
    power = np.abs(np.fft.rfft(centred, size)) ** 2
    counts = np.maximum(len(values) - np.arange(lags), 1)
    found: NDArray[np.float64] = np.fft.irfft(power, size)[:lags] / counts
    return found


def _chained(strength: Flux, period: float) -> NDArray[np.int64]:
    """The beats that are strong and evenly spaced at once, by dynamic programming (Ellis 2007, II)."""
    width = round(period)
    offsets = np.arange(-width, width + 1)
    score = np.convolve(strength, np.exp(-0.5 * (offsets * 32 / period) ** 2), mode="same")
    steps = np.arange(max(1, round(period / 2)), round(2 * period) + 1)[::-1]
    costs = -TIGHTNESS * np.log(steps / period) ** 2
    furthest = int(steps[0])
    total = np.concatenate([np.zeros(furthest), score])  # with nothing before the first
    before = np.full(len(score), -1)
    floor = 0.01 * float(score.max())
    begun = False
    for at in range(len(score)):
        earlier = total[at : at + len(steps)] + costs
        best = int(np.argmax(earlier))
        total[at + furthest] = score[at] + earlier[best]
        begun = begun or score[at] >= floor
        if begun:
            before[at] = at + best - furthest
    return _traced(total[furthest:], before, period)


def _traced(total: NDArray[np.float64], before: NDArray[np.int64], period: float) -> NDArray[np.int64]:
    """The chain that ends best within the last beat and a half."""
    ending = max(0, len(total) - round(1.5 * period))
    at = ending + int(np.argmax(total[ending:]))
    beats = []
    while at >= 0:
        beats.append(at)
        at = int(before[at])
    return np.array(beats[::-1])


def _trimmed(beats: NDArray[np.int64], strength: Flux) -> NDArray[np.int64]:
    """The beats without those before the first and after the last that can be heard."""
    near = np.array([strength[max(0, beat - 3) : beat + 4].max() for beat in beats])
    heard = np.flatnonzero(near > AUDIBLE * np.sqrt(np.mean(near**2)))
    return beats[heard[0] : heard[-1] + 1] if len(heard) else beats[:0]
