"""From the keys of config.yaml, or of `snakemake --config`, to one checked `Config`.

Every default, range and preset is in workflow/schemas/config.schema.yaml, and only there.
"""

from __future__ import annotations

import difflib
import functools
import json
import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from songreel import data
from songreel.ground.enlarging import Enlarging
from songreel.ground.errors import UserError
from songreel.ground.strategy import Strategy
from songreel.planning import colours
from songreel.planning.config_file import read as read
from songreel.planning.config_file import shown
from songreel.planning.config_values import CONVERTERS, SPECIAL

CURVES = ("learning_rate",)  # what may be a number or a curve


@dataclass(frozen=True)
class Config(Strategy):
    """Every key of config.yaml, checked; `size` is split. The schema says what each one means."""

    screenplay: Path
    audio: str  # "auto", "none" or a path
    audio_track: int  # counted from 1
    offset: float  # seconds added to every start
    title: str  # "" is the screenplay's stem
    artist: str

    model: str
    perceptors: tuple[str, ...]  # at least one
    style: str  # added to every text, or with {text} what takes its place
    avoid: str  # the parts that every line is pushed away from, as a prompt
    width: int  # pixels
    height: int  # pixels
    seed: int
    repeats: str  # "vary" or "reuse"

    album: str  # "auto", "none" or the folder of pictures
    preset: str
    origin: str  # "auto", "canvas" or "previous": what lines start from; config.yaml calls it `from`
    started: Mapping[str, float]  # what the preset sets otherwise for lines that start from a picture
    keyframes_per_second: float
    micro_batch: int  # cutouts judged at a time; 0 is all

    frames_per_second: Fraction
    interpolation: str  # "latent" or "motion"
    smooth: float  # seconds to each side over which keyframes are averaged
    fps_blend: int  # frames to each side that are mixed into each one
    transition: float  # seconds
    tail: float  # seconds
    zoom: str  # a curve, as are those that follow: a ratio a second
    angle: str  # degrees a second
    translation_x: str  # picture widths a second
    translation_y: str  # picture heights a second
    shear: str  # heights to the right, for each height below the middle, a second
    tempo: float  # beats a minute; 0: as they are heard
    encoder: str
    crf: int
    upscale: float  # the film's width and height, by those of its pictures
    upscaler: str  # the path of a model that enlarges them, or ""
    learning_rate_curve: str = field(default="", kw_only=True)  # where it is no plain number

    lyrics: str  # "soft", "burned", "karaoke" or "off"
    lyrics_font: str  # a file's path, a family's name, or "" for the one that comes along
    lyrics_size: float  # of an em, in percent of the picture's shorter side
    lyrics_colour: str  # six hex digits, red first
    lyrics_position: str  # "bottom", "middle" or "top"

    results: Path  # the folder
    jobs_per_gpu: str  # "auto" or a whole number
    ffmpeg: str  # "" is the one that comes with imageio-ffmpeg

    @property
    def film_size(self) -> tuple[int, int]:
        """Width and height of the film in pixels."""
        return Enlarging(self.upscale).size((self.width, self.height))

    @property
    def strategy(self) -> Strategy:
        """How a keyframe is optimised, alone, of a line that starts from the canvas."""
        values = {field.name: getattr(self, field.name) for field in fields(Strategy)}
        return Strategy(**values | {"hold": 0.0})

    @property
    def strategy_of_pictures(self) -> Strategy:
        """The same of a line that starts from a picture."""
        values: dict[str, Any] = {"hold": self.hold, **self.started}
        return replace(self.strategy, **values)

    @property
    def strategy_of_chains(self) -> Strategy:
        """The same of a line that goes on from the one before, whose picture is there from the start."""
        return replace(self.strategy, lead_in=0)

    @property
    def exact_keyframe_rate(self) -> Fraction:
        """Keyframes a second, exactly."""
        return Fraction(str(self.keyframes_per_second))


def resolve(raw: Mapping[str, Any]) -> Config:
    """Checks Snakemake's config (config.yaml with --config merged in) and fills in what it leaves out.

    A key that is given wins over the preset's value. Whether the files and the model exist, and the size
    fits the model, is for others to say.

    Raises:
        UserError: one sentence on the first key that is unknown or whose value does not fit.
    """
    given = {key: _typed(key, value) for key, value in _spoken(raw).items()}
    _validate(given)
    preset = given.get("preset", _property("preset")["default"])
    started = {key: value for key, value in _started(preset).items() if key not in given}
    return _build(_defaults(given) | given | {"started": started})


def value_of(key: str, text: str) -> Any:
    """The value of a key that a screenplay's cell gives. Raises ValueError, which says what was expected."""
    from jsonschema import Draft202012Validator

    rule = _property(key)
    with suppress(TypeError, ValueError, OverflowError):
        value = CONVERTERS["number" if key in CURVES else rule["type"]](text)
        if Draft202012Validator(rule).is_valid(value):
            return value
    raise ValueError(_expected(rule))


def weighed(perceptor: str) -> tuple[str, float]:
    """A perceptor's name and weight, from NAME or NAME:WEIGHT."""
    match = re.fullmatch(r"(.+):([0-9]+(?:\.[0-9]*)?|\.[0-9]+)", perceptor)
    return (match[1], float(match[2])) if match else (perceptor, 1.0)


@functools.cache
def schema() -> dict[str, Any]:
    """The JSON schema of config.yaml, with what each preset sets under `presets`, and `presets_of_models`."""
    import yaml

    loaded: dict[str, Any] = yaml.safe_load(data.SCHEMA.read_text(encoding="utf-8"))
    return loaded


