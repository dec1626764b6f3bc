"""What a job takes before its first iteration, and its memory: each measured in a process of its own."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from songreel.costs.bench_models import Bench
from songreel.ground.files import Document
from songreel.planning.config import Config, resolve

if TYPE_CHECKING:  # what jobs import is timed
    from songreel.models.weights import Weights

PACKAGES = Path(__file__).parents[2]
SAMPLED = ("first", "next")  # parts that are no start


def seconds(case: Document, bench: Bench) -> dict[str, float]:
    """The seconds of each part of a start, with files that were read before, and of `all` of it.

    All of it is from the start of Python until a job's first iteration can begin; `first` is what the first
    keyframe takes longer than the next: kernels are loaded, and an iteration is recorded. `again` is a job's
    that a worker runs which has run another one, with `handing` its command on to it.
    """
    from songreel.costs import bench_models

    with tempfile.TemporaryDirectory() as folder:
        bench_models.save(resolve(case), Path(folder))
        code = "import time; began = time.time(); from songreel.costs.bench_start import start; start(began)"
        arguments = json.dumps(case), folder, str(bench.threads)
        starts = [_started(code, arguments) for _ in range(max(2, bench.rounds))]
    parts = {part: median(each[part] for each in starts[1:]) for part in starts[0]}
    handing = min(_handing_on() for _ in starts)
    return {**parts, "handing": handing, "again": handing + parts["again"]}


def _handing_on() -> float:
    """The seconds in which a job's own process begins; what it has to say to a worker takes no time."""
    code = "from songreel.cli import main; main(['--version'])"
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, env=_environment(), stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def _started(code: str, arguments: tuple[str, ...]) -> dict[str, float]:
    began = time.time()
    done = subprocess.run(
        [sys.executable, "-c", code, str(began), *arguments],
        check=True,
        env=_environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    parts: dict[str, float] = json.loads(done.stdout)
    return parts


def _environment() -> dict[str, str]:
    """With this package in front of what is on the path, which this Python may need to find its packages."""
    path = os.pathsep.join([str(PACKAGES), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path}


class _Laps:
    """Seconds between moments that are named."""

    def __init__(self, began: float) -> None:
        self.last, self.seconds = began, dict[str, float]()

    def lap(self, name: str) -> None:
        now = time.time()
        self.seconds[name], self.last = now - self.last, now


def start(began: float) -> None:
    """Do what a keyframes job does before its first iteration, and print the seconds of each part.

    Then do it again, as a worker does for its next job.
    """
    called, case, folder, threads = float(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    laps = _Laps(called)
    laps.last, laps.seconds["python"] = began, began - called
    import torch

    laps.lap("torch")
    from songreel.costs import bench_models
    from songreel.kernels import devices

    for used in ("costs.roofline", "models.perceptor", "models.vqgan", "sampling.sampler"):
        importlib.import_module(f"songreel.{used}")
    laps.lap("imports")
    torch.set_num_threads(threads)
    torch.zeros(1, device=devices.choose())
    laps.lap("device")
    files = bench_models.files(resolve(case), Path(folder))
    _begin_line(case, files, laps)
    laps.seconds["all"] = sum(seconds for part, seconds in laps.seconds.items() if part not in SAMPLED)
    again = _Laps(time.time())
    _begin_line(case, files, again)
    laps.seconds["again"] = sum(seconds for part, seconds in again.seconds.items() if part not in SAMPLED)
    laps.seconds["first_again"] = again.seconds["first"]
    print(json.dumps(laps.seconds), flush=True)
    os._exit(0)  # what ending takes is not a start


def _begin_line(case: Document, files: Sequence[Weights], laps: _Laps) -> None:
    """Load the models, place the words, and optimise two keyframes of an iteration each."""
    from songreel.costs import bench_models, roofline
    from songreel.kernels import devices
    from songreel.models import perceptor, vqgan
    from songreel.sampling import sampler

    settings, device = resolve(case), devices.choose()
    maker_files, *judge_files = files
    maker = vqgan.load(maker_files, device, devices.precision(device))
    judges = [perceptor.load(it, device, devices.precision(device)) for it in judge_files]
    roofline.settle(device)
    laps.lap("models")
    pulls = [sampler.Pull(judge, judge.embed_texts([bench_models.TEXT])) for judge in judges]
    roofline.settle(device)
    laps.lap("words")
    like = bench_models.canvas(settings, maker)
    roofline.settle(device)
    laps.lap("canvas")
    links = sampler.chain(maker, pulls, bench_models.strategy(settings, 1), like, 0, 0, 0)
    next(links)
    laps.lap("first")
    next(links)
    laps.lap("next")
    laps.seconds["first"] -= laps.seconds["next"]


def peak_memory(case: Document, bench: Bench, step: Callable[[Config, Bench], Callable[[], object]]) -> int:
    """The most bytes of memory that a process holds after two of the steps that `step` makes."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(_peak, case, bench, step).result()


def _peak(case: Document, bench: Bench, step: Callable[[Config, Bench], Callable[[], object]]) -> int:
    import torch

    torch.set_num_threads(bench.threads)
    stepping = step(resolve(case), bench)
    stepping()
    stepping()
    if bench.device.type == "cuda":
        return int(torch.cuda.max_memory_reserved(bench.device))
    return peak_resident_bytes()


def peak_resident_bytes() -> int:
    """Of this process alone: what `getrusage` tells begins with its parent's."""
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        return next(int(row.split()[1]) * 1024 for row in status.splitlines() if row.startswith("VmHWM"))
    except (OSError, StopIteration):
        import psutil

        return int(psutil.Process().memory_info().rss)
