"""The song: its tracks, how long it sounds by its timestamps, and an ffmpeg that fails on it."""

import json
import os
import struct
import sys
import tempfile
import unicodedata
from pathlib import Path

import pytest

from songreel import cli
from songreel.drawing import sound
from songreel.ground.errors import UserError
from songreel.ground.paths import Paths
from songreel.models import weights
from songreel.planning import audio, plan
from songreel.planning.audio import Audio
from songreel.planning.config import resolve
from tests import films, sounds
from tests.films import FFMPEG, ffmpeg

SONGS = int(os.environ.get("SONGREEL_SONGS", "40"))  # by lot; 200 take a minute

SCRIPT = """#!{python}
import os, signal, sys
arguments = sys.argv[1:]
open({log!r}, "a").write(" ".join(arguments) + "\\n")
{body}
os.execv({ffmpeg!r}, [{ffmpeg!r}, *arguments])
"""


class Script:
    """An ffmpeg that does as it is told, and writes down what that was."""

    def __init__(self, folder: Path, body: str = "") -> None:
        self.path, self.log = folder / "an ffmpeg", folder / "ffmpeg.log"
        self.log.touch()
        self.write(body)

    def write(self, body: str) -> None:
        facts = {"python": sys.executable, "log": str(self.log), "ffmpeg": FFMPEG}
        new = self.path.with_name("new")
        new.write_text(SCRIPT.format(body=body, **facts))
        new.chmod(0o755)
        new.replace(self.path)

    @property
    def counted(self) -> int:
        return sum(" s16le " in line for line in self.log.read_text().splitlines())


def tone(seconds: float, sample_rate: int = 44100, layout: str = "stereo", more: str = "") -> list[str]:
    sine = f"sine=frequency=440:sample_rate={sample_rate}:duration={seconds}"
    return ["-f", "lavfi", "-i", f"{sine},aformat=channel_layouts={layout}{more}"]


def pictures(seconds: float) -> list[str]:
    return ["-f", "lavfi", "-i", f"color=s=32x32:r=10:d={seconds}"]


def found(source: Path, track: int = 1, program: str = FFMPEG, folder: Path | None = None) -> Audio:
    screenplay = source.with_suffix(".csv")
    heard = audio.find(str(source), track, screenplay, program, Paths(folder or source.parent / "results"))
    assert heard is not None
    return heard


