"""`songreel watch`: the storyboard's address, opened where there is a screen to open it on."""

from __future__ import annotations

import os
import shlex
import sys
import webbrowser
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from songreel.ground.errors import UserError
from songreel.ground.paths import Paths

PORT = 8000


def find(song: str, paths: Paths) -> Path:
    """The storyboard of a film. Raises UserError where there is none yet."""
    page = paths.storyboard(song)
    if not page.is_file():
        raise UserError(
            f"{page}: found no storyboard, expected the one that is made when a film is begun; render it with"
            f" snakemake, and look again."
        )
    return page


def show(page: Path) -> bool:
    """Open a page in the browser of whoever sits here; False where nobody does, or there is no browser."""
    if not has_screen(sys.platform, os.environ):
        return False
    try:
        return webbrowser.open(page.absolute().as_uri())
    except webbrowser.Error:
        return False


def has_screen(platform: str, environment: Mapping[str, str]) -> bool:
    """Whether a window that is opened here is seen by whoever gave the command."""
    if environment.get("SSH_CONNECTION") or environment.get("SSH_TTY"):
        return False
    windows = platform in ("darwin", "win32", "cygwin")
    return windows or any(environment.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def from_elsewhere(page: Path, paths: Paths) -> str:
    """How to look at a page from another machine, in one sentence."""
    folder = shlex.quote(str(paths.root))
    place = quote(page.relative_to(paths.root).as_posix())
    return (
        f"No window can be opened here. To look from another machine, run `python -m http.server --bind"
        f" 127.0.0.1 --directory {folder} {PORT}` here, `ssh -L {PORT}:127.0.0.1:{PORT} THIS-MACHINE` there,"
        f" and open http://127.0.0.1:{PORT}/{place}."
    )
