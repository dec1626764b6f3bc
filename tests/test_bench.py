"""What the benchmark promises: the method is measured against the method, and told as it was measured."""

from __future__ import annotations

import pytest
import taming.modules.diffusionmodules.model as taming_model
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from songreel import cli
from songreel.costs import baseline, bench, bench_models, bench_table, roofline
from songreel.costs.baseline import Baseline
from songreel.costs.bench_models import Bench
from songreel.models import perceptor, vqgan, weights
from songreel.planning.config import resolve
from tests.starter import CPU, canvas

# the baseline


def started() -> Baseline:
    maker = vqgan.read(weights.vqgan("starter"))
    clip = perceptor.read(weights.perceptor("starter"))
    with torch.no_grad():
        words = clip.encode_text(perceptor.tokenize(["a red rose"], clip.positional_embedding.shape[0]))
    return Baseline(maker, [(clip, F.normalize(words, dim=-1))], canvas()[None], 6, 0.15)


def test_the_baseline_comes_closer_to_the_words() -> None:
    torch.manual_seed(0)
    steered = started()
    losses = []
    for _ in range(24):
        steered.step()
        with torch.no_grad():
            losses.append(float(steered._distance()))
    assert sum(losses[-6:]) < sum(losses[:6]) - 6 * 0.02


def test_the_baseline_leaves_songreels_own_decoder_as_it_is() -> None:
    torch.manual_seed(0)
    started().step()
    assert taming_model.nonlinearity is F.silu


def colours() -> Tensor:
    return torch.rand(4, 3, 8, 8, generator=Generator().manual_seed(0))


def test_the_baselines_colours_are_turned_there_and_back() -> None:
    torch.testing.assert_close(baseline._to_rgb(baseline._to_hsv(colours())), colours(), rtol=0, atol=1e-5)


def test_the_baselines_hue_is_a_turn_of_the_colour_circle() -> None:
    red, green = (torch.eye(3)[row].view(1, 3, 1, 1) for row in (0, 1))
    turned = baseline._to_hsv(red) + torch.tensor((1 / 3, 0, 0)).view(1, 3, 1, 1)
    torch.testing.assert_close(baseline._to_rgb(turned), green, rtol=0, atol=1e-5)


def test_the_baselines_perspective_takes_corners_to_corners() -> None:
    before = torch.tensor(baseline.CORNERS).expand(3, 4, 2)
    after = before + 0.2 * torch.rand(3, 4, 2, generator=Generator().manual_seed(0))
    mapped = torch.cat((before, torch.ones(3, 4, 1)), -1) @ baseline._homography(before, after).mT
    torch.testing.assert_close(mapped[..., :2] / mapped[..., 2:], after, rtol=0, atol=1e-5)


# what a device gives and an iteration takes


def test_operations_and_bytes_are_counted() -> None:
    a, b = torch.rand(8, 16), torch.rand(16, 4)
    work = roofline.count(lambda: (a @ b).T)
    assert work == roofline.Work(2 * 8 * 16 * 4, 4 * (8 * 16 + 16 * 4 + 8 * 4))


def test_the_roofline_is_the_lower_of_both_limits() -> None:
    machine = roofline.Device(flop_per_second=100, bytes_per_second=10)
    assert machine.attainable(roofline.Work(flop=50, bytes=1)) == 2
    assert machine.attainable(roofline.Work(flop=1, bytes=5)) == 2


def test_an_iteration_at_full_size_takes_a_tflop() -> None:
    """The decoder's and CLIP's share by arithmetic, forwards and backwards (see docs/performance.md)."""
    with torch.device("meta"):
        maker = vqgan.ready(vqgan.VQGAN(**bench_models.IMAGENET_16384), torch.device("meta"), torch.bfloat16)
        latent = torch.empty(1, 256, 16, 16)
    as_published = roofline.count(lambda: maker.decode(latent))
    assert 0.15e12 < as_published.flop < 0.26e12


# the run


def test_every_case_can_be_named_on_the_command_line() -> None:
    for name in bench.CASES:
        assert cli._parser().parse_args(["bench", "--only", name]).only == [name]


def test_a_run_measures_both_and_tells_all() -> None:
    found = bench.run(["starter"], rounds=2, seconds=0.05, threads=1)
    case = found["cases"]["starter"]
    first, second = (each["ours"] / each["baseline"] for each in case["rounds"])
    assert case["times_baseline"] == (first + second) / 2
    assert case["iterations_per_second"] > case["keyframes_per_second"] > 0
    assert case["peak_memory_bytes"] > 100e6
    assert 0.5 < case["start_up_seconds"] < 60
    assert sum(case["start_up_by_part"][part] for part in bench_table.STARTS) == pytest.approx(
        case["start_up_seconds"], abs=0.01
    )
    assert 0 < case["next_start_up_seconds"] < case["start_up_seconds"]
    assert min(case["seconds_by_part"].values()) > 0
    table = bench_table.as_table(found).splitlines()
    assert table[2].split() == ["starter"]
    told = {row[:40].strip(): row[40:].strip() for row in table[3:]}
    assert told["iterations/s"] == f"{case['iterations_per_second']:.3g}"
    assert told["size"] == "192x192"
    assert len(told) == len(bench_table.ROWS)


@pytest.mark.parametrize(("preset", "expected"), [("draft", 21.3e3), ("swift", 95e3), ("reference", 419e3)])
def test_a_songs_iterations_are_those_that_a_plan_asks_for(preset: str, expected: float) -> None:
    """Expected are the plan's own sums for the song of tests.test_workflow (see docs/performance.md)."""
    seconds, lines = bench.FILMS["song"]
    found = bench.iterations(resolve({"preset": preset}), seconds, lines)
    assert found == pytest.approx(expected, rel=0.06)


def test_a_film_is_planned_from_the_measured_parts() -> None:
    parts = {
        "iterations_per_second": 10.0,
        "decoded_frames_per_second": 20.0,
        "encoded_frames_per_second": 30.0,
        "start_up_seconds": 2.0,
        "next_start_up_seconds": 0.5,
    }
    lines, seconds = 4, 20
    optimising = bench.iterations(resolve({"preset": "draft"}), seconds, lines) / 10
    expected = optimising + seconds * 30 * (1 / 20 + 1 / 30) + 2 + (2 * lines - 1) * 0.5
    assert bench.film_seconds("draft", parts, seconds, lines) == pytest.approx(expected)


def test_what_is_measured_is_the_preset() -> None:
    quick = Bench(1, 0.05, 1, CPU, torch.float32)
    work = bench._work(resolve(bench.CASES["starter"]), quick)
    assert 2.2e9 < work.flop < 3.4e9
