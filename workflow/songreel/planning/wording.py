"""What of a line's text and style a perceptor reads, whose context holds only so many tokens.

CLIP drops what is too long from the end, where the style stands: two styles would give one picture. So the
text is cut before the style.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from songreel.ground.messages import shorten
from songreel.models import catalogue, weights
from songreel.models.tokens import fits
from songreel.models.weights import Weights

PUBLISHED_CONTEXT = 77  # tokens, of every CLIP that OpenAI has published
MOST_LETTERS = 400  # of what a note repeats


@dataclass(frozen=True)
class Reading:
    """What one perceptor is given, and what it does not read of that line."""

    words: str  # the text with the style; that it is cut at its end may be left to the perceptor
    cut_text: str = ""  # the end of the text
    cut_style: str = ""  # the end of the style


def context(judge: Weights) -> int:
    """The tokens that a perceptor's context holds. Raises UserError when its checkpoint is no CLIP."""
    if catalogue.perceptor(judge.name):
        return PUBLISHED_CONTEXT
    known = weights.params(judge).get("context_length") if judge.architecture.is_file() else None
    if isinstance(known, int):
        return known
    # For one of the user's own, not converted yet; it imports torch, which takes a while.
    from songreel.models import obtain

    return obtain.context(Path(judge.name))


def joined(text: str, style: str) -> str:
    """The words that steer, where a context holds them all."""
    return f"{text}, {style}" if style else text


def read(text: str, style: str, context: int) -> Reading:
    """What a context holds of a line: all of the style, and of the text as much as there is room for.

    Where the style alone leaves no room for a word, half of the room is the text's.
    """
    whole = joined(text, style)
    if fits(whole, context):
        return Reading(whole)
    kept = _longest(text, "", style, context)
    if not style:
        return Reading(whole, text[len(kept) :].strip())  # its end is what the perceptor drops
    if kept:
        return Reading(joined(kept, style), text[len(kept) :].strip())
    kept = _longest(text, "", "", (context + 2) // 2)
    style_kept = _longest(style, f"{kept}, ", "", context)
    return Reading(joined(kept, style), text[len(kept) :].strip(), style[len(style_kept) :].strip())


def _longest(text: str, before: str, style: str, context: int) -> str:
    """The longest beginning of a text that a context holds with what stands around it, in whole words.

    Of a text whose first word is too long, as of one that is written without spaces, as many letters.
    """

    def held(end: int) -> bool:
        return fits(before + joined(text[:end], style), context)

    words = [word.end() for word in re.finditer(r"\S+", text)]
    if not words:
        return ""
    ends = words if held(words[0]) else range(1, words[0])
    at = bisect.bisect_left(ends, True, key=lambda end: not held(end))
    while at and not held(ends[at - 1]):  # a few more letters may make fewer tokens
        at -= 1
    return text[: ends[at - 1]] if at else ""


def note(place: str, readings: Mapping[str, Reading]) -> str | None:
    """What the perceptors do not read of a line, in one sentence; None where they read all of it."""
    cut = {name: reading for name, reading in readings.items() if reading.cut_text or reading.cut_style}
    if not cut:
        return None
    parts: dict[str, list[str]] = {}
    for name, reading in cut.items():
        parts.setdefault(_missing(reading), []).append(repr(name))
    unread = "; ".join(
        f"the perceptor {' and '.join(names)} reads no {missing}" for missing, names in parts.items()
    )
    return (
        f"{place}: {unread}, for which its context has no room, so that it steers nothing; use fewer words."
    )


def _missing(reading: Reading) -> str:
    cuts = [("text", reading.cut_text), ("style", reading.cut_style)]
    return " and no ".join(
        f"{shorten(cut, MOST_LETTERS)} at the end of the {part}" for part, cut in cuts if cut
    )
