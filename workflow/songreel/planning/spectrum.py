"""What a song sounds like, a hundred times a second: how loud it is, in which pitches, and what is new."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 24_000  # samples a second: what is heard of cymbals lies below 12 kHz
RATE = 100  # values a second
HOP = SAMPLE_RATE // RATE
WINDOW = 1024  # samples, 43 ms: short enough for a drum, long enough for a bass
# Hertz. A bass drum and a bass are low, voices and most instruments mid, cymbals and consonants high.
BANDS = {"low": (20, 160), "mid": (160, 3_000), "high": (3_000, 12_000)}
LEVELS = ("amp", *BANDS)
MEL_BANDS = 40  # in which what is new is looked for
# Of the band by which weights have halved: beats are told by drums and basses sooner than by bells
HALF_WEIGHT = 10
COMPRESSION = 4.0  # of magnitudes, as in log(1 + c x): what is 60 dB below the loudest sine counts for little
LATENCY = 1  # value by which the flux of a window rises before its middle reaches a sudden sound
BLOCK = 1000  # windows at a time: memory does not grow with the song

Curve = NDArray[np.float32]


def analysed(pieces: Iterable[bytes]) -> dict[str, Curve]:
    """The levels `amp low mid high` (root mean square) and the `flux` of mono samples, float32 [n] each.

    Value i is about second i / RATE. The flux is how much louder pitches became, on a mel scale of compressed
    magnitudes (Bello et al. 2005, A tutorial on onset detection in music signals, II.B).
    """
    bank, bands = _mel_bank(), _bands()
    weights = 1 / (1 + np.arange(MEL_BANDS, dtype=np.float32) / HALF_WEIGHT)
    levels, fluxes, last = [np.zeros((0, len(LEVELS)), np.float32)], [np.zeros(0, np.float32)], None
    taper = np.hanning(WINDOW + 1)[:WINDOW].astype(np.float32)
    for windows in _windows(pieces):
        spectra = np.abs(np.fft.rfft(windows * taper, axis=1)).astype(np.float32)  # [b, WINDOW / 2 + 1]
        levels.append(np.sqrt(spectra**2 @ bands))
        heard = np.log1p(COMPRESSION * (spectra @ bank))  # [b, MEL_BANDS]
        before = np.vstack([np.zeros_like(heard[:1]) if last is None else last, heard[:-1]])
        fluxes.append(np.maximum(heard - before, 0) @ weights)
        last = heard[-1:]
    table = np.concatenate(levels)
    flux = np.concatenate(fluxes)
    flux = np.concatenate([np.zeros(min(LATENCY, len(flux)), np.float32), flux[:-LATENCY]])
    return {name: table[:, column] for column, name in enumerate(LEVELS)} | {"flux": flux}


def _windows(pieces: Iterable[bytes]) -> Iterator[NDArray[np.float32]]:
    """The samples around each value, float32 [b, WINDOW], with silence before and after."""
    kept = np.zeros(WINDOW // 2, np.float32)
    for samples in _whole(pieces):
        kept = np.concatenate([kept, samples])
        while len(kept) >= WINDOW + (BLOCK - 1) * HOP:
            yield _moved(kept)[:BLOCK]
            kept = kept[BLOCK * HOP :]
    kept = np.concatenate([kept, np.zeros(WINDOW // 2, np.float32)])
    if len(kept) >= WINDOW:
        yield _moved(kept)


def _whole(pieces: Iterable[bytes]) -> Iterator[NDArray[np.float32]]:
    """The samples of pieces that may end within one."""
    rest = b""
    for piece in pieces:
        rest += piece
        end = len(rest) // 4 * 4
        yield np.nan_to_num(np.frombuffer(rest[:end], "<f4"), posinf=0, neginf=0)
        rest = rest[end:]


def _moved(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP]


def _mel_bank() -> NDArray[np.float32]:
    """Triangles float32 [WINDOW / 2 + 1, MEL_BANDS] of equal area, evenly spaced in mel."""
    mels = np.linspace(_mel(30.0), _mel(SAMPLE_RATE / 2), MEL_BANDS + 2)
    edges = 700 * (10 ** (mels / 2595) - 1)  # Hertz
    pitches = np.fft.rfftfreq(WINDOW, 1 / SAMPLE_RATE)[:, None]
    width = SAMPLE_RATE / WINDOW
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    rising = (pitches - low) / np.maximum(middle - low, width)
    falling = (high - pitches) / np.maximum(high - middle, width)
    triangles = np.clip(np.minimum(rising, falling), 0, None)
    bank: NDArray[np.float32] = (triangles / np.maximum(triangles.sum(axis=0), 1e-9)).astype(np.float32)
    return bank


def _mel(hertz: float) -> float:
    return float(2595 * np.log10(1 + hertz / 700))


def _bands() -> NDArray[np.float32]:
    """Which of a window's pitches each level adds up, float32 [WINDOW / 2 + 1, 4], to a mean square."""
    pitches = np.fft.rfftfreq(WINDOW, 1 / SAMPLE_RATE)
    within = [(pitches >= low) & (pitches < high) for low, high in BANDS.values()]
    masks = np.stack([pitches >= min(low for low, _ in BANDS.values()), *within], axis=1)
    # By Parseval's theorem, of a window tapered by Hann's: the sum of its squares is 3/8 of its length.
    return (masks * (2 / (WINDOW * WINDOW * 3 / 8))).astype(np.float32)
