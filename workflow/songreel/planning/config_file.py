"""Reads config.yaml: the keys that it says, without what else YAML can be.

Snakemake reads it after this and would not say where it is wrong; it also runs what a template asks for.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from yaml import MappingNode, Node, ScalarNode

from songreel.ground import files
from songreel.ground.errors import UserError

MOST_BYTES = 100_000
# With an alias counted as what it stands for, which else grows to gigabytes when it is shown
MOST_VALUES = 10_000
MOST_LEVELS = 20
TEXTS = ("screenplay", "audio", "title", "artist", "model", "style", "results", "ffmpeg")
TEMPLATE = "__use_yte__"  # Snakemake runs the Python in a file that has this key

_OCTAL = re.compile(r"[+-]?0[0-7_]+")
_KINDS = {"timestamp": "a date", "int": "a number", "float": "a number", "binary": "bytes"}
# All that PyYAML raises when a value is not what its tag says.
_MISTAKES = (yaml.YAMLError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


def read(path: Path) -> dict[str, Any]:
    """The keys of a config file, if it is there. Raises UserError that names the row and key at fault."""
    try:
        text = _text(path)
    except FileNotFoundError:
        return {}
    try:
        _check_shape(text, path)
        loader = yaml.SafeLoader(text)
        keys = dict(_keys(loader, loader.get_single_node(), path))
    except yaml.YAMLError as error:
        raise _not_yaml(path, error) from None
    if TEMPLATE in keys:
        raise UserError(f"{path}: found the key {TEMPLATE!r}, expected keys without a template; remove it.")
    return keys


def _text(path: Path) -> str:
    try:
        raw = files.read_bytes(path, MOST_BYTES)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}), expected a config file; correct its name."
        ) from None
    if len(raw) > MOST_BYTES:
        raise UserError(
            f"{path}: found more than {MOST_BYTES} bytes, expected a config file; correct its name."
        )
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        row, byte = 1 + raw.count(b"\n", 0, error.start), raw[error.start]
        raise UserError(
            f"{path} row {row}: found the byte 0x{byte:02X}, expected UTF-8 text; save the file in UTF-8."
        ) from None


def _check_shape(text: str, path: Path) -> None:
    """Refuse what is too deep or, with its aliases written out, too much to be a config."""
    sizes = [0]  # of what is open, the file first
    anchors: dict[str, int] = {}
    names: list[str | None] = []  # of what is open
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            sizes.append(1)
            names.append(event.anchor)
        elif isinstance(event, yaml.CollectionEndEvent):
            size, name = sizes.pop(), names.pop()
            sizes[-1] += size
            anchors |= {name: size} if name else {}
        elif isinstance(event, yaml.AliasEvent):
            sizes[-1] += MOST_VALUES if event.anchor in names else anchors.get(str(event.anchor), 1)
        else:
            sizes[-1] += isinstance(event, yaml.ScalarEvent)
        if sum(sizes) > MOST_VALUES or len(sizes) > MOST_LEVELS:
            raise UserError(
                f"{path} row {_row(event)}: found more than {MOST_VALUES} values or {MOST_LEVELS} levels,"
                f" expected keys such as 'seed: 0'; remove what is none of songreel's."
            )


def _keys(loader: yaml.SafeLoader, root: Node | None, path: Path) -> Iterator[tuple[str, Any]]:
    """Each key with its value. Raises UserError that names the first that cannot be read."""
    if not isinstance(root, MappingNode):
        found = "nothing" if root is None else shown(_value(loader, root, None, path))
        raise UserError(f"{path}: found {found}, expected keys such as 'seed: 0'; write at least one.")
    _check_each_is_once(root, path)
    loader.flatten_mapping(root)
    for key, value in root.value:
        if not isinstance(key, ScalarNode):
            raise UserError(
                f"{path} row {_row(key)}: found a list or keys before a ':', expected keys such"
                f" as 'seed: 0'; put text in quotes."
            )
        name = _value(loader, key, None, path)
        parsed = _value(loader, value, shown(name), path)
        _check_as_written(value, parsed, name, path)
        yield name, parsed


def _check_each_is_once(root: MappingNode, path: Path) -> None:
    """Refuse a key that is there again: Snakemake would take the last one without a word."""
    rows: dict[str, int] = {}
    for key, _ in root.value:
        if isinstance(key, ScalarNode) and rows.setdefault(key.value, _row(key)) != _row(key):
            raise UserError(
                f"{path} row {_row(key)}: found the key {shown(key.value)}, which row {rows[key.value]} has,"
                f" too, expected each key once; remove one of them."
            )


def _check_as_written(node: Node, value: Any, name: Any, path: Path) -> None:
    """Refuse a number that YAML reads otherwise than people, such as 8 of 010, or as another text."""
    if not isinstance(node, ScalarNode) or node.style or isinstance(value, str | bool) or value is None:
        return
    is_octal = type(value) is int and _OCTAL.fullmatch(node.value) and value != int(node.value)
    if is_octal or (name in TEXTS and not _is_text_of(value, node.value)):
        raise UserError(
            f"{path} row {_row(node)}: found {shown(node.value)} for the key {shown(name)}, which YAML takes"
            f" for {shown(value)}; write the number without a 0 before it, and put text in quotes."
        )


def _is_text_of(value: Any, text: str) -> bool:
    try:
        return str(value) == text
    except ValueError:  # an integer of thousands of digits
        return False


def _value(loader: yaml.SafeLoader, node: Node, key: str | None, path: Path) -> Any:
    try:
        return loader.construct_object(node, deep=True)
    except _MISTAKES:
        node = _at_fault(loader, node)
        kind = _KINDS.get(node.tag.rpartition(":")[2], "what its tag says")
        found = shown(node.value) if isinstance(node, ScalarNode) else "a value"
        of_key = f" for the key {key}" if key else ""
        raise UserError(
            f"{path} row {_row(node)}: found {found}{of_key}, which YAML takes for {kind} and cannot read,"
            f" expected keys such as 'seed: 0'; put text in quotes."
        ) from None


def _at_fault(loader: yaml.SafeLoader, node: Node) -> Node:
    """The innermost part of a value that cannot be read."""
    parts = [node.value] if isinstance(node, ScalarNode) else node.value
    for part in (part for pair in parts for part in (pair if isinstance(pair, tuple) else [pair])):
        try:
            if isinstance(part, Node):
                loader.construct_object(part, deep=True)
        except _MISTAKES:
            return _at_fault(loader, part)
    return node


def _row(part: Node | yaml.Event) -> int:
    assert part.start_mark is not None  # of what comes from a file
    return part.start_mark.line + 1


def _not_yaml(path: Path, error: Exception) -> UserError:
    """Where it broke off and, since a quote or bracket may be open for many rows, in what."""
    mark, start = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
    row = f" row {mark.line + 1}" if mark else ""
    inside = f", {getattr(error, 'context', '')} from row {start.line + 1}" if start else ""
    problem = getattr(error, "problem", "a character it may not hold")
    found = "".join(letter if letter.isprintable() else "\ufffd" for letter in f"{problem}{inside}"[:200])
    return UserError(
        f"{path}{row}: found what is not YAML ({found}), expected keys such as 'seed: 0'; mend it there, and"
        f" put text in quotes."
    )


def shown(value: Any) -> str:
    """A value on one short line, as the user knows it from YAML."""
    if isinstance(value, bool):
        return str(value).lower()
    try:
        if isinstance(value, str):
            text = repr(value[:100])
        else:
            # reprlib leaves out what is deep or long, and so never writes out what aliases stand for.
            text = " ".join(
                (reprlib.repr(value) if isinstance(value, list | dict | tuple | set) else str(value)).split()
            )
    except ValueError:  # an integer of thousands of digits
        text = "a huge number"
    return text if len(text) <= 60 else text[:60] + "…"
