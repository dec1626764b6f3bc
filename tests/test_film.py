"""What ffmpeg is made to do: exactly the planned frames, on their instants, in their colours."""

import re
import subprocess
import wave
from collections.abc import Iterator, Sequence
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from songreel.drawing import draw, encoders, film, lyrics
from songreel.ground.documents import Sound, Timeline
from songreel.ground.errors import DamageError, UserError
from tests import cards, films, plans
from tests.plans import clip, line

Frames = NDArray[np.uint8]  # [n, height, width, 3]

FFMPEG = film.executable("")
SIZE = (48, 32)
TELEVISION = ("24000/1001", "30000/1001", "60000/1001")  # frames a second


def greys(frames: int, first: int = 0) -> Frames:
    """Plain pictures, each five grey levels brighter than the one before."""
    levels = 40 + 5 * (np.arange(first, first + frames) % 32)
    shape = (frames, SIZE[1], SIZE[0], 3)
    return np.broadcast_to(levels[:, None, None, None], shape).astype(np.uint8)


def in_batches(frames: Frames, size: int = 7) -> Iterator[Frames]:
    for first in range(0, len(frames), size):
        yield frames[first : first + size]


def encoded(target: Path, frames: Frames, **keys: Any) -> Path:
    planned = clip(keys.pop("count", len(frames)), **keys)
    film.encode(in_batches(frames), planned, SIZE, target, FFMPEG)
    return target


def ffmpeg(*arguments: str | Path) -> bytes:
    command = [FFMPEG, "-hide_banner", "-v", "error", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True).stdout


def decoded(video: Path) -> Frames:
    raw = ffmpeg(
        "-i", video, "-vf", "scale=in_color_matrix=bt709", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"
    )
    return np.frombuffer(raw, np.uint8).reshape(-1, SIZE[1], SIZE[0], 3)


def levels(video: Path) -> NDArray[np.float64]:
    means: NDArray[np.float64] = decoded(video).mean((1, 2, 3))
    return means


def times(video: Path, stream: str = "v:0") -> list[Fraction]:
    """The instants of a stream's packets in seconds, in the order they are shown."""
    told = ffmpeg("-i", video, "-map", f"0:{stream}", "-c", "copy", "-f", "framecrc", "-").decode()
    base = Fraction(re.search(r"#tb 0: (\S+)", told)[1])  # type: ignore[index]
    packets = [line.split(",") for line in told.splitlines() if not line.startswith("#")]
    return sorted(int(packet[2]) * base for packet in packets)


def described(video: Path) -> str:
    """What ffmpeg says of a file."""
    told = subprocess.run([FFMPEG, "-hide_banner", "-i", str(video)], check=False, capture_output=True)
    return told.stderr.decode()


