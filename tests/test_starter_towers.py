"""What the picture towers' training promises: it learns, goes on when stopped, and CLIP is built from it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from songreel.kernels import devices
from songreel.models import perceptor
from songreel.models.weights import Weights
from songreel_starter import clip_tower, distil, judge, picture_towers, pool, scenes, teacher
from songreel_starter.sprites import Entry
from songreel_starter.states import Keeper
from songreel_starter.things import Library

COLOURS = {"apple": (220, 30, 30), "leaf": (30, 180, 40), "whale": (40, 70, 220), "lemon": (240, 220, 40)}
RECIPE = picture_towers.Recipe(steps=8, batch=16, pushed_from=5, kept={"for": "tests"})
TOWER = clip_tower.Tower(width=8, side=32)


@pytest.fixture(scope="module")
def library() -> Library:
    """Four things, each a disc of one colour."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, 96), torch.linspace(-1, 1, 96), indexing="ij")
    disc = ((x**2 + y**2) < 0.8).to(torch.uint8) * 255
    pictures = [torch.cat((_plain(colour), disc[None])) for colour in COLOURS.values()]
    entries = [Entry("made", name, (), "food", "", 0.9, 0.9) for name in COLOURS]
    cumulative = list(itertools.accumulate(1.0 for _ in COLOURS))
    return Library(entries, cumulative, [], frozenset(COLOURS), torch.stack(pictures))


def _plain(colour: tuple[int, int, int]) -> Tensor:
    return torch.tensor(colour, dtype=torch.uint8).view(3, 1, 1).expand(3, 96, 96)


@pytest.fixture(scope="module")
def painted(library: Library, tmp_path_factory: pytest.TempPathFactory) -> pool.Pool:
    folder = tmp_path_factory.mktemp("scenes")
    paths = [folder / f"{number}.npy" for number in range(2)]
    for number, path in enumerate(paths):
        pool.paint(library, 0, number, 20, 48, path)
    return pool.Pool(paths)


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text tower that has learned next to nothing."""
    folder = tmp_path_factory.mktemp("text")
    texts = [f"{one} and {two}" for one in COLOURS for two in ("sea", "sky", "stone", "sand", "snow")]
    teacher.embed(None, texts, folder / "texts.npy")
    recipe = distil.Recipe(embed=16, width=64, layers=1, context=16, steps=2, batch=8)
    distil.train(texts, folder / "texts.npy", recipe, folder / "text.safetensors")
    return folder / "text.safetensors"


def clip(
    painted: pool.Pool, library: Library, text: Path, target: Path, recipe: picture_towers.Recipe
) -> dict[str, Tensor]:
    clip_tower.train(painted, library, text, TOWER, recipe, target)
    return load_file(target)


def test_a_pool_gives_back_the_scenes_that_were_painted(library: Library, painted: pool.Pool) -> None:
    expected, captions = scenes.batch(library, 0, 20, 48, 20)
    assert painted.captions[20:] == captions
    assert torch.equal(painted.pictures(torch.arange(20, 40)), expected)
    assert torch.equal(painted.pictures(torch.tensor([25, 3]))[0], expected[5])


def test_clip_can_be_built_from_what_was_trained(
    painted: pool.Pool, library: Library, text: Path, tmp_path: Path
) -> None:
    found = clip(painted, library, text, tmp_path / "clip.safetensors", RECIPE)
    published = perceptor.load(
        Weights("made", tmp_path / "clip.safetensors", tmp_path / "clip.yaml", ""),
        torch.device("cpu"),
        torch.float32,
    )
    pictures = torch.rand(3, 3, 32, 32)
    assert published.embed_images(pictures).shape == (3, 16)
    from clip.model import build_model  # once songreel has put the package in place

    inferred = build_model(dict(found)).float()
    assert torch.allclose(
        perceptor.Perceptor(inferred, torch.device("cpu"), torch.float32).embed_images(pictures),
        published.embed_images(pictures),
        atol=2e-3,  # build_model rounds to float16
    )


def test_a_stopped_training_ends_like_one_that_was_not(
    painted: pool.Pool, library: Library, text: Path, tmp_path: Path
) -> None:
    whole = clip(painted, library, text, tmp_path / "whole.safetensors", RECIPE)
    training = _training(painted, library, text)
    target = tmp_path / "parts.safetensors"
    for _ in range(3):
        training.advance()
    Keeper(target, RECIPE.identity()).keep(training.state())
    parts = clip(painted, library, text, target, RECIPE)
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def _training(painted: pool.Pool, library: Library, text: Path) -> picture_towers.Training:
    torch.manual_seed(RECIPE.seed)
    words = {name: value for name, value in load_file(text).items() if name != "teacher.directions"}
    made = perceptor.build(clip_tower.arguments(words, TOWER)).float()
    made.load_state_dict(words, strict=False)

    def embed(texts: Sequence[str]) -> Tensor:
        return clip_tower.embed_texts(made, texts)

    return picture_towers.Training(
        made.visual, TOWER.side, painted, embed(painted.captions), library, embed, RECIPE
    )


def test_pictures_are_pushed_away_from_their_words_but_not_far(
    painted: pool.Pool, library: Library, text: Path
) -> None:
    training = _training(painted, library, text)
    pictures, labels, captions = training._pictures()
    pushed = training._pushed(pictures, labels, captions)
    far = (pushed - pictures).flatten(1).norm(dim=1)
    assert 0 < float(far.min()) < float(far.max()) <= picture_towers.PUSH * 1.001
    for before, after in zip(
        training._losses(pictures, labels, captions), training._losses(pushed, labels, captions), strict=True
    ):
        assert after > before


def test_more_steps_go_on_from_where_a_training_ended(
    painted: pool.Pool, library: Library, text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "clip.safetensors"
    first = clip(painted, library, text, target, RECIPE)
    again = clip(painted, library, text, target, RECIPE)
    assert all(torch.equal(first[name], again[name]) for name in first)
    capsys.readouterr()
    longer = clip(painted, library, text, target, replace(RECIPE, steps=10))
    assert "step 10 of 10" in capsys.readouterr().err
    assert not torch.equal(first["visual.conv1.weight"], longer["visual.conv1.weight"])
    assert torch.equal(first["text_projection"], longer["text_projection"])


def test_the_judge_learns_to_tell_things_apart(painted: pool.Pool, library: Library, tmp_path: Path) -> None:
    teacher.embed(None, painted.captions, tmp_path / "captions.npy")
    target = tmp_path / "judge.safetensors"
    recipe = picture_towers.Recipe(steps=60, batch=32, seed=1)
    judge.train(painted, tmp_path / "captions.npy", library, None, recipe, target)
    trained = judge.load(target, None, devices.choose())
    assert library.pictures is not None
    shown = library.pictures[:, :3].float() / 255
    likeness = trained.embed_images(shown) @ trained.embed_texts(list(COLOURS)).T
    assert likeness.argmax(1).tolist() == list(range(len(COLOURS)))
    assert np.isfinite(likeness.numpy()).all()
