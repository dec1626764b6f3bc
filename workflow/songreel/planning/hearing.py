"""What is heard of a song, as curves from 0 to 1: `amp low mid high onset beat`; and its beats and tempo.

Computed once for a sound, and kept by what it hashes to: so nothing that listens to it depends on the ffmpeg
or the machine that read it at another time.
"""

from __future__ import annotations

import zipfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from songreel.drawing import sound
from songreel.ground.documents import Sound
from songreel.ground.files import opened, replacing
from songreel.ground.messages import say
from songreel.ground.paths import Paths
from songreel.planning import spectrum, tempo
from songreel.planning.audio import Audio
from songreel.planning.spectrum import RATE as RATE

HEARING = 1  # bumped when the same sound gives other curves, which renders anew what listens
NAMES = ("amp", "low", "mid", "high", "onset", "beat")
LOUD, QUIET = 98, 10  # percentiles that are near 1, and near 0
LEAST_SPAN = 0.5  # of what is loud: a steady tone is 1, not 0
STEP_DB = 1.0  # of what is loud: so a change elsewhere in the song hardly moves a curve
STEPS = 20  # of quiet, to loud
FAINT = 10 ** (-40 / 20)  # of the whole sound: what is below is no band's
INAUDIBLE = 10 ** (-80 / 20)  # of the loudest that samples can be
USUAL_ONSETS = 90  # percentile of the onsets' peaks that is 1
HALVED_SECONDS = 0.08  # in which an onset dies away by half

Values = NDArray[np.float32]


@dataclass(frozen=True)
class Heard:
    """A song's curves float32 [n], of which value i is about second i / RATE, its beats, and its tempo."""

    curves: dict[str, Values]
    beats: tuple[float, ...]  # seconds
    tempo: float  # beats a minute; 0 where nothing is regular

    @property
    def seconds(self) -> float:
        """How long it is heard."""
        return len(self.curves["amp"]) / RATE

    def mean(self, name: str, first_seconds: float, end_seconds: float) -> float:
        """The mean of a curve from one time to another; silence where there is no song."""
        values = self._between(name, first_seconds, end_seconds)
        return float(values.mean()) if len(values) else 0.0

    def highest(self, name: str, first_seconds: float, end_seconds: float) -> float:
        """The highest of a curve from one time to another; 0 where there is no song."""
        return float(self._between(name, first_seconds, end_seconds).max(initial=0.0))

    def _between(self, name: str, first_seconds: float, end_seconds: float) -> Values:
        first = round(first_seconds * RATE)
        end = max(first + 1, round(end_seconds * RATE))
        values = self.curves[name][max(0, first) : max(0, end)]
        missing = end - first - len(values)
        return np.pad(values, (0, missing)) if missing > 0 else values


def of(audio: Audio | Sound, program: str, paths: Paths) -> Heard:
    """What is heard of a song's audio. Raises UserError when ffmpeg does not get to its end."""
    kept = paths.heard(audio.sha256, audio.track)
    if heard := _kept(kept):
        return heard
    say("listening to the song" + (", which is kept for the next time." if paths.root.is_dir() else "."))
    pieces = sound.samples(Path(audio.path), audio.track, audio.late, spectrum.SAMPLE_RATE, program)
    heard = listened(spectrum.analysed(pieces))
    if paths.root.is_dir():  # a plan that is only looked at makes no folder
        with suppress(OSError):
            _keep(heard, kept)
    return heard


def listened(analysed: dict[str, Values]) -> Heard:
    """What is heard, by a sound's levels and flux as `spectrum.analysed` has them."""
    flux = analysed["flux"]
    whole = _loud(analysed["amp"])
    curves = {name: _scaled(analysed[name], whole) for name in spectrum.LEVELS}
    found, beats = tempo.tracked(flux, RATE)
    curves |= {"onset": _onsets(flux), "beat": _pulses(beats, len(flux))}
    return Heard(
        {name: np.round(curves[name], 4) for name in NAMES},
        tuple(round(float(beat), 2) for beat in beats),
        round(found, 2),
    )


