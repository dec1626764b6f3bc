"""What the starter pair's evaluation promises: honest arithmetic, work that is kept, a card that is true."""

from __future__ import annotations

import itertools
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import yaml
from safetensors.torch import load_file, save_file
from torch import Tensor

from songreel import data
from songreel.ground.errors import UserError
from songreel.ground.files import read_json
from songreel.models import perceptor
from songreel.models.vqgan import VQGAN
from songreel_starter import (
    backgrounds,
    card,
    cli,
    evaluation_commands,
    export,
    grid,
    keyframes,
    measures,
    pairs,
    sources,
    sprites,
    states,
    words,
)
from songreel_starter.backgrounds import Background
from songreel_starter.keyframes import Shown
from songreel_starter.sprites import Entry, Shard
from tests.conftest import REPOSITORY

CPU = torch.device("cpu")
PHRASES = REPOSITORY / "workflow/starter/phrases.txt"
STARTER = data.MODELS / "starter"
LITTLE = ("--film", "size=32x32", "iterations=20", "lead_in=0", "cutouts=2")
COLOURS = {"red thing": (220, 30, 30), "green thing": (30, 160, 30), "blue thing": (30, 30, 220)}


class Colourist:
    """A stand-in for a judge that sees colours, and knows the first word of each phrase."""

    def embed_images(self, pictures: Tensor) -> Tensor:
        middle = pictures.shape[-1] // 2
        return F.normalize(pictures[:, :, middle, middle] - 0.3, dim=-1)

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        known = ("red", "green", "blue")
        rows = [[float(text.startswith(colour)) for colour in known] for text in texts]
        return F.normalize(torch.tensor(rows), dim=-1)


class Blind(Colourist):
    """A stand-in that sees no difference between pictures."""

    def embed_images(self, pictures: Tensor) -> Tensor:
        return F.normalize(torch.ones(len(pictures), 3), dim=-1)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pair small enough to be carried, with random weights."""
    folder = tmp_path_factory.mktemp("trained")
    clip: dict[str, object] = {
        "embed_dim": 16,
        "context_length": 32,
        "vocab_size": 49408,
        "transformer_width": 64,
    }
    clip |= {"vision_layers": [1, 1, 1, 1], "vision_patch_size": None}
    clip |= {"transformer_heads": 1, "transformer_layers": 1, "image_resolution": 32, "vision_width": 8}
    ddconfig = {"ch": 32, "ch_mult": [1, 1], "num_res_blocks": 1, "attn_resolutions": [], "z_channels": 32}
    ddconfig |= {"in_channels": 3, "out_ch": 3, "resolution": 32, "double_z": False, "dropout": 0.0}
    maker = {"ddconfig": ddconfig, "n_embed": 64, "embed_dim": 8}
    torch.manual_seed(0)
    _save(folder / "clip", clip, perceptor.build(clip))
    _save(folder / "vqgan", maker, VQGAN(ddconfig, 64, 8))
    return folder


@pytest.fixture(scope="module")
def style(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shard of three things of one colour each."""
    names = [*COLOURS, "red thing"]
    blobs, entries = [], []
    for name in names:
        sprite = np.full((sprites.SIDE, sprites.SIDE, 4), 255, np.uint8)
        sprite[..., :3] = COLOURS[name]
        blobs.append(sprites._encode(sprite))
        entries.append(Entry("openmoji", name, (), "objects", "", 1.0, 1.0))
    told = sources.document(sources.table()["openmoji"])
    path = tmp_path_factory.mktemp("sprites") / "openmoji.npz"
    offsets = np.cumsum([0, *map(len, blobs)], dtype=np.int64)
    sprites._save(Shard(told, entries, b"".join(blobs), offsets), path)
    return path


# Arithmetic


def test_the_right_one_is_first_for_a_perfect_judge_and_by_chance_for_a_shuffled_one() -> None:
    vectors = torch.eye(20)
    assert measures.ranks(vectors, vectors).tolist() == [1] * 20
    assert measures.shares(measures.ranks(vectors, vectors), (1, 5))["mean_reciprocal_rank"] == 1
    control = measures.shuffled(vectors, vectors)
    assert control["first_1"] == pytest.approx(measures.chance(20, (1,))["first_1"], abs=0.02)


def test_ranks_and_shares_are_what_they_are_by_hand() -> None:
    queries = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    gallery = torch.tensor([[0.6, 0.8], [1.0, 0.0], [0.8, 0.6]])
    assert measures.ranks(queries, gallery).tolist() == [3, 1, 2]
    found = measures.shares(torch.tensor([3, 1, 2]), (1, 2))
    assert found["first_1"] == pytest.approx(1 / 3)
    assert found["first_2"] == pytest.approx(2 / 3)
    assert found["mean_reciprocal_rank"] == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)
    assert measures.chance(10, (1, 5))["first_5"] == 0.5


