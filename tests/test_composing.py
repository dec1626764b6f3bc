"""What composing promises: pictures of what the words name, the same everywhere, each of another name."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from songreel import data
from songreel.ground.errors import DamageError
from songreel.sampling import composing, drawings, painting
from songreel.sampling.composing import Composer
from songreel.sampling.wishes import Words
from tests import drawn_album

SIZE = (96, 64)


def nearest_to_heart(texts: Sequence[str]) -> NDArray[np.float32]:
    """A text tower that finds every text nearest to the fourth thing's name."""
    return np.eye(len(texts), 8, 3, dtype=np.float32)


@pytest.fixture(scope="module")
def composer(tmp_path_factory: pytest.TempPathFactory) -> Composer:
    return composing.load(drawn_album.write(tmp_path_factory.mktemp("album")), nearest_to_heart)


def named(composer: Composer, text: str) -> str:
    return composer.ranked(text, SIZE, 1)[0].name


# What is shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a cat", "cat on a meadow"),
        ("The kittens' grass", "three cats on a meadow"),
        ("a black cat", "black cat on a meadow"),
        ("My dog and a cat", "dog and cat on a meadow"),
        ("three dogs", "three dogs on a meadow"),
        ("a thousand tulips", "many tulips on a meadow"),
        ("flowers yellow", "three yellow tulips on a meadow"),
        ("a fish in the sea", "fish under water"),
        ("a cat by the ocean in the rain", "cat on the sea under grey clouds in the rain"),
        ("a dog under the moon", "dog and full moon on a meadow at night"),
        ("a cat under a red sky", "cat on a meadow under a red sky"),
        ("snow on the hill", "among green hills in falling snow"),
        ("a dog in winter", "dog in the snow"),
        ("loving", "red heart before a plain ground"),
        ("a black dog", "black dog on a meadow"),
    ],
)
def test_words_decide_what_is_shown(composer: Composer, text: str, shown: str) -> None:
    assert named(composer, text) == shown


def test_a_place_is_shown_empty_when_nothing_else_is_named(composer: Composer) -> None:
    assert named(composer, "the ocean") == "on the sea"


def test_a_mountain_is_a_place_when_something_stands_before_it(composer: Composer) -> None:
    assert named(composer, "a mountain") == "mountain before mountains"
    assert named(composer, "a cat in the mountains") == "cat before mountains"


def test_a_text_that_names_nothing_takes_what_the_text_tower_finds_nearest(composer: Composer) -> None:
    assert named(composer, "whereupon, notwithstanding") == "red heart before a plain ground"


def test_without_a_text_tower_such_a_text_still_has_a_picture(tmp_path: Path) -> None:
    composer = composing.load(drawn_album.write(tmp_path))
    first, again = (composer.ranked("whereupon", SIZE, 2) for _ in range(2))
    assert len(first) == 2 and [it.name for it in first] == [it.name for it in again]


# Rankings


def test_candidates_are_different_pictures_of_different_names(composer: Composer) -> None:
    found = composer.ranked("a dog and a cat", SIZE, 8)
    assert len({it.name for it in found}) == len({it.picture.tobytes() for it in found}) == 8
    assert [it.fit for it in found] == sorted((it.fit for it in found), reverse=True)


def test_a_shorter_ranking_is_the_beginning_of_a_longer_one(composer: Composer) -> None:
    long, short = (composer.ranked("my pet", SIZE, count) for count in (6, 3))
    assert [it.name for it in long[:3]] == [it.name for it in short]
    assert all(np.array_equal(one.picture, two.picture) for one, two in zip(long, short, strict=False))


def test_another_thing_for_a_word_comes_later_in_the_ranking(composer: Composer) -> None:
    names = [it.name for it in composer.ranked("my pet", SIZE, 6)]
    assert names[0].startswith("cat") and any(name.startswith("dog") for name in names)


@pytest.mark.parametrize("size", [(64, 64), (96, 54), (54, 96), (40, 200)])
@pytest.mark.parametrize("text", ["three dogs and a cat", "a cat under the moon", "a fish", "rain", "love"])
def test_pictures_have_the_films_size(composer: Composer, text: str, size: tuple[int, int]) -> None:
    picture = composer.ranked(text, size, 1)[0].picture
    assert picture.shape == (size[1], size[0], 3) and picture.dtype == np.uint8


