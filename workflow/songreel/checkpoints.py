"""Published checkpoints: their tensors, read without running a line of what the files bring along."""

from __future__ import annotations

import io
import math
import mmap
import pickle
import re
import struct
import zipfile
import zlib
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
import torch
from torch import Tensor

from songreel import files
from songreel.errors import UserError

ZIP = b"PK\x03\x04"
PICKLE = b"\x80"  # the first opcode of every pickle since protocol 2
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # torch.serialization.MAGIC_NUMBER, which opens the format before 1.6
MOST_PICKLE = 64 << 20  # bytes; the pickle of a large transformer and its optimiser takes about one million
MOST_DIMENSIONS = 64  # as torch has it
MOST_MODULES = 100_000  # a module may hold itself, and so a small pickle be an endless tree

STORAGES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}

# Refusing these is for the user's sake, who learns what the file is: nothing in a file is called anyway.
CODE_MODULES = re.compile(
    r"_*(asyncio|bdb|builtins?|code|codecs|codeop|commands|ctypes|dill|cloudpickle|functools|imp|importlib|io"
    r"|joblib|marshal|multiprocessing|nt|operator|os|pdb|pickle|pip|pkgutil|popen2|posix|posixsubprocess|pty"
    r"|runpy|shutil|signal|socket|subprocess|sys|tempfile|threading|timeit|types|urllib|webbrowser)_*"
)
HARMLESS = re.compile(  # types in those modules, a function that bytes are written with, and values of torch
    r"bool|bytearray|bytes|complex|dict|float|frozenset|int|list|long|object|range|set|slice|str|tuple|type"
    r"|unicode|NoneType|SimpleNamespace|BytesIO|StringIO|partial|encode"
    r"|b?float\d+|u?int\d+|complex\d+|half|double|short|device|dtype|layout|strided"
)

VQGAN_PARTS = ("encoder.", "decoder.", "quantize.", "quant_conv.", "post_quant_conv.")
FIRST_STAGE = "first_stage_model."
CLIP_FACTS = ("input_resolution", "context_length", "vocab_size")  # numbers that OpenAI keeps as tensors


def tensors(path: Path) -> dict[str, Tensor]:
    """The named tensors of a checkpoint, mapped from the file and read when they are used.

    Reads what `torch.save` wrote (a zip archive, or the format before torch 1.6): a state dict or a Lightning
    checkpoint; TorchScript archives; and safetensors. Tells them apart by their content. Raises UserError for
    any other file, a damaged one and one that would run code.
    """
    with _told(path), path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        if mapped[:4] == ZIP:
            found = _from_zip(path, mapped)
        elif mapped[:1] == PICKLE:
            found = _from_legacy(path, mapped)
        elif mapped[8:9] == b"{":
            found = safetensors.torch.load_file(path)
        else:
            raise ValueError("it begins with " + mapped[:20].decode("latin1"))
    if not found:
        raise _unusable(path, "no named tensors")
    return found


def first_stage(found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What a VQGAN needs to draw, from its own checkpoint or that of a transformer trained on its tokens."""
    prefix = FIRST_STAGE if any(name.startswith(FIRST_STAGE) for name in found) else ""
    inner = {name.removeprefix(prefix): tensor for name, tensor in found.items() if name.startswith(prefix)}
    return {name: tensor for name, tensor in inner.items() if name.startswith(VQGAN_PARTS)}


def clip_state(found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a CLIP: what its archive holds but for numbers and masks that the model makes itself."""
    unwanted = (*CLIP_FACTS, "attn_mask")
    return {name: tensor for name, tensor in found.items() if name.rpartition(".")[2] not in unwanted}


def convert(
    source: Path, target: Path, select: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]]
) -> None:
    """Write what `select` takes of a checkpoint as safetensors, whole or not at all.

    The same tensors make the same bytes. Raises UserError when `select` takes nothing.
    """
    found = tensors(source)
    wanted = select(found)
    if not wanted:
        names = ", ".join(_printable(name) for name in sorted(found)[:3])
        raise UserError(
            f"{source}: found {names} and the like, expected the tensors of the model that is wanted;"
            f" fetch the checkpoint of that model."
        )
    data = safetensors.torch.save(_apart(wanted))
    with files.replacing(target) as temporary:
        temporary.write_bytes(data)  # not save_file, which renames a file of its own and hides a full disk


