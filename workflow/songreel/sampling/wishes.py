"""What a line of words asks for: things with their colours and numbers, a place, light and weather."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from songreel.sampling.drawings import Drawings

Rgb = tuple[int, int, int]

COLOURS: Mapping[str, Rgb] = {
    **{"red": (215, 35, 35), "crimson": (170, 20, 50), "scarlet": (235, 40, 25), "orange": (245, 140, 25)},
    **{"yellow": (250, 215, 45), "golden": (232, 180, 45), "gold": (232, 180, 45), "green": (50, 160, 60)},
    **{"blue": (45, 95, 215), "azure": (70, 150, 240), "purple": (125, 50, 175), "violet": (150, 80, 210)},
    **{"pink": (245, 130, 175), "brown": (125, 75, 40), "black": (28, 28, 34), "white": (248, 248, 248)},
    **{"grey": (140, 140, 146), "gray": (140, 140, 146), "silver": (190, 196, 204)},
}
SKIES = {
    "golden": "yellow",
    "gold": "yellow",
    "crimson": "red",
    "scarlet": "red",
    "violet": "purple",
    "gray": "grey",
}
NUMBERS = {
    **{"two": 2, "both": 2, "pair": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8},
    **{"nine": 9, "ten": 9, "twelve": 9, "dozen": 9, "hundred": 9, "hundreds": 9, "thousand": 9},
    **{"thousands": 9, "million": 9, "millions": 9, "many": 5, "countless": 9, "several": 4, "some": 3},
}
SOME = 3  # of what is named in the plural
IRREGULAR = {
    **{
        "children": "child",
        "men": "man",
        "women": "woman",
        "feet": "foot",
        "geese": "goose",
        "mice": "mouse",
    },
    **{"wolves": "wolf", "leaves": "leaf", "knives": "knife", "wives": "wife", "lives": "life", "oxen": "ox"},
    **{"teeth": "tooth", "sheaves": "sheaf", "loaves": "loaf", "thieves": "thief", "elves": "elf"},
    **{"ran": "run", "sang": "sing", "sung": "sing", "wept": "weep", "flew": "fly", "flown": "fly"},
    **{
        "shone": "shine",
        "slept": "sleep",
        "rode": "ride",
        "ridden": "ride",
        "drove": "drive",
        "wrote": "write",
    },
    **{
        "written": "write",
        "swam": "swim",
        "left": "leave",
        "blew": "blow",
        "fought": "fight",
        "dreamt": "dream",
    },
    **{
        "died": "die",
        "dying": "die",
        "lay": "lie",
        "burnt": "burn",
        "drank": "drink",
        "ate": "eat",
        "fell": "fall",
    },
    **{
        "forgot": "forget",
        "forgotten": "forget",
        "grew": "grow",
        "rang": "ring",
        "sank": "sink",
        "stood": "stand",
    },
    **{"heard": "hear", "saw": "see", "kept": "keep", "spoke": "speak", "wore": "wear", "woke": "wake"},
}
EXACT = 100  # the weight of a thing's own name
REACH = 3  # words from a colour to what has it
DONE = 45  # what a verb's form weighs less than the noun that it looks like
SHOWN = 30  # weight from which a word's thing is shown
NAMED = 90  # the least that a thing weighs which a word names by itself
BESIDE = 45  # the most that a thing weighs whose word is a place, too
ALONE = ("people", "smileys", "body", "face", "emotion", "heart", "hand", "person", "family", "place", "time")


@dataclass(frozen=True)
class Mention:
    """A word that names things: (index, weight 0..100) of each, the best first; what is said of them."""

    word: str
    things: tuple[tuple[int, int], ...]
    weight: int
    position: int
    colour: str = ""
    count: int = 1
    place: bool = False  # whether the word is a place, a light or a weather, too


@dataclass(frozen=True)
class Wish:
    """What a text asks for. Mentions are in the text's order."""

    mentions: tuple[Mention, ...] = ()
    grounds: tuple[str, ...] = ()
    sky: str = ""
    weather: str = ""

    def __bool__(self) -> bool:
        return bool(self.mentions or self.grounds or self.sky or self.weather)


@dataclass
class _Reading:
    """What was found so far."""

    mentions: list[Mention] = field(default_factory=list)
    grounds: list[str] = field(default_factory=list)
    ground_at: int = -9
    sky: str = ""
    weather: str = ""
    colour: str = ""
    colour_at: int = -9
    count: int = 0