# Painting


def test_a_thing_stands_below_the_horizon_and_the_moon_above(composer: Composer) -> None:
    picture = composer.ranked("a black dog under the moon", (64, 64), 1)[0].picture.astype(int)
    bright = np.argwhere(picture.min(2) > 90)
    dark = np.argwhere(picture.max(2) < 45)
    assert bright[:, 0].mean() < 0.4 * 64 and len(dark[dark[:, 0] > 0.75 * 64]) > 40


def test_only_the_main_colour_of_a_drawing_is_changed() -> None:
    drawn = Image.new("RGBA", (20, 20), (240, 140, 30, 255))
    drawn.paste((30, 60, 230, 255), (0, 0, 20, 6))
    pixels = np.asarray(painting.recoloured(drawn, (50, 160, 60)))
    assert np.abs(pixels[15, 10, :3].astype(int) - (50, 160, 60)).max() < 12
    assert tuple(pixels[2, 10, :3]) == (30, 60, 230)


def test_leaves_keep_their_green_when_a_flower_is_asked_for_in_a_colour() -> None:
    drawn = Image.new("RGBA", (20, 20), (40, 150, 50, 255))
    drawn.paste((220, 40, 120, 255), (0, 0, 20, 6))
    pixels = np.asarray(painting.recoloured(drawn, (250, 215, 45), leafy=True))
    assert tuple(pixels[15, 10, :3]) == (40, 150, 50)
    assert np.abs(pixels[2, 10, :3].astype(int) - (250, 215, 45)).max() < 12


# The file


def test_an_album_is_known_by_its_bytes(tmp_path: Path) -> None:
    file = drawn_album.write(tmp_path) / drawings.NAME
    assert composing.load(tmp_path).digest == hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.mark.parametrize("kept", [0, 7, 200, 2000])
def test_a_damaged_album_is_named(tmp_path: Path, kept: int) -> None:
    file = drawn_album.write(tmp_path) / drawings.NAME
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(DamageError, match=drawings.NAME):
        composing.load(tmp_path)


def test_an_album_that_is_not_there_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        composing.load(tmp_path)


# The one that comes with the starter pair


@pytest.fixture(scope="module")
def carried() -> drawings.Drawings:
    return drawings.read(data.MODELS / "starter")


@pytest.mark.parametrize(
    ("text", "things"),
    [
        ("a submarine under the sea", ["submarine"]),
        ("The steed and the maiden", ["horse", "girl"]),
        ("a dove in the blossoms", ["dove", "cherry blossom"]),
        ("To grandfather's house we go", ["old man", "house"]),
        ("carry the sleigh", ["sled"]),
        ("a willow in the glen", ["willow"]),
    ],
)
def test_synonyms_are_found(carried: drawings.Drawings, text: str, things: list[str]) -> None:
    mentions = Words(carried).read(text).mentions
    assert [carried.things[it.things[0][0]].name for it in mentions] == things


def test_a_place_that_is_named_twice_over_is_both(carried: drawings.Drawings) -> None:
    assert Words(carried).read("Over the river and through the wood").grounds == ("river", "forest")


def test_the_carried_album_holds_nothing_that_is_held_out(carried: drawings.Drawings) -> None:
    assert not {"openmoji", "twemoji", "tuxpaint"} & set(carried.sources)
    assert len(carried.sources) == sum(len(thing.drawings) for thing in carried.things)


def test_every_source_of_the_carried_album_is_in_its_notices(carried: drawings.Drawings) -> None:
    notices = (data.MODELS / "starter/NOTICE.md").read_text(encoding="utf-8")
    assert all(f"| {name} |" in notices for name in set(carried.sources) - {"songreel"})
    assert "WordNet" in notices and "UNICODE LICENSE V3" in notices


def test_the_carried_album_is_small(carried: drawings.Drawings) -> None:
    assert (data.MODELS / "starter" / drawings.NAME).stat().st_size <= 6_000_000
    assert len(carried.things) > 1000
