"""Lines that start from pictures: which are chosen, what is kept of it, what is said when it fails."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from songreel.cli import main
from songreel.costs import forecast
from songreel.ground import pictures
from songreel.ground.documents import SegmentRecipe
from songreel.ground.errors import DamageError, UserError
from songreel.ground.paths import Paths
from songreel.ground.strategy import Strategy
from songreel.jobs import choosing, latents, photographs, render
from songreel.jobs.latents import Segment
from songreel.models import obtain, perceptor, vqgan, weights
from songreel.models.perceptor import Perceptor
from songreel.planning import album, choices, plan, starts
from songreel.planning.choices import Asked, Choice, Ranking, Request
from songreel.planning.config import resolve
from songreel.planning.plan import Plan
from songreel.sampling import composing, sampler
from songreel.sampling.albums import Candidate
from songreel.upkeep import damage, running
from tests import published, starter
from tests.conftest import REPOSITORY, TINY, Project

COLOURS = {
    "red": (220, 20, 20),
    "orange": (240, 140, 20),
    "yellow": (240, 230, 30),
    "green": (30, 150, 40),
    "black": (10, 10, 10),
    "white": (245, 245, 245),
    "pink": (250, 150, 190),
    "brown": (110, 70, 30),
    "grey": (120, 120, 120),
    "purple": (120, 30, 150),
}
BLUE = (20, 40, 230)
RED, SEA, GRASS = "everything is red", "the deep blue sea", "green grass"


def draw(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (48, 48)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def album_of_ten(folder: Path) -> Path:
    """A folder with ten pictures, a colour each."""
    for name, colour in COLOURS.items():
        draw(folder / f"{name}.png", colour)
    return folder


class Here:
    """A folder with a screenplay and an album, planned in this process by a CLIP that is already loaded."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.paths = folder, Paths(folder / "results")
        self.runs: list[Request] = []

    def write(self, *texts: str | tuple[str, int]) -> None:
        rows = [(text, "") if isinstance(text, str) else (text[0], f",{text[1]}") for text in texts]
        lines = [f'"{text}",{2 * at}{take}\n' for at, (text, take) in enumerate(rows)]
        (self.folder / "song.csv").write_text("".join(lines))

    def plan(self, **keys: Any) -> Plan:
        settings = {**TINY, "screenplay": str(self.folder / "song.csv"), "album": str(self.folder / "photos")}
        return plan.make(resolve({**settings, **keys}), self.paths)

    def names(self, **keys: Any) -> list[str]:
        """From which picture each line starts."""
        return [choice.name.removesuffix(".png") for choice in self.plan(**keys).starts]

    def run(self, request: Request, paths: Paths) -> None:
        self.runs.append(request)
        choosing.run(request, paths)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Here:
    made = Here(tmp_path)
    monkeypatch.setattr(starts, "run", made.run)
    judge = starter.judge()
    monkeypatch.setattr(perceptor, "load", lambda *_: judge)
    album_of_ten(tmp_path / "photos")
    made.write(RED, SEA, GRASS)
    return made


# Choosing


def ranking(*names: str) -> Ranking:
    return Ranking(tuple(Choice(name, f"of {name}", 0.0) for name in names), complete=True)


RANKINGS = {"x": ranking("a", "b", "c", "d"), "y": ranking("a", "c", "b", "d"), "z": ranking("a")}


def chosen(*lines: tuple[str, int] | tuple[str, int, bool]) -> str:
    asked = [Asked(text, take, bool(pinned)) for text, take, *pinned in lines]
    return " ".join(choice.name for choice in choices.assigned(asked, RANKINGS))


def test_a_line_has_the_picture_that_fits_best_and_its_neighbour_the_next_best() -> None:
    assert chosen(("x", 0)) == "a"
    assert chosen(("x", 0), ("y", 0)) == "a c"
    assert chosen(("y", 0), ("x", 0)) == "a b"


def test_another_take_has_another_picture() -> None:
    assert [chosen(("x", take)) for take in range(5)] == ["a", "b", "c", "d", "a"]
    assert chosen(("x", 0), ("x", 1), ("x", 2)) == "a b c"
    # The second of them would be the third take's, too.
    assert chosen(("y", 0), ("x", 0), ("z", 0), ("x", 1)) == "a b a c"


