"""What leaves a film as pictures: frames, loops, a contact sheet, a thumbnail."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
import wave
from fractions import Fraction
from hashlib import sha256
from math import ceil
from pathlib import Path

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from PIL import Image, ImageSequence

from songreel import film_commands
from songreel.cli import main
from songreel.drawing import captions
from songreel.exports import film_pictures, loops, sheets, thumbnails
from songreel.ground.lettering import Face
from songreel.models import weights
from songreel.planning.config import resolve
from tests.films import FFMPEG
from tests.painted import paint, read
from tests.test_lettering import with_fonts
from tests.typefaces import font

LINES = [("one", 0), ("two", 2.07), ("three", 4), ("four", 6.31)]
RATE = 8  # frames a second
STARTS = [0, 17, 32, 50, 66]  # the first frame of each line, and of what would follow


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of the test's own, in which weights are not hashed."""
    monkeypatch.setattr(weights, "_check_file", lambda file: None)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a film of four lines, for those who write elsewhere."""
    folder = tmp_path_factory.mktemp("shared")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weights, "_check_file", lambda file: None)
        patch.chdir(folder)
        paint(LINES)
    return folder


@pytest.fixture
def film(shared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(shared)
    return shared / "results/song/film.mp4"


def export(*arguments: str | Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """The exit status of an export, and what it printed."""
    status = main(["export", *map(str, arguments)])
    captured = capsys.readouterr()
    return status, captured.out + captured.err


def refused(*arguments: str | Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The one sentence of an export that must fail."""
    status, told = export(*arguments, capsys=capsys)
    assert status == 1 and len(told.splitlines()) == 1, told
    return told


def pixels(file: Path) -> NDArray[np.uint8]:
    with Image.open(file) as picture:
        return np.asarray(picture.convert("RGB"))


def moving(file: Path) -> tuple[list[NDArray[np.uint8]], list[int]]:
    """The frames of a loop, and how many milliseconds each lasts; a GIF may hold one for longer instead."""
    with Image.open(file) as picture:
        assert picture.info["loop"] == 0
        frames = [
            (np.asarray(frame.convert("RGB")), frame.info["duration"])
            for frame in ImageSequence.Iterator(picture)
        ]
    return [frame for frame, _ in frames], [duration for _, duration in frames]


def write_tone(path: Path, seconds: float) -> None:
    rate = 8000
    tone = np.sin(2 * np.pi * 330 * np.arange(int(seconds * rate)) / rate)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes((9000 * tone).astype("<i2").tobytes())


def test_all_pictures_of_export_are_those_of_its_help() -> None:
    assert tuple(film_pictures.FORMATS) == film_commands.PICTURES


# Frames


