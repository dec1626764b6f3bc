"""What was found of one thing that a film takes, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from songreel.ground import shortage
from songreel.ground.errors import UserError, sentence

State = Literal["ok", "note", "fault"]
GB = 1e9


@dataclass(frozen=True)
class Check:
    """One line of the report."""

    name: str  # of what was looked at
    state: State  # "note": a film can be made, and there is something to know
    found: str
    advice: str = ""  # what to do, unless `found` says so


def ok(name: str, found: str) -> Check:
    """All is well."""
    return Check(name, "ok", found)


def note(name: str, found: str, advice: str = "") -> Check:
    """What a user may want to know or to change."""
    return Check(name, "note", found, advice)


def fault(name: str, found: str, advice: str = "") -> Check:
    """What keeps a film from being made."""
    return Check(name, "fault", found, advice)


def guarded(name: str, look: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    """What a look gives; when it fails, in whatever way, that is what was found."""
    try:
        yield from look()
    except UserError as error:
        yield fault(name, str(error))
    except Exception as error:  # a broken installation can raise any
        yield fault(name, *_failure(error))


def _failure(error: Exception) -> tuple[str, str]:
    if scarce := shortage.sentence(error):
        return scarce, ""
    if isinstance(error, OSError) and error.errno:
        return sentence(error), ""
    if isinstance(error, ImportError):
        return f"Python cannot import what this takes ({one_line(error)})", "install songreel again"
    return f"it could not be looked at ({type(error).__name__}: {one_line(error)})", "please report this"


def one_line(text: object) -> str:
    """A text on one line."""
    return " ".join(str(text).split())


def gigabytes(count: float) -> str:
    """A number of bytes as people say it."""
    return f"{count / GB:.1f} GB" if count >= GB / 10 else f"{count / 1e6:.0f} MB"
