"""What authors do to a song, and an oracle that says which jobs each edit costs.

The oracle knows no ids and no files. It remembers what was rendered as plain facts, and counts frames and
keyframes with fractions of its own, so it can only agree with songreel where both are right.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple

# Texts and styles that together can say the same, which then is the same.
TEXTS = ("one", "two", "three", "one, in oil")
TAKES = (None, 0, 1, 2, 5)

# Starts are whole tenths of a second, so at these rates none is half a frame, where roundings could differ.
LOOK: Mapping[str, Sequence[Any]] = {
    "style": ("", "in oil"),
    "seed": (0, 1),
    "width": (64, 128),
    "height": (64,),
    "iterations": (7, 8),
    "lead_in": (0, 60),
    "cutouts": (8, 9),
    "learning_rate": (0.1, 0.25),
}
FILM: Mapping[str, Sequence[Any]] = {
    "title": ("", "Song"),
    "artist": ("", "Me"),
    "audio": ("none", "3.3", "20"),  # seconds
    "keyframes_per_second": (5.0, 7.5, 0.3),
    "frames_per_second": (30, 8, 24),
    "interpolation": ("latent", "motion"),
    "transition": (1.5, 0.0, 0.01, 0.5),  # 0.01 seconds are no frame
    "tail": (4.0, 0.0, 0.5),
    "encoder": ("libx264", "libx265"),
    "crf": (16, 20),
}
REPEATS: Mapping[str, Sequence[Any]] = {"repeats": ("vary", "reuse")}
CHOICES = {**LOOK, **FILM, **REPEATS}


class Line(NamedTuple):
    """A line as long as its author wants it; the last one's length shows when another follows it."""

    text: str
    tenths: int  # of a second, until the next line; 1 or more
    take: int | None = None


class Song(NamedTuple):
    """A screenplay and the settings it is rendered with."""

    lines: tuple[Line, ...]
    opening: int  # tenths of a second before the first line
    settings: Mapping[str, Any]

    @property
    def starts(self) -> list[int]:
        """When each line is sung, in tenths of a second."""
        lengths = [line.tenths for line in self.lines]
        return list(itertools.accumulate(lengths[:-1], initial=self.opening))

    @property
    def screenplay(self) -> str:
        """The CSV file."""
        takes = ("" if line.take is None else f",{line.take}" for line in self.lines)
        rows = zip(self.lines, self.starts, takes, strict=True)
        return "".join(f'"{line.text}",{start / 10}{take}\n' for line, start, take in rows)


# The edits. Each takes two numbers and makes of them what fits the song.

Edit = Callable[[Song, int, int], Song]


def _replaced(song: Song, at: int, *lines: Line, count: int = 1) -> Song:
    return song._replace(lines=(*song.lines[:at], *lines, *song.lines[at + count :]))


def _reword(song: Song, at: int, pick: int) -> Song:
    at %= len(song.lines)
    return _replaced(song, at, song.lines[at]._replace(text=TEXTS[pick % len(TEXTS)]))


def _insert(song: Song, at: int, pick: int) -> Song:
    """Later lines are sung later."""
    return _replaced(song, at % (len(song.lines) + 1), Line(TEXTS[pick % len(TEXTS)], 1 + pick), count=0)


