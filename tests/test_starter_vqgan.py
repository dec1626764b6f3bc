"""What the training of the starter's VQGAN promises: it learns, it can be stopped and prolonged, it fits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Generator, Tensor

from songreel.ground.errors import UserError
from songreel.models import vqgan
from songreel.models.clip_configs import MEAN, STD
from songreel.models.weights import PERCEPTORS, Weights, architecture
from songreel_starter import autoencoder, finishing, grid, likeness
from songreel_starter.autoencoder import Recipe
from songreel_starter.pool import Pool

CPU = torch.device("cpu")
SIDE = 32  # pixels
RECIPE = Recipe(codes=16, steps=24, autoencoder_steps=10, adversarial_from=16, batch=8, crop=32)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two files of smooth pictures."""
    folder, dice = tmp_path_factory.mktemp("scenes"), Generator().manual_seed(0)
    paths = [folder / "0.npy", folder / "1.npy"]
    for path in paths:
        coarse = torch.rand(48, 3, 4, 4, generator=dice)
        pictures = F.interpolate(coarse, size=(SIDE, SIDE), mode="bicubic").clamp(0, 1)
        np.save(path, (pictures * 255).to(torch.uint8).numpy())
        path.with_suffix(".txt").write_text("something\n" * 48, encoding="utf-8")
    return paths


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small picture tower, among other tensors."""
    from clip.model import ModifiedResNet

    torch.manual_seed(0)
    tower = ModifiedResNet([1, 1, 1, 1], 16, 8, 32, 16)
    state = {f"visual.{name}": value for name, value in tower.state_dict().items()}
    path = tmp_path_factory.mktemp("clip") / "clip.safetensors"
    save_file({**state, "logit_scale": torch.ones(())}, path)
    return path


def training(scenes: list[Path], clip: Path, recipe: Recipe = RECIPE) -> autoencoder._Training:
    return autoencoder._Training(recipe, Pool(scenes), likeness.picture_tower(clip, CPU), CPU)


def drawn(target: Path) -> Tensor:
    """What the VQGAN of a file draws of some tokens, loaded as the renderer loads it."""
    weights = Weights("new", target, target.with_suffix(".yaml"), "")
    model = vqgan.load(weights, CPU, torch.float32)
    tokens = torch.arange(16).view(1, 4, 4) % len(model.codebook)
    return model.decode(model.embed(tokens))


def test_the_pictures_get_nearer_and_most_codes_are_used(scenes: list[Path], clip: Path) -> None:
    made = training(scenes, clip, replace(RECIPE, steps=60, autoencoder_steps=30, adversarial_from=50))
    losses = []
    for _ in range(60):
        made.advance()
        losses.append(float(made.losses[-1][0]))
    assert sum(losses[-10:]) < 0.9 * sum(losses[:10])
    used = (
        made.average.tokens(Pool(scenes).pictures(torch.arange(96)) / 255)
        .flatten()
        .bincount()
        .count_nonzero()
    )
    assert used > 0.8 * RECIPE.codes
    assert f"of {RECIPE.codes} codes" in made.judged()


def test_a_training_that_was_stopped_ends_as_if_it_had_not_been(scenes: list[Path], clip: Path) -> None:
    whole, part, again = (training(scenes, clip) for _ in range(3))
    for _ in range(24):
        whole.advance()
    for _ in range(18):  # into the critic's time
        part.advance()
    again.restore(part.state())
    for _ in range(6):
        again.advance()
    assert again.step == whole.step
    for one, other in zip(whole.average.parameters(), again.average.parameters(), strict=True):
        assert torch.equal(one, other)


def test_more_steps_go_on_from_where_the_training_ended(
    scenes: list[Path], clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, steps = tmp_path / "vqgan.safetensors", list[int]()
    advance = autoencoder._Training.advance

    def counted(self: autoencoder._Training) -> None:
        steps.append(self.step)
        advance(self)

    monkeypatch.setattr(autoencoder._Training, "advance", counted)
    autoencoder.train(scenes, clip, RECIPE, target)
    first = drawn(target)
    autoencoder.train(scenes, clip, replace(RECIPE, steps=30, adversarial_from=20), target)
    assert steps == list(range(30))
    assert not torch.equal(drawn(target), first)


def test_the_file_fits_the_renderer_and_has_the_spread_of_codes_it_is_tuned_for(
    scenes: list[Path], clip: Path, tmp_path: Path
) -> None:
    target = tmp_path / "vqgan.safetensors"
    autoencoder.train(scenes, clip, RECIPE, target)
    assert drawn(target).shape == (1, 3, SIDE, SIDE)
    codebook = load_file(target)["quantize.embedding.weight"]
    assert float(codebook.std()) == pytest.approx(autoencoder.SPREAD, rel=1e-4)


def test_scaling_the_codes_changes_no_picture_and_no_token(scenes: list[Path], clip: Path) -> None:
    made = training(scenes, clip)
    made._choose_codes()
    pictures = Pool(scenes).pictures(torch.arange(8)) / 255
    before = made.vqgan.tokens(pictures)
    drawn_before = made.vqgan.decode(made.vqgan.embed(before))
    made.vqgan.load_state_dict(autoencoder.scaled(made.vqgan))
    assert (made.vqgan.tokens(pictures) == before).float().mean() > 0.99
    assert torch.allclose(made.vqgan.decode(made.vqgan.embed(before)), drawn_before, atol=1e-4)


def test_crops_show_what_the_scene_shows() -> None:
    ramp = torch.arange(64, dtype=torch.uint8).expand(8, 3, 64, 64)  # each pixel tells its column
    squares = autoencoder.crops(ramp, 32, Generator().manual_seed(0)) * 255
    assert squares.shape == (8, 3, 32, 32)
    across = squares.diff(dim=3).abs().mean((1, 2, 3))
    assert torch.allclose(across[:4], torch.ones(4), atol=1e-3)  # the scene's own pixels
    assert (across[4:6] <= 1.001).all()  # enlarged
    assert (across[6:] >= 0.95).all()  # shrunk
    assert squares.diff(dim=2).abs().max() < 1e-3


def test_the_features_are_those_that_the_tower_sees() -> None:
    tower = likeness.picture_tower(PERCEPTORS["starter"].tensors, CPU)
    pictures = torch.rand(2, 3, 64, 64, generator=Generator().manual_seed(0))
    deepest = likeness.features(tower, pictures)[-1]
    seen: list[Tensor] = []
    tower.get_submodule("layer3").register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    mean, std = (torch.tensor(it).view(1, 3, 1, 1) for it in (MEAN, STD))
    tower((pictures - mean) / std)
    assert torch.allclose(deepest, seen[0], atol=1e-4)
    assert float(likeness.unlike(tower, pictures, pictures)) == pytest.approx(0, abs=1e-6)


def test_a_training_that_never_gets_codes_is_refused(scenes: list[Path], clip: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"autoencoder_steps or vqgan_steps"):
        autoencoder.train(scenes, clip, replace(RECIPE, autoencoder_steps=24), tmp_path / "a.safetensors")


# The decoder, again


@pytest.fixture(scope="module")
def blocky(scenes: list[Path], clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Weights:
    """A VQGAN that was hardly trained, and draws a bright line along two sides of each of its squares."""
    target = tmp_path_factory.mktemp("blocky") / "vqgan.safetensors"
    autoencoder.train(scenes, clip, RECIPE, target)
    tensors = load_file(target)
    squares = tensors["decoder.conv_out.bias"].view(3, 8, 8)
    squares[:, 0] += 0.5
    squares[:, :, 0] += 0.5
    save_file(tensors, target)
    return Weights("blocky", target, target.with_suffix(".yaml"), "blocky")


AGAIN = finishing.Recipe(channels=56, steps=30, batch=8, crop=32, learning_rate=5e-3)


def again(scenes: list[Path], clip: Path, blocky: Weights) -> finishing.Finishing:
    return finishing.Finishing(AGAIN, Pool(scenes), likeness.picture_tower(clip, CPU), blocky, CPU)


def test_a_decoder_is_trained_on_from_what_it_drew(blocky: Weights) -> None:
    before, after = vqgan.read(blocky), finishing.unfinished(blocky, 56)
    tokens = torch.arange(12).view(1, 3, 4) % len(before.codebook)
    pictures = [maker.decode(maker.embed(tokens)) for maker in (before, after)]
    torch.testing.assert_close(pictures[1], pictures[0])


def test_its_grid_goes_and_its_tokens_stay(scenes: list[Path], clip: Path, blocky: Weights) -> None:
    made, pictures = again(scenes, clip, blocky), Pool(scenes).pictures(torch.arange(96)) / 255

    def uneven() -> float:
        with torch.no_grad():
            return float(grid.unevenness(made.vqgan.decode(made.vqgan.embed(made.vqgan.tokens(pictures))), 8))

    before, tokens = uneven(), made.vqgan.tokens(pictures)
    for _ in range(AGAIN.steps):
        made.advance()
    assert uneven() < 0.5 * before
    assert torch.equal(made.average.tokens(pictures), tokens)
    assert "grid" in made.judged() and "uneven" in made.progress()


def test_a_decoders_training_that_was_stopped_ends_as_if_it_had_not_been(
    scenes: list[Path], clip: Path, blocky: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finishing, "RISE", 2)  # so that the critic has its say
    whole, part, other = (again(scenes, clip, blocky) for _ in range(3))
    for _ in range(8):
        whole.advance()
    for _ in range(5):
        part.advance()
    other.restore(part.state())
    for _ in range(3):
        other.advance()
    for one, two in zip(whole.average.parameters(), other.average.parameters(), strict=True):
        assert torch.equal(one, two)


def test_the_file_of_a_decoder_trained_again_fits_the_renderer(
    scenes: list[Path], clip: Path, blocky: Weights, tmp_path: Path
) -> None:
    target = tmp_path / "vqgan.safetensors"
    finishing.finish(scenes, clip, blocky, replace(AGAIN, steps=2), target)
    assert drawn(target).shape == (1, 3, SIDE, SIDE)
    assert architecture(Weights("new", target, target.with_suffix(".yaml"), ""))["deblock"] == 56
    codebooks = [load_file(file)["quantize.embedding.weight"] for file in (blocky.tensors, target)]
    torch.testing.assert_close(codebooks[1], codebooks[0])
