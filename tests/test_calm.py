"""Calm films: keyframes held to the one before and averaged when drawn, frames that are mixed; flicker."""

import json
import re
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from songreel import cli
from songreel.drawing import averages, draw, film, flicker
from songreel.ground.documents import ClipPlan, Shown
from songreel.ground.files import write_json_if_changed
from songreel.ground.motion import Motion
from songreel.ground.paths import Paths
from songreel.ground.strategy import Strategy
from songreel.planning import plan
from songreel.planning.config import resolve
from songreel.sampling import graphs
from songreel.sampling.sampler import Keyframe
from tests import plans, tape
from tests.films import FFMPEG
from tests.starter import canvas, chain, picture_maker
from tests.test_draw import assert_near, drawn, noise, picture

SIZE = (48, 32)
QUICK = Strategy(iterations=3, lead_in=2, cutouts=2, learning_rate=0.2)


# smooth


def averaged(frames: int, smooth: float, **said: Any) -> ClipPlan:
    """A clip whose every second frame is a keyframe."""
    return plans.clip(frames, smooth=smooth, **said)


def test_a_keyframe_is_drawn_as_an_average_with_its_neighbours_the_nearer_the_more() -> None:
    tokens = noise(20)
    frames = drawn(averaged(31, 0.2), tokens)
    keyframes = picture(tokens)
    for at in range(2, 15):
        expected = sum(
            weight * keyframes[at + step] for step, weight in zip(range(-2, 3), (1, 2, 3, 2, 1), strict=True)
        )
        assert_near(frames[2 * at], expected / 9)


def test_between_averaged_keyframes_frames_go_straight_on() -> None:
    frames = drawn(averaged(31, 0.2), noise(20)).astype(float)
    for at in range(0, 29, 2):
        assert_near(frames[at + 1].astype(np.uint8), (frames[at] + frames[at + 2]) / 2, atol=1.01)


def test_a_chains_first_keyframes_are_averages_of_what_there_is() -> None:
    tokens = noise(20)
    frames, keyframes = drawn(averaged(31, 0.2), tokens), picture(tokens)
    assert_near(frames[0], (3 * keyframes[0] + 2 * keyframes[1] + keyframes[2]) / 6)
    assert_near(frames[2], (2 * keyframes[0] + 3 * keyframes[1] + 2 * keyframes[2] + keyframes[3]) / 8)