def test_a_judge_that_sees_no_difference_is_not_called_good() -> None:
    same = torch.ones(8, 1)
    assert measures.ranks(same, same).tolist() == [8] * 8


def test_pictures_are_judged_by_the_phrase_that_steered_them() -> None:
    pixels = np.zeros((3, 3, 8, 8), np.uint8)
    pixels[range(3), range(3)] = 255
    found = measures.judged(Colourist(), Shown(list(COLOURS), pixels, pixels[[1, 2, 0]]))
    assert found["first"]["all"]["first_1"] == 1
    assert found["last"]["all"]["first_1"] == 0
    assert found["chance"]["first_1"] == pytest.approx(1 / 3)
    assert found["first"]["unseen"]["queries"] == 3


def test_phrases_that_were_learned_from_are_told_apart() -> None:
    pixels = np.zeros((3, 3, 8, 8), np.uint8)
    pixels[[0, 1, 2], [0, 1, 1]] = 255  # the last one is not blue but green
    found = measures.judged(Colourist(), Shown(list(COLOURS), pixels, pixels), {"red thing"})["first"]
    assert found["all"]["first_1"] == pytest.approx(2 / 3)
    assert found["unseen"]["first_1"] == pytest.approx(1 / 2)


def test_retrieval_takes_one_picture_for_each_label(style: Path) -> None:
    models = {"seeing": Colourist(), "blind": Blind()}
    found = measures.retrieval(models, sprites.load(style), 32, 0)
    assert found["chance"]["among"] == 3
    for ground in ("plain", "gradient"):
        for way in ("text_to_picture", "picture_to_text"):
            assert found["seeing"][ground][way]["first_1"] == 1
        assert found["blind"][ground]["text_to_picture"]["first_1"] == 0


def test_reconstruction_is_measured_in_decibels_and_codes() -> None:
    grey = torch.full((2, 3, 8, 8), 0.5)
    assert measures.psnr(grey + 0.1, grey).tolist() == pytest.approx([20.0, 20.0], abs=1e-3)
    vqgan = pairs.load_vqgan(STARTER, CPU, torch.float32)
    pictures = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
    found = measures.reconstruction(vqgan, pictures)
    assert 0 < found["used"] <= 32 / found["codes"]  # of two pictures of 16 tokens
    assert found["psnr"] > 10


