"""The texts that the text tower is distilled over: names of pictures, captions, phrases and glosses.

WordNet's nouns and their meanings are among them, so that words never pictured land near ones that were.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from songreel.ground.files import replacing
from songreel_starter import scenes, words
from songreel_starter.sources import read
from songreel_starter.sprites import Shard
from songreel_starter.things import Library

SHORTEST, LONGEST = 2, 110  # characters
SCENES_SEED = 1_000_003  # apart from the seeds that models are trained with
GLOSSES, COLOURED, PHRASES = 0.3, 0.1, 0.1  # shares of the texts, at most; names come first, captions last
PARTS_OF_SPEECH = ("noun", "verb", "adj")
PRONOUNS = ("I", "you", "we", "she", "he", "they")
BETWEEN = (
    *(
        "on",
        "in",
        "under",
        "by",
        "with",
        "over",
        "near",
        "behind",
        "through",
        "across",
        "above",
        "beside",
        "without",
    ),
    *("from", "like", "around", "inside", "to"),
)
COLOURS = tuple(words.COLOURS)
DETERMINERS = ("a", "the", "my", "your", "this", "every", "some")


def collect(shards: Sequence[Shard], wordnet: Path | None, count: int, seed: int) -> list[str]:
    """About `count` different texts, shuffled: names and keywords, glosses, phrases and captions."""
    dice = random.Random(seed)
    library = scenes.library(shards, pictures=False)
    texts = dict.fromkeys(_kept(_labels(library)))
    meanings = _meanings(wordnet) if wordnet else []
    glosses = list(dict.fromkeys(_kept(text for word, gloss in meanings for text in _described(word, gloss))))
    texts |= dict.fromkeys(dice.sample(glosses, min(len(glosses), int(count * GLOSSES))))
    vocabulary = [word for word, _ in meanings if " " not in word] or sorted(library.names)
    phrases = (_phrase(vocabulary, dice) for _ in range(int(count * PHRASES)))
    texts |= dict.fromkeys(_kept(phrases))
    names = sorted(library.names)
    coloured = (f"{dice.choice(COLOURS)} {dice.choice(names)}" for _ in range(int(count * COLOURED)))
    texts |= dict.fromkeys(_kept(coloured))
    captions = _kept(scenes.plan(library, SCENES_SEED + seed, index).caption for index in range(2 * count))
    for caption in captions:
        if len(texts) >= count:
            break
        texts[caption] = None
    shuffled = list(texts)
    dice.shuffle(shuffled)
    return shuffled


def write(texts: Sequence[str], target: Path) -> None:
    """One text a line."""
    with replacing(target) as temporary:
        temporary.write_text("\n".join(texts) + "\n", encoding="utf-8")


def load(path: Path) -> list[str]:
    """What `write` wrote."""
    return path.read_text(encoding="utf-8").splitlines()


def _kept(texts: Iterable[str]) -> Iterator[str]:
    plain = (re.sub(r"\s+", " ", text).strip() for text in texts)
    return (text for text in plain if SHORTEST <= len(text) <= LONGEST)


def _labels(library: Library) -> Iterator[str]:
    for entry in library.entries:
        yield entry.label
        yield from entry.keywords
        yield ", ".join((entry.label, *entry.keywords[:3]))


def _meanings(wordnet: Path) -> list[tuple[str, str]]:
    """WordNet's words with their glosses, the first word of each set of synonyms."""
    paths = [f"dict/data.{part}" for part in PARTS_OF_SPEECH]
    files = read(wordnet, "npm", *paths)
    lines = (line for path in paths for line in files[path].decode("utf-8").splitlines())
    rows = (line.split(" | ", 1) for line in lines if " | " in line and not line.startswith("  "))
    return [(head.split()[4].split("(")[0].replace("_", " "), gloss.strip()) for head, gloss in rows]


def _described(word: str, gloss: str) -> Iterator[str]:
    """A word, what it means, and how it is used."""
    meaning = gloss.split(";")[0]
    yield word.lower()
    yield meaning
    yield f"{word.lower()}, {meaning}"
    yield from re.findall(r'"([^"]{8,80})"', gloss)


def _phrase(vocabulary: Sequence[str], dice: random.Random) -> str:
    """Words side by side as lyrics put them, meaning aside."""
    one, two, three = (dice.choice(vocabulary).lower() for _ in range(3))
    return dice.choice(
        (
            f"{dice.choice(DETERMINERS)} {one} {dice.choice(BETWEEN)} {dice.choice(DETERMINERS)} {two}",
            f"{dice.choice(COLOURS)} {words.plural(one)} and {dice.choice(COLOURS)} {two}",
            f"{dice.choice(PRONOUNS)} {one} {dice.choice(BETWEEN)} the {two}",
            f"{one} and {two}, {three}",
            dice.choice(words.LYRICS).format(f"{dice.choice(DETERMINERS)} {one} {two}"),
        )
    )
