"""What a training can be stopped at any minute with: its state, kept beside the target until that is done."""

from __future__ import annotations

import hashlib
import pickle
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from songreel.ground.errors import UserError
from songreel.ground.files import replacing

EVERY = 30.0  # seconds between two savings

State = dict[str, Any]


def fingerprint(texts: Sequence[str]) -> str:
    """What tells a list of texts from any other, for a recipe."""
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


class Keeper:
    """Keeps a training's state in `.<target>.state` and gives it back to a training of the same recipe."""

    def __init__(self, target: Path, recipe: State) -> None:
        self.path = target.with_name(f".{target.name}.state")
        self.recipe, self.kept = recipe, time.monotonic()

    def last(self) -> State | None:
        """The state kept, or nothing to go on from: none there, or one of another recipe."""
        if not self.path.exists():
            return None
        try:
            state: State = torch.load(self.path, map_location="cpu", weights_only=True)
        except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
            raise UserError(
                f"{self.path}: found a damaged state ({error}); remove it to start anew."
            ) from None
        return state["state"] if state["recipe"] == self.recipe else None

    def is_due(self) -> bool:
        """Whether it is time to keep the state again."""
        return time.monotonic() - self.kept >= EVERY

    def keep(self, state: State) -> None:
        """Replace the state kept; a stop in between leaves the one before."""
        with replacing(self.path) as temporary:
            torch.save({"recipe": self.recipe, "state": state}, temporary)
        self.kept = time.monotonic()

    def forget(self) -> None:
        """The training is done."""
        self.path.unlink(missing_ok=True)
