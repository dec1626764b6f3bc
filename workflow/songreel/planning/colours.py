"""A colour as people write it."""

from __future__ import annotations

import difflib
import re

from songreel.ground.errors import UserError
from songreel.planning.config_file import shown

NAMED = {
    "white": "ffffff",
    "silver": "c0c0c0",
    "gray": "808080",
    "grey": "808080",
    "black": "000000",
    "red": "ff0000",
    "orange": "ffa500",
    "gold": "ffd700",
    "yellow": "ffff00",
    "lime": "00ff00",
    "green": "008000",
    "aqua": "00ffff",
    "cyan": "00ffff",
    "teal": "008080",
    "blue": "0000ff",
    "navy": "000080",
    "purple": "800080",
    "fuchsia": "ff00ff",
    "magenta": "ff00ff",
    "pink": "ffc0cb",
}


def parsed(key: str, text: str) -> str:
    """Six hex digits, red first, from a name or from digits with or without a "#". Raises UserError."""
    name = text.strip().lower()
    if match := re.fullmatch("#?([0-9a-f]{6})", name):
        return match[1]
    if name in NAMED:
        return NAMED[name]
    near = difflib.get_close_matches(name, NAMED, n=1, cutoff=0.5)
    advice = (
        f"write '{near[0]}' instead" if near else f"write for example '{key}: \"#ffd700\"' in config.yaml"
    )
    raise UserError(
        f"config key '{key}' is {shown(text)} where six hex digits such as \"#ffd700\" or one of"
        f" {', '.join(NAMED)} was expected: {advice}."
    )
