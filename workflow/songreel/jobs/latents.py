"""A segment on disk: its keyframes, and the one latent from which the chain goes on.

A zarr v3 group in one zip file:
    tokens  uint16 [k, h, w]    what is drawn
    loss    float32 [k]         mean over each keyframe's iterations
    latent  float32 [c, h, w]   the state after keyframe k - 1
    attributes                  recipe and songreel's version, to understand the file years later
"""

from __future__ import annotations

import asyncio
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.core.buffer import default_buffer_prototype
from zarr.storage import MemoryStore

from songreel import __version__
from songreel.ground import files, shortage
from songreel.ground.documents import SegmentRecipe
from songreel.ground.errors import DamageError
from songreel.ground.files import check_is_file, identity
from songreel.jobs import envelopes


@dataclass(frozen=True)
class Segment:
    """What a latents file holds."""

    tokens: NDArray[np.uint16]  # [k, h, w]
    loss: NDArray[np.float32]  # [k]
    latent: NDArray[np.float32]  # [c, h, w]

    def __len__(self) -> int:
        return len(self.tokens)

    def extended(self, tokens: NDArray[Any], loss: float, latent: NDArray[np.float32]) -> Segment:
        """The same chain, one keyframe longer: tokens [h, w], latent [c, h, w]."""
        return Segment(
            np.concatenate((self.tokens, tokens[None].astype(np.uint16))),
            np.append(self.loss, np.float32(loss)),
            latent,
        )


def empty(canvas: NDArray[np.float32]) -> Segment:
    """A chain before its first keyframe, from its start [c, h, w]."""
    grid = canvas.shape[1:]
    return Segment(np.zeros((0, *grid), np.uint16), np.zeros(0, np.float32), canvas)


def write(file: BinaryIO, segment: Segment, recipe: SegmentRecipe) -> None:
    """Write a segment to an open file. The same content gives the same bytes."""
    store = MemoryStore()
    group = zarr.create_group(store, attributes={"recipe": recipe.to_json(), "songreel": __version__})
    for name in ("tokens", "loss", "latent"):
        group.create_array(name, data=getattr(segment, name))
    with zipfile.ZipFile(file, "w") as archive:
        for key, data in asyncio.run(_entries(store)):
            archive.writestr(zipfile.ZipInfo(key), data)  # ZipInfo's date is always the same one


def load(path: Path, name: str, keyframes: int = 0) -> Segment:
    """Read the segment of that name, of at least so many keyframes.

    Raises DamageError when the file holds anything else, OSError when it cannot be opened.
    """
    check_is_file(path, "latents")
    data = files.read_bytes(path)
    from_bytes = default_buffer_prototype().buffer.from_bytes
    try:
        entries = envelopes.unpacked(data)
        recipe = envelopes.document(entries, "zarr.json")["attributes"]["recipe"]
        store = MemoryStore({entry: from_bytes(held) for entry, held in entries.items()})
        group = zarr.open_group(store, mode="r")
        segment = Segment(*(np.asarray(group[array]) for array in ("tokens", "loss", "latent")))
    except Exception as error:  # zipfile, zarr and its codecs each have their own
        if shortage.sentence(error):
            raise
        reason = " ".join(str(error).split())[:80]
        raise DamageError(path, f"a damaged file ({reason})", "latents") from None
    if identity(recipe) != name:
        raise DamageError(path, f"the latents of {identity(recipe)}", f"those of {name}")
    if len(segment) < keyframes:
        raise DamageError(path, f"{len(segment)} keyframes", f"at least {keyframes}")
    return segment


async def _entries(store: MemoryStore) -> list[tuple[str, bytes]]:
    entries = []
    for key in sorted([key async for key in store.list()]):
        buffer = await store.get(key, default_buffer_prototype())
        assert buffer is not None
        entries.append((key, buffer.to_bytes()))
    return entries
