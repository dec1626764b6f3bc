"""The words on a clip's picture, laid out and written down as a script for libass, with the fonts it takes.

Lines that do not fit wrap, then become smaller. Each row is placed by itself, for libass has no leading.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from math import ceil

from songreel.drawing import bidi, fonts, wrapping
from songreel.drawing.fonts import Font
from songreel.drawing.wrapping import Cluster, Word
from songreel.ground.lettering import FRAME_MS, Lettering

FADE_SECONDS = 0.25  # at both ends of a line, of which it takes a third at most
# Parts of the picture's width and height.
WIDEST = 0.9
HIGHEST = 0.8
MARGIN = 0.06
# Parts of an em.
ROW = 1.3
ASCENT = 0.95
DESCENT = 0.3
OUTLINE = 0.055
SHADOW = 0.04
SMALLEST = 10.0  # pixels of an em that one can still read
UNBROKEN = 0.6  # of the size asked for: as small may words become before long ones are broken
STEP = 0.95
UNSUNG = 0.6  # of its brightness has what is yet to be sung

_HEAD = """\
[Script Info]
ScriptType: v4.00+
PlayResX: {width}
PlayResY: {height}
LayoutResX: {width}
LayoutResY: {height}
WrapStyle: 2
ScaledBorderAndShadow: yes

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic,\
 Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL,\
 MarginR, MarginV, Encoding
Style: words,{font},{size:.2f},&H00{colour},&H00{colour},&H00000000,&H80000000,0,0,\
0,0,100,100,0,0,1,{outline:.2f},{shadow:.2f},2,0,0,0,-1

"""
_EVENTS = "\n[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
_JOINER = "\u2060"  # after a backslash, which would begin a tag or break a row with what follows


@dataclass(frozen=True)
class Layout:
    """Where each row stands, all in pixels."""

    em: float
    rows: tuple[Word, ...]
    baselines: tuple[float, ...]


def script(
    lettering: Lettering, size: tuple[int, int], frames_per_second: Fraction, carried: Mapping[str, bytes]
) -> bytes:
    """The words as an ASS file, for pictures of `size`, with the fonts that `carried` holds by their sha256.

    Raises ValueError when one of them is no font.
    """
    faces = settled([lettering], carried)
    layout = laid_out(lettering, size, faces)
    events = dialogue(lettering, layout, size[0], faces, _fades(lettering, frames_per_second))
    return document(size, layout.em, lettering.colour, faces, events)


def settled(letterings: Sequence[Lettering], carried: Mapping[str, bytes]) -> list[Font]:
    """The fonts that draw letterings which have the same, by what `carried` holds by their sha256.

    Raises ValueError when one of them is no font.
    """
    text = "".join(sung.text for lettering in letterings for sung in lettering.sung)
    faces = letterings[0].faces
    return [Font(carried[face.sha256], face.number).settled(text) for face in faces]


def document(
    size: tuple[int, int], em: float, colour: str, faces: Sequence[Font], events: Iterable[str]
) -> bytes:
    """An ASS file of rows of words, with the fonts that they take; `em` is what outlines are measured by."""
    head = _HEAD.format(
        width=size[0],
        height=size[1],
        font=_called(0),
        size=em * faces[0].line,
        colour=bgr(colour, 1),
        outline=max(1.0, em * OUTLINE),
        shadow=em * SHADOW,
    )
    embedded = b"".join(
        b"fontname: %s_0.ttf\n%s\n" % (_called(number).encode(), fonts.embedded(face.alone(_called(number))))
        for number, face in enumerate(faces)
    )
    return head.encode() + b"[Fonts]\n" + embedded + (_EVENTS + "\n".join(events) + "\n").encode()


# Where the words stand


def laid_out(lettering: Lettering, size: tuple[int, int], faces: Sequence[Font]) -> Layout:
    """As large as was asked for, or as fits: no word is broken before it had to be much smaller."""
    paragraphs = [list(wrapping.words(line)) for line in _lines(lettering, faces)]
    asked = max(SMALLEST, lettering.size / 100 * min(size))
    longest = max((wrapping.extent(word) for line in paragraphs for word in line), default=0.0)
    em = asked
    while True:
        width = WIDEST * size[0] / em  # ems
        unbroken = longest <= width or em < UNBROKEN * asked
        count = sum(wrapping.count(line, width) for line in paragraphs)
        if (unbroken and count * ROW * em <= HIGHEST * size[1]) or em < 1:
            rows = [row for line in paragraphs for row in wrapping.rows(line, width)]
            return Layout(em, tuple(rows), _baselines(len(rows), em, size[1], lettering.position))
        em *= STEP


def _lines(lettering: Lettering, faces: Sequence[Font]) -> list[list[Cluster]]:
    """The line's letters that a font has, parted where its writer has begun a new line."""
    lines: list[list[Cluster]] = [[]]
    for part, sung in enumerate(lettering.sung):
        for text in fonts.clusters(sung.text):
            if text in ("\n", "\r", "\r\n", "\u2028", "\u2029", "\x0b", "\x0c", "\x85"):
                lines.append([])
                continue
            clean = "".join(letter for letter in text if unicodedata.category(letter) != "Cc")
            if text.isspace():  # of which fonts seldom have all
                clean = "\u00a0" if text in wrapping.GLUE else " "
            face = next((number for number, font in enumerate(faces) if font.draws(clean)), None)
            if clean and face is not None:
                lines[-1].append(Cluster(clean, faces[face].advance(clean), face, part))
    return [_together(line, faces) for line in lines if line]