def test_a_take_that_was_written_has_its_picture_whatever_stands_around_it() -> None:
    assert chosen(("y", 0), ("x", 0, True)) == "c a"
    assert chosen(("x", 0, True), ("y", 0), ("x", 2, True)) == "a b c"
    assert chosen(("x", 0, True), ("y", 0, True)) == "a a"


def test_a_line_sung_again_as_the_same_take_has_the_same_picture() -> None:
    assert chosen(("x", 0), ("y", 0), ("x", 0)) == "a c a"


def test_with_one_picture_every_line_starts_from_it() -> None:
    assert chosen(("z", 0), ("z", 1), ("z", 7, True)) == "a a a"


def test_every_choice_is_one_of_the_best_thirty_two() -> None:
    many = {"x": ranking(*map(str, range(40)))}
    assert choices.assigned([Asked("x", 33, False)], many)[0].name == "1"


# What is chosen, and what that costs


def test_lines_start_from_what_their_words_say(here: Here) -> None:
    draw(here.folder / "photos/blue.png", BLUE)
    assert here.names() == ["red", "blue", "green"]


def test_a_plan_names_the_pictures(here: Here) -> None:
    made = here.plan()
    rows = forecast.make(made, here.paths, 0).rows
    assert [row.start for row in rows] == [choice.name for choice in made.starts]
    assert "'everything is red' from 'red.png'" in forecast.as_table(forecast.make(made, here.paths, 0), 1, 0)
    assert made.album and "of whose 10 pictures 3 lines start from 3" in starts.note(made.album, made.starts)


def test_what_was_chosen_is_kept(here: Here) -> None:
    first = here.plan()
    assert here.plan() == first
    here.write(RED, SEA, GRASS, RED)
    here.plan()
    assert len(here.runs) == 1
    for start in {recipe.start for recipe in first.segments.values()}:
        assert start
        assert pictures.digest(pictures.load(here.paths.start(start), start)) == start


PLANNING = """
import sys
from pathlib import Path
from songreel.ground.paths import Paths
from songreel.planning import plan
from songreel.planning.config import resolve
keys = {"screenplay": "song.csv", "audio": "none", "album": "photos", "size": "32x32"}
plan.make(resolve(keys), Paths(Path("results")))
print(*sorted({"torch", "PIL"} & sys.modules.keys()))
"""


def test_what_was_chosen_is_planned_without_loading_models(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(here.folder)
    here.plan(album="photos")
    command = [sys.executable, "-c", PLANNING]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "workflow")}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert (run.stdout.split(), run.stderr) == ([], "")


def test_a_new_picture_changes_only_the_lines_that_it_fits_best(here: Here) -> None:
    before = here.plan()
    plan.write(before, here.paths)
    draw(here.folder / "photos/blue.png", BLUE)
    after = here.plan()
    (gone,), (new,) = set(before.segments) - set(after.segments), set(after.segments) - set(before.segments)
    assert {before.segments[gone].text, after.segments[new].text} == {SEA}
    assert [note for note in after.notes if "blue" in note] == [
        f"{here.folder}/song.csv: row 2 'the deep blue sea' starts from 'blue.png' now, not from"
        f" '{before.starts[1].name}', and is rendered anew."
    ]


