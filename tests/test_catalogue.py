"""The table of published models says what can be downloaded, and nothing that it says is out of form."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from clip.clip import _MODELS

from songreel.ground.errors import UserError
from songreel.models import catalogue
from songreel.models.catalogue import Published, Remote

VQGANS = ("imagenet-16384", "openimages-8192", "sflckr", "wikiart-16384", "coco")


def models() -> list[Published]:
    listed = catalogue.read(catalogue.TABLE)
    return [*listed.vqgans.values(), *listed.perceptors.values()]


def files() -> list[Remote]:
    return list(chain.from_iterable(model.files for model in models()))


def test_every_published_vqgan_is_listed_with_its_config_before_its_checkpoint() -> None:
    assert catalogue.vqgans() == VQGANS
    for name in VQGANS:
        found = catalogue.vqgan(name)
        assert found and found.kind == "vqgan"
        assert [Path(file.name).suffix for file in found.files] == [".yaml", ".ckpt"]
        assert found.codebook in (1024, 8192, 16384) and found.factor in (8, 16)


def test_the_perceptors_are_those_of_clip_with_its_address_first_and_the_sha256_in_it() -> None:
    assert sorted(catalogue.perceptors()) == sorted(_MODELS)
    for name, url in _MODELS.items():
        found = catalogue.perceptor(name)
        assert found and found.kind == "perceptor"
        (checkpoint,) = found.files
        assert checkpoint.urls[0] == url
        assert url.split("/")[-2:] == [checkpoint.sha256, checkpoint.name]


def test_a_name_that_is_not_listed_is_none() -> None:
    assert catalogue.vqgan("ViT-B/32") is None
    assert catalogue.perceptor("imagenet-16384") is None


def test_every_address_is_https_and_every_sha256_is_64_hex_digits() -> None:
    for file in files():
        assert all(urlsplit(url).scheme == "https" and urlsplit(url).hostname for url in file.urls)
        assert re.fullmatch("[0-9a-f]{64}", file.sha256)


def test_no_two_files_share_a_name_an_address_or_a_sha256() -> None:
    for values in (
        [file.name.lower() for file in files()],
        [url for file in files() for url in file.urls],
        [file.sha256 for file in files()],
    ):
        assert len(values) == len(set(values))


def test_every_model_tells_its_look_and_its_licence_in_a_line() -> None:
    for model in models():
        assert model.look and "\n" not in model.look
        assert "not stated by its publisher" in model.licence  # until one states it


def changed(tmp_path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    table = yaml.safe_load(catalogue.TABLE.read_text(encoding="utf-8"))
    change(table)
    path = tmp_path / "published.yaml"
    path.write_text(yaml.safe_dump(table), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("sha256", None, "found None, expected 64 hex digits"),
        ("sha256", "abc", "found 'abc', expected 64 hex digits"),
        ("sha256", "A" * 64, "expected 64 hex digits"),
        ("bytes", None, "found None, expected a whole number above zero"),
        ("bytes", 0, "found 0, expected a whole number above zero"),
        ("bytes", True, "found True, expected a whole number above zero"),
        ("urls", ["http://example.org/x"], "expected addresses that begin with https://"),
        ("urls", [], r"found \[\], expected addresses"),
        ("name", "../x.ckpt", "found '../x.ckpt', expected the name of a file"),
        ("name", ".x", "expected the name of a file"),
        ("extra", 1, "expected name, bytes, sha256, urls"),
    ],
)
def test_a_wrong_value_is_one_sentence_that_says_where(
    tmp_path: Path, key: str, value: object, told: str
) -> None:
    path = changed(tmp_path, lambda table: table["vqgans"]["coco"]["checkpoint"].update({key: value}))
    with pytest.raises(UserError, match=rf"published.yaml: vqgans\.coco\.checkpoint.*{told}.*git checkout"):
        catalogue.read(path)


@pytest.mark.parametrize(
    "text", ["", "[1]", "vqgans: {}", "vqgans: [", "{1: 2}", "vqgans: 1\nperceptors: {}"]
)
def test_a_damaged_table_is_one_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "published.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r"published\.yaml: .*git checkout") as caught:
        catalogue.read(path)
    assert "\n" not in str(caught.value)


def test_a_missing_table_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"published\.yaml.*git checkout"):
        catalogue.read(tmp_path / "published.yaml")
