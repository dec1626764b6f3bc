"""Prompts as they are written for Stable Diffusion, put into songreel's: parts, weights, what to avoid."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from songreel.planning import prompts
from songreel.planning.lines import is_visible

MOST_ROUNDS = 20  # of brackets in each other
SMALLEST = 0.05  # weight that is kept

_NEGATIVE = re.compile(r"\s--neg\b|^--neg\b")
_OPTION = re.compile(r"\s--(?!neg\b)[a-z_]+(?:[ =][^\s-][^\s]*)?")
_AND = re.compile(r"\bAND\b")
_PART_WEIGHT = re.compile(r":\s*([-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))\s*$")
_NETWORK = re.compile(r"<(?:lora|lyco|hypernet)[^<>]*>")
_COMPUTED = re.compile(r"`[^`]*`")
_EDITED = re.compile(r"\[([^\[\]:|]*):([^\[\]:|]*):\s*[0-9.]+\s*\]")
_ALTERNATING = re.compile(r"\[([^\[\]|]+(?:\|[^\[\]|]+)+)\]")
_WEIGHED = re.compile(r"(?<!\\)\(([^()]*?)(?::\s*[-+]?[0-9.]*\s*)?(?<!\\)\)")
_WEAKER = re.compile(r"(?<!\\)\[([^\[\]]*?)(?<!\\)\]")
_ESCAPED = re.compile(r"\\([()\[\]])")

# What is lost of a prompt, in words
NETWORKS = "networks such as <lora:…>"
WEIGHTS = "weights of words inside a prompt such as (word:1.2)"
EDITING = "words that change while a picture is made, such as [a:b:0.5] and [a|b]"
COMPUTED = "weights as formulas, `…`"
OPTIONS = "settings inside a prompt, --…"


@dataclass(frozen=True)
class Phrase:
    """A prompt in songreel's words."""

    text: str  # all that pulls, without weights
    prompt: str  # as the column has it; "" where nothing is said
    avoid: str  # as the column has it
    lost: frozenset[str]  # of the kinds above


def converted(prompt: str) -> Phrase:
    """The prompt that pulls and what it avoids."""
    lost: set[str] = set()
    pulling, *pushing = _NEGATIVE.split(prompt)
    parts = [*_parts(pulling, lost)]
    avoided = ", ".join(_words(text, lost) for text in pushing if _words(text, lost))
    # Of several the weights count, of one alone its own
    told = [(words, weight if len(parts) > 1 else 1.0) for words, weight in parts]
    return Phrase(
        text=", ".join(dict.fromkeys(words for words, weight in told if weight > 0)),
        prompt=written(told),
        avoid=prompts.escaped(avoided),
        lost=frozenset(lost),
    )


def written(parts: Sequence[tuple[str, float]]) -> str:
    """Words with weights, as the column `prompt` has them."""
    return " | ".join(prompts.written(words, "", weight, None) for words, weight in parts)


def weighed(prompt: str) -> list[tuple[str, float]]:
    """The parts of a prompt that pull, with their weights."""
    return [*_parts(_NEGATIVE.split(prompt)[0], set())]


def _parts(text: str, lost: set[str]) -> Iterator[tuple[str, float]]:
    parts = _AND.split(text)
    for part in parts:
        # Of one alone a number at its end is a word
        match = _PART_WEIGHT.search(part) if len(parts) > 1 else None
        weight = float(match[1]) if match else 1.0
        words = _words(part[: match.start()] if match else part, lost)
        if words and abs(weight) >= SMALLEST:
            yield words, max(-prompts.MOST, min(prompts.MOST, round(weight, 3)))


def _words(text: str, lost: set[str]) -> str:
    """A text without what only Stable Diffusion understands; "" where nothing is left to be seen."""
    for kind, pattern in ((NETWORKS, _NETWORK), (COMPUTED, _COMPUTED), (OPTIONS, _OPTION)):
        text = _without(pattern, " ", text, kind, lost)
    text = _without(_EDITED, r"\1 \2", text, EDITING, lost)
    text = _without(_ALTERNATING, lambda match: match[1].replace("|", ", "), text, EDITING, lost)
    for _ in range(MOST_ROUNDS):
        before = text
        for pattern in (_WEIGHED, _WEAKER):
            text = _without(pattern, r"\1", text, WEIGHTS, lost)
        if text == before:
            break
    text = _ESCAPED.sub(r"\1", re.sub(r"\bBREAK\b", ",", text))
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    text = re.sub(r"\s*,(?:\s*,)*", ",", " ".join(text.split())).strip(" ,;")
    return text if is_visible(text) else ""


def _without(pattern: re.Pattern[str], instead: object, text: str, kind: str, lost: set[str]) -> str:
    replaced, count = pattern.subn(instead, text)  # type: ignore[call-overload]
    if count:
        lost.add(kind)
    return str(replaced)
