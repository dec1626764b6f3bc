"""Which words are on each clip's picture, from when to when, and in which fonts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from songreel.drawing import ass, fonts
from songreel.ground.errors import UserError
from songreel.ground.files import read_bytes, sha256
from songreel.ground.lettering import LETTERING, Face, Lettering, Sung
from songreel.planning import karaoke, typefaces
from songreel.planning.config import Config
from songreel.planning.timeline import Shot
from songreel.planning.typefaces import Typeface

MOST_NAMED = 20  # letters in a note


@dataclass(frozen=True)
class Drawn:
    """The lettering of each clip in order, and the files of the fonts that it takes, by their sha256."""

    of_clips: Sequence[Lettering]
    fonts: Mapping[str, Path]


@dataclass
class _Faces:
    """The fonts that draw a film's letters, looked for once each, and what is to be said of them."""

    main: Typeface
    language: str
    borrowed: dict[Face, Typeface] = field(default_factory=dict)
    letters: dict[Face, dict[str, None]] = field(default_factory=dict)  # what each is borrowed for, in order
    missing: dict[str, int] = field(default_factory=dict)  # the row that a letter comes first in

    def of(self, text: str, row: int) -> tuple[Face, ...]:
        """The fonts that draw a line, the main one first."""
        needed = [self.main]
        for cluster in dict.fromkeys(fonts.clusters(text)):
            if fonts.is_space(cluster):
                continue
            typeface = next((one for one in needed if one.font.draws(cluster)), None)
            typeface = typeface or typefaces.standing_in(cluster, self.language)
            if not typeface:
                self.missing.setdefault(cluster, row)
            elif typeface.face != self.main.face:
                self.borrowed[typeface.face] = typeface
                self.letters.setdefault(typeface.face, {})[cluster] = None
                needed += [typeface] * (typeface not in needed)
        return tuple(one.face for one in needed)


def made(shots: Sequence[Shot], config: Config, report: Callable[[str], None]) -> Drawn:
    """What is lettered on each shot's clip, where `lyrics` is one of ON_PICTURE.

    `report` is told of letters that the chosen font lacks. Raises UserError for a font that cannot be.
    """
    language = typefaces.language([shot.line.text for shot in shots])
    faces = _Faces(typefaces.asked_for(config.lyrics_font), language)
    drawn = [_lettering(shot, config, faces.of(shot.line.text, shot.line.row)) for shot in shots]
    for note in _notes(faces):
        report(f"{config.screenplay}: {note}")
    return Drawn(drawn, {one.face.sha256: one.path for one in (faces.main, *faces.borrowed.values())})


def trial(config: Config) -> bytes:
    """A script of words to try ffmpeg with, in the chosen font."""
    main = typefaces.asked_for(config.lyrics_font)
    lettering = _looking(config, 0, 1, (Sung("A trial", 0),), (main.face,))
    size, rate = config.film_size, Fraction(config.frames_per_second)
    return ass.script(lettering, size, rate, {main.face.sha256: read_bytes(main.path)})


def copies(plan_fonts: Mapping[str, Path], place: Callable[[str], Path]) -> Iterator[tuple[Path, bytes]]:
    """Where fonts are still to be copied, for the jobs to find them, and what each holds.

    Raises UserError when one is no longer what the film was planned with, OSError when it is gone.
    """
    for digest, source in plan_fonts.items():
        target = place(digest)
        if target.is_file() and sha256(target) == digest:
            continue
        if sha256(source) != digest:
            raise UserError(
                f"{source}: found a font that was changed since the film was planned, expected the one it"
                f" was planned with; run the same command again."
            )
        yield target, read_bytes(source)


def _lettering(shot: Shot, config: Config, faces: tuple[Face, ...]) -> Lettering:
    """A line on its own clip: its words never linger into the next one's."""
    line = shot.line
    rate = Fraction(config.frames_per_second)

    def frame(seconds: float) -> int:
        """Of the clip."""
        return min(max(0, round(seconds * rate) - shot.first_frame), shot.frames)

    first = frame(line.start_seconds)
    end = shot.frames if line.end_seconds is None else max(first, frame(line.end_seconds))
    if config.lyrics == "karaoke":
        sung = karaoke.timed(line.text, line.words, frame, first, end)
    else:
        sung = (Sung(line.text, first),)
    return _looking(config, first, end, sung, faces)


def _looking(
    config: Config, first: int, end: int, sung: tuple[Sung, ...], faces: tuple[Face, ...]
) -> Lettering:
    return Lettering(
        recipe=LETTERING,
        first_frame=first,
        end_frame=end,
        sung=sung,
        faces=faces,
        size=config.lyrics_size,
        colour=config.lyrics_colour,
        position=config.lyrics_position,
    )


def _notes(faces: _Faces) -> Iterator[str]:
    """What of the words is drawn by fonts of this machine, and what by none."""
    name = faces.main.font.name
    for face, borrowed in faces.borrowed.items():
        yield (
            f"the font {name!r} has no {_named(faces.letters[face])}, which are drawn with this machine's"
            f" {borrowed.font.name!r} ({borrowed.path}), on another machine perhaps with another; to choose"
            f" one that has them, name it with the config key 'lyrics_font'."
        )
    if faces.missing:
        rows = sorted(set(faces.missing.values()))
        yield (
            f"neither the font {name!r} nor one of this machine's has outlines of {_named(faces.missing)}"
            f" (row {', '.join(map(str, rows[:MOST_NAMED]))}), which are left out of the picture; install a"
            f" font that has (for emoji one of a single colour, such as Noto Emoji), or name one with the"
            f" config key 'lyrics_font'."
        )


def _named(letters: Mapping[str, object]) -> str:
    first = " ".join(list(letters)[:MOST_NAMED])
    return f"{first} and {len(letters) - MOST_NAMED} more" if len(letters) > MOST_NAMED else first
