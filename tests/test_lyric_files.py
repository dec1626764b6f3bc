"""Which files of lyrics are read, as what, and what is said where they are odd."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from songreel.ground.errors import UserError
from songreel.planning import screenplay
from songreel.planning.lines import Line, Word
from songreel.planning.lyric_files import reading, writing
from songreel.planning.lyric_files.song import JOINER, Song, one_line
from tests import lyrics_by_lot
from tests.lyrics_by_lot import SAMPLES

QUICK = 25  # damaged files of each format; `python -m tests.lyrics_by_lot 1000` reads more


def read(name: str, text: str, folder: Path) -> tuple[Song, list[str]]:
    path, notes = folder / name, list[str]()
    path.write_text(text, encoding="utf-8", newline="")
    song = screenplay.read_song(path, notes.append)
    return song, [note.removeprefix(f"{path}: ") for note in notes]


def lines(name: str, text: str, folder: Path) -> list[tuple[str, float, float | None]]:
    song, _ = read(name, text, folder)
    return [(line.text, line.start_seconds, line.end_seconds) for line in song.lines]


def message(name: str, text: str, folder: Path) -> str:
    with pytest.raises(UserError) as raised:
        read(name, text, folder)
    return str(raised.value).replace(f"{folder}/", "")


RIVER = [("Down by the river", 1.0, 3.5), ("where the willows grow", 4.0, 6.0)]
EXPECTED = {
    "lrc": [
        ("Sung twice", 12.25, None),
        ("Some words", 17.45, 18.55),
        ("a [bracket] in a text", 21.35, 25.25),
        ("Sung twice", 75.25, None),
    ],
    "srt": [*RIVER, ("1999", 7.25, 9.0)],
    "vtt": [("Down by <the> river", 1.0, 3.5), RIVER[1]],
    "sbv": RIVER,
    "ass": [("Down by, the river", 1.0, 3.5), ("where the willows", 4.0, 6.0)],
    "ttml": [("Down by the & river", 11.0, 13.5), ("where the willows", 14.2, 16.2)],
    "smi": [RIVER[0], (RIVER[1][0], 4.0, None)],
    "json": [("Down by, the river", 1.0, 3.5), RIVER[1]],
    "spotify.json": [RIVER[0], (RIVER[1][0], 4.0, None)],
    "labels.txt": [RIVER[0], (RIVER[1][0], 4.0, None)],
}


@pytest.mark.parametrize(("name", "expected"), EXPECTED.items(), ids=EXPECTED)
def test_each_kind_of_file_gives_its_lines(
    name: str, expected: list[tuple[str, float, float | None]], tmp_path: Path
) -> None:
    assert lines(f"song.{name}", SAMPLES[name], tmp_path) == expected


WORDS = {
    "lrc": (1, [Word("Some ", 17.45), Word("words", 18.05)]),
    "vtt": (1, [Word("where ", 4.0), Word("the willows ", 4.5), Word("grow", 5.25)]),
    "ass": (1, [Word("where ", 4.0), Word("the wil", 4.5), Word("lows", 5.25, 5.5)]),
    "ttml": (1, [Word("where ", 14.2, 14.7), Word("the willows", 15.2)]),
    "json": (0, [Word("Down ", 1.0, 1.25), Word("by, the ", 1.5, 2.0), Word("river", 2.5)]),
}


@pytest.mark.parametrize(("name", "at", "words"), [(name, *rest) for name, rest in WORDS.items()], ids=WORDS)
def test_times_of_words_are_kept(name: str, at: int, words: list[Word], tmp_path: Path) -> None:
    song, _ = read(f"song.{name}", SAMPLES[name], tmp_path)
    assert song.lines[at].words == tuple(words)


@pytest.mark.parametrize("ending", [".LRC", ".elrc"])
def test_lrc_names_its_song(ending: str, tmp_path: Path) -> None:
    song, notes = read(f"song{ending}", SAMPLES["lrc"], tmp_path)
    assert (song.title, song.artist) == ("A song", "Somebody")
    assert notes == ["by its offset of -250, all lines start 0.25 s later."]


TIMES = {
    "[00:01]x": 1.0,
    "[0:1.5]x": 1.5,
    "[ 00:01.25 ] x": 1.25,
    "[00:01,250]x": 1.25,
    "[75:59.999]x": 4559.999,
    "[00:01:25]x": 1.25,
    "[01:02:03.5]x": 3723.5,
}


@pytest.mark.parametrize(("row", "seconds"), TIMES.items())
def test_a_time_of_lrc_is_read_as_players_do(row: str, seconds: float, tmp_path: Path) -> None:
    assert lines("song.lrc", row, tmp_path) == [("x", seconds, None)]


def test_a_line_of_lrc_that_is_sung_again_has_its_words_again(tmp_path: Path) -> None:
    song, notes = read("song.lrc", "[00:01.00][00:11.00]<00:01.00>one <00:01.50>two<00:02.00>", tmp_path)
    assert [line.words for line in song.lines] == [
        (Word("one ", 1.0), Word("two", 1.5)),
        (Word("one ", 11.0), Word("two", 11.5)),
    ]
    assert [line.end_seconds for line in song.lines] == [2.0, 12.0]
    assert not notes


JSON = {
    "whisper.cpp": '{"transcription": [{"offsets": {"from": 1000, "to": 3500}, "text": " a"}]}',
    "transformers": '{"chunks": [{"timestamp": [1.0, 3.5], "text": " a"}]}',
    "WhisperX": '{"segments": [{"start": 1.0, "end": 3.5, "text": "a", "words": [{"word": "a"}]}]}',
    "Spotify's of once": '{"lines": [{"startTimeMs": 1000, "words": [{"string": "a"}]}]}',
    "Musixmatch": '{"body": {"subtitle_body": "[{\\"text\\": \\"a\\", \\"time\\": {\\"total\\": 1.0}}]"}}',
    "Musixmatch's words": '[{"ts": 1.0, "te": 3.5, "l": [{"c": "a", "o": 0}], "x": "a"}]',
    "LRCLIB": '{"id": 1, "plainLyrics": "a", "syncedLyrics": "[00:01.00] a"}',
}


@pytest.mark.parametrize("text", JSON.values(), ids=JSON)
def test_json_is_known_by_its_rows(text: str, tmp_path: Path) -> None:
    (line,) = lines("song.json", text, tmp_path)
    assert line[:2] == ("a", 1.0)
    assert line[2] in (None, 3.5)


APPLES = """<tt xmlns="http://www.w3.org/ns/ttml" xmlns:ttm="http://www.w3.org/ns/ttml#metadata"%s>
<body dur="1:03.000"><div begin="10.000" end="20.000">
<p begin="10.200" end="13.400"><span begin="10.200" end="11.000">an</span><span
begin="11.000" end="12.000">gels</span> <span
ttm:role="x-bg"><span begin="11.500" end="12.500">(ooh)</span></span><span
 ttm:role="x-translation">x</span></p>