def _apart(found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Contiguous tensors of which no two share a storage: safetensors takes no others."""
    used = Counter(tensor.untyped_storage().data_ptr() for tensor in found.values())

    def apart(tensor: Tensor) -> Tensor:
        if used[tensor.untyped_storage().data_ptr()] > 1:
            return tensor.clone(memory_format=torch.contiguous_format)
        return tensor.contiguous()

    return {name: apart(tensor) for name, tensor in sorted(found.items())}


# the errors


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Every failure to read a checkpoint in one sentence."""
    try:
        yield
    except UserError:
        raise
    except OSError as error:
        raise UserError(
            f"{path}: the checkpoint cannot be read ({error.strerror}), expected a file; mend that."
        ) from None
    except Exception as error:  # a damaged pickle can raise anything
        reason = str(error) if isinstance(error, ValueError) else f"{type(error).__name__} {error}"
        raise _unusable(path, f"a damaged file or no checkpoint ({_printable(reason)})") from None


def _unusable(path: Path, found: str) -> UserError:
    return UserError(
        f"{path}: found {found}, expected a checkpoint of torch, TorchScript or safetensors;"
        f" fetch the file again from its publisher."
    )


def _printable(text: str) -> str:
    """What a file says, fit for one line of a terminal."""
    return ascii(" ".join(text.split()))[1:-1][:120]


# the pickle


class _Storage(NamedTuple):
    key: str
    dtype: torch.dtype
    numel: int


class _Stored(NamedTuple):
    """A tensor that is still in the file."""

    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    def __hash__(self) -> int:
        return id(self)


class _Tuple(tuple[Any, ...]):
    """Hashed in one step: a plain tuple, a million deep and a key of a dict, would overflow the stack."""

    __hash__ = object.__hash__


class _Inert:
    """Stands for every foreign class and its objects: takes anything, keeps nothing, does nothing."""

    def __new__(cls, *args: Any, **kwargs: Any) -> _Inert:
        return super().__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def _ignore(self, *args: Any) -> None:
        pass

    append = extend = add = update = _ignore


class _Module(_Inert):
    """Stands for a module of a TorchScript archive: keeps its attributes."""

    attributes: Any = None


def _rebuild_tensor(storage: _Storage, offset: int, size: Any, stride: Any, *_: Any) -> _Stored:
    if not isinstance(storage, _Storage):
        raise ValueError("a tensor without a storage")
    return _Stored(storage, offset, tuple(size), tuple(stride))


def _rebuild_parameter(data: Any, *_: Any) -> Any:
    return data


GLOBALS: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _rebuild_parameter,
}


def _tupled(step: Callable[[Any], None]) -> Callable[[Any], None]:
    def load(reader: Any) -> None:
        step(reader)
        reader.stack[-1] = _Tuple(reader.stack[-1])

    return load


def _build(reader: Any) -> None:
    state = reader.stack.pop()
    if isinstance(reader.stack[-1], _Module):
        reader.stack[-1].attributes = state


TUPLES = b"".join((pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3))
UNREAD = b"".join((pickle.EXT1, pickle.EXT2, pickle.EXT4, pickle.BYTEARRAY8))
STEPS = {code: step for code, step in pickle._Unpickler.dispatch.items() if code not in UNREAD}
STEPS |= {code: _tupled(STEPS[code]) for code in TUPLES} | {pickle.BUILD[0]: _build}


class _Reader(pickle._Unpickler):
    """Reads a pickle into plain values, tensors yet to read and inert objects; never imports or calls.

    The unpickler in Python, because the one in C gives a single opcode gigabytes. State is set on nothing but
    our own modules, and the opcodes for registered extensions and mutable buffers are unknown.
    """

    dispatch = STEPS

    def __init__(self, file: io.BytesIO, path: Path) -> None:
        super().__init__(file, encoding="latin1")
        self.path = path
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in GLOBALS:
            return GLOBALS[module, name]
        if module in ("torch", "torch.cuda") and name in STORAGES:
            return STORAGES[name]
        if module.startswith("__torch__"):
            return _Module
        if _runs_code(module, name):
            raise UserError(
                f"{self.path}: found {_printable(f'{module}.{name}')}, which would run code, expected tensors"
                f" and plain objects; nothing was run, get the checkpoint from a publisher you trust."
            )
        return _Inert

    def persistent_load(self, pid: Any) -> Any:
        kind, what, *rest = pid
        if kind == "module":  # a class and its source, beside a whole model in the format before 1.6
            return what
        key, _, count, *view = rest
        known = isinstance(key, str) and isinstance(what, torch.dtype) and isinstance(count, int)
        if kind != "storage" or not known or any(view):
            raise ValueError("a storage of an unknown kind")
        self.storages[key] = _Storage(key, what, count)
        return self.storages[key]


def _runs_code(module: str, name: str) -> bool:
    """Whether a global is one that does something, rather than a class that something was made of."""
    *owners, last = name.split(".")
    root = module.split(".")[0]
    if any(CODE_MODULES.fullmatch(owner) for owner in (root, *owners)):
        return bool(owners) or not HARMLESS.fullmatch(last)
    if root != "torch" or module == "torch.jit._pickle":  # TorchScript's lists of numbers
        return False
    return not (last.lstrip("_")[:1].isupper() or HARMLESS.fullmatch(last))


# what the pickle says


def _named(found: Any) -> dict[str, _Stored]:
    """The tensors of a TorchScript module, a Lightning checkpoint or a state dict."""
    if isinstance(found, _Module):
        return _attributes(found)
    if isinstance(found, dict) and isinstance(found.get("state_dict"), dict):
        found = found["state_dict"]
    items = found.items() if isinstance(found, dict) else ()
    return {name: value for name, value in items if isinstance(name, str) and isinstance(value, _Stored)}