@pytest.mark.parametrize(("smooth", "need"), [(0, 10), (0.06, 10), (0.2, 15), (0.5, 20)])
def test_an_average_needs_the_keyframes_that_it_reaches(smooth: float, need: int) -> None:
    assert plan.keyframes_for(19, averaged(19, smooth)) == need


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("interpolation", ["latent", "motion"])
def test_keyframes_past_those_that_are_needed_change_no_frame(
    batch: int, interpolation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(draw.BATCH_PIXELS, "cpu", batch * 9)
    planned = averaged(23, 0.3, interpolation=interpolation)
    tokens = noise(40)
    least = drawn(planned, tokens[: plan.keyframes_for(23, planned)])
    assert np.array_equal(least, drawn(planned, tokens))


def moving_picture(position: float, size: int = 64) -> torch.Tensor:
    """A soft blot, so many pixels from the left."""
    across = torch.arange(size, dtype=torch.float32) + 0.5
    blot = torch.exp(-((across - position) ** 2 + (across[:, None] - 32) ** 2) / 72)
    return blot.expand(3, size, size)


def test_pictures_that_move_are_averaged_where_they_would_be_at_that_keyframe() -> None:
    motion = Motion(x=(1 / 16,))  # four of its 64 pixels, from each keyframe to the next
    pictures = {number: moving_picture(24 + 4 * number) for number in range(5)}
    average = averages.of_moving(pictures, 2, motion, (0.1, 0.2, 0.4, 0.2, 0.1))
    assert (average - pictures[2]).abs().max() < 0.02
    standing = averages.of_moving(pictures, 2, Motion(), (0.1, 0.2, 0.4, 0.2, 0.1))
    assert (standing - pictures[2]).abs().max() > 0.1


def test_what_was_beyond_the_edge_of_a_neighbour_counts_for_nothing() -> None:
    motion = Motion(x=(0.5,))
    pictures = {0: torch.zeros(3, 64, 64), 1: torch.ones(3, 64, 64)}
    average = averages.of_moving(pictures, 1, motion, (0.25, 0.5, 0.25))
    assert average[:, :, :30].min() > 0.99  # where the one before has come in
    assert average[:, 32, 40:60].mean() == pytest.approx(2 / 3, abs=0.02)
    first = averages.of_moving(pictures, 0, motion, (0.25, 0.5, 0.25))
    assert first[:, 32, 4:28].mean() == pytest.approx(1 / 3, abs=0.02)


def test_lines_are_not_mixed_but_where_one_blends_into_the_next() -> None:
    shown, other = noise(20), noise(20, seed=1)
    cut = averaged(21, 0.3, before=Shown("a", 15), blend_frames=0)
    assert np.array_equal(drawn(cut, shown, other), drawn(cut, shown, noise(20, seed=2)))
    blended = averaged(21, 0.3, before=Shown("a", 15), blend_frames=4)
    assert np.array_equal(drawn(blended, shown, other)[4:], drawn(averaged(21, 0.3), shown)[4:])


def test_a_line_goes_on_over_a_cut_where_it_was() -> None:
    """The tail of the line before, which the next clip blends, is averaged as that line's own clip is."""
    before, rate = noise(30), 2
    own = drawn(averaged(21, 0.3), before)
    tail = drawn(averaged(9, 0.3, before=Shown("a", 12), blend_frames=9), noise(20, seed=1), before)
    assert np.abs(tail[0].astype(float) - own[12]).max() < 255 * 3 / (9 + 1) ** rate + 1


def test_who_averages_nothing_has_the_clips_of_before() -> None:
    usual = resolve({"preset": "draft", "lyrics": "soft"})
    for settings in ({"smooth": 0}, {"smooth": 0.2}, {"fps_blend": 0}, {"stability": 0}):
        assert ClipPlan.of(resolve({"preset": "draft", **settings}), Shown("a", 9)).id == (
            ClipPlan.of(usual, Shown("a", 9)).id
        )
    for changed in ({"smooth": 0.3}, {"fps_blend": 1}):
        assert ClipPlan.of(resolve({"preset": "draft", **changed}), Shown("a", 9)).id != (
            ClipPlan.of(usual, Shown("a", 9)).id
        )


# fps_blend


def levels(frames: list[int], folder: Path, **said: Any) -> NDArray[np.float64]:
    """Plain pictures of these grey levels as a clip shows them, from black at 16 to white at 235."""
    grey = np.array(frames, np.uint8)[:, None, None, None]
    shown = np.broadcast_to(grey, (len(frames), SIZE[1], SIZE[0], 3))
    planned = plans.clip(said.pop("count", len(frames)), crf=0, **said)
    target = folder / "clip.mp4"
    film.encode([shown], planned, SIZE, target, FFMPEG)
    from tests import films

    raw = films.ffmpeg("-i", target, "-f", "rawvideo", "-pix_fmt", "gray", "-")
    means: NDArray[np.float64] = np.frombuffer(raw, np.uint8).reshape(-1, SIZE[0] * SIZE[1]).mean(axis=1)
    return means


def test_a_frame_is_mixed_with_those_beside_it_and_at_a_clips_ends_with_itself(tmp_path: Path) -> None:
    frames = [0, 0, 0, 200, 0, 0, 0, 100]
    plain = levels(frames, tmp_path)
    mixed = levels(frames, tmp_path, fps_blend=1)
    expected = np.convolve(np.pad(plain, 1, mode="edge"), (0.25, 0.5, 0.25), mode="valid")
    assert len(mixed) == len(frames)
    assert mixed == pytest.approx(expected, abs=1.1)
    wider = levels(frames, tmp_path, fps_blend=2)
    expected = np.convolve(np.pad(plain, 2, mode="edge"), np.array((1, 2, 3, 2, 1)) / 9, mode="valid")
    assert wider == pytest.approx(expected, abs=1.1)


def test_frames_made_by_motion_interpolation_are_mixed_too(tmp_path: Path) -> None:
    frames = [20, 20, 20, 220, 220, 220, 220, 220]
    sharp = levels(frames, tmp_path, interpolation="motion", count=11, keyframes_per_second=15.0)
    mixed = levels(frames, tmp_path, interpolation="motion", count=11, keyframes_per_second=15.0, fps_blend=2)
    assert len(mixed) == len(sharp) == 11
    assert np.abs(np.diff(mixed, 2)).sum() < 0.9 * np.abs(np.diff(sharp, 2)).sum()


# stability


def keyframes(strategy: Strategy, count: int = 3, first: int = 0, latent: Any = None) -> list[Keyframe]:
    start = canvas() if latent is None else latent
    return list(islice(chain("a red rose", strategy, start, first=first), count))


def test_the_first_keyframe_is_held_to_nothing() -> None:
    (free,), (held,) = keyframes(QUICK, 1), keyframes(QUICK.but(stability=50.0), 1)
    assert torch.equal(free.latent, held.latent)


def test_the_more_a_keyframe_is_held_the_nearer_it_stays_to_the_one_before() -> None:
    def moved(stability: float) -> float:
        strategy = QUICK.but(stability=stability, iterations=12, learning_rate=0.1)
        first, second = keyframes(strategy, 2)
        return float((second.latent - first.latent).square().mean())

    steps = [moved(stability) for stability in (0.0, 1.0, 10.0, 100.0)]
    assert steps[0] > steps[1] > steps[2] > steps[3]


def test_a_chain_that_is_held_goes_on_from_a_keyframe_as_if_never_stopped() -> None:
    strategy = QUICK.but(stability=5.0, learning_rates=(0.3, 0.1, 0.25))
    whole = keyframes(strategy, 4)
    kept = torch.from_numpy(np.ascontiguousarray(whole[1].latent.numpy()))  # as a file gives it back
    assert kept.stride() != whole[1].latent.stride()
    rest = keyframes(strategy, 2, first=2, latent=kept)
    for expected, found in zip(whole[2:], rest, strict=True):
        assert torch.equal(found.latent, expected.latent) and found.loss == expected.loss
        assert found.latent.stride() == expected.latent.stride()  # sums are added up in its order


def test_a_graph_replays_what_changes_from_keyframe_to_keyframe(monkeypatch: pytest.MonkeyPatch) -> None:
    strategy = QUICK.but(stability=5.0, learning_rates=(0.3, 0.1, 0.25))
    plain = keyframes(strategy)
    monkeypatch.setattr(graphs, "replayed", tape.replayed)
    for expected, found in zip(plain, keyframes(strategy), strict=True):
        assert torch.equal(found.latent, expected.latent) and found.loss == expected.loss


# learning rates


def test_the_last_learning_rate_holds_for_all_keyframes_that_follow() -> None:
    few, more = (
        keyframes(QUICK.but(learning_rates=rates), 4) for rates in ((0.3, 0.1), (0.3, 0.1, 0.1, 0.1))
    )
    for one, other in zip(few, more, strict=True):
        assert torch.equal(one.latent, other.latent)


def test_a_learning_rate_by_keyframe_is_that_of_a_film_at_that_keyframe() -> None:
    first, *_ = keyframes(QUICK.but(learning_rate=0.3), 1)
    constant = keyframes(QUICK.but(learning_rate=0.1), 1, first=1, latent=first.latent)
    by_keyframe = keyframes(QUICK.but(learning_rates=(0.3, 0.1)), 2)
    torch.testing.assert_close(by_keyframe[0].latent, first.latent, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(by_keyframe[1].latent, constant[0].latent, rtol=1e-3, atol=1e-4)


def test_at_a_learning_rate_of_0_a_picture_stands_still() -> None:
    first, second = keyframes(QUICK.but(learning_rates=(0.3, 0.0)), 2)
    assert torch.equal(first.tokens, second.tokens)


def test_a_recipe_without_them_is_what_it_was() -> None:
    strategy = plans.recipe().to_json()["strategy"]
    assert {"stability", "learning_rates"}.isdisjoint(strategy)
    held = plans.recipe(stability=2.0, learning_rates=(0.1, 0.2))
    assert type(held).from_json(held.to_json()) == held


# flicker


def flickering(frames: list[int], folder: Path, name: str = "a") -> Path:
    grey = np.array(frames, np.uint8)[:, None, None, None]
    target = folder / f"{name}.mp4"
    shown = np.broadcast_to(grey, (len(frames), SIZE[1], SIZE[0], 3))
    film.encode([shown], plans.clip(len(frames), crf=0), SIZE, target, FFMPEG)
    return target


def measured(frames: list[int], folder: Path) -> float | None:
    return flicker.of_film([flickering(frames, folder)], folder / "noted.json", FFMPEG)


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ([99] * 9, 0),
        ([*range(50, 150, 5)], 0),
        ([100, 120] * 10, 40 / 255),
        ([100, 100, 100, 150, 100, 100, 100], 200 / 5 / 255),
    ],
    ids=["still", "evenly brighter", "trembling", "one flash"],
)
def test_flicker_is_how_far_brightness_turns_back(frames: list[int], expected: float, tmp_path: Path) -> None:
    assert measured(frames, tmp_path) == pytest.approx(expected, abs=0.006)