<p begin="1:01.000" end="1:02.500">sing</p></div></body></tt>"""


@pytest.mark.parametrize("timing", ["", ' xmlns:itunes="http://music.apple.com/x" itunes:timing="Word"'])
def test_times_of_ttml_are_the_songs_where_they_can_be_nothing_else(timing: str, tmp_path: Path) -> None:
    song, notes = read("song.ttml", APPLES % timing, tmp_path)
    assert [(line.text, line.start_seconds, line.end_seconds) for line in song.lines] == [
        ("angels (ooh)", 10.2, 13.4),
        ("sing", 61.0, 62.5),
    ]
    assert song.lines[0].words == (Word("an", 10.2), Word("gels (ooh)", 11.0, 12.0))
    assert not notes


ODD = {
    "times_that_go_back": (
        "5 --> 6\nb\n\n1 --> 2\na\n",
        [("a", 1.0, 2.0), ("b", 5.0, 6.0)],
        ["row 4: starts before a line above it; lines are taken by their times."],
    ),
    "an_overlap": (
        "1 --> 4\na\n\n3 --> 5\nb\n",
        [("a", 1.0, None), ("b", 3.0, 5.0)],
        ["row 1: goes on while the next one starts; it ends there."],
    ),
    "no_length": (
        "1 --> 1\na\n\n3 --> 2\nb\n",
        [("a", 1.0, None), ("b", 3.0, None)],
        [
            "row 1: has no length; it lasts until the next one starts.",
            "row 4: ends before it starts; it lasts until the next one starts.",
        ],
    ),
    "two_at_a_time": (
        "1 --> 2\na\n\n1 --> 2\nb\n\n1 --> 2\na\n\n3 --> 4\nc\n",
        [("a / b", 1.0, 2.0), ("c", 3.0, 4.0)],
        [
            "row 4: starts together with another; both are one line, with ' / ' between.",
            "row 7: says what another row says at the same time; it is taken once.",
        ],
    ),
    "no_words": (
        "1 --> 2\na\n\n3 --> 4\n\n5 --> 6\n \u2060\n",
        [("a", 1.0, 2.0)],
        ["rows 4, 6: has a time and no words; it is left out."],
    ),
}


@pytest.mark.parametrize(("text", "expected", "told"), ODD.values(), ids=ODD)
def test_what_is_odd_is_mended_and_told_by_row(
    text: str, expected: list[tuple[str, float, float | None]], told: list[str], tmp_path: Path
) -> None:
    subrip = re.sub(r"(\d) --> (\d)", r"00:00:0\1,000 --> 00:00:0\2,000", text)
    song, notes = read("song.srt", subrip, tmp_path)
    assert [(line.text, line.start_seconds, line.end_seconds) for line in song.lines] == expected
    assert notes == told


def test_a_song_begins_with_the_line_that_is_being_sung(tmp_path: Path) -> None:
    song, notes = read("song.lrc", "[offset:2000]\n[00:00.50]a\n[00:01.00]b\n[00:03.00]c", tmp_path)
    assert [(line.text, line.start_seconds) for line in song.lines] == [("b", 0.0), ("c", 1.0)]
    assert notes[1:] == [
        "row 3: starts before the song; it starts at 0.",
        "row 2: is over before the song begins; it is left out.",
    ]


def test_lines_before_the_song_are_left_out_where_another_begins_it(tmp_path: Path) -> None:
    song, notes = read("song.lrc", "[offset:1000]\n[00:00.50]a\n[00:01.00]b", tmp_path)
    assert [(line.text, line.start_seconds) for line in song.lines] == [("b", 0.0)]
    assert notes[1:] == ["row 2: is over before the song begins; it is left out."]


def test_words_out_of_their_line_are_not_used(tmp_path: Path) -> None:
    song, notes = read("song.lrc", "[00:01.00]<00:01.00>a <00:09.00>b\n[00:03.00]c", tmp_path)
    assert song.lines[0] == Line("a b", 1.0, 1)
    assert notes == ["row 1: has times of words that are not within it; they are not used."]


EVENT = "0,0:00:0%d.00,0:00:0%d.00,Default,,0,0,0,%s,%s"


def test_of_karaoke_effects_the_lines_that_they_were_made_from_are_read(tmp_path: Path) -> None:
    events = [
        "Comment: " + EVENT % (1, 3, "karaoke", "{\\k50}Down {\\k150}by"),
        "Comment: " + EVENT % (0, 0, "template syl", "{\\pos($x,$y)}"),
        *("Dialogue: " + EVENT % (1, 2, "fx", word) for word in ("Down", "by")),
    ]
    song, _ = read("song.ass", "\n".join(["[V4+ Styles]", "[Events]", *events]), tmp_path)
    assert [(line.text, line.row) for line in song.lines] == [("Down by", 3)]


def test_what_is_damaged_in_ass_spoils_nothing_else(tmp_path: Path) -> None:
    rows = [
        "[V4+ Styles]",
        "Style: a,b,c",
        "Dialogue: 0,soon",
        "Dialogue: " + EVENT % (1, 2, "", "{\\p1}m 0 0 l 9 9"),
    ]
    rows.append("Dialogue: " + EVENT % (3, 4, "", "sung"))
    song, notes = read("song.ass", "\n".join(rows), tmp_path)
    assert [(line.text, line.row) for line in song.lines] == [("sung", 5)]
    assert notes == ["row 3: is no event that can be read; it is left out."]


def test_a_row_without_a_time_is_told(tmp_path: Path) -> None:
    _, notes = read("song.lrc", "Somebody wrote:\n\n[00:01.00]a\nand this", tmp_path)
    assert notes == ["rows 1, 4: has no time; it is left out."]


REFUSED = {
    "billion_laughs": (
        "song.ttml",
        '<!DOCTYPE a [<!ENTITY b "xx">]>\n<tt>&b;</tt>',
        "song.ttml row 1: found a document type, which may declare entities, expected lyrics as TTML;"
        " write the file anew, or as CSV",
    ),
    "deep_xml": ("song.xml", "<tt>" * 100, "song.xml row 1: found more than 64 elements in each other"),
    "other_xml": (
        "song.xml",
        "<svg/>",
        "song.xml row 1: found XML of the kind 'svg', expected lyrics as TTML",
    ),
    "odd_time": (
        "song.ttml",
        '<tt><body>\n<p begin="soon">a</p></body></tt>',
        "song.ttml row 2: found the time 'soon'",
    ),
    "deep_json": ("song.json", "[" * 100_000, "song.json: found values in values in values, without end"),
    "other_json": ("song.json", '{"a": [1, 2]}', "song.json: found JSON without lines that have times"),
    "no_times": (
        "song.json",
        json.dumps([{"startTimeMs": "0", "words": f"a{at}"} for at in range(3)]),
        "song.json: found that all 3 lines start at 0.0 s, expected each at its own time;"
        " save the words alone as .txt, and have songreel convert spread them over the song",
    ),
    "nothing": ("song.srt", "", "song.srt: found no line of SubRip with a time, expected at least one;"),
    "plain": (
        "a song.txt",
        SAMPLES["words.txt"],
        "a song.txt: found words without times, expected a start for each line; make a draft to edit:",
    ),
}


@pytest.mark.parametrize(("name", "text", "told"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_read_is_refused_in_a_sentence(
    name: str, text: str, told: str, tmp_path: Path
) -> None:
    assert message(name, text, tmp_path).startswith(told)


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "song.lrc"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(UserError, match="found more than 8 MiB, expected a screenplay"):
        screenplay.read(path)


@pytest.mark.parametrize("name", ["lrc", "srt", "vtt"])
def test_a_file_of_text_is_known_by_its_rows(name: str, tmp_path: Path) -> None:
    assert read("song.txt", SAMPLES[name], tmp_path)[0] == read(f"song.{name}", SAMPLES[name], tmp_path)[0]


def test_csv_is_csv_whatever_its_name(tmp_path: Path) -> None:
    assert lines("song.txt", "a,1\nb,2\n", tmp_path) == [("a", 1.0, None), ("b", 2.0, None)]
    assert message("song.txt", "a,1\nb\n", tmp_path).startswith("song.txt row 2: found no comma after 'b'")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_lyrics_are_read_in_the_encodings_of_screenplays(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "song.lrc"
    path.write_bytes("[00:01.00]r\u00e9v\u00e9r\u00e9\r\n[00:02.00]b".encode(encoding))
    assert [line.text for line in screenplay.read(path)] == ["r\u00e9v\u00e9r\u00e9", "b"]


@pytest.mark.parametrize("name", SAMPLES)
def test_a_damaged_file_gives_lines_or_one_sentence(name: str, tmp_path: Path) -> None:
    told = list(lyrics_by_lot.by_lot(name, QUICK, 1, tmp_path))
    assert len(told) == QUICK


# What is written is read again

MARKUP = [
    "<i>",
    "</b>",
    "{\\an8}",
    "{\\k5}",
    "\\N",
    "{y:i}",
    "[00:01.00]",
    "<00:00:01.000>",
    "-->",
    "&amp;",
    "[x:y]",
]
MARKUP += [
    "00:00:01,000 --> 00:00:02,000",
    "{",
    "}",
    "\\",
    "<",
    "[",
    "-",
    "&",
    " ",
    "1999",
    '"',
    "#",
    ",",
    ";",
]
letters = st.characters(exclude_categories=["C", "Z", "M"], exclude_characters=JOINER)
texts = (
    st.lists(st.sampled_from(MARKUP) | st.text(letters, min_size=1, max_size=4), min_size=1, max_size=6)
    .map(lambda parts: one_line("".join(parts)))
    .filter(bool)
)


@st.composite
def songs(draw: st.DrawFn, unit: int) -> Song:
    """A song of which all times are multiples of so many milliseconds."""
    bounds = draw(st.lists(st.integers(0, 400_000), min_size=6, max_size=40, unique=True))
    at = [unit * bound / 1000 for bound in sorted(bounds)]
    made = []
    for start, *inner, end in zip(*(at[offset::6] for offset in range(6)), strict=False):
        words = draw(st.lists(texts, min_size=1, max_size=3))
        pauses = draw(st.lists(st.booleans(), min_size=3, max_size=3))
        timed = tuple(
            Word(
                f"{word} " if number < len(words) - 1 else word,
                start if number == 0 else inner[number],
                None
                if not pause
                else round(((start if number == 0 else inner[number]) + [*inner, end][number + 1]) / 2, 3),
            )
            for number, (word, pause) in enumerate(zip(words, pauses, strict=False))
        )
        says_nothing = len(timed) == 1 and timed[0].end_seconds is None
        sung = timed if draw(st.booleans()) and not says_nothing else ()
        made.append(Line(" ".join(words), start, 0, end_seconds=end, words=sung))
    return Song(made, draw(texts), draw(texts))


def same(song: Song, words: bool = True) -> list[object]:
    return [
        (line.text, line.start_seconds, line.end_seconds, line.words if words else ()) for line in song.lines
    ]


@pytest.mark.parametrize("ending", [".lrc", ".srt", ".vtt", ".ttml", ".ass"])
def test_what_is_written_is_read_as_it_was(ending: str, tmp_path: Path) -> None:
    @settings(max_examples=60, deadline=None, database=None)
    @given(songs(20))
    def round_trip(song: Song) -> None:
        text = writing.FORMATS[ending](song)
        back = reading.read(text, Path(f"song{ending}"), lambda _: None)
        assert same(back) == same(song, ending in writing.TIMES_OF_WORDS)
        if ending == ".lrc":
            assert (back.title, back.artist) == (song.title, song.artist)

    round_trip()


@settings(max_examples=60, deadline=None, database=None)
@given(songs(1))
def test_a_screenplay_that_is_written_is_read_as_it_was(song: Song) -> None:
    rows = screenplay._rows(writing.csv(song, "a draft"), Path("song.csv"), lambda _: None)
    assert [(row.text, row.start_seconds, row.end_seconds) for row in rows] == [
        (line.text, line.start_seconds, line.end_seconds) for line in song.lines
    ]