def sentence(source: Path, track: int = 1, program: str = FFMPEG) -> str:
    with tempfile.TemporaryDirectory() as folder:
        with pytest.raises(UserError) as told:
            found(source, track, program, Path(folder))
        assert not list(Path(folder).rglob("*.json")), "remembered"
    return str(told.value)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stereo track of 1.2 s and one in mono of 2 s."""
    source = tmp_path_factory.mktemp("two") / "two.mka"
    ffmpeg(*tone(1.2), *tone(2, 48000, "mono"), "-map", "0", "-map", "1", "-c:a", "flac", source)
    return source


# Tracks


@pytest.mark.parametrize(("track", "seconds"), [(1, 1.2), (2, 2)])
def test_the_first_track_is_heard_or_the_one_that_is_named(track: int, seconds: float, two: Path) -> None:
    heard = found(two, track)
    assert heard.seconds == pytest.approx(seconds, abs=0.001)
    assert heard.tracks == ("flac, 44100 Hz, stereo", "flac, 48000 Hz, mono")


def test_a_track_that_is_not_there_is_one_sentence_that_tells_the_others(two: Path) -> None:
    assert sentence(two, 3) == (
        f"config key 'audio_track': found 3, expected one of the tracks of {str(two)!r}"
        " (1: flac, 44100 Hz, stereo; 2: flac, 48000 Hz, mono); correct it."
    )


def test_a_cover_is_no_track_and_a_language_is_told(tmp_path: Path) -> None:
    source = tmp_path / "song.m4a"
    cover = ["-map", "0", "-map", "1", "-c:v", "mjpeg", "-frames:v", "1", "-disposition:v", "attached_pic"]
    ffmpeg(*tone(0.5), *pictures(0.5), *cover, "-metadata:s:a:0", "language=deu", source)
    assert found(source).tracks == ("aac, 44100 Hz, stereo, deu",)


# How long


def test_sound_that_starts_late_starts_late(tmp_path: Path) -> None:
    source = tmp_path / "late.mkv"
    ffmpeg(*pictures(2), "-itsoffset", "1", *tone(2), "-map", "0", "-map", "1", "-c:a", "flac", source)
    heard = found(source)
    assert heard.seconds == pytest.approx(3, abs=0.002)
    assert heard.late


def test_gaps_and_lost_packets_are_silence(tmp_path: Path) -> None:
    gap = tone(2, more=",asetpts=PTS+gt(T\\,1)*1.5/TB")
    ffmpeg(*gap, "-c:a", "aac", tmp_path / "gap.mp4")
    assert found(tmp_path / "gap.mp4").seconds == pytest.approx(3.5, abs=0.03)
    ffmpeg(*tone(4), "-c:a", "aac", "-bsf:a", "noise=amount=0:dropamount=9", tmp_path / "lost.mkv")
    assert found(tmp_path / "lost.mkv").seconds == pytest.approx(4, abs=0.06)


@pytest.mark.parametrize("name", ["a.flac", "a.webm", "a.mkv"])
def test_two_files_in_one_are_heard_one_after_the_other(name: str, tmp_path: Path) -> None:
    """The times of the second begin at 0 again, and would all be too late."""
    ffmpeg(*tone(2, 48000), tmp_path / name)
    both = tmp_path / f"both-{name}"
    both.write_bytes(2 * (tmp_path / name).read_bytes())
    seconds = found(both).seconds
    assert seconds == pytest.approx(4, abs=0.3)  # ffmpeg may lose a piece where they meet
    assert films.seconds_of_sound(joined(both)) == pytest.approx(seconds, abs=0.1)
    assert films.loudness(joined(both), 2.5, 3.5) > 300


def test_times_that_stand_still_say_nothing(tmp_path: Path) -> None:
    ffmpeg(*tone(2, 8000, "mono"), "-c:a", "real_144", tmp_path / "still.rm")
    assert found(tmp_path / "still.rm").seconds == pytest.approx(2, abs=0.05)


def test_short_pieces_with_times_in_whole_milliseconds_are_no_longer_for_it(tmp_path: Path) -> None:
    ffmpeg(*tone(2, 48000, more=",asetnsamples=24"), "-c:a", "pcm_s16le", tmp_path / "short.mkv")
    assert found(tmp_path / "short.mkv").seconds == pytest.approx(2, abs=0.01)


def test_a_sound_that_changes_its_kind_midway_is_as_long_as_its_parts(tmp_path: Path) -> None:
    ffmpeg(*tone(1, 44100, "mono"), tmp_path / "a.mp3")
    ffmpeg(*tone(2, 48000), tmp_path / "b.mp3")
    both = tmp_path / "song.mp3"
    both.write_bytes(b"".join((tmp_path / name).read_bytes() for name in ("a.mp3", "b.mp3")))
    assert found(both).seconds == pytest.approx(3, abs=0.1)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3", "a.m4a", "a.ogg", "a.opus", "a.webm"])
def test_what_was_always_counted_rightly_is_counted_as_it_was(name: str, tmp_path: Path) -> None:
    """The end of a film's last line, and so the id of its clip, hangs on it."""
    source = tmp_path / name
    ffmpeg(*tone(1.217), source)
    samples = ffmpeg("-i", source, "-f", "s16le", "-ac", "1", "-ar", "48000", "-")
    assert found(source).seconds == len(samples) / 2 / 48000
    assert not found(source).late


def test_a_transport_stream_is_read_by_the_ffmpeg_that_came_along(tmp_path: Path) -> None:
    ffmpeg(*tone(1), "-c:a", "mp2", tmp_path / "song.ts")
    assert found(tmp_path / "song.ts").seconds == pytest.approx(1, abs=0.05)


def test_songs_by_lot_last_as_planned_or_are_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "_check_file", lambda found: None)
    assert sounds.play(SONGS, seed=14)["played"] > SONGS / 2


# An ffmpeg that fails