class Words:
    """An album's words, ready to look up."""

    def __init__(self, album: Drawings) -> None:
        self.album = album
        self.grounds = {word: it.name for it in album.grounds for word in it.words}
        self.skies = {word: it.name for it in album.skies for word in it.words}
        self.weathers = {word: it for it in album.weathers for word in it.words}
        self.tinted = {it.name for it in album.skies}

    def read(self, text: str) -> Wish:
        """What a text asks for."""
        tokens = [token.removesuffix("'s") for token in re.findall(r"[a-z]+(?:'[a-z]+)?", _plain(text))]
        found, position = _Reading(), 0
        while position < len(tokens):
            position += self._take(found, tokens, position)
        grounds = [it for it in dict.fromkeys(found.grounds) if it != "snow"]
        if "snow" in found.grounds and grounds:  # it snows there
            found.weather = found.weather or "snow"
        return Wish(tuple(found.mentions), tuple(grounds or found.grounds[:1]), found.sky, found.weather)

    def _take(self, found: _Reading, tokens: Sequence[str], position: int) -> int:
        """Read on from a position; how many words that took."""
        for length in (3, 2, 1):
            part = tokens[position : position + length]
            if len(part) == length and self._meant(found, part, position, tokens[position + length :]):
                return length
        return 1

    def _meant(self, found: _Reading, part: Sequence[str], position: int, after: Sequence[str]) -> bool:
        phrase = " ".join(part)
        if len(part) == 1 and self._said_of(found, phrase, position, after):
            return True
        names = [*part[:-1]]
        forms = [" ".join([*names, form]) for form in _forms(part[-1])]
        place = self._place(found, forms, position)
        if len(part) == 1 and phrase in self.album.silent:
            return place
        known = [it for it in forms if it in self.album.words]
        form = max(known, key=lambda it: self.album.words[it][1], default=None)
        if form is not None and len(part) > 1 and part[0] in COLOURS and self.album.words[form][1] < EXACT:
            return place  # a black sheep is a sheep
        if form is not None:
            self._mention(found, form, phrase, position, place)
        return place or form is not None

    def _said_of(self, found: _Reading, word: str, position: int, after: Sequence[str]) -> bool:
        """A colour or a number, of what comes next or came just before."""
        if word in NUMBERS:
            found.count = NUMBERS[word]
            return True
        if word not in COLOURS:
            return False
        follows = any(self._names(it) for it in after[:2])
        if word in ("orange", "gold", "silver", "violet") and not follows:
            return False
        if follows or not found.mentions:
            found.colour, found.colour_at = word, position
        elif not found.mentions[-1].colour and position - found.mentions[-1].position <= REACH:
            found.mentions[-1] = replace(found.mentions[-1], colour=word)
        return True

    def _names(self, word: str) -> bool:
        if word in self.album.silent or word in COLOURS:
            return False
        known = (self.album.words, self.grounds, self.skies)
        return any(form in words for form in _forms(word) for words in known)

    def _place(self, found: _Reading, forms: Sequence[str], position: int) -> bool:
        """Note a place, light or weather; whether one was found."""
        ground = next((self.grounds[form] for form in forms if form in self.grounds), None)
        sky = next((self.skies[form] for form in forms if form in self.skies), None)
        weather = next((self.weathers[form] for form in forms if form in self.weathers), None)
        if ground:
            found.grounds.append(ground)
            found.ground_at = position
            colour = SKIES.get(found.colour, found.colour)
            if ground == "sky" and colour in self.tinted and position - found.colour_at <= REACH:
                found.sky, found.colour = colour, ""
        if sky and (not found.sky or found.sky == "day"):
            found.sky = sky
        if weather:
            found.weather = weather.name
            found.sky = found.sky or weather.sky
        return bool(ground or sky or weather)

    def _mention(self, found: _Reading, form: str, phrase: str, position: int, place: bool) -> None:
        numbers = self.album.words[form]
        things = tuple(zip(numbers[::2], numbers[1::2], strict=True))
        weight = things[0][1] - (DONE if _is_done(phrase, form) and form not in self.album.acts else 0)
        first = self.album.things[things[0][0]]
        place = place and not first.aloft
        if place:
            weight = BESIDE if weight >= NAMED else 0
        if weight < SHOWN:
            return
        count = found.count or (SOME if _is_plural(phrase, form) and not first.kind.startswith(ALONE) else 1)
        colour = found.colour if position - found.colour_at <= REACH else ""
        found.mentions.append(Mention(phrase, things, weight, position, colour, count, place))
        found.colour, found.count = "", 0


def _plain(text: str) -> str:
    return text.lower().replace("\u2019", "'").replace("in' ", "ing ")


def _is_plural(phrase: str, form: str) -> bool:
    last = phrase.split()[-1]
    return (phrase != form and (last.endswith("s") or IRREGULAR.get(last) == form.split()[-1])) or (
        phrase == form
        and last in ("flowers", "leaves", "bells", "waves", "sheep", "cattle", "tulips", "balloons", "jewels")
    )


def _is_done(phrase: str, form: str) -> bool:
    return phrase != form and phrase.endswith(("ing", "ed"))


def _forms(word: str) -> Iterator[str]:
    """A word as it stands, then as a dictionary may have it."""
    yield word
    if word in IRREGULAR:
        yield IRREGULAR[word]
    for ending, replacements in ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 2:
            stem = word.removesuffix(ending)
            yield from (stem + it for it in replacements)
            if ending in ("ing", "ed", "er") and len(stem) > 3 and stem[-1] == stem[-2]:
                yield stem[:-1]


ENDINGS: Sequence[tuple[str, tuple[str, ...]]] = (
    ("ies", ("y", "ie")),
    ("es", ("", "e")),
    ("s", ("",)),
    ("ing", ("e", "")),
    ("ed", ("e", "")),
    ("er", ("e", "")),
    ("y", ("",)),
)
