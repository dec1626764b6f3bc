"""The screenplays of screenplays/examples, and with which settings each shows what it is an example of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "screenplays/examples"
BESIDE = (".png", ".mp3")  # of what screenplays name or are sung to
FILES = sorted(file for file in FOLDER.iterdir() if file.suffix not in BESIDE)

LOOSE: Mapping[str, Any] = {"hold": 0.1, "lead_in": 30}  # so that what steers shows more than usual
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "harbour.srt": {"lyrics": "burned"},
    "karaoke.csv": {"lyrics": "karaoke", "lyrics_colour": "gold"},
    "lamps.lrc": {"lyrics": "karaoke", "lyrics_colour": "gold"},
    "pictures.csv": LOOSE,
    "prompts.csv": LOOSE,
    "sound.csv": {"audio": "auto"},
    "styles.csv": LOOSE,
}


def settings(example: Path) -> Mapping[str, Any]:
    """What is asked for, the screenplay and its song among it."""
    return {"screenplay": str(example), "audio": "none", **SETTINGS.get(example.name, {})}
