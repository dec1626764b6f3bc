"""What the GPU's path promises: an iteration is a recording, and what is replayed is the method."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from songreel.costs import roofline
from songreel.ground.errors import UserError
from songreel.ground.strategy import Strategy
from songreel.kernels import devices, resampling
from songreel.models import perceptor, vqgan, weights
from songreel.models.perceptor import Perceptor
from songreel.sampling import graphs, sampler
from songreel.sampling.sampler import Iteration, Keyframe, Pull
from tests import tape
from tests.published import PERCEPTORS
from tests.starter import canvas, judge, picture_maker

STRATEGY = Strategy(iterations=3, lead_in=2, cutouts=5, learning_rate=0.2)


def pulls(micro_batch: int = 0) -> list[Pull]:
    words = judge().embed_texts(["a red rose", "the sea"])
    return [Pull(judge(), words[:1], 1.0, micro_batch), Pull(judge(), words[1:], -0.5)]


def keyframes(
    count: int, start: Tensor, first: int = 0, take: int = 0, pulls: Sequence[Pull] = ()
) -> list[Keyframe]:
    chain = sampler.chain(picture_maker(), pulls, STRATEGY, start, 0, take, first)
    return list(islice(chain, count))


def iteration() -> Iteration:
    return Iteration(picture_maker(), pulls(), STRATEGY, canvas(), 20)


# recorded and replayed


@pytest.mark.parametrize("micro_batch", [0, 2])
@pytest.mark.parametrize("first", [0, 4])
def test_a_replayed_iteration_makes_the_same_keyframes(
    first: int, micro_batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = keyframes(3, canvas((32, 48)), first, pulls=pulls(micro_batch))
    monkeypatch.setattr(graphs, "replayed", tape.replayed)
    again = keyframes(3, canvas((32, 48)), first, pulls=pulls(micro_batch))
    for expected, found in zip(plain, again, strict=True):
        assert torch.equal(found.tokens, expected.tokens)
        assert torch.equal(found.latent, expected.latent)
        assert found.loss == expected.loss


def test_a_recording_holds_whatever_start_and_seed_it_is_replayed_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taped, plain = iteration(), iteration()
    replay = tape.replayed(taped, taped.generator)
    for seed, start in ((3, canvas()), (4, canvas(seed=1)), (3, canvas())):
        for each in (taped, plain):
            each.begin(start, seed)
        for _ in range(4):
            replay()
            plain()
        assert torch.equal(taped.latent, plain.latent)


def test_no_operation_and_no_shape_depends_on_values() -> None:
    one, other = iteration(), iteration()
    one.begin(canvas(), 1)
    other.begin(torch.full_like(canvas(), 9.0), 2)
    for _ in range(3):
        other()
    assert len(tape.taped(one).calls) > 300
    assert tape.taped(one).shapes() == tape.taped(other).shapes()


def test_the_tape_tells_a_step_that_python_counts() -> None:
    class Counting:
        steps, total = 0, torch.zeros(())

        def __call__(self) -> None:
            self.steps += 1
            self.total += self.steps

    counting = Counting()
    replay = tape.taped(counting).replay
    replay()
    assert counting.total == 2  # and not 3


def test_the_tape_draws_new_random_numbers_each_time() -> None:
    generator, drawn = Generator(), torch.zeros(3)
    replay = tape.taped(lambda: drawn.copy_(torch.rand(3, generator=generator))).replay  # type: ignore[arg-type]
    generator.manual_seed(5)
    replay()
    replay()
    expected = torch.rand(6, generator=Generator().manual_seed(5))
    assert torch.equal(drawn, expected[3:])


# the gradient that a GPU adds up


def samples(size: tuple[int, int], seed: int = 0) -> tuple[Tensor, Tensor]:
    """A picture [1, 3, h, w] and places [1, 50, 40, 2] at least half a pixel from its edges."""
    dice = Generator().manual_seed(seed)
    height, width = size
    inside = torch.tensor((1 - 1 / width, 1 - 1 / height))
    return torch.rand(1, 3, *size, generator=dice), (
        torch.rand(1, 50, 40, 2, generator=dice) * 2 - 1
    ) * inside


@pytest.mark.parametrize("size", [(16, 16), (12, 31)])
def test_the_gpus_gradient_of_samples_is_the_one_of_grid_sample(size: tuple[int, int]) -> None:
    picture, grid = samples(size)
    gradient = torch.randn(1, 3, 50, 40, generator=Generator().manual_seed(1)) * 1e-6
    values, gradients = list[Tensor](), list[Tensor]()
    for sample in (resampling._SameEachTime.apply, resampling.sample):
        picture = picture.detach().requires_grad_()
        values.append(sampled := sample(picture, grid))
        gradients += torch.autograd.grad(sampled, picture, gradient)
    assert torch.equal(*values)
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-11)


def test_the_gpus_gradient_does_not_depend_on_the_order_of_the_samples() -> None:
    picture, grid = samples((16, 16))
    gradient = torch.randn(1, 3, 50, 40, generator=Generator().manual_seed(1))
    order = torch.randperm(50, generator=Generator().manual_seed(2))
    once = resampling.scatter(gradient, grid, picture.shape)
    assert torch.equal(resampling.scatter(gradient[:, :, order], grid[:, order], picture.shape), once)


@pytest.mark.parametrize("size", [1e-30, 1e20])
def test_gradients_of_any_size_are_added_up(size: float) -> None:
    picture, grid = samples((8, 8))
    once = resampling.scatter(torch.ones(1, 3, 50, 40), grid, picture.shape)
    found = resampling.scatter(torch.full((1, 3, 50, 40), size), grid, picture.shape)
    torch.testing.assert_close(found, once * size, rtol=1e-5, atol=0)
    assert not resampling.scatter(torch.zeros(1, 3, 50, 40), grid, picture.shape).any()


def test_with_the_gpus_gradient_an_iteration_can_be_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = keyframes(2, canvas(), pulls=pulls())
    monkeypatch.setattr(resampling, "sample", resampling._SameEachTime.apply)
    same = keyframes(2, canvas(), pulls=pulls())
    torch.testing.assert_close(same[0].loss, plain[0].loss, rtol=1e-3, atol=0)
    monkeypatch.setattr(graphs, "replayed", tape.replayed)
    for expected, found in zip(same, keyframes(2, canvas(), pulls=pulls()), strict=True):
        assert torch.equal(found.latent, expected.latent)


# the tower that a GPU looks with


def towers(name: str, dtype: torch.dtype) -> tuple[Perceptor, Perceptor]:
    """The same random tower as on a CPU and as on a GPU."""
    found = []
    for fused in (False, True):
        torch.manual_seed(0)
        clip = perceptor.build(PERCEPTORS[name])
        if fused:
            perceptor.fuse(clip.visual)
        found.append(Perceptor(clip, torch.device("cpu"), dtype))
    return found[0], found[1]


@pytest.mark.parametrize("name", ["ViT-B/32", "RN50"])
def test_a_gpus_tower_sees_the_same(name: str) -> None:
    seen = torch.rand(3, 3, 224, 224, generator=Generator().manual_seed(0)).requires_grad_()
    plain, fused = (tower.embed_images(seen) for tower in towers(name, torch.float32))
    torch.testing.assert_close(fused, plain, rtol=0, atol=1e-5)
    words = torch.randn(plain.shape, generator=Generator().manual_seed(1))
    gradients = [torch.autograd.grad((view * words).sum(), seen)[0] for view in (plain, fused)]
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-3 * float(gradients[0].abs().max()))


def test_a_gpus_tower_is_as_exact_in_bfloat16_and_moves_less() -> None:
    exact, _ = towers("ViT-B/32", torch.float32)
    seen = torch.rand(3, 3, 224, 224, generator=Generator().manual_seed(0))
    plain, fused = towers("ViT-B/32", torch.bfloat16)
    apart = [float((it.embed_images(seen) - exact.embed_images(seen)).norm()) for it in (plain, fused)]
    assert apart[1] < 1.5 * apart[0] < 0.1
    work = [roofline.count(lambda it=it: it.embed_images(seen)) for it in (plain, fused)]  # type: ignore[misc]
    assert work[1].bytes < 0.9 * work[0].bytes
    assert work[1].flop == work[0].flop


# the recording itself


def test_without_a_gpu_every_iteration_is_called() -> None:
    step = iteration()
    assert graphs.replayed(step, step.generator) is step


class Gpu:
    """What of torch.cuda is asked for, noted in its order."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.fault, self.told = fault, list[str]()
        self.device = self.stream = self._entered
        self.OutOfMemoryError = torch.OutOfMemoryError

    def Stream(self) -> SimpleNamespace:  # noqa: N802
        return SimpleNamespace(wait_stream=lambda other: self.told.append("wait"))

    current_stream = Stream

    def CUDAGraph(self) -> SimpleNamespace:  # noqa: N802
        return SimpleNamespace(
            register_generator_state=lambda generator: self.told.append("generator"),
            replay=lambda: self.told.append("replay"),
        )

    @contextmanager
    def graph(self, graph: Any) -> Iterator[None]:
        self.told.append("record")
        if self.fault:
            raise self.fault
        yield

    @contextmanager
    def _entered(self, what: Any) -> Iterator[None]:
        yield


