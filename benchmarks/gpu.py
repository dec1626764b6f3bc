"""What a GPU has to say of songreel, within five minutes: python -m benchmarks.gpu [--only PART …].

`paths`: iterations/s of the full size by the fused and the plain path. `exact`: how far pictures and
gradients by both are from float32. `bench`: `songreel bench` of the full size and of the starter.
`demo`: seconds that the demo film and an edit of it take, with and without workers.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from benchmarks import workers
from songreel.costs import bench, bench_models, bench_parts
from songreel.costs.bench_models import Bench
from songreel.kernels import devices, fused
from songreel.planning.config import resolve
from songreel.sampling.sampler import Iteration

SETTINGS = resolve(bench.CASES["full"])


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parts: dict[str, Callable[[Bench], None]] = {
        "paths": paths, "exact": exact, "bench": whole_bench, "demo": demo
    }  # fmt: skip
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=parts, default=list(parts))
    options = parser.parse_args(arguments)
    device = devices.choose()
    if device.type != "cuda":
        sys.exit("benchmarks.gpu: found no GPU.")
    print(
        f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}, {os.cpu_count()} cores", flush=True
    )
    for part in options.only:
        parts[part](Bench(3, 2.0, 8, device, devices.precision(device)))


def by_path(fuse: bool) -> None:
    """Let what is built from now on take the fused path, or the plain one."""
    os.environ[fused.SWITCH] = "1" if fuse else "0"
    fused.obstacle.cache_clear()


def paths(bench: Bench) -> None:
    """Iterations a second by both paths, taking turns."""
    steps = {}
    for fuse in (False, True):
        by_path(fuse)
        maker, pulls = bench_models.ready(SETTINGS, bench)
        like = bench_models.canvas(SETTINGS, maker)
        step = Iteration(maker, pulls, bench_models.strategy(SETTINGS, 1), like, bench_parts.STEPS)
        steps[fuse] = bench_parts.endless(step, like)
    for _ in range(bench.rounds):
        plain, quick = (bench_parts.rate(steps[fuse], bench.seconds, bench) for fuse in (False, True))
        print(f"plain {plain:.1f}, fused {quick:.1f} iterations/s: {quick / plain:.2f} times", flush=True)


def exact(bench: Bench) -> None:
    """Relative distance from float32 of a picture and of its latent's gradient, and of a tower's."""
    found: dict[str, list[Tensor]] = {}
    for name, fuse, dtype in (
        ("float32", False, torch.float32),
        ("plain", False, bench.precision),
        ("fused", True, bench.precision),
    ):
        by_path(fuse)
        maker, pulls = bench_models.ready(SETTINGS, Bench(1, 1.0, 8, bench.device, dtype))
        latent = bench_models.canvas(SETTINGS, maker)[None].clone().requires_grad_()
        generator = torch.Generator(bench.device).manual_seed(0)
        picture = maker.decode(latent)
        towards = torch.randn(picture.shape, device=bench.device, generator=generator)
        (of_latent,) = torch.autograd.grad(picture, latent, towards)
        side = pulls[0].perceptor.side
        views = torch.rand(8, 3, side, side, device=bench.device, generator=generator).requires_grad_()
        seen = pulls[0].perceptor.embed_images(views)
        (of_views,) = torch.autograd.grad(
            seen @ pulls[0].target.T, views, torch.ones(8, 1, device=bench.device)
        )
        found[name] = [it.detach().double() for it in (picture, of_latent, seen, of_views)]
    for name in ("plain", "fused"):
        pairs = zip(found[name], found["float32"], strict=True)
        apart = [f"{float((it - wanted).norm() / wanted.norm()):.4f}" for it, wanted in pairs]
        print(
            f"{name} path from float32: picture, gradient, embedding, gradient {', '.join(apart)}", flush=True
        )
    by_path(True)


def whole_bench(_: Bench) -> None:
    """`songreel bench`, as a user has it."""
    names = ("--only", "full", "starter", "--rounds", "3", "--seconds", "1.5", "--threads", "8")
    subprocess.run([sys.executable, "-m", "songreel", "bench", *names], check=True)


def demo(_: Bench) -> None:
    """The demo film and an edit, from nothing and once kernels are compiled, and without workers."""
    for told, settings in (
        ("from nothing", {}),
        ("kernels compiled", {}),
        ("a process for each job", workers.ALONE),
    ):
        film, edit = workers.film_and_edit(settings)
        print(f"the demo film, {told}: {film:.1f} s, and with a line edited {edit:.1f} s", flush=True)


if __name__ == "__main__":
    main()
