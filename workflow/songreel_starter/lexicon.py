"""Which words name which things: by their labels, CLDR's keywords, WordNet's synonyms and a table by hand."""

from __future__ import annotations

import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from songreel_starter import readers
from songreel_starter.sources import read

CONCRETE = frozenset((5, 6, 8, 13, 17, 18, 20))  # WordNet's files of nouns that can be shown
# Where a group's things are in WordNet; those of other groups may be anywhere that can be shown.
FILES: Mapping[str, frozenset[int]] = {
    **{"nature": frozenset((5, 20)), "food": frozenset((13, 6, 20)), "people": frozenset((18, 8))},
    **{"travel": frozenset((6, 17, 19)), "activities": frozenset((6,)), "objects": frozenset((6, 10, 21))},
}
LABEL, HEAD, BY_HAND, PICTURED, KEYWORD, CLIMBED = 100, 82, 96, 64, 52, 90  # weights of names
STEP, SENSE = 14, 40  # less for each step up in WordNet, and for a sense that is never meant
STEPS = 4
ALIVE, COUSIN = ("nature", "food"), 44
BEHIND = 12  # that much less than what the table says are all others
LEAST, MOST = 34, 8  # weight of a name; things of a word
PLAIN = re.compile(r"[a-z][a-z' ]+")


@dataclass(frozen=True)
class Named:
    """A thing that can be shown, and what it is called."""

    label: str
    keywords: tuple[str, ...]
    group: str


@dataclass(frozen=True)
class Synset:
    """A meaning: the words for it, the file it is in, and what it is a kind of."""

    words: tuple[str, ...]
    file: int
    above: tuple[str, ...]


class WordNet:
    """Its nouns: what each word may mean, most often meant first."""

    def __init__(self, archive: Path) -> None:
        found = read(archive, "npm", "dict/data.noun", "dict/index.sense")
        lines = found["dict/data.noun"].decode("utf-8").splitlines()
        self.synsets = dict(_synset(line) for line in lines if not line.startswith("  "))
        self.senses: dict[str, list[tuple[str, int]]] = defaultdict(list)  # word: synset, how often meant
        rows = (line.split() for line in found["dict/index.sense"].decode("utf-8").splitlines())
        nouns = [(key, where, int(rank), int(often)) for key, where, rank, often in rows if "%1:" in key]
        for key, where, _, often in sorted(nouns, key=lambda row: row[2]):
            self.senses[key.partition("%")[0].replace("_", " ")].append((where, often))

    def meaning(self, word: str, files: frozenset[int]) -> str | None:
        """The first synset of a word that is in some files."""
        return next((it for it, _ in self.senses.get(word, ()) if self.synsets[it].file in files), None)

    def climbed(self, synset: str) -> dict[str, int]:
        """What a synset is a kind of, itself included, and how many steps up that is."""
        steps, edge = {synset: 0}, [synset]
        for step in range(1, STEPS):
            edge = [above for it in edge for above in self.synsets[it].above if above not in steps]
            steps |= dict.fromkeys(edge, step)
        return steps

    @cached_property
    def words(self) -> list[str]:
        return [word for word in self.senses if PLAIN.fullmatch(word) and word.count(" ") < 2]


def _synset(line: str) -> tuple[str, Synset]:
    fields = line.split(" | ")[0].split()
    count = int(fields[3], 16)
    words = tuple(word.lower().replace("_", " ") for word in fields[4 : 4 + 2 * count : 2])
    pointers = fields[5 + 2 * count :]
    above = tuple(
        where for kind, where in zip(pointers[::4], pointers[1::4], strict=False) if kind in ("@", "@i")
    )
    return fields[0], Synset(words, int(fields[1]), above)


def subgroups(archive: Path) -> dict[str, str]:
    """The subgroup of each of emojibase's labels, such as `animal-bird`."""
    found = read(archive, "npm", "en/data.json", "meta/groups.json")
    entries, groups = (json.loads(found[name]) for name in ("en/data.json", "meta/groups.json"))
    names = {int(number): name for number, name in groups["subgroups"].items()}
    labels = ((readers.words(entry["label"].replace(":", " ")), entry) for entry in entries)
    return {label: names[entry["subgroup"]] for label, entry in labels if "subgroup" in entry}


