"""The demo song's notes: read, in time with its words, and pleasant to hear."""

import csv
import wave
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from songreel.ground.errors import UserError
from songreel.planning import tune

SCREENPLAYS = Path(__file__).parent.parent / "screenplays"
SHORT = "tempo 120\nvoice celesta\nC5 1  G5 1\nvoice bass\nC3 2\n"


@pytest.fixture(scope="module")
def twinkle() -> tune.Tune:
    return tune.read(SCREENPLAYS / "twinkle.tune")


@pytest.fixture(scope="module")
def audio(twinkle: tune.Tune) -> NDArray[np.float32]:
    return tune.synthesise(twinkle)


@pytest.fixture
def short(tmp_path: Path) -> tune.Tune:
    return tune.read(_written(tmp_path, SHORT))


def _written(folder: Path, text: str) -> Path:
    path = folder / "song.tune"
    path.write_text(text, encoding="utf-8")
    return path


def _word_starts() -> tuple[float, ...]:
    """The start of every line of the demo's screenplay, in seconds."""
    lines = (SCREENPLAYS / "twinkle.csv").read_text(encoding="utf-8").splitlines()
    return tuple(float(start) for _, start in csv.reader(line for line in lines if not line.startswith("#")))


def _loudness(sound: NDArray[np.float32]) -> float:
    return float(np.sqrt((sound.astype(np.float64) ** 2).mean()))


def test_every_line_of_words_starts_with_its_first_note(twinkle: tune.Tune) -> None:
    words = [round(start * tune.SAMPLE_RATE) for start in _word_starts()]
    notes = [round(start * tune.SAMPLE_RATE) for start in tune.line_starts(twinkle)]
    assert len(words) == 6
    assert notes == words


def test_the_melody_has_one_note_for_every_syllable(twinkle: tune.Tune) -> None:
    sung = [note for note in twinkle.voices[0].notes if note.pitches]
    assert len(sung) == 6 * 7


def test_every_line_is_heard_to_start(audio: NDArray[np.float32]) -> None:
    window = round(0.03 * tune.SAMPLE_RATE)
    from_silence = np.concatenate((np.zeros((window, 2), np.float32), audio))
    for start in _word_starts():
        onset = round(start * tune.SAMPLE_RATE) + window
        before, after = from_silence[onset - window : onset], from_silence[onset : onset + window]
        assert _loudness(after) > 1.5 * _loudness(before)


def test_the_melody_is_heard_at_its_pitches(twinkle: tune.Tune, audio: NDArray[np.float32]) -> None:
    window, size = tune.SAMPLE_RATE // 4, 1 << 16
    hertz = np.fft.rfftfreq(size, 1 / tune.SAMPLE_RATE)
    for note in (note for note in twinkle.voices[0].notes if note.pitches):
        start = round(note.start_beats * 60 / twinkle.beats_per_minute * tune.SAMPLE_RATE)
        heard = audio[start : start + window].mean(axis=1) * np.hanning(window)
        spectrum = np.abs(np.fft.rfft(heard, size)) * (hertz > 500)  # the accompaniment stays below
        loudest = 69 + 12 * np.log2(hertz[spectrum.argmax()] / 440)
        assert note.pitches == (round(loudest),)


