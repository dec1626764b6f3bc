"""What the plan promises of words on the picture: which clips have which, and what an edit draws anew."""

from __future__ import annotations

import csv
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from songreel import data
from songreel.ground.errors import UserError
from songreel.ground.files import sha256
from songreel.ground.lettering import Lettering, Sung
from songreel.ground.paths import Paths
from songreel.models import weights
from songreel.planning import colours, karaoke, lettering, plan, screenplay, timeline, typefaces
from songreel.planning.config import resolve
from songreel.planning.lines import Line, Word
from songreel.planning.plan import Plan
from songreel.upkeep import prune, running
from tests.conftest import REPOSITORY, Project
from tests.films import chapters, described
from tests.typefaces import font

Rows = Sequence[tuple[str, float]]
SONG: Rows = [("one", 0.5), ("two and two", 2), ("three", 4), ("four", 6)]
SETTINGS = {"audio": "none", "size": "64x64", "frames_per_second": 10, "transition": 0.5, "tail": 2}
STAR = "\u661f"


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder of our own, weights that nobody hashes, and a machine without fonts."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(weights, "_check_file", lambda found: None)
    with_fonts(monkeypatch)
    yield
    typefaces.standing_in.cache_clear()


def with_fonts(monkeypatch: pytest.MonkeyPatch, *files: Path) -> None:
    """A machine with these fonts, by its folders."""
    typefaces.standing_in.cache_clear()
    typefaces._read.cache_clear()
    found = tuple(
        typefaces._Found(path, 0, read.font.families, read.font.letters)
        for path in files
        if (read := typefaces._read(path, 0))
    )
    monkeypatch.setattr(typefaces, "_machines", lambda language: found)
    monkeypatch.setattr(typefaces, "_fontconfig", lambda *_: [])


