"""The entries of a latents file, once it is known that none of them grows when it is unpacked.

A zip archive, the zstd in its entries and the shapes of zarr's arrays may ask for gigabytes in a few bytes.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from math import ceil, prod
from typing import Any

from songreel.ground.unpacking import GrowthError, check_directory, check_growth, entry_sizes, zstd_size

# Each array's numbers
BYTES = {"tokens": ("uint16", 2), "loss": ("float32", 4), "latent": ("float32", 4)}
CODECS = ["bytes", "zstd"]  # that zarr writes them with
MOST_CHUNKS = 1 << 16
MOST_METADATA = 1 << 22  # bytes, recipe included


def unpacked(data: bytes) -> dict[str, bytes]:
    """What each entry of a latents file holds. Raises GrowthError, and what zipfile raises."""
    check_directory(data)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        check_growth(entry_sizes(archive), len(data))
        entries = {name: archive.read(name) for name in archive.namelist()}
    check_growth([_check_array(name, entries) for name in BYTES], len(data))
    return entries


def document(entries: Mapping[str, bytes], name: str) -> dict[str, Any]:
    """What zarr notes of a group or an array."""
    if len(entries[name]) > MOST_METADATA:
        raise GrowthError(f"{len(entries[name])} bytes of {name}")
    metadata: dict[str, Any] = json.loads(entries[name])
    return metadata


def _check_array(name: str, entries: Mapping[str, bytes]) -> int:
    """The bytes that an array takes; none of its chunks takes more than its share."""
    facts = document(entries, f"{name}/zarr.json")
    kind, width = BYTES[name]
    shape, chunk = facts["shape"], facts["chunk_grid"]["configuration"]["chunk_shape"]
    if facts["data_type"] != kind or [codec["name"] for codec in facts["codecs"]] != CODECS:
        raise ValueError(f"{name} in another encoding")
    if not all(type(side) is int and side >= 0 for side in (*shape, *chunk)) or 0 in chunk:
        raise ValueError(f"{name} of no shape")
    if prod(ceil(side / step) for side, step in zip(shape, chunk, strict=True)) > MOST_CHUNKS:
        raise GrowthError(f"{name} in absurdly many parts")
    for entry, data in entries.items():
        if entry.startswith(f"{name}/c") and zstd_size(data) != prod(chunk) * width:
            raise GrowthError(f"{entry} of {zstd_size(data)} bytes")
    return int(max(prod(shape), prod(chunk)) * width)
