"""Lines whose picture moves: what is planned, what a chain goes on from, and what is seen."""

from __future__ import annotations

import csv
import io
import signal
import time
from dataclasses import fields, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from songreel.drawing import camera as drawing
from songreel.drawing import draw
from songreel.drawing.camera import Chain
from songreel.ground.documents import ClipPlan, SegmentRecipe, Shown
from songreel.ground.errors import UserError
from songreel.ground.motion import Motion, Move
from songreel.ground.paths import Paths
from songreel.ground.strategy import Strategy
from songreel.kernels import moving
from songreel.models.vqgan import VQGAN
from songreel.planning import plan
from songreel.planning.config import resolve
from songreel.planning.plan import Plan
from songreel.sampling import camera, graphs, sampler
from songreel.sampling.sampler import Keyframe, Pull, Start
from tests import motions, tape
from tests.conftest import TINY, new_project
from tests.plans import clip
from tests.starter import canvas, judge, picture_maker

Frames = NDArray[np.uint8]  # [n, height, width, 3]


class Here:
    """A folder with a screenplay, planned in this process."""

    def __init__(self, folder: Path) -> None:
        self.file, self.paths = folder / "song.csv", Paths(folder / "results")

    def plan(self, cells: str = "", header: str = "zoom", end: float = 4, **keys: Any) -> Plan:
        """Of two lines, the first with these cells, and the end."""
        content = f"text,start,{header}\na castle,0,{cells}\na boat,{end},\na fire,{end + 2},\n"
        self.file.write_text(content, encoding="utf-8")
        return plan.make(resolve({**TINY, "screenplay": str(self.file), **keys}), self.paths)

    def recipe(self, *cells: Any, **keys: Any) -> SegmentRecipe:
        made = self.plan(*cells, **keys)
        return made.segments[made.timeline.lines[0].segment]

    def motion(self, *cells: Any, **keys: Any) -> Motion:
        motion = self.recipe(*cells, **keys).motion
        assert motion is not None
        return motion

    def refusal(self, *cells: Any, **keys: Any) -> str:
        with pytest.raises(UserError) as refused:
            self.plan(*cells, **keys)
        assert "\n" not in str(refused.value)
        return str(refused.value)


@pytest.fixture
def here(tmp_path: Path) -> Here:
    return Here(tmp_path)


def quoted(cell: str) -> str:
    row = io.StringIO()
    csv.writer(row, lineterminator="").writerow([cell])
    return row.getvalue()


# What is planned


def test_a_speed_is_told_per_second_and_kept_per_keyframe(here: Here) -> None:
    header = "zoom,angle,translation_x,translation_y,shear"
    for rate in (1, 2.5, 5):
        motion = here.motion("1.2,-6,0.1,-0.05,0.02", header, keyframes_per_second=rate)
        rows = (motion.zoom, motion.angle, motion.x, motion.y, motion.shear)
        wanted = [1.2 ** (1 / rate), -6 / rate, 0.1 / rate, -0.05 / rate, 0.02 / rate]
        assert [value for (value,) in rows] == pytest.approx(wanted, abs=1e-6)


def test_a_line_that_stands_still_has_the_recipe_that_it_always_had(here: Here) -> None:
    plain = here.recipe()
    assert plain.motion is None and "motion" not in plain.to_json()
    for cells in ("1", "none", "1 + 0*t", quoted("0s:(1), 2s:(1)")):
        assert here.recipe(cells) == plain
    assert here.recipe("none", zoom="1.2") == plain != here.recipe(zoom="1.2")


def test_an_expression_of_the_same_values_changes_nothing(here: Here) -> None:
    same = ("1.2", "1 + 0.2", "1.2 + 0*sin(p=2)", quoted("0s:(1.2), 3s:(ease(1.2))"))
    assert len({here.recipe(cells).id for cells in same}) == 1
    assert here.recipe(zoom=1.2) == here.recipe("1.2")


def test_a_zoom_on_one_line_renders_that_line_and_draws_it_and_the_next(here: Here) -> None:
    before, after = here.plan(), here.plan("1.2")
    assert len(set(after.segments) - set(before.segments)) == 1
    assert len(set(after.clips) - set(before.clips)) == 2


