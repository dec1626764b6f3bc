"""What was found, for a person to read, or as JSON for a bug report without names of users."""

from __future__ import annotations

import json
import platform
import shutil
import sys
import textwrap
from collections.abc import Sequence

import songreel
from songreel.planning.config import Config
from songreel.upkeep.doctor import anonymous
from songreel.upkeep.doctor.checks import Check

MARGIN = 18  # columns before what was found
SHOWN = {"ok": "ok", "note": "note", "fault": "FAULT"}


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
    return json.dumps(anonymous.of(document, config), indent=1, ensure_ascii=True)
