"""What another program's settings say, in songreel's words, and how that is written."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from songreel.ground.errors import UserError
from songreel.planning.rows import Place

CAMERA = ("zoom", "angle", "translation_x", "translation_y")
MOST_FRAMES = 1_000_000  # of a film: nine hours at 30 a second
RATES = (0.01, 1000.0)  # frames a second


@dataclass(frozen=True)
class Row:
    """A line of the screenplay. Cells are as a screenplay has them; an empty one says nothing."""

    start_seconds: float
    text: str
    prompt: str
    avoid: str = ""
    image: str = ""
    camera: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Script:
    """The lines, by strictly rising start, and what belongs into config.yaml."""

    rows: Sequence[Row]
    config: Mapping[str, str] = field(default_factory=dict)


def refused(path: Path, found: str, expected: str, remedy: str) -> UserError:
    """The one sentence that tells what to mend in the settings."""
    return UserError(f"{Place(path).error(found, expected, remedy)}.")


def written(script: Script) -> str:
    """The screenplay as CSV, with the columns that any of its rows has."""
    cells = [_cells(row) for row in script.rows]
    columns = [name for name in cells[0] if name == "start" or any(row[name] for row in cells)]
    lines = [",".join(columns), *(",".join(row[name] for name in columns) for row in cells)]
    if script.config:
        told = ", ".join(f"{key}: {value}" for key, value in script.config.items())
        lines.insert(0, f"# For config.yaml: {told}")
    return "\n".join(lines) + "\n"


def _cells(row: Row) -> dict[str, str]:
    """Words in quotes always, which else may look like a comment."""
    words = {"text": row.text, "prompt": row.prompt, "avoid": row.avoid, "image": row.image}
    camera = {name: row.camera.get(name, "") for name in CAMERA}
    quoted = {name: _quoted(cell) for name, cell in (words | camera).items()}
    return {"text": quoted.pop("text"), "start": plain(row.start_seconds, 4), **quoted}


def _quoted(cell: str) -> str:
    if not cell or re.fullmatch("[-0-9.]+", cell):
        return cell
    doubled = cell.replace('"', '""')
    return f'"{doubled}"'


def plain(number: float, decimals: int) -> str:
    """A number with so many decimals at most, and no exponent."""
    digits = f"{number:.{decimals}f}"
    return (digits.rstrip("0").rstrip(".") if "." in digits else digits) if float(digits) else "0"