def test_a_curve_is_followed_from_keyframe_to_keyframe(here: Here) -> None:
    motion = here.motion(quoted("0s:(0), 2s:(8), 4s:(0)"), "angle", keyframes_per_second=2)
    halves = [1, 3, 5, 7, 7, 5, 3, 1]  # degrees a second, amid each half of one
    assert motion.angle == pytest.approx([value / 2 for value in halves] + [0], abs=1e-6)
    assert motion.move(3) == Move(angle=motion.angle[3]) and motion.move(999).still


def test_a_line_that_becomes_longer_keeps_its_moves(here: Here) -> None:
    for cells in ("1.2", "1 + 0.1*sin(p=2)", "1 + 0.01*t", quoted("0s:(1), 3s:(1.3)")):
        assert len({here.recipe(cells, end=end).id for end in (3, 4, 7.5, 11)}) == 1, cells
    assert here.recipe("1 + 0.01*T", end=3) != here.recipe("1 + 0.01*T", end=11)


def test_a_curve_is_read_no_further_than_it_has_a_value(here: Here) -> None:
    motion = here.motion("8 - t", "angle", end=4, keyframes_per_second=1)
    assert motion.angle[:3] == (7.5, 6.5, 5.5)
    # Which is too late to be seen
    late = here.motion("10/(8.01 - t)", "angle", end=4, keyframes_per_second=1)
    assert len(late.angle) == 8 and late.move(99) == late.move(7)


def test_beats_are_those_of_the_tempo(here: Here) -> None:
    motion = here.motion(quoted("0b:(1), 4b:(3)"), "zoom", tempo=120, keyframes_per_second=1)
    assert motion.zoom[-1] == 3 and len(motion.zoom) == 3  # two seconds, and from then on
    assert "tempo" in here.refusal(quoted("0b:(1), 4b:(3)"))


