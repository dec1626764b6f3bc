"""How fast this machine is, and how much faster than the published method on it, measured in one run.

Ours and the baseline take turns, so that what else the machine does meanwhile slows both: what counts is the
ratio of each round, and their median. The baseline is `baseline`.
"""

from __future__ import annotations

import math
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from songreel.costs import bench_models, bench_parts, bench_start, roofline
from songreel.costs.baseline import Baseline
from songreel.costs.bench_models import Bench
from songreel.costs.roofline import Device, Work
from songreel.drawing import draw, film
from songreel.ground.documents import ClipPlan, Shown
from songreel.ground.files import Document
from songreel.kernels import devices
from songreel.models.vqgan import VQGAN
from songreel.planning import plan
from songreel.planning.config import Config, resolve
from songreel.sampling import sampler
from songreel.sampling.sampler import Iteration

LINE_SECONDS = 5  # of film, about a line
FILMS = {"song": (209, 37), "concert": (2400, 436)}  # seconds and lines

_FULL = {"preset": "reference", "model": "imagenet-16384", "perceptors": ["ViT-B/32"]}
CASES: Mapping[str, Mapping[str, Any]] = {
    "starter": {"preset": "draft"},
    "full": _FULL,
    "full-512": {**_FULL, "size": "512x512"},
    "two-judges": {**_FULL, "perceptors": ["ViT-B/32", "RN50"]},
}
ON_GPUS_ONLY = ("full-512", "two-judges")  # unless asked for


def run(only: Sequence[str], rounds: int, seconds: float, threads: int) -> Document:
    """Measure the cases of those names, or all that fit the device."""
    torch.set_num_threads(threads)
    device = devices.choose()
    bench = Bench(rounds, seconds, threads, device, devices.precision(device))
    names = only or [name for name in CASES if device.type == "cuda" or name not in ON_GPUS_ONLY]
    peak = roofline.measure(device, bench.precision)
    return {"machine": _machine(bench, peak), "cases": {name: _case(name, bench, peak) for name in names}}


def _machine(bench: Bench, peak: Device) -> Document:
    gpu = bench.device.type == "cuda"
    return {
        "device": torch.cuda.get_device_name(bench.device) if gpu else _processor(),
        "threads": bench.threads,
        "precision": str(bench.precision).removeprefix("torch."),
        "torch": torch.__version__,
        "matmul_flop_per_second": peak.flop_per_second,
        "copy_bytes_per_second": peak.bytes_per_second,
    }