KILLED = "os.kill(os.getpid(), signal.SIGKILL)"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (f"if 's16le' in arguments: os.write(1, bytes(96000)); {KILLED}", "crashed on {} (ended by SIGKILL)"),
        (f"if '-version' not in arguments: {KILLED}", "crashed on {} (ended by SIGKILL)"),
        ("if 's16le' in arguments: sys.exit(139)", "crashed on {} (ended by SIGSEGV)"),
        (
            "if 's16le' in arguments: os.write(1, bytes(960)); sys.exit('first\\n[a @ 0x1f] the last word')",
            "failed on {} (status 1, its last words were 'the last word')",
        ),
    ],
)
def test_a_crash_is_told_as_one_and_nothing_is_remembered(
    body: str, told: str, two: Path, tmp_path: Path
) -> None:
    source = tmp_path / "song.mka"
    source.write_bytes(two.read_bytes())
    script = Script(tmp_path, body)
    message = sentence(source, program=str(script.path))
    assert f"ffmpeg ({script.path}) {told.format(repr(str(source)))}" in message
    assert "holds no audio" not in message
    script.write("")
    assert found(source, program=str(script.path)).seconds == pytest.approx(1.2, abs=0.001)


@pytest.mark.parametrize("content", [b"", b"no song", b"\0" * 5000])
def test_a_file_that_holds_no_audio_is_told_as_such(content: bytes, tmp_path: Path) -> None:
    source = tmp_path / "song.mp3"
    source.write_bytes(content)
    assert f"{str(source)!r} holds no audio that ffmpeg can read" in sentence(source)


def test_a_film_without_sound_holds_no_audio(tmp_path: Path) -> None:
    ffmpeg(*pictures(1), tmp_path / "song.mp4")
    assert "holds no audio that ffmpeg can read; expected" in sentence(tmp_path / "song.mp4")


# What is remembered


def test_a_song_is_counted_once_and_again_by_another_ffmpeg(two: Path, tmp_path: Path) -> None:
    script = Script(tmp_path)
    for _ in range(3):
        found(two, program=str(script.path), folder=tmp_path)
    assert script.counted == 1
    script.write("# an update")
    found(two, program=str(script.path), folder=tmp_path)
    assert script.counted == 2


@pytest.mark.parametrize(
    "note",
    [
        {"seconds": 99.0},  # as it was written when samples were counted and exit statuses ignored
        {"counted": audio.COUNTED, "ffmpeg": "another", "tracks": ["x"], "lengths": {"1": {"seconds": 99}}},
        {"lengths": [], "tracks": 3},
        [1],
        None,
    ],
)
def test_an_old_or_damaged_note_is_not_trusted(note: object, two: Path, tmp_path: Path) -> None:
    digest = found(two, folder=tmp_path / "other").sha256
    facts = Paths(tmp_path).audio_facts(digest)
    facts.parent.mkdir(parents=True)
    facts.write_text(json.dumps({"sha256": digest, **note} if isinstance(note, dict) else note))
    assert found(two, folder=tmp_path).seconds == pytest.approx(1.2, abs=0.001)


def test_where_a_length_cannot_be_noted_it_is_counted_again(two: Path, tmp_path: Path) -> None:
    facts = Paths(tmp_path).audio_facts(found(two, folder=tmp_path / "other").sha256)
    assert not (tmp_path / "other").exists(), "a plan that is only looked at makes no folder"
    facts.mkdir(parents=True)
    assert found(two, folder=tmp_path).seconds == pytest.approx(1.2, abs=0.001)


# What goes into the film


def planned(source: Path, **keys: object) -> plan.Plan:
    screenplay = source.with_suffix(".csv")
    screenplay.write_text('"la",0\n')
    settings = {"screenplay": str(screenplay), "size": "32x32", "frames_per_second": 10, **keys}
    return plan.make(resolve(settings), Paths(source.parent / "results"))


def joined(source: Path) -> Path:
    """A film of a song, with one grey clip."""
    return sounds.join(planned(source).timeline, source.parent)


@pytest.mark.parametrize(
    "layout", ["mono", "5.1(side)", "7.1.4", "cube", "22.2", "9 channels", "20 channels"]
)
def test_sound_of_any_number_of_channels_is_kept_or_mixed_down(layout: str, tmp_path: Path) -> None:
    source = tmp_path / "song.wav"
    if "channels" in layout:
        count = layout.split()[0]
        raw = ["-f", "s16le", "-ac", count, "-ar", "8000", "-t", "1", "-i", "/dev/urandom"]
        ffmpeg(*raw, source)
    else:
        ffmpeg(*tone(1, layout=layout), source)
    assert films.loudness(joined(source), 0.2, 0.8) > 300