@pytest.mark.parametrize("line", [1, 2, 4])
def test_the_frames_of_a_line_are_exactly_its_own_by_their_numbers(
    line: int, film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export("frames", "--line", str(line), "--output", tmp_path / "50%d", capsys=capsys)[0] == 0
    files = sorted((tmp_path / "50%d").iterdir())
    assert [file.name for file in files] == [
        f"{frame:06}.png" for frame in range(STARTS[line - 1], STARTS[line])
    ]
    assert [read(pixels(file)) for file in files] == [*range(STARTS[line - 1], STARTS[line])]
    assert [entry.name for entry in tmp_path.iterdir()] == ["50%d"]


def test_every_frame_of_a_film_with_sound_is_found_wherever_reading_starts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_tone(Path("song.wav"), 8.5)
    made = paint([("one", 0), ("two", 1.3), ("three", 6.71)], frames_per_second="30000/1001", audio="auto")
    assert export("frames", "--line", "3", "--output", "three", capsys=capsys)[0] == 0
    assert export("frames", "--between", "0:05.005", "6.7067", "--output", "late", capsys=capsys)[0] == 0
    assert export("frames", capsys=capsys)[0] == 0
    first = round(6.71 * 30000 / 1001)
    assert numbers(Path("three")) == [
        *range(first, made.plan.shots[-1].first_frame + made.plan.shots[-1].frames)
    ]
    assert numbers(Path("late")) == [*range(150, 201)]
    assert numbers(Path("results/song/frames")) == [*range(255)]
    sky = pixels(Path("results/song/frames/000150.png"))[2:5, 20:44].mean((0, 1))
    assert sky == pytest.approx((150, 120, 50), abs=4)


def numbers(folder: Path) -> list[int]:
    """What the frames in a folder show, which their names say, too."""
    shown = [read(pixels(file)) for file in sorted(folder.iterdir())]
    assert [int(file.stem) for file in sorted(folder.iterdir())] == shown
    return shown


def test_frames_come_to_others_and_replace_none_unasked(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    assert export("frames", "--line", "1", "--output", folder, capsys=capsys)[0] == 0
    assert export("frames", "--line", "2", "--output", folder, capsys=capsys)[0] == 0
    (folder / "000031.png").write_text("mine")
    told = refused("frames", "--line", "2", "--output", folder, capsys=capsys)
    assert "found 15 of the frames there, the first of them 000017.png" in told
    assert (folder / "000031.png").read_text() == "mine"
    assert export("frames", "--line", "2", "--force", "--output", folder, capsys=capsys)[0] == 0
    (folder / "mine.txt").unlink()
    assert numbers(folder) == [*range(32)]


def test_frames_come_into_the_very_folder_that_one_is_in(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (shared / "config.yaml").read_text().replace("song.csv", f"{shared}/song.csv")
    Path("config.yaml").write_text(f"{text}results: {shared}/results\n")
    assert export("frames", "--line", "1", "--output", ".", capsys=capsys)[0] == 0
    Path("config.yaml").unlink()
    assert numbers(tmp_path) == [*range(17)]


def test_a_frame_is_smaller_by_its_longer_side_and_never_larger(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for size, expected in (("32", (32, 16)), ("4000", (64, 32))):
        folder = tmp_path / size
        assert export("frames", "--line", "1", "--size", size, "--output", folder, capsys=capsys)[0] == 0
        with Image.open(folder / "000000.png") as picture:
            assert (picture.size, picture.info.keys() & {"gamma", "chromaticity", "srgb"}) == (
                expected,
                set(),
            )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_frames_that_are_stopped_leave_nothing(number: int) -> None:
    """By an ffmpeg that has written half a picture when it is stopped."""
    paint(LINES[:2])
    slow = Path("ffmpeg")
    slow.write_text(
        "#!/bin/sh\n"
        'case "$*" in *image2*) for last; do :; done; last=${last#file:}\n'
        'printf half > "${last%/*}/000000.png"; touch begun; exec sleep 60;; esac\n'
        f'exec "{FFMPEG}" "$@"\n'
    )
    slow.chmod(0o755)
    command = [sys.executable, "-m", "songreel", "export", "frames", "--config", f"ffmpeg={slow.absolute()}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not Path("begun").exists():
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        process.send_signal(number)
        _, told = process.communicate()
    assert process.returncode == 128 + number
    assert "Traceback" not in told
    assert [file.name for file in Path("results/song").iterdir()] == ["film.mp4"]


# Loops


@pytest.mark.parametrize("kind", ["gif", "webp"])
def test_a_loop_goes_there_and_back_by_neighbours_without_end(
    kind: str, film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / f"loop.{kind}"
    status, told = export("--line", "2", kind, "--output", target, capsys=capsys)
    assert (status, told) == (0, f"{target} is written.\n")
    frames, durations = moving(target)
    blended = 4  # half a second, of the line before
    there = [*range(STARTS[1] + blended, STARTS[2])]
    assert [read(frame) for frame in frames] == there + there[-2:0:-1]
    assert sum(durations) == pytest.approx(1000 * len(frames) / RATE, abs=15)
    assert all(duration == pytest.approx(1000 / RATE, abs=10) for duration in durations)


def test_a_loop_shows_every_frame_of_a_part_that_is_named_by_its_times(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "loop.webp"
    assert export("webp", "--between", "2", "0:03.5", "--output", target, capsys=capsys)[0] == 0
    assert [read(frame) for frame in moving(target)[0]] == [*range(16, 28), *range(26, 16, -1)]


@pytest.mark.parametrize(("end", "expected"), [("1.125", [8]), ("1.25", [8, 9]), ("1.375", [8, 9, 10, 9])])
def test_the_shortest_loops(
    end: str, expected: list[int], film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "loop.gif"
    assert export("gif", "--between", "1", end, "--output", target, capsys=capsys)[0] == 0
    with Image.open(target) as picture:
        assert [read(np.asarray(one.convert("RGB"))) for one in ImageSequence.Iterator(picture)] == expected


@pytest.mark.parametrize(
    ("kind", "rate", "step"),
    [
        ("gif", 25, 1),
        ("gif", 24, 1),
        ("gif", 30, 2),
        ("gif", 60, 3),
        ("webp", 30, 1),
        ("webp", 60, 2),
        ("webp", 240, 8),
    ],
)
def test_a_loop_has_no_more_frames_a_second_than_browsers_and_sizes_take(
    kind: str, rate: int, step: int
) -> None:
    assert loops.every(loops.FASTEST[kind], Fraction(rate)) == step
    assert loops.every(loops.FASTEST[kind], Fraction(rate * 1000, 1001)) <= step


def test_a_loop_too_large_to_be_played_backwards_is_one_sentence(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(loops, "MOST_PIXELS", 64 * 32 * 33)
    told = refused("gif", "--output", tmp_path / "loop.gif", capsys=capsys)
    assert (
        "loop.gif: found 8.2 s of 64x32, expected a loop of 4.1 s at most at that size; choose a line with"
        in told
    )
    assert export("gif", "--line", "2-3", "--output", tmp_path / "loop.gif", capsys=capsys)[0] == 0


# The contact sheet

WORDS = [
    "<b>&amp; 50% of {it} : 'quo\"ted' \\N \\n",
    "\u0645\u0631\u062d\u0628\u0627 (\u064a\u0627) 12!",
    "\u661f\u306e\u5149\u3001\u591c\u306e\u6d77",
    "stars \U0001f31f and \u2764\ufe0f",
    "one row\nand another " * 3,
    "very long words " * 40,
    "Donaudampfschifffahrtselektrizit\u00e4tenhauptbetriebswerkbauunterbeamtengesellschaft",
]


def test_words_beneath_pictures_are_literal_and_run_their_way() -> None:
    said = [captions.Caption(f"{number}", text) for number, text in enumerate(WORDS, 1)]
    with_all = font(Path("all.ttf"), "".join(sorted(set("".join(WORDS)) - {"\n"} | set("\u20260123456789"))))
    face = Face(sha256(with_all.read_bytes()).hexdigest())
    script, strip = captions.script(said, (face,), (240, 135), 16, {face.sha256: with_all.read_bytes()})
    rows: dict[str, str] = {}
    for start, tags, text in re.findall(
        r"^Dialogue: 0,([^,]*),.*?,,0,0,0,,(\{\\pos.*?\})(.*)$", script.decode(), re.MULTILINE
    ):
        shown = re.sub(r"\\([{}])", r"\1", re.sub(r"(?<!\\)\{.*?(?<!\\)\}", "", text)).replace("\u2060", "")
        rows[start] = rows.get(start, "") + re.sub("[\u200e\u200f]", "", shown).strip() + " "
        place = re.search(r"pos\(([\d.]*),([\d.]*)\)", tags)
        assert place and 135 < float(place[2]) <= 135 + strip
        assert text.lstrip("}")[0] == ("\u200f" if "\u0645" in text or "\u064a" in text else "\u200e")
    for row, caption in zip(rows.values(), said, strict=True):
        letters = [text.replace(" ", "") for text in (row, caption.facts + captions.shortened(caption.words))]
        assert letters[0] == letters[1]


def test_what_runs_from_right_to_left_does_so_beneath_a_picture(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By a second letter whose square is followed by so much blank that it stands far to the left."""
    first, second = "\u05d0", "\u05d1"
    with_fonts(monkeypatch, font(Path("First.ttf"), first), font(Path("Second.ttf"), second, width=3000))
    extents = []
    for words in (first + second, first):
        paint([(words, 0)])
        assert export("sheet", "--force", capsys=capsys)[0] == 0
        sheet = pixels(Path("results/song/sheet.png"))
        inked = np.nonzero(sheet[-60:].max((0, 2)) > 180)[0]
        extents.append(int(inked.max() - inked.min()))
    assert extents[0] > 4 * extents[1]


def test_a_sheet_has_each_lines_middle_with_words_beneath_whatever_they_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with_fonts(
        monkeypatch,
        font(
            Path("Some.ttf"),
            "\u0645\u0631\u062d\u0628\u0627\u064a\u661f\u306e\u5149\u3001\u591c\u6d77\U0001f31f",
        ),
    )
    made = paint([(text, 2 * number) for number, text in enumerate(WORDS)])
    status, told = export("sheet", capsys=capsys)
    assert status == 0
    assert "has no \u0645 \u0631 \u062d" in told and "'Some'" in told
    sheet = pixels(Path("results/song/sheet.png"))
    config = resolve(yaml.safe_load(Path("config.yaml").read_text(encoding="utf-8")))
    faces, carried = sheets._fonts(made.plan, config, print)
    columns = sheets.columns_of(len(WORDS), (64, 32))
    rows = ceil(len(WORDS) / columns)
    grid, _, strip = sheets._fitting(made.plan, (64, 32), faces, carried, None)
    width, height = grid.picture
    for number in range(len(WORDS)):
        left = grid.gap + number % columns * (width + grid.gap)
        top = grid.gap + number // columns * (height + strip + grid.gap)
        assert read(sheet[top : top + height, left : left + width]) == 16 * number + 8
        beneath = sheet[top + height : top + height + strip, left : left + width]
        assert beneath.max() > 180 and (beneath[-1] < 40).all()
    assert sheet.shape[0] == grid.gap + rows * (height + strip + grid.gap)
    assert (sheet[:, : grid.gap] < 40).all()


@pytest.mark.parametrize("picture", [(192, 192), (1280, 720), (720, 1280), (640, 480), (2048, 512)])
def test_a_sheet_of_any_number_of_lines_is_nearly_full_and_no_ribbon(picture: tuple[int, int]) -> None:
    for count in range(1, 61):
        columns = sheets.columns_of(count, picture)
        rows = ceil(count / columns)
        assert rows * columns - count < columns and (count < 4 or count / (rows * columns) > 0.7)
        shape = columns * picture[0] / (rows * picture[1] * 1.3)
        assert count < 6 or 0.7 < shape < 3.2


@pytest.mark.parametrize("size", [None, 300, 3000])
def test_a_sheet_is_as_large_as_is_said(
    size: int | None, film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "sheet.JPG"
    more = ["--size", str(size)] if size else []
    assert export("sheet", *more, "--output", target, capsys=capsys)[0] == 0
    with Image.open(target) as picture:
        assert picture.format == "JPEG"
        assert (size or 1400) * 0.85 <= max(picture.size) <= (size or 1920)


# The thumbnail


def test_the_thumbnail_is_of_the_most_colourful_and_contrasting_line(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grey = np.full((8, 8, 3), 120, np.uint8)
    dull, dark, vivid = grey.copy(), grey // 8, grey.copy()
    dull[:4] = 140
    vivid[:4, :4], vivid[4:, :4] = (250, 20, 20), (20, 240, 250)
    assert int(np.argmax(thumbnails.merits([grey, dull, vivid, dark]))) == 2
    assert thumbnails.colourfulness(grey) == 0
    assert export("thumbnail", "--output", tmp_path / "a.jpg", capsys=capsys)[0] == 0
    with Image.open(tmp_path / "a.jpg") as picture:
        assert (picture.format, picture.size) == ("JPEG", (1280, 640))
    assert read(pixels(tmp_path / "a.jpg")) in [8, 24, 41, 58]


@pytest.mark.parametrize(
    ("arguments", "frame"),
    [(["--at", "2.07"], 17), (["--at", "0:06.31"], 50), (["--line", "3"], 41), (["--at", "8.31"], 65)],
)
def test_a_thumbnail_may_be_of_a_time_or_a_line(
    arguments: list[str], frame: int, film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "a.png"
    assert export("thumbnail", *arguments, "--size", "128", "--output", target, capsys=capsys)[0] == 0
    assert read(pixels(target)) == frame
    assert pixels(target).shape == (64, 128, 3)


# What cannot be


@pytest.mark.parametrize("kind", ["frames", "gif", "sheet", "thumbnail"])
def test_without_a_film_that_is_the_plans_there_are_no_pictures(
    kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made = paint(LINES[:2])
    film = made.film.read_bytes()
    before = sorted(Path("results/song").iterdir())
    told = refused(kind, "--config", "tail=1", capsys=capsys)
    assert (
        "film.mp4: found the film of an older plan, expected the film that is planned now; run snake" in told
    )
    made.film.write_bytes(film[:2000] + bytes([film[2000] ^ 1]) + film[2001:])
    told = refused(kind, capsys=capsys)
    assert "film.mp4: found a damaged file, expected the film song; run snakemake, which renders it" in told
    assert sorted(Path("results/song").iterdir()) == before
    made.film.unlink()
    assert "film.mp4: found no such file, expected the film" in refused(kind, capsys=capsys)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["frames", "--line", "5"], "--line: found 5, expected a line among the film's 4, counted from 1"),
        (["thumbnail", "--line", "9"], "--line: found 9, expected a line among"),
        (["thumbnail", "--line", "1-2"], "--line: found 1-2, expected one line for a thumbnail"),
        (["gif", "--between", "1", "1.01"], "--between: found the frames 8 to 8, expected the first time"),
        (
            ["gif", "--between", "1", "9"],
            "--between: found a time of 9 s, expected one in the film, which lasts 8.250 s",
        ),
        (["thumbnail", "--at", "1:00"], "--at: found a time of 60 s, expected one in the film"),
        (["srt", "--line", "2"], "--line: found it with 'srt', expected it with frames or gif or webp or"),
        (["sheet", "--at", "2"], "--at: found it with 'sheet', expected it with thumbnail; leave it out."),
        (["chapters", "--size", "200"], "--size: found it with 'chapters'"),
        (["thumbnail", "--output", "a.bmp"], "a.bmp: found the ending '.bmp', expected one of .png, .jpg"),
        (["gif", "--output", "a.webp"], "a.webp: found the ending '.webp', expected .gif; name the file so."),
        (["sheet", "--output", "taken.png"], "taken.png: found a file of that name, expected none"),
        (["gif", "--output", "taken.gif"], "taken.gif: found a file of that name, expected none"),
        (["frames", "--output", "taken.png"], "taken.png: found a file, expected a folder for the frames"),
        (["sheet", "--size", "16"], "--size: found 16 pixels, expected more for a sheet of 4 lines"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    arguments: list[str], said: str, film: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("taken.png", "taken.gif"):
        Path(name).write_text("mine")
    assert said in refused(*arguments, capsys=capsys)
    assert {Path(name).read_text() for name in ("taken.png", "taken.gif")} == {"mine"}


@pytest.mark.parametrize(
    "arguments", [["--line", "0"], ["--line", "3-1"], ["--at", "x"], ["--size", "9"], ["--size", "9000"]]
)
def test_what_is_no_value_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["export", "frames", *arguments])
    assert "expected" in capsys.readouterr().err


def test_an_ffmpeg_without_an_encoder_is_one_sentence(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(loops.ENCODED, "webp", {"format": "webp", "c:v": "libwebp_none"})
    told = refused("webp", "--line", "1", "--output", tmp_path / "loop.webp", capsys=capsys)
    assert "loop.webp: found an ffmpeg without the encoder 'libwebp_none' (" in told
    assert "leave the config key 'ffmpeg' empty for the one that comes with songreel" in told
    assert list(tmp_path.iterdir()) == []