def _processor() -> str:
    try:
        facts = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(fact.partition(":")[2].strip() for fact in facts if fact.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _case(name: str, bench: Bench, peak: Device) -> Document:
    case, settings = dict(CASES[name]), resolve(CASES[name])
    work = _work(settings, bench)
    raced = _race(settings, bench)
    rate = raced["iterations_per_second"]
    started = bench_start.seconds(case, bench)
    parts = {
        **raced,
        **_drawing(settings, bench, rate),
        "start_up_seconds": started["all"],
        "next_start_up_seconds": started["again"],
    }
    return {
        "size": [settings.width, settings.height],
        "cutouts": settings.cutouts,
        "iterations_per_keyframe": settings.iterations,
        **parts,
        **bench_parts.measure(settings, bench),
        "start_up_by_part": started,
        "keyframes_per_second": rate / settings.iterations,
        "flop_per_iteration": work.flop,
        "bytes_per_iteration": work.bytes,
        "share_of_matmul_peak": rate * work.flop / peak.flop_per_second,
        "share_of_roofline": rate / peak.attainable(work),
        "films": _films(settings, parts),
        "peak_memory_bytes": bench_start.peak_memory(case, bench, _ours_step),
        "baseline_peak_memory_bytes": bench_start.peak_memory(case, bench, _baseline_step),
    }


# Speed


def _work(settings: Config, bench: Bench) -> Work:
    maker, pulls = bench_models.ready(settings, bench)
    start = bench_models.canvas(settings, maker)
    iteration = Iteration(maker, pulls, bench_models.strategy(settings, 1), start, 2)
    iteration.begin(start, 0)
    return roofline.count(iteration)


def _race(settings: Config, bench: Bench) -> Document:
    """Iterations a second of ours and of the baseline, taking turns."""
    ours, capture = _ours(settings, bench)
    published = _baseline(settings, bench)
    baseline = bench_parts.stopwatch(published.step, bench.seconds, bench)
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
    maker, pulls = bench_models.ready(settings, bench)
    start = bench_models.canvas(settings, maker)

    def timed(iterations: int) -> Iterator[float]:
        links = sampler.chain(maker, pulls, bench_models.strategy(settings, iterations), start, 0, 0, 0)
        while True:
            yield roofline.seconds(lambda: next(links), bench.device)

    first, once = islice(timed(1), 2)
    iterations = max(1, min(settings.iterations, math.floor(bench.seconds / once)))
    keyframes = max(1, round(bench.seconds / (iterations * once)))
    chain = timed(iterations)
    next(chain)
    return lambda: iterations * keyframes / sum(islice(chain, keyframes)), first - once


def _baseline(settings: Config, bench: Bench) -> Baseline:
    maker, clips = bench_models.published(settings)
    judges = [(clip.to(bench.device), bench_models.target(clip, bench.device)) for clip in clips]
    start = bench_models.canvas(settings, maker.to(bench.device))[None]
    return Baseline(maker, judges, start, settings.cutouts, settings.learning_rate)


# Drawing


def _drawing(settings: Config, bench: Bench, iterations_per_second: float) -> Document:
    """Frames a second that are decoded and encoded, and what drawing a line costs against optimising it."""
    maker, _ = bench_models.ready(settings, bench)
    # So many as are drawn in one batch
    frames = max(1, draw.BATCH_PIXELS[bench.device.type] // (settings.width * settings.height))
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


def plain_clip(settings: Config, frames: int) -> ClipPlan:
    """The plan of a clip without a line before it, and without motion interpolation."""
    return replace(ClipPlan.of(settings, Shown("", frames)), interpolation="latent")


def _tokens(settings: Config, maker: VQGAN, keyframes: int) -> Any:
    """Keyframes [k, h, w] of random tokens: livelier, and so harder to encode, than any film's."""
    grid = settings.height // maker.factor, settings.width // maker.factor
    return np.random.default_rng(0).integers(0, len(maker.codebook), (keyframes, *grid), dtype=np.uint16)


def _encode(settings: Config, batches: list[Any]) -> None:
    clip = plain_clip(settings, sum(map(len, batches)))
    size = settings.width, settings.height
    with tempfile.TemporaryDirectory() as folder:
        film.encode(batches, clip, size, Path(folder) / "clip.mp4", film.executable(settings.ffmpeg))


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
    # Two jobs a line, run by one worker
    starting = parts["start_up_seconds"] + (2 * lines - 1) * parts["next_start_up_seconds"]
    return float(optimising + drawing + starting)


def iterations(settings: Config, seconds: float, lines: int) -> int:
    """Of a film whose lines are equally long."""
    # Frames of a line
    rendered = (seconds / lines + settings.transition) * settings.frames_per_second
    clip = plain_clip(settings, 0)
    each = settings.lead_in + settings.iterations * plan.keyframes_for(round(rendered), clip)
    return lines * each


# Steps whose memory is measured, in processes of their own


def _ours_step(settings: Config, bench: Bench) -> Callable[[], object]:
    maker, pulls = bench_models.ready(settings, bench)
    start = bench_models.canvas(settings, maker)
    links = sampler.chain(maker, pulls, bench_models.strategy(settings, 1), start, 0, 0, 0)
    return lambda: next(links)


def _baseline_step(settings: Config, bench: Bench) -> Callable[[], object]:
    return _baseline(settings, bench).step
