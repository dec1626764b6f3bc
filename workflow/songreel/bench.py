"""How fast this machine is, and how much faster than the published method on it, measured in one run.

Ours and the baseline take turns, so that what else the machine does meanwhile slows both: what counts is the
ratio of each round, and their median. The baseline is benchmarks/baseline.py.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import cycle, islice
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from songreel import device, draw, film, perceptor, plan, rates, roofline, sampler, vqgan, weights
from songreel.config import Config, resolve
from songreel.files import Document
from songreel.perceptor import Perceptor
from songreel.roofline import Device, Work
from songreel.sampler import Iteration, Pull, Strategy
from songreel.vqgan import VQGAN
from songreel.weights import Weights

BASELINE = Path(__file__).resolve().parents[2] / "benchmarks/baseline.py"
LINE_SECONDS = 5  # of film, about a line
FILMS = {"song": (209, 37), "concert": (2400, 436)}  # seconds and lines
TEXT = "a red rose"

# The architectures of the models of those names, to be measured with random weights: nothing is downloaded.
IMAGENET_16384: Mapping[str, Any] = {
    "ddconfig": {
        "double_z": False,
        "z_channels": 256,
        "resolution": 256,
        "in_channels": 3,
        "out_ch": 3,
        "ch": 128,
        "ch_mult": [1, 1, 2, 2, 4],
        "num_res_blocks": 2,
        "attn_resolutions": [16],
        "dropout": 0.0,
    },
    "n_embed": 16384,
    "embed_dim": 256,
}
VIT_B_32: Mapping[str, Any] = {
    "embed_dim": 512,
    "image_resolution": 224,
    "vision_layers": 12,
    "vision_width": 768,
    "vision_patch_size": 32,
    "context_length": 77,
    "vocab_size": 49408,
    "transformer_width": 512,
    "transformer_heads": 8,
    "transformer_layers": 12,
}

_FULL = {"preset": "reference", "model": "imagenet-16384", "perceptors": ["ViT-B/32"]}
CASES: Mapping[str, Mapping[str, Any]] = {
    "starter": {"preset": "draft"},
    "full": _FULL,
    "full-512": {**_FULL, "size": "512x512"},
}
ON_GPUS_ONLY = ("full-512",)  # unless asked for


@dataclass(frozen=True)
class Bench:
    """How thoroughly to measure, and on what."""

    rounds: int
    seconds: float  # about, for each measurement
    threads: int  # of the CPU
    where: torch.device
    precision: torch.dtype


def run(only: Sequence[str], rounds: int, seconds: float, threads: int) -> Document:
    """Measure the cases of those names, or all that fit the device."""
    torch.set_num_threads(threads)
    where = device.choose()
    bench = Bench(rounds, seconds, threads, where, device.precision(where))
    names = only or [name for name in CASES if where.type == "cuda" or name not in ON_GPUS_ONLY]
    found = roofline.measure(where, bench.precision)
    return {"machine": _machine(bench, found), "cases": {name: _case(name, bench, found) for name in names}}


def _machine(bench: Bench, found: Device) -> Document:
    gpu = bench.where.type == "cuda"
    return {
        "device": torch.cuda.get_device_name(bench.where) if gpu else _processor(),
        "threads": bench.threads,
        "precision": str(bench.precision).removeprefix("torch."),
        "torch": torch.__version__,
        "matmul_flop_per_second": found.flop_per_second,
        "copy_bytes_per_second": found.bytes_per_second,
    }


def _processor() -> str:
    try:
        facts = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(fact.partition(":")[2].strip() for fact in facts if fact.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _case(name: str, bench: Bench, found: Device) -> Document:
    settings = resolve(CASES[name])
    work = _work(settings, bench)
    raced = _race(settings, bench)
    rate = raced["iterations_per_second"]
    parts = {
        **raced,
        **_drawing(settings, bench, rate),
        "start_up_seconds": _start_up_seconds(name, bench),
    }
    return {
        "size": [settings.width, settings.height],
        "cutouts": settings.cutouts,
        "iterations_per_keyframe": settings.iterations,
        **parts,
        "keyframes_per_second": rate / settings.iterations,
        "flop_per_iteration": work.flop,
        "bytes_per_iteration": work.bytes,
        "share_of_matmul_peak": rate * work.flop / found.flop_per_second,
        "share_of_roofline": rate / found.attainable(work),
        "films": _films(settings, parts),
        "peak_memory_bytes": _peak_memory(name, bench, "ours"),
        "baseline_peak_memory_bytes": _peak_memory(name, bench, "baseline"),
    }


# Networks


def _published(settings: Config) -> tuple[VQGAN, Any]:
    """A picture maker and a CLIP as they were published, float32 on the CPU."""
    if settings.model == "starter":
        return vqgan.read(weights.vqgan("starter")), perceptor.read(weights.perceptor("starter"))
    torch.manual_seed(0)
    maker, clip = VQGAN(**IMAGENET_16384), perceptor.build(VIT_B_32)
    torch.nn.init.normal_(maker.codebook)  # taming's own start is nearly a point
    return maker.eval().requires_grad_(False), clip.eval().requires_grad_(False)


def _ready(settings: Config, bench: Bench) -> tuple[VQGAN, Pull]:
    """The same as a job uses them, with a place in CLIP's space to steer to."""
    maker, clip = _published(settings)
    judge = Perceptor(clip, bench.where, bench.precision)
    return vqgan.ready(maker, bench.where, bench.precision), Pull(judge, _target(clip, bench.where))


