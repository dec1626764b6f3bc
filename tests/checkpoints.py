"""Tiny checkpoints in the published formats, with random weights, and files that would run code."""

from __future__ import annotations

import argparse
import functools
import io
import pickle
import sys
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from songreel.models.tokens import clip_module as _clip

FOREIGN = {
    "pytorch_lightning.callbacks.model_checkpoint": "ModelCheckpoint",
    "pytorch_lightning.callbacks.early_stopping": "EarlyStopping",
    "somebodys_project.config": "DictConfig",
}
LOSSES = ("loss.perceptual_loss.lin0.weight", "loss.discriminator.main.0.weight", "loss.logvar")
CLIP_FACTS = {"input_resolution": 64, "context_length": 8, "vocab_size": 49}
VISION: dict[str, int | tuple[int, ...]] = {"vit": 1, "resnet": (1, 1, 1, 1)}


def vqgan_state(seed: int = 0) -> dict[str, Tensor]:
    """The names of a VQGAN at work, with weights of many kinds of layout."""
    draw = torch.Generator().manual_seed(seed)
    return {
        "encoder.conv_in.weight": torch.randn(4, 3, 3, 3, generator=draw),
        "decoder.conv_out.weight": torch.randn(3, 4, 3, 3, generator=draw).permute(1, 0, 2, 3),
        "decoder.conv_out.bias": torch.randn(16, generator=draw)[3:9],
        "quantize.embedding.weight": torch.randn(16, 4, generator=draw),
        "quant_conv.weight": torch.randn(4, 4, 1, 1, generator=draw),
        "post_quant_conv.weight": torch.randn(4, 4, 1, 1, generator=draw),
    }


def gumbel_state(seed: int = 0) -> dict[str, Tensor]:
    """The names of a VQGAN with a Gumbel quantiser."""
    draw = torch.Generator().manual_seed(seed)
    state = {name: value for name, value in vqgan_state(seed).items() if not name.startswith("quantize")}
    return state | {
        "quantize.proj.weight": torch.randn(16, 4, 1, 1, generator=draw),
        "quantize.proj.bias": torch.randn(16, generator=draw),
        "quantize.embed.weight": torch.randn(16, 4, generator=draw),
    }


def losses() -> dict[str, Tensor]:
    """What a training VQGAN holds besides."""
    return {name: torch.randn(3, 3) for name in LOSSES}


# what torch.save writes


def lightning(path: Path, state: Mapping[str, Tensor], foreign: bool = True, extra: Any = None) -> Path:
    """A checkpoint of Lightning; the classes of its foreign objects are gone when it is written."""
    with foreign_classes() as classes:
        found: dict[str, Any] = {
            "epoch": 3,
            "global_step": 4000,
            "pytorch-lightning_version": "0.9.0",
            "state_dict": OrderedDict(state),
            "optimizer_states": [_adam(state)],
            "lr_schedulers": [],
        }
        if foreign:
            found |= _foreign_objects(*classes)
        torch.save(found | ({} if extra is None else {"extra": extra}), path)
    return path


@contextmanager
def foreign_classes() -> Iterator[list[Any]]:
    """Classes that exist only inside the block."""
    names = {".".join(name.split(".")[: n + 1]) for name in FOREIGN for n in range(name.count(".") + 1)}
    modules = {name: ModuleType(name) for name in names}
    classes = [type(name, (), {"__module__": module}) for module, name in FOREIGN.items()]
    for module, kind in zip(FOREIGN, classes, strict=True):
        setattr(modules[module], kind.__name__, kind)
    before = {name: sys.modules[name] for name in modules if name in sys.modules}
    sys.modules.update(modules)
    try:
        yield classes
    finally:
        for name in modules:
            del sys.modules[name]
        sys.modules.update(before)