def test_a_cut_from_line_to_line_is_no_flicker_and_lines_count_by_their_frames(tmp_path: Path) -> None:
    still = [flickering([grey] * 8, tmp_path, f"still-{grey}") for grey in (20, 200)]
    assert flicker.of_film(still, tmp_path / "noted.json", FFMPEG) == pytest.approx(0, abs=0.002)
    trembling = flickering([100, 120] * 10, tmp_path, "trembling")
    both = flicker.of_film([*still, trembling], tmp_path / "noted.json", FFMPEG)
    assert both == pytest.approx(40 / 255 * 18 / (18 + 6 + 6), abs=0.004)


def test_a_film_of_single_pictures_has_no_flicker_to_tell(tmp_path: Path) -> None:
    assert measured([10, 200], tmp_path) is None


def test_what_was_measured_of_a_clip_is_noted_and_not_measured_again(tmp_path: Path) -> None:
    clip, noted = flickering([100, 120] * 5, tmp_path), tmp_path / "noted.json"
    first = flicker.of_film([clip], noted, FFMPEG)
    clip.unlink()
    assert flicker.of_film([clip], noted, FFMPEG) == first
    noted.write_text("{", encoding="utf-8")
    assert flicker.of_film([clip], noted, FFMPEG) is None


def test_an_average_and_a_mixture_flicker_less(tmp_path: Path) -> None:
    """As they are meant to: of keyframes that have nothing in common."""

    def of(name: str, **said: Any) -> float:
        planned = plans.clip(60, crf=10, keyframes_per_second=10.0, **said)
        tokens = np.random.default_rng(0).integers(0, 500, (30, 2, 3), dtype=np.uint16)
        target = tmp_path / f"{name}.mp4"
        film.encode(draw.frames(picture_maker(), planned, tokens, None), planned, SIZE, target, FFMPEG)
        found = flicker.of_film([target], tmp_path / f"{name}.json", FFMPEG)
        assert found
        return found

    plain = of("plain")
    assert of("smooth", smooth=0.3) < 2 / 3 * plain
    assert of("mixed", fps_blend=1) < 2 / 3 * plain


def test_a_film_says_how_much_it_flickers(tmp_path: Path, messages: list[str]) -> None:
    paths = Paths(tmp_path / "results")
    paths.clip("0").parent.mkdir(parents=True)
    clip = flickering([100, 120] * 10, paths.clip("0").parent, "0")
    write_json_if_changed(paths.timeline("song"), plans.timeline([20]).to_json())
    assert cli.main(["film", str(paths.timeline("song")), str(clip)]) == 0
    told, *_ = re.findall(r"flickers by (\d+\.\d+)% of full brightness", "\n".join(messages))
    assert float(told) == pytest.approx(100 * 40 / 255, abs=0.6)
    noted = json.loads(paths.flicker("song").read_text(encoding="utf-8"))
    assert noted["flicker"] == pytest.approx(float(told) / 100, abs=1e-4) and [*noted["clips"]] == ["0"]
