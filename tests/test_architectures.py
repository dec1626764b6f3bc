"""What a model's YAML promises: it is read as meant, or refused in a sentence before all is built."""

from __future__ import annotations

import copy
import os
import random
import resource
from pathlib import Path
from typing import Any

import pytest
import yaml

from songreel.ground.errors import UserError
from songreel.models import architectures, weights
from songreel.models.architectures import ArchitectureError
from tests import published

FUZZED = int(os.environ.get("SONGREEL_FUZZED", 300))  # documents
MOST_GROWTH = 500 << 20  # bytes
GOOD = {"model": published.VQGANS["coco"]}


def read(text: str, folder: Path) -> dict[str, Any]:
    (folder / "mine.yaml").write_text(text)
    return architectures.vqgan(architectures.document(folder / "mine.yaml"))


def changed(**over: Any) -> str:
    """The good YAML with other values; None leaves a key out."""
    document = copy.deepcopy(GOOD)
    params = document["model"]["params"]
    for key, value in over.items():
        holder = params["ddconfig"] if key in (*params["ddconfig"], "give_pre_end", "tanh_out") else params
        holder.pop(key, None)
        if value is not None:
            holder[key] = value
    return yaml.safe_dump(document)


def test_a_reference_stands_for_what_it_points_to(tmp_path: Path) -> None:
    plain = read(changed(), tmp_path)
    width = published.WIDTH
    for reference in ("${model.params.ddconfig.z_channels}", "${.ddconfig.z_channels}", "${..params.n}"):
        assert read(changed(embed_dim=reference, n=width), tmp_path) == plain
    chained = changed(embed_dim="${.a}", a="${.b}", b="${.c[0]}", c=[width])
    assert read(chained, tmp_path) == plain


def test_a_number_in_quotes_is_that_number(tmp_path: Path) -> None:
    quoted = changed(embed_dim=str(published.WIDTH), n_embed="8192", ch_mult=["1", "1", "2", "2", "4"])
    assert read(quoted, tmp_path) == read(changed(), tmp_path)


UNFIT: dict[str, Any] = {
    "fold": [0, -1, "abc", 65, True, 1.5],
    "ch_mult": [None, [], [0], [1, -1], "abc", [1] * 11, [1 << 20], [[1]], {"a": 1}, [1.5]],
    "embed_dim": [None, 0, 10**9, 10**400, float("inf"), float("nan"), "${oc.env:HOME}", "${.embed_dim}"],
    "z_channels": [None, 0, 1 << 40, "${nowhere}", "${model.params.ddconfig.z_channels}", "x${n}"],
    "num_res_blocks": [None, -1, 10**6, "two"],
    "n_embed": [None, 0, 70000, [8192]],
    "ch": [None, 0, 33, 1 << 30, "128px"],
    "attn_resolutions": [None, 16, ["a"], list(range(1000))],
    "resolution": [None, 0, 8, 1 << 40],
    "in_channels": [1, "three"],
    "dropout": [2, "abc"],
    "double_z": ["yes", 1],
    "give_pre_end": [True],
    "tanh_out": [True],
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key in UNFIT for value in UNFIT[key]])
def test_what_is_unfit_is_named_before_anything_is_built(key: str, value: Any, tmp_path: Path) -> None:
    with pytest.raises(ArchitectureError, match=f"{key}|codes|nowhere|huge|YAML") as told:
        read(changed(**{key: value}), tmp_path)
    assert len(str(told.value)) < 300 and "\n" not in str(told.value)


def test_a_deblocking_is_told_by_its_channels(tmp_path: Path) -> None:
    assert "deblock" not in read(changed(fold=4), tmp_path)
    assert read(changed(fold=4, deblock=12), tmp_path)["deblock"] == 12
    for unfit in (11, 0, -64, 4097, "many", 12.5, True, [64]):
        with pytest.raises(ArchitectureError, match=r"params\.deblock, expected a whole number from 12 to"):
            read(changed(fold=4, deblock=unfit), tmp_path)
    for odd in (None, 3):
        with pytest.raises(ArchitectureError, match=r"params\.fold, expected an even number"):
            read(changed(fold=odd, deblock=64), tmp_path)


