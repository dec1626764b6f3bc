"""What was found, for a person to read, or as JSON for a bug report without names of users."""

from __future__ import annotations

import getpass
import json
import os
import platform
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import songreel
from songreel.planning.config import Config, weighed
from songreel.upkeep.doctor.checks import Check

MARGIN = 18  # columns before what was found
SHOWN = {"ok": "ok", "note": "note", "fault": "FAULT"}
HOME, PROJECT, USER, HOST = "<home>", "<project>", "<user>", "<host>"
# Ends a path inside a sentence; one with a space is cut there, and its rest has no folder in it
_REST = r"[^\s'\",;:()]*"


def as_table(checks: Sequence[Check], quiet: bool) -> str:
    """A line for each, wrapped where it is a terminal that reads along; `quiet` leaves out what is well."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    shown = [check for check in checks if not (quiet and check.state == "ok")]
    faults = sum(check.state == "fault" for check in checks)
    end = f"{faults} of {len(checks)} checks failed." if faults else "No fault was found."
    return "\n".join([*(_row(check, width) for check in shown), *([] if quiet and not faults else [end])])


def _row(check: Check, width: int) -> str:
    text = f"{check.found}; {check.advice}" if check.advice else check.found
    row = f"{SHOWN[check.state]:<6}{check.name:<{MARGIN - 6}}{' '.join(text.split())}"
    if width <= 2 * MARGIN:
        return row
    return textwrap.fill(row, width, subsequent_indent=" " * MARGIN, break_long_words=False)


def as_json(checks: Sequence[Check], config: Config) -> str:
    """All that was found, without what tells whose machine it is."""
    document = {
        "songreel": songreel.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "ok": all(check.state != "fault" for check in checks),
        "checks": [{name: str(value) for name, value in vars(check).items()} for check in checks],
    }
    names = dict(_names(config))
    return json.dumps(_anonymous(document, names), indent=1, ensure_ascii=True)


def _anonymous(value: object, names: dict[str, str]) -> object:
    if isinstance(value, dict):
        return {key: _anonymous(entry, names) for key, entry in value.items()}
    if isinstance(value, list):
        return [_anonymous(entry, names) for entry in value]
    return anonymous(value, names) if isinstance(value, str) else value


def anonymous(text: str, names: dict[str, str]) -> str:
    """A text in which the user's own paths, and names of user and machine, are replaced by what they are."""
    for name, stands_for in names.items():
        if stands_for in (HOME, PROJECT):
            text = re.sub(rf"{re.escape(name)}(?=$|[^\w.-]){_REST}", stands_for, text)
        elif stands_for in (USER, HOST):
            text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", stands_for, text, flags=re.IGNORECASE)
        else:
            text = text.replace(name, stands_for)
    return text


PATHS = ("screenplay", "audio", "album", "results", "ffmpeg", "lyrics_font", "model")  # config keys


def _names(config: Config) -> Iterator[tuple[str, str]]:
    """What is not to be told, with what is told instead; the longest first."""
    paths = [(str(getattr(config, key)), f"<{key}>") for key in PATHS]
    paths += [(weighed(entry)[0], "<perceptor>") for entry in config.perceptors]
    yield from sorted((pair for pair in paths if _tells(pair[0])), key=_length)
    yield from sorted(((path, PROJECT) for path in _forms(Path.cwd())), key=_length)
    with suppress(RuntimeError):
        yield from sorted(((path, HOME) for path in _forms(Path.home())), key=_length)
    yield from ((name, USER) for name in _users())
    host = platform.node()
    yield from ((name, HOST) for name in dict.fromkeys((host, host.partition(".")[0])) if name)


def _length(pair: tuple[str, str]) -> int:
    return -len(pair[0])


def _tells(path: str) -> bool:
    """Whether a path may tell of its user: one below the project as songreel makes it does not."""
    return Path(path).is_absolute() or ".." in Path(path).parts


def _forms(folder: Path) -> set[str]:
    """A folder as it may be written."""
    forms = {str(folder), os.path.realpath(folder), os.environ.get("PWD", "") if folder == Path.cwd() else ""}
    return {form for form in forms if len(form) > 1}


def _users() -> Iterator[str]:
    names = {os.environ.get(name, "") for name in ("USER", "LOGNAME", "USERNAME", "SUDO_USER")}
    with suppress(OSError, KeyError, ImportError):
        names.add(getpass.getuser())
    with suppress(RuntimeError):
        names.add(Path.home().name)
    yield from sorted((name for name in names if name), key=len, reverse=True)