def _loud(level: Values) -> float:
    """How loud a level is where it is loud, of when there is anything; rounded up to a decibel."""
    audible = level[level > 0.01 * level.max(initial=0.0)]
    if not len(audible) or (loud := float(np.percentile(audible, LOUD))) < INAUDIBLE:
        return 0.0
    return float(10 ** (np.ceil(20 * np.log10(loud) / STEP_DB) * STEP_DB / 20))


def _scaled(level: Values, whole: float) -> Values:
    """A level from 0, at its quietest, to 1 where it is loud; all 0 where it is faint beside the `whole`."""
    loud = _loud(level)
    if not loud or loud < FAINT * whole:
        return np.zeros_like(level)
    quiet = min(round(float(np.percentile(level, QUIET)) / loud * STEPS) / STEPS, 1 - LEAST_SPAN) * loud
    scaled: Values = np.clip((level - quiet) / (loud - quiet), 0, 1)
    return scaled


def _onsets(flux: Values) -> Values:
    """How much begins, dying away: 1 for what begins as clearly as the clearest tenth of the song's notes."""
    over = np.maximum(flux - tempo.around(flux, RATE), 0)
    width = 5  # values to each side
    around = np.lib.stride_tricks.sliding_window_view(np.pad(over, width), 2 * width + 1).max(axis=1)
    peaks = over[(over == around) & (over > 1e-3)]
    usual = float(np.percentile(peaks, USUAL_ONSETS)) if len(peaks) else 0.0
    return _released(np.clip(over / usual, 0, 1)) if usual else np.zeros_like(over)


def _released(values: Values) -> Values:
    """A curve that falls no faster than by half in HALVED_SECONDS, so that no keyframe misses a peak."""
    fall = 0.5 ** (1 / (HALVED_SECONDS * RATE))
    lasting, before = np.empty_like(values), 0.0
    for at, value in enumerate(values.tolist()):
        before = max(value, before * fall)
        lasting[at] = before
    lasting[lasting < 0.01] = 0.0
    return lasting


def _pulses(beats: NDArray[np.float64], count: int) -> Values:
    """1 at each beat, falling evenly to 0 at the next one; after the last as long as after the one before."""
    pulses = np.zeros(count, np.float32)
    if len(beats) < 2:
        return pulses
    at = np.arange(count) / RATE
    ends = np.append(beats, 2 * beats[-1] - beats[-2])
    before = np.searchsorted(ends, at + 1e-9, side="right") - 1
    within = (before >= 0) & (before < len(beats))
    start, end = ends[before[within]], ends[before[within] + 1]
    pulses[within] = 1 - (at[within] - start) / (end - start)
    return np.clip(pulses, 0, 1)


# Kept


def _keep(heard: Heard, target: Path) -> None:
    with replacing(target, lasting=False) as temporary, temporary.open("wb") as file:
        arrays: dict[str, Any] = {name: np.round(curve * 1e4) for name, curve in heard.curves.items()}
        arrays = {name: values.astype(np.uint16) for name, values in arrays.items()}
        arrays |= {"hearing": HEARING, "tempo": heard.tempo, "beats": heard.beats}
        np.savez_compressed(file, **arrays)


def _kept(path: Path) -> Heard | None:
    """What was heard before, in this way; None where nothing whole is kept."""
    # What zipfile and numpy say of a damaged file
    damage = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, NotImplementedError)
    with suppress(*damage), opened(path) as file, np.load(file, allow_pickle=False) as kept:
        if int(kept["hearing"]) == HEARING:
            curves = {name: kept[name].astype(np.float32) / np.float32(1e4) for name in NAMES}
            return Heard(curves, tuple(map(float, kept["beats"])), float(kept["tempo"]))
    return None