@pytest.mark.parametrize("canvas", ["abc", -1, float("nan"), [1], "${nowhere}", 10**400])
def test_a_hint_is_a_number(canvas: Any) -> None:
    assert architectures.hint({"model": {"canvas": "0.25"}}, "canvas") == 0.25
    assert architectures.hint({"model": {}}, "canvas") is None
    with pytest.raises(ArchitectureError):
        architectures.hint({"model": {"canvas": canvas}}, "canvas")


MERGING = "a0: &a0 {k: 1}\n" + "".join(
    f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 20)}]}}\n" for n in range(1, 9)
)
ALIASES = "a0: &a0 [1]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 20)}]\n" for n in range(1, 9))
ODD = {
    "nothing": "",
    "a list": "[1, 2]",
    "no params": "model: {target: x}",
    "a date": "model: 2024-13-01",
    "a tag": 'model: !!timestamp "9"',
    "an object": "model: !!python/object/apply:os.system [ls]",
    "deep": "[" * 20_000,
    "digits": "model: " + "9" * 5000,
    "merging": MERGING,
    "growing": ALIASES + "model: {params: {ddconfig: *a8, n_embed: *a8, embed_dim: *a8}}",
    "endless": "model: &m {params: *m}",
    "huge": "#" * (1 << 19),
}


@pytest.mark.parametrize("what", ODD)
def test_an_odd_document_is_refused_in_a_sentence(what: str, tmp_path: Path) -> None:
    with pytest.raises(ArchitectureError) as told:
        read(ODD[what], tmp_path)
    assert len(str(told.value)) < 300


def test_a_plan_names_the_file_and_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SONGREEL_WEIGHTS", str(tmp_path / "cache"))
    own = published.write_vqgan("coco", tmp_path / "mine.ckpt")
    own.with_suffix(".yaml").write_text(changed(fold=0))
    with pytest.raises(
        UserError, match=r"mine\.yaml: found 0 for model\.params\.fold, expected a whole number"
    ):
        weights.vqgan(str(own))


VALUES: list[Any] = [
    0,
    1,
    -1,
    2,
    16,
    33,
    64,
    10**6,
    10**12,
    10**30,
    1.5,
    1e300,
    float("inf"),
    None,
    True,
    "",
    "abc",
    "32",
]
VALUES += ["${.ch}", "${model}", "${a.b}", "${", [], [1, 2], [10**9], ["${.ch}"], {}, {"a": 1}, "!!"]


def fuzzed(draw: random.Random) -> str:
    """The good YAML with a few changes at random places, or cut or spoilt as text."""
    document: Any = copy.deepcopy(GOOD)
    places = [
        document,
        document["model"],
        document["model"]["params"],
        document["model"]["params"]["ddconfig"],
    ]
    for _ in range(draw.randint(1, 4)):
        place = draw.choice(places)
        key = draw.choice([*place, "fold", "deblock", "canvas", "first_stage_config"])
        place[key] = draw.choice(VALUES)
        if draw.random() < 0.2:
            place.pop(key)
    text: str = yaml.safe_dump(document)
    if draw.random() < 0.2:
        at = draw.randrange(len(text))
        text = (
            text[:at]
            + draw.choice(["", "&a", "*a", "[", "{", "!!int ", "\t", "\x00", "<<: ", "'"])
            + text[at:]
        )
    return text


def test_no_document_breaks_out_or_takes_memory(tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    kept = 0
    for seed in range(FUZZED):
        (tmp_path / "mine.yaml").write_text(fuzzed(random.Random(seed)))
        try:
            found = architectures.document(tmp_path / "mine.yaml")
            architectures.vqgan(found)
            architectures.hint(found, "canvas")
            kept += 1
        except ArchitectureError as error:
            assert len(str(error)) < 300, seed
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < MOST_GROWTH
    assert 0 < kept < FUZZED
