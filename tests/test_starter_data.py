"""What the starter pair's training promises: packages as pinned, true words, and a pair at its end."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from songreel.ground.errors import UserError
from songreel_starter import distil, pairs, pasting, scenes, sources, sprites, things, words
from songreel_starter.backgrounds import Background
from songreel_starter.states import Keeper
from tests.conftest import REPOSITORY, environment

WORKFLOW = REPOSITORY / "workflow" / "starter"


def snakemake(folder: Path, *arguments: str | Path) -> str:
    """Run the training workflow in a folder; what it printed."""
    command: list[str | Path] = [sys.executable, "-m", "snakemake", "--snakefile", WORKFLOW / "Snakefile"]
    command += ["--workflow-profile", REPOSITORY / "profiles/default", "--cores", "2", *arguments]
    run = subprocess.run(
        command,
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert run.returncode == 0, run.stdout
    return run.stdout


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of the tiny setting, made by the real Snakemake from the real packages."""
    if not shutil.which("npm"):
        pytest.skip("npm, which fetches the pictures' packages, is not on this machine")
    folder = tmp_path_factory.mktemp("starter")
    snakemake(folder, "--configfile", WORKFLOW / "tiny.yaml")
    return folder / "results" / "starter"


@pytest.fixture(scope="module")
def library(made: Path) -> things.Library:
    return scenes.library([sprites.load(path) for path in sorted((made / "sprites").glob("*.npz"))])


def test_the_tiny_setting_makes_sprites_with_words_texts_and_contact_sheets(made: Path) -> None:
    shards = [sprites.load(made / "sprites" / f"{name}.npz") for name in ("meteocons", "flat-color-icons")]
    for shard in shards:
        pictures = shard.pictures()
        assert 50 <= len(shard) <= 100
        assert pictures.shape == (len(shard), sprites.SIDE, sprites.SIDE, 4)
        assert all(entry.label for entry in shard.entries)
    texts = (made / "texts.txt").read_text(encoding="utf-8").splitlines()
    assert len(texts) == len(set(texts)) == 2000
    assert np.load(made / "texts.npy").shape == (2000, 384)
    assert all((made / "sheets" / name).stat().st_size for name in ("sprites.png", "scenes.png"))


def test_the_whole_plan_is_printed_by_a_dry_run(tmp_path: Path) -> None:
    plan = snakemake(tmp_path, "--dry-run")
    pictured = [source for source in sources.table().values() if source.has_pictures]
    assert f"render {len(pictured)}" in " ".join(plan.split())
    assert not (tmp_path / "results").exists()


def test_what_a_machine_cannot_fetch_can_be_left_out(tmp_path: Path) -> None:
    chosen = "sources=noto emojione openclipart", "leave_out=openclipart"
    plan = snakemake(tmp_path, "--dry-run", "--config", *chosen)
    assert "render 3" in " ".join(plan.split())  # with the style that the pair is tested on


def test_both_clips_need_a_style_of_their_own(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="found none whose half is judging"):
        snakemake(tmp_path, "--dry-run", "--config", "sources=noto")


def test_the_tiny_setting_ends_in_a_pair_with_its_card(made: Path) -> None:
    """Trained on the CPU, evaluated beside the first pair, and ready for songreel to load."""
    folder = made / "export"
    clip = pairs.load_clip(folder, torch.device("cpu"), torch.float32)
    vqgan = pairs.load_vqgan(folder, torch.device("cpu"), torch.float32)
    with torch.no_grad():
        pictures = vqgan.decode(vqgan.embed(torch.zeros(1, 4, 4, dtype=torch.int64)))
        assert clip.embed_images(pictures).shape == (1, 32)
    card = (folder / "CARD.md").read_text(encoding="utf-8")
    for told in ("chance", "the first pair", "this pair", "meteocons", "MIT", "sheet.jpg", "first.jpg"):
        assert told in card
    assert (folder / "sheet.jpg").exists()
    assert (folder / "first.jpg").exists()


def test_a_second_run_makes_nothing_again(made: Path) -> None:
    folder = made.parents[1]
    assert "Nothing to be done" in snakemake(folder, "--configfile", WORKFLOW / "tiny.yaml", "--dry-run")


def test_rendering_again_gives_the_same_bytes(made: Path, tmp_path: Path) -> None:
    from songreel_starter import readers

    package, again = made / "packages" / "meteocons", tmp_path / "again.npz"
    names = readers.emoji_names(made / "packages" / "emojibase")
    sprites.render(sources.table()["meteocons"], package, names, 100, again)
    assert again.read_bytes() == (made / "sprites" / "meteocons.npz").read_bytes()


def test_a_package_that_is_not_the_pinned_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other(_command: object, folder: str, _source: object) -> None:
        (Path(folder) / "package.tgz").write_bytes(b"something else")

    monkeypatch.setattr(sources, "_run", other)
    with pytest.raises(UserError, match=r"another file than sources\.yaml pins"):
        sources.fetch(sources.table()["noto"], tmp_path / "noto")
    assert not (tmp_path / "noto").exists()


def test_every_source_tells_its_licence_and_whom_to_thank() -> None:
    table = sources.table()
    assert {source.use for source in table.values()} >= {"training", "development", "test"}
    assert all(source.licence and source.by for source in table.values())
    assert not [
        it.name
        for it in table.values()
        if it.use == "training" and ("SA" in it.licence or "GPL" in it.licence)
    ]


