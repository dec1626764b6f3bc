"""Storyboards for tests, and the film that one shows: its frames carry their numbers in black and white."""

from __future__ import annotations

import base64
import io
import wave
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from songreel.drawing import film
from songreel.ground.documents import (
    DRAWING,
    JOINING,
    ClipPlan,
    Shown,
    Sound,
    Timeline,
    TimelineClip,
    TimelineLine,
)
from songreel.ground.files import sha256
from songreel.storyboard.facts import Line, Storyboard

SIZE = 64  # pixels
COLUMNS, ROWS = 4, 2  # of blocks, each a binary digit of a frame's number, the lowest first
SECONDS = 8
STARTS = (0.7, 2.75, 5.3, 6.9)  # the second on half a frame, where rounding matters
HOSTILE = "</script><script>alert(1)</script> \"quoted\" 'too' & <b>bold</b>\nשמים וארץ"  # noqa: RUF001
TEXTS = ("down by the river", HOSTILE, "w" * 300, "and the water runs")


def numbered(first: int, count: int) -> NDArray[np.uint8]:
    """Frames uint8 [count, SIZE, SIZE, 3] whose blocks are the digits of their numbers."""
    digits = (np.arange(first, first + count)[:, None] >> np.arange(COLUMNS * ROWS)) & 1
    blocks = (digits * 255).astype(np.uint8).reshape(count, ROWS, COLUMNS)
    pictures = blocks.repeat(SIZE // ROWS, axis=1).repeat(SIZE // COLUMNS, axis=2)
    return pictures[..., None].repeat(3, axis=3)


def number_on(picture: Image.Image) -> int:
    """The number that a frame carries, from how a browser shows it."""
    grey = np.asarray(picture.convert("L"), dtype=float)
    height, width = grey.shape
    middles = [
        grey[(2 * row + 1) * height // (2 * ROWS), (2 * column + 1) * width // (2 * COLUMNS)]
        for row in range(ROWS)
        for column in range(COLUMNS)
    ]
    assert all(middle < 64 or middle > 192 for middle in middles), middles
    return sum((middle > 128) << place for place, middle in enumerate(middles))


def storyboard(rate: Fraction = Fraction(30)) -> Storyboard:
    """A finished film of four lines, with all that can be told of them."""
    frames = round(SECONDS * rate)
    edges = [0, *(round(Fraction(start) * rate) for start in STARTS[1:]), frames]
    lines = tuple(_line(place, edges[place], edges[place + 1]) for place in range(len(TEXTS)))
    return Storyboard(
        title="Down <b>by</b> the river",
        artist="The & Willows",
        song="river",
        screenplay="screenplays/river.csv",
        film="film.mp4",
        finished=True,
        width=SIZE,
        height=SIZE,
        rate=str(rate),
        frames=frames,
        seconds=float(frames / rate),
        waveform=tuple((-abs(np.sin(part / 9)), abs(np.sin(part / 7))) for part in range(400)),
        lines=lines,
        notes=("Nobody kept how the loss of line 3 went.",),
    )


def _line(place: int, first: int, end: int) -> Line:
    return Line(
        number=place + 1,
        row=place + 2,
        text=TEXTS[place],
        prompt='"><img src=x onerror=alert(2)>' if place == 1 else None,
        style="مائي" if place == 1 else "",
        take=place,
        start_seconds=STARTS[place],
        end_seconds=[*STARTS, SECONDS][place + 1],
        first_frame=first,
        frames=end - first,
        segment=f"{place:016x}",
        clip=f"clips/{place}.mp4",
        state="done",
        keyframes=10,
        keyframes_needed=10,
        losses=tuple(0.9 - 0.01 * step for step in range(10)),
        cosine=0.25,
        rank=place + 1,
        out_of=4,
        seconds_taken=61.0,
        weak="It is weak: edit row 5, try take 4." if place == 3 else None,
        strip=tuple(picture(place * 8 + part) for part in range(8)),
        start_from="a pumpkin" if place == 0 else None,
    )


def picture(seed: int, size: tuple[int, int] = (24, 24)) -> str:
    """A small picture of noise, which compresses worse than any that is drawn."""
    noise = np.random.default_rng(seed).integers(0, 256, (*reversed(size), 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "WEBP", quality=60)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()


def begun(board: Storyboard, drawn: int) -> Storyboard:
    """The same while its lines are rendered: so many are drawn, one is half-way, the others wait."""
    lines = [*board.lines[:drawn]]
    for place, line in enumerate(board.lines[drawn:]):
        unknown = replace(line, clip=None, strip=(), losses=(), cosine=None, rank=None, seconds_taken=None)
        waiting = replace(unknown, state="waiting", weak=None, keyframes=0)
        lines.append(waiting if place else replace(waiting, state="running", keyframes=5))
    return replace(board, film=None, finished=False, lines=tuple(lines))


def large(lines: int = 38, seconds: int = 209) -> Storyboard:
    """A song of usual length, with as much as can be told of each of its lines."""
    board = storyboard()
    edges = [round(part * seconds * 30 / lines) for part in range(lines + 1)]
    strip = tuple(picture(part, (160, 90)) for part in range(8))
    many = (
        replace(
            board.lines[place % 4],
            number=place + 1,
            first_frame=first,
            frames=end - first,
            strip=strip,
            start_seconds=first / 30,
            end_seconds=end / 30,
            losses=tuple(np.linspace(1, 0.5, 90)),
        )
        for place, (first, end) in enumerate(pairwise(edges))
    )
    waveform = tuple((-(part % 97) / 97, (part % 89) / 89) for part in range(2000))
    return replace(board, lines=tuple(many), frames=seconds * 30, seconds=float(seconds), waveform=waveform)


def make_clips(board: Storyboard, folder: Path) -> list[Path]:
    """Encode the clip of each line as a job does, into files that the storyboard names; in order."""
    return [_clip(board, line, folder) for line in board.lines]


def _clip(board: Storyboard, line: Line, folder: Path) -> Path:
    plan = ClipPlan(
        recipe=DRAWING,
        shown=Shown(line.segment, line.frames),
        before=None,
        blend_frames=0,
        frames_per_second=Fraction(board.rate),
        keyframes_per_second=5.0,
        interpolation="latent",
        encoder="libx264",
        crf=16,
    )
    target = folder / str(line.clip)
    film.encode([numbered(line.first_frame, line.frames)], plan, (SIZE, SIZE), target, film.executable(""))
    return target


def join(board: Storyboard, clips: list[Path], folder: Path) -> None:
    """Join the clips and a tone into the film, as a job does."""
    song = folder / "song.wav"
    with wave.open(str(song), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes((8000 * np.sin(np.arange(SECONDS * 8000) / 3)).astype("<i2").tobytes())
    timeline = Timeline(
        recipe=JOINING,
        title=board.title,
        artist=board.artist,
        frames_per_second=Fraction(board.rate),
        audio=Sound(str(song), sha256(song)),
        clips=tuple(
            TimelineClip(path.stem, line.frames) for path, line in zip(clips, board.lines, strict=True)
        ),
        lines=tuple(
            TimelineLine(line.text, line.start_seconds, line.end_seconds, line.segment)
            for line in board.lines
        ),
    )
    film.join(timeline, clips, folder / "film.mp4", film.executable(""))
