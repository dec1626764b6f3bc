"""What steers a picture: weights, signs and stops as the field has them; starts, masks and lines before."""

from __future__ import annotations

import math
import signal
import time
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from songreel.ground import pictures
from songreel.ground.errors import UserError
from songreel.ground.paths import Paths
from songreel.ground.steering import Part, Previous
from songreel.ground.strategy import Strategy
from songreel.jobs import beginning, latents, targets
from songreel.planning import plan as planning
from songreel.planning.config import resolve
from songreel.sampling import graphs, sampler
from songreel.sampling.loss import Weighing, spherical_distance
from songreel.sampling.sampler import Keyframe, Pull, Start
from tests import plans, tape
from tests.conftest import REPOSITORY, TINY, Project, new_project
from tests.starter import canvas, judge, picture_maker

INFINITE = float("inf")
STRATEGY = Strategy(iterations=3, lead_in=2, cutouts=4, learning_rate=0.2)
WORDS = ("a red rose", "the sea", "fog")


def weighing(*parts: tuple[float, float]) -> Weighing:
    weights, stops = zip(*parts, strict=True)
    return Weighing(torch.tensor(weights), torch.tensor(stops))


def units(count: int, seed: int) -> Tensor:
    vectors = torch.randn(count, 16, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(vectors, dim=-1)


# The loss


PARTS = [(1.0, -INFINITE), (0.5, 1.2), (-0.3, -INFINITE), (-1.0, -1.2), (2.0, 9.0)]


def plainly(seen: list[list[float]], targets: list[list[float]], parts: list[tuple[float, float]]) -> float:
    """The sum over parts of the mean over cutouts, in float64, by the angle between the vectors."""
    total = 0.0
    for target, (weight, _) in zip(targets, parts, strict=True):
        for vector in seen:
            cosine = sum(a * b for a, b in zip(vector, target, strict=True))
            signed = math.copysign(math.acos(cosine) ** 2 / 2, weight)
            total += abs(weight) * signed / len(seen)
    return total


def test_the_pull_of_weighted_parts_is_the_published_formula() -> None:
    seen, aims = units(7, 1), units(len(PARTS), 2)
    found = weighing(*PARTS).judged(spherical_distance(seen[:, None], aims))
    assert float(found) == pytest.approx(
        plainly(seen.double().tolist(), aims.double().tolist(), PARTS), rel=1e-5
    )


def test_a_part_pulls_with_its_weight_until_its_signed_distance_is_below_its_stop() -> None:
    distances = torch.tensor([[0.2, 0.2, 0.2, 0.2, 0.2], [0.7, 0.7, 0.7, 0.7, 0.7]], requires_grad=True)
    parts = [(1.0, -INFINITE), (0.5, 0.4), (-0.5, -INFINITE), (-2.0, -0.4), (-2.0, 0.0)]
    (gradient,) = torch.autograd.grad(weighing(*parts).judged(distances), distances)
    half = 1 / 2  # of two cutouts
    near = [1, 0, -0.5, -2, 0]  # the second is near enough, the last stops at once
    far = [1, 0.5, -0.5, 0, 0]  # the fourth is far enough
    torch.testing.assert_close(gradient, torch.tensor([near, far]) * half)


def test_weights_of_one_are_a_sum_and_one_part_alone_is_the_plain_pull() -> None:
    distances = spherical_distance(units(5, 3)[:, None], units(1, 4))
    assert torch.equal(weighing((1, -INFINITE)).judged(distances), distances.mean(0).sum())
    torch.testing.assert_close(weighing((1, -INFINITE)).judged(distances), distances.mean())


def pull(micro_batch: int = 0) -> Pull:
    parts = weighing((1, -INFINITE), (0.5, 0.3), (-0.4, -INFINITE))
    return Pull(judge(), judge().embed_texts(WORDS), 1.0, micro_batch, parts)


def keyframes(start: Start | None = None, micro_batch: int = 0, count: int = 2) -> list[Keyframe]:
    latent = canvas() if start is None else start.latent
    chain = sampler.chain(picture_maker(), [pull(micro_batch)], STRATEGY, latent, 0, 0, 0, start=start)
    return list(islice(chain, count))


def half_kept() -> Start:
    kept = torch.zeros(canvas().shape[1:], dtype=torch.bool)
    kept[:, 0] = True
    return Start(canvas(seed=5), kept)


@pytest.mark.parametrize("start", [None, half_kept()], ids=["parts", "mask"])
def test_a_graph_replays_weights_stops_and_masks(
    start: Start | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = keyframes(start)
    monkeypatch.setattr(graphs, "replayed", tape.replayed)
    for expected, found in zip(plain, keyframes(start), strict=True):
        assert torch.equal(found.latent, expected.latent) and found.loss == expected.loss


def test_parts_are_judged_a_few_cutouts_at_a_time_as_all_at_once() -> None:
    for whole, few in zip(keyframes(), keyframes(micro_batch=3), strict=True):
        torch.testing.assert_close(few.latent, whole.latent, rtol=1e-3, atol=1e-4)


def test_what_is_pushed_away_is_less_seen() -> None:
    def fit(weight: float) -> float:
        parts = weighing((1, -INFINITE), (weight, -INFINITE))
        pulls = [Pull(judge(), judge().embed_texts(["a red rose", "green grass"]), 1.0, 0, parts)]
        strategy = Strategy(iterations=12, lead_in=0, cutouts=8, learning_rate=0.3)
        latent = next(sampler.chain(picture_maker(), pulls, strategy, canvas((64, 64)), 0, 0, 0)).latent
        with torch.no_grad():
            image = picture_maker().decode(picture_maker().embed(picture_maker().nearest(latent[None])))
            scaled = torch.nn.functional.interpolate(image.clamp(0, 1), (judge().side,) * 2)
            return float(judge().embed_images(scaled)[0] @ pulls[0].target[1])

    assert fit(-1) < fit(0) < fit(1)


# Starts, masks and the line before


def test_what_a_mask_keeps_stays_to_the_bit_and_the_rest_moves() -> None:
    start = half_kept()
    assert start.kept is not None
    for keyframe in keyframes(start):
        assert torch.equal(keyframe.latent[:, start.kept], start.latent[:, start.kept])
        assert not torch.equal(keyframe.latent[:, ~start.kept], start.latent[:, ~start.kept])


def test_the_dark_cells_of_a_mask_are_kept() -> None:
    factor = picture_maker().factor
    mask = np.full((2 * factor, 3 * factor, 3), 255, np.uint8)
    mask[:factor, :factor] = 0
    mask[factor:, factor : 2 * factor] = 100
    kept = sampler.kept_where_black(picture_maker(), mask)
    assert kept.tolist() == [[True, False, False], [False, True, False]]


def test_a_chain_goes_on_from_what_is_drawn_last_however_long_the_line_before_was_rendered(
    tmp_path: Path,
) -> None:
    paths = Paths(tmp_path)
    before = plans.recipe(size=(32, 32))
    grown = latents.empty(canvas().numpy())
    after = plans.recipe(size=(32, 32), previous=Previous(before.id, 2))
    with pytest.raises(UserError, match="the line that 'a red boat' goes on from; run snakemake"):
        beginning.of(after, picture_maker(), paths)
    tokens = np.arange(3)[:, None, None] + np.zeros((3, *canvas().shape[1:]), int)
    for token in tokens:
        grown = grown.extended(token, 0.0, canvas().numpy())
    paths.latents(before.id, 3).parent.mkdir(parents=True)
    with paths.latents(before.id, 3).open("wb") as file:
        latents.write(file, grown, before)
    start = beginning.of(after, picture_maker(), paths).latent
    assert torch.equal(start, picture_maker().embed(torch.from_numpy(tokens[1:2]))[0])


def test_an_image_prompt_is_what_the_perceptor_sees_in_the_picture(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    shown = pictures.shrunk(REPOSITORY / "screenplays/examples/boat.png", 448)
    name = pictures.digest(shown)
    recipe = plans.recipe(parts=(Part("a castle"), Part(picture=name, weight=0.4), Part("fog", "", -1, -0.2)))
    with pytest.raises(
        UserError, match="expected a picture that 'a red boat' is rendered with; run snakemake"
    ):
        targets.pull(judge(), recipe.perceptors[0], recipe, paths, 0)
    pictures.keep(shown, paths.start(name))
    made = targets.pull(judge(), recipe.perceptors[0], recipe, paths, 0)
    assert made.weighing and made.target.shape[0] == 3
    torch.testing.assert_close(made.weighing.weights, torch.tensor([1, 0.4, -1]))
    assert made.weighing.stops.tolist() == [-INFINITE, -INFINITE, pytest.approx(-0.2)]
    boat, fire, house = judge().embed_texts(["a boat on the sea", "a fire", "a house in the snow"])
    assert made.target[1] @ boat > max(made.target[1] @ fire, made.target[1] @ house)
    assert torch.equal(made.target[0], judge().embed_texts(["a castle"])[0])


@pytest.mark.parametrize(
    ("size", "seen"), [((900, 600), (672, 448)), ((30, 20), (30, 20)), ((9000, 10), (30, 10))]
)
def test_of_an_image_prompt_all_is_seen_unless_it_is_a_strip(
    size: tuple[int, int], seen: tuple[int, int], tmp_path: Path
) -> None:
    Image.new("RGB", size).save(tmp_path / "a.png")
    assert pictures.shrunk(tmp_path / "a.png", 448).shape[1::-1] == seen


# Rendered


def example(folder: Path, name: str, **settings: Any) -> Project:
    """A project whose screenplay is an example, with its pictures beside it."""
    project = new_project(folder, **{**TINY, **settings})
    project.screenplay.parent.mkdir()
    source = REPOSITORY / "screenplays/examples"
    project.screenplay.write_bytes((source / f"{name}.csv").read_bytes())
    for picture in source.glob("*.png"):
        project.screenplay.with_name(picture.name).write_bytes(picture.read_bytes())
    return project


def test_a_chain_is_rendered_in_order_and_from_the_line_that_was_edited(tmp_path: Path) -> None:
    project = example(tmp_path / "project", "chain")
    run = project.run()
    assert run.status == 0 and run.executed == {"keyframes": 4, "clip": 4, "film": 1}, run.output
    assert "the longest chain has 3 lines, rows 4 to 6" in run.output
    first, second, third = (project.results.rendered(name) for name in project.segments[:3])
    times = [next(iter(files.values())).stat().st_mtime_ns for files in (first, second, third)]
    assert times == sorted(times)
    for file in first.values():  # what goes on from it has been rendered
        file.unlink()
    rows = project.screenplay.read_text(encoding="utf-8")
    project.screenplay.write_text(rows.replace("a red tree", "a blue tree"), encoding="utf-8")
    assert project.planned() == {"keyframes": 1, "clip": 2, "film": 1}


def test_pictures_steer_start_and_keep_and_are_made_again_when_they_are_gone(tmp_path: Path) -> None:
    project = example(tmp_path / "project", "pictures", iterations=3)
    assert project.rendered() == {"keyframes": 3, "clip": 3, "film": 1}
    kept = latents.load(project.results.latents(project.segments[2], 5), project.segments[2]).tokens
    assert (kept[:, 0] == kept[0, 0]).all()  # the sky stays
    before = project.film.read_bytes()
    gone = [project.film, project.clips[0], *project.results.rendered(project.segments[0]).values()]
    for file in [*gone, *project.results.start("any").parent.iterdir()]:
        file.unlink()
    assert project.rendered() == {"keyframes": 1, "clip": 1, "film": 1}
    assert project.film.read_bytes() == before


def test_a_line_with_an_image_prompt_that_was_killed_goes_on_bit_for_bit(tmp_path: Path) -> None:
    project = example(tmp_path / "project", "pictures", iterations=20)
    keys = {**TINY, "iterations": 20, "screenplay": str(project.screenplay)}
    planning.write(planning.make(resolve(keys), project.results), project.results)
    segment = project.segments[0]
    straight = project.copy(tmp_path / "straight")
    plan = project.results.segment_plan(segment)
    kept = project.results.work(segment) / "1/kept.zarr.zip"
    with project.command("keyframes", plan, "8") as process:
        while not kept.exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL and not project.results.rendered(segment)
    for each in (project, straight):
        with each.command("keyframes", each.results.segment_plan(segment), "8") as process:
            assert process.wait() == 0
    resumed, whole = (each.results.latents(segment, 8).read_bytes() for each in (project, straight))
    assert resumed == whole
