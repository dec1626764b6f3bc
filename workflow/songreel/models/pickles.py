"""What a pickle of `torch.save` says, read into plain values by a reader that never imports or calls.

Knows no torch, so that a plan can look into a checkpoint in a moment. Every step is counted: a pickle of
a few bytes may ask for gigabytes.

`torch.load(weights_only=True)` with inert stand-ins was tried in its place, with torch 2.14. It reads no
TorchScript, as which all CLIPs are published; pickles of protocol 4 and with INST it refuses without a name;
400 kB of copies took it gigabytes, a tuple deep as a key ended the process, and wrong checksums passed.
"""

from __future__ import annotations

import io
import pickle
import re
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from songreel.ground.errors import UserError

# torch.serialization.MAGIC_NUMBER, which opens the format before 1.6
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
# Bytes; the pickle of a large transformer and its optimiser takes about one million
MOST_PICKLE = 32 << 20
# Opcodes, and what they copy; the same pickle takes some two hundred thousand
MOST_STEPS = 1_000_000
MOST_DIMENSIONS = 64  # as torch has it
MOST_NAME = 1000  # characters
MOST_ATTRIBUTES = 300_000  # a module may hold itself, and so a small pickle be an endless tree

# Refusing these is for the user's sake, who learns what the file is: nothing in a file is called anyway.
CODE_MODULES = re.compile(
    r"_*(asyncio|bdb|builtins?|code|codecs|codeop|commands|ctypes|dill|cloudpickle|functools|imp|importlib|io"
    r"|joblib|marshal|multiprocessing|nt|operator|os|pdb|pickle|pip|pkgutil|popen2|posix|posixsubprocess|pty"
    r"|runpy|shutil|signal|socket|subprocess|sys|tempfile|threading|timeit|types|urllib|webbrowser)_*"
)
# Types in those modules, a function that bytes are written with, and values of torch
HARMLESS = re.compile(
    r"bool|bytearray|bytes|complex|dict|float|frozenset|int|list|long|object|range|set|slice|str|tuple|type"
    r"|unicode|NoneType|SimpleNamespace|BytesIO|StringIO|partial|encode"
    r"|b?float\d+|u?int\d+|complex\d+|half|double|short|device|dtype|layout|strided"
)


class Kind(NamedTuple):
    """Of numbers: torch's name for it, and the bytes that one takes."""

    name: str
    bytes: int


STORAGES = {
    "DoubleStorage": Kind("float64", 8),
    "FloatStorage": Kind("float32", 4),
    "HalfStorage": Kind("float16", 2),
    "BFloat16Storage": Kind("bfloat16", 2),
    "LongStorage": Kind("int64", 8),
    "IntStorage": Kind("int32", 4),
    "ShortStorage": Kind("int16", 2),
    "CharStorage": Kind("int8", 1),
    "ByteStorage": Kind("uint8", 1),
    "BoolStorage": Kind("bool", 1),
}


class Storage(NamedTuple):
    """Numbers that lie in the file one after the other, under a key."""

    key: str
    kind: Kind
    numel: int