@pytest.mark.parametrize(
    ("header", "cell", "named"),
    [
        ("zoom", "0", "song.csv row 2, column zoom: found 0 at 0.000 s of the line"),
        ("zoom", "1 - t", "column zoom: found -0.01 at 1.010 s"),
        ("zoom", "9", "column zoom: found '9', which comes to 9 from the keyframe at 0.000 s"),
        ("angle", "500", "from -180 to 180"),
        ("translation_x", "t", "raise 'keyframes_per_second'"),
        ("angle", "1/(t-1.01)", "a division by zero at 1.010 s"),
        ("shear", "().__class__", "found an attribute"),
        ("zoom", "1.2.3", "found '1.2.3'"),
        ("translation", "1", "write 'translation_y' instead"),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_row_column_and_time(
    here: Here, header: str, cell: str, named: str
) -> None:
    assert named in here.refusal(quoted(cell), header)


def test_a_key_of_the_film_is_refused_by_its_name(here: Here) -> None:
    assert here.refusal(zoom="0").startswith("config key 'zoom': found 0 at")
    assert here.refusal(angle="low *").startswith("config key 'angle': found 'low *'")


def test_a_line_that_goes_on_makes_up_for_the_rest_of_the_move(here: Here) -> None:
    here.file.write_text("text,start,zoom,from\na,0,1.5,\nb,2.25,1.5,previous\nc,5,,\n", encoding="utf-8")
    keys = {**TINY, "screenplay": str(here.file), "keyframes_per_second": 1}
    made = plan.make(resolve(keys), here.paths)
    previous = made.segments[made.timeline.lines[1].segment].previous
    assert previous and previous.keyframes == 3  # at 0, 1 and 2 s of 2.25 s
    assert previous.move and previous.move == Move(zoom=previous.move.zoom)
    assert previous.move.zoom == pytest.approx(1.5**0.25, abs=1e-6)


# How points move


MOVES = {
    "zoom": Move(zoom=1.2**0.2),
    "away": Move(zoom=0.8**0.2),
    "pan": Move(x=0.02, y=-0.01),
    "turn": Move(angle=4),
    "all": Move(1.03, -3, 0.01, 0.01, 0.02),
}
MOVING = pytest.mark.parametrize("move", MOVES.values(), ids=MOVES)
SIDE = 96


def texture(seed: int = 0, side: int = SIDE) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    picture = torch.zeros(1, 3, side, side)
    for cells in (5, 11, 23):
        noise = torch.randn(1, 3, cells, cells, generator=generator)
        picture += F.interpolate(noise, size=(side, side), mode="bicubic") / cells**0.3
    return (picture * 0.15 + 0.5).clamp(0, 1)


def motion_of(move: Move) -> Motion:
    motion = Motion.of({it.name: (getattr(move, it.name),) for it in fields(Move)})
    assert motion is not None
    return motion


@MOVING
def test_parts_of_a_move_come_to_the_whole(move: Move) -> None:
    third, whole, back = moving.matrices([move.part(1 / 3), move, move.part(-1)], (SIDE, 64))
    torch.testing.assert_close(third @ third @ third, whole)
    torch.testing.assert_close(whole @ back, torch.eye(3, dtype=torch.float64))


def test_points_go_where_they_are_told() -> None:
    picture = torch.zeros(1, 1, 40, 60)
    picture[0, 0, 10, 40] = 1  # 10.5 to the right of the middle, 9.5 above it

    def place(move: Move) -> tuple[int, int]:
        moved = moving.moved(picture, moving.matrices([move], (60, 40)))[0, 0]
        return divmod(int(moved.argmax()), 60)

    assert place(Move(x=0.1)) == (10, 46) and place(Move(y=0.25)) == (20, 40)
    assert place(Move(angle=90)) == (9, 20)  # against the clock: what was above right is above left
    assert place(Move(zoom=1.5)) == (5, 45) and place(Move(zoom=0.8)) == (12, 38)
    assert place(Move(shear=-0.5)) == (10, 45)  # what is above the middle, to the right


def test_what_comes_in_at_an_edge_is_reflected_and_known_to_be() -> None:
    picture = texture()
    maps = moving.matrices([Move(x=0.25)], (SIDE, SIDE))
    moved, seen = moving.moved(picture, maps), moving.seen(maps, (SIDE, SIDE), picture.device)
    quarter = SIDE // 4
    torch.testing.assert_close(moved[..., quarter:], picture[..., :-quarter])
    torch.testing.assert_close(moved[..., :quarter], picture[..., :quarter].flip(3))
    assert (seen[..., :quarter] == 0).all() and (seen[..., 10:-10, quarter + 10 :] == 1).all()


@MOVING
def test_a_picture_is_moved_finely_as_it_is_exactly(move: Move) -> None:
    picture, maps = texture(), moving.matrices([move], (SIDE, SIDE))
    exact, fine = moving.moved(picture, maps), moving.moved_finely(moving.finer(picture), maps)
    assert float((exact - fine).abs().mean()) < 0.003


# Frames


class Slides(VQGAN):
    """A picture maker with one token a picture, which counts what it decodes."""

    def __init__(self, slides: Tensor) -> None:
        nn.Module.__init__(self)
        self.slides, self.factor, self.shown = slides, slides.shape[-1], 0

    @property
    def codebook(self) -> Tensor:
        return torch.arange(len(self.slides))[:, None].float()

    def bytes_to_draw(self, height: int, width: int) -> int:
        return 0

    def decode(self, latents: Tensor) -> Tensor:
        self.shown += len(latents)
        return self.slides[latents.flatten().round().long()]


def numbers(count: int, first: int = 0) -> NDArray[np.uint16]:
    return np.arange(first, first + count, dtype=np.uint16).reshape(count, 1, 1)


def scene(move: Move, keyframes: int, seed: int = 0) -> Tensor:
    """Keyframes of a picture that moves, as a chain without steering would have them."""
    pictures = [texture(seed)]
    maps = moving.matrices([move], (SIDE, SIDE))
    for _ in range(keyframes - 1):
        pictures.append(moving.moved(pictures[-1], maps))
    return torch.cat(pictures)


def drawn(maker: VQGAN, plan_of_clip: ClipPlan, shown: Chain, before: Chain | None = None) -> Frames:
    return np.concatenate(list(drawing.frames(maker, plan_of_clip, shown, before)))


SIXTY = {"frames_per_second": 60, "keyframes_per_second": 5.0}


@pytest.mark.parametrize("kind", ["zoom", "away", "pan", "turn"])
def test_at_sixty_frames_a_second_a_motion_is_even_and_no_frame_stands_still(kind: str) -> None:
    move = MOVES[kind]
    frames = drawn(Slides(scene(move, 5)), clip(40, **SIXTY), Chain(numbers(5), motion_of(move)))
    pairs = [motions.measured(*frames[at : at + 2]) for at in range(0, 38, 3)]
    told = move.part(5 / 60)
    if kind in ("zoom", "away"):
        steps, wanted = [pair.scale - 1 for pair in pairs], told.zoom - 1
    elif kind == "turn":
        steps, wanted = [pair.degrees for pair in pairs], told.angle
    else:
        steps, wanted = [pair.right for pair in pairs], told.x * SIDE
        assert [pair.down for pair in pairs] == pytest.approx([told.y * SIDE] * len(pairs), rel=0.1)
    assert steps == pytest.approx([wanted] * len(steps), rel=0.05)


def test_a_frame_at_a_keyframe_is_the_keyframe_and_one_between_is_both() -> None:
    move = MOVES["all"]
    slides = torch.cat((texture(0), texture(1), texture(2)))
    frames = drawn(Slides(slides), clip(25, **SIXTY), Chain(numbers(3), motion_of(move)))
    for at in range(3):
        away = np.abs(frames[12 * at] / 255 - slides[at].permute(1, 2, 0).numpy())
        assert away.mean() < 0.006
    parts = moving.matrices([move.part(0.25), move.part(-0.75)], (SIDE, SIDE))
    there = moving.moved(slides[:2], parts)
    inner = slice(12, -12)
    expected = torch.lerp(there[0], there[1], 0.25).permute(1, 2, 0).numpy()[inner, inner]
    assert np.abs(frames[3][inner, inner] / 255 - expected).mean() < 0.006


@pytest.mark.parametrize("kind", ["pan", "away"])
def test_at_an_edge_is_what_the_keyframe_shows_that_has_it(kind: str) -> None:
    """Not what the other one reflects there."""
    move = replace(MOVES[kind], x=MOVES[kind].x * 4)
    slides = torch.stack((torch.zeros(3, SIDE, SIDE), torch.ones(3, SIDE, SIDE)))
    frame = drawn(Slides(slides), clip(7, **SIXTY), Chain(numbers(2), motion_of(move)))[6]
    column = frame[SIDE // 2, :, 0].astype(int)
    assert column[0] > 220 and 110 < column[SIDE // 2] < 145  # only the later one has what is at the left


def test_each_keyframe_is_decoded_once() -> None:
    maker = Slides(torch.cat([texture(seed) for seed in range(7)]))
    list(drawing.frames(maker, clip(70, **SIXTY), Chain(numbers(7), motion_of(MOVES["zoom"])), None))
    assert maker.shown == 7


def test_batches_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    maker = Slides(torch.cat([texture(seed) for seed in range(8)]))
    chains = Chain(numbers(3), motion_of(MOVES["all"])), Chain(numbers(5, 3), motion_of(MOVES["zoom"]))
    seamed = clip(20, **SIXTY, before=Shown("a", 30), blend_frames=12)
    whole = drawn(maker, seamed, *chains)
    monkeypatch.setattr(drawing, "BATCH_PIXELS", {"cpu": SIDE * SIDE * 3})
    batches = list(drawing.frames(maker, seamed, *chains))
    assert max(map(len, batches)) == 3
    assert np.abs(np.concatenate(batches).astype(int) - whole).max() <= 1


def test_a_line_that_stands_still_is_drawn_as_it_always_was() -> None:
    tokens = np.random.default_rng(0).integers(0, 99, (2, 6, 4, 4), dtype=np.uint16)
    seamed = clip(20, **SIXTY, before=Shown("a", 30), blend_frames=12)
    found = drawn(picture_maker(), seamed, Chain(tokens[0]), Chain(tokens[1]))
    assert np.array_equal(found, np.concatenate(list(draw.frames(picture_maker(), seamed, *tokens))))


@pytest.mark.parametrize("moves", [(True, True), (True, False), (False, True)])
def test_a_seam_goes_from_the_moving_tail_into_the_moving_head(moves: tuple[bool, bool]) -> None:
    maker = Slides(torch.cat((scene(MOVES["zoom"], 6, 1), scene(MOVES["turn"], 6, 2))))
    head, tail = Chain(numbers(6, 6)), Chain(numbers(6))
    if moves[0]:
        head = replace(head, motion=motion_of(MOVES["turn"]))
    if moves[1]:
        tail = replace(tail, motion=motion_of(MOVES["zoom"]))
    blend = 24
    frames = drawn(maker, clip(40, **SIXTY, before=Shown("a", 24), blend_frames=blend), head, tail).astype(
        int
    )
    going_on = drawn(maker, clip(48, **SIXTY), tail)[24:].astype(int)
    alone = drawn(maker, clip(40, **SIXTY), head).astype(int)
    assert np.abs(frames[0] - going_on[0]).mean() < 1.5 < np.abs(frames[0] - alone[0]).mean()
    assert np.array_equal(frames[blend:], alone[blend:])
    contrast = frames.std((1, 2, 3))
    assert contrast[: blend + 1].min() > 0.85 * min(contrast[0], contrast[blend])


def test_for_motion_interpolation_the_keyframes_themselves_are_drawn() -> None:
    slides = scene(MOVES["pan"], 6)
    motion = clip(30, **SIXTY, interpolation="motion")
    frames = drawn(Slides(slides), motion, Chain(numbers(6), motion_of(MOVES["pan"])))
    assert len(frames) == draw.drawn_frames(motion)
    expected = slides[: len(frames)].permute(0, 2, 3, 1).numpy()
    assert np.abs(frames / 255 - expected).mean() < 0.004


# Chains


STRATEGY = Strategy(iterations=2, lead_in=1, cutouts=2, learning_rate=0.2)
ZOOM = Motion(zoom=(1.1,))


def keyframes(
    count: int, motion: Motion | None = ZOOM, start: Start | None = None, hold: float = 0.5
) -> list[Keyframe]:
    pulls = [Pull(judge(), judge().embed_texts(["a red rose"]))]
    strategy = replace(STRATEGY, hold=hold) if start else STRATEGY
    latent = start.latent if start else canvas()
    chain = sampler.chain(picture_maker(), pulls, strategy, latent, 0, 0, 0, start=start, motion=motion)
    return list(islice(chain, count))


def started(mask: bool = False, side: int = 32) -> Start:
    picture = texture(side=side)[0]
    latent = picture_maker().embed(picture_maker().tokens(picture[None]))[0]
    dark = torch.ones(3, side, side)
    dark[:, :, : side // 2] = 0
    kept = camera.kept_where_dark(dark, picture_maker().factor) if mask else None
    return Start(latent, kept).moving(picture, dark if mask else None)


@pytest.mark.parametrize("begins", [None, started(), started(mask=True)], ids=["canvas", "picture", "mask"])
def test_a_moving_chain_goes_on_from_its_latent_alone(begins: Start | None) -> None:
    whole = keyframes(4, start=begins)
    strategy = replace(STRATEGY, hold=0.5) if begins else STRATEGY
    pulls = [Pull(judge(), judge().embed_texts(["a red rose"]))]
    chain = sampler.chain(
        picture_maker(), pulls, strategy, whole[1].latent, 0, 0, 2, start=begins, motion=ZOOM
    )
    for expected, found in zip(whole[2:], chain, strict=False):
        assert torch.equal(found.latent, expected.latent) and found.loss == expected.loss
    assert not torch.equal(whole[3].latent, keyframes(4, None, begins)[3].latent)


@pytest.mark.parametrize("begins", [None, started(mask=True)], ids=["canvas", "mask"])
def test_a_graph_replays_a_chain_that_moves(begins: Start | None, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = keyframes(3, start=begins)
    monkeypatch.setattr(graphs, "replayed", tape.replayed)
    for expected, found in zip(plain, keyframes(3, start=begins), strict=True):
        assert torch.equal(found.latent, expected.latent) and found.loss == expected.loss


def test_a_start_and_what_a_mask_keeps_of_it_move_along() -> None:
    begins = started(mask=True)
    along = camera.start_after(picture_maker(), begins, Motion(x=(0.25,)), 1)
    assert along.kept is not None and begins.kept is not None and along.seen is not None
    assert begins.kept[0].tolist() == [True, True, False, False]
    assert along.kept[0].tolist() == [False, True, True, False]  # what came in was never kept
    assert float(along.seen[0, 1, 0]) == 0 < float(along.seen[0, 1, 2])
    found = keyframes(2, Motion(x=(0.25,)), begins)[1].latent
    assert torch.equal(found[:, along.kept], along.latent[:, along.kept])


def test_what_a_line_goes_on_from_keeps_its_colours_and_what_encoding_would_lose() -> None:
    latent = keyframes(1, None)[0].latent
    maker = picture_maker()

    def picture(of: Tensor) -> Tensor:
        with torch.no_grad():
            return maker.decode(maker.embed(maker.nearest(of[None]))).clamp(0, 1)

    barely = camera.moved_on(maker, latent, Move(zoom=1 + 1e-9))
    torch.testing.assert_close(barely, latent, rtol=0, atol=1e-3)
    after, before = picture(camera.moved_on(maker, latent, MOVES["zoom"])), picture(latent)
    for statistic in (torch.mean, torch.std):
        assert float(statistic(after)) == pytest.approx(float(statistic(before)), abs=0.03)


def test_what_comes_in_at_an_edge_is_of_the_start_where_there_is_one() -> None:
    maker, side = picture_maker(), 32

    def latent(picture: Tensor) -> Tensor:
        return maker.embed(maker.tokens(picture[None]))[0]

    def picture(of: Tensor) -> Tensor:
        with torch.no_grad():
            return maker.decode(maker.embed(maker.nearest(of[None]))).clamp(0, 1)[0]

    dark, light = torch.full((3, side, side), 0.2), torch.full((3, side, side), 0.8)
    light[:, :, side // 2 :] = 0.2  # the mean and the spread of a start that is light at the left
    moved = picture(camera.moved_on(maker, latent(dark), Move(x=0.5), latent(light)))
    alone = picture(camera.moved_on(maker, latent(dark), Move(x=0.5)))
    assert float(moved[:, :, :12].mean()) > 0.6 > 0.4 > float(alone[:, :, :12].mean())


def test_keyframes_of_a_real_chain_move_as_they_are_told() -> None:
    """In the mean: what a model cannot draw trembles."""
    side, move = 96, Move(zoom=1.06)
    start = started(side=side)
    pulls = [Pull(judge(), judge().embed_texts(["a red rose"]))]
    strategy = Strategy(iterations=1, lead_in=0, cutouts=1, learning_rate=0.001)
    chain = sampler.chain(
        picture_maker(), pulls, strategy, start.latent, 0, 0, 0, start=start, motion=motion_of(move)
    )
    tokens = np.stack([link.tokens.numpy() for link in islice(chain, 4)]).astype(np.uint16)
    frames = drawn(picture_maker(), clip(36, **SIXTY), Chain(tokens, motion_of(move)))
    scales = [motions.measured(frames[at], frames[at + 12]).scale for at in (0, 12, 23)]
    assert np.prod(scales) == pytest.approx(1.06 ** (35 / 12), rel=0.03)
    steps = np.abs(np.diff(frames.astype(int), axis=0)).mean((1, 2, 3))
    assert steps.min() > 0.5 * steps.mean()  # none stands still


# Rendered


def test_a_moving_line_that_was_killed_goes_on_bit_for_bit(tmp_path: Path) -> None:
    project = new_project(tmp_path / "project", **{**TINY, "iterations": 20})
    project.screenplay.parent.mkdir()
    project.screenplay.write_text("text,start,zoom,angle\na boat,0,1.2,sin(p=3)\n", encoding="utf-8")
    keys = {**TINY, "iterations": 20, "screenplay": str(project.screenplay)}
    plan.write(plan.make(resolve(keys), project.results), project.results)
    (segment,) = project.segments
    straight = project.copy(tmp_path / "straight")
    kept = project.results.work(segment) / "1/kept.zarr.zip"
    with project.command("keyframes", project.results.segment_plan(segment), "8") as process:
        while not kept.exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert not project.results.rendered(segment)
    for each in (project, straight):
        with each.command("keyframes", each.results.segment_plan(segment), "8") as process:
            assert process.wait() == 0
    resumed, whole = (each.results.latents(segment, 8).read_bytes() for each in (project, straight))
    assert resumed == whole


def test_a_film_that_moves_is_rendered_and_a_zoom_renders_its_line_only(tmp_path: Path) -> None:
    project = new_project(tmp_path / "project", **TINY)
    project.screenplay.parent.mkdir()
    rows = "text,start,zoom,translation_x,from\na boat,0,1.3,,\nthe sea,2,,0.1,\na fox,4,,0.1,previous\n"
    project.screenplay.write_text(rows, encoding="utf-8")
    assert project.rendered() == {"keyframes": 3, "clip": 3, "film": 1}
    project.screenplay.write_text(rows.replace("1.3", "1.2 + 0.1"), encoding="utf-8")
    assert project.planned() == {}
    project.screenplay.write_text(rows.replace("1.3", "1.2"), encoding="utf-8")
    assert project.planned() == {"keyframes": 1, "clip": 2, "film": 1}
