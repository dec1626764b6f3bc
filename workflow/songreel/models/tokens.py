"""Words as CLIP reads them: byte-pair tokens, without torch, which planning can do without."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any

ENDS = 2  # tokens of every context: the start and the end of a text


def fits(text: str, context: int) -> bool:
    """Whether a context of so many tokens holds all of a text."""
    # A token is a byte or more, and of plain ASCII nothing is rewritten before it is split, but for `&lt;`.
    if text.isascii() and "&" not in text and len(text) <= context - ENDS:
        return True
    return len(tokenizer().encode(text)) <= context - ENDS


@functools.cache
def tokenizer() -> Any:
    """CLIP's own; to read its vocabulary takes a while."""
    return clip_module("simple_tokenizer").SimpleTokenizer()


def clip_module(name: str) -> ModuleType:
    """A module of clip-anytorch without its `__init__`, which spends seconds on importing torchvision."""
    if "clip" not in sys.modules:
        spec = importlib.util.find_spec("clip")
        assert spec is not None
        package = ModuleType("clip")
        package.__path__ = list(spec.submodule_search_locations or ())
        sys.modules["clip"] = package
    return importlib.import_module(f"clip.{name}")