def planned(rows: Rows = SONG, **keys: Any) -> Plan:
    with Path("song.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return plan.make(resolve({**SETTINGS, "lyrics": "burned", **keys, "screenplay": "song.csv"}), Paths())


def clips(made: Plan) -> list[str]:
    return [entry.clip for entry in made.timeline.clips]


def letterings(made: Plan) -> list[Lettering]:
    found = [made.clips[clip].lettering for clip in clips(made)]
    assert all(found)
    return [lettering for lettering in found if lettering]


# which clips


def test_a_lines_words_are_on_its_own_clip_from_its_start_to_its_end() -> None:
    found = letterings(planned())
    assert [lettering.sung for lettering in found] == [
        (Sung("one", 5),),  # the first picture is there from 0, its words from their time
        (Sung("two and two", 0),),
        (Sung("three", 0),),
        (Sung("four", 0),),
    ]
    assert [(found[n].first_frame, found[n].end_frame) for n in range(4)] == [
        (5, 20),
        (0, 20),
        (0, 20),
        (0, 20),
    ]


def test_without_words_on_the_picture_clips_are_what_they_were() -> None:
    soft, off = planned(lyrics="soft"), planned(lyrics="off")
    assert clips(soft) == clips(off)
    assert all(drawing.lettering is None for drawing in soft.clips.values())
    assert "subtitles" not in soft.timeline.to_json()
    assert off.timeline.to_json()["subtitles"] is False
    for keys in ({"lyrics_colour": "red"}, {"lyrics_size": 9}, {"lyrics_position": "top"}):
        assert planned(lyrics="soft", **keys) == soft


@pytest.mark.parametrize(
    "keys",
    [
        {"lyrics": "karaoke"},
        {"lyrics_colour": "gold"},
        {"lyrics_size": 8},
        {"lyrics_position": "top"},
        {"lyrics_font": "Mine.ttf"},
    ],
)
def test_another_look_draws_every_clip_and_optimises_nothing(keys: dict[str, Any]) -> None:
    font(Path("Mine.ttf"), "abcdefghijklmnopqrstuvwxyz")
    rows = [(f"{text} more", start) for text, start in SONG]  # a single word is lit from its start anyway
    before, after = planned(rows), planned(rows, **keys)
    assert before.segments == after.segments
    assert not set(clips(before)) & set(clips(after))
    assert before.timeline != after.timeline


@pytest.mark.parametrize("lyrics", ["burned", "karaoke"])
def test_editing_a_lines_words_leaves_the_clips_on_which_they_are_not(lyrics: str) -> None:
    before = planned(lyrics=lyrics)
    after = planned([*SONG[:1], ("two and three", 2), *SONG[2:]], lyrics=lyrics)
    same = [one == other for one, other in zip(clips(before), clips(after), strict=True)]
    assert same == [True, False, False, True]  # the third one's beginning shows the second's pictures
    assert letterings(before)[2] == letterings(after)[2]


def test_a_line_sung_later_keeps_its_clip_with_its_words() -> None:
    before = planned(lyrics="karaoke")
    after = planned([(text, start + 3 if start else 0) for text, start in SONG], lyrics="karaoke")
    assert clips(before)[2:] == clips(after)[2:]  # the second one's beginning shows the first's pictures


def lettered(lines: Sequence[Line], lyrics: str, offset: float = 0.0) -> list[Lettering]:
    _, moved = timeline.moved(lines, offset)
    shots = timeline.shots(moved, 10, timeline.end_seconds(moved, 2.0, None))
    return [*lettering.made(shots, resolve({**SETTINGS, "lyrics": lyrics}), print).of_clips]


def test_words_end_with_their_line_and_light_up_by_their_times() -> None:
    times = (Word("two", 2.2), Word("and ", 2.64), Word("two", 3.9))
    lines = (
        Line("one", 0.5, 1, end_seconds=1.5),
        Line("two and two", 2.0, 2, words=times),
        Line("three", 4.0, 3),
    )
    plain, lit = lettered(lines, "burned"), lettered(lines, "karaoke")
    assert [(one.first_frame, one.end_frame) for one in lit] == [(5, 15), (0, 20), (0, 20)]
    assert lit[1].sung == (Sung("two ", 2), Sung("and ", 6), Sung("two", 19))
    changed = (lines[0], replace(lines[1], words=(times[0], Word("and ", 2.7), times[2])), lines[2])
    assert lettered(changed, "burned") == plain
    assert [one == two for one, two in zip(lettered(changed, "karaoke"), lit, strict=True)] == [
        True,
        False,
        True,
    ]
    later = lettered(lines, "karaoke", offset=1.0)
    assert (later[0].first_frame, later[0].end_frame) == (15, 25)
    assert later[1:] == lit[1:]


# when words light up


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one", [("one", 10)]),
        ("a bb ccc", [("a ", 10), ("bb ", 20), ("ccc", 40)]),
        (" hey -  you ", [(" hey ", 10), ("-  ", 36), ("you ", 44)]),
        ("\u661f\u306b x", [("\u661f", 10), ("\u306b ", 30), ("x", 50)]),
        ("e\u0301 e\u0301", [("e\u0301 ", 10), ("e\u0301", 40)]),
        ("...", [("...", 10)]),
    ],
)
def test_without_times_words_light_up_evenly_by_their_letters(
    text: str, expected: list[tuple[str, int]]
) -> None:
    assert karaoke.evenly(text, 10, 70) == tuple(Sung(part, frame) for part, frame in expected)


def test_words_that_the_text_has_otherwise_are_passed_over() -> None:
    words = [Word("Two", 0.0), Word("two", 1.0), Word("nine", 1.5), Word(" ", 1.7), Word("four ", 9.0)]
    words += [Word("five", 3.0)]
    sung = karaoke.timed("(two, three) four! five", words, round, 0, 5)
    assert sung == (Sung("(two, three) ", 1), Sung("four! ", 5), Sung("five", 5))
    assert karaoke.timed("two", [Word("nine", 1.0)], round, 0, 5) == (Sung("two", 0),)


# fonts


