"""The demo: a song that is in time with its words, small, and as pleasant as can be calculated."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from songreel import new
from tests import films
from tests.conftest import REPOSITORY, new_project

SONG = "over-the-river"
FIRST = (79, 79, 79, 76, 79, 74)  # the note that each line begins with: a MIDI number, 69 is A4 at 440 Hz
SAMPLE_RATE = 44100
WORDS_HZ = 450  # the melody, which the words are sung to, is above and its accompaniment below


@pytest.fixture(scope="module")
def heard() -> NDArray[np.float64]:
    """The song, float64 [samples, 2], left and right, within -1 and 1 where it does not clip."""
    decoded = ("-f", "f32le", "-ac", "2", "-ar", str(SAMPLE_RATE), "-")
    raw = films.ffmpeg("-i", REPOSITORY / f"screenplays/{SONG}.mp3", *decoded)
    return np.frombuffer(raw, np.float32).astype(np.float64).reshape(-1, 2)


def starts() -> list[float]:
    """When each line is sung, in seconds."""
    rows = (REPOSITORY / f"screenplays/{SONG}.csv").read_text(encoding="utf-8").splitlines()
    return [float(start) for _, start in csv.reader(row for row in rows if not row.startswith("#"))]


def at(sound: NDArray[np.float64], start: float, end: float) -> NDArray[np.float64]:
    """What sounds between two times in seconds; before its beginning that is silence."""
    padded = np.concatenate((np.zeros(SAMPLE_RATE), sound))
    return padded[round((start + 1) * SAMPLE_RATE) : round((end + 1) * SAMPLE_RATE)]


def loudness(sound: NDArray[np.float64]) -> float:
    return float(np.sqrt((sound**2).mean()))


def test_the_demo_is_six_lines_and_a_song(tmp_path: Path) -> None:
    demo = new_project(tmp_path / "demo", song=SONG)
    shutil.copytree(REPOSITORY / "screenplays", demo.folder / "screenplays")
    assert demo.planned() == {"keyframes": 6, "clip": 6, "film": 1}
    assert demo.timeline.lines[-1].end_seconds == 20
    assert [line.start_seconds for line in demo.timeline.lines] == starts()


def test_the_demo_is_what_is_rendered_unless_config_yaml_says_otherwise() -> None:
    assert f"screenplay: screenplays/{SONG}.csv" in (REPOSITORY / "config.yaml").read_text(encoding="utf-8")
    assert {f"screenplays/{SONG}.csv", f"screenplays/{SONG}.mp3"} <= set(new.COPIED)


def test_every_line_is_heard_to_start(heard: NDArray[np.float64]) -> None:
    spectrum = np.fft.rfft(heard.mean(axis=1))
    sung = np.fft.irfft(spectrum * (np.fft.rfftfreq(len(heard), 1 / SAMPLE_RATE) > WORDS_HZ), len(heard))
    for start in starts():
        before, after = at(sung, start - 0.035, start - 0.005), at(sung, start + 0.005, start + 0.035)
        assert loudness(after) > 1.5 * loudness(before)


def test_every_line_begins_with_its_note(heard: NDArray[np.float64]) -> None:
    for start, note in zip(starts(), FIRST, strict=True):
        tone = at(heard.mean(axis=1), start, start + 0.12)  # an eighth, or half of one
        spectrum = np.abs(np.fft.rfft(tone * np.hanning(len(tone)), 1 << 16))
        hertz = np.fft.rfftfreq(1 << 16, 1 / SAMPLE_RATE)
        loudest = hertz[(spectrum * (hertz > WORDS_HZ)).argmax()]
        assert round(69 + 12 * np.log2(loudest / 440)) == note


def test_the_song_neither_clips_nor_is_silent_and_ends_in_silence(heard: NDArray[np.float64]) -> None:
    assert len(heard) == 20 * SAMPLE_RATE
    assert 0.5 < np.abs(heard).max() < 0.95
    assert 0.1 < loudness(heard) < 0.3
    assert np.abs(heard[-100:]).max() < 1e-3


def test_the_song_is_a_small_file() -> None:
    assert (REPOSITORY / f"screenplays/{SONG}.mp3").stat().st_size < 400_000
