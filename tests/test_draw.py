"""What the drawing promises: keyframes at their instants, and from each to the next without a jump."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from songreel.drawing import draw
from songreel.ground import documents
from songreel.ground.documents import ClipPlan, Shown
from songreel.ground.strategy import Strategy
from songreel.models.vqgan import VQGAN
from songreel.planning import plan
from tests.plans import clip
from tests.starter import canvas, chain, codes, picture_maker

Frames = NDArray[np.uint8]  # [n, height, width, 3]
Tokens = NDArray[np.uint16]  # [k, h, w]


class Window(VQGAN):
    """A picture maker whose pictures are the latents themselves: one pixel a token, 256 colours."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        level = torch.arange(256) / 255
        self.colours = torch.stack((level, 1 - level, (level * 7) % 1), 1)
        self.factor = 1

    @property
    def codebook(self) -> Tensor:
        return self.colours

    def decode(self, latents: Tensor) -> Tensor:
        return latents.float()

    def bytes_to_draw(self, height: int, width: int) -> int:
        return 0


def after(frames_before: int, blend: int) -> dict[str, Any]:
    return {"before": Shown("a", frames_before), "blend_frames": blend}


def noise(keyframes: int, side: int = 3, seed: int = 0) -> Tokens:
    return np.random.default_rng(seed).integers(0, 256, (keyframes, side, side), dtype=np.uint16)


def drawn(clip: ClipPlan, shown: Tokens, before: Tokens | None = None, maker: Any = None) -> Frames:
    return np.concatenate(list(draw.frames(maker or Window(), clip, shown, before)))


def picture(tokens: NDArray[np.uint16]) -> NDArray[np.float32]:
    """The Window's picture of one keyframe, float in 0..255."""
    colours: NDArray[np.float32] = Window().colours.numpy()[tokens] * 255
    return colours


def assert_near(found: Frames, expected: NDArray[Any], atol: float = 0.51) -> None:
    np.testing.assert_allclose(found.astype(float), expected, rtol=0, atol=atol)


# between keyframes


def test_at_its_instant_a_keyframe_is_drawn_as_it_is() -> None:
    tokens = noise(10)
    frames = drawn(clip(19), tokens)
    assert frames.shape == (19, 3, 3, 3)
    for keyframe, tokens_then in enumerate(tokens):
        assert_near(frames[2 * keyframe], picture(tokens_then))


def test_halfway_the_latent_is_the_mean_of_both() -> None:
    tokens = noise(10)
    frames = drawn(clip(19), tokens)
    for keyframe in range(9):
        assert_near(frames[2 * keyframe + 1], (picture(tokens[keyframe]) + picture(tokens[keyframe + 1])) / 2)


@pytest.mark.parametrize(("per_second", "rate"), [(2.0, 30), (7.5, 24), (15.0, 60), (0.7, 25), (30.0, 24)])
def test_every_frame_lies_on_the_line_between_its_keyframes(per_second: float, rate: int) -> None:
    instants = [Fraction(str(per_second)) * n / rate for n in range(50)]  # in keyframes
    tokens = noise(int(instants[-1]) + 2)
    frames = drawn(clip(50, keyframes_per_second=per_second, frames_per_second=rate), tokens)
    for frame, instant in zip(frames, instants, strict=True):
        share, lower = float(instant % 1), int(instant)
        assert_near(frame, (1 - share) * picture(tokens[lower]) + share * picture(tokens[lower + 1]))


def test_the_thousandth_keyframe_is_exact_at_a_rate_without_an_exact_float() -> None:
    tokens = noise(1001, side=1)
    frames = drawn(clip(3000, keyframes_per_second=0.1, frames_per_second=3), tokens)
    assert_near(frames[30::30], np.stack([picture(tokens[k]) for k in range(1, 100)]), atol=0.5001)


def test_the_real_picture_maker_is_given_the_quantised_latents() -> None:
    tokens = np.random.default_rng(0).integers(0, codes(), (2, 4, 4), dtype=np.uint16)
    frames = drawn(clip(3), tokens, maker=picture_maker())
    with torch.no_grad():
        ends = picture_maker().embed(torch.from_numpy(tokens.astype(np.int64)))
        expected = picture_maker().decode(torch.stack((ends[0], ends.mean(0), ends[1]))).clamp(0, 1) * 255
    assert frames.shape == (3, 32, 32, 3)
    assert_near(frames, expected.permute(0, 2, 3, 1).numpy(), atol=0.6)