def test_steps_at_the_grid_are_told_from_others() -> None:
    columns = torch.arange(64).float()
    ramp = columns.expand(1, 3, 64, 64) + columns[:, None]
    assert grid.ratio(grid.profiles(ramp, 8)) == pytest.approx(1)
    assert float(grid.unevenness(ramp, 8)) == pytest.approx(0, abs=1e-6)
    # Steps of 3 at the borders, of 1 elsewhere.
    stairs = ramp + (columns // 8) * 2 + (columns // 8)[:, None] * 2
    assert grid.profiles(stairs, 8)[0].tolist() == pytest.approx([3, *[1] * 7])
    assert grid.ratio(grid.profiles(stairs, 8)) == pytest.approx(3)
    shifted = stairs.roll((3, 3), (2, 3))[..., 8:, 8:]  # they are sought at the borders alone
    assert grid.ratio(grid.profiles(shifted, 8)) < 1
    assert float(grid.mismatch(ramp, ramp, 8)) == 0
    assert float(grid.mismatch(stairs, ramp, 8)) == pytest.approx(2 / 8, rel=0.01)


def test_the_starter_leaves_no_more_of_a_grid_than_pictures_have() -> None:
    colours = [words.COLOURS[name] for name in ("blue", "pink", "orange", "green", "white")]
    skies = [
        Background(top, bottom, horizon=0.7, far=far, near=near, rise=0.3, rock=far, light="sun")
        for top, bottom, far, near in itertools.permutations(colours, 4)
    ]
    skies = [
        replace(it, light_at=(0.3, 0.3, 0.1), light_colour=colours[4], skyline="hills") for it in skies[::10]
    ]
    maker = pairs.load_vqgan(STARTER, CPU, torch.float32)
    with torch.no_grad():
        pictures = backgrounds.paint(skies, 128, torch.Generator().manual_seed(0))
        drawn = maker.decode(maker.embed(maker.tokens(pictures))).clamp(0, 1)
    found, own = (grid.ratio(grid.profiles(it, maker.factor)) for it in (drawn, pictures))
    assert found < 1.05 * own


# Keyframes


def test_the_starter_pair_draws_phrases_as_a_film_does(tmp_path: Path) -> None:
    targets = [tmp_path / "starter" / f"{number}.npz" for number in range(2)]
    for number, target in enumerate(targets):
        command = ["keyframes", target, STARTER, "--phrases", PHRASES, "--most", 2]
        command += ["--number", number, "--files", 2, "--keyframes", 2]
        assert _run(*command, *LITTLE) == 0
    phrases = keyframes.read_phrases(PHRASES, 2)
    shown = keyframes.load(targets, phrases)
    assert shown.first.shape == shown.last.shape == (2, 3, 32, 32)
    assert not np.array_equal(shown.first, shown.last)
    assert not np.array_equal(shown.first[0], shown.first[1])
    assert _run("sheet", tmp_path / "sheet.jpg", *targets, "--phrases", PHRASES, "--most", 2) == 0
    assert (tmp_path / "sheet.jpg").read_bytes().startswith(b"\xff\xd8")
    with pytest.raises(UserError, match="found no picture of 'a fire'"):
        keyframes.load(targets, ["a fire"])


def test_a_stopped_drawing_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film, phrases = keyframes.film(LITTLE[1:]), keyframes.read_phrases(PHRASES, 2)
    whole, target = tmp_path / "whole.npz", tmp_path / "part.npz"
    keyframes.draw(STARTER, phrases, film, 1, whole)
    monkeypatch.setattr(states, "EVERY", 0.0)
    drawn: list[str] = []
    pictures = keyframes.Studio.pictures

    def counted(studio: keyframes.Studio, phrase: str, count: int) -> Tensor:
        if drawn == phrases[:1]:
            drawn.append("stop")
            raise KeyboardInterrupt
        drawn.append(phrase)
        return pictures(studio, phrase, count)

    monkeypatch.setattr(keyframes.Studio, "pictures", counted)
    with pytest.raises(KeyboardInterrupt):
        keyframes.draw(STARTER, phrases, film, 1, target)
    assert not target.exists()
    keyframes.draw(STARTER, phrases, film, 1, target)
    assert drawn == [phrases[0], "stop", phrases[1]]
    assert np.array_equal(np.load(target)["first"], np.load(whole)["first"])
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".state")] == []


def test_a_setting_that_no_film_has_is_told_in_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    command = ("keyframes", "x.npz", STARTER, "--phrases", PHRASES, "--film")
    assert _run(*command, "iteration=3") == _run(*command, "iterations") == 1
    said = capsys.readouterr().err
    assert "write 'iterations' instead" in said
    assert "expected a film's setting as KEY=VALUE" in said


# The first pair


def test_the_first_pair_comes_from_history(tmp_path: Path) -> None:
    if not shutil.which("git") or not (REPOSITORY / ".git").exists():
        pytest.skip("there is no git history here")
    pairs.fetch_first(tmp_path / "first")
    pinned = yaml.safe_load(pairs.FIRST.read_text(encoding="utf-8"))["files"]
    assert set(pinned) == set(pairs.FILES) == {file.name for file in (tmp_path / "first").iterdir()}
    assert pairs.weights(tmp_path / "first", "clip").sha256 == pinned["clip.safetensors"]["sha256"]


def test_without_the_history_the_first_pair_is_asked_for_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("git"):
        subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
        with pytest.raises(UserError, match="git fetch --unshallow"):
            pairs.fetch_first(tmp_path / "first", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="install git"):
        pairs.fetch_first(tmp_path / "first", tmp_path)
    assert not (tmp_path / "first").exists()


# Export and card