def _attributes(module: _Module) -> dict[str, _Stored]:
    found: dict[str, _Stored] = {}
    pending = [("", module)]
    for _ in range(MOST_MODULES):
        if not pending:
            return found
        prefix, module = pending.pop()
        for name, value in dict(module.attributes or {}).items():
            if isinstance(name, str) and isinstance(value, _Module):
                pending.append((f"{prefix}{name}.", value))
            elif isinstance(name, str) and isinstance(value, _Stored):
                found[f"{prefix}{name}"] = value
    raise ValueError("more modules than any model has")


# where the bytes are


class _Span(NamedTuple):
    start: int  # bytes from the beginning of the file
    length: int  # bytes
    crc: int | None


def _from_zip(path: Path, mapped: mmap.mmap) -> dict[str, Tensor]:
    with zipfile.ZipFile(path) as archive:
        roots = {name.split("/")[0] for name in archive.namelist() if re.fullmatch("[^/]+/data.pkl", name)}
        if len(roots) != 1:
            raise ValueError("a zip archive without one data.pkl")
        root = roots.pop()
        if f"{root}/byteorder" in archive.namelist() and _small(archive, f"{root}/byteorder") != b"little":
            raise ValueError("numbers in big-endian order")
        found = _named(_Reader(io.BytesIO(_small(archive, f"{root}/data.pkl")), path).load())
        storages = {stored.storage for stored in found.values()}
        entries = {storage: archive.getinfo(f"{root}/data/{storage.key}") for storage in storages}
    return _materialise(found, mapped, {storage: _span(mapped, entry) for storage, entry in entries.items()})


def _small(archive: zipfile.ZipFile, name: str) -> bytes:
    if archive.getinfo(name).file_size > MOST_PICKLE:
        raise ValueError(f"{name} is of absurd size")
    return archive.read(name)


def _span(mapped: mmap.mmap, entry: zipfile.ZipInfo) -> _Span:
    if entry.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"the entry {entry.filename} is compressed")
    name, extra = struct.unpack_from("<HH", mapped, entry.header_offset + 26)  # lengths, in bytes
    return _Span(entry.header_offset + 30 + name + extra, entry.file_size, entry.CRC)


def _from_legacy(path: Path, mapped: mmap.mmap) -> dict[str, Tensor]:
    file = io.BytesIO(mapped[:MOST_PICKLE])
    if _Reader(file, path).load() != LEGACY_MAGIC:
        raise ValueError("a pickle that torch.save did not write")
    for _ in ("protocol", "system"):
        _Reader(file, path).load()
    reader = _Reader(file, path)
    found = _named(reader.load())
    keys = _Reader(file, path).load()
    spans, start = {}, file.tell()
    for key in keys:
        if key not in reader.storages:
            raise ValueError("numbers of no tensor")
        storage = reader.storages[key]
        (count,) = struct.unpack_from("<Q", mapped, start)
        spans[storage] = _Span(start + 8, count * storage.dtype.itemsize, None)
        start += 8 + spans[storage].length
    return _materialise(found, mapped, spans)


def _materialise(
    found: Mapping[str, _Stored], mapped: mmap.mmap, spans: Mapping[_Storage, _Span]
) -> dict[str, Tensor]:
    storages = {stored.storage for stored in found.values()}
    loaded = {storage: _load(storage, mapped, spans[storage]) for storage in storages}
    return {name: _view(loaded[stored.storage], stored) for name, stored in found.items()}


def _load(storage: _Storage, mapped: mmap.mmap, span: _Span) -> Tensor:
    """The numbers of a storage [count], mapped from the file; a copy where they lie between whole numbers."""
    start, length, crc = span
    if length != storage.numel * storage.dtype.itemsize or start + length > len(mapped):
        raise ValueError(f"{length} bytes for a storage of {storage.numel} {storage.dtype}")
    if crc is not None and zlib.crc32(memoryview(mapped)[start : start + length]) != crc:
        raise ValueError(f"the checksum of the storage {storage.key}")
    if not length:
        return torch.empty(0, dtype=storage.dtype)
    if start % storage.dtype.itemsize:
        return torch.frombuffer(bytearray(mapped[start : start + length]), dtype=storage.dtype)
    return torch.frombuffer(mapped, dtype=storage.dtype, count=storage.numel, offset=start)


def _view(numbers: Tensor, stored: _Stored) -> Tensor:
    _, offset, size, stride = stored
    whole = all(isinstance(n, int) and 0 <= n < 1 << 63 for n in (offset, *size, *stride))
    if not whole or not len(stride) == len(size) <= MOST_DIMENSIONS or math.prod(size) > len(numbers):
        raise ValueError("a tensor that does not fit its storage")
    if not math.prod(size):
        return torch.empty(size, dtype=numbers.dtype)
    if offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True)) >= len(numbers):
        raise ValueError("a tensor that reaches beyond its storage")
    return numbers.as_strided(size, stride, offset)