def _property(key: str) -> dict[str, Any]:
    described: dict[str, Any] = schema()["properties"][key]
    return described


def _defaults(given: Mapping[str, Any]) -> dict[str, Any]:
    """The schema's value of each key, or the preset's, or the model's own in that preset."""
    preset, model = (given.get(key, _property(key)["default"]) for key in ("preset", "model"))
    fixed = {key: rule["default"] for key, rule in schema()["properties"].items() if "default" in rule}
    own = schema()["presets_of_models"].get(model, {}).get(preset, {})
    return {key: _typed(key, value) for key, value in (fixed | schema()["presets"][preset] | own).items()}


def _started(preset: str) -> dict[str, Any]:
    return {key: _typed(key, value) for key, value in schema()["presets_with_album"][preset].items()}


def _build(values: dict[str, Any]) -> Config:
    width, height = map(int, values.pop("size").split("x"))
    values |= {
        key: _at_home(key, values[key])
        for key in ("screenplay", "audio", "model", "album", "results", "ffmpeg", "lyrics_font", "upscaler")
    }
    values["origin"] = values.pop("from")
    if isinstance(values["learning_rate"], str):
        curve, preset = values["learning_rate"], schema()["presets"][values["preset"]]
        values |= {"learning_rate_curve": curve, "learning_rate": float(preset["learning_rate"])}
    values["lyrics_colour"] = colours.parsed("lyrics_colour", values["lyrics_colour"])
    values["perceptors"] = tuple(_at_home("perceptors", name) for name in values["perceptors"])
    values |= {"screenplay": Path(values["screenplay"]), "results": _results(values["results"])}
    return Config(width=width, height=height, **values)


def _at_home(key: str, path: str) -> str:
    """A path with the `~` or variable at its beginning replaced, which no shell does in config.yaml."""
    if path.startswith("$") and not Path(path).exists():
        path = os.path.expandvars(path)
        if path.startswith("$"):
            raise _unfit(key, path)
    if not path.startswith("~"):
        return path
    try:
        return str(Path(path).expanduser())
    except RuntimeError:  # no such user, or one without a home
        raise _unfit(key, path) from None


def _results(path: str) -> Path:
    """The folder, in a form that no program takes for an option and no rule for a wildcard."""
    folder = Path(path)
    if folder.parts[:1] and folder.parts[0].startswith("-"):
        folder = folder.absolute()
    if not re.search(_property("results")["pattern"], str(folder)):
        raise _unfit("results", str(folder))
    return folder


# What is given, in the types that the schema asks for


def _spoken(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The keys that say something, all of them known."""
    for key in raw:
        if key not in schema()["properties"]:
            raise _unknown_key(key)
    spoken = dict(raw)
    for key in ("audio", "album"):
        # Typed so, it means none; handed to a job (see below), no job reads it.
        if spoken.get(key) == "None":
            spoken[key] = "none"
    return {key: value for key, value in spoken.items() if not _is_empty(value)}


def _is_empty(value: Any) -> bool:
    """Whether a value means "the default": nothing at all, or a null that went through a command line.

    Snakemake reads `--config tail=null` as the text "null", and hands `tail=` on to its jobs as `tail=None`.
    """
    if isinstance(value, str):
        return value.strip() in ("", "null", "None")
    return value is None or value == []


def _typed(key: str, value: Any) -> Any:
    convert = SPECIAL.get(key) or CONVERTERS[_property(key)["type"]]
    try:
        return convert(value)
    except (TypeError, ValueError, OverflowError):
        raise _unfit(key, value) from None


def _validate(given: dict[str, Any]) -> None:
    from jsonschema import Draft202012Validator  # takes 0.1 s to import

    for error in Draft202012Validator(schema()).iter_errors(given):
        key = str(error.path[0])
        raise _unfit(key, given[key])


# What is said when it does not fit


def _unknown_key(key: Any) -> UserError:
    near = _nearest(shown(key).strip("'"), schema()["properties"])
    advice = f"write '{near}' instead" if near else "remove it"
    return UserError(f"config key {shown(key)} is unknown where a key of config.yaml was expected: {advice}.")


def _unfit(key: str, value: Any) -> UserError:
    found = f"config key '{key}' is {shown(value)} where {_expected(_property(key))} was expected"
    near = _nearest(str(value), _property(key).get("enum", ())) if isinstance(value, str) else None
    advice = (
        f"write '{near}' instead" if near else f"write for example '{key}: {_example(key)}' in config.yaml"
    )
    return UserError(f"{found}: {advice}.")


def _expected(rule: Mapping[str, Any]) -> str:
    if "enum" in rule:
        return "one of " + ", ".join(rule["enum"])
    if "title" in rule:
        return str(rule["title"])
    number = "a whole number" if rule["type"] == "integer" else "a number"
    if "exclusiveMinimum" in rule:
        return f"{number} above {rule['exclusiveMinimum']} and up to {rule['maximum']}"
    return f"{number} from {rule['minimum']} to {rule['maximum']}"


def _example(key: str) -> str:
    """A good value as YAML, text in quotes since their absence is often what went wrong."""
    example, *_ = _property(key).get("examples", ()) or (_defaults({})[key],)
    return json.dumps(example, ensure_ascii=False)


def _nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` looks like, or whose initials it is (fps, lr)."""
    names = list(known)
    initials = {"".join(part[0] for part in name.split("_")): name for name in names if "_" in name}
    close = difflib.get_close_matches(word.lower(), names, n=1, cutoff=0.5)
    return initials.get(word.lower()) or (close[0] if close else None)
