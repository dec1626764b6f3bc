"""What config.yaml and `--config` promise: every key checked, every mistake one sentence."""

import datetime
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from snakemake.cli import parse_config
from snakemake.common import dict_to_key_value_args

from songreel.ground.errors import UserError
from songreel.planning.config import Config, read, resolve, schema

CONFIG_YAML = (Path(__file__).parents[1] / "config.yaml").read_text(encoding="utf-8")
PROPERTIES = schema()["properties"]
PRESETS = schema()["presets"]
OF_MODELS = schema()["presets_of_models"]
STARTERS_DRAFT = PRESETS["draft"] | OF_MODELS["starter"]["draft"]


def message(raw: dict[Any, Any]) -> str:
    with pytest.raises(UserError) as caught:
        resolve(raw)
    return str(caught.value)


def value_of(config: Config, key: str) -> Any:
    return f"{config.width}x{config.height}" if key == "size" else getattr(config, key)


# config.yaml and the schema


def test_config_yaml_validates_and_resolves_to_the_defaults() -> None:
    shown = yaml.safe_load(CONFIG_YAML)
    Draft202012Validator(schema()).validate(shown)
    assert resolve(shown) == resolve({})


def test_config_yaml_shows_every_key_once_and_in_the_order_of_the_schema() -> None:
    assert re.findall(r"^(?:# )?([a-z_]+):", CONFIG_YAML, re.MULTILINE) == list(PROPERTIES)


def test_config_yaml_shows_the_defaults_and_in_comments_those_of_the_preset() -> None:
    default = {key: rule["default"] for key, rule in PROPERTIES.items() if "default" in rule}
    assert yaml.safe_load(CONFIG_YAML) == default
    commented = "\n".join(re.findall(r"^# ([a-z_]+: .*)$", CONFIG_YAML, re.MULTILINE))
    own = OF_MODELS[default["model"]].get(default["preset"], {})
    assert yaml.safe_load(commented) == PRESETS[default["preset"]] | own


def test_the_schema_is_sound_and_describes_every_key() -> None:
    Draft202012Validator.check_schema(schema())
    assert all(rule["description"].endswith(".") for rule in PROPERTIES.values())
    assert {field.name for field in fields(Config)} - {
        "width",
        "height",
        "started",
        "origin",
        "learning_rates",
        "learning_rate_curve",
    } == set(PROPERTIES) - {"size", "from"}


def test_every_key_has_its_default_in_one_place() -> None:
    without_default = {key for key, rule in PROPERTIES.items() if "default" not in rule}
    assert list(PRESETS) == PROPERTIES["preset"]["enum"]
    for preset in PRESETS.values():
        assert set(preset) == without_default
        Draft202012Validator(schema()).validate(preset)


def test_importing_config_loads_no_heavy_library() -> None:
    check = (
        "import sys, songreel.planning.config;"
        " sys.exit(bool({'torch', 'jsonschema', 'snakemake'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", check], check=True)


# presets


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_sets_its_keys(preset: str) -> None:
    config = resolve({"preset": preset, "model": "coco"})
    assert config.preset == preset
    assert {key: value_of(config, key) for key in PRESETS[preset]} == PRESETS[preset]


def test_the_starters_drafts_alone_are_larger() -> None:
    config = resolve({"preset": "draft", "model": "starter"})
    assert {key: value_of(config, key) for key in STARTERS_DRAFT} == STARTERS_DRAFT
    assert value_of(config, "size") == "192x192"
    for model, presets in OF_MODELS.items():
        for preset, own in presets.items():
            assert resolve({"preset": preset, "model": model, **PRESETS[preset]}) != resolve(
                {"preset": preset, "model": model}
            )
            Draft202012Validator(schema()).validate(own)


def test_reference_is_the_published_method() -> None:
    config = resolve({"preset": "reference"})
    assert (config.keyframes_per_second, config.iterations, config.frames_per_second) == (
        15,
        100,
        Fraction(60),
    )
    assert (config.width, config.height, config.interpolation) == (256, 256, "latent")


@pytest.mark.parametrize("key", PRESETS["draft"])
def test_a_key_that_is_given_wins_over_the_preset_and_changes_no_other(key: str) -> None:
    other = {**PRESETS["classic"], "learning_rate": 0.2}[key]
    config = resolve({"preset": "draft", key: other})
    assert {name: value_of(config, name) for name in STARTERS_DRAFT} == {**STARTERS_DRAFT, key: other}