def wav(target: Path, seconds: float) -> Path:
    with wave.open(str(target), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(44100)
        file.writeframes((9000 * np.sin(np.arange(round(seconds * 44100)) / 16)).astype("<i2").tobytes())
    return target


def timeline(frames: Sequence[int], audio: Path | None = None, **keys: Any) -> Timeline:
    song = Sound(str(audio), sha256(audio.read_bytes()).hexdigest()) if audio else None
    return plans.timeline(frames, audio=song, **keys)


# clips


@pytest.mark.parametrize("frames", [1, 2, 7, 31])
@pytest.mark.parametrize("encoder", ["libx264", "libx265"])
def test_a_clip_has_exactly_its_frames_in_order(frames: int, encoder: str, tmp_path: Path) -> None:
    video = encoded(tmp_path / "clip.mp4", greys(frames), encoder=encoder)
    np.testing.assert_allclose(levels(video), greys(frames).mean((1, 2, 3)), atol=2)
    assert times(video) == [Fraction(n, 30) for n in range(frames)]


@pytest.mark.parametrize("rate", [1, 24, 25, 60, 120, *TELEVISION, "25/2", "100/3"])
def test_a_clips_frames_stand_on_their_instants_at_any_rate(rate: int | str, tmp_path: Path) -> None:
    video = encoded(tmp_path / "clip.mp4", greys(13), frames_per_second=rate)
    assert times(video) == [n / Fraction(rate) for n in range(13)]


@pytest.mark.parametrize("frames", [1, 2, 30, 47])
@pytest.mark.parametrize(
    ("per_second", "rate"), [(15.0, 30), (2.0, 30), (7.5, 24), (15.0, 25), (15.0, "30000/1001")]
)
def test_motion_interpolation_makes_exactly_the_frames(
    per_second: float, rate: int | str, frames: int, tmp_path: Path
) -> None:
    motion = {"interpolation": "motion", "keyframes_per_second": per_second, "frames_per_second": rate}
    drawn = draw.drawn_frames(clip(frames, **motion))
    video = encoded(tmp_path / "clip.mp4", greys(drawn), count=frames, **motion)
    assert times(video) == [n / Fraction(rate) for n in range(frames)]


def test_motion_interpolation_moves_between_the_keyframes(tmp_path: Path) -> None:
    motion = {"interpolation": "motion", "keyframes_per_second": 3.0}
    video = encoded(tmp_path / "clip.mp4", greys(draw.drawn_frames(clip(31, **motion))), count=31, **motion)
    assert (np.diff(levels(video)) > -1).all()
    np.testing.assert_allclose(levels(video)[::10], [40, 45, 50, 55], atol=2)
    np.testing.assert_allclose(levels(video)[5:30:10], [42.5, 47.5, 52.5], atol=2)


def test_motion_interpolation_does_not_freeze_where_everything_changes(tmp_path: Path) -> None:
    motion = {"interpolation": "motion", "keyframes_per_second": 3.0}
    noise = np.random.default_rng(0).integers(0, 256, (6, SIZE[1], SIZE[0], 3), dtype=np.uint8)
    seen = decoded(encoded(tmp_path / "clip.mp4", noise, count=31, **motion)).astype(float)
    moves = np.abs(np.diff(seen, axis=0)).mean((1, 2, 3))
    assert moves.min() > 0.05 * moves.mean()


@pytest.mark.parametrize(
    "colour", [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (200, 120, 40)]
)
@pytest.mark.parametrize("interpolation", ["latent", "motion"])
def test_colours_survive(colour: tuple[int, int, int], interpolation: str, tmp_path: Path) -> None:
    frames = np.full((6, SIZE[1], SIZE[0], 3), colour, np.uint8)
    video = encoded(tmp_path / "clip.mp4", frames, crf=1, count=2, interpolation=interpolation)
    np.testing.assert_allclose(decoded(video).mean((0, 1, 2)), colour, atol=1.5)
    assert "yuv420p(tv, bt709, progressive)" in described(video)  # matrix, primaries and transfer alike


def test_the_same_frames_are_the_same_file(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (20, SIZE[1], SIZE[0], 3), dtype=np.uint8)
    one, other = (encoded(tmp_path / folder / "clip.mp4", noise) for folder in ("one", "other"))
    assert one.read_bytes() == other.read_bytes()


def test_a_clip_tells_no_time_of_day_and_no_version_of_ffmpeg(tmp_path: Path) -> None:
    data = encoded(tmp_path / "clip.mp4", greys(2)).read_bytes()
    assert not re.search(rb"Lav[cf]\d", data)
    assert "creation_time" not in described(tmp_path / "clip.mp4")


def test_a_better_quality_is_closer_to_the_frames(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (3, SIZE[1], SIZE[0], 3), dtype=np.uint8)
    noise[:] = noise[..., :1]
    best, worst = (encoded(tmp_path / f"{crf}.mp4", noise, crf=crf) for crf in (1, 45))
    errors = [np.abs(decoded(video) - noise.astype(float)).mean() for video in (best, worst)]
    assert errors[0] < 4 < errors[1]


def test_apple_plays_x265(tmp_path: Path) -> None:
    assert "hvc1" in described(encoded(tmp_path / "clip.mp4", greys(2), encoder="libx265"))


@pytest.mark.parametrize(
    ("works", "found"),
    [
        (("h264_nvenc", "h264_qsv"), "h264_nvenc"),
        (("h264_qsv",), "h264_qsv"),
        (("h264_videotoolbox",), "h264_videotoolbox"),
        ((), "libx264"),
    ],
)
def test_auto_is_the_first_encoder_in_hardware_that_works(
    works: tuple[str, ...], found: str, tmp_path: Path
) -> None:
    program = cards.ffmpeg(tmp_path, *works)
    assert film.encoder("auto", SIZE, program) == found
    assert film.encoder("libx265", SIZE, program) == "libx265"
    film.encode([greys(5)], clip(5, encoder=found), SIZE, tmp_path / "clip.mp4", program)
    np.testing.assert_allclose(levels(tmp_path / "clip.mp4"), greys(5).mean((1, 2, 3)), atol=4)


@pytest.mark.parametrize("crf", [0, 16, 51])
@pytest.mark.parametrize("name", encoders.HARDWARE)
def test_every_encoder_in_hardware_is_told_the_quality(name: str, crf: int) -> None:
    told = encoders.options(name, crf)
    assert told["c:v"] == name and "crf" not in told
    assert told != encoders.options(name, 30)


@pytest.mark.parametrize("frames", [1, 3, 2000])
def test_what_ffmpeg_complains_of_is_told_in_its_own_words(frames: int, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"clip\.mp4: ffmpeg could not make it \(.*; see to that") as told:
        encoded(tmp_path / "clip.mp4", greys(frames), encoder="libnothing")
    assert "libnothing" in str(told.value) or "Encoder" in str(told.value)
    assert list(tmp_path.iterdir()) == []


def test_more_frames_than_a_clip_has_are_not_waited_for(tmp_path: Path) -> None:
    video = encoded(tmp_path / "clip.mp4", greys(3000), count=5)
    assert len(times(video)) == 5


def test_when_drawing_fails_no_clip_is_left(tmp_path: Path) -> None:
    def failing() -> Iterator[Frames]:
        yield greys(3)
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        film.encode(failing(), clip(30), SIZE, tmp_path / "clip.mp4", FFMPEG)
    assert list(tmp_path.iterdir()) == []


# films

COUNTS = (1, 7, 30, 2, 13)


@pytest.mark.parametrize(
    ("rate", "encoder"),
    [(30, "libx264"), (60, "libx264"), (24, "libx265"), *((rate, "libx264") for rate in TELEVISION)],
)
def test_a_film_has_every_frame_of_its_clips_on_its_instant(
    rate: int | str, encoder: str, tmp_path: Path
) -> None:
    look = {"frames_per_second": rate, "encoder": encoder}
    firsts = np.cumsum((0, *COUNTS))
    clips = [
        encoded(tmp_path / f"{first}.mp4", greys(count, int(first)), **look)
        for first, count in zip(firsts, COUNTS, strict=False)
    ]
    target = tmp_path / "film.mp4"
    film.join(timeline(COUNTS, frames_per_second=rate), clips, target, FFMPEG)
    np.testing.assert_allclose(levels(target), greys(sum(COUNTS)).mean((1, 2, 3)), atol=2)
    assert times(target) == [n / Fraction(rate) for n in range(sum(COUNTS))]


@pytest.fixture(scope="module")
def two_seconds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encoded(tmp_path_factory.mktemp("film") / "clip.mp4", greys(60))


@pytest.mark.parametrize("seconds", [0.5, 2.0, 5.0])
def test_the_audio_ends_with_the_last_frame(seconds: float, two_seconds: Path, tmp_path: Path) -> None:
    target, song = tmp_path / "film.mp4", wav(tmp_path / "song.wav", seconds)
    film.join(timeline([60], song), [two_seconds], target, FFMPEG)
    raw = ffmpeg("-i", target, "-map", "0:a", "-f", "s16le", "-ac", "1", "-")
    sound = np.frombuffer(raw, np.int16)
    assert abs(len(sound) / 44100 - 2) < 0.03
    loud = np.flatnonzero(np.abs(sound) > 3000) / 44100
    assert loud[0] < 0.02
    assert abs(loud[-1] - min(seconds, 2)) < 0.05
    assert len(times(target)) == 60


LINES = (
    line("Twinkle & <b>star</b> --> \\{x}", 0.25, 1.0),
    line("key=value; # no comment\n[CHAPTER] 星", 1.0, 2),
)


def test_a_film_carries_its_words_its_chapters_and_its_title(two_seconds: Path, tmp_path: Path) -> None:
    target = tmp_path / "film.mp4"
    facts = timeline([60], lines=LINES, title='A=b; "c" #1 \\ d', artist="Ä\nÖ")
    film.join(facts, [two_seconds], target, FFMPEG)
    subtitles = ffmpeg("-i", target, "-map", "0:s:0", "-f", "webvtt", "-").decode()
    assert "00:00.250 --> 00:01.000" in subtitles
    assert "00:01.000 --> 00:02.000" in subtitles
    plain = ffmpeg("-i", target, "-map", "0:s:0", "-f", "srt", "-").decode().replace(lyrics.WORD_JOINER, "")
    assert "key=value; # no comment [CHAPTER] 星" in plain
    assert re.sub(r"</?font[^>]*>", "", plain).count("Twinkle & <b>star</b>") == 1
    told = ffmpeg("-i", target, "-f", "ffmetadata", "-").decode()
    assert 'title=A\\=b\\; "c" \\#1 \\\\ d\n' in told
    assert "artist=Ä Ö\n" in told
    assert 'START=0\nEND=250\ntitle=A\\=b\\; "c" \\#1 \\\\ d\n' in told  # the chapter before the first line
    assert "START=250\nEND=1000\ntitle=Twinkle & <b>star</b> --> \\\\{x}\n" in told
    assert "START=1000\nEND=2000\ntitle=key\\=value\\; \\# no comment [CHAPTER] 星\n" in told


def test_a_film_without_an_artist_or_a_title_has_none(two_seconds: Path, tmp_path: Path) -> None:
    film.join(timeline([60], title="", artist=""), [two_seconds], tmp_path / "film.mp4", FFMPEG)
    told = ffmpeg("-i", tmp_path / "film.mp4", "-f", "ffmetadata", "-").decode().split("[CHAPTER]")[0]
    assert "artist" not in told
    assert "title" not in told


def test_clips_and_audio_may_lie_in_folders_of_any_name(two_seconds: Path, tmp_path: Path) -> None:
    folder = tmp_path / "it's a 'folder' %d \\ 星 [x]"
    folder.mkdir()
    song = wav(folder / "pipe:0.wav", 1)
    moved = folder / "clip.mp4"
    moved.write_bytes(two_seconds.read_bytes())
    film.join(timeline([60], song), [moved], folder / "film.mp4", FFMPEG)
    assert len(times(folder / "film.mp4")) == 60


@pytest.mark.parametrize("name", ["pipe:0.wav", "-i.wav", "song:1.wav"])
def test_audio_of_any_name_is_taken_for_a_file(
    name: str, two_seconds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    wav(tmp_path / name, 1)
    film.join(timeline([60], Path(name)), [two_seconds], Path("film.mp4"), FFMPEG)
    assert "Audio: aac" in described(tmp_path / "film.mp4")


def refused(clip: Path) -> None:
    before = {path.name for path in clip.parent.iterdir()}
    with pytest.raises(DamageError, match=rf"{clip.stem}\.mp4: found a damaged file or another clip"):
        film.join(timeline([60]), [clip], clip.with_name("film.mp4"), FFMPEG)
    assert {path.name for path in clip.parent.iterdir()} == before


@pytest.mark.parametrize("at", [0, 100, 0.3, 0.9, -60, -30, -1])
def test_a_clip_with_one_wrong_byte_ends_in_no_film(at: float, two_seconds: Path, tmp_path: Path) -> None:
    data = bytearray(two_seconds.read_bytes())
    data[int(at * len(data)) if isinstance(at, float) else at] ^= 1
    (tmp_path / "clip.mp4").write_bytes(data)
    refused(tmp_path / "clip.mp4")


@pytest.mark.parametrize("kept", [0, 30, 500, 0.5, -1])
def test_a_clip_that_is_cut_short_ends_in_no_film(kept: float, two_seconds: Path, tmp_path: Path) -> None:
    data = two_seconds.read_bytes()
    length = int(kept * len(data)) if isinstance(kept, float) else kept
    (tmp_path / "clip.mp4").write_bytes(data[:length])
    refused(tmp_path / "clip.mp4")


def test_another_clip_under_a_clips_name_ends_in_no_film(two_seconds: Path, tmp_path: Path) -> None:
    film.check(two_seconds)
    (tmp_path / "other.mp4").write_bytes(two_seconds.read_bytes())
    refused(tmp_path / "other.mp4")


def test_a_film_starts_to_play_before_it_is_loaded(two_seconds: Path, tmp_path: Path) -> None:
    film.join(timeline([60]), [two_seconds], tmp_path / "film.mp4", FFMPEG)
    data = (tmp_path / "film.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


# words


def test_subtitles_hold_no_markup_and_are_on_one_line() -> None:
    cues = lyrics.subtitles(timeline([60], lines=LINES)).split("\n\n")
    assert cues == [
        "1\n00:00:00,250 --> 00:00:01,000\nTwinkle & <|b>star<|/b> --|> \\|{x}".replace(
            "|", lyrics.WORD_JOINER
        ),
        "2\n00:00:01,000 --> 00:00:02,000\nkey=value; # no comment [CHAPTER] 星\n",
    ]


@pytest.mark.parametrize("letter", ["a", "星", "<", "{\\", "\U0001f3b5", "e\u0301"])
def test_a_text_of_any_length_ends_in_a_film(letter: str, two_seconds: Path, tmp_path: Path) -> None:
    text = letter * 70_000
    lines = (line(text, 0, 2),)
    film.join(timeline([60], lines=lines, title=text), [two_seconds], tmp_path / "film.mp4", FFMPEG)
    (cue,), (chapter,) = films.cues(tmp_path / "film.mp4"), films.chapters(tmp_path / "film.mp4")
    assert (cue.start_seconds, cue.end_seconds) == (0, 2)
    for shown in (cue.text, chapter.text):
        assert shown.replace(lyrics.WORD_JOINER, "").startswith(text[:990])


@pytest.mark.parametrize(
    ("start", "end", "spans"),
    [
        (0, 1800, [(0, 1800)]),
        (0, 2148, [(0, 1800), (1800, 2148)]),  # 2^31 us is 2147.48
        (5.5, 5405.5, [(5.5, 1805.5), (1805.5, 3605.5), (3605.5, 5405.5)]),
    ],
)
def test_a_text_that_is_shown_for_long_goes_on_in_another_cue(
    start: float, end: float, spans: list[tuple[float, float]]
) -> None:
    lines = (line("a", start, end),)
    assert list(lyrics._cues(timeline([60], lines=lines))) == [(*span, "a") for span in spans]


@pytest.mark.parametrize(
    ("starts", "end"), [((0, 2148), 2152), ((2160, 2200), 5000), ((0, 3, 36_000), 36_725), ((9000.25,), 9003)]
)
def test_words_stand_on_their_times_in_a_film_of_any_length(
    starts: tuple[float, ...], end: float, tmp_path: Path
) -> None:
    """At a frame in 20 seconds: the length is what matters."""
    ends = (*starts[1:], end)
    lines = tuple(line(f"line {number}", *span) for number, span in enumerate(zip(starts, ends, strict=True)))
    rate, count = 1, 100
    clip = encoded(tmp_path / "clip.mp4", greys(count), frames_per_second=rate)
    copies = -(-round(end) // count)
    facts = timeline([count] * copies, lines=lines, frames_per_second=rate)
    film.join(facts, [clip] * copies, tmp_path / "film.mp4", FFMPEG)
    shown = [cue for cue in films.cues(tmp_path / "film.mp4") if cue.text != lyrics.WORD_JOINER]
    for sung in lines:
        cues = [cue for cue in shown if cue.text == sung.text]
        assert cues[0].start_seconds == pytest.approx(sung.start_seconds, abs=0.001)
        assert cues[-1].end_seconds == pytest.approx(sung.end_seconds, abs=0.001)
    found = [chapter for chapter in films.chapters(tmp_path / "film.mp4") if chapter.text != "A title"]
    assert [chapter.start_seconds for chapter in found] == pytest.approx(starts, abs=0.001)
    assert times(tmp_path / "film.mp4")[-1] == copies * count - 1


@pytest.mark.parametrize(
    ("seconds", "timestamp"),
    [
        (0, "00:00:00,000"),
        (0.0004, "00:00:00,000"),
        (1.2345, "00:00:01,234"),
        (59.9996, "00:01:00,000"),
        (3599.9999, "01:00:00,000"),
        (7322.05, "02:02:02,050"),
        (360_000, "100:00:00,000"),
    ],
)
def test_times_are_written_as_subrip_wants_them(seconds: float, timestamp: str) -> None:
    assert lyrics._timestamp(seconds) == timestamp


def test_an_ffmpeg_in_the_current_folder_may_be_named_without_a_slash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cards.ffmpeg(tmp_path)
    assert film.working("ffmpeg-with-a-card") == str(tmp_path / "ffmpeg-with-a-card")


def test_the_ffmpeg_of_the_config_is_taken_or_the_one_that_came_along() -> None:
    assert film.executable("/usr/bin/ffmpeg") == "/usr/bin/ffmpeg"
    assert Path(film.executable("")).is_file()