def test_each_picture_is_looked_at_once(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    look = photographs.embedded

    def counted(judge: Perceptor, picture: pictures.Pixels) -> torch.Tensor:
        seen.append(picture)
        return look(judge, picture)

    monkeypatch.setattr(photographs, "embedded", counted)
    here.plan()
    assert len(seen) == len(COLOURS)
    draw(here.folder / "photos/blue.png", BLUE)
    here.write(RED, "and the blue sky", GRASS)
    here.plan(size="64x64")
    assert len(seen) == len(COLOURS) + 1


def test_a_picture_that_lies_there_twice_is_one(here: Here) -> None:
    for name in ("red, again.png", "zinnober.png"):
        (here.folder / "photos" / name).write_bytes((here.folder / "photos/red.png").read_bytes())
    here.write(RED, RED, RED)
    assert len({choice.start for choice in here.plan().starts}) == 3


def test_two_perceptors_choose_together_by_their_weights(here: Here) -> None:
    alone = here.plan().starts
    both = here.plan(perceptors=["starter", "starter:0.5"]).starts
    assert [choice.name for choice in both] == [choice.name for choice in alone]
    assert both[0].fit == pytest.approx(1.5 * alone[0].fit, abs=1e-5)
    assert len(here.runs) == 2


def test_a_folder_is_found_from_where_songreel_runs(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    absolute = here.plan()
    monkeypatch.chdir(here.folder)
    assert set(here.plan(album="photos").segments) == set(absolute.segments)
    assert len(here.runs) == 1


class Painted:
    """An album as that of the starter pair is: pictures are made for words."""

    digest = "d" * 64

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []

    def ranked(self, text: str, size: tuple[int, int], count: int) -> list[Candidate]:
        self.asked.append((text, count))
        found = []
        for at in range(count):
            picture = np.full((size[1], size[0], 3), (sum(text.encode()) % 256, 8 * at, 0), np.uint8)
            found.append(Candidate(f"{text} no. {at}", picture, -at))
        return found


@pytest.fixture
def painted(here: Here, monkeypatch: pytest.MonkeyPatch) -> Painted:
    """An album that comes with the starter pair."""
    made = Painted()
    monkeypatch.setattr(album, "STARTER", draw(here.folder / "album.png", BLUE))
    monkeypatch.setattr(composing, "load", lambda *_: made)
    return made


def test_the_starter_pair_brings_its_own_album(here: Here, painted: Painted) -> None:
    made = here.plan(album="auto")
    assert [choice.name for choice in made.starts] == [f"{text} no. 0" for text in (RED, SEA, GRASS)]
    assert made.album and "the starter's, of which 3 lines" in starts.note(made.album, made.starts)
    assert here.plan(album="auto") == made and len(here.runs) == 1
    assert not here.plan(album="none").starts


@pytest.mark.parametrize("keys", [{"model": "coco"}, {"perceptors": ["starter", "ViT-B/32"]}])
def test_other_models_bring_none(here: Here, painted: Painted, keys: dict[str, Any]) -> None:
    assert here.plan(album="auto", size="64x64", **keys).album is None


def test_a_take_far_on_is_ranked_when_it_is_asked_for(here: Here, painted: Painted) -> None:
    here.plan(album="auto")
    here.write(RED, (RED, 12), SEA)
    assert [choice.name for choice in here.plan(album="auto").starts][:2] == [f"{RED} no. 0", f"{RED} no. 12"]
    assert painted.asked == [(RED, 8), (SEA, 8), (GRASS, 8), (RED, 16)]
    here.write((RED, 999_999), SEA)
    assert here.plan(album="auto").starts[0].name == f"{RED} no. {999_999 % choices.MOST}"


def test_a_picture_that_comes_out_otherwise_is_chosen_anew(
    here: Here, painted: Painted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the album's pictures are painted by another version."""
    made = here.plan(album="auto")
    shutil.rmtree(here.paths.root / "plan/starts")
    ranked = painted.ranked
    monkeypatch.setattr(painted, "ranked", lambda text, *more: ranked(f"{text}!", *more))
    with pytest.raises(UserError, match="cannot be made again as it was; run the same command again"):
        plan.settle_starts(made, made.segments, here.paths)
    again = here.plan(album="auto")
    assert [choice.name for choice in again.starts] == [f"{text}! no. 0" for text in (RED, SEA, GRASS)]
    plan.settle_starts(again, again.segments, here.paths)


# Recipes


def test_a_line_that_starts_from_a_picture_is_steered_gently(here: Here) -> None:
    (recipe, *_) = here.plan(lead_in=None, learning_rate=None, size="64x64").segments.values()
    (plain, *_) = here.plan(lead_in=None, learning_rate=None, size="64x64", album="none").segments.values()
    assert recipe.strategy.lead_in < plain.strategy.lead_in
    assert recipe.strategy.learning_rate < plain.strategy.learning_rate
    assert recipe.strategy.hold > 0 == plain.strategy.hold
    (own, *_) = here.plan(lead_in=7, learning_rate=0.5, hold=0).segments.values()
    assert (own.strategy.lead_in, own.strategy.learning_rate, own.strategy.hold) == (7, 0.5, 0)


def test_without_an_album_a_recipe_says_nothing_of_it(here: Here) -> None:
    (recipe, *_) = here.plan(album="none", hold=3).segments.values()
    assert not {"start", "hold"} & {*recipe.to_json(), *recipe.to_json()["strategy"]}
    assert here.plan(album="none").album is None and not here.runs


def test_published_models_bring_no_album(here: Here) -> None:
    keys = {"model": "coco", "perceptors": ["ViT-B/32"], "size": "64x64"}
    auto, none = (here.plan(album=album, **keys) for album in ("auto", "none"))
    assert auto == none and not here.runs


def test_a_recipe_with_a_start_is_read_as_it_was_written(here: Here) -> None:
    made = here.plan()
    plan.write(made, here.paths)
    for segment, recipe in made.segments.items():
        assert SegmentRecipe.read(here.paths.segment_plan(segment)) == recipe
        assert recipe.start


# What is damaged, missing or removed


def test_a_damaged_picture_is_named_and_made_again(here: Here) -> None:
    made = here.plan()
    start = here.paths.start(made.starts[0].start)
    whole = start.read_bytes()
    start.write_bytes(whole[: len(whole) // 2])
    (fault,) = damage.find(made, here.paths)
    assert fault.path == start
    start.unlink()
    plan.settle_starts(made, made.segments, here.paths)
    assert start.read_bytes() == whole


def test_another_picture_under_that_name_is_seen(tmp_path: Path) -> None:
    path = draw(tmp_path / "start.png", BLUE)
    with pytest.raises(DamageError, match="another picture than its name says"):
        pictures.load(path, "a" * 64)


def test_damaged_rankings_and_looks_are_made_again(here: Here) -> None:
    made = here.plan()
    kept = [*here.paths.root.glob("plan/rankings/*.json"), *here.paths.root.glob("plan/seen/*.npy")]
    assert len(kept) == 3 + len(COLOURS)
    for file in (*kept, *here.paths.root.glob("plan/albums/*.json")):
        file.write_bytes(file.read_bytes()[:-9])
    assert here.plan() == made


def test_nothing_that_a_plan_needs_is_removed(here: Here) -> None:
    made = here.plan()
    needs = running.needs(made)
    names = {
        path.stem
        for kind in ("starts", "rankings", "seen")
        for path in here.paths.root.glob(f"plan/{kind}/*")
    }
    assert names == {*needs["starts"], *needs["rankings"], *needs["seen"]}


def test_a_broken_picture_is_named(here: Here) -> None:
    (here.folder / "photos/broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    with pytest.raises(UserError, match=r"photos/broken\.jpg: found a file that cannot be read as a picture"):
        here.plan()


@pytest.mark.parametrize(
    ("folder", "said"),
    [
        ("nowhere", "found no such folder where .*nowhere"),
        ("empty", "found no picture in the folder .*empty"),
        ("song.csv", "found Not a directory where"),
    ],
)
def test_a_folder_without_pictures_is_refused(here: Here, folder: str, said: str) -> None:
    (here.folder / "empty").mkdir()
    (here.folder / "empty/notes.txt").write_text("no picture")
    with pytest.raises(UserError, match=f"config key 'album': {said}"):
        here.plan(album=str(here.folder / folder))


def test_pictures_of_a_phone_that_cannot_be_read_are_told(here: Here) -> None:
    (here.folder / "photos/IMG_1.HEIC").write_bytes(b"")
    assert any("1 of the pictures" in note and "'IMG_1.HEIC'" in note for note in here.plan().notes)


def test_a_model_that_is_not_fetched_is_named_with_the_remedy(here: Here) -> None:
    with pytest.raises(UserError, match=r"'ViT-B/32', found that its weights .* run songreel fetch ViT-B/32"):
        here.plan(model="coco", perceptors=["ViT-B/32"], size="64x64")


# Steering


def test_a_chain_is_held_to_its_start_and_yet_moves() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    start = sampler.started(starter.picture_maker(), picture)

    def moved(hold: float) -> float:
        strategy = Strategy(12, 0, 2, 0.15, hold=hold)
        links = sampler.chain(
            starter.picture_maker(),
            [starter.pull("a red boat")],
            strategy,
            start,
            0,
            0,
            0,
            start=sampler.Start(start),
        )
        return float((next(links).latent - start).square().mean())

    free, held, tight = map(moved, (0, 1, 30))
    assert 0 < tight < 0.8 * held < 0.8 * 0.8 * free


def test_a_chain_starts_from_the_codes_of_its_picture() -> None:
    vectors = starter.picture_maker().codebook
    start = sampler.started(starter.picture_maker(), np.full((32, 64, 3), 200, np.uint8))
    assert start.shape == (vectors.shape[1], 4, 8)
    flat = start.permute(1, 2, 0).reshape(-1, vectors.shape[1])
    assert torch.equal(vectors[torch.cdist(flat, vectors).argmin(1)], flat)
    drawn = starter.picture_maker().decode(start[None])
    assert abs(float(drawn.mean()) - 200 / 255) < 0.05


# Jobs


def test_a_job_needs_no_more_than_its_plan_and_its_picture(here: Here) -> None:
    """On another machine, when the album is gone."""
    made = here.plan()
    plan.write(made, here.paths)
    (here.folder / "photos").rename(here.folder / "elsewhere")
    for kind in ("rankings", "seen"):
        shutil.rmtree(here.paths.root / "plan" / kind)
    (segment, recipe), *_ = made.segments.items()
    assert main(["keyframes", str(here.paths.segment_plan(segment)), "2"]) == 0
    kept = latents.load(here.paths.latents(segment, 2), segment)
    assert recipe.start
    started = sampler.started(
        starter.picture_maker(), pictures.load(here.paths.start(recipe.start), recipe.start)
    )
    moved, from_canvas = (torch.from_numpy(kept.latent) - it for it in (started, starter.canvas()))
    assert moved.square().mean() < from_canvas.square().mean()
    assert main(["keyframes", str(here.paths.segment_plan(segment)), "4"]) == 0
    assert np.array_equal(latents.load(here.paths.latents(segment, 4), segment).tokens[:2], kept.tokens)


def test_a_job_without_its_picture_says_how_to_have_it_made(
    here: Here, capsys: pytest.CaptureFixture[str]
) -> None:
    made = here.plan()
    plan.write(made, here.paths)
    segment, *_ = made.segments
    shutil.rmtree(here.paths.root / "plan/starts")
    assert main(["keyframes", str(here.paths.segment_plan(segment)), "2"]) == 1
    said = capsys.readouterr().err
    assert "expected a picture that 'everything is red' is rendered with; run snakemake" in said


@pytest.mark.parametrize("name", ["coco", "openimages-8192"])
def test_published_architectures_start_from_pictures(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SONGREEL_WEIGHTS", str(tmp_path / "weights"))
    made = Here(tmp_path)
    monkeypatch.setattr(starts, "run", made.run)
    album_of_ten(tmp_path / "photos")
    made.write(RED, SEA)
    model = str(published.write_vqgan(name, tmp_path / "mine.ckpt"))
    judge = str(published.write_clip("ViT-B/32", tmp_path / "clip.pt"))
    for checkpoint in (model, judge):
        obtain.model(checkpoint)
    planned = made.plan(model=model, perceptors=[judge])
    assert len({choice.start for choice in planned.starts}) == 2
    (segment, recipe), *_ = planned.segments.items()
    plan.write(planned, made.paths)
    render.segment(recipe, segment, 1, made.paths, Quiet())
    maker = vqgan.load(weights.vqgan(model), starter.CPU, torch.float32)
    assert recipe.start
    start = sampler.started(maker, pictures.load(made.paths.start(recipe.start), recipe.start))
    moved = torch.from_numpy(latents.load(made.paths.latents(segment, 1), segment).latent) - start
    assert 0 < float(moved.abs().max()) < 10 * recipe.strategy.learning_rate


class Quiet:
    """A watcher that watches nothing."""

    def iteration(self) -> None: ...

    def keyframe(self, segment: Segment) -> None: ...

    def warn(self, message: str) -> None: ...


def test_adding_a_picture_renders_the_line_that_it_fits_best(project: Project) -> None:
    """By the real Snakemake, and by the real process that chooses."""
    project.configure(album="photos")
    album_of_ten(project.folder / "photos")
    project.write([(RED, 0), (SEA, 2), (GRASS, 4)])
    assert project.rendered() == {"keyframes": 3, "clip": 3, "film": 1}
    draw(project.folder / "photos/blue.png", BLUE)
    run = project.run("--dry-run")
    assert run.planned == {"keyframes": 1, "clip": 2, "film": 1}
    assert "'the deep blue sea' starts from 'blue.png' now" in run.output
    (project.folder / "photos/broken.png").write_bytes(b"no picture")
    run = project.run("--dry-run")
    assert run.status == 1
    (said,) = [line for line in run.output.splitlines() if "broken.png" in line]
    assert said.startswith("songreel: photos/broken.png: found a file that cannot be read as a picture")


def test_choosing_that_is_killed_says_so(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    with pytest.raises(UserError, match="choosing pictures failed"):
        here.plan()
    script = here.folder / "killed"
    script.write_text("#!/bin/sh\nkill -9 $$\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    with pytest.raises(UserError, match="ended by signal 9, most likely for want of memory"):
        here.plan()


def test_what_the_choosing_process_says_is_said_once(
    here: Here, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    request = here.plan().album
    assert request
    monkeypatch.undo()
    script = here.folder / "speaker"
    monkeypatch.setattr(sys, "executable", str(script))
    for status in (0, 1):
        words = r"songreel: a\na warning\nsongreel: b\n"
        script.write_text(f"#!/bin/sh\ncat >/dev/null; printf '{words}' >&2; exit {status}\n")
        script.chmod(0o755)
        capsys.readouterr()
        with pytest.raises(UserError, match=r"^b$") if status else contextlib.nullcontext():
            starts.run(request, here.paths)
        assert capsys.readouterr().err == "songreel: a\n" + "songreel: b\n" * (not status)


# Pictures


def test_a_picture_is_cut_to_the_films_shape_from_its_middle(tmp_path: Path) -> None:
    wide = np.zeros((40, 120, 3), np.uint8)
    wide[:, 40:80] = (200, 100, 50)
    Image.fromarray(wide).save(tmp_path / "wide.png")
    found = pictures.fitted(tmp_path / "wide.png", (32, 32))
    assert found.shape == (32, 32, 3)
    assert (found[:, 2:-2] == (200, 100, 50)).all()
    assert pictures.fitted(tmp_path / "wide.png", (64, 32)).shape == (32, 64, 3)


def test_a_photograph_is_turned_as_the_camera_was_held(tmp_path: Path) -> None:
    lying = Image.new("RGB", (40, 20), (0, 0, 0))
    lying.paste((255, 255, 255), (0, 0, 20, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # the top is at the right
    lying.save(tmp_path / "held.jpg", exif=exif, quality=95)
    found = pictures.fitted(tmp_path / "held.jpg", (20, 40)).mean(-1)
    assert found[:15].mean() > 240 and found[-15:].mean() < 15


@pytest.mark.parametrize("kind", ["png", "webp", "gif", "tiff"])
def test_what_is_transparent_is_grey(kind: str, tmp_path: Path) -> None:
    Image.new("RGBA", (16, 16), (250, 0, 0, 0)).save(tmp_path / f"clear.{kind}")
    assert np.abs(pictures.fitted(tmp_path / f"clear.{kind}", (8, 8)).astype(int) - 128).max() <= 1


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("L", 100, (100, 100, 100)),
        ("1", 1, (255, 255, 255)),
        ("P", 7, None),
        ("LA", (100, 255), (100, 100, 100)),
        ("I;16", 100 * 257, (100, 100, 100)),
        ("CMYK", (0, 0, 0, 155), (100, 100, 100)),
    ],
)
def test_pictures_of_every_mode_are_read(mode: str, colour: Any, expected: Any, tmp_path: Path) -> None:
    path = tmp_path / ("picture.tiff" if mode == "CMYK" else "picture.png")
    image = Image.new(mode, (16, 16), colour)
    image.save(path)
    found = pictures.fitted(path, (8, 8))
    wanted = expected or image.convert("RGB").getpixel((0, 0))
    assert (np.abs(found.astype(int) - wanted) <= 1).all()


def test_what_was_kept_is_the_same_picture(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8)
    pictures.keep(picture, tmp_path / "kept.png")
    assert np.array_equal(pictures.load(tmp_path / "kept.png", pictures.digest(picture)), picture)
    assert pictures.digest(picture) != pictures.digest(picture.reshape(24, 16, 3))


def test_of_a_long_picture_all_is_seen() -> None:
    long = torch.arange(20.0).view(1, 1, 1, 20).expand(1, 3, 8, 20)
    parts = photographs.squares(long)
    assert all(part.shape == (1, 3, 8, 8) for part in parts)
    assert {x for part in parts for x in part.flatten().tolist()} == set(range(20))
    assert (
        len(photographs.squares(long.transpose(2, 3))) == 3 and len(photographs.squares(long[..., :8])) == 1
    )
