"""Dataclasses as JSON documents: one reader for all, and one writer. What has its usual value is left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, fields, is_dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, Self, get_args, get_origin, get_type_hints

from songreel.ground import rates
from songreel.ground.errors import UserError
from songreel.ground.files import Document, identity, read_json


class Written:
    """What stands in a file as JSON, with its keys in order."""

    def to_json(self) -> Document:
        """What the file says."""
        value: Document = _plain(self)
        return value

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """The document that a file says. Raises ValueError when it says no such thing."""
        document: Self = _typed(cls, value)
        return document

    @classmethod
    def read(cls, path: Path) -> Self:
        """The document in a file. Raises UserError when it is missing, damaged or of another version."""
        return cls._checked(path, read_json(path))

    @classmethod
    def _checked(cls, path: Path, value: Any) -> Self:
        try:
            return cls.from_json(value)
        except ValueError as error:
            raise UserError(
                f"{path}: found a damaged plan, or one of another version ({error}); run snakemake, which"
                f" writes it again."
            ) from None


class Named(Written):
    """What is named by its JSON."""

    @property
    def id(self) -> str:
        """The name of its file, and of what is made by it."""
        return identity(self.to_json())

    @classmethod
    def _checked(cls, path: Path, value: Any) -> Self:
        if not isinstance(value, dict) or identity(value) != path.stem:
            raise UserError(
                f"{path}: found another plan than its name says; run snakemake, which writes it again."
            )
        return super()._checked(path, value)


# To JSON and back, by the types of the fields


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        kind: Any = type(value)
        parts = ((name, getattr(value, name), usual) for name, usual in _keys(kind))
        return {name: _plain(part) for name, part, usual in parts if usual is MISSING or part != usual}
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return rates.written(value) if isinstance(value, Fraction) else value


@cache
def _keys(kind: Any) -> Sequence[tuple[str, Any]]:
    """The keys in order, each with the value for which it is left out, if any."""
    return sorted((field.name, field.default) for field in fields(kind))


def _typed(kind: Any, value: Any) -> Any:
    """A JSON value as a type. Raises ValueError, which says what is not as expected."""
    if is_dataclass(kind):
        return _structure(kind, value)
    if get_origin(kind) is tuple:
        return _row(get_args(kind), value)
    if get_origin(kind) is UnionType:  # with None
        return None if value is None else _typed(get_args(kind)[0], value)
    if kind is Fraction:
        return _rate(value)
    if type(value) is not kind and (kind, type(value)) != (float, int):  # True is an int, too
        raise ValueError(f"{type(value).__name__} where {kind.__name__} was expected")
    return value


def _structure(kind: Any, value: Any) -> Any:
    parts = _parts(kind)
    if not isinstance(value, dict):
        raise ValueError(f"no {kind.__name__}")
    required = {name for name, usual in _keys(kind) if usual is MISSING}
    if missing := sorted(required - value.keys()):
        raise ValueError(f"no {missing[0]!r}")
    if unknown := sorted(value.keys() - parts.keys()):
        raise ValueError(f"an unknown {unknown[0]!r}")
    return kind(**{name: _typed(parts[name], part) for name, part in value.items()})


@cache
def _parts(kind: Any) -> Mapping[str, Any]:
    return get_type_hints(kind)


def _row(kinds: tuple[Any, ...], value: Any) -> tuple[Any, ...]:
    many = kinds[-1] is Ellipsis
    if not isinstance(value, list) or not (many or len(value) == len(kinds)):
        raise ValueError("no list of the right length")
    each = kinds[:1] * len(value) if many else kinds
    return tuple(_typed(*pair) for pair in zip(each, value, strict=True))


def _rate(value: Any) -> Fraction:
    """A rate as `rates.written` has it."""
    with suppress(ValueError, ZeroDivisionError):
        if type(value) in (int, str):
            return Fraction(value)
    raise ValueError("no rate")
