"""Words beneath pictures, as on a contact sheet: laid out for libass as those on a clip are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil

from songreel.drawing import ass, fonts
from songreel.drawing.ass import Layout
from songreel.drawing.fonts import Font
from songreel.ground.lettering import LETTERING, Face, Lettering, Sung

MOST_ROWS = 4  # of words; they become smaller instead
MOST_LETTERS = 160  # of them
FACTS = 0.8  # of the words' size have the facts above them
# Parts of an em.
GAP = 0.35
END = 0.3
WORDS_COLOUR, FACTS_COLOUR = "eeeeee", "9a9a9a"


@dataclass(frozen=True)
class Caption:
    """What stands beneath a picture: a small row of facts, then words."""

    facts: str
    words: str


def script(
    captions: Sequence[Caption],
    faces: tuple[Face, ...],
    picture: tuple[int, int],
    em: float,
    carried: Mapping[str, bytes],
) -> tuple[bytes, int]:
    """An ASS file that has each caption on a frame of its own, beneath a picture of so many pixels.

    Each letter has the first of the `faces` that draws it, whose files `carried` holds by their sha256; words
    are `em` pixels large, or smaller where they would not fit. Returns it with how many pixels all of them
    take beneath a picture. Raises ValueError when one of the fonts is none.
    """
    width, height = picture
    lettered = [
        (_lettering(caption.facts, frame, faces), _lettering(shortened(caption.words), frame, faces))
        for frame, caption in enumerate(captions)
    ]
    drawn_with = ass.settled([one for both in lettered for one in both], carried)
    layouts = [
        (_laid_out(facts, width, FACTS * em, drawn_with), _laid_out(words, width, em, drawn_with))
        for facts, words in lettered
    ]
    beneath = max(_height(facts) + _height(words) for facts, words in layouts)
    strip = ceil(beneath + (GAP + END) * em)
    events: list[str] = []
    for both, laid in zip(lettered, layouts, strict=True):
        events += _events(both, laid, width, height + GAP * em, drawn_with)
    return ass.document((width, height + strip), em, WORDS_COLOUR, drawn_with, events), strip


def shortened(text: str) -> str:
    """A text on one line, cut to so many letters with their marks as a caption has room for."""
    letters = fonts.clusters(" ".join(text.split()))
    if len(letters) <= MOST_LETTERS:
        return "".join(letters)
    kept = "".join(letters[: MOST_LETTERS - 1])
    whole, blank, _ = kept.rpartition(" ")
    return (whole if blank and 2 * len(whole) > len(kept) else kept).rstrip() + "\u2026"


def _lettering(text: str, frame: int, faces: tuple[Face, ...]) -> Lettering:
    sung = (Sung(text, frame),)
    return Lettering(LETTERING, frame, frame + 1, sung, faces, 0, WORDS_COLOUR, "top")


def _laid_out(lettering: Lettering, width: int, em: float, faces: Sequence[Font]) -> Layout:
    """Rows no higher than MOST_ROWS of the size asked for."""
    area = (width, ceil(MOST_ROWS * ass.ROW * em / ass.HIGHEST))
    return ass.laid_out(replace(lettering, size=100 * em / min(area)), area, faces)


def _height(layout: Layout) -> float:
    """How many pixels its rows take."""
    return len(layout.rows) * ass.ROW * layout.em


def _events(
    both: tuple[Lettering, Lettering],
    layouts: tuple[Layout, Layout],
    width: int,
    top: float,
    faces: Sequence[Font],
) -> Iterator[str]:
    """The rows of a caption, the first of them `top` pixels below the picture's upper edge."""
    for lettering, layout, colour in zip(both, layouts, (FACTS_COLOUR, WORDS_COLOUR), strict=True):
        feet = [top + (ass.ASCENT + number * ass.ROW) * layout.em for number in range(len(layout.rows))]
        placed = replace(layout, baselines=tuple(feet))
        tags = rf"\bord0\shad0\1c&H{ass.bgr(colour, 1)}&"
        yield from ass.dialogue(lettering, placed, width, faces, tags)
        top += _height(layout)
