"""Words without times: spread over a song by their syllables, as a draft that is to be edited."""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

from songreel.planning.lines import Line, is_visible
from songreel.planning.lyric_files.song import one_line, split_rows
from songreel.planning.rows import on_one_line

PAUSE = 1.5  # syllables that a singer rests after a line
VERSE = 6.0  # syllables that a song goes on without words after a verse
DRAFT = "A draft: its times are guessed from syllables and sound; correct them by ear."

_HEADING = re.compile(r"\s*\[[^\]]*\]\s*")
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*|[0-9]+")
_VOWELS = re.compile(
    "["
    "aeiouy\u00e6\u00f8\u0153\u0131"  # Latin
    "\u03b1\u03b5\u03b7\u03b9\u03bf\u03c5\u03c9"  # Greek
    "\u0430\u0435\u0438\u043e\u0443\u044b\u044d\u044e\u044f\u0456\u0454"  # Cyrillic
    "]+"
)
_SILENT_E = re.compile(r"[aeiouy].*[^aeiouyl]e(?:s|d)?$")
_SYLLABIC = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL")  # scripts of which a letter is about a syllable
_TIMED = re.compile(r"[,;\t|]\s*\"?[0-9][0-9:.,]*\"?\s*(?:[,;\t|][^,;\t|]*)?$")


def looks_like(text: str) -> bool:
    """Whether a text has rows of words and none that ends in a time, as those of a CSV file do."""
    rows = [row for row in split_rows(text) if is_visible(row)]
    return bool(rows) and not any(map(_TIMED.search, rows))


def command(path: Path) -> str:
    """How a draft is made of a file of words, as it is typed."""
    names = (shlex.quote(on_one_line(str(name))) for name in (path, path.with_suffix(".csv")))
    return f"songreel convert {' '.join(names)} --audio SONG"


def verses(text: str) -> list[list[Line]]:
    """The lines of words, without times, parted by blank rows. Headings as `[Chorus]` are not sung."""
    parted: list[list[Line]] = [[]]
    for row, content in enumerate(split_rows(text), 1):
        if not is_visible(content):
            parted.append([])
        elif not _HEADING.fullmatch(content):
            parted[-1].append(Line(one_line(content), 0.0, row))
    return [verse for verse in parted if verse]


def spread(parted: Sequence[Sequence[Line]], begin: float, end: float) -> list[Line]:
    """The lines of verses with starts from `begin` on, so that all is sung by `end`."""
    weights = [weight for verse in parted for weight in _weights(verse)]
    weights[-1] -= PAUSE + VERSE  # nothing is waited for after the last line
    total = sum(weights)
    before = [0.0, *accumulate(weights[:-1])]
    lines = [line for verse in parted for line in verse]
    return [
        replace(line, start_seconds=round(begin + (end - begin) * sung / total, 3))
        for line, sung in zip(lines, before, strict=True)
    ]


def _weights(verse: Sequence[Line]) -> Iterator[float]:
    for number, line in enumerate(verse, 1):
        yield syllables(line.text) + PAUSE + (VERSE if number == len(verse) else 0)


def syllables(text: str) -> int:
    """About how many syllables a text has, at least one: groups of vowels, or syllabic letters."""
    return max(1, sum(_of_word(word) for word in _WORD.findall(text)))


def _of_word(word: str) -> int:
    syllabic = sum(unicodedata.name(letter, "").startswith(_SYLLABIC) for letter in word)
    if syllabic:
        return syllabic
    if word.isdigit():
        return 2 * len(word)
    bare = "".join(
        letter for letter in unicodedata.normalize("NFD", word.lower()) if not unicodedata.combining(letter)
    )
    groups = len(_VOWELS.findall(bare))
    if not groups:  # Hebrew and Arabic write few vowels
        return 1 if bare.isascii() else (len(bare) + 1) // 2
    return groups - 1 if groups > 1 and _SILENT_E.search(bare) else groups


def snapped(lines: Sequence[Line], onsets: Sequence[tuple[float, float]], reach: float) -> list[Line]:
    """The lines, each at the strongest onset near it: at most `reach` seconds away, and a third of a gap."""
    starts = [line.start_seconds for line in lines]
    moved = []
    for at, line in enumerate(lines):
        gaps = [
            abs(starts[other] - line.start_seconds) for other in (at - 1, at + 1) if 0 <= other < len(lines)
        ]
        within = min([reach, *(gap / 3 for gap in gaps)])
        near = [(strength, when) for when, strength in onsets if abs(when - line.start_seconds) <= within]
        moved.append(replace(line, start_seconds=round(max(near)[1], 3)) if near else line)
    return moved
