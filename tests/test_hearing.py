"""What is heard of a song: how loud it is and in which pitches, what begins, and where its beats are."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from songreel.ground.errors import UserError
from songreel.ground.paths import Paths
from songreel.planning import audio, hearing, spectrum
from songreel.planning.hearing import Heard
from songreel.planning.spectrum import RATE, SAMPLE_RATE
from tests import bands, films
from tests.bands import Samples
from tests.conftest import REPOSITORY
from tests.films import FFMPEG


def heard(samples: Samples) -> Heard:
    return hearing.listened(spectrum.analysed([samples.astype(np.float32).tobytes()]))


def of_file(path: Path, results: Path, track: int = 1) -> Heard:
    paths = Paths(results)
    found = audio.find(str(path), track, Path("song.csv"), FFMPEG, paths)
    assert found
    return hearing.of(found, FFMPEG, paths)


@pytest.mark.parametrize("bpm", [60, 90, 107.3, 120, 128, 150, 160])
def test_clicks_are_the_beats_and_their_tempo_is_told(bpm: float) -> None:
    times = bands.times(bpm, 20)
    found = heard(bands.struck(bands.click(), times, 20))
    assert found.tempo == pytest.approx(bpm, rel=0.005)
    assert len(found.beats) == len(times)
    assert found.beats == pytest.approx(times, abs=0.02)


@pytest.mark.parametrize("bpm", [90, 120, 150])
def test_hi_hats_between_the_beats_of_a_bass_drum_are_no_beats(bpm: float) -> None:
    times = bands.times(bpm, 20)
    drums = bands.struck(bands.bass_drum(), times, 20)
    hats = bands.struck(bands.hi_hat(), bands.times(2 * bpm, 20), 20)
    found = heard(drums + hats)
    assert found.tempo == pytest.approx(bpm, rel=0.005)
    assert found.beats[: len(times)] == pytest.approx(times, abs=0.02)


def test_a_beat_is_1_and_falls_to_the_next_one() -> None:
    beat = heard(bands.struck(bands.click(), bands.times(120, 10), 10)).curves["beat"]
    assert not beat[:24].any()
    for time in bands.times(120, 9):
        at = round(time * RATE)
        assert beat[at - 1 : at + 3].max() > 0.95
        assert beat[at + 25] == pytest.approx(0.5, abs=0.06)
        assert beat[at + 46 : at + 48].max() < 0.15


def test_an_onset_is_where_a_note_begins_and_dies_away() -> None:
    notes = [0.5, 1.0, 2.2, 2.9]
    onset = heard(bands.struck(bands.bass_drum(), notes, 4)).curves["onset"]
    for time in notes:
        assert onset[round(time * RATE) - 2 : round(time * RATE) + 3].max() > 0.8
        assert onset[round(time * RATE) + 10] == pytest.approx(0.5, abs=0.15)
        assert onset[round(time * RATE) - 3] < 0.05
    near = {step for time in notes for step in range(round(time * RATE) - 3, round(time * RATE) + 40)}
    assert max(value for at, value in enumerate(onset) if at not in near) < 0.05


@pytest.mark.parametrize(
    ("hertz", "band"), [(50, "low"), (90, "low"), (440, "mid"), (2000, "mid"), (6000, "high")]
)
def test_a_tone_is_in_its_band_alone(hertz: float, band: str) -> None:
    curves = heard(bands.tone(hertz, 3)).curves
    middle = slice(50, 250)
    assert curves["amp"][middle].min() > 0.8
    for name in ("low", "mid", "high"):
        assert (curves[name][middle].min() > 0.8) if name == band else (curves[name][middle].max() < 0.1)


def test_a_rising_tone_goes_from_band_to_band() -> None:
    seconds = np.arange(20 * SAMPLE_RATE) / SAMPLE_RATE
    hertz = 30 * 300 ** (seconds / 20)  # 30 Hz to 9 kHz
    sweep = (0.5 * np.sin(2 * np.pi * np.cumsum(hertz) / SAMPLE_RATE)).astype(np.float32)
    curves = heard(sweep).curves
    for name, (low, high) in spectrum.BANDS.items():
        within = (hertz > 1.2 * low) & (hertz < high / 1.2)
        without = (hertz < low / 1.3) | (hertz > 1.3 * high)
        every = SAMPLE_RATE // RATE
        assert curves[name][:-1][within[::every]][10:-10].min() > 0.8, name
        assert curves[name][:-1][without[::every]].max(initial=0.0) < 0.1, name


def test_louder_is_higher_and_all_of_it_lies_between_0_and_1() -> None:
    steps = [bands.tone(440, 1, loudness) for loudness in (0.02, 0.1, 0.3, 0.6)]
    found = heard(np.concatenate([*steps, bands.silence(1)]).astype(np.float32))
    amp = [found.mean("amp", second + 0.2, second + 0.8) for second in range(5)]
    assert amp[4] == 0 and amp[0] < amp[1] < amp[2] < amp[3] and amp[3] > 0.85
    for curve in found.curves.values():
        assert curve.min() >= 0 and curve.max() <= 1


def test_how_loud_a_recording_is_as_a_whole_hardly_matters() -> None:
    song = bands.struck(bands.bass_drum(), bands.times(100, 10), 10)
    loud, soft = heard(song), heard((song / 10).astype(np.float32))
    assert soft.tempo == loud.tempo
    for name in ("amp", "low"):
        assert soft.curves[name] == pytest.approx(loud.curves[name], abs=0.15)


@pytest.mark.parametrize("seconds", [0, 0.005, 0.1, 1, 20])
def test_silence_is_0_and_has_no_beat(seconds: float) -> None:
    found = heard(bands.silence(seconds))
    assert (found.tempo, found.beats) == (0, ())
    assert not any(curve.any() for curve in found.curves.values())


def test_a_hum_and_noise_have_no_beat() -> None:
    noise = (0.1 * np.random.default_rng(0).standard_normal(20 * SAMPLE_RATE)).astype(np.float32)
    assert heard(noise).tempo == 0
    assert heard(bands.tone(100, 20)).beats == ()


def test_three_seconds_are_enough_for_a_tempo() -> None:
    found = heard(bands.struck(bands.bass_drum(), bands.times(120, 3), 3))
    assert found.tempo == pytest.approx(120, rel=0.01) and len(found.beats) == 6


def test_a_quiet_minute_after_the_song_has_no_beats() -> None:
    song = bands.struck(bands.click(), bands.times(120, 10), 10)
    found = heard(np.concatenate([bands.silence(10), song, bands.silence(10)]))
    assert found.tempo == pytest.approx(120, rel=0.005)
    assert 10 < found.beats[0] < 10.3 and 19.5 < found.beats[-1] < 20


def test_a_change_at_the_end_of_a_song_moves_nothing_before_it() -> None:
    song = bands.struck(bands.bass_drum(), bands.times(110, 30), 30) + bands.tone(440, 30, 0.1)
    changed = song.copy()
    changed[28 * SAMPLE_RATE :] += 0.1 * bands.tone(3500, 2)
    before, after = heard(song), heard(changed)
    for name in ("amp", "low", "mid", "beat"):
        assert after.curves[name][: 27 * RATE] == pytest.approx(
            before.curves[name][: 27 * RATE], abs=0.005
        ), name


def test_where_pieces_end_means_nothing() -> None:
    data = bands.struck(bands.bass_drum(), bands.times(120, 12), 12).tobytes()
    whole = spectrum.analysed([data])
    pieces = spectrum.analysed(data[at : at + 4097] for at in range(0, len(data), 4097))
    assert len(whole["amp"]) == 12 * RATE + 1
    for name, curve in whole.items():
        assert pieces[name] == pytest.approx(curve, abs=1e-5)


def test_what_is_no_number_is_silent() -> None:
    samples = bands.tone(440, 1)
    samples[5000:5100] = np.nan
    assert all(np.isfinite(curve).all() for curve in spectrum.analysed([samples.tobytes()]).values())


# Files


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("stereo.wav", ["-ac", "2"]),
        ("24 bits.wav", ["-c:a", "pcm_s24le", "-ar", "48000"]),
        ("floats.wav", ["-c:a", "pcm_f32le", "-ar", "44100"]),
        ("8 bits at 8 kHz.wav", ["-c:a", "pcm_u8", "-ar", "8000"]),
        ("six channels.flac", ["-af", "pan=5.1|c0=c0|c1=c0|c2=c0|c3=c0|c4=c0|c5=c0"]),
        ("three channels.mka", ["-af", "pan=2.1|c0=c0|c1=c0|c2=c0", "-c:a", "pcm_s16le"]),
        ("compressed.mp3", ["-c:a", "libmp3lame", "-ac", "2"]),
    ],
)
def test_a_song_is_heard_alike_in_any_file(name: str, options: list[str], tmp_path: Path) -> None:
    song = bands.struck(bands.bass_drum(), bands.times(120, 6), 6)
    source = bands.wav(song, tmp_path / "song.wav")
    films.ffmpeg("-i", source, *options, tmp_path / name)
    found = of_file(tmp_path / name, tmp_path / "results")
    expected = heard(song)
    assert found.tempo == pytest.approx(120, rel=0.01)
    assert found.curves["low"][:500] == pytest.approx(expected.curves["low"][:500], abs=0.15)


def test_the_track_that_is_sung_is_heard(tmp_path: Path) -> None:
    first = bands.wav(bands.tone(440, 6), tmp_path / "tone.wav")
    second = bands.wav(bands.struck(bands.click(), bands.times(90, 6), 6), tmp_path / "clicks.wav")
    films.ffmpeg("-i", first, "-i", second, "-map", "0", "-map", "1", "-c", "copy", tmp_path / "both.mka")
    assert of_file(tmp_path / "both.mka", tmp_path / "results").tempo == 0
    assert of_file(tmp_path / "both.mka", tmp_path / "results", track=2).tempo == pytest.approx(90, rel=0.01)


def test_what_starts_late_is_heard_late(tmp_path: Path) -> None:
    source = bands.wav(bands.tone(440, 2), tmp_path / "tone.wav")
    still = ["-f", "lavfi", "-i", "color=s=16x16:r=5:d=4"]
    delayed = ["-itsoffset", "1.5", "-i", str(source)]
    films.ffmpeg(*still, *delayed, "-map", "0", "-map", "1", "-c:v", "mpeg4", tmp_path / "late.mkv")
    found = of_file(tmp_path / "late.mkv", tmp_path / "results")
    assert found.mean("amp", 0.2, 1.3) == 0 and found.mean("amp", 1.8, 3.3) > 0.8


def test_a_song_is_listened_to_once(tmp_path: Path, messages: list[str]) -> None:
    results = tmp_path / "results"
    results.mkdir()
    source = bands.wav(bands.struck(bands.click(), bands.times(120, 4), 4), tmp_path / "song.wav")
    first = of_file(source, results)
    assert messages == ["listening to the song, which is kept for the next time."]
    again = of_file(source, results)
    assert len(messages) == 1
    assert again.beats == first.beats and again.tempo == first.tempo
    for name in hearing.NAMES:
        assert again.curves[name] == pytest.approx(first.curves[name], abs=1e-6), name


@pytest.mark.parametrize("damage", [b"", b"PK\3\4 and no more", None])
def test_what_is_damaged_of_it_is_heard_again(damage: bytes | None, tmp_path: Path) -> None:
    results = tmp_path / "results"
    results.mkdir()
    source = bands.wav(bands.struck(bands.click(), bands.times(120, 4), 4), tmp_path / "song.wav")
    of_file(source, results)
    (kept,) = results.glob("plan/audio/*.npz")
    whole = kept.read_bytes()
    kept.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    assert of_file(source, results).tempo == pytest.approx(120, rel=0.005)
    assert kept.stat().st_size > len(whole) // 2


def test_a_song_that_ffmpeg_fails_on_is_one_sentence(tmp_path: Path) -> None:
    source = bands.wav(bands.tone(440, 2), tmp_path / "song.wav")
    found = audio.find(str(source), 1, Path("song.csv"), FFMPEG, Paths(tmp_path))
    assert found
    source.write_bytes(b"no song any more")
    with pytest.raises(
        UserError, match=r"^config key 'audio': ffmpeg .* failed on .*; convert it to WAV or FLAC"
    ):
        hearing.of(found, FFMPEG, Paths(tmp_path))


def test_an_hour_takes_no_more_memory_than_a_few_minutes_and_its_curves() -> None:
    """Ten times as many minutes take what their curves do, some 20 bytes for each of 100 values a second."""
    script = (
        "import resource, sys, numpy as np\n"
        "from songreel.planning import spectrum\n"
        "piece = np.random.default_rng(0).standard_normal(24000 * 10).astype('f4').tobytes()\n"
        "spectrum.analysed(piece for _ in range(int(sys.argv[1])))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    environment = {"PYTHONPATH": str(REPOSITORY / "workflow"), "OMP_NUM_THREADS": "1"}
    few, many = (
        int(
            subprocess.run(
                [sys.executable, "-c", script, count], env=environment, capture_output=True, check=True
            ).stdout
        )
        for count in ("6", "60")
    )
    assert many - few < 20_000  # kB


# `songreel sound`


def told(folder: Path, *more: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "songreel", "sound", *more],
        cwd=folder,
        env={"PYTHONPATH": str(REPOSITORY / "workflow")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def test_a_person_is_told_what_is_heard_and_programs_get_the_curves(tmp_path: Path) -> None:
    song = bands.wav(bands.struck(bands.click(), bands.times(120, 6), 6), tmp_path / "song.wav")
    status, text = told(tmp_path, "--config", f"audio={song}", "--output", "curves.csv")
    assert status == 0 and "tempo: 120.00 beats a minute" in text and "beats: 12, from 0.25 s" in text, text
    head, *rows = (tmp_path / "curves.csv").read_text().splitlines()
    assert head == "seconds,amp,low,mid,high,onset,beat" and len(rows) == 6 * RATE + 1
    assert rows[25].startswith("0.25,") and rows[26].endswith("0.9800")
    status, text = told(tmp_path, "--config", f"audio={song}", "--output", "curves.json")
    document = json.loads((tmp_path / "curves.json").read_text())
    assert document["tempo"] == 120 and len(document["curves"]["low"]) == 6 * RATE + 1


def test_where_there_is_no_song_or_no_room_for_its_curves_that_is_one_sentence(tmp_path: Path) -> None:
    status, text = told(tmp_path, "--config", "audio=none")
    assert (status, text.count("\n")) == (1, 1) and "expected a song to listen to" in text
    song = bands.wav(bands.tone(440, 1), tmp_path / "song.wav")
    for name, found in (("curves.png", "expected .csv or .json"), ("song.csv", "say --force")):
        (tmp_path / "song.csv").touch()
        status, text = told(tmp_path, "--config", f"audio={song}", "--output", name)
        assert status == 1 and found in text, text