def recorded_on(gpu: Gpu, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(torch, "cuda", gpu)
    generator: Any = SimpleNamespace(device=torch.device("cuda"))
    return graphs.replayed(lambda: gpu.told.append("step"), generator)


def test_on_a_gpu_an_iteration_is_rehearsed_recorded_with_its_generator_and_replayed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gpu = Gpu()
    replay = recorded_on(gpu, monkeypatch)
    replay()
    rehearsed = ["wait", *["step"] * graphs.REHEARSALS, "wait"]
    assert gpu.told == [*rehearsed, "generator", "record", "step", "replay"]


def test_a_gpu_that_cannot_record_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"\(CUDA error: not permitted\); set SONGREEL_GRAPHS=0"):
        recorded_on(Gpu(RuntimeError("CUDA error: not permitted.\nCompile with …")), monkeypatch)


def test_a_gpu_without_memory_says_so_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(torch.OutOfMemoryError):
        recorded_on(Gpu(torch.OutOfMemoryError("full")), monkeypatch)


def test_the_switch_launches_every_kernel_from_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(graphs.SWITCH, "0")
    gpu = Gpu()
    recorded_on(gpu, monkeypatch)()
    assert gpu.told == ["step"]


# where there is a GPU

ON_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here: its graphs were not tried")


