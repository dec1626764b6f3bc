"""Scenes painted once and learned from many times: pictures in files mapped into memory with captions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.lib.format import open_memmap
from torch import Tensor

from songreel.ground.errors import UserError
from songreel.ground.files import replacing
from songreel_starter import scenes
from songreel_starter.things import Library

AT_ONCE = 64  # scenes painted together


def paint(library: Library, seed: int, number: int, count: int, side: int, target: Path) -> None:
    """File `number` of a pool: scenes as uint8 [count, 3, side, side] in .npy, one caption a line in .txt."""
    written: list[str] = []
    with replacing(target) as temporary:
        pictures = open_memmap(temporary, mode="w+", dtype=np.uint8, shape=(count, 3, side, side))
        for start in range(0, count, AT_ONCE):
            size = min(AT_ONCE, count - start)
            painted, captions = scenes.batch(library, seed, size, side, number * count + start)
            pictures[start : start + size] = painted.cpu().numpy()
            written += captions
        pictures.flush()
        with replacing(_captions(target)) as beside:
            beside.write_text("\n".join(written) + "\n", encoding="utf-8")


class Pool:
    """The scenes of some files, one after the other."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.parts = [np.load(path, mmap_mode="r") for path in paths]
        self.captions = [line for path in paths for line in _lines(path)]
        self.side: int = self.parts[0].shape[-1]  # pixels
        self.starts = np.cumsum([0, *(len(part) for part in self.parts)])
        if self.starts[-1] != len(self.captions):
            raise UserError(
                f"{paths[0].parent}: found {self.starts[-1]} scenes and {len(self.captions)} captions,"
                f" expected as many; remove the folder and paint them again."
            )

    def __len__(self) -> int:
        return len(self.captions)

    def pictures(self, indices: Tensor, device: torch.device | None = None) -> Tensor:
        """Scenes uint8 [n, 3, side, side] of indices int [n]."""
        wanted = indices.cpu().numpy()
        parts = np.searchsorted(self.starts, wanted, side="right") - 1
        chosen = np.empty((len(wanted), 3, self.side, self.side), np.uint8)
        for row, (part, index) in enumerate(zip(parts, wanted, strict=True)):
            chosen[row] = self.parts[part][index - self.starts[part]]
        return torch.from_numpy(chosen).to(device or torch.device("cpu"))


def _captions(path: Path) -> Path:
    return path.with_suffix(".txt")


def _lines(path: Path) -> list[str]:
    return _captions(path).read_text(encoding="utf-8").splitlines()