def test_numbers_that_are_none_do_not_stop_a_film(tmp_path: Path) -> None:
    source = tmp_path / "song.wav"
    ffmpeg(*tone(3), "-c:a", "pcm_f32le", source)
    data = bytearray(source.read_bytes())
    data[-400_000:-399_996] = struct.pack("<f", float("nan"))
    source.write_bytes(data)
    assert films.seconds_of_sound(joined(source)) == pytest.approx(3, abs=0.03)


def test_the_named_track_is_the_one_in_the_film(tmp_path: Path) -> None:
    silence = ["-f", "lavfi", "-i", "anullsrc=duration=1"]
    ffmpeg(*silence, *tone(1), "-map", "0", "-map", "1", "-c:a", "flac", "-t", "1", tmp_path / "song.mka")
    for track, loud in ((1, False), (2, True)):
        made = planned(tmp_path / "song.mka", audio_track=track)
        assert made.timeline.audio and made.timeline.audio.track == track
        assert (films.loudness(sounds.join(made.timeline, tmp_path), 0.2, 0.8) > 300) is loud


# The song beside the screenplay


def beside(folder: Path, *names: str, screenplay: str = "river.csv") -> str | None:
    for name in names:
        (folder / name).touch()
    taken = audio._beside(folder / screenplay)
    return taken.name if taken else None


@pytest.mark.parametrize(
    "name",
    """river.MP3 river.Flac river.aif river.AIFF river.oga river.mov river.MKV river.m4b river.ape
    river.wv river.ts river.avi River.mp3 RIVER.WAV""".split(),  # noqa: SIM905
)
def test_a_song_beside_the_screenplay_is_found_whatever_its_ending(name: str, tmp_path: Path) -> None:
    assert beside(tmp_path, "river.csv", "river.txt", "river.jpg", "river2.mp3", ".river.mp3", name) == name


@pytest.mark.parametrize("other", [False, True])
def test_a_song_is_found_in_another_unicode_form(other: bool, tmp_path: Path) -> None:
    name = "Träume über Säle"
    ours, theirs = unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name)
    ours, theirs = (theirs, ours) if other else (ours, theirs)
    assert beside(tmp_path, f"{theirs}.mp3", screenplay=f"{ours}.csv") == f"{theirs}.mp3"
    assert audio._as_written(tmp_path / f"{ours}.mp3") == tmp_path / f"{theirs}.mp3"


@pytest.mark.parametrize(
    ("names", "taken"),
    [
        (["river.mp3", "river.mov"], "river.mp3"),
        (["river.wav", "river.MP3"], "river.wav"),  # as it always was
        (["river.mp3", "River.wav"], "river.mp3"),
        (["river.oga", "river.mkv"], "river.oga"),
        (["river.tune", "River.mov"], "River.mov"),
        (["river.txt"], None),
        ([], None),
    ],
)
def test_the_song_of_that_very_name_goes_before_films(
    names: list[str], taken: str | None, tmp_path: Path
) -> None:
    assert beside(tmp_path, *names) == taken


def test_two_songs_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'river\.MP3', 'river\.AIF' lie beside the screenplay"):
        beside(tmp_path, "river.AIF", "river.MP3")


def test_a_song_that_is_a_link_to_nothing_is_told(tmp_path: Path) -> None:
    (tmp_path / "river.mp3").symlink_to("gone.mp3")
    with pytest.raises(UserError, match=r"river\.mp3' is not a file"):
        audio.find("auto", 1, tmp_path / "river.csv", FFMPEG, Paths(tmp_path))


# Tunes, which songreel once played

NOTES = "tempo 60\nvoice celesta\nC5 1\n"
PLAYED = "tunes/ffef4bd07f597e9b.wav"  # where it put their sound


@pytest.mark.parametrize(
    ("setting", "file", "remedy"),
    [
        ("auto", "river.tune", "save one as '{folder}/river.wav'."),
        ("auto", "River.TUNE", "save one as '{folder}/River.wav'."),
        (
            "{folder}/my.tune",
            "my.tune",
            "save one as '{folder}/my.wav' and name that with the config key 'audio'.",
        ),
    ],
)
def test_a_tune_is_no_longer_played_and_a_sentence_says_so(
    setting: str, file: str, remedy: str, tmp_path: Path
) -> None:
    (tmp_path / file).write_text(NOTES)
    with pytest.raises(UserError) as raised:
        audio.find(setting.format(folder=tmp_path), 1, tmp_path / "river.csv", FFMPEG, Paths(tmp_path))
    refused = f"{tmp_path / file}: found a tune, which songreel no longer plays, expected an audio file; "
    assert str(raised.value) == refused + remedy.format(folder=tmp_path)