def test_letters_that_the_font_lacks_are_drawn_with_one_of_the_machines_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [(f"one {STAR}", 0.0), ("two", 2.0)]
    before = planned(rows)
    assert [note for note in before.notes if f"of {STAR} (row 1), which are left out" in note]
    assert list(before.fonts) == [sha256(data.FONT)]
    stars = font(tmp_path / "Stars.ttf", STAR)
    with_fonts(monkeypatch, font(tmp_path / "Letters.ttf", "xyz"), stars)
    after = planned(rows)
    assert [
        note for note in after.notes if f"has no {STAR}, which are drawn with this machine's 'Stars'" in note
    ]
    assert [len(lettering.faces) for lettering in letterings(after)] == [2, 1]
    assert clips(before)[1:] == clips(after)[1:]
    assert set(after.fonts) == {sha256(data.FONT), sha256(stars)}
    with_fonts(monkeypatch, font(tmp_path / "Stars.ttf", STAR, width=900))  # another version of it
    other = planned(rows)
    assert clips(other)[0] != clips(after)[0] and clips(other)[1:] == clips(after)[1:]


def test_a_plan_carries_its_fonts_for_its_jobs(tmp_path: Path) -> None:
    mine = font(tmp_path / "Mine.ttf", "abcdefghijklmnopqrstuvwxyz ")
    made = planned(lyrics_font=str(mine))
    assert made.notes == ()
    plan.write(made, Paths())
    carried = Paths().font(sha256(mine))
    assert carried.read_bytes() == mine.read_bytes()
    carried.write_bytes(b"damaged")
    plan.write(made, Paths())
    assert carried.read_bytes() == mine.read_bytes()
    carried.unlink()
    mine.write_bytes(mine.read_bytes() + b"\0")
    with pytest.raises(UserError, match=r"Mine\.ttf: found a font that was changed since"):
        plan.write(made, Paths())


def test_prune_removes_the_fonts_that_no_film_needs(tmp_path: Path) -> None:
    mine = font(tmp_path / "Mine.ttf", "abcdefghijklmnopqrstuvwxyz ")
    before, after = planned(lyrics_font=str(mine)), planned()
    for made in (before, after):
        plan.write(made, Paths())
    found = [item.path for item in prune.find(running.needs(after), Paths())]
    assert Paths().font(sha256(mine)) in found
    assert Paths().font(sha256(data.FONT)) not in found


def test_the_same_font_is_the_same_clip_wherever_it_lies(tmp_path: Path) -> None:
    shutil.copy(data.FONT, tmp_path / "copy.ttf")
    assert clips(planned(lyrics_font="copy.ttf")) == clips(planned())