class Stored(NamedTuple):
    """A tensor that is still in the file."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    def __hash__(self) -> int:
        return id(self)


class _Tuple(tuple[Any, ...]):
    """Hashed in one step: a plain tuple, a million deep and a key of a dict, would overflow the stack."""

    __slots__ = ()
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


def _rebuild_tensor(storage: Storage, offset: int, size: Any, stride: Any, *_: Any) -> Stored:
    if not isinstance(storage, Storage):
        raise ValueError("a tensor without a storage")
    if max(len(size), len(stride)) > MOST_DIMENSIONS:
        raise ValueError("a tensor of absurdly many dimensions")
    return Stored(storage, offset, tuple(size), tuple(stride))


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


def _counted(step: Callable[[Any], None]) -> Callable[[Any], None]:
    """A step that copies the arguments on top of the stack, which may be the same ones each time."""

    def load(reader: Any) -> None:
        arguments = reader.stack[-1]
        parts = [arguments, *arguments] if isinstance(arguments, tuple) else [arguments]
        reader.steps.count(sum(len(part) for part in parts if hasattr(part, "__len__")))
        step(reader)

    return load


TUPLES = b"".join((pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3))
CALLS = b"".join((pickle.REDUCE, pickle.NEWOBJ, pickle.NEWOBJ_EX, pickle.BINPERSID))
UNREAD = b"".join((pickle.EXT1, pickle.EXT2, pickle.EXT4, pickle.BYTEARRAY8, pickle.LONG4))
STEPS = {code: step for code, step in pickle._Unpickler.dispatch.items() if code not in UNREAD}
STEPS |= {code: _tupled(STEPS[code]) for code in TUPLES} | {pickle.BUILD[0]: _build}
STEPS |= {code: _counted(STEPS[code]) for code in CALLS}


class _Steps(dict[int, Callable[[Any], None]]):
    """What each opcode does, for one reader, which may take no more than so many steps."""

    left = MOST_STEPS

    def __getitem__(self, code: int) -> Callable[[Any], None]:
        self.count(1)
        return super().__getitem__(code)

    def count(self, steps: int) -> None:
        self.left -= steps
        if self.left < 0:
            raise ValueError("a pickle of more steps than any model takes")


class Reader(pickle._Unpickler):
    """Reads a pickle into plain values, tensors yet to read and inert objects; never imports or calls.

    The unpickler in Python, because the one in C gives a single opcode gigabytes. State is set on nothing but
    our own modules, and the opcodes for registered extensions, mutable buffers and huge numbers are unknown.
    """

    def __init__(self, file: io.BytesIO, path: Path) -> None:
        super().__init__(file, encoding="latin1")
        self.steps = _Steps(STEPS)
        self.path = path
        self.storages: dict[str, Storage] = {}

    @property
    def dispatch(self) -> _Steps:  # type: ignore[override]
        """What the unpickler looks each opcode up in."""
        return self.steps

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in GLOBALS:
            return GLOBALS[module, name]
        if module in ("torch", "torch.cuda") and name in STORAGES:
            return STORAGES[name]
        if module.startswith("__torch__"):
            return _Module
        if _runs_code(module, name):
            raise UserError(
                f"{self.path}: found {printable(f'{module}.{name}')}, which would run code, expected tensors"
                f" and plain objects; nothing was run, get the checkpoint from a publisher you trust."
            )
        return _Inert

    def persistent_load(self, pid: Any) -> Any:
        kind, what, *rest = pid
        # A class and its source, beside a whole model in the format before 1.6
        if kind == "module":
            return what
        key, _, count, *view = rest
        known = isinstance(key, str) and isinstance(what, Kind) and isinstance(count, int)
        if kind != "storage" or not known or any(view):
            raise ValueError("a storage of an unknown kind")
        self.storages[key] = Storage(key, what, count)
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


def named(unpickled: Any) -> dict[str, Stored]:
    """The tensors of a TorchScript module, a Lightning checkpoint or a state dict.

    Where a dict holds none itself, those of the dicts in it, with dots in their names.
    """
    if isinstance(unpickled, dict) and isinstance(unpickled.get("state_dict"), dict):
        unpickled = unpickled["state_dict"]
    if isinstance(unpickled, _Module):
        return _walked(unpickled, lambda module: module.attributes, _Module)
    items = unpickled.items() if isinstance(unpickled, dict) else ()
    top = {name: value for name, value in items if isinstance(name, str) and isinstance(value, Stored)}
    return top or _walked(unpickled, lambda inner: inner, dict)


def _walked(root: Any, inside: Callable[[Any], Any], kind: type) -> dict[str, Stored]:
    tensors: dict[str, Stored] = {}
    pending, left = [("", root)], MOST_ATTRIBUTES
    while pending:
        prefix, holder = pending.pop()
        entries = inside(holder) if isinstance(holder, kind) else None
        for name, value in entries.items() if isinstance(entries, dict) else ():
            left -= 1
            if left < 0 or len(prefix) > MOST_NAME:
                raise ValueError("more modules than any model has")
            if isinstance(name, str) and isinstance(value, kind):
                pending.append((f"{prefix}{name}.", value))
            elif isinstance(name, str) and isinstance(value, Stored):
                tensors[f"{prefix}{name}"] = value
    return tensors


def printable(text: str) -> str:
    """What a file says, fit for one line of a terminal."""
    return ascii(" ".join(text.split()))[1:-1][:120]
