"""What is promised of words on the picture: on their frames, literally, in their colours, inside of it."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from songreel import data
from songreel.drawing import ass, bidi, film, onpicture
from songreel.drawing.fonts import Font, clusters, is_space
from songreel.ground.errors import DamageError, UserError
from songreel.ground.lettering import LETTERING, Face, Lettering, Sung
from songreel.ground.paths import Paths
from tests.films import FFMPEG, ffmpeg, packets
from tests.plans import clip
from tests.typefaces import font

Frames = NDArray[np.uint8]  # [n, height, width, 3]

FONT = data.FONT.read_bytes()
FACE = Face(sha256(FONT).hexdigest())
SIZE = (160, 96)
GREY = 90
STAR = "\u661f"
RATE = 30
PLAIN = Lettering(LETTERING, 0, 12, (Sung("Twinkle", 0),), (FACE,), 20, "ffffff", "middle")


def written(lettering: Lettering, size: tuple[int, int] = SIZE, rate: Any = RATE) -> bytes:
    return ass.script(lettering, size, Fraction(rate), {FACE.sha256: FONT})


def dialogues(lettering: Lettering, size: tuple[int, int] = SIZE) -> list[str]:
    """The rows of words that a script has, without its tags."""
    lines = re.findall(r"^Dialogue: .*?,,0,0,0,,(.*)$", written(lettering, size).decode(), re.MULTILINE)
    return [re.sub(r"(?<!\\)\{.*?(?<!\\)\}", "", line).strip(bidi.LTR + bidi.RTL) for line in lines]


def drawn(
    lettering: Lettering, folder: Path, frames: int = 12, size: tuple[int, int] = SIZE, **keys: Any
) -> Frames:
    """The decoded frames of a grey clip with words on it."""
    target = folder / "clip.mp4"
    grey = np.full((frames, size[1], size[0], 3), GREY, np.uint8)
    planned = clip(frames, crf=1, **keys)
    script = written(lettering, size, planned.frames_per_second)
    film.encode([grey], planned, size, target, FFMPEG, script)
    instants = [packet.start for packet in packets(target, "v")]
    assert instants == [number / planned.frames_per_second for number in range(frames)]
    return decoded(target, size)


def decoded(video: Path, size: tuple[int, int] = SIZE) -> Frames:
    raw = ffmpeg(
        "-i", video, "-vf", "scale=in_color_matrix=bt709", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"
    )
    return np.frombuffer(raw, np.uint8).reshape(-1, size[1], size[0], 3)


def brightest(frames: Frames) -> list[int]:
    return [int(frame.max()) for frame in frames]


def extent(frame: Frames) -> tuple[float, float, float, float]:
    """Where words are: left, top, right and bottom, as parts of the picture."""
    rows, columns = np.nonzero(np.abs(frame.mean(-1) - GREY) > 25)
    height, width = frame.shape[:2]
    return columns.min() / width, rows.min() / height, (columns.max() + 1) / width, (rows.max() + 1) / height


# when


@pytest.mark.parametrize("rate", [8, 24, 30, 60, 240, "24000/1001", "60000/1001"])
def test_the_highlighted_word_changes_on_its_frame_at_any_rate(rate: Any, tmp_path: Path) -> None:
    starts = (70, 71, 76)  # after the fade, whatever the rate
    sung = tuple(Sung("M ", frame) for frame in starts)
    lettering = replace(PLAIN, sung=sung, size=40, end_frame=1000)
    frames = drawn(lettering, tmp_path, 84, frames_per_second=rate)
    left, _, right, _ = extent(frames[83])
    thirds = np.linspace(left * SIZE[0], right * SIZE[0], 4).round().astype(int)
    for number, start in enumerate(starts):
        word = frames[62:, :, thirds[number] + 3 : thirds[number + 1] - 3]
        bright = np.array(brightest(word))
        assert (bright[: start - 62] < 180).all() and (bright[: start - 62] > 120).all()
        assert (bright[start - 62 :] > 235).all()


@pytest.mark.parametrize("interpolation", ["latent", "motion"])
def test_words_are_seen_from_their_first_frame_to_their_last_and_fade_at_both_ends(
    interpolation: str, tmp_path: Path
) -> None:
    frames = np.full((40, SIZE[1], SIZE[0], 3), GREY, np.uint8)
    lettering = replace(PLAIN, first_frame=5, end_frame=35)
    target = tmp_path / "clip.mp4"
    planned = clip(40, crf=1, interpolation=interpolation, keyframes_per_second=30.0)
    film.encode([frames, frames[:4]], planned, SIZE, target, FFMPEG, written(lettering))
    bright = brightest(decoded(target))
    assert len(bright) == 40
    assert all(level < GREY + 6 for level in (*bright[:5], *bright[35:]))
    assert all(level > GREY + 6 for level in bright[6:34])
    assert bright[6] < bright[8] < bright[10] < 250 and bright[33] < bright[31] < bright[29] < 250
    assert min(bright[13:27]) > 245


def test_the_shortest_line_is_seen(tmp_path: Path) -> None:
    assert min(brightest(drawn(replace(PLAIN, end_frame=2), tmp_path)[:2])) > 245


# what


@pytest.mark.parametrize(
    "text",
    [
        r"{\an8}up",
        r"\Nrow\nrow\h",
        r"a\{b\}c",
        "{}",
        "{",
        "}",
        "\\",
        "\\\\N",
        r"{\fad(0,0)\p1}m 0 0 l 9 9",
        "Dialogue: 0,0,0",
        '100% [Fonts], "it\'s" <b>!</b>',
    ],
)
def test_texts_are_literal(text: str, tmp_path: Path) -> None:
    """As wide as its letters are: nothing is taken for a tag, a break or a drawing."""
    size = (960, 96)
    (row,) = dialogues(replace(PLAIN, sung=(Sung(text, 0),)), size)
    assert row.replace("\u2060", "").replace(r"\{", "{").replace(r"\}", "}") == text
    left, top, right, bottom = extent(drawn(replace(PLAIN, sung=(Sung(text, 0),)), tmp_path, size=size)[6])
    font = Font(FONT)
    wide = sum(font.advance(letter) for letter in text) * 0.2 * 96
    assert abs((right - left) * 960 - wide) < 0.08 * wide + 8
    assert (bottom - top) * 96 < 1.4 * 0.2 * 96  # one row


def test_what_was_written_in_two_rows_is_in_two() -> None:
    assert dialogues(replace(PLAIN, sung=(Sung("one row\nand another", 0),))) == ["one row", "and another"]


def test_letters_that_no_font_has_are_left_out() -> None:
    assert dialogues(replace(PLAIN, sung=(Sung("a \u661f b", 0),))) == ["a  b"]


@settings(max_examples=40, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60), st.integers(16, 400))
def test_any_text_is_laid_out_with_all_letters_that_the_font_has(text: str, width: int) -> None:
    rows = dialogues(replace(PLAIN, sung=(Sung(text, 0),), size=7), (width, 100))
    shown = re.sub("[\u200e\u200f\u2060]", "", "".join(rows)).replace(r"\{", "{").replace(r"\}", "}")
    font = Font(FONT)
    seen = [letter for letter in text if letter.isprintable() and not is_space(letter)]
    whole = [cluster for cluster in clusters(text) if font.draws(cluster)]
    wanted = [letter for letter in "".join(whole) if letter in seen]
    assert [letter for letter in shown if letter in seen] == wanted


@pytest.mark.parametrize("text", ["\n", " ", "\u661f", "\u200b", "\x00\x07"])
def test_a_line_of_which_nothing_can_be_seen_has_a_clip_all_the_same(text: str, tmp_path: Path) -> None:
    frames = drawn(replace(PLAIN, sung=(Sung(text, 0),)), tmp_path)
    assert np.abs(frames.astype(int) - GREY).max() < 6


@pytest.mark.parametrize("colour", ["ff0000", "00ff00", "0000ff", "ffd700", "ffffff", "000000"])
def test_words_have_their_colour(colour: str, tmp_path: Path) -> None:
    lettering = replace(PLAIN, sung=(Sung("\u2014\u2014", 0),), size=50, colour=colour)
    frame = drawn(lettering, tmp_path, size=(320, 192))[6].astype(int)
    wanted = np.array([int(colour[at : at + 2], 16) for at in (0, 2, 4)])
    off = np.abs(frame - wanted).max(-1)
    assert np.count_nonzero(off < 14) > 500  # the inside of the bars


# where


@pytest.mark.parametrize("size", [(128, 128), (64, 64), (640, 360), (144, 256), (256, 144), (1000, 64)])
@pytest.mark.parametrize("position", ["bottom", "middle", "top"])
@pytest.mark.parametrize(
    "text", ["Twinkle, twinkle, little star", "so " * 60, "Donaudampfschifffahrtsgesellschaftskapitaen" * 2]
)
def test_words_stay_inside_the_picture(
    size: tuple[int, int], position: str, text: str, tmp_path: Path
) -> None:
    lettering = replace(PLAIN, sung=(Sung(text, 0),), size=7, position=position, end_frame=3)
    left, top, right, bottom = extent(drawn(lettering, tmp_path, 3, size)[1])
    assert left > 0.01 and right < 0.99 and top > 0.01 and bottom < 0.99
    assert abs(left + right - 1) < 0.06  # in the middle from side to side
    if text.startswith("Twinkle"):
        centre = (top + bottom) / 2
        assert {"bottom": centre > 0.6, "middle": abs(centre - 0.5) < 0.1, "top": centre < 0.4}[position]


def test_the_size_is_in_percent_of_the_shorter_side(tmp_path: Path) -> None:
    lettering = replace(PLAIN, sung=(Sung("H", 0),), size=30)
    heights = [
        (bottom - top) * size[1]
        for size in ((320, 192), (192, 320), (640, 384))
        for _, top, _, bottom in [extent(drawn(lettering, tmp_path, size=size)[6])]
    ]
    assert heights[0] == pytest.approx(heights[1], abs=2)
    assert heights[2] == pytest.approx(2 * heights[0], abs=4)
    assert heights[0] == pytest.approx(0.3 * 192 * (0.714 + 0.18), abs=4)  # a capital, outline and shadow


@pytest.mark.parametrize("aligned", ["the (love) song", "\u0645\u0631 (love) 12!", "a (\u0645\u0631) 12 b"])
def test_brackets_run_as_what_is_around_them(aligned: str) -> None:
    """Only marks are added, and those where both ways meet."""
    marked = "".join(bidi.bracketed(list(aligned)))
    assert re.sub("[\u200e\u200f]", "", marked) == aligned
    mark = "\u200f" if aligned[0] == "\u0645" else "\u200e"
    mixed = "\u0645" in aligned
    assert marked.count(f"{mark}){mark}") == marked.count(f"{mark}({mark}") == mixed


# files


def test_the_same_words_are_the_same_file(tmp_path: Path) -> None:
    grey = np.full((12, SIZE[1], SIZE[0], 3), GREY, np.uint8)
    made = []
    for name in ("a", "b"):
        target = tmp_path / name / "clip.mp4"
        film.encode([grey], clip(12), SIZE, target, FFMPEG, written(PLAIN))
        made.append(target.read_bytes())
    assert made[0] == made[1]


def test_words_are_drawn_whatever_the_folder_is_called_and_leave_nothing_there(tmp_path: Path) -> None:
    folder = tmp_path / "it's, [a] \"b\": c\\d; e=f %5d 'g'"
    drawn(PLAIN, folder)
    assert [path.name for path in folder.iterdir()] == ["clip.mp4"]


def test_a_job_draws_with_the_fonts_that_were_planned(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    planned = clip(12, lettering=PLAIN)
    assert onpicture.of_clip(clip(12), SIZE, paths) is None
    with pytest.raises(UserError, match=r"found no such file, expected a font .* run snakemake"):
        onpicture.of_clip(planned, SIZE, paths)
    paths.font(FACE.sha256).parent.mkdir(parents=True)
    paths.font(FACE.sha256).write_bytes(FONT)
    assert onpicture.of_clip(planned, SIZE, paths) == written(PLAIN)
    paths.font(FACE.sha256).write_bytes(FONT[:-1])
    with pytest.raises(DamageError, match="another file than its name says"):
        onpicture.of_clip(planned, SIZE, paths)


def test_each_letter_is_drawn_with_the_first_font_that_has_it(tmp_path: Path) -> None:
    """A square of the second one between dashes of the first lights up with what is around it."""
    other = font(tmp_path / "Star.ttf", f"-{STAR}").read_bytes()
    faces = (FACE, Face(sha256(other).hexdigest()))
    sung = (Sung("-", 0), Sung(f"-{STAR}-", 20))
    lettering = replace(PLAIN, faces=faces, sung=sung, size=40, end_frame=100)
    script = ass.script(lettering, SIZE, Fraction(RATE), {FACE.sha256: FONT, faces[1].sha256: other})
    grey = np.full((60, SIZE[1], SIZE[0], 3), GREY, np.uint8)
    film.encode([grey], clip(60, crf=1), SIZE, tmp_path / "clip.mp4", FFMPEG, script)
    bright = np.count_nonzero(decoded(tmp_path / "clip.mp4").min(-1) > 225, axis=(1, 2))
    square = (0.5 * 0.7) * (0.4 * SIZE[1]) ** 2  # of an em of 0.4 of the picture's height
    assert bright[19] < 0.3 * square < 0.8 * square < bright[20]


def test_a_font_with_axes_is_drawn_semi_bold(tmp_path: Path) -> None:
    path = font(tmp_path / "Grows.ttf", f"ab {STAR}", grows=True)
    thin = Font(path.read_bytes())
    thick = thin.settled(f"a {STAR}!")
    assert [thick.draws(letter) for letter in f"ab{STAR}"] == [True, False, True]
    # The axis goes from 100 to 900, and over all of it a letter grows by 800 thousandths.
    assert thick.advance("a") == pytest.approx(0.6 + 0.8 * 500 / 800)
    plain = Font(FONT)
    assert plain.settled("a") is plain
    unused = Font(path.read_bytes())
    assert unused.settled("xyz") is unused


def test_libass_takes_the_font_that_is_carried(tmp_path: Path) -> None:
    with onpicture.handed_on(written(PLAIN)) as handle:
        assert handle is not None
        command = [FFMPEG, "-v", "verbose", "-f", "lavfi", "-i", "color=s=160x96:d=0.1"]
        command += ["-vf", f"setpts=N,ass=filename=/dev/fd/{handle}", "-f", "null", "-"]
        told = subprocess.run(
            command, pass_fds=[handle], env=onpicture.environment(), capture_output=True, check=True
        ).stderr.decode()
    assert re.search(r"fontselect: \(songreel0, 400, 0\) -> songreel0", told)
    assert "fallback" not in told
