"""Published checkpoints: their tensors, read without running a line of what the files bring along."""

from __future__ import annotations

import hashlib
import math
import mmap
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from songreel.ground import files
from songreel.ground.errors import UserError
from songreel.models import archives
from songreel.models.archives import Contents, Span
from songreel.models.naming import AmbiguousError
from songreel.models.pickles import MOST_DIMENSIONS, Storage, Stored, printable


def tensors(path: Path) -> dict[str, Tensor]:
    """The named tensors of a checkpoint, mapped from the file and read when they are used.

    Reads what `torch.save` wrote (a zip archive, or the format before torch 1.6): a state dict or a Lightning
    checkpoint; TorchScript archives; and safetensors. Tells them apart by their content. Raises UserError for
    any other file, a damaged one and one that would run code.
    """
    with archives.opened(path) as mapped:
        inside = archives.contents(path, mapped)
        state = safetensors.torch.load_file(path) if inside is None else _materialise(inside, mapped)
    if not state:
        raise archives.unusable(path, "no named tensors")
    return state


def convert(
    source: Path, target: Path, select: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]]
) -> str:
    """Write what `select` takes of a checkpoint as safetensors, whole or not at all; what that hashes to.

    The same tensors make the same bytes. Raises UserError when `select` takes nothing.
    """
    state = tensors(source)
    try:
        wanted = select(state)
    except AmbiguousError as error:
        raise UserError(f"{source}: {error}.") from None
    if not wanted:
        names = ", ".join(printable(name) for name in sorted(state)[:3])
        raise UserError(
            f"{source}: found {names} and the like, expected the tensors of the model that is wanted;"
            f" fetch the checkpoint of that model."
        )
    data = safetensors.torch.save(_apart(wanted))
    with files.replacing(target) as temporary:
        # Not save_file, which renames a file of its own and hides a full disk
        temporary.write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def _apart(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Contiguous tensors of which no two share a storage: safetensors takes no others."""
    used = Counter(tensor.untyped_storage().data_ptr() for tensor in state.values())

    def apart(tensor: Tensor) -> Tensor:
        if used[tensor.untyped_storage().data_ptr()] > 1:
            return tensor.clone(memory_format=torch.contiguous_format)
        return tensor.contiguous()

    return {name: apart(tensor) for name, tensor in sorted(state.items())}


# the numbers


def _materialise(inside: Contents, mapped: mmap.mmap) -> dict[str, Tensor]:
    storages = {stored.storage for stored in inside.tensors.values()}
    loaded = {storage: _load(storage, mapped, inside.spans[storage]) for storage in storages}
    return {name: _view(loaded[stored.storage], stored) for name, stored in inside.tensors.items()}


def _load(storage: Storage, mapped: mmap.mmap, span: Span) -> Tensor:
    """The numbers of a storage [count], mapped from the file; a copy where they lie between whole numbers."""
    start, length, crc = span
    dtype = getattr(torch, storage.kind.name)
    if length != storage.numel * storage.kind.bytes or start + length > len(mapped):
        raise ValueError(f"{length} bytes for a storage of {storage.numel} {storage.kind.name}")
    if crc is not None and zlib.crc32(memoryview(mapped)[start : start + length]) != crc:
        raise ValueError(f"the checksum of the storage {storage.key}")
    if not length:
        return torch.empty(0, dtype=dtype)
    if start % storage.kind.bytes:
        return torch.frombuffer(bytearray(mapped[start : start + length]), dtype=dtype)
    return torch.frombuffer(mapped, dtype=dtype, count=storage.numel, offset=start)


def _view(numbers: Tensor, stored: Stored) -> Tensor:
    _, offset, size, stride = stored
    whole = all(isinstance(n, int) and 0 <= n < 1 << 63 for n in (offset, *size, *stride))
    if not whole or not len(stride) == len(size) <= MOST_DIMENSIONS or math.prod(size) > len(numbers):
        raise ValueError("a tensor that does not fit its storage")
    if not math.prod(size):
        return torch.empty(size, dtype=numbers.dtype)
    if offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True)) >= len(numbers):
        raise ValueError("a tensor that reaches beyond its storage")
    return numbers.as_strided(size, stride, offset)
