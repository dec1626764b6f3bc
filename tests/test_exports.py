"""What is written for other programs: lyrics, drafts, chapters, an editor's timeline."""

from __future__ import annotations

import json
import re
import wave
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import opentimelineio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from songreel import film_commands
from songreel.cli import main
from songreel.drawing import lyrics
from songreel.exports import chapters, film_text
from songreel.ground.errors import UserError
from songreel.ground.paths import Paths
from songreel.models import weights
from songreel.planning import plan, screenplay
from songreel.planning.config import resolve
from songreel.planning.lines import Line
from songreel.planning.lyric_files import plain
from tests import films
from tests.lyrics_by_lot import SAMPLES

LRC = """[ti:River]
[ar:Somebody]
[00:00.00]Down by the river
[00:12.00]<00:12.00>where <00:13.00>the <00:14.50>willows<00:20.00>
[00:30.00]And the water runs
"""
CSV = "Down by the river,0\nwhere the willows,12\nAnd the water runs,30\n"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a song in two kinds of file, in which the test runs; its weights are not hashed."""
    monkeypatch.setattr(weights, "_check_file", lambda file: None)
    monkeypatch.chdir(tmp_path)
    for name, text in (("river.lrc", LRC), ("river.csv", CSV), ("words.txt", SAMPLES["words.txt"])):
        Path(name).write_text(text, encoding="utf-8")
    Path("config.yaml").write_text("screenplay: river.lrc\naudio: none\ntail: 15\n", encoding="utf-8")
    return tmp_path


def songreel(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """The exit status of a command, and what it printed."""
    status = main(arguments)
    captured = capsys.readouterr()
    return status, captured.out + captured.err


def planned(name: str) -> plan.Plan:
    return plan.make(resolve({"screenplay": name, "audio": "none", "tail": 15}), Paths())


def test_the_same_lines_have_the_same_ids_whatever_file_they_are_in() -> None:
    ours, theirs = planned("river.lrc"), planned("river.csv")
    assert ours.segments == theirs.segments
    assert ours.clips == theirs.clips
    assert [replace(line, words_end_seconds=None) for line in ours.timeline.lines] == [*theirs.timeline.lines]
    assert (ours.timeline.title, ours.timeline.artist) == ("River", "Somebody")
    assert (theirs.timeline.title, theirs.timeline.artist) == ("river", "")


def test_what_the_config_names_wins_over_the_tags_of_a_file() -> None:
    made = plan.make(
        resolve({"screenplay": "river.lrc", "audio": "none", "title": "A", "artist": "B"}), Paths()
    )
    assert (made.timeline.title, made.timeline.artist) == ("A", "B")


def test_a_csv_and_an_lrc_of_one_name_keep_two_films() -> None:
    folders = []
    for name in ("river.csv", "river.lrc", "river.csv"):
        made = planned(name)
        plan.write(made, Paths())
        folders.append(made.song)
    assert folders[0] == folders[2] == "river"
    assert folders[1].startswith("river-")


def test_an_offset_moves_words_with_their_line() -> None:
    made = plan.make(resolve({"screenplay": "river.lrc", "audio": "none", "tail": 5, "offset": -2}), Paths())
    line = made.shots[1].line
    assert (line.start_seconds, line.end_seconds) == (10.0, 18.0)
    assert [word.start_seconds for word in line.words] == [10.0, 11.0, 12.5]


def test_words_that_end_before_their_picture_end_in_the_subtitles_alone() -> None:
    made = planned("river.lrc")
    assert [line.words_end_seconds for line in made.timeline.lines] == [None, 20.0, None]
    cues = lyrics.subtitles(made.timeline).split("\n\n")
    assert cues[1] == "2\n00:00:12,000 --> 00:00:20,000\nwhere the willows"
    assert "START=12000\nEND=30000" in lyrics.metadata(made.timeline)


@pytest.mark.parametrize(("offset", "cues"), [(-21, 1), (-13, 2), (-12, 2), (0, 3)])
def test_words_that_an_offset_puts_before_the_film_are_not_shown(offset: float, cues: int) -> None:
    made = plan.make(
        resolve({"screenplay": "river.lrc", "audio": "none", "tail": 5, "offset": offset}), Paths()
    )
    assert lyrics.subtitles(made.timeline).count(" --> ") == cues == len(film_text.lyrics(made).lines)


def test_screenplays_are_found_by_what_they_are() -> None:
    Path(".river.csv").write_text(CSV)
    Path("notes.txt").write_text("Remember the milk\n")
    Path("labels.txt").write_text(SAMPLES["labels.txt"])
    Path("package.json").write_text("{}")
    names = [path.name for path in screenplay.screenplays(Path())]
    assert names == ["labels.txt", "river.csv", "river.lrc"]


# convert


def test_lyrics_are_converted_by_the_ending_of_the_target(capsys: pytest.CaptureFixture[str]) -> None:
    assert songreel("convert", "river.lrc", "new.csv", capsys=capsys) == (
        0,
        "new.csv holds 3 lines, the first at 00:00.00 and the last at 00:30.00.\n"
        "songreel: new.csv: the format has no place for the times of words, which are not in it.\n",
    )
    assert Path("new.csv").read_text() == (
        'text,start,end\n"Down by the river",0\n"where the willows",12,20\n"And the water runs",30\n'
    )
    assert list(planned("new.csv").clips) == list(planned("river.csv").clips)


def test_a_screenplay_has_names_for_its_columns_only_where_lines_have_ends(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("takes.csv").write_text("text,start,end,take,prompt\na,0,1.5,,\nb,2,,3,\nc,4,,,fog\n")
    for source, expected in (
        ("takes.csv", 'text,start,end,take\n"a",0,1.5\n"b",2,,3\n"c",4\n'),
        ("river.csv", '"Down by the river",0\n"where the willows",12\n"And the water runs",30\n'),
    ):
        status, told = songreel("convert", source, f"new-{source}", capsys=capsys)
        assert (status, Path(f"new-{source}").read_text()) == (0, expected)
        assert ("no place for what steers lines beside their words" in told) == (
            "prompt" in Path(source).read_text()
        )


@pytest.mark.parametrize("kind", ["srt", "vtt", "ass", "ttml", "sbv", "lrc"])
def test_where_lines_end_goes_through_a_screenplay_and_back(
    kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made = [("convert", "river.lrc", f"first.{kind}"), ("convert", f"first.{kind}", "way.csv")]
    for arguments in (*made, ("convert", "way.csv", f"second.{kind}")):
        assert songreel(*arguments, capsys=capsys)[0] == 0
    first, second = (screenplay.read(Path(f"{name}.{kind}")) for name in ("first", "second"))
    assert [line.end_seconds for line in first][1] == 20
    assert [(line.text, line.start_seconds, line.end_seconds) for line in first] == [
        (line.text, line.start_seconds, line.end_seconds) for line in second
    ]


def test_a_target_is_never_overwritten_unasked(capsys: pytest.CaptureFixture[str]) -> None:
    before = Path("river.csv").read_bytes()
    status, told = songreel("convert", "river.lrc", "river.csv", capsys=capsys)
    assert status == 1
    assert told.strip().endswith("expected none; name another, or say --force to replace it.")
    assert Path("river.csv").read_bytes() == before
    assert songreel("convert", "river.lrc", "river.csv", "--force", capsys=capsys)[0] == 0
    assert Path("river.csv").read_bytes() != before


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        ("river.lrc", "river.lrc", "found the file that is to be read, expected another"),
        ("river.lrc", "river.mp3", "found the ending '.mp3', expected one of .csv, .lrc, .srt"),
        ("gone.lrc", "new.csv", "gone.lrc: found no such file, expected a screenplay"),
        ("words.txt", "new.srt", "expected a .csv for their draft, which is to be edited"),
        ("words.txt", "new.csv", "found words without times, and no song of its name beside it"),
    ],
)
def test_what_cannot_be_converted_is_said(
    source: str, target: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, told = songreel("convert", source, target, "--force", capsys=capsys)
    assert status == 1
    assert said in told
    assert len(told.splitlines()) == 1
    assert not list(Path().glob("new.*"))


# A draft of words without times

BEATS = (2.0, 5.0, 9.5, 14.0)  # seconds at which something is heard


def write_song(path: Path, seconds: float, beats: Sequence[float]) -> None:
    """A hum, from 1 s on, with a stroke on each beat."""
    rate = 16_000
    time = np.arange(int(seconds * rate)) / rate
    sound = 0.05 * np.sin(2 * np.pi * 110 * time) * (time > 1)
    for beat in beats:
        since = time - beat
        stroke = (since >= 0) * np.exp(-8 * np.clip(since, 0, None))
        sound += 0.6 * stroke * np.sin(2 * np.pi * 660 * since)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes((np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes())


def test_a_draft_is_spread_over_the_song_and_says_that_it_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    write_song(Path("words.wav"), 20, BEATS)
    status, told = songreel("convert", "words.txt", "words.csv", capsys=capsys)
    assert status == 0
    assert "a draft: its times are guessed from syllables and sound; correct them by ear." in told
    assert Path("words.csv").read_text().startswith("# A draft: ")
    lines = screenplay.read(Path("words.csv"))
    assert [line.text for line in lines] == [
        "Down by the river",
        "where the willows grow",
        "And the water runs",
    ]
    assert all(1 <= line.start_seconds < 20 for line in lines)
    assert abs(lines[0].start_seconds - 2.0) < 0.05  # near enough to the first beat to be moved to it


def test_a_draft_needs_a_song_that_can_be_heard(capsys: pytest.CaptureFixture[str]) -> None:
    for seconds, said in ((0.01, "found 0.01 s of sound"), (5, "found silence")):
        write_song(Path("silent.wav"), seconds, ())
        if said == "found silence":
            with wave.open("silent.wav", "wb") as file:
                file.setparams((1, 2, 8000, 0, "NONE", ""))
                file.writeframes(bytes(80_000))
        status, told = songreel("convert", "words.txt", "new.csv", "--audio", "silent.wav", capsys=capsys)
        assert status == 1
        assert said in told


SYLLABLES = {
    "river": 2,
    "the": 1,
    "willows": 2,
    "time": 1,
    "beautiful": 3,
    "\u00e9l\u00e8ve": 2,
    "\u305f\u3060\u3044\u307e": 4,
    "\u0437\u0434\u0440\u0430\u0432\u0441\u0442\u0432\u0443\u0439": 2,
    "hmm": 1,
    "\u2026": 1,
}


@pytest.mark.parametrize(("word", "count"), SYLLABLES.items())
def test_syllables_are_counted_about(word: str, count: int) -> None:
    assert plain.syllables(word) == count


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=6),
    st.floats(0, 30),
    st.floats(5, 300),
    st.lists(st.tuples(st.floats(0, 330), st.floats(0, 9)), max_size=60),
)
def test_a_drafts_lines_rise_and_stay_in_their_span(
    verses: list[int], begin: float, length: float, onsets: list[tuple[float, float]]
) -> None:
    text = "\n\n".join("\n".join(["la la la"] * lines) for lines in verses)
    lines = plain.spread(plain.verses(text), begin, begin + length)
    starts = [line.start_seconds for line in plain.snapped(lines, onsets, 0.75)]
    assert starts == sorted(set(starts))
    assert begin - 0.8 <= starts[0] and starts[-1] < begin + length + 0.8


# export


def test_all_formats_of_export_are_those_of_its_help() -> None:
    assert film_text.FORMATS == film_commands.EXPORTS


def test_lyrics_of_the_film_are_exported(capsys: pytest.CaptureFixture[str]) -> None:
    assert songreel("export", "srt", capsys=capsys) == (
        0,
        "results/river/river.srt is written.\n"
        "songreel: results/river/river.srt: the format has no place for the times of words, which are not in"
        " it.\n",
    )
    assert Path("results/river/river.srt").read_text() == (
        "1\n00:00:00,000 --> 00:00:12,000\nDown by the river\n\n"
        "2\n00:00:12,000 --> 00:00:20,000\nwhere the willows\n\n"
        "3\n00:00:30,000 --> 00:00:45,000\nAnd the water runs\n"
    )


def test_an_exported_lrc_is_the_song_again(capsys: pytest.CaptureFixture[str]) -> None:
    status, _ = songreel("export", "lrc", "--output", "again.lrc", capsys=capsys)
    assert status == 0
    again = screenplay.read_song(Path("again.lrc"))
    before = screenplay.read_song(Path("river.lrc"))
    assert (again.title, again.artist) == ("River", "Somebody")
    assert [(line.text, line.start_seconds, line.end_seconds, line.words) for line in again.lines] == [
        (line.text, line.start_seconds, line.end_seconds, line.words) for line in before.lines
    ]


@pytest.mark.parametrize("kind", ["srt", "vtt", "ass"])
def test_what_is_exported_is_read_by_other_programs(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert songreel("export", kind, "--output", f"again.{kind}", capsys=capsys)[0] == 0
    read = films.ffmpeg("-i", f"again.{kind}", "-c:s", "srt", "-f", "srt", "-").decode()
    texts = re.sub(r"<[^>]*>|\{[^}]*\}", "", read)  # what ffmpeg writes of styles
    assert texts.strip() == (
        "1\n00:00:00,000 --> 00:00:12,000\nDown by the river\n\n"
        "2\n00:00:12,000 --> 00:00:20,000\nwhere the willows\n\n"
        "3\n00:00:30,000 --> 00:00:45,000\nAnd the water runs"
    )


@pytest.mark.parametrize("kind", ["vtt", "ass", "ttml"])
def test_times_of_words_are_exported(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert songreel("export", kind, "--output", f"again.{kind}", capsys=capsys)[0] == 0
    line = screenplay.read(Path(f"again.{kind}"))[1]
    assert line.words == screenplay.read(Path("river.lrc"))[1].words


def test_an_export_is_never_overwritten_unasked(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.srt").write_text("mine")
    status, told = songreel("export", "srt", "--output", "mine.srt", capsys=capsys)
    assert (status, Path("mine.srt").read_text()) == (1, "mine")
    assert "say --force to replace it" in told


def test_chapters_are_exported_as_a_video_site_takes_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert songreel("export", "chapters", capsys=capsys)[0] == 0
    assert Path("results/river/chapters.txt").read_text() == (
        "0:00 Down by the river\n0:12 where the willows\n0:30 And the water runs\n"
    )


def test_a_film_too_short_for_chapters_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    status, told = songreel("export", "chapters", "--config", "tail=9", capsys=capsys)
    assert status == 1
    assert "found 2 chapters of 10 s or longer in 39.0 s, expected 3 or more" in told
    assert len(told.splitlines()) == 1
    assert not Path("results/river/chapters.txt").exists()


def seconds(time: str) -> int:
    total = 0
    for part in time.split(":"):
        total = 60 * total + int(part)
    return total


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 8000), min_size=1, max_size=60, unique=True), st.floats(0.1, 30))
def test_chapters_are_as_a_video_site_wants_them(starts: list[float], tail: float) -> None:
    lines = [Line("<a>  b\nc" * 30, start, row) for row, start in enumerate(sorted(starts), 1)]
    end = lines[-1].start_seconds + tail
    try:
        text = chapters.chapters(lines, "title", end, "film.mp4")
    except UserError:
        return
    rows = [row.split(" ", 1) for row in text.splitlines()]
    times = [seconds(time) for time, _ in rows]
    assert rows[0][0] == "0:00"
    assert len(rows) >= 3
    assert all(after - before >= 10 for before, after in zip(times, [*times[1:], end], strict=True))
    assert all(0 < len(title) <= 100 and not set(title) & set("<>") for _, title in rows)


def test_an_editors_timeline_has_the_clips_in_order_and_the_song(capsys: pytest.CaptureFixture[str]) -> None:
    write_song(Path("river.wav"), 45, BEATS)
    status, told = songreel("export", "otio", "--config", "audio=auto", capsys=capsys)
    assert status == 0
    assert "3 of its 3 clips are not rendered yet" in told
    made = plan.make(resolve({"screenplay": "river.lrc", "tail": 15}), Paths())
    timeline = opentimelineio.adapters.read_from_file("results/river/river.otio")
    pictures, song = timeline.tracks
    assert [clip.media_reference.target_url for clip in pictures] == [
        Paths().clip(entry.clip).absolute().as_uri() for entry in made.timeline.clips
    ]
    assert [clip.name for clip in pictures] == [line.text for line in made.timeline.lines]
    frames = [clip.source_range.duration.value for clip in pictures]
    assert frames == [entry.frames for entry in made.timeline.clips]
    assert [clip.media_reference.target_url for clip in song] == [Path("river.wav").absolute().as_uri()]
    assert pictures.duration() == song.duration()
    assert json.loads(Path("results/river/river.otio").read_text())["OTIO_SCHEMA"] == "Timeline.1"