def lexicon(
    things: Sequence[Named], wordnet: WordNet, by_hand: Mapping[str, Sequence[str]]
) -> dict[str, list[tuple[int, int]]]:
    """For each word the things that it may mean as (index, weight 0..100), the best first."""
    weights: dict[str, dict[int, int]] = defaultdict(dict)
    for word, index, weight in (
        *_told(things, wordnet),
        *_kinds(things, wordnet),
        *_cousins(things, wordnet),
    ):
        weights[word][index] = max(weight, weights[word].get(index, 0))
    for word, told in _pictured(things, wordnet, by_hand).items():
        most = min(told.values()) - BEHIND
        weights[word] = {index: min(weight, most) for index, weight in weights[word].items()} | told
    kept = {}
    for word in sorted(weights):
        best = sorted(weights[word].items(), key=lambda row: (-row[1], row[0]))[:MOST]
        if best[0][1] >= LEAST:
            kept[word] = [row for row in best if row[1] >= LEAST]
    return kept


def _told(things: Sequence[Named], wordnet: WordNet) -> Iterator[tuple[str, int, int]]:
    """Names by label, by the last word of a label, by keyword."""
    shared = Counter(keyword for thing in things for keyword in thing.keywords)
    for index, thing in enumerate(things):
        yield thing.label, index, LABEL
        if head := _head(thing.label, wordnet):
            yield head, index, HEAD - 6 * thing.label.count(" ")
        for word in thing.label.split()[1:]:
            if word.endswith("ing") and thing.group in ("people", "activities"):
                yield word, index, HEAD
        for keyword in thing.keywords:
            if PLAIN.fullmatch(keyword):
                yield keyword, index, KEYWORD - round(5 * math.log2(shared[keyword]))


def _head(label: str, wordnet: WordNet) -> str | None:
    """The word that says what it is: a hot dog is no dog."""
    words = re.split(r" (?:with|of|in|on|and|at|without|facing|holding) ", label)[0].split()
    if len(words) < 2 and " " not in label:
        return None
    head = words[-1]
    known = wordnet.senses.get(label, ())
    kinds = {above for it, _ in known for above in wordnet.climbed(it)}
    if known and not any(it in kinds for it, _ in wordnet.senses.get(head, ())):
        return None
    return head


def _cousins(things: Sequence[Named], wordnet: WordNet) -> Iterator[tuple[str, int, int]]:
    """Animals, plants and food of one kind with a thing: a weasel is near an otter."""
    kin: dict[str, list[int]] = defaultdict(list)
    for index, thing in enumerate(things):
        if thing.group in ALIVE and (meaning := wordnet.meaning(thing.label, FILES[thing.group])):
            for above in wordnet.synsets[meaning].above:
                kin[above].append(index)
    for word in wordnet.words:
        synset = wordnet.senses[word][0][0]
        for above in wordnet.synsets[synset].above:
            yield from ((word, index, COUSIN) for index in kin.get(above, ())[:MOST])


def _kinds(things: Sequence[Named], wordnet: WordNet) -> Iterator[tuple[str, int, int]]:
    """Words whose meaning is that of a thing, or a kind of it: a steed is a horse."""
    shown: dict[str, list[int]] = defaultdict(list)
    for index, thing in enumerate(things):
        if meaning := wordnet.meaning(thing.label, FILES.get(thing.group, CONCRETE)):
            shown[meaning].append(index)
    for word in wordnet.words:
        senses = wordnet.senses[word]
        total = sum(often for _, often in senses) + 1 + len(senses)
        for rank, (synset, often) in enumerate(senses[:6]):
            share = (often + 1 + (rank == 0)) / total
            for above, steps in wordnet.climbed(synset).items():
                for index in shown.get(above, ()):
                    yield word, index, round(CLIMBED - STEP * steps - SENSE * (1 - share) ** 2)


def _pictured(
    things: Sequence[Named], wordnet: WordNet, by_hand: Mapping[str, Sequence[str]]
) -> dict[str, dict[int, int]]:
    """The table's words. What can be shown itself counts more than what stands for an idea."""
    where = {thing.label: index for index, thing in enumerate(things)}
    found = {}
    for word, names in by_hand.items():
        senses = wordnet.senses.get(word) or wordnet.senses.get(word.removesuffix("s"))
        shown = word in where or (senses is not None and wordnet.synsets[senses[0][0]].file in CONCRETE)
        indices = [where[readers.words(name)] for name in names]
        found[word] = {
            index: (BY_HAND if shown else PICTURED) - 3 * rank for rank, index in enumerate(indices)
        }
    return found


def missing(things: Iterable[Named], by_hand: Mapping[str, Sequence[Any]]) -> list[str]:
    """Names in the table that no thing has."""
    labels = {thing.label for thing in things}
    return sorted(
        {str(name) for names in by_hand.values() for name in names if readers.words(str(name)) not in labels}
    )