def _target(clip: Any, where: torch.device) -> Tensor:
    towards = torch.randn(1, clip.text_projection.shape[1], generator=torch.Generator().manual_seed(0))
    return F.normalize(towards, dim=-1).to(where)


def _canvas(settings: Config, maker: VQGAN) -> Tensor:
    return sampler.canvas(maker, (settings.width, settings.height), settings.seed)


def _strategy(settings: Config, iterations: int) -> Strategy:
    return Strategy(iterations, 0, settings.cutouts, settings.learning_rate)


# Speed


def _work(settings: Config, bench: Bench) -> Work:
    maker, pull = _ready(settings, bench)
    start = _canvas(settings, maker)
    iteration = Iteration(maker, [pull], _strategy(settings, 1), start, 2)
    iteration.begin(start, 0)
    return roofline.count(iteration)


def _race(settings: Config, bench: Bench) -> Document:
    """Iterations a second of ours and of the baseline, taking turns."""
    ours, capture = _ours(settings, bench)
    published = _baseline(settings, bench)
    baseline = _rate(published.step, bench)
    rounds = [{"ours": ours(), "baseline": baseline()} for _ in range(bench.rounds)]
    return {
        "baseline_augmentations": published.augmentations,
        "iterations_per_second": median(each["ours"] for each in rounds),
        "baseline_iterations_per_second": median(each["baseline"] for each in rounds),
        "times_baseline": median(each["ours"] / each["baseline"] for each in rounds),
        "rounds": rounds,
        "first_keyframe_extra_seconds": capture,
    }


def _ours(settings: Config, bench: Bench) -> tuple[Callable[[], float], float]:
    """What measures iterations a second in a chain, and the seconds that its first iteration took longer.

    A keyframe's own work counts too: it has the preset's iterations where there is time for so many.
    """
    maker, pull = _ready(settings, bench)
    start = _canvas(settings, maker)

    def timed(iterations: int) -> Iterator[float]:
        links = sampler.chain(maker, [pull], _strategy(settings, iterations), start, 0, 0, 0)
        while True:
            yield roofline.seconds(lambda: next(links), bench.where)

    first, once = islice(timed(1), 2)
    iterations = max(1, min(settings.iterations, math.floor(bench.seconds / once)))
    keyframes = max(1, round(bench.seconds / (iterations * once)))
    chain = timed(iterations)
    next(chain)
    return lambda: iterations * keyframes / sum(islice(chain, keyframes)), first - once


def _rate(step: Callable[[], None], bench: Bench) -> Callable[[], float]:
    """What measures how many steps a second there are."""
    step()
    count = max(1, round(bench.seconds / roofline.seconds(step, bench.where)))

    def steps() -> None:
        for _ in range(count):
            step()

    return lambda: count / roofline.seconds(steps, bench.where)


def _baseline(settings: Config, bench: Bench) -> Any:
    """benchmarks/baseline.py's Baseline."""
    maker, clip = (network.to(bench.where) for network in _published(settings))
    start, target = _canvas(settings, maker)[None], _target(clip, bench.where)
    module = _baseline_module()
    return module.Baseline(maker, clip, target, start, settings.cutouts, settings.learning_rate)


