"""Prompts: what is a weight, what is a letter, and what is refused."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from songreel.ground.errors import UserError
from songreel.planning import prompts
from songreel.planning.prompts import Prompt


def refuse(found: str, expected: str, remedy: str) -> UserError:
    return UserError(f"found {found}, expected {expected}; {remedy}")


def parse(text: str) -> tuple[Prompt, ...]:
    return prompts.parse(text, refuse)


def avoided(text: str) -> tuple[Prompt, ...]:
    return prompts.parse_avoided(text, refuse)


READ = {
    "a castle": [Prompt("a castle")],
    "a castle | storm clouds:0.5 | blurry:-0.3 | [photos/boat.jpg]:0.4 | fog:-1:-0.2": [
        Prompt("a castle"),
        Prompt("storm clouds", weight=0.5),
        Prompt("blurry", weight=-0.3),
        Prompt(path="photos/boat.jpg", weight=0.4),
        Prompt("fog", weight=-1, stop=-0.2),
    ],
    "a castle:1": [Prompt("a castle")],
    "a castle : .5": [Prompt("a castle", weight=0.5)],
    "a castle:+2.": [Prompt("a castle", weight=2)],
    "a castle:\u22120.5": [Prompt("a castle", weight=-0.5)],
    "a castle:1:0.3": [Prompt("a castle", stop=0.3)],
    "a castle:2:-inf": [Prompt("a castle", weight=2)],
    "a castle:0.5:tall": [Prompt("a castle:0.5:tall")],
    "note: a castle": [Prompt("note: a castle")],
    "note: a castle:0.5": [Prompt("note: a castle", weight=0.5)],
    "1:2:3": [Prompt("1", weight=2, stop=3)],
    "0:1:2:3": [Prompt("0:1", weight=2, stop=3)],
    r"at 7\:30": [Prompt("at 7:30")],
    r"at 7\:30:0.5": [Prompt("at 7:30", weight=0.5)],
    r"this \| that": [Prompt("this | that")],
    r"\[chorus] a castle": [Prompt("[chorus] a castle")],
    r"a \\ castle": [Prompt("a \\ castle")],
    r"C:\dir": [Prompt(r"C:\dir")],
    r"\\|a": [Prompt("\\"), Prompt("a")],
    r"[a\]b.png]": [Prompt(path="a]b.png")],
    r"[C:\pictures\boat.png]:2": [Prompt(path=r"C:\pictures\boat.png", weight=2)],
    "a castle [at night]": [Prompt("a castle [at night]")],
    "a | gone:0": [Prompt("a")],
    "a castle:1e3": [Prompt("a castle:1e3")],
    "a castle:nan": [Prompt("a castle:nan")],
    "a castle:٣": [Prompt("a castle:٣")],
}


@pytest.mark.parametrize("text", READ)
def test_a_prompt_is_read_as_the_field_writes_it(text: str) -> None:
    assert list(parse(text)) == READ[text]


REFUSED = {
    "the train at 7:30": [
        "the weight 30 of 'the train at 7'",
        "from -10 to 10",
        r"write 7\:30 if it is no weight",
    ],
    "the train at 12:00": ["the weight 00", r"write 12\:00 if"],
    "a:-10.5": ["the weight -10.5 of 'a'"],
    "a || b": ["a part without words", "a row for each scene"],
    "a |": ["a part without words"],
    "": ["a part without words"],
    "a | :0.5": ["a part without words (':0.5')"],
    "[a.png": ["'[a.png', which begins with a bracket", r"write \[ for one"],
    "[chorus] a castle": ["does not end with one"],
    "[]": ["does not end"],
    "a:0 | b:0": ["no weight but 0"],
    "|".join("a" * 65): ["65 parts", "64 at most"],
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_prompt_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(UserError) as refused:
        parse(text)
    for words in REFUSED[text]:
        assert words in str(refused.value)


def test_what_is_avoided_pushes_away_however_it_is_written() -> None:
    assert avoided("text, watermark") == (Prompt("text, watermark", weight=-0.5),)
    assert avoided("text:-0.3 | fog:0.3") == (Prompt("text", weight=-0.3), Prompt("fog", weight=-0.3))
    assert avoided("fog:1") == avoided("fog:-1") == (Prompt("fog", weight=-1),)
    assert avoided("fog:1:-0.2") == (Prompt("fog", weight=-1, stop=-0.2),)


@given(st.text(min_size=1), st.sampled_from(["", ":0.5", ":-2", ":1:-0.25"]))
def test_words_that_are_escaped_mean_themselves(words: str, end: str) -> None:
    if not words.strip():
        return
    (part,) = parse(prompts.escaped(words) + end)
    assert (part.words, part.path) == (words.strip(), "")
    assert (part.weight, part.stop) == {
        "": (1, None),
        ":0.5": (0.5, None),
        ":-2": (-2, None),
        ":1:-0.25": (1, -0.25),
    }[end]
    assert parse(prompts.written(part.words, "", part.weight, part.stop)) == (part,)


def test_any_text_is_a_prompt_or_is_refused_in_a_sentence() -> None:
    chance = random.Random(17)
    pieces = ["a castle", " ", ":", "|", "\\", "[", "]", "0.5", "-1", "7:30", "é", "\n", "-inf", "."]
    refused = 0
    for _ in range(5000):
        text = "".join(chance.choices(pieces, k=chance.randrange(12)))
        try:
            parts = parse(text)
        except UserError as error:
            refused += 1
            assert "found" in str(error) and "expected" in str(error)
        else:
            assert parts and all(
                bool(part.words) != bool(part.path) and 0 < abs(part.weight) <= 10 for part in parts
            )
    assert 0 < refused < 5000
