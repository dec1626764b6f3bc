"""What the optimisation loop promises: the method's formulas, and chains that are all in their recipe."""

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import islice, pairwise
from typing import Any

import pytest
import torch
from torch import Generator, Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from songreel.ground.strategy import Strategy
from songreel.kernels import cutouts
from songreel.kernels.cutouts import cut
from songreel.models.vqgan import VQGAN
from songreel.sampling import sampler
from songreel.sampling.loss import clamp_inwards, spherical_distance, straight_through
from songreel.sampling.sampler import Keyframe, Pull
from tests.starter import canvas, chain, judge, picture_maker, pull

QUICK = Strategy(iterations=2, lead_in=1, cutouts=2, learning_rate=0.2)


def rolls(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def loss_of(pulls: Sequence[Pull], latent: Tensor, count: int, maker: VQGAN | None = None) -> Tensor:
    """The loss of a latent [1, c, h, w], with so many cutouts."""
    maker = maker or picture_maker()
    looks = sampler.looks(maker, pulls, count, latent, 1)
    return sampler._distance(maker, pulls, looks, latent, rolls(), torch.zeros(1, dtype=torch.long))


def unit_vectors(*shape: int) -> Tensor:
    return torch.nn.functional.normalize(torch.randn(*shape, generator=rolls()), dim=-1)


# the loss


def test_the_distance_is_half_the_squared_angle() -> None:
    x, y = unit_vectors(100, 64).double(), unit_vectors(200, 64)[100:].double()
    x, y = (torch.nn.functional.normalize(vectors, dim=-1) for vectors in (x, y))
    angle = (x * y).sum(-1).arccos()
    torch.testing.assert_close(spherical_distance(x, y), angle.square() / 2)


def test_the_distance_pairs_every_cutout_with_every_target() -> None:
    seen, targets = unit_vectors(5, 8), unit_vectors(3, 8)
    distances = spherical_distance(seen[:, None], targets)
    assert distances.shape == (5, 3)
    assert torch.equal(distances[4, 1], spherical_distance(seen[4], targets[1]))


@pytest.mark.parametrize("apart", [0, 1e-12, 1e-7, 1e-4, 2])
def test_the_distances_gradient_is_finite_even_where_both_meet(apart: float) -> None:
    y = unit_vectors(1, 64)
    away = torch.nn.functional.normalize(torch.randn(1, 64, generator=rolls(1)), dim=-1)
    x = (y + apart * away).requires_grad_() if apart < 1 else (-y * (1 - 1e-6)).requires_grad_()
    (gradient,) = torch.autograd.grad(spherical_distance(x, y).sum(), x)
    assert gradient.isfinite().all()


def test_straight_through_has_the_quantised_value_and_the_latents_gradient() -> None:
    latents = torch.randn(1, 4, 2, 2, generator=rolls()).requires_grad_()
    quantised = torch.randn(1, 4, 2, 2, generator=rolls(1)).requires_grad_()
    value = straight_through(latents, quantised)
    torch.testing.assert_close(value, quantised)
    value.backward(weight := torch.randn(1, 4, 2, 2, generator=rolls(2)))  # type: ignore[no-untyped-call]
    assert latents.grad is not None and torch.equal(latents.grad, weight)
    assert quantised.grad is None


@pytest.mark.parametrize(
    ("x", "gradient", "passed"),
    [
        (1.5, -1, 0),  # descent would push it further above
        (1.5, 1, 1),  # descent pulls it back
        (-0.5, 1, 0),
        (-0.5, -1, -1),
        (0.5, 1, 1),
        (0.5, -1, -1),
        (1, -1, -1),
        (0, 1, 1),
    ],
)
def test_a_clamped_value_can_be_pulled_inside_but_not_pushed_out(
    x: float, gradient: float, passed: float
) -> None:
    value = torch.tensor([float(x)], requires_grad=True)
    clamped = clamp_inwards(value, 0, 1)
    assert clamped.item() == min(max(x, 0), 1)
    clamped.backward(torch.tensor([float(gradient)]))  # type: ignore[no-untyped-call]
    assert value.grad is not None and value.grad.item() == passed


# the cutouts


def still(monkeypatch: pytest.MonkeyPatch, *but: str) -> None:
    """Switch off every random change of a cutout but its place and size, and those named."""
    for name in ("DEGREES", "PERSPECTIVE", "JITTER", "NOISE"):
        if name not in but:
            monkeypatch.setattr(cutouts, name, 0.0)
    if "ERASED" not in but:
        monkeypatch.setattr(cutouts, "_box", lambda dice: torch.zeros(dice.count, 4))


def roundness(pictures: Tensor) -> Tensor:
    """How short against its length the bright spot is in each of the pictures [n, 3, h, w]; 1 is round."""
    mass = pictures.mean(1) / pictures.mean(1).sum((1, 2), keepdim=True)  # [n, h, w]
    y, x = torch.meshgrid(
        *(torch.arange(side, dtype=torch.float32) for side in mass.shape[1:]), indexing="ij"
    )
    places = torch.stack((y, x), -1).expand(len(mass), -1, -1, -1)  # [n, h, w, 2]
    from_centre = places - torch.einsum("nhw,nhwi->ni", mass, places)[:, None, None]
    spread = torch.einsum("nhw,nhwi,nhwj->nij", mass, from_centre, from_centre)
    variances: Tensor = torch.linalg.eigvalsh(spread)  # [n, 2], rising
    return (variances[:, 0] / variances[:, 1]).sqrt()


@pytest.mark.parametrize("size", [(32, 32), (48, 96), (200, 64), (64, 64)])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_cutouts_have_their_shape_and_finite_values(size: tuple[int, int], count: int) -> None:
    image = torch.rand(1, 3, *size, generator=rolls())
    seen = cut(image, count, 64, rolls())
    assert (seen.shape, seen.dtype) == ((count, 3, 64, 64), torch.float32)
    assert seen.isfinite().all()
    assert seen.min() > -1 and seen.max() < 2


def test_cutouts_are_a_function_of_their_generator() -> None:
    image = torch.rand(1, 3, 48, 64, generator=rolls())
    torch.manual_seed(1)
    first = cut(image, 4, 32, rolls(7))
    torch.manual_seed(2)
    assert torch.equal(cut(image, 4, 32, rolls(7)), first)
    assert not torch.equal(cut(image, 4, 32, rolls(8)), first)


def test_the_cutouts_of_one_step_differ() -> None:
    seen = cut(torch.rand(1, 3, 64, 64, generator=rolls()), 8, 32, rolls())
    differences = (seen[:, None] - seen).abs().mean((2, 3, 4)) + torch.eye(8)
    assert differences.min() > 0.01


def test_each_picture_of_a_batch_gives_one_cutout() -> None:
    pictures = torch.rand(5, 3, 96, 64, generator=rolls())
    seen = cut(pictures, 5, 24, rolls(3))
    alone = (cut(picture[None], 5, 24, rolls(3))[row] for row, picture in enumerate(pictures))
    torch.testing.assert_close(seen, torch.stack(list(alone)))


@pytest.mark.parametrize("size", [(20, 20), (20, 26), (48, 64), (101, 90)])
def test_the_levels_that_are_sampled_are_all_that_are_needed(size: tuple[int, int]) -> None:
    """A picture of ones stays one only if the shares of its levels add up to that."""
    draw = cutouts.Dice(400, torch.device("cpu"), rolls())
    crops = cutouts._size(draw, 20 / min(size))
    homography = cutouts._homography(draw, crops, torch.Size(size))
    seen = cutouts._sample(torch.ones(1, 3, *size), homography, crops * (min(size) / 20), 20)
    torch.testing.assert_close(seen, torch.ones(400, 3, 400))


def test_cutouts_are_those_of_the_recipes_number() -> None:
    """Golden values: change them together with documents.RECIPE, or old segments would pass for new ones."""
    y, x = torch.meshgrid(torch.linspace(0, 1, 96), torch.linspace(0, 1, 160), indexing="ij")
    seen = cut(torch.stack((x, y, (x * 9).sin().abs()))[None], 6, 32, rolls(3))
    means = torch.tensor((0.45779, 0.54807, 0.66309, 0.54154, 0.54508, 0.72231))
    deviations = torch.tensor((0.24867, 0.26273, 0.26736, 0.27260, 0.21974, 0.26582))
    torch.testing.assert_close(seen.mean((1, 2, 3)), means, rtol=0, atol=1e-4)
    torch.testing.assert_close(seen.std((1, 2, 3)), deviations, rtol=0, atol=1e-4)


@pytest.mark.parametrize("size", [(64, 64), (40, 104)])
def test_every_region_of_the_picture_is_looked_at(size: tuple[int, int]) -> None:
    image = torch.full((1, 3, *size), 0.5).requires_grad_()
    cut(image, 64, 32, rolls()).square().sum().backward()  # type: ignore[no-untyped-call]
    assert image.grad is not None and image.grad.isfinite().all()
    reach = image.grad.abs().sum(1)[0].unfold(0, 8, 8).unfold(1, 8, 8).sum((2, 3))
    assert reach.min() > 0.02 * reach.mean()


def test_a_plain_picture_stays_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    still(monkeypatch, "DEGREES", "PERSPECTIVE", "ERASED")
    colour = torch.tensor((0.2, 0.5, 0.9)).view(1, 3, 1, 1)
    seen = cut(colour.expand(1, 3, 72, 96), 32, 32, rolls())
    torch.testing.assert_close(seen, colour.expand_as(seen), rtol=0, atol=1e-5)


def test_recolouring_keeps_a_plain_picture_near_its_colour() -> None:
    colour = torch.tensor((0.2, 0.5, 0.9)).view(1, 3, 1, 1)
    seen = cut(colour.expand(1, 3, 64, 64), 64, 32, rolls())
    assert (seen.mean((2, 3)) - colour.view(1, 3)).abs().max() < 0.4
    assert (seen.mean((0, 2, 3)) - colour.view(3)).abs().max() < 0.05


@pytest.mark.parametrize("degrees", [0.0, 30.0])
@pytest.mark.parametrize("size", [(64, 192), (192, 64)])
def test_a_disc_stays_round_in_wide_and_tall_pictures_also_when_turned(
    size: tuple[int, int], degrees: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    still(monkeypatch)
    monkeypatch.setattr(cutouts, "DEGREES", degrees)
    monkeypatch.setattr(cutouts, "FULL_VIEWS", 1.0)
    y, x = (torch.arange(side) - (side - 1) / 2 for side in size)
    disc = (-(y[:, None] ** 2 + x**2) / (2 * 6.0**2)).exp().expand(1, 3, *size)
    seen = cut(disc, 64, 32, rolls())
    inner = seen[:, :, 1:-1, 1:-1].mean((1, 2, 3)) * 30**2 / seen.mean((1, 2, 3)) / 32**2
    whole = roundness(seen[inner > 0.995])
    assert len(whole) > 5
    assert whole.min() > 0.98


def test_a_cutout_may_be_turned_and_mirrored(monkeypatch: pytest.MonkeyPatch) -> None:
    still(monkeypatch, "DEGREES")
    ramp = torch.linspace(0, 1, 64).expand(1, 3, 64, 64)  # brighter to the right
    seen = cut(ramp, 64, 32, rolls()).mean(1)
    slope = (seen[..., -1] - seen[..., 0]).mean(1)
    assert 16 < (slope > 0).sum() < 48
    tilt = (seen[:, -1] - seen[:, 0]).mean(1).abs()
    assert tilt.max() > 0.02


def test_large_pictures_do_not_alias(monkeypatch: pytest.MonkeyPatch) -> None:
    still(monkeypatch)
    monkeypatch.setattr(cutouts, "FULL_VIEWS", 1.0)
    stripes = (torch.arange(256) // 4 % 2).float().expand(1, 3, 256, 256)
    seen = cut(stripes, 16, 32, rolls())
    assert (seen - 0.5).abs().max() < 0.05


def test_small_pictures_are_not_blurred(monkeypatch: pytest.MonkeyPatch) -> None:
    still(monkeypatch)
    monkeypatch.setattr(cutouts, "FULL_VIEWS", 1.0)
    stripes = (torch.arange(32) // 4 % 2).float().expand(1, 3, 32, 32)
    assert cut(stripes, 8, 32, rolls()).std() > 0.4


# what runs on the device

INDEXING = {"index", "index_put", "index_put_"}
READS_BACK = {"_local_scalar_dense", "nonzero", "masked_select", "unique_dim", "_unique2", "equal"}


class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the operations that are dispatched to the device."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: Counter[str] = Counter()

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = function._schema.name.removeprefix("aten::")
        masks = [index for index in args[1] if index is not None] if name in INDEXING else []
        self.calls[name] += 1
        if any(getattr(index, "dtype", None) == torch.bool for index in masks):
            self.calls["nonzero"] += 1
        return function(*args, **(kwargs or {}))

    def read_back(self) -> int:
        """How often the host waited for a value of the device."""
        return sum(self.calls[name] for name in READS_BACK)

    def copied_in(self) -> int:
        """How often a value of the host was copied to the device, which waits for it too."""
        return self.calls["lift_fresh"]


def watched(work: Callable[[], object]) -> Watch:
    watch = Watch()
    with watch:
        work()
    return watch


def test_the_watch_sees_a_value_that_is_read_back() -> None:
    x = torch.rand(4)
    assert watched(lambda: x.sum().item()).read_back() == 1
    assert watched(lambda: bool(x.sum() > 0)).read_back() == 1
    assert watched(lambda: x[x > 0.5]).read_back() == 1
    assert watched(lambda: x[torch.tensor([1, 2])]).read_back() == 0
    assert watched(lambda: torch.tensor((1.0, 2.0)) + x.sum()).copied_in() == 1
    assert watched(lambda: torch.full((2,), 0.5) * 2 + x.sum()).copied_in() == 0


def test_cutting_is_one_batch_whatever_the_count() -> None:
    image = torch.rand(1, 3, 96, 128, generator=rolls())
    cut(image, 1, 32, rolls())  # copies its constants to the device, once
    few, many = (watched(lambda n=n: cut(image, n, 32, rolls())) for n in (2, 40))  # type: ignore[misc]
    assert few.calls == many.calls
    assert few.read_back() == few.copied_in() == 0


@pytest.mark.parametrize("cutouts_in_all", [2, 6])
def test_an_iteration_reads_nothing_back_and_a_keyframe_one_value(cutouts_in_all: int) -> None:
    watch = Watch()
    start, strategy = canvas(), Strategy(3, 0, cutouts_in_all, 0.1)
    keyframes(1)  # copies constants to the device, once
    at_iterations = []
    links = sampler.chain(
        picture_maker(),
        [pull("a red rose")],
        strategy,
        start,
        0,
        0,
        0,
        lambda: at_iterations.append((watch.read_back(), watch.copied_in())),
    )
    with watch:
        next(links)
        next(links)
    table = 1  # what Adam looks up, when the chain starts
    assert at_iterations == [(0, table)] * 3 + [(1, table)] * 3
    assert watch.read_back() == 2


def test_an_iteration_dispatches_as_much_for_few_cutouts_as_for_many() -> None:
    def calls(count: int) -> Counter[str]:
        latent = canvas()[None].clone().requires_grad_()

        def iterate() -> None:
            loss = loss_of([pull("a red rose")], latent, count)
            loss.backward()  # type: ignore[no-untyped-call]

        return watched(iterate).calls

    assert calls(4).total() > 100
    assert calls(4) == calls(9)  # with fewer, a part of them is a single one, whose samples need no copy


# chains


def keyframes(
    count: int = 2, strategy: Strategy = QUICK, text: str = "a red rose", **rest: Any
) -> list[Keyframe]:
    start = rest.pop("latent", None)
    return list(islice(chain(text, strategy, canvas() if start is None else start, **rest), count))


def same(a: list[Keyframe], b: list[Keyframe]) -> bool:
    return len(a) == len(b) and all(
        torch.equal(x.tokens, y.tokens) and torch.equal(x.latent, y.latent) and x.loss == y.loss
        for x, y in zip(a, b, strict=True)
    )


@pytest.fixture(scope="module")
def rose() -> list[Keyframe]:
    return keyframes(4)


@pytest.mark.parametrize("text", ["a red rose", "the deep blue ocean"])
def test_pictures_come_closer_to_the_words(text: str) -> None:
    strategy = Strategy(iterations=12, lead_in=0, cutouts=6, learning_rate=0.15)
    losses = [keyframe.loss for keyframe in keyframes(3, strategy, text)]
    assert losses[0] > losses[1] > losses[2]
    assert losses[2] < losses[0] - 0.05


def test_a_keyframe_says_what_is_drawn_and_where_the_chain_goes_on(rose: list[Keyframe]) -> None:
    for link in rose:
        assert (link.tokens.shape, link.tokens.dtype) == ((4, 4), torch.int64)
        assert (link.latent.shape, link.latent.dtype) == ((16, 4, 4), torch.float32)
        assert torch.equal(link.tokens, picture_maker().nearest(link.latent[None])[0])
        assert not link.latent.requires_grad
    assert len({link.latent.data_ptr() for link in rose}) == len(rose)


def test_the_picture_keeps_moving(rose: list[Keyframe]) -> None:
    for before, after in pairwise(rose):
        assert not torch.equal(before.latent, after.latent)


def test_the_same_recipe_makes_the_same_keyframes(rose: list[Keyframe]) -> None:
    assert same(keyframes(2), rose[:2])


@pytest.mark.parametrize(
    "other", [{"seed": 1}, {"take": 1}, {"text": "a blue rose"}], ids=lambda other: next(iter(other))
)
def test_another_seed_take_or_text_makes_other_keyframes(rose: list[Keyframe], other: Any) -> None:
    (found,) = keyframes(1, **other)
    assert not torch.equal(found.latent, rose[0].latent)


def test_fewer_keyframes_are_a_prefix_of_more(rose: list[Keyframe]) -> None:
    assert same(keyframes(3), rose[:3])


@pytest.mark.parametrize("first", [1, 2, 3])
def test_a_resumed_chain_is_the_same_bit_for_bit(rose: list[Keyframe], first: int) -> None:
    stored = torch.from_numpy(rose[first - 1].latent.numpy().copy())
    assert same(keyframes(4 - first, latent=stored, first=first), rose[first:])


def test_a_chain_leaves_its_start_as_it_was() -> None:
    start = canvas().clone()
    keyframes(1, latent=start)
    assert torch.equal(start, canvas())


def test_chains_neither_use_nor_move_the_global_random_numbers(rose: list[Keyframe]) -> None:
    torch.manual_seed(12345)
    state = torch.get_rng_state()
    assert same(keyframes(1), rose[:1])
    assert torch.equal(torch.get_rng_state(), state)


def test_two_chains_at_once_do_not_disturb_each_other(rose: list[Keyframe]) -> None:
    one, other = (chain("a red rose", QUICK, canvas()), chain("the sea", QUICK, canvas(), seed=5))
    links = [link for pair in zip(islice(one, 2), islice(other, 2), strict=True) for link in pair]
    assert same(links[::2], rose[:2])


def test_the_latent_stays_within_the_codebook() -> None:
    wild = Strategy(iterations=3, lead_in=0, cutouts=2, learning_rate=50)
    low, high = picture_maker().codebook.amin(0), picture_maker().codebook.amax(0)
    (link,) = keyframes(1, wild)
    vectors = link.latent.flatten(1).T
    assert (vectors >= low).all() and (vectors <= high).all()
    assert ((vectors == low) | (vectors == high)).any()


def test_every_iteration_is_called_back_and_the_lead_in_comes_once() -> None:
    calls: list[int] = []
    strategy = Strategy(iterations=2, lead_in=3, cutouts=1, learning_rate=0.1)
    links = sampler.chain(
        picture_maker(), [pull("a red rose")], strategy, canvas(), 0, 0, 0, lambda: calls.append(1)
    )
    counted = []
    for _ in range(3):
        next(links)
        counted.append(len(calls))
    assert counted == [5, 7, 9]


def test_pulls_add_up_by_their_weights() -> None:
    maker, words = picture_maker(), judge().embed_texts(["a red rose", "the sea"])

    def distance(*pulls: Pull) -> Tensor:
        return loss_of(pulls, canvas()[None], 4, maker)

    one = distance(Pull(judge(), words[:1]))
    torch.testing.assert_close(distance(Pull(judge(), words[:1], -0.5)), -0.5 * one)
    both = distance(Pull(judge(), words))
    torch.testing.assert_close(both, (one + distance(Pull(judge(), words[1:]))) / 2)
    assert distance(Pull(judge(), words[:1]), Pull(judge(), words[:1])) > 1.8 * one


# the canvas


@pytest.mark.parametrize("micro_batch", [1, 3, 7, 8, 99])
def test_judging_a_few_cutouts_at_a_time_changes_no_more_than_rounding(micro_batch: int) -> None:
    def judged(at_once: int) -> tuple[Tensor, Tensor]:
        latent = canvas()[None].clone().requires_grad_()
        pulls = [Pull(judge(), judge().embed_texts(["a rose", "the sea"]), 1.5, at_once)]
        loss = loss_of(pulls, latent, 8)
        return loss.detach(), torch.autograd.grad(loss, latent)[0]

    for few, whole in zip(judged(micro_batch), judged(0), strict=True):
        torch.testing.assert_close(few, whole, rtol=1e-4, atol=1e-7)


def test_the_canvas_is_a_function_of_the_seed_and_the_size() -> None:
    torch.manual_seed(1)
    first = sampler.canvas(picture_maker(), (48, 32), 3)
    torch.manual_seed(2)
    assert torch.equal(sampler.canvas(picture_maker(), (48, 32), 3), first)
    assert not torch.equal(sampler.canvas(picture_maker(), (48, 32), 4), first)
    assert first.shape == (16, 4, 6)


def test_the_canvas_is_made_of_codes() -> None:
    start = canvas((64, 64))[None]
    assert torch.equal(picture_maker().embed(picture_maker().nearest(start)), start)


def test_the_canvas_is_neither_plain_nor_grainy() -> None:
    with torch.no_grad():
        picture = picture_maker().decode(canvas((64, 64))[None])
    coarse = torch.nn.functional.avg_pool2d(picture, 8)
    assert coarse.std() > 0.05
    assert (picture - torch.nn.functional.interpolate(coarse, scale_factor=8)).std() < coarse.std()


def test_random_streams_are_those_of_the_recipes_number() -> None:
    """Golden values: another stream is another film, so change these together with documents.RECIPE."""
    assert [sampler._stream(0, "canvas"), sampler._stream(7, "2/31")] == [
        4788130517490407352,
        639725662623463596,
    ]
    first = torch.rand(2, generator=rolls(sampler._stream(0, "0/0"))).tolist()
    assert first == pytest.approx([0.6852721, 0.5134498])
