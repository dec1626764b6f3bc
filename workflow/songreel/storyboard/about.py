"""What a film was made from, for the first page of Snakemake's report: its screenplay and its settings.

Snakemake makes HTML of it: Jinja2 reads it first and docutils then, and to both a song's words are only text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from songreel.ground import files
from songreel.ground.files import write_if_changed
from songreel.ground.messages import duration
from songreel.ground.paths import Paths
from songreel.planning.plan import Plan

MOST_BYTES = 1 << 20  # of a screenplay that are shown
_MARKUP = re.compile(r"([^\w\s])")


def write(plan: Plan, settings: Mapping[str, Any], screenplay: Path, paths: Paths) -> None:
    """Write what the film of a plan is made from, unless that is there. Raises OSError."""
    text = _raw(_text(plan, settings, screenplay))
    write_if_changed(paths.about(plan.song), text.encode("utf-8", "replace"), lasting=False)


def _text(plan: Plan, settings: Mapping[str, Any], screenplay: Path) -> str:
    timeline = plan.timeline
    names = " by ".join(filter(None, (timeline.title, timeline.artist)))
    lines = f"{len(timeline.lines)} line{'s' * (len(timeline.lines) != 1)}"
    return "\n".join(
        (
            *_heading(_escaped(names), "="),
            f"A film of {duration(float(timeline.seconds))} from {lines}, rendered by songreel. A VQGAN draws"
            " the pictures of each line by itself, and CLIP steers them towards its words. The film and its"
            " storyboard, which shows it line by line, are under *Results*.",
            "",
            *_heading("The screenplay", "-"),
            f"{_escaped(str(screenplay))} ::",
            "",
            *_literal(_screenplay(screenplay)),
            *_heading("The settings", "-"),
            "What config.yaml and the command line say; the sound is",
            f"{_escaped(plan.sound)} ::",
            "",
            *_literal(yaml.safe_dump(_plain(settings), allow_unicode=True, sort_keys=True)),
        )
    )


def _heading(text: str, line: str) -> tuple[str, str, str]:
    """A heading. Letters may be two columns wide."""
    return text, line * (2 * len(text) + 4), ""


def _literal(text: str) -> list[str]:
    """A block that means nothing but its letters."""
    return [f"  {row}".rstrip() for row in text.splitlines() or ["(empty)"]] + [""]


def _escaped(text: str) -> str:
    """Text on one line, of which nothing is markup."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))


def _raw(text: str) -> str:
    """Text of which nothing is a template's."""
    return "{% raw %}" + text.replace("{%", "{\u2060%") + "{% endraw %}\n"


def _screenplay(path: Path) -> str:
    with suppress(OSError):
        return files.read_bytes(path, MOST_BYTES)[:MOST_BYTES].decode("utf-8", "replace")
    return "(it could not be read)"


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What was set, as YAML can write it."""
    return {str(key): value if isinstance(value, _WRITTEN) else str(value) for key, value in settings.items()}


_WRITTEN = (str, int, float, bool, list, type(None))