# how many


@pytest.mark.parametrize("frames", [1, 2, 29, 30, 31, 300])
def test_a_clip_has_exactly_its_frames(frames: int) -> None:
    found = drawn(clip(frames), noise(plan.keyframes_for(frames, clip(frames))))
    assert found.shape == (frames, 3, 3, 3)
    assert found.dtype == np.uint8


@pytest.mark.parametrize("pixels", [1, 9, 40, 10**6])
def test_batches_do_not_show(pixels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    plan_of_clip = clip(40, **after(10, 20))
    tokens = noise(30), noise(30, seed=1)
    whole = drawn(plan_of_clip, *tokens)
    monkeypatch.setattr(draw, "BATCH_PIXELS", {"cpu": pixels})
    batches = list(draw.frames(Window(), plan_of_clip, *tokens))
    assert {len(batch) for batch in batches[:-1]} <= {max(1, pixels // 9)}
    assert_near(np.concatenate(batches), whole, atol=1)


def test_batches_do_not_show_in_real_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = np.random.default_rng(0).integers(0, codes(), (4, 4, 4), dtype=np.uint16)
    whole = drawn(clip(7), tokens, maker=picture_maker())
    monkeypatch.setattr(draw, "BATCH_PIXELS", {"cpu": 32 * 32 * 3})
    assert_near(drawn(clip(7), tokens, maker=picture_maker()), whole, atol=1)


def test_for_motion_interpolation_the_keyframes_themselves_are_drawn() -> None:
    motion = clip(30, interpolation="motion")
    tokens = noise(plan.keyframes_for(30, motion))
    frames = drawn(motion, tokens)
    assert motion.drawn_rate == 15
    assert len(frames) == draw.drawn_frames(motion) == 16 + documents.MOTION_MARGIN
    assert_near(frames, np.stack([picture(keyframe) for keyframe in tokens[: len(frames)]]))


# from line to line

BLEND = 30


def test_the_frame_before_the_blend_is_the_one_that_the_tail_goes_on_from() -> None:
    tail, head = noise(60), noise(60, seed=1)
    frames = drawn(clip(60, **after(40, BLEND)), head, tail)
    going_on = drawn(clip(80), tail)[40:]
    assert np.abs(frames[0].astype(float) - going_on[0]).max() < 3
    assert np.abs(frames[0].astype(float) - drawn(clip(1), head)[0]).max() > 30


def test_after_the_blend_only_the_lines_own_pictures_are_left() -> None:
    tail, head = noise(60), noise(60, seed=1)
    frames = drawn(clip(60, **after(40, BLEND)), head, tail)
    alone = drawn(clip(60), head)
    assert_near(frames[BLEND:], alone[BLEND:])
    assert np.abs(frames[BLEND - 1].astype(float) - alone[BLEND - 1]).max() < 3


def test_a_blend_of_a_line_with_itself_is_the_line() -> None:
    tokens = noise(60)
    frames = drawn(clip(30, **after(0, BLEND)), tokens, tokens)
    assert_near(frames, drawn(clip(30), tokens), atol=1)


def test_the_blend_never_goes_back() -> None:
    tail, head = np.full((60, 1, 1), 0, np.uint16), np.full((60, 1, 1), 255, np.uint16)
    red = drawn(clip(40, **after(10, BLEND)), head, tail)[:, 0, 0, 0].astype(int)
    assert (np.diff(red) >= 0).all()
    assert red[0] < 5 and red[BLEND - 1] > 250 and set(red[BLEND:]) == {255}
    assert abs(red[: BLEND + 1].mean() - 127) < 10


def test_the_blend_keeps_the_spread_of_unrelated_pictures() -> None:
    tail, head = noise(60, side=16), noise(60, side=16, seed=1)
    frames = drawn(clip(30, keyframes_per_second=0.1, **after(0, BLEND)), head, tail)
    spread = frames.std((1, 2))[:, 0]
    assert spread.min() > 0.9 * min(spread[0], spread[-1])


def test_a_line_shorter_than_the_transition_blends_over_its_whole_length() -> None:
    tail, head = noise(60), noise(60, seed=1)
    frames = drawn(clip(5, **after(40, 5)), head, tail)
    going_on = drawn(clip(80), tail)[40:45].astype(float)
    alone = drawn(clip(5), head).astype(float)
    shares = np.abs(frames - going_on).mean((1, 2, 3)) / np.abs(alone - going_on).mean((1, 2, 3))
    assert (np.diff(shares) > 0.03).all()
    assert shares[0] < 0.2 and shares[-1] > 0.8


def test_a_line_of_one_frame_is_halfway_between_its_neighbours() -> None:
    tail, head = np.full((60, 1, 1), 0, np.uint16), np.full((60, 1, 1), 255, np.uint16)
    assert abs(int(drawn(clip(1, **after(10, 1)), head, tail)[0, 0, 0, 0]) - 127.5) <= 1


def test_a_film_without_transitions_cuts() -> None:
    tail, head = noise(60), noise(60, seed=1)
    assert np.array_equal(drawn(clip(9, **after(40, 0)), head, tail), drawn(clip(9), head))


@pytest.mark.parametrize("interpolation", ["latent", "motion"])
@pytest.mark.parametrize(("per_second", "rate"), [(2.0, 30), (7.5, 24), (15.0, 60), (0.7, 25), (30.0, 24)])
@pytest.mark.parametrize("frames", [1, 2, 13, 100])
def test_the_plan_asks_for_keyframes_enough_to_draw_every_frame(
    interpolation: str, per_second: float, rate: int, frames: int
) -> None:
    look = {
        "interpolation": interpolation,
        "keyframes_per_second": per_second,
        "frames_per_second": rate,
    }
    blended = clip(frames, **look, **after(17, min(frames, rate)))
    own, others = (need for _, need in plan.sources(blended))
    found = drawn(blended, noise(own), noise(others, seed=1))
    assert len(found) == draw.drawn_frames(blended)


# real chains

SIZE = (48, 48)
RATE, PER_SECOND = 12, 3.0


@pytest.fixture(scope="module")
def film() -> Frames:
    """Two lines of two seconds each and one of a third of a second, with transitions of one second."""
    texts, lengths = ("a red rose", "the deep blue ocean", "a green forest"), (24, 24, 4)
    look = {"frames_per_second": RATE, "keyframes_per_second": PER_SECOND}
    strategy = Strategy(iterations=3, lead_in=12, cutouts=3, learning_rate=0.15)

    def tokens(text: str, frames: int) -> Tokens:
        need = plan.keyframes_for(frames, clip(frames, **look))
        links = chain(text, strategy, canvas(SIZE))
        return np.stack([link.tokens.numpy() for link in islice(links, need)]).astype(np.uint16)

    segments = [tokens(text, length + RATE) for text, length in zip(texts, lengths, strict=True)]

    def clips() -> Iterator[Frames]:
        yield drawn(clip(lengths[0], **look), segments[0], maker=picture_maker())
        for n in (1, 2):
            seam = after(lengths[n - 1], min(RATE, lengths[n]))
            yield drawn(clip(lengths[n], **look, **seam), segments[n], segments[n - 1], picture_maker())

    return np.concatenate(list(clips()))


def steps(frames: Frames) -> NDArray[np.float64]:
    """How far each frame is from the one before it, in grey levels."""
    moves: NDArray[np.float64] = np.abs(np.diff(frames.astype(float), axis=0)).mean((1, 2, 3))
    return moves


def contrast(frames: Frames) -> NDArray[np.float64]:
    luma = frames @ np.array((0.299, 0.587, 0.114))
    deviations: NDArray[np.float64] = luma.std((1, 2))
    return deviations


def test_lines_turn_into_each_other_without_a_jump(film: Frames) -> None:
    moves = steps(film)
    within_lines = np.percentile(np.concatenate((moves[:23], moves[36:47])), 95)
    assert within_lines > 0.5  # it does move
    assert moves[23] < 2 * within_lines  # over the seam
    assert moves[35] < 2 * within_lines  # out of the blend
    blend = moves[23:36]
    assert blend.max() < 2 * blend.mean()  # a smoothstep's steepest is 1.5 times its mean
    assert np.abs(np.diff(blend)).max() < 0.5 * blend.max()


def test_the_middle_of_a_blend_is_not_grey(film: Frames) -> None:
    deviations = contrast(film)
    ends = (deviations[23] + deviations[36]) / 2
    assert deviations[27:33].min() >= 0.85 * ends


def test_a_very_short_line_does_not_flash(film: Frames) -> None:
    assert steps(film)[47] < 2 * np.percentile(steps(film)[:47], 95)
