"""Where an iteration's time goes, part by part, and what several lines at once in one process would give."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from statistics import median

import torch
from torch import Generator, Tensor

from songreel.costs import bench_models, roofline
from songreel.costs.bench_models import Bench
from songreel.ground.files import Document
from songreel.planning.config import Config
from songreel.sampling import graphs
from songreel.sampling.sampler import Iteration

AT_ONCE = 2, 4  # lines
STEPS = 2000  # until an iteration is begun anew
SHARE = 0.2  # of the time that is given to a whole measurement, for each part


def measure(settings: Config, bench: Bench) -> Document:
    """Seconds of each part both ways, and line-iterations a second of several lines at once on a GPU."""
    maker, pulls = bench_models.ready(settings, bench)
    like = bench_models.canvas(settings, maker)
    iteration = Iteration(maker, pulls, bench_models.strategy(settings, 1), like, 8)
    iteration.begin(like, 0)
    latent = like[None].clone().requires_grad_()
    generator, step = iteration.generator, iteration.adam.steps
    image = maker.decode(latent).detach().requires_grad_()
    seen = [look(image, generator, step).detach().requires_grad_() for look in iteration.looks]
    views = [torch.randn_like(it) for it in seen]

    def nearest() -> None:
        maker.embed(maker.nearest(latent.detach()))

    def decoder() -> None:
        torch.autograd.grad(maker.decode(latent), latent, image)

    def cutouts() -> None:
        for look, gradient in zip(iteration.looks, views, strict=True):
            torch.autograd.grad(look(image, generator, step), image, gradient)

    def tower() -> None:
        for pull, cut in zip(pulls, seen, strict=True):
            torch.autograd.grad(pull.perceptor.embed_seen(cut).sum(), cut)

    parts = {it.__name__: _seconds_each(it, generator, bench) for it in (nearest, decoder, cutouts, tower)}
    return {"seconds_by_part": parts, "line_iterations_per_second": _at_once(settings, bench)}


def _seconds_each(part: Callable[[], None], generator: Generator, bench: Bench) -> float:
    replay = graphs.replayed(part, generator)
    replay()
    return 1 / rate(replay, SHARE * bench.seconds, bench)


def rate(step: Callable[[], None], seconds: float, bench: Bench) -> float:
    """How many steps a second there are, the median of some measurements that take about so long together."""
    measured = stopwatch(step, seconds / bench.rounds, bench)
    return median(measured() for _ in range(bench.rounds))


def stopwatch(step: Callable[[], None], seconds: float, bench: Bench) -> Callable[[], float]:
    """What measures, for about so long, how many steps a second there are."""
    step()
    count = max(1, round(seconds / roofline.seconds(step, bench.device)))

    def steps() -> None:
        for _ in range(count):
            step()

    return lambda: count / roofline.seconds(steps, bench.device)


def endless(iteration: Iteration, like: Tensor) -> Callable[[], None]:
    """One iteration after another, recorded where there is a GPU, begun anew before there can be no more."""
    replay, count = graphs.replayed(iteration, iteration.generator), itertools.count()

    def step() -> None:
        if next(count) % iteration.most == 0:
            iteration.begin(like, 0)
        replay()

    return step


def _at_once(settings: Config, bench: Bench) -> dict[str, float]:
    """By lines at once: each a graph of its own, replayed on a stream of its own. Empty without a GPU."""
    if bench.device.type != "cuda":
        return {}
    maker, pulls = bench_models.ready(settings, bench)
    like, rates = bench_models.canvas(settings, maker), {}
    replays, streams = list[Callable[[], None]](), list[torch.cuda.Stream]()
    for lines in AT_ONCE:
        while len(replays) < lines:
            iteration = Iteration(maker, pulls, bench_models.strategy(settings, 1), like, STEPS)
            replays.append(endless(iteration, like))
            streams.append(torch.cuda.Stream())  # type: ignore[no-untyped-call]

        def together() -> None:
            for stream, replay in zip(streams, replays, strict=True):
                with torch.cuda.stream(stream):
                    replay()

        rates[str(lines)] = lines * rate(together, bench.seconds, bench)
    return rates