def on_gpu(count: int) -> list[Keyframe]:
    device = devices.choose()
    precision = devices.precision(device)
    maker = vqgan.load(weights.vqgan("starter"), device, precision)
    sees = perceptor.load(weights.perceptor("starter"), device, precision)
    pull = Pull(sees, sees.embed_texts(["a red rose"]))
    start = sampler.canvas(maker, (64, 64), 0)
    return list(islice(sampler.chain(maker, [pull], STRATEGY, start, 0, 0, 0), count))


@ON_GPU
def test_a_gpus_graph_makes_the_keyframes_of_its_eager_path(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = on_gpu(3)
    monkeypatch.setenv(graphs.SWITCH, "0")
    for expected, found in zip(on_gpu(3), graph, strict=True):
        assert torch.equal(found.tokens, expected.tokens)
        torch.testing.assert_close(found.latent, expected.latent)


@ON_GPU
def test_a_gpu_makes_the_same_keyframes_twice() -> None:
    for expected, found in zip(on_gpu(3), on_gpu(3), strict=True):
        assert torch.equal(found.tokens, expected.tokens)
        assert torch.equal(found.latent, expected.latent)


@ON_GPU
def test_a_gpus_iteration_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """`set_sync_debug_mode` raises where the host waits for the GPU."""
    monkeypatch.setenv(graphs.SWITCH, "0")
    device = devices.choose()
    maker = vqgan.load(weights.vqgan("starter"), device, devices.precision(device))
    sees = perceptor.load(weights.perceptor("starter"), device, devices.precision(device))
    pull = Pull(sees, sees.embed_texts(["a red rose"]))
    step = Iteration(maker, [pull], STRATEGY, sampler.canvas(maker, (64, 64), 0), 5)
    step()  # copies constants to the device, once
    torch.cuda.set_sync_debug_mode("error")
    try:
        step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