# good values


@pytest.mark.parametrize(
    ("key", "written", "expected"),
    [
        ("title", 2024, "2024"),
        ("artist", 50, "50"),
        ("title", 3.14, "3.14"),
        ("title", datetime.date(1999, 12, 31), "1999-12-31"),
        ("style", "  an oil painting\n", "an oil painting"),
        ("style", "日本画", "日本画"),
        ("screenplay", "my songs/one.csv", Path("my songs/one.csv")),
        ("audio", "None", "none"),
        ("audio", "song.mp3", "song.mp3"),
        ("perceptors", "starter", ("starter",)),
        ("perceptors", "one, two", ("one", "two")),
        ("perceptors", ["one", 2], ("one", "2")),
        ("size", "384x256", "384x256"),
        ("size", " 384 X 256 ", "384x256"),
        ("size", "384×256", "384x256"),  # noqa: RUF001
        ("iterations", 12.0, 12),
        ("iterations", "50", 50),
        ("learning_rate", "1e-3", 0.001),
        ("keyframes_per_second", 7.5, 7.5),
        ("transition", 0, 0),
        ("tail", 0, 0),
        ("crf", 51, 51),
        ("encoder", "libx265", "libx265"),
        ("ffmpeg", "/usr/bin/ffmpeg", "/usr/bin/ffmpeg"),
    ],
)
def test_a_value_is_taken_as_it_was_meant(key: str, written: object, expected: object) -> None:
    assert value_of(resolve({key: written}), key) == expected


@pytest.mark.parametrize("key", PROPERTIES)
@pytest.mark.parametrize("nothing", [None, "", "  ", "null", []])
def test_an_empty_value_is_the_default(key: str, nothing: object) -> None:
    assert resolve({key: nothing}) == resolve({})


def test_equal_numbers_resolve_to_one_type() -> None:
    whole, decimal = resolve({"tail": 3, "iterations": 7}), resolve({"tail": 3.0, "iterations": 7.0})
    assert repr(whole) == repr(decimal)


# bad values


@pytest.mark.parametrize(
    ("key", "written", "expected"),
    [
        ("size", 256, "WIDTHxHEIGHT"),
        ("size", "256x", "WIDTHxHEIGHT"),
        ("size", "0x0", "WIDTHxHEIGHT"),
        ("size", "256.5x256", "WIDTHxHEIGHT"),
        ("size", "-1x256", "WIDTHxHEIGHT"),
        ("size", "100000x1", "1 to 9999"),
        ("size", [256, 256], "WIDTHxHEIGHT"),
        ("iterations", 0, "a whole number from 1 to 100000"),
        ("iterations", 12.5, "a whole number"),
        ("iterations", True, "a whole number"),
        ("iterations", "many", "a whole number"),
        pytest.param("iterations", 10**5000, "a whole number", id="iterations-huge"),
        ("seed", -1, "from 0 to"),
        ("seed", [1], "a whole number"),
        ("crf", 52, "from 0 to 51"),
        ("frames_per_second", 0, "a number from 1 to 240 such as 30, 29.97 or 30000/1001"),
        ("frames_per_second", 240.1, "a number from 1 to 240"),
        ("frames_per_second", "30000/0", "30000/1001"),
        ("frames_per_second", "1/2", "30000/1001"),
        ("frames_per_second", "29,97", "30000/1001"),
        ("frames_per_second", True, "30000/1001"),
        ("frames_per_second", float("nan"), "30000/1001"),
        ("audio_track", 0, "a whole number from 1"),
        ("offset", "soon", "a number from -360000"),
        ("keyframes_per_second", 0, "a number from 0.01"),
        ("learning_rate", 0, "a number above 0 and up to 10"),
        ("tail", float("nan"), "a number"),
        ("tail", ".inf", "a number"),
        ("transition", float("inf"), "a number"),
        ("transition", -1, "from 0 to 60"),
        ("title", True, "one line of text"),
        ("title", {"Suite": "Judy Blue Eyes"}, "one line of text"),
        ("title", "two\nlines", "one line of text"),
        ("title", "half \ud83d", "one line of text"),
        ("title", float("inf"), "one line of text"),
        ("style", False, "one line of text"),
        pytest.param("artist", 10**5000, "one line of text", id="artist-huge"),
        ("audio", False, "auto, none or the path"),
        ("ffmpeg", "a\0b", "the path of an ffmpeg"),
        ("perceptors", {"a": 1}, "a list of names"),
        ("perceptors", [""], "a list of names"),
        ("perceptors", [None], "a list of names"),
        ("perceptors", ["one", "one"], "without repeats"),
        ("interpolation", False, "one of latent, motion"),
        ("encoder", "mpeg4", "one of libx264, libx265"),
    ],
)
def test_a_value_that_does_not_fit_is_one_sentence_with_an_example(
    key: str, written: object, expected: str
) -> None:
    told = message({key: written})
    assert told.startswith(f"config key '{key}' is ") and expected in told
    assert told.endswith(" in config.yaml.") or "instead" in told
    assert len(told.splitlines()) == 1 and len(told) < 250


