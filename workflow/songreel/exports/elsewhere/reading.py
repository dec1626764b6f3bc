"""Whether a file is another program's settings, and the screenplay that is made of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from songreel.exports.elsewhere import deforum, parseq
from songreel.exports.elsewhere.script import Script, refused
from songreel.ground import files
from songreel.planning import encodings
from songreel.planning.dialects import Report

ENDINGS = (".json", ".txt")
MOST_BYTES = 64 << 20


def read(path: Path, report: Report) -> Script | None:
    """The screenplay of a file of Deforum's settings or Parseq's; None where it is neither.

    Raises UserError where it is one of them and cannot be put into a screenplay.
    """
    document = _document(path)
    if isinstance(document, dict) and isinstance(document.get("deforum_settings"), dict | list):
        inner = document["deforum_settings"]  # as Deforum's API has them
        document = inner[0] if isinstance(inner, list) and inner else inner
    if parseq.knows(document):
        return parseq.script(document, path, report)
    return deforum.script(document, path, report) if deforum.knows(document) else None


def _document(path: Path) -> Any:
    """What a file says that is JSON; None for any other."""
    if path.suffix.lower() not in ENDINGS:
        return None
    try:
        raw = files.read_bytes(path, MOST_BYTES)
        if not raw[:64].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
            return None
        if len(raw) > MOST_BYTES:
            raise refused(path, f"more than {MOST_BYTES >> 20} MiB", "a file of settings", "name another")
        return json.loads(encodings.decode(raw))
    except (OSError, ValueError, RecursionError):
        return None  # whoever reads lyrics says what is wrong with it