def test_a_batch_is_a_function_of_its_seed(library: things.Library) -> None:
    one, told = scenes.batch(library, 3, 16, 32)
    two, told_again = scenes.batch(library, 3, 16, 32)
    other, _ = scenes.batch(library, 4, 16, 32)
    assert one.shape == (16, 3, 32, 32)
    assert one.dtype == torch.uint8
    assert torch.equal(one, two)
    assert told == told_again == scenes.captions(library, 3, 16)
    assert not torch.equal(one, other)


def test_words_are_not_tied_to_white(library: things.Library) -> None:
    pictures, _ = scenes.batch(library, 0, 200, 16)
    corners = pictures[:, :, 0, 0].float()
    assert (corners.min(1).values > 230).float().mean() < 0.15
    assert (corners.std(0) > 50).all()


@pytest.mark.parametrize("colour", ["red", "green", "blue", "yellow"])
def test_a_thing_that_is_called_red_is_red(colour: str) -> None:
    """Whatever a sprite's own colour, shading included."""
    shaded = torch.zeros(1, 4, 96, 96, dtype=torch.uint8)
    shaded[:, 3, 20:76, 20:76] = 255
    shaded[:, 2, 20:76, 20:76] = torch.linspace(30, 255, 56).to(torch.uint8)
    scene = _scene(things.Placement(0, 0.5, 0.5, 1.0, colour=words.COLOURS[colour]))
    canvas = torch.ones(1, 3, 64, 64)
    pasting.place(canvas, shaded, 0, [scene])
    middle = (canvas[0, :, 20:44, 20:44].flatten(1).T * 255).numpy().astype(np.uint8)
    assert words.colour_of(middle, 0.5) == colour


def test_what_is_said_to_be_over_another_is_above_it(library: things.Library) -> None:
    seen = 0
    for index in range(3000):
        scene = scenes.plan(library, 1, index)
        things = [it for it in scene.placements if it.sprite not in library.photographs]
        if len(things) == 2 and " over a " in scene.caption and things[0].sprite != things[1].sprite:
            assert things[0].y < things[1].y, scene.caption
            seen += 1
    assert seen > 10


def test_a_sprite_is_put_where_its_placement_says() -> None:
    square = torch.full((1, 4, 96, 96), 255, dtype=torch.uint8)
    canvas = torch.zeros(1, 3, 64, 64)
    pasting.place(canvas, square, 0, [_scene(things.Placement(0, 0.25, 0.75, 0.5))])
    assert canvas[0, :, 34:62, 2:30].min() > 0.99
    assert canvas[0, :, :30].max() == canvas[0, :, :, 34:].max() == 0


@pytest.mark.parametrize(
    ("noun", "several"),
    [
        ("boat", "boats"),
        ("fox", "foxes"),
        ("butterfly", "butterflies"),
        ("woman", "women"),
        ("scissors", "scissors"),
        ("bowl with spoon", "bowls with spoon"),
        ("boy", "boys"),
        ("leaf", "leaves"),
    ],
)
def test_plurals_are_what_people_say(noun: str, several: str) -> None:
    assert words.plural(noun) == several


def test_the_text_tower_is_one_that_clip_infers(made: Path) -> None:
    from clip.model import build_model
    from safetensors.torch import load_file

    recipe = distil.Recipe(embed=32, width=64, layers=1, steps=20, batch=64)
    learnt = load_file(made / "text.safetensors")
    assert learnt.pop("teacher.directions").shape == (384, 32)
    whole = distil.tower(recipe).state_dict()
    built = build_model({**whole, **learnt}).float()
    ids = distil.tokens(["a boat on a river"], recipe.context)
    assert (built.transformer.width, built.transformer.layers) == (64, 1)
    assert torch.allclose(built.encode_text(ids), distil.encode(built, ids), atol=1e-4)


def test_a_training_that_was_stopped_ends_as_if_it_had_not_been(made: Path, tmp_path: Path) -> None:
    texts = (made / "texts.txt").read_text(encoding="utf-8").splitlines()[:300]
    recipe = distil.Recipe(embed=32, width=64, layers=1, steps=6, batch=64)
    ids = distil.tokens(texts, recipe.context)
    wanted = torch.nn.functional.normalize(
        torch.randn(300, 32, generator=torch.Generator().manual_seed(0)), dim=-1
    )

    def training() -> distil._Training:
        return distil._Training(recipe, ids, wanted, torch.device("cpu"))

    whole, part = training(), training()
    losses = [whole.advance() for _ in range(6)]
    keeper = Keeper(tmp_path / "text.safetensors", {"seed": 0})
    kept = [part.advance() for _ in range(3)]
    keeper.keep(part.state())
    again = training()
    again.restore(keeper.last())
    assert kept + [again.advance() for _ in range(3)] == losses
    assert Keeper(tmp_path / "text.safetensors", {"seed": 1}).last() is None


def test_the_phrases_for_evaluation_are_many_and_different() -> None:
    phrases = (WORKFLOW / "phrases.txt").read_text(encoding="utf-8").splitlines()
    assert len(phrases) == len(set(phrases)) >= 200
    assert phrases[0] == "a boat on a river"


def test_rendering_a_film_imports_nothing_of_the_training() -> None:
    package = REPOSITORY / "workflow" / "songreel"
    assert not [path.name for path in package.rglob("*.py") if "songreel_starter" in path.read_text("utf-8")]


def _scene(*placements: things.Placement) -> things.Scene:
    return things.Scene(Background((0, 0, 0), (0, 0, 0)), placements, "")
