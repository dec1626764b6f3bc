"""A report without what tells whose machine it is: files of the user's own, and names of user and machine."""

from __future__ import annotations

import getpass
import os
import platform
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from songreel.models import digests
from songreel.planning.config import Config, weighed

KEYS = ("screenplay", "audio", "album", "results", "ffmpeg", "lyrics_font", "model")  # that may be paths
# Names of nobody: config.yaml's own words, and what comes along
PLAIN = ("", "auto", "none", "results", "screenplays/over-the-river.csv")
# Where a path ends inside a sentence: a space does so unless a folder comes after it
_WORD = r"[^\s'\",;:()]*"
_REST = rf"{_WORD}(?: {_WORD}/{_WORD})*"

Rule = tuple[re.Pattern[str], str]


def of(value: object, config: Config) -> object:
    """The same JSON, its texts anonymous."""
    return _replaced(value, [*_rules(config)])


def _replaced(value: object, rules: list[Rule]) -> object:
    if isinstance(value, dict):
        return {key: _replaced(entry, rules) for key, entry in value.items()}
    if isinstance(value, list):
        return [_replaced(entry, rules) for entry in value]
    if isinstance(value, str):
        for pattern, instead in rules:
            value = pattern.sub(instead, value)
    return value


def _rules(config: Config) -> Iterator[Rule]:
    """What is replaced by what, in this order."""
    files = sorted(_files(config), key=lambda file: -len(file[0]))
    for path, name in files:
        # With another ending it is what lies beside it
        yield re.compile(re.escape(path.removesuffix(Path(path).suffix)) + r"(?:\.\w+)?"), f"<{name}>"
    for path, name in files:
        yield re.compile(rf"(?<=['/ ]){re.escape(Path(path).stem)}(?=['./])(?:\.\w+)?"), f"<{name}>"
    for folder, name in ((Path.cwd(), "project"), (_home(), "home")):
        for form in sorted(_forms(folder), key=len, reverse=True):
            yield re.compile(rf"{re.escape(form)}(?=$|[^\w.-]){_REST}"), f"<{name}>"
    host = platform.node()
    names = [(name, "user") for name in _users()] + [(host, "host"), (host.partition(".")[0], "host")]
    for word, name in names:
        if word:
            yield re.compile(rf"(?<!\w){re.escape(word)}(?!\w)", re.IGNORECASE), f"<{name}>"


def _files(config: Config) -> Iterator[tuple[str, str]]:
    """Files and folders that the user has named."""
    named = [(str(getattr(config, key)), key) for key in KEYS]
    named += [(weighed(entry)[0], "perceptor") for entry in config.perceptors]
    for path, name in named:
        if path not in PLAIN and (os.sep in path or "." in path or Path(path).exists()):
            yield path, name
    yield str(digests.cache_folder()), "weights"


def _forms(folder: Path | None) -> set[str]:
    """A folder as it may be written."""
    if folder is None:
        return set()
    shell = os.environ.get("PWD", "") if folder == Path.cwd() else ""
    return {form for form in (str(folder), os.path.realpath(folder), shell) if len(form) > 1}


def _home() -> Path | None:
    with suppress(RuntimeError):
        return Path.home()
    return None


def _users() -> list[str]:
    """What this user may be called, the longest first."""
    names = {os.environ.get(name, "") for name in ("USER", "LOGNAME", "USERNAME", "SUDO_USER")}
    with suppress(OSError, KeyError, ImportError):
        names.add(getpass.getuser())
    if home := _home():
        names.add(home.name)
    return sorted(names, key=len, reverse=True)