def test_repeated_notes_are_equally_loud(tmp_path: Path) -> None:
    text = "tempo 120\nvoice celesta\n" + "A4 1\n" * 4  # 220 whole waves a beat: a tail would double the next
    sound = tune.synthesise(tune.read(_written(tmp_path, text)))
    beat = tune.SAMPLE_RATE // 2
    loudness = [_loudness(sound[start : start + beat // 2]) for start in range(0, 4 * beat, beat)]
    assert max(loudness) < 1.25 * min(loudness)  # only the room of the notes before is added


def test_the_audio_lasts_exactly_as_long_as_told(twinkle: tune.Tune, audio: NDArray[np.float32]) -> None:
    assert audio.shape == (tune.seconds(twinkle) * tune.SAMPLE_RATE, 2)
    assert tune.seconds(twinkle) == 26.0


def test_the_audio_neither_clips_nor_is_silent(audio: NDArray[np.float32]) -> None:
    assert audio.dtype == np.float32
    assert np.isfinite(audio).all()
    assert np.abs(audio).max() <= 0.9
    assert _loudness(audio) > 0.05


def test_the_audio_starts_and_ends_in_silence_so_that_it_does_not_click(audio: NDArray[np.float32]) -> None:
    assert np.abs(audio[[0, -1]]).max() < 1e-6


def test_left_and_right_differ_a_little(audio: NDArray[np.float32]) -> None:
    assert 0.5 < np.corrcoef(audio[:, 0], audio[:, 1])[0, 1] < 0.99


def test_the_same_tune_gives_the_same_bytes(short: tune.Tune, tmp_path: Path) -> None:
    first, second = tmp_path / "first/tune.wav", tmp_path / "second/tune.wav"
    tune.write(short, first)
    tune.write(short, second)
    assert first.read_bytes() == second.read_bytes()


def test_the_file_is_16_bit_stereo_and_holds_the_whole_tune(short: tune.Tune, tmp_path: Path) -> None:
    path = tmp_path / "song.wav"
    tune.write(short, path)
    with wave.open(str(path), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, 44100)
        assert file.getnframes() == tune.seconds(short) * 44100
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
    assert np.abs(samples / 32767 - tune.synthesise(short)).max() < 0.51 / 32767  # rounded, not cut


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    short: tune.Tune, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: tune.Tune) -> NDArray[np.float32]:
        raise MemoryError

    path = tmp_path / "out" / "song.wav"
    path.parent.mkdir()
    path.write_bytes(b"old")
    monkeypatch.setattr(tune, "synthesise", fail)
    with pytest.raises(MemoryError):
        tune.write(short, path)
    assert [file.name for file in path.parent.iterdir()] == ["song.wav"]
    assert path.read_bytes() == b"old"


def test_comments_bar_lines_and_spacing_change_nothing(short: tune.Tune, tmp_path: Path) -> None:
    dressed = "tempo 120 # quick\r\nvoice celesta\r\n  C5 1 | G5 1.0   # up\r\nvoice bass\r\nC3 2\r\n"
    assert tune.read(_written(tmp_path, dressed)) == short


def test_sharps_flats_and_chords_are_read(tmp_path: Path) -> None:
    read = tune.read(_written(tmp_path, "tempo 90\nvoice pad\nF#4+Bb3+A4 1/2\n"))
    assert [note.pitches for note in read.voices[0].notes] == [(66, 58, 69)]


def test_a_faster_tempo_moves_the_lines_together(twinkle: tune.Tune) -> None:
    faster = replace(twinkle, beats_per_minute=twinkle.beats_per_minute * 2)
    assert tune.line_starts(faster) == tuple(start / 2 for start in tune.line_starts(twinkle))


@pytest.mark.parametrize(
    ("text", "row"),
    [
        pytest.param("", 1, id="empty"),
        pytest.param("# only a comment\n", 1, id="only a comment"),
        pytest.param("voice celesta\nC4 1\n", 1, id="no tempo"),
        pytest.param("tempo\n", 1, id="tempo without a number"),
        pytest.param("tempo fast\n", 1, id="tempo is a word"),
        pytest.param("tempo 0\n", 1, id="tempo too slow"),
        pytest.param("tempo 301\n", 1, id="tempo too fast"),
        pytest.param("tempo 120\ntempo 90\n", 2, id="two tempos"),
        pytest.param("tempo 120\n", 1, id="no voice"),
        pytest.param("tempo 120\nC4 1\n", 2, id="notes before the voice"),
        pytest.param("tempo 120\nvoice\nC4 1\n", 2, id="voice without an instrument"),
        pytest.param("tempo 120\n\nvoice kazoo\nC4 1\n", 3, id="unknown instrument"),
        pytest.param("tempo 120\nvoice harp\n", 2, id="voice without notes"),
        pytest.param("tempo 120\nvoice harp\nC4 1 D4\n", 3, id="pitch without beats"),
        pytest.param("tempo 120\nvoice harp\nC4 1\nH4 1\n", 4, id="no such pitch"),
        pytest.param("tempo 120\nvoice harp\nC 1\n", 3, id="pitch without an octave"),
        pytest.param("tempo 120\nvoice harp\nC4+ 1\n", 3, id="unfinished chord"),
        pytest.param("tempo 120\nvoice harp\nC0 1\n", 3, id="pitch too low"),
        pytest.param("tempo 120\nvoice harp\nD8 1\n", 3, id="pitch too high"),
        pytest.param("tempo 120\nvoice harp\nC4 long\n", 3, id="beats are a word"),
        pytest.param("tempo 120\nvoice harp\nC4 0\n", 3, id="no beats"),
        pytest.param("tempo 120\nvoice harp\nC4 -1\n", 3, id="negative beats"),
        pytest.param("tempo 120\nvoice harp\nC4 1/0\n", 3, id="beats divided by zero"),
        pytest.param("tempo 120\nvoice harp\nC4 " + "9" * 5000 + "\n", 3, id="endless number"),
        pytest.param("tempo 120\nvoice harp\nrest 4\n", 2, id="first voice only rests"),
        pytest.param("tempo 120\nvoice harp\nC4 4\nvoice bass\nC3 3\n", 4, id="voices end apart"),
        pytest.param("tempo 20\nvoice harp\nC4 101\n", 2, id="tune too long"),
    ],
)
def test_a_bad_tune_file_is_answered_with_one_sentence_naming_file_and_row(
    tmp_path: Path, text: str, row: int
) -> None:
    path = _written(tmp_path, text)
    with pytest.raises(UserError) as raised:
        tune.read(path)
    message = str(raised.value)
    assert message.startswith(f"{path}, row {row}: found ")
    assert "expected" in message
    assert message.endswith(".") and "\n" not in message and ". " not in message
    assert len(message) < len(str(path)) + 200


def test_a_file_that_is_not_text_is_answered_with_its_row(tmp_path: Path) -> None:
    path = tmp_path / "song.tune"
    path.write_bytes(b"tempo 120\nvoice harp \xff\n")
    with pytest.raises(UserError, match=r"song\.tune, row 2: found bytes that are not UTF-8"):
        tune.read(path)


def test_a_missing_file_is_answered_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"song\.tune: found No such file or directory, expected"):
        tune.read(tmp_path / "song.tune")
