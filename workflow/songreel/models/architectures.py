"""A model's YAML, checked number by number before anything is built from it.

taming-transformers' YAMLs are OmegaConf's: `${model.params.embed_dim}` stands for another value of the file.
"""

from __future__ import annotations

import copy
import functools
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from songreel.ground import files

MOST_BYTES = 1 << 18  # of a YAML; published ones take about a thousand
MOST_CODES = 1 << 16  # that a token of 16 bits can tell apart
MOST_CHANNELS = 1 << 14  # at any place of a network; the largest published VQGAN has 512
MOST_LEVELS, MOST_BLOCKS, MOST_FOLD = 10, 32, 64
MOST_SIDE = 1 << 14  # pixels, of `resolution`
GROUPS = 32  # of taming's normalisations, which divide all channels
REFERENCE = re.compile(r"\$\{(\.*)([\w.\[\]-]+)\}")
MOST_STEPS = 16  # from one interpolated value to the next


class ArchitectureError(ValueError):
    """What in a YAML is not as expected, without the file's name."""


class _Loader(yaml.SafeLoader):
    """Knows no merge keys, which make gigabytes of a few lines."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        pass


def document(path: Path) -> Any:
    """What a YAML says. Raises ArchitectureError, and OSError as `files.read_bytes` does."""
    data = files.read_bytes(path, MOST_BYTES)
    if len(data) > MOST_BYTES:
        raise ArchitectureError(f"found more than {MOST_BYTES} bytes, expected a model's YAML")
    return copy.deepcopy(_parsed(data))


# A film's lines ask for the same few again and again, and PyYAML takes longer than all else in a plan.
@functools.lru_cache(maxsize=16)
def _parsed(data: bytes) -> Any:
    try:
        return yaml.load(data.decode("utf-8"), Loader=_Loader)
    except Exception as error:  # PyYAML lets out whatever a constructor meets
        reason = " ".join(str(error).split())[:80] or type(error).__name__
        raise ArchitectureError(f"found what is not YAML ({reason}), expected a model's YAML") from None


def vqgan(value: Any) -> dict[str, Any]:
    """What `vqgan.VQGAN` is built from: `ddconfig`, `n_embed`, `embed_dim`, `gumbel`, `fold` and `deblock`.

    A transformer's YAML holds that of its first stage. Raises ArchitectureError.
    """
    place = _Place(value).row("model")
    if "first_stage_config" in place.row("params").fields:
        place = place.row("params").row("first_stage_config")
    params = place.row("params")
    codes = params.whole("n_embed", MOST_CHANNELS * MOST_CHANNELS)
    if codes > MOST_CODES:
        raise ArchitectureError(
            f"found {codes} codes, expected at most {MOST_CODES}, the most that keyframes of 16 bits can hold"
        )
    fold = params.whole("fold", MOST_FOLD, default=1)
    built = {
        "ddconfig": _ddconfig(params.row("ddconfig"), fold),
        "n_embed": codes,
        "embed_dim": params.whole("embed_dim", MOST_CHANNELS),
        "gumbel": str(place.value("target", "")).endswith("GumbelVQ"),
        "fold": fold,
    }
    return {**built, "deblock": _deblock(params, fold)} if "deblock" in params.fields else built


def hint(value: Any, name: str) -> float | None:
    """What a YAML says that a model steers best with: `canvas` or `noise`. Raises ArchitectureError."""
    return _Place(value).row("model").fraction(name, 100)


def params(value: Any) -> dict[str, Any]:
    """What a CLIP's YAML says it is built from. Raises ArchitectureError."""
    return dict(_Place(value).row("model").row("params").fields)