def _squeeze_in(song: Song, at: int, pick: int) -> Song:
    """The new line takes half the time of the one that it follows."""
    before = song.lines[at % len(song.lines)]
    new = Line(TEXTS[pick % len(TEXTS)], before.tenths // 2)
    if not new.tenths:
        return song
    return _replaced(song, at % len(song.lines), before._replace(tenths=before.tenths - new.tenths), new)


def _delete(song: Song, at: int, pick: int) -> Song:
    """Later lines are sung earlier."""
    return _replaced(song, at % len(song.lines)) if len(song.lines) > 1 else song


def _leave_out(song: Song, at: int, pick: int) -> Song:
    """The line before lasts until the next one."""
    if len(song.lines) == 1:
        return song
    at %= len(song.lines) - 1
    before, left_out = song.lines[at : at + 2]
    return _replaced(song, at, before._replace(tenths=before.tenths + left_out.tenths), count=2)


def _swap(song: Song, at: int, pick: int) -> Song:
    """Two lines change places; the times stay."""
    lines = list(song.lines)
    at, pick = at % len(lines), pick % len(lines)
    one, other = lines[at], lines[pick]
    lines[at], lines[pick] = other._replace(tenths=one.tenths), one._replace(tenths=other.tenths)
    return song._replace(lines=tuple(lines))


def _retime(song: Song, at: int, pick: int) -> Song:
    """One line starts earlier or later, the others stay."""
    if len(song.lines) == 1:
        return song
    at %= len(song.lines) - 1
    before, line = song.lines[at : at + 2]
    together = before.tenths + line.tenths
    sooner = 1 + pick % (together - 1)
    retimed = before._replace(tenths=sooner), line._replace(tenths=together - sooner)
    return _replaced(song, at, *retimed, count=2)


def _stretch(song: Song, at: int, pick: int) -> Song:
    """A line is sung longer or shorter, the later ones move."""
    at %= len(song.lines)
    return _replaced(song, at, song.lines[at]._replace(tenths=1 + pick))


def _shift(song: Song, at: int, pick: int) -> Song:
    return song._replace(opening=pick)


def _repeat(song: Song, at: int, pick: int) -> Song:
    """A line is sung again, anywhere."""
    return _replaced(song, pick % (len(song.lines) + 1), song.lines[at % len(song.lines)], count=0)


def _write_take(song: Song, at: int, pick: int) -> Song:
    at %= len(song.lines)
    return _replaced(song, at, song.lines[at]._replace(take=TAKES[pick % len(TAKES)]))


def _setting(table: Mapping[str, Sequence[Any]]) -> Edit:
    def change(song: Song, at: int, pick: int) -> Song:
        key = list(table)[at % len(table)]
        return song._replace(settings={**song.settings, key: table[key][pick % len(table[key])]})

    return change


EDITS: Mapping[str, Edit] = {
    "reword": _reword,
    "insert": _insert,
    "squeeze in": _squeeze_in,
    "delete": _delete,
    "leave out": _leave_out,
    "swap": _swap,
    "retime": _retime,
    "stretch": _stretch,
    "shift": _shift,
    "repeat": _repeat,
    "write take": _write_take,
    "change look": _setting(LOOK),
    "change film": _setting(FILM),
    "change repeats": _setting(REPEATS),
}


# The oracle


class Shot(NamedTuple):
    """A line as the film shows it."""

    line: Line
    start: Fraction  # seconds
    end: Fraction  # seconds
    frames: int


class Segment(NamedTuple):
    """All that the optimisation of a line depends on."""

    text: str
    seed: int
    take: int
    size: tuple[int, int]
    strategy: tuple[float, ...]  # iterations, lead-in, cutouts, learning rate


class Clip(NamedTuple):
    """All that a line's frames depend on."""

    segment: Segment
    frames: int
    before: tuple[Segment, int] | None  # with its frames, where they blend into this line's
    blend_frames: int
    look: tuple[Any, ...]


class Jobs(NamedTuple):
    """What a run does: segments and their number of keyframes, the clips' places in the film, the film."""

    keyframes: frozenset[tuple[Segment, int]]
    clips: tuple[int, ...]
    joins: bool

    @property
    def counts(self) -> Counter[str]:
        """How many by rule. Snakemake looks for nothing that is missing when the film itself is there."""
        if not self.joins:
            return Counter()
        return +Counter(keyframes=len(self.keyframes), clip=len(self.clips), film=1)


class Oracle:
    """Remembers what was rendered, and says what an edit costs."""

    def __init__(self) -> None:
        self.rendered: dict[Segment, set[int]] = {}  # lengths in keyframes
        self.drawn: set[Clip] = set()
        self.film: Any = None  # all that the film shows and says

    def jobs(self, song: Song) -> Jobs:
        """What is to be done for a song, given what was."""
        clips = clips_of(song)
        new = [at for at, clip in enumerate(clips) if clip not in self.drawn and clip not in clips[:at]]
        wanted = _wanted(clips, song)
        missing = {
            segment
            for at in new
            for segment, frames in _shown(clips[at])
            if max(self.rendered.get(segment, ()), default=0) < keyframes_up_to(frames, *_pace(song))
        }
        keyframes = frozenset((segment, wanted[segment]) for segment in missing)
        return Jobs(keyframes, tuple(new), _film(song, clips) != self.film)

    def run(self, song: Song, jobs: Jobs) -> None:
        """Remember that the jobs were done."""
        clips = clips_of(song)
        for segment, keyframes in jobs.keyframes:
            self.rendered.setdefault(segment, set()).add(keyframes)
        self.drawn.update(clips[at] for at in jobs.clips)
        self.film = _film(song, clips)


def clips_of(song: Song) -> list[Clip]:
    """What each line shows that is long enough for a frame."""
    shots = shots_of(song)
    segments = _segments([shot.line for shot in shots], song.settings)
    parts = [(segment, shot.frames) for segment, shot in zip(segments, shots, strict=True)]
    keys = ("frames_per_second", "keyframes_per_second", "interpolation", "encoder", "crf")
    look = tuple(song.settings[key] for key in keys)
    transition = _transition(song)
    befores = [None, *parts] if transition else [None] * len(parts)
    return [
        Clip(segment, frames, before, min(transition, frames) if before else 0, look)
        for before, (segment, frames) in zip(befores, parts, strict=False)
    ]


def shots_of(song: Song) -> list[Shot]:
    """The lines that are long enough for a frame. The first is shown from 0."""
    starts = [Fraction(start, 10) for start in song.starts]
    ends = [*starts[1:], _end(song)]
    firsts = [0, *(round(end * song.settings["frames_per_second"]) for end in ends)]
    frames = [following - first for first, following in itertools.pairwise(firsts)]
    return [Shot(*shot) for shot in zip(song.lines, starts, ends, frames, strict=True) if shot[-1]]


def _end(song: Song) -> Fraction:
    """When the film ends, in seconds."""
    last, tail = Fraction(song.starts[-1], 10), Fraction(str(song.settings["tail"]))
    audio = song.settings["audio"]
    return Fraction(audio) if audio != "none" and tail and Fraction(audio) > last else last + tail


def _segments(lines: Sequence[Line], settings: Mapping[str, Any]) -> Iterator[Segment]:
    texts = [line.text for line in lines]
    for at, (text, _, take) in enumerate(lines):
        if take is None:
            take = texts[:at].count(text) if settings["repeats"] == "vary" else 0
        yield Segment(
            f"{text}, {settings['style']}" if settings["style"] else text,
            settings["seed"],
            take,
            (settings["width"], settings["height"]),
            tuple(settings[key] for key in ("iterations", "lead_in", "cutouts", "learning_rate")),
        )


def _wanted(clips: Sequence[Clip], song: Song) -> dict[Segment, int]:
    """How many keyframes a segment gets: enough for its longest line and the blend out of it."""
    wanted: dict[Segment, int] = {}
    for clip in clips:
        need = keyframes_up_to(clip.frames + _transition(song), *_pace(song))
        wanted[clip.segment] = max(need, wanted.get(clip.segment, 0))
    return wanted


def _shown(clip: Clip) -> Iterator[tuple[Segment, int]]:
    """The segments that a clip shows, and how many frames into each it goes."""
    yield clip.segment, clip.frames
    if clip.before:
        segment, frames = clip.before
        yield segment, frames + clip.blend_frames


def _transition(song: Song) -> int:
    """In frames."""
    rate: int = song.settings["frames_per_second"]
    return round(Fraction(str(song.settings["transition"])) * rate)


def _pace(song: Song) -> tuple[float, int, bool]:
    keyframes_per_second, rate = (song.settings[f"{name}_per_second"] for name in ("keyframes", "frames"))
    return keyframes_per_second, rate, song.settings["interpolation"] == "motion"


@cache
def keyframes_up_to(frames: int, keyframes_per_second: float, frames_per_second: int, motion: bool) -> int:
    """Keyframes until one does not come before the last frame, two more for motion, in whole fives."""
    last = Fraction(frames - 1, frames_per_second)  # seconds
    apart = 1 / Fraction(str(keyframes_per_second))  # seconds
    keyframe = next(number for number in itertools.count() if number * apart >= last)
    return next(fives for fives in itertools.count(5, 5) if fives >= keyframe + 1 + 2 * motion)


def _film(song: Song, clips: Sequence[Clip]) -> Any:
    """All that a film shows and says."""
    said = [song.settings[key] for key in ("title", "artist", "audio", "frames_per_second")]
    return said, clips, [(shot.line.text, shot.start, shot.end) for shot in shots_of(song)]