def _baseline_module() -> ModuleType:
    """benchmarks/baseline.py, which lies beside the package: nothing that renders needs it."""
    spec = importlib.util.spec_from_file_location("songreel_baseline", BASELINE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# Drawing


def _drawing(settings: Config, bench: Bench, iterations_per_second: float) -> Document:
    """Frames a second that are decoded and encoded, and what drawing a line costs against optimising it."""
    maker, _ = _ready(settings, bench)
    frames = max(1, draw.BATCH_PIXELS[bench.where.type] // (settings.width * settings.height))  # a batch
    clip = plain_clip(settings, frames)
    tokens = _tokens(settings, maker, plan.keyframes_for(frames, clip))
    (batch,) = draw.frames(maker, clip, tokens, None)
    decode = [frames / elapsed(lambda: list(draw.frames(maker, clip, tokens, None))) for _ in _times(bench)]
    length = round(LINE_SECONDS * settings.frames_per_second)
    pictures = [np.stack(list(islice(cycle(batch), length)))]
    encode = [length / elapsed(lambda: _encode(settings, pictures)) for _ in _times(bench)]
    drawn = length * (1 / median(decode) + 1 / median(encode))
    optimised = iterations(settings, LINE_SECONDS, 1) / iterations_per_second
    return {
        "decoded_frames_per_second": median(decode),
        "encoded_frames_per_second": median(encode),
        "encoder": settings.encoder,
        "drawing_share_of_optimising": drawn / optimised,
    }


def _times(bench: Bench) -> range:
    return range(bench.rounds)


def elapsed(work: Callable[[], object]) -> float:
    """Seconds that a call of `work` takes, whose result is on the host."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def plain_clip(settings: Config, frames: int) -> Document:
    """The plan of a clip without a line before it, as far as drawing reads it."""
    return {
        "frames_per_second": rates.written(settings.frames_per_second),
        "keyframes_per_second": settings.keyframes_per_second,
        "interpolation": "latent",
        "encoder": settings.encoder,
        "crf": settings.crf,
        "shown": {"segment": "", "frames": frames},
        "before": None,
        "blend_frames": 0,
    }


def _tokens(settings: Config, maker: VQGAN, keyframes: int) -> Any:
    """Keyframes [k, h, w] of random tokens: livelier, and so harder to encode, than any film's."""
    grid = settings.height // maker.factor, settings.width // maker.factor
    return np.random.default_rng(0).integers(0, len(maker.codebook), (keyframes, *grid), dtype=np.uint16)


def _encode(settings: Config, batches: list[Any]) -> None:
    clip = plain_clip(settings, sum(map(len, batches)))
    size, rate = (settings.width, settings.height), settings.frames_per_second
    with tempfile.TemporaryDirectory() as folder:
        film.encode(batches, clip, size, rate, Path(folder) / "clip.mp4", film.executable(settings.ffmpeg))


# Whole films, planned from these parts


def _films(settings: Config, parts: Document) -> Document:
    """The seconds that a song and a concert take on this device, by preset: those that iterate as here."""
    presets = [settings.preset, "swift"] if settings.preset == "reference" else [settings.preset]
    return {
        preset: {film: film_seconds(preset, parts, *shape) for film, shape in FILMS.items()}
        for preset in presets
    }


def film_seconds(preset: str, parts: Document, seconds: float, lines: int) -> float:
    """What a film of so many seconds and lines takes on one device, one line after the other."""
    settings = resolve({"preset": preset})
    frames = seconds * settings.frames_per_second
    optimising = iterations(settings, seconds, lines) / parts["iterations_per_second"]
    drawing = frames * (1 / parts["decoded_frames_per_second"] + 1 / parts["encoded_frames_per_second"])
    starting = 2 * lines * parts["start_up_seconds"]  # two jobs a line
    return float(optimising + drawing + starting)


def iterations(settings: Config, seconds: float, lines: int) -> int:
    """Of a film whose lines are equally long."""
    rendered = (seconds / lines + settings.transition) * settings.frames_per_second  # frames of a line
    clip = plain_clip(settings, 0)
    each = settings.lead_in + settings.iterations * plan.keyframes_for(round(rendered), clip)
    return lines * each


# A job's start and its memory, each in a process of its own


def _start_up_seconds(name: str, bench: Bench) -> float:
    """From the start of Python until a job's first iteration can begin, with files that were read before."""
    with tempfile.TemporaryDirectory() as folder:
        _save(resolve(CASES[name]), Path(folder))
        code = f"from songreel import bench; bench.start({name!r}, {folder!r}, {bench.threads})"
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
        took = [
            elapsed(lambda: subprocess.run([sys.executable, "-c", code], check=True, env=environment))
            for _ in range(max(2, bench.rounds))
        ]
    return median(took[1:])


def start(name: str, folder: str, threads: int) -> None:
    """What a keyframes job does before its first iteration."""
    from songreel import render  # noqa: F401 - a job imports it

    torch.set_num_threads(threads)
    settings, where = resolve(CASES[name]), device.choose()
    files = _files(settings, Path(folder))
    maker = vqgan.load(files[0], where, device.precision(where))
    judge = perceptor.load(files[1], where, device.precision(where))
    judge.embed_texts([TEXT])
    _canvas(settings, maker).sum().item()
    os._exit(0)  # what ending takes is not a start


def _files(settings: Config, folder: Path) -> tuple[Weights, Weights]:
    if settings.model == "starter":
        return weights.vqgan("starter"), weights.perceptor("starter")
    files = (
        Weights(kind, folder / f"{kind}.safetensors", folder / f"{kind}.yaml", "")
        for kind in ("vqgan", "clip")
    )
    return next(files), next(files)


def _save(settings: Config, folder: Path) -> None:
    """Write random weights to where `_files` looks for them."""
    if settings.model == "starter":
        return
    parts = zip(_files(settings, folder), _published(settings), (IMAGENET_16384, VIT_B_32), strict=True)
    for files, network, arguments in parts:
        save_file({key: value.contiguous() for key, value in network.state_dict().items()}, files.tensors)
        files.architecture.write_text(json.dumps({"model": {"params": dict(arguments)}}), encoding="utf-8")


def _peak_memory(name: str, bench: Bench, whose: str) -> int:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(peak_memory, name, bench, whose).result()


def peak_memory(name: str, bench: Bench, whose: str) -> int:
    """The most bytes of memory that this process has held after two iterations, the GPU's if it has one."""
    torch.set_num_threads(bench.threads)
    settings = resolve(CASES[name])
    step = _baseline(settings, bench).step if whose == "baseline" else _ours_step(settings, bench)
    step()
    step()
    if bench.where.type == "cuda":
        return int(torch.cuda.max_memory_reserved(bench.where))
    return _peak_resident_bytes()


def _ours_step(settings: Config, bench: Bench) -> Callable[[], object]:
    maker, pull = _ready(settings, bench)
    start = _canvas(settings, maker)
    links = sampler.chain(maker, [pull], _strategy(settings, 1), start, 0, 0, 0)
    return lambda: next(links)


def _peak_resident_bytes() -> int:
    """Of this process alone: what `getrusage` tells begins with its parent's."""
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        return next(int(row.split()[1]) * 1024 for row in status.splitlines() if row.startswith("VmHWM"))
    except (OSError, StopIteration):
        import psutil

        return int(psutil.Process().memory_info().rss)


# What is told


def as_table(found: Document) -> str:
    """The measurements for a person to read, a column for each case."""
    machine, cases = found["machine"], found["cases"]
    head = (
        f"{machine['device']}, {machine['threads']} CPU threads, {machine['precision']},"
        f" torch {machine['torch']}\n"
        f"{machine['matmul_flop_per_second'] / 1e12:.3g} TFLOP/s multiplying matrices,"
        f" {machine['copy_bytes_per_second'] / 1e9:.3g} GB/s copying"
    )
    rows = [("", list(cases)), *((label, [show(case) for case in cases.values()]) for label, show in ROWS)]
    return "\n".join(
        [head, *(f"{label:<40}" + "".join(f"{it:>14}" for it in cells) for label, cells in rows)]
    )


def _number(key: str, unit: float = 1.0) -> Callable[[Document], str]:
    return lambda case: f"{case[key] / unit:.3g}"


def _films_told(film: str) -> Callable[[Document], str]:
    return lambda case: " or ".join(f"{took[film] / 3600:.3g}" for took in case["films"].values())


def _percent(key: str) -> Callable[[Document], str]:
    return lambda case: f"{case[key]:.1%}"


ROWS: Sequence[tuple[str, Callable[[Document], str]]] = (
    ("size", lambda case: "x".join(map(str, case["size"]))),
    ("cutouts", lambda case: str(case["cutouts"])),
    ("iterations/s", _number("iterations_per_second")),
    ("baseline's iterations/s", _number("baseline_iterations_per_second")),
    ("the baseline augments with", lambda case: case["baseline_augmentations"]),
    ("times the baseline", _number("times_baseline")),
    ("keyframes/s", _number("keyframes_per_second")),
    ("TFLOP an iteration", _number("flop_per_iteration", 1e12)),
    ("GB moved an iteration, at most", _number("bytes_per_iteration", 1e9)),
    ("share of the matmul peak", _percent("share_of_matmul_peak")),
    ("share of the roofline", _percent("share_of_roofline")),
    ("decoded frames/s", _number("decoded_frames_per_second")),
    ("encoded frames/s", _number("encoded_frames_per_second")),
    (f"drawing a line of {LINE_SECONDS} s, of optimising it", _percent("drawing_share_of_optimising")),
    ("start-up of a job, s", _number("start_up_seconds")),
    ("first keyframe's extra, s", _number("first_keyframe_extra_seconds")),
    ("a song of 209 s, h (reference or swift)", _films_told("song")),
    ("a concert of 40 min, h (the same)", _films_told("concert")),
    ("peak memory, GB", _number("peak_memory_bytes", 1e9)),
    ("baseline's peak memory, GB", _number("baseline_peak_memory_bytes", 1e9)),
)