def _together(line: Sequence[Cluster], faces: Sequence[Font]) -> list[Cluster]:
    """Letters whose blanks are in the font of what stands on both sides of them, to be shaped in one."""
    made = list(line)
    seen = [place for place, cluster in enumerate(line) if not fonts.is_space(cluster.text)]
    for first, last in pairwise(seen):
        if line[first].face == line[last].face:
            for place in range(first + 1, last):
                face = line[first].face
                made[place] = replace(line[place], face=face, width=faces[face].advance(line[place].text))
    return made


def _baselines(count: int, em: float, height: int, position: str) -> tuple[float, ...]:
    """Where the feet of each row's letters stand."""
    block = ((count - 1) * ROW + ASCENT + DESCENT) * em
    top = {
        "top": MARGIN * height,
        "middle": (height - block) / 2,
        "bottom": (1 - MARGIN) * height - block,
    }[position]
    return tuple(top + (ASCENT + number * ROW) * em for number in range(count))


# How they are written down


def dialogue(
    lettering: Lettering, layout: Layout, width: int, faces: Sequence[Font], tags: str
) -> Iterator[str]:
    """A row each, in the middle of a picture's width, with more tags that hold for all of it."""
    start, end = (_clock(frame) for frame in (lettering.first_frame, lettering.end_frame))
    text = "".join(sung.text for sung in lettering.sung)
    for row, baseline in zip(layout.rows, layout.baselines, strict=True):
        if not row:
            continue
        depth = max((faces[cluster.face].depth for cluster in row), default=0.0) * layout.em
        head = rf"{{\pos({width / 2:.2f},{baseline + depth:.2f}){tags}}}"
        words = _written(row, lettering, layout.em, faces)
        yield f"Dialogue: 0,{start},{end},words,,0,0,0,,{head}{bidi.mark(text)}{words}"


def _written(row: Word, lettering: Lettering, em: float, faces: Sequence[Font]) -> str:
    """A row's letters, with a tag where the font changes or other words are sung."""
    written, face, part = "", None, None
    for letter, cluster in zip(bidi.bracketed([cluster.text for cluster in row]), row, strict=True):
        tags = ""
        if cluster.part != part:
            part = cluster.part
            tags += _lit(lettering, part)
        if cluster.face != face:
            face = cluster.face
            tags += rf"\fn{_called(face)}\fs{em * faces[face].line:.2f}"
        written += (f"{{{tags}}}" if tags else "") + _literal(letter)
    return written


def _lit(lettering: Lettering, part: int) -> str:
    """The tag that lights up a piece of the line when it is sung; none where all of it is lit from the start.

    ASS has a tag of its own for that, \\k, which forgets what it lights up where the font changes.
    """
    if all(sung.frame <= lettering.first_frame for sung in lettering.sung):
        return ""
    unsung, sung = (rf"\1c&H{bgr(lettering.colour, brightness)}&" for brightness in (UNSUNG, 1))
    instant = (lettering.sung[part].frame - lettering.first_frame) * FRAME_MS
    return (
        rf"{unsung}\t({instant},{instant},{sung})" if instant > 0 else sung
    )  # until 0 is to the end, for ASS


def _literal(text: str) -> str:
    """Letters that are no tag, whatever they are."""
    return text.replace("\\", f"\\{_JOINER}").replace("{", r"\{").replace("}", r"\}")


def _fades(lettering: Lettering, frames_per_second: Fraction) -> str:
    """How long the words take to come and to go."""
    seen = lettering.end_frame - lettering.first_frame
    frames = min(ceil(FADE_SECONDS * frames_per_second), seen // 3)
    return rf"\fad({frames * FRAME_MS},{frames * FRAME_MS})" if frames else ""


def _clock(frame: int) -> str:
    """The instant before a frame at which everything changes that changes with it."""
    hundredths = (frame * FRAME_MS + FRAME_MS // 2) // 10
    seconds, rest = divmod(hundredths, 100)
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}.{rest:02}"


def bgr(colour: str, brightness: float) -> str:
    """A colour as ASS has it, blue first."""
    channels = [round(int(colour[at : at + 2], 16) * brightness) for at in (4, 2, 0)]
    return "".join(f"{channel:02X}" for channel in channels)


def _called(number: int) -> str:
    """A font's name within a script."""
    return f"songreel{number}"