def test_an_exported_pair_is_half_as_large_and_loads(trained: Path, tmp_path: Path) -> None:
    export.export(trained, tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == set(pairs.FILES)
    for kind in pairs.KINDS:
        tensors = load_file(tmp_path / f"{kind}.safetensors")
        assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
        assert not [name for name in tensors if name.endswith("num_batches_tracked")]
    assert pairs.load_clip(tmp_path, CPU, torch.float32).side == 32


def test_a_pair_that_is_too_large_is_refused(tmp_path: Path) -> None:
    big = pairs.weights(STARTER, "clip"), pairs.weights(STARTER, "vqgan")
    if sum(it.tensors.stat().st_size for it in big) <= export.MOST_BYTES:
        with pytest.raises(UserError, match=r"found 25\.1 MB, expected at most 25 MB"):
            export.check_size(tmp_path, 25_100_000)
        return
    with pytest.raises(UserError, match=r"found 26\.1 MB, expected at most 25 MB"):
        export.export(STARTER, tmp_path / "export")
    assert not (tmp_path / "export").exists()


def test_numbers_that_float16_cannot_hold_are_refused(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "large")
    tensors = load_file(trained / "clip.safetensors")
    tensors["visual.bn1.running_var"].fill_(1e6)
    save_file(tensors, tmp_path / "large" / "clip.safetensors")
    with pytest.raises(UserError, match=r"visual\.bn1\.running_var that float16 cannot hold"):
        export.export(tmp_path / "large", tmp_path / "export")


def test_the_card_says_what_the_figures_say(
    trained: Path, style: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All commands, one after the other, on two pairs and a judge that stand in for real ones."""
    monkeypatch.setattr(evaluation_commands, "_load_judge", lambda _: Colourist())
    made, phrases = tmp_path / "made", ("--phrases", PHRASES, "--most", 2)
    first, new = tmp_path / "first", tmp_path / "export"
    shutil.copytree(trained, first)
    assert _run("export", trained, new) == 0
    for folder, sheet in ((first, "first"), (new, "sheet")):
        pictures = made / folder.name / "0.npz"
        assert _run("keyframes", pictures, folder, *phrases, *LITTLE) == 0
        assert _run("sheet", new / f"{sheet}.jpg", pictures, *phrases) == 0
    drawn = [made / folder.name / "0.npz" for folder in (first, new)]
    assert _run("judge", made / "judged.json", tmp_path / "judge", *drawn, *phrases) == 0
    scenes = ("--side", 32)
    asked = ("--judge", tmp_path / "judge")
    assert _run("retrieval", made / "retrieval.json", style, first, new, *asked, *scenes) == 0
    target = made / "reconstruction.json"
    assert _run("reconstruction", target, first, new, "--styles", style, "--count", 8, *scenes) == 0
    grids = ("grid", made / "grid.json", first, new, "--pictures", *drawn, *phrases)
    assert _run(*grids) == 0
    assert read_json(made / "grid.json")["export"]["keyframes"] == 2
    rounds = ("--rounds", 1, "--iterations", 1)
    assert _run("speed", made / "speed.json", first, new, *rounds, *LITTLE) == 0
    figures = [
        argument for name in evaluation_commands.FIGURES for argument in (f"--{name}", made / f"{name}.json")
    ]
    (tmp_path / "train_clip.log").write_text(
        "2026-01-01 10:00:00 step 10 of 20: loss 1\n2026-01-01 10:06:00 step 20 of 20: loss 1\n"
    )
    command = ("card", new / "CARD.md", *figures, "--styles", style, "--logs", tmp_path)
    assert _run(*command, "--trained-on", "an abacus") == 0

    text = (new / "CARD.md").read_text(encoding="utf-8")
    assert "$" not in text
    for kind in pairs.KINDS:
        assert pairs.weights(new, kind).sha256 in text
    for told in (
        "sheet.jpg",
        "first.jpg",
        "OpenMoji contributors",
        "CC-BY-SA-4.0",
        "1.2.29",
        "all-MiniLM-L6-v2",
    ):
        assert told in text
    assert "the picture tower: 20 steps in 6 minutes on an abacus" in text
    assert "snakemake --snakefile workflow/starter/Snakefile" in text
    retrieved = read_json(made / "retrieval.json")
    share = retrieved["export"]["plain"]["text_to_picture"]["first_1"] * 100
    assert f"plain ground, the right one first | 33.3 % | {share:.1f} % | {share:.1f} % |" in text


def test_the_time_that_a_training_stood_still_is_not_counted() -> None:
    log = """2026-01-01 10:00:00 step 100 of 300: loss 1
2026-01-01 10:05:00 step 200 of 300: loss 1
2026-01-01 18:00:00 stopped; run the same command again to go on.
2026-01-02 09:00:00 step 250 of 300: loss 1
2026-01-02 09:02:00 step 300 of 300: loss 1
"""
    assert card._logged(log) == (300, 7 * 60)


def _run(*arguments: object) -> int:
    return cli.main([str(argument) for argument in arguments])


def _save(path: Path, architecture: Mapping[str, object], module: torch.nn.Module) -> None:
    path.with_suffix(".yaml").write_text(yaml.safe_dump({"model": {"target": "any", "params": architecture}}))
    tensors = {name: tensor.contiguous() for name, tensor in module.state_dict().items()}
    save_file(tensors, path.with_suffix(".safetensors"))
