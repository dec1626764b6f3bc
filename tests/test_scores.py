"""What is kept of a line beside its latents and clip: looks, losses, small pictures, how loud the song is."""

from __future__ import annotations

import base64
import io
import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from songreel.drawing import film, strips, waveform
from songreel.ground.documents import Sound
from songreel.ground.paths import Paths
from songreel.jobs import looks, scores
from songreel.jobs.scores import Judged, Score

SEGMENT = "0123456789abcdef"
KEPT = Score(
    np.array([0.5, 0.25], np.float32),
    (Judged("starter", 0.5, np.eye(2, 3, dtype=np.float16), np.ones(3, np.float16)),),
    12.5,
)


@pytest.fixture
def kept(tmp_path: Path) -> Paths:
    paths = Paths(tmp_path)
    scores.keep(KEPT, SEGMENT, paths)
    return paths


def test_a_score_is_read_as_it_was_kept(kept: Paths) -> None:
    found = scores.load(SEGMENT, 2, kept)
    assert found and found.seconds == 12.5 and found.losses.tolist() == [0.5, 0.25]
    (judged,) = found.judged
    assert (judged.name, judged.weight) == ("starter", 0.5)
    assert judged.pictures.tolist() == np.eye(2, 3).tolist() and judged.words.tolist() == [1, 1, 1]


@pytest.mark.parametrize("damage", ["gone", "empty", "cut", "folder", "another's", "longer", "not finite"])
def test_a_score_that_is_not_whole_is_passed_over(kept: Paths, damage: str) -> None:
    path, other = kept.score(SEGMENT, 2), "f" * 16
    data = path.read_bytes()
    path.unlink()
    match damage:
        case "empty" | "cut":
            path.write_bytes(data[: len(data) // 2 if damage == "cut" else 0])
        case "folder":
            path.mkdir()
        case "another's":
            scores.keep(KEPT, other, kept)
            kept.score(other, 2).rename(path)
        case "longer":
            scores.keep(Score(np.zeros(3, np.float32)), SEGMENT, kept)
            kept.score(SEGMENT, 3).rename(path)
        case "not finite":
            scores.keep(Score(np.array([0.5, np.nan], np.float32)), SEGMENT, kept)
    assert scores.load(SEGMENT, 2, kept) is None


def test_what_a_line_took_is_the_sum_of_the_jobs_that_it_took_or_not_known(kept: Paths) -> None:
    assert looks.total_seconds(SEGMENT, 0, 3.0, kept) == 3.0
    assert looks.total_seconds(SEGMENT, 2, 3.0, kept) == 15.5
    assert looks.total_seconds(SEGMENT, 1, 3.0, kept) is None


def test_eight_keyframes_are_looked_at_from_the_first_to_the_last() -> None:
    assert looks.chosen(1) == [0]
    assert looks.chosen(5) == [0, 1, 2, 3, 4]
    assert looks.chosen(15) == [0, 2, 4, 6, 8, 10, 12, 14]


# Small pictures


@pytest.mark.parametrize("batch", [1, 3, 7, 40])
def test_the_same_frames_are_picked_in_batches_of_any_size(batch: int) -> None:
    frames = np.arange(40, dtype=np.uint8).reshape(40, 1, 1, 1).repeat(3, -1)
    picker = strips.Picker(40)
    passed = list(picker.passing(frames[at : at + batch] for at in range(0, 40, batch)))
    assert (np.concatenate(passed) == frames).all()
    assert [int(picture[0, 0, 0]) for picture in picker.pictures] == [2, 7, 12, 17, 22, 27, 32, 37]


def test_pictures_are_kept_small_and_in_their_shape(tmp_path: Path) -> None:
    strips.keep([np.full((300, 500, 3), 200, np.uint8), np.zeros((32, 32, 3), np.uint8)], tmp_path / "strip")
    kept = strips.load(tmp_path / "strip")
    assert kept
    sizes = [Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).size for uri in kept]
    assert sizes == [(160, 96), (32, 32)]


@pytest.mark.parametrize(
    "content", ['["javascript:alert(1)"]', '["data:image/webp;base64,A\\" onload"]', "[1]", "{}", "["]
)
def test_nothing_but_pictures_gets_from_a_strip_into_a_page(tmp_path: Path, content: str) -> None:
    (tmp_path / "strip").write_text(content)
    assert strips.load(tmp_path / "strip") is None


# How loud the song is


@pytest.fixture
def song(tmp_path: Path) -> Sound:
    """A second of silence and one of a tone at half the full loudness."""
    tone = np.sin(np.arange(8000) * 2 * np.pi * 200 / 8000) * 16384
    with wave.open(str(tmp_path / "song.wav"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(np.concatenate([np.zeros(8000), tone]).astype("<i2").tobytes())
    return Sound(str(tmp_path / "song.wav"), "0" * 64)


def test_a_waveform_shows_where_a_song_is_loud(song: Sound, tmp_path: Path) -> None:
    peaks = waveform.read(song, 4.0, film.executable(""))
    assert peaks is not None
    waveform.keep(peaks, tmp_path / "peaks.npy")
    kept = waveform.load(tmp_path / "peaks.npy", 4.0)
    assert kept is not None
    columns = waveform.columns(kept, 4.0)
    quarter = len(columns) // 4
    assert all(-0.01 <= low <= high <= 0.01 for low, high in columns[: quarter - 2])
    assert all(low < -0.4 and high > 0.4 for low, high in columns[quarter + 2 : 2 * quarter - 2])
    assert all(-0.01 <= low <= high <= 0.01 for low, high in columns[2 * quarter + 4 :])


def test_a_waveform_has_no_more_columns_than_a_page_shows() -> None:
    peaks = np.array([[-at % 100, at % 100] for at in range(10_000)], np.int8)
    columns = waveform.columns(peaks, len(peaks) / waveform.PER_SECOND)
    assert len(columns) == waveform.COLUMNS
    assert max(high for _, high in columns) == round(99 / 127, 3)


def test_a_waveform_that_is_damaged_or_too_short_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "peaks.npy"
    assert waveform.load(path, 1.0) is None
    waveform.keep(np.zeros((64, 2), np.int8), path)
    assert waveform.load(path, 1.0) is not None and waveform.load(path, 3.0) is None
    path.write_bytes(path.read_bytes()[:100])
    assert waveform.load(path, 1.0) is None
    np.save(path, np.zeros(64))
    assert waveform.load(path, 1.0) is None


def test_a_song_that_cannot_be_read_has_no_waveform(tmp_path: Path) -> None:
    assert waveform.read(Sound(str(tmp_path / "gone.wav"), "0" * 64), 1.0, film.executable("")) is None