@pytest.mark.parametrize("key", PROPERTIES)
def test_the_example_in_an_error_is_a_good_value(key: str) -> None:
    example = re.search(r"write for example '(.*)' in config.yaml", message({key: {"no": "good"}}))
    assert example is not None
    resolve(yaml.safe_load(example[1]))


@pytest.mark.parametrize(
    ("key", "written", "nearest"),
    [
        ("preset", "refrence", "reference"),
        ("preset", "Draft", "draft"),
        ("interpolation", "latents", "latent"),
        ("repeats", "reused", "reuse"),
        ("encoder", "x264", "libx264"),
    ],
)
def test_a_mistyped_choice_is_told_the_nearest_one(key: str, written: str, nearest: str) -> None:
    told = message({key: written})
    assert repr(written) in told and told.endswith(f": write '{nearest}' instead.")


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("iteration", "iterations"),
        ("sceenplay", "screenplay"),
        ("perceptor", "perceptors"),
        ("leadin", "lead_in"),
        ("lead-in", "lead_in"),
        ("Size", "size"),
        ("fps", "frames_per_second"),
        ("kps", "keyframes_per_second"),
        ("lr", "learning_rate"),
    ],
)
def test_an_unknown_key_is_told_the_nearest_one(key: str, nearest: str) -> None:
    told = message({key: 1})
    assert repr(key) in told and told.endswith(f": write '{nearest}' instead.")


@pytest.mark.parametrize("key", ["zzz", "", 7, None, "a\nb"])
def test_a_key_like_no_other_is_told_to_go(key: object) -> None:
    told = message({key: 1})
    assert told.endswith(": remove it.") and len(told.splitlines()) == 1


def test_an_unknown_key_is_refused_even_when_empty() -> None:
    assert "'iteratons' is unknown" in message({"iteratons": None})


