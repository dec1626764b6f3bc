"""The published models that can be downloaded, as models/published.yaml lists them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml

from songreel import data
from songreel.ground import files
from songreel.ground.errors import UserError

TABLE = data.MODELS / "published.yaml"
# Listed no longer, as nobody states the sha256 of its files, and what its copy in a cache is called.
DROPPED = {"imagenet-1024": "vqgan_imagenet_f16_1024.ckpt"}

Kind = Literal["vqgan", "perceptor"]
FILES: Mapping[Kind, tuple[str, ...]] = {"vqgan": ("config", "checkpoint"), "perceptor": ("checkpoint",)}
COUNTS: Mapping[Kind, tuple[str, ...]] = {"vqgan": ("codebook", "factor"), "perceptor": ()}


@dataclass(frozen=True)
class Remote:
    """A file that can be downloaded, and what it must be."""

    name: str  # in the cache
    urls: tuple[str, ...]  # to be tried in this order
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Published:
    """A published model: its files, how it looks and what its publisher allows."""

    name: str
    kind: Kind
    files: tuple[Remote, ...]  # the checkpoint last, before it a VQGAN's config
    look: str
    licence: str
    codebook: int | None = None  # tokens of a VQGAN
    factor: int | None = None  # pixels along a VQGAN's token


@dataclass(frozen=True)
class Catalogue:
    """All published models, by name."""

    vqgans: Mapping[str, Published]
    perceptors: Mapping[str, Published]


def vqgan(name: str) -> Published | None:
    """The published VQGAN of that name, if there is one. Raises UserError when the table is damaged."""
    return _listed().vqgans.get(name)


def perceptor(name: str) -> Published | None:
    """The published CLIP of that name, if there is one. Raises UserError when the table is damaged."""
    return _listed().perceptors.get(name)


def vqgans() -> tuple[str, ...]:
    """The names of the published VQGANs, in the table's order. Raises UserError when that is damaged."""
    return tuple(_listed().vqgans)


def perceptors() -> tuple[str, ...]:
    """The names of the published CLIPs, in the table's order. Raises UserError when that is damaged."""
    return tuple(_listed().perceptors)


def read(path: Path) -> Catalogue:
    """A table as models/published.yaml. Raises UserError that names what is wrong in it."""
    try:
        table = _Row("", yaml.safe_load(files.read_bytes(path)))
        table.check_keys("vqgans", "perceptors")
        return Catalogue(*(_models(kind, table.row(f"{kind}s")) for kind in FILES))
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: {reason}; restore the file, {data.RESTORE}.") from None


@cache
def _listed() -> Catalogue:
    return read(TABLE)


def _models(kind: Kind, rows: _Row) -> dict[str, Published]:
    return {name: _model(name, kind, rows.row(name)) for name in rows.fields}


def _model(name: str, kind: Kind, row: _Row) -> Published:
    row.check_keys("look", "licence", *COUNTS[kind], *FILES[kind])
    return Published(
        name=name,
        kind=kind,
        files=tuple(_remote(row.row(key)) for key in FILES[kind]),
        look=row.text("look"),
        licence=row.text("licence"),
        **{key: row.count(key) for key in COUNTS[kind]},
    )


def _remote(row: _Row) -> Remote:
    row.check_keys("name", "bytes", "sha256", "urls")
    return Remote(
        name=row.text("name", r"[\w-][\w.-]*", "the name of a file"),
        urls=row.texts("urls", r"https://\S+", "addresses that begin with https://"),
        bytes=row.count("bytes"),
        sha256=row.text("sha256", r"[0-9a-f]{64}", "64 hex digits"),
    )


class _Row:
    """A mapping in the table, and where that is. What it is asked for and has not is a ValueError."""

    def __init__(self, where: str, fields: Any) -> None:
        self.where = where
        if not isinstance(fields, dict) or not all(isinstance(key, str) for key in fields):
            raise ValueError(f"{where or 'the table'}: found {fields!r}, expected keys with values")
        self.fields: dict[str, Any] = fields

    def check_keys(self, *expected: str) -> None:
        if set(self.fields) != set(expected):
            keys = ", ".join(self.fields)
            raise ValueError(f"{self.where or 'the table'}: found {keys}, expected {', '.join(expected)}")

    def row(self, key: str) -> _Row:
        return _Row(f"{self.where}.{key}".lstrip("."), self.fields[key])

    def text(self, key: str, pattern: str = r"\S.*", expected: str = "a text") -> str:
        return self._matching(key, self.fields[key], pattern, expected)

    def texts(self, key: str, pattern: str, expected: str) -> tuple[str, ...]:
        value = self.fields[key]
        if not isinstance(value, list) or not value:
            raise self._error(key, value, expected)
        return tuple(self._matching(key, entry, pattern, expected) for entry in value)

    def count(self, key: str) -> int:
        value = self.fields[key]
        if type(value) is int and value > 0:
            return value
        raise self._error(key, value, "a whole number above zero")

    def _matching(self, key: str, value: Any, pattern: str, expected: str) -> str:
        if isinstance(value, str) and re.fullmatch(pattern, value):
            return value
        raise self._error(key, value, expected)

    def _error(self, key: str, value: Any, expected: str) -> ValueError:
        return ValueError(f"{self.where}.{key}: found {value!r}, expected {expected}")
