"""What making the starter's album promises: words that find things, a table that is checked, notices."""

from __future__ import annotations

import io
import re
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from songreel_starter import album, lexicon, notices, places, rooms, sources
from songreel_starter.lexicon import Named, WordNet
from tests import drawn_album

# As in WordNet: the synset's place, the file of its kind, its words, and what it is a kind of.
SYNSETS = {
    "00000001": (5, ["animal"], []),
    "00000002": (5, ["horse", "equine"], ["00000001"]),
    "00000003": (5, ["steed"], ["00000002"]),
    "00000004": (5, ["mustelid"], ["00000001"]),
    "00000005": (5, ["otter"], ["00000004"]),
    "00000006": (5, ["weasel"], ["00000004"]),
    "00000007": (13, ["hot_dog"], ["00000008"]),
    "00000008": (13, ["sandwich"], []),
    "00000009": (5, ["dog"], ["00000001"]),
    "00000010": (7, ["love"], []),
}
THINGS = [
    Named("horse", ("animal", "ride"), "nature"),
    Named("otter", (), "nature"),
    Named("dog", ("pet",), "nature"),
    Named("hot dog", (), "food"),
    Named("guide dog", (), "nature"),
    Named("red heart", ("emotion",), "smileys"),
]


@pytest.fixture(scope="module")
def wordnet(tmp_path_factory: pytest.TempPathFactory) -> WordNet:
    data, senses = [], []
    for place, (file, words, above) in SYNSETS.items():
        told = " ".join(f"{word} 0" for word in words)
        pointers = " ".join(f"@ {it} n 0000" for it in above)
        data.append(f"{place} {file:02d} n {len(words):02x} {told} {len(above):03d} {pointers} | a meaning")
        senses += [f"{word}%1:{file:02d}:00:: {place} 1 3" for word in words]
    archive = tmp_path_factory.mktemp("wordnet") / "wordnet"
    with tarfile.open(archive, "w:gz") as tar:
        for name, lines in (("data.noun", data), ("index.sense", senses)):
            content = "\n".join(lines).encode()
            info = tarfile.TarInfo(f"package/dict/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return WordNet(archive)


@pytest.mark.parametrize(
    ("word", "first"),
    [
        ("horse", "horse"),
        ("steed", "horse"),
        ("equine", "horse"),
        ("ride", "horse"),
        ("dog", "dog"),
        ("hot dog", "hot dog"),
        ("weasel", "otter"),
        ("love", "red heart"),
        ("emotion", "red heart"),
    ],
)
def test_a_word_finds_the_thing_that_it_names(wordnet: WordNet, word: str, first: str) -> None:
    found = lexicon.lexicon(THINGS, wordnet, {"love": ["red heart"]})
    assert THINGS[found[word][0][0]].label == first


def test_a_hot_dog_is_no_dog_and_a_guide_dog_is_one(wordnet: WordNet) -> None:
    found = [THINGS[index].label for index, _ in lexicon.lexicon(THINGS, wordnet, {})["dog"]]
    assert found[:2] == ["dog", "guide dog"] and "hot dog" not in found


def test_what_a_person_wrote_down_comes_first_and_an_idea_weighs_less_than_a_thing(wordnet: WordNet) -> None:
    found = lexicon.lexicon(THINGS, wordnet, {"love": ["red heart"], "steed": ["otter"]})
    assert [THINGS[index].label for index, _ in found["steed"]] == ["otter", "horse"]
    assert found["love"][0][1] < found["steed"][0][1]


def test_names_in_the_table_that_no_drawing_has_are_told() -> None:
    assert lexicon.missing(THINGS, {"x": ["horse", "Hot-Dog", "unicorn"]}) == ["unicorn"]


def test_the_table_names_no_source_that_is_held_out() -> None:
    table = sources.table()
    assert all(table[name].use == "training" for name in sources.of_album())


def test_the_tables_places_are_painted_and_its_homes_are_places() -> None:
    table = album.read_table()
    painted = {*places.GROUNDS, *rooms.rooms()}
    homes = {home for home in table["homes"].values() if isinstance(home, str)} | set(
        table["homes"]["things"]
    )
    assert set(table["grounds"]) - painted == {"sky", "space"} and homes <= set(table["elsewhere"])
    assert {name for names in table["elsewhere"].values() for name in names} <= set(table["grounds"])
    assert set(table["skies"]) <= set(places.SKIES)


def test_a_ground_is_opaque_below_its_horizon_and_open_above() -> None:
    alpha = places.ground(places.GROUNDS["sea"], {}, 0).getchannel("A")
    middle = places.SIDE // 2
    assert alpha.getpixel((middle, 20)) == 0 and alpha.getpixel((middle, places.SIDE - 20)) == 255


def test_an_icon_of_one_ink_gets_paper_where_it_is_closed() -> None:
    icon = Image.new("RGBA", (96, 96))
    icon.paste((0, 0, 0, 255), (20, 20, 76, 76))
    icon.paste((0, 0, 0, 0), (40, 40, 56, 56))
    drawn = album._inked(icon, (200, 30, 30), (250, 240, 220))
    assert drawn.getpixel((25, 25)) == (200, 30, 30, 255)
    assert drawn.getpixel((48, 48)) == (250, 240, 220, 255)
    assert drawn.getpixel((5, 5))[3] == 0  # type: ignore[index]


def test_notices_name_each_source_once_and_pass_licences_on(tmp_path: Path) -> None:
    told = drawn_album.write(tmp_path, sources=("noto", "game-icons"))
    notices.write(told / "album.safetensors", sources.table())
    text = (tmp_path / notices.NAME).read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([a-z-]+) \|.*\| (\d+) \|", text, re.MULTILINE)
    assert dict(rows) == {"noto": "7", "game-icons": "7"}
    assert all(f"## {name}" in text for name in ("Apache-2.0", "MIT", "Unicode-3.0", "WordNet-3.0"))