# config.yaml that is YAML but odd

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (
            "seed: 0\ntitle: 2024-13-01",
            ["row 2: found '2024-13-01' for the key 'title'", "a date", "in quotes"],
        ),
        (
            "seed: 1\nsize: 64x64\nseed: 2",
            ["row 3: found the key 'seed', which row 1 has, too", "each key once"],
        ),
        ("seed: 010", ["row 1: found '010' for the key 'seed', which YAML takes for 8", "without a 0"]),
        ("title: 007", ["row 1: found '007' for the key 'title', which YAML takes for 7", "text in quotes"]),
        ("style: 1.10", ["found '1.10' for the key 'style', which YAML takes for 1.1", "text in quotes"]),
        ("title: 1:30", ["found '1:30' for the key 'title', which YAML takes for 90", "text in quotes"]),
        ("results: 1_000", ["found '1_000' for the key 'results', which YAML takes for 1000"]),
        ("title: 0x" + "f" * 5000, ["found '0xfff", "which YAML takes for a huge number"]),
        ('artist: !!timestamp "9"', ["row 1: found '9' for the key 'artist'", "a date"]),
        ("title: " + "9" * 4301, ["row 1: found '999999", "for the key 'title'", "a number"]),
        ("title: [a, 2024-02-30]", ["'2024-02-30' for the key 'title'"]),
        ("2024-02-30: a", ["row 1: found '2024-02-30', which YAML takes for a date"]),
        ("title: !!bool maybe", ["for the key 'title'", "what its tag says"]),
        ("title: !!python/name:os.system x", ["for the key 'title'", "what its tag says"]),
        ("\n? [a]\n: b", ["row 2: found a list or keys before a ':'"]),
        ("style: " + "[" * 900, ["row 1: found more than 10000 values or 20 levels"]),
        (BOMB, ["row 5: found more than 10000 values or 20 levels"]),
        ("title: &a [*a]", ["row 1: found more than"]),
        ("title: *a", ["row 1: found what is not YAML", "undefined alias"]),
        ("# " + "x" * 100_000, ["found more than 100000 bytes"]),
        (
            "__use_yte__: true\ntitle: ?__import__('os').getcwd()",
            ["the key '__use_yte__'", "without a template"],
        ),
    ],
    ids=str,
)
def test_odd_yaml_is_one_sentence_with_file_and_key(content: str, parts: list[str], tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        read(path)
    told = str(caught.value)
    assert told.startswith(str(path)) and told.isprintable() and told.endswith(".") and len(told) < 500
    assert [part for part in parts if part not in told] == [], told


def test_a_few_aliases_and_merged_keys_are_read(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("title: &a one\nartist: *a\n<<: {seed: 3, title: two}\n", encoding="utf-8")
    assert read(path) == {"title": "one", "artist": "one", "seed": 3}


def test_numbers_are_read_as_people_write_them(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        "title: 2024\nartist: 2024-01-02\nseed: 0\noffset: 1:30\ntail: 04.5\ncrf: 1_0\nstyle: '007'\n"
    )
    read_back = resolve(read(path))
    assert (read_back.title, read_back.artist, read_back.style) == ("2024", "2024-01-02", "007")
    assert (read_back.seed, read_back.offset, read_back.tail, read_back.crf) == (0, 90, 4.5, 10)


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_file_is_refused_and_not_waited_for(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "config.yaml")
    with pytest.raises(UserError, match="expected a config file; correct its name"):
        read(tmp_path / "config.yaml")


def test_any_document_is_a_config_or_one_sentence_in_bounded_memory() -> None:
    """SONGREEL_FUZZ says how many documents; each is read by Snakemake, too."""
    count = os.environ.get("SONGREEL_FUZZ", "300")
    command = [sys.executable, "-m", "tests.fuzz_config", count]
    run = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


# Snakemake


COMMAND_LINE = [
    "preset=reference",
    "size=384x256",
    "iterations=50",
    "title=2024",
    "style=no",
    "audio=",
    "tail=",
]


def test_any_key_can_be_set_on_the_command_line() -> None:
    config = resolve(parse_config([*COMMAND_LINE, "perceptors=[one, two]", "learning_rate=1e-2"]))
    assert (config.width, config.height, config.iterations, config.frames_per_second) == (
        384,
        256,
        50,
        Fraction(60),
    )
    assert (config.title, config.style, config.audio, config.tail) == ("2024", "no", "auto", 4)
    assert (config.perceptors, config.learning_rate) == (("one", "two"), 0.01)


def test_a_job_resolves_what_its_workflow_handed_on() -> None:
    command_line = parse_config([*COMMAND_LINE, "audio=song.mp3", "perceptors=[one, two]", "seed=3"])
    handed_on = parse_config(dict_to_key_value_args(command_line, repr_obj=True))
    assert resolve(handed_on) == resolve(command_line)


# anything at all

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=12)
    | st.dates()
    | st.datetimes()
    | st.binary(max_size=4)
    | st.sampled_from([10**400, "256x256", "latent", "1e400", "٣", "1_0"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SCALARS, inner, max_size=2),
    max_leaves=5,
)
KEYS = st.sampled_from(list(PROPERTIES))


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(KEYS, VALUES, max_size=4) | st.dictionaries(KEYS | SCALARS, VALUES, max_size=2))
def test_anything_yaml_can_say_is_a_config_or_one_sentence(raw: dict[Any, Any]) -> None:
    try:
        assert isinstance(resolve(raw), Config)
    except UserError as error:
        told = str(error)
        assert told.startswith("config key ") and told.endswith(".") and len(told.splitlines()) == 1
        told.encode()