def _deblock(place: _Place, fold: int) -> int:
    """Channels of what the decoder's squares go through, of which their pixels take a part."""
    if fold % 2:
        raise place.unfit("fold", fold, "an even number where there is deblock")
    return place.whole("deblock", MOST_CHANNELS // 4, least=3 * (fold // 2) ** 2)


def _ddconfig(place: _Place, fold: int) -> dict[str, Any]:
    """Of taming's encoder and decoder, every number of it."""
    levels = place.wholes("ch_mult", MOST_CHANNELS, MOST_LEVELS)
    channels = place.whole("ch", MOST_CHANNELS)
    for multiplier in (1, *levels):
        if channels * multiplier > MOST_CHANNELS or channels * multiplier % GROUPS:
            raise place.unfit(
                "ch", f"{channels} times {multiplier}", f"a multiple of {GROUPS} up to {MOST_CHANNELS}"
            )
    for name in ("in_channels", "out_ch"):
        if (count := place.whole(name, MOST_CHANNELS, default=3)) not in (3, 3 * fold**2):
            raise place.unfit(name, count, "3, for pictures in colour")
    for name, plain in (("give_pre_end", False), ("tanh_out", False), ("resamp_with_conv", True)):
        if place.flag(name, plain) is not plain:
            raise place.unfit(name, not plain, f"{plain}, as published VQGANs have it")
    return {
        "double_z": place.flag("double_z", True),
        "z_channels": place.whole("z_channels", MOST_CHANNELS),
        "resolution": place.whole("resolution", MOST_SIDE, least=1 << (len(levels) - 1)),
        "ch": channels,
        "ch_mult": levels,
        "num_res_blocks": place.whole("num_res_blocks", MOST_BLOCKS, least=0),
        "attn_resolutions": place.wholes("attn_resolutions", MOST_SIDE, 64, least=0),
        "dropout": place.fraction("dropout", 1, default=0.0),
    }


class _Place:
    """A mapping of a YAML, and where in the file that is."""

    def __init__(self, value: Any, where: tuple[str, ...] = (), root: Any = None) -> None:
        self.where, self.root = where, value if root is None else root
        if not isinstance(value, Mapping):
            raise ArchitectureError(f"found {_shown(value)} at {self._named()}, expected keys with values")
        self.fields = value

    def row(self, key: str) -> _Place:
        return _Place(self.value(key), (*self.where, key), self.root)

    def value(self, key: str, default: Any = None) -> Any:
        """What a key says, looked up where it says `${…}`; the default where there is none."""
        if key not in self.fields:
            if default is None:
                raise ArchitectureError(f"found no {self._named(key)}, expected the architecture of a VQGAN")
            return default
        return self._looked_up(self.fields[key], (*self.where, key))

    def whole(self, key: str, most: int, least: int = 1, default: int | None = None) -> int:
        value = _whole(self.value(key, default))
        if value is None or not least <= value <= most:
            raise self.unfit(key, self.value(key, default), f"a whole number from {least} to {most}")
        return value

    def wholes(self, key: str, most: int, longest: int, least: int = 1) -> list[int]:
        value = self.value(key)
        entries = value if isinstance(value, list) and len(value) <= longest else [None]
        numbers = [_whole(self._looked_up(entry, (*self.where, key))) for entry in entries]
        good = [number for number in numbers if number is not None and least <= number <= most]
        if len(good) < len(numbers) or (least and not good):
            raise self.unfit(key, value, f"a list of at most {longest} whole numbers from {least} to {most}")
        return good

    def fraction(self, key: str, most: float, default: float | None = None) -> float | None:
        """A number from 0 to `most`; the default where the key is not there or says nothing."""
        if self.fields.get(key) is None:
            return default
        value = self.value(key)
        number = _number(value)
        if number is None or not 0 <= number <= most:
            raise self.unfit(key, value, f"a number from 0 to {most}")
        return number

    def flag(self, key: str, default: bool) -> bool:
        value = self.value(key, default)
        if not isinstance(value, bool):
            raise self.unfit(key, value, "true or false")
        return value

    def unfit(self, key: str, value: Any, expected: str) -> ArchitectureError:
        return ArchitectureError(f"found {_shown(value)} for {self._named(key)}, expected {expected}")

    def _named(self, *keys: str) -> str:
        return ".".join((*self.where, *keys)) or "its top"

    def _looked_up(self, value: Any, where: tuple[str, ...]) -> Any:
        """A value, or the one that it refers to: `${a.b}` from the top, `${.b}` from beside it."""
        for _ in range(MOST_STEPS):
            if not isinstance(value, str) or "${" not in value:
                return value
            match = REFERENCE.fullmatch(value.strip())
            if not match or len(match[1]) > len(where):
                break
            start = where[: len(where) - len(match[1])] if match[1] else ()
            where = (*start, *(step for step in re.split(r"[.\[\]]+", match[2]) if step))
            value = self._at(where)
        raise ArchitectureError(
            f"found {_shown(value)} for {'.'.join(where)}, expected a value; write it in place of the"
            " reference"
        )

    def _at(self, where: tuple[str, ...]) -> Any:
        value = self.root
        for step in where:
            if isinstance(value, Mapping) and step in value:
                value = value[step]
            elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
                value = value[int(step)]
            else:
                raise ArchitectureError(f"found a reference to {'.'.join(where)}, expected a key of the file")
        return value


def _whole(value: Any) -> int | None:
    """A whole number, also one in quotes or written as 256.0, which leave no doubt."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value.strip()):
        return int(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e9:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(value: Any) -> float | None:
    """A number, also one in quotes, or as 1e-3, which YAML takes for text."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}(\.[0-9]{0,20})?(e-?[0-9]{1,2})?", value.strip()):
        return float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e300:
        return None
    return float(value)


def _shown(value: Any) -> str:
    """A value on one short line; of containers only their kind, since aliases may make them endless."""
    kinds: tuple[tuple[Callable[[Any], bool], str], ...] = (
        (lambda value: value is None, "nothing"),
        (lambda value: isinstance(value, Mapping), "keys"),
        (lambda value: isinstance(value, list) and len(value) > 16, "a long list"),
        (lambda value: isinstance(value, int) and abs(value) > 10**18, "a huge number"),
    )
    for matches, description in kinds:
        if matches(value):
            return description
    if isinstance(value, list):
        return (
            "[" + ", ".join("a list" if isinstance(entry, list) else _shown(entry) for entry in value) + "]"
        )
    if isinstance(value, str):
        return ascii(value[:60])
    return str(value)[:60]
