"""Prompts as people write them: `a castle | blurry:-0.3 | [photos/boat.jpg]:0.4 | fog:-1:-0.2`.

Parts with weights and stops, as all programs of this kind have them (see docs/direction.md). Only a number at
a part's end is a weight, and after `\\` a `|`, `:`, `[`, `]` or `\\` is a letter like others.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from songreel.ground.errors import UserError
from songreel.planning.rows import shown

MOST = 10  # no weight is larger: it is a time of day
MOST_PARTS = 64
AVOIDED = -0.5  # the weight of what is to be avoided, unless told
EXPECTED = "parts such as a castle | storm clouds:0.5 | blurry:-0.3 | [photos/boat.jpg]:0.4"

Refuse = Callable[[str, str, str], UserError]  # makes a sentence of what was found, was expected and helps

_LETTER = re.compile(r"\\[|:\[\]\\]|.", re.DOTALL)
_NUMBER = re.compile(r"[-+\u2212]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)")
_MINUTES = re.compile(r"0[0-9]+")  # as in 12:00, which nobody means for a weight
_ESCAPED = re.compile(r"[|:\[\]\\]")


@dataclass(frozen=True)
class Prompt:
    """A part as it is written: words, or the path of a picture."""

    words: str = ""
    path: str = ""
    weight: float = 1.0
    stop: float | None = None  # the signed spherical distance below which it no longer pulls; None: never


def parse(text: str, refuse: Refuse, usual: float = 1.0) -> tuple[Prompt, ...]:
    """The parts of a prompt, without those whose weight is 0, which pull nothing.

    A part without a weight has the `usual` one. Raises what `refuse` makes of a part without words, a weight
    above 10 or a picture's path without an end.
    """
    parts = [_part(letters, usual, refuse) for letters in _split(_LETTER.findall(text), "|")]
    if len(parts) > MOST_PARTS:
        raise refuse(f"{len(parts)} parts in {shown(text)}", f"{MOST_PARTS} at most", "leave some out")
    pulling = tuple(part for part in parts if part.weight)
    if not pulling:
        raise refuse(f"no weight but 0 in {shown(text)}", EXPECTED, "give one of its parts another weight")
    return pulling


def parse_avoided(text: str, refuse: Refuse) -> tuple[Prompt, ...]:
    """The parts of what is to be avoided: their weights are below 0, however they are written.

    Raises what `refuse` makes of it as `parse` does.
    """
    parts = parse(text, refuse, usual=AVOIDED)
    return tuple(replace(part, weight=-abs(part.weight)) for part in parts)


def _split(letters: Sequence[str], mark: str) -> Iterator[list[str]]:
    """What stands between the marks that are not escaped."""
    part: list[str] = []
    for letter in letters:
        if letter == mark:
            yield part
            part = []
        else:
            part.append(letter)
    yield part


def _part(letters: list[str], usual: float, refuse: Refuse) -> Prompt:
    *body, weight, stop = _numbered([*_split(letters, ":")])
    words = ":".join(body).strip()
    if not words:
        raise refuse(
            f"a part without words ({shown(''.join(letters))})" if letters else "a part without words",
            EXPECTED,
            r"write words there, a row for each scene, or \| for a bar that is a letter",
        )
    strength = _number(weight, usual)
    if abs(strength) > MOST or _MINUTES.fullmatch(weight.strip()):
        escaped = rf"{words.rpartition(' ')[2]}\:{weight.strip()}"
        raise refuse(
            f"the weight {weight.strip()} of {shown(_plain(words))}",
            f"a weight from -{MOST} to {MOST} such as 0.5",
            f"write {escaped} if it is no weight, or a smaller one",
        )
    limit = _number(stop, -math.inf)
    path = _path(words, refuse)
    return Prompt(
        words="" if path else _plain(words),
        path=path,
        weight=strength,
        stop=None if limit == -math.inf else limit,
    )


def _numbered(fields: list[list[str]]) -> list[str]:
    """What stands between a part's colons, of which the last two are a weight and a stop, "" where unsaid."""
    texts = ["".join(field) for field in fields]
    if len(texts) > 2 and _is_number(texts[-2]) and (_is_number(texts[-1]) or texts[-1].strip() == "-inf"):
        return texts
    return [*texts, ""] if len(texts) > 1 and _is_number(texts[-1]) else [*texts, "", ""]


def _is_number(text: str) -> bool:
    return bool(_NUMBER.fullmatch(text.strip()))


def _number(text: str, usual: float) -> float:
    return float(text.strip().replace("\u2212", "-")) if text else usual


def _path(words: str, refuse: Refuse) -> str:
    """The path of an image prompt in brackets; "" for words."""
    letters = _LETTER.findall(words)
    if letters[0] != "[":
        return ""
    path = _plain("".join(letters[1:-1])).strip()
    if letters[-1] != "]" or not path:
        raise refuse(
            f"{shown(words)}, which begins with a bracket and does not end with one",
            "a picture's path as in [photos/boat.jpg]",
            r"close the bracket, or write \[ for one that is a letter",
        )
    return path


def _plain(text: str) -> str:
    """A text without the marks that make letters of what else would mean something."""
    return "".join(letter[-1] for letter in _LETTER.findall(text))


def escaped(text: str) -> str:
    """Words as a prompt has to have them, to mean nothing but themselves."""
    return _ESCAPED.sub(r"\\\g<0>", text)


def written(words: str, picture: str, weight: float, stop: float | None) -> str:
    """A part as it may be written, an image prompt by its sha256."""
    body = f"[{picture}]" if picture else escaped(words)
    if stop is not None:
        return f"{body}:{weight:g}:{stop:g}"
    return body if weight == 1 else f"{body}:{weight:g}"