def test_the_sound_that_was_made_of_a_tune_can_take_its_place(tmp_path: Path) -> None:
    screenplay, played = tmp_path / "river.csv", tmp_path / PLAYED
    screenplay.with_suffix(".tune").write_text(NOTES)
    played.parent.mkdir()
    ffmpeg(*tone(3), played)
    with played.open("ab") as file:
        file.write((72).to_bytes(4) + b"uuid" + bytes(64))  # as it was sealed
    with pytest.raises(UserError) as raised:
        audio.find("auto", 1, screenplay, FFMPEG, Paths(tmp_path))
    target = screenplay.with_suffix(".wav")
    assert str(raised.value).endswith(f"; move '{played}', the sound that was made of it, to '{target}'.")
    played.rename(target)
    song = audio.find("auto", 1, screenplay, FFMPEG, Paths(tmp_path))
    assert song and (song.path, song.seconds) == (target, 3)


# What the plan says


def test_the_plan_names_the_song_its_track_and_its_length(two: Path, tmp_path: Path) -> None:
    song = tmp_path / "song.mka"
    song.write_bytes(two.read_bytes())
    assert (
        planned(song, audio_track=2).sound == f"{str(song)!r}, track 2 of 2 (flac, 48000 Hz, mono), 0:02.000"
    )


def test_the_plan_says_that_there_is_no_song_and_why(tmp_path: Path) -> None:
    screenplay = tmp_path / "river.csv"
    assert (
        planned(tmp_path / "river.x").sound
        == f"none, since no audio named 'river' lies beside {str(screenplay)!r}"
    )
    assert planned(tmp_path / "river.x", audio="none").sound == "none, as the config key 'audio' says"


def test_the_plan_says_that_a_song_is_mixed_down(tmp_path: Path) -> None:
    ffmpeg(*tone(1, layout="7.1.4"), tmp_path / "song.wav")
    assert planned(tmp_path / "song.wav").sound.endswith("0:01.000, mixed down to what a film can hold")


def test_the_plan_names_lines_that_an_offset_leaves_out(tmp_path: Path) -> None:
    screenplay = tmp_path / "song.csv"
    screenplay.write_text('"one",0\n"two",4\n"three",8\n')
    made = plan.make(resolve({"screenplay": str(screenplay), "size": "32x32", "offset": -6}), Paths(tmp_path))
    assert made.sound.endswith("begins after these lines, left out: row 1 'one'")
    times = [(line.text, line.start_seconds, line.end_seconds) for line in made.timeline.lines]
    assert times == [("two", 0, 2), ("three", 2, 6)]


@pytest.mark.parametrize("as_json", [False, True])
def test_songreel_plan_prints_what_is_heard(
    as_json: bool,
    two: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "song.csv").write_text('"one",0\n')
    (tmp_path / "song.MKA").write_bytes(two.read_bytes())
    keys = ["screenplay=song.csv", "size=32x32", "audio_track=2"]
    assert cli.main(["plan", *(["--json"] if as_json else []), "--config", *keys]) == 0
    said = "'song.MKA', track 2 of 2 (flac, 48000 Hz, mono), 0:02.000"
    printed = capsys.readouterr().out
    if as_json:
        assert json.loads(printed)["sound"] == said
    else:
        assert printed.startswith(f"sound: {said}\n")


def test_what_is_as_usual_is_not_in_a_timeline(tmp_path: Path) -> None:
    """A film that was joined before there were tracks is up to date."""
    ffmpeg(*tone(1), tmp_path / "song.wav")
    assert set(planned(tmp_path / "song.wav").timeline.to_json()["audio"]) == {"path", "sha256"}


def test_counting_and_joining_place_the_sound_alike() -> None:
    for late in (False, True):
        assert sound.until(3, late, "").startswith(sound._timed(late) + ",")
    assert sound.until(3, True, "pan=x").startswith(sound._timed(True) + ",pan=x,")