def test_a_font_is_named_by_its_family_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_fonts(monkeypatch, font(tmp_path / "Mine.ttf", "abcdefghijklmnopqrstuvwxyz "))
    assert clips(planned(lyrics_font="mine")) == clips(planned(lyrics_font="Mine.ttf"))


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("none.ttf", "no such file"),
        ("fonts/mine", "no such file"),
        ("song.csv", "cannot be drawn"),
        ("broken.otf", "cannot be drawn"),
        ("Mime", "no family of that name among this machine's fonts; the nearest is 'Mine'"),
        ("Comic", "no family of that name among this machine's fonts, expected"),
    ],
)
def test_a_font_that_cannot_be_is_one_sentence(
    setting: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_fonts(monkeypatch, font(tmp_path / "Mine.ttf", "abc"))
    Path("broken.otf").write_bytes(Path("Mine.ttf").read_bytes()[:200])
    with pytest.raises(UserError, match=rf"config key 'lyrics_font': found .*{told}"):
        planned(lyrics_font=setting)


@pytest.mark.parametrize("percent", [1, 3, 10, 20, 35, 50, 70])
def test_a_damaged_font_is_one_sentence(percent: int, tmp_path: Path) -> None:
    whole = font(tmp_path / "Mine.ttf", "abc").read_bytes()
    cut = len(whole) * percent // 100
    Path("Mine.ttf").write_bytes(whole[:cut] + bytes(len(whole) - cut))
    with pytest.raises(UserError, match=r"'lyrics_font': found 'Mine\.ttf', one that cannot be drawn"):
        planned(lyrics_font="Mine.ttf")


def test_the_machines_fonts_are_found_with_and_without_fontconfig(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    stars = font(tmp_path / "Stars.ttf", STAR + "ab")
    (tmp_path / "broken.ttf").write_bytes(b"none")
    settings = tmp_path / "fonts.conf"
    settings.write_text(f"<fontconfig><dir>{tmp_path}</dir><cachedir>{tmp_path}/c</cachedir></fontconfig>")
    monkeypatch.setenv("FONTCONFIG_FILE", str(settings))
    monkeypatch.setattr(typefaces, "FOLDERS", (str(tmp_path),))
    tools = [True, False] if shutil.which("fc-match") else [False]
    for has_fontconfig in tools:
        if not has_fontconfig:
            monkeypatch.setenv("PATH", str(tmp_path))
        typefaces._machines.cache_clear()
        typefaces.standing_in.cache_clear()
        found = typefaces.standing_in(STAR, "ja")
        assert found and found.path == stars and found.font.name == "Stars"
        assert typefaces.standing_in("c", "") is None
        assert typefaces.asked_for("stars").path == stars
    typefaces._machines.cache_clear()


# settings


@pytest.mark.parametrize("off", [False, "off", "False"])  # as YAML, a command line and a job have it
def test_off_is_off_however_it_is_written(off: Any) -> None:
    assert resolve({"lyrics": off}).lyrics == "off"


@pytest.mark.parametrize("value", ["sofft", True, "on", 1])
def test_another_word_is_one_sentence(value: Any) -> None:
    with pytest.raises(UserError, match="one of soft, burned, karaoke, off was expected"):
        resolve({"lyrics": value})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("#FFD700", "ffd700"),
        ("ffd700", "ffd700"),
        (" Gold ", "ffd700"),
        ("grey", "808080"),
        ("123456", "123456"),
    ],
)
def test_a_colour_is_six_digits_or_a_name(text: str, expected: str) -> None:
    assert resolve({"lyrics_colour": text}).lyrics_colour == expected


@pytest.mark.parametrize(("text", "advice"), [("golden", "write 'gold'"), ("#ffd70", "write for example")])
def test_another_colour_is_one_sentence(text: str, advice: str) -> None:
    with pytest.raises(UserError, match=rf"config key 'lyrics_colour' is '{text}' where .*: {advice}"):
        colours.parsed("lyrics_colour", text)


# the film


def with_other_words(file: Path) -> None:
    """The same screenplay, whose last line sings something else and is steered as before."""
    *lines, last = screenplay.read(file)
    with file.open("w", encoding="utf-8", newline="") as written:
        rows = csv.writer(written)
        rows.writerow(("text", "start", "prompt"))
        rows.writerows((line.text, line.start_seconds) for line in lines)
        rows.writerow(("La la la", last.start_seconds, last.text))


def test_the_example_is_rendered_with_its_words_and_another_look_optimises_nothing(project: Project) -> None:
    project.screenplay.parent.mkdir()
    shutil.copy(REPOSITORY / "screenplays/examples/karaoke.csv", project.screenplay)
    project.configure(lyrics="karaoke", lyrics_colour="gold")
    assert project.rendered() == Counter(keyframes=3, clip=3, film=1)
    assert ": Subtitle:" not in described(project.film)
    assert chapters(project.film)[1].text == r"{Hey!} A row of lamps along the river\bridge"
    assert project.planned(config={"lyrics_colour": "white"}) == Counter(clip=3, film=1)
    with_other_words(project.screenplay)
    assert project.planned() == Counter(clip=1, film=1)
    assert project.rendered(config={"lyrics": "off"}) == Counter(clip=3, film=1)
    assert ": Subtitle:" not in described(project.film)
