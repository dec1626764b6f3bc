"""How much larger a film is than what is drawn, and by what: the config keys `upscale` and `upscaler`."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from songreel.ground.enlarging import Enlarging, Upscaler
from songreel.ground.errors import UserError
from songreel.models import weights
from songreel.planning.config import Config


def of(config: Config) -> Enlarging | None:
    """What a config asks for, None where the film is as large as its pictures.

    Raises UserError for a model that cannot be read, has no library, or nothing to do.
    """
    if not config.upscaler:
        return Enlarging(config.upscale) if config.upscale != 1 else None
    if config.upscale == 1:
        raise UserError(
            f"config key 'upscaler': found {config.upscaler!r} without 'upscale', expected how many times as"
            f" wide the film is to be, too; write for example 'upscale: 2'."
        )
    if importlib.util.find_spec("spandrel") is None:
        raise UserError(
            "config key 'upscaler': found no library that loads such models, expected spandrel; run"
            " `pip install 'songreel[upscale]'`, or leave the key empty."
        )
    sha256 = weights.hash_once("upscaler", Path(config.upscaler))
    return Enlarging(config.upscale, Upscaler(str(Path(config.upscaler).absolute()), sha256))