def _foreign_objects(checkpoint: Any, stopping: Any, config: Any) -> dict[str, Any]:
    stopper, nested = stopping(), config()
    stopper.__dict__ |= {"patience": 3, "best_score": torch.tensor(0.5), "wait": np.float32(2)}
    nested.__dict__ |= {"_content": {"model": config(), "seen": {1, 2}}, "_parent": nested}
    return {
        "callbacks": {checkpoint: {"best_model_score": torch.tensor(0.1)}, stopping: stopper},
        "hyper_parameters": argparse.Namespace(
            config=nested, folder=Path("logs"), raw=b"\xff", size=slice(3)
        ),
        "scaling": functools.partial(stopping, patience=3),
        "history": [np.arange(3), np.float64(0.5), torch.float16, torch.device("cpu"), torch.Size((1, 2))],
        "optimiser": torch.optim.Adam,
    }


def _adam(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """As `torch.optim.Adam.state_dict()` is; to make one takes seconds of imports."""
    moments = {
        n: {"step": 1, "exp_avg": value.clone(), "exp_avg_sq": value.clone()}
        for n, value in enumerate(state.values())
    }
    return {"state": moments, "param_groups": [{"lr": 4.5e-6, "betas": (0.5, 0.9), "params": [*moments]}]}


def gumbel(path: Path) -> Path:
    """A Lightning checkpoint of a Gumbel VQGAN, with what it was trained by."""
    return lightning(path, gumbel_state() | losses())


def transformer_with_first_stage(path: Path, state: Mapping[str, Tensor]) -> Path:
    """A transformer's checkpoint: the VQGAN with its losses is one part of it, another VQGAN a second."""
    parts = {
        "first_stage_model.": {**state, **losses()},
        "cond_stage_model.": vqgan_state(9),
        "transformer.": {"tok_emb.weight": torch.randn(16, 8), "blocks.0.attn.mask": torch.ones(1, 1, 4, 4)},
    }
    return lightning(
        path, {prefix + name: value for prefix, part in parts.items() for name, value in part.items()}
    )


def bare(path: Path, state: Mapping[str, Tensor]) -> Path:
    """A state dict and nothing else."""
    torch.save(OrderedDict(state), path)
    return path


def legacy(path: Path, state: Mapping[str, Tensor]) -> Path:
    """The format before torch 1.6: pickles and storages one after the other."""
    torch.save({"state_dict": dict(state), "epoch": 3}, path, _use_new_zipfile_serialization=False)
    return path


# what torch.jit.save writes


def clip_model(vision: str = "vit", half: bool = True) -> Any:
    """A CLIP of clip-anytorch's own making, tiny, "vit" or "resnet"."""
    torch.manual_seed(0)
    layers, width = VISION[vision], 8 if vision == "resnet" else 64
    model = _clip("model").CLIP(16, 64, layers, width, 16, 8, 49, 16, 2, 1)
    if half:
        _clip("model").convert_weights(model)
    return model.eval()


def torchscript_clip(path: Path, vision: str = "vit", half: bool = True) -> Path:
    """A tiny CLIP as OpenAI publishes it: traced, three of its facts as tensors."""
    return _traced(clip_model(vision, half), CLIP_FACTS, path)


def archive(model: Any, config: Mapping[str, Any], path: Path) -> Path:
    """A CLIP with this config as OpenAI publishes it, in half precision."""
    _clip("model").convert_weights(model)
    facts = {name: config[name] for name in ("context_length", "vocab_size")}
    return _traced(model.eval(), {"input_resolution": config["image_resolution"], **facts}, path)


def _traced(model: Any, facts: Mapping[str, int], path: Path) -> Path:
    for name, value in facts.items():
        model.__dict__.pop(name, None)
        model.register_buffer(name, torch.tensor(value))
    side, context = facts["input_resolution"], facts["context_length"]
    example = (torch.zeros(1, 3, side, side), torch.zeros(1, context, dtype=torch.long))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        jit: Any = torch.jit  # without types
        jit.save(jit.trace(model, example, check_trace=False), path)
    return path


# files that would run code


def _shell(target: Path) -> str:
    return f"touch '{target}'"


def _python(target: Path) -> str:
    return f"open({str(target)!r}, 'w').close()"


def pickled(value: Any) -> bytes:
    """The opcodes of a plain value, to be put into a pickle."""
    return pickle.dumps(value, 2)[2:-1]


def _call(module: str, name: str, *arguments: Any) -> bytes:
    return b"\x80\x02c" + f"{module}\n{name}\n".encode() + pickled(arguments) + b"R."


def dotted(module: str, name: str, *arguments: Any) -> bytes:
    """A pickle that calls a global found as protocol 4 finds it, attribute by attribute."""
    return b"\x80\x04" + pickled(module) + pickled(name) + b"\x93" + pickled(arguments) + b"R."


def _nested_getattr(shell: str) -> bytes:
    module = b"cbuiltins\n__import__\n" + pickled(("os",)) + b"R"
    function = b"cbuiltins\ngetattr\n(" + module + pickled("system") + b"tR"
    return b"\x80\x02" + function + pickled((shell,)) + b"R."


def _another_file(target: Path) -> bytes:
    other = zipped(target.with_name(f"{target.name}.pt"), _call("os", "system", _shell(target)))

    class Load:
        def __reduce__(self) -> Any:
            return functools.partial(torch.load, weights_only=False), (str(other),)

    return pickle.dumps(Load(), 2)


def zipped(path: Path, data: bytes) -> Path:
    """The archive of `torch.save` around a pickle."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", data)
        archive.writestr("archive/version", "3\n")
    return path


def stacked(path: Path, data: bytes) -> Path:
    """The format before torch 1.6 around a pickle."""
    file = io.BytesIO()
    torch.save({}, file, _use_new_zipfile_serialization=False)
    file.seek(0)
    for _ in range(3):  # magic number, protocol, system
        pickle.load(file)
    path.write_bytes(file.getvalue()[: file.tell()] + data + pickle.dumps([], 2))
    return path


def raw(path: Path, data: bytes) -> Path:
    """A pickle and nothing else."""
    path.write_bytes(data if data.startswith(b"\x80") else b"\x80\x02" + data)
    return path


def beside_weights(path: Path, data: bytes) -> Path:
    """A Lightning checkpoint with good weights, one of whose objects is the pickle."""
    inner = data.removeprefix(data[:2] if data.startswith(b"\x80") else b"").removesuffix(b".")
    lightning(path, vqgan_state(), extra="REPLACED")
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content.replace(_text("REPLACED"), inner))
    return path


def _text(text: str) -> bytes:
    return b"X" + len(text).to_bytes(4, "little") + text.encode()


CONTAINERS: tuple[Callable[[Path, bytes], Path], ...] = (zipped, stacked, raw, beside_weights)


Attack = Callable[[Path], bytes]  # a pickle that creates the path when it is loaded
ATTACKS: dict[str, tuple[str, Attack]] = {  # what it is, and the global that it is refused for
    "os": ("os.system", lambda target: _call("os", "system", _shell(target))),
    "posix": ("posix.system", lambda target: _call("posix", "system", _shell(target))),
    "subprocess": ("subprocess.call", lambda target: _call("subprocess", "call", ["touch", str(target)])),
    "exec": ("builtins.exec", lambda target: _call("builtins", "exec", _python(target))),
    "eval": ("builtins.eval", lambda target: _call("builtins", "eval", _python(target))),
    "python 2": ("__builtin__.eval", lambda target: _call("__builtin__", "eval", _python(target))),
    "timeit": ("timeit.timeit", lambda target: _call("timeit", "timeit", "pass", _python(target))),
    "inst": ("os.system", lambda target: b"(" + pickled(_shell(target)) + b"ios\nsystem\n."),
    "obj": ("os.system", lambda target: b"(cos\nsystem\n" + pickled(_shell(target)) + b"o."),
    "dotted": ("logging.os.system", lambda target: dotted("logging", "os.system", _shell(target))),
    "nested getattr": ("builtins.getattr", lambda target: _nested_getattr(_shell(target))),
    "another file": ("torch.serialization.load", _another_file),
}


def malicious(path: Path, target: Path, attack: str, container: Callable[[Path, bytes], Path]) -> str:
    """Write a file that creates `target` when a careless reader loads it; returns the global to refuse."""
    named, data = ATTACKS[attack]
    container(path, data(target))
    return named
