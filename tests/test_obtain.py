"""A published model, named in config.yaml, is fetched, converted and used; so is one of the user's own."""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

from songreel.cli import main
from songreel.ground.documents import ModelEntry, PerceptorEntry, SegmentRecipe
from songreel.ground.errors import DamageError, UserError
from songreel.ground.paths import Paths
from songreel.jobs import latents, render
from songreel.models import catalogue, obtain, perceptor, weights
from songreel.planning import plan
from songreel.planning.config import resolve
from songreel.sampling import memory
from tests import checkpoints, plans, published, server, starter
from tests.server import Answer, Server

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, and no proxy between this machine and itself."""
    monkeypatch.setenv("SONGREEL_WEIGHTS", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "*")
    return tmp_path / "cache"


@pytest.fixture
def web() -> Iterator[Server]:
    with server.running() as script:
        yield script


class Unwatched:
    def iteration(self) -> None: ...
    def keyframe(self, segment: latents.Segment) -> None: ...


def recipe(model: str, *perceptors: str, size: int = 64, cutouts: int = 2) -> SegmentRecipe:
    entry = weights.vqgan(model)
    judges = [weights.perceptor(name) for name in perceptors]
    return plans.recipe(
        model=ModelEntry(entry.name, entry.sha256),
        perceptors=tuple(PerceptorEntry(judge.name, judge.sha256) for judge in judges),
        size=(size, size),
        iterations=2,
        lead_in=0,
        cutouts=cutouts,
    )


def rendered(made: SegmentRecipe, folder: Path, micro_batch: int = 0) -> latents.Segment:
    """The segment of a recipe, one keyframe long."""
    paths, name = Paths(folder / "results"), made.id
    render.segment(made, name, 1, paths, Unwatched(), micro_batch)
    return latents.load(paths.latents(name, 1), name, 1)


def check_keyframe(segment: latents.Segment, grid: int, channels: int, codes: int) -> None:
    assert segment.tokens.shape == (1, grid, grid)
    assert segment.tokens.max() < codes
    assert segment.latent.shape == (channels, grid, grid)
    assert torch.isfinite(torch.from_numpy(segment.latent)).all()
    assert 0 < segment.loss[0] < 5


# Every published architecture


@pytest.mark.parametrize("name", published.VQGANS)
def test_every_published_vqgan_is_fetched_converted_and_draws(
    name: str, web: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = published.served(web, tmp_path, name)
    monkeypatch.setattr(catalogue, "_listed", published.listing(model))
    found = obtain.model(name)
    config = published.VQGANS[name]
    state = published.vqgan_state(config)
    converted = load_file(found.tensors)
    assert converted.keys() == state.keys()
    assert all(torch.equal(converted[key], state[key]) for key in state)
    assert weights.factor(found) == (8 if name == "openimages-8192" else 16)
    segment = rendered(recipe(name, "starter"), tmp_path)
    check_keyframe(segment, 64 // weights.factor(found), published.WIDTH, config["params"]["n_embed"])


@pytest.mark.parametrize("name", published.PERCEPTORS)
def test_every_published_clip_is_fetched_converted_and_judges(
    name: str, web: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = published.served(web, tmp_path, name)
    monkeypatch.setattr(catalogue, "_listed", published.listing(model))
    found = obtain.model(name)
    expected = published.PERCEPTORS[name]
    assert weights.params(found) == expected | {"vision_layers": _plain(expected["vision_layers"])}
    check_keyframe(rendered(recipe("starter", name), tmp_path), 8, 16, starter.codes())
    _check_tower_is_clips_own(name)


def _plain(layers: Any) -> Any:
    return list(layers) if isinstance(layers, tuple) else layers


def _check_tower_is_clips_own(name: str) -> None:
    """Against `encode_image` and `encode_text` of clip-anytorch's model, in float32 and in bfloat16."""
    judge = perceptor.load(weights.perceptor(name), CPU, torch.float32)
    pictures = torch.rand(2, 3, judge.side, judge.side, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        ours = judge.embed_images(pictures)
        theirs = judge.clip.encode_image((pictures - judge.mean) / judge.std)
        torch.testing.assert_close(ours, theirs / theirs.norm(dim=-1, keepdim=True), rtol=1e-4, atol=1e-5)
        coarse = perceptor.load(weights.perceptor(name), CPU, torch.bfloat16).embed_images(pictures)
    assert torch.nn.functional.cosine_similarity(coarse, ours).min() > 0.98


def test_several_perceptors_pull_together_each_at_its_own_size_and_weight(
    web: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("ViT-B/32", "RN50x4")
    models = [published.served(web, tmp_path, name) for name in names]
    monkeypatch.setattr(catalogue, "_listed", published.listing(*models))
    for name in names:
        obtain.model(name)
    both = recipe("starter", *names, "starter")
    first, *others = both.perceptors
    weighed = replace(both, perceptors=(replace(first, weight=0.5), *others))
    losses = [
        float(rendered(made, tmp_path).loss[0]) for made in (both, weighed, recipe("starter", names[0]))
    ]
    assert losses[0] - losses[1] == pytest.approx(losses[2] / 2, rel=0.2)
    assert losses[1] > losses[2] * 0.5
    few_at_a_time = rendered(both, tmp_path / "again", micro_batch=1)
    assert float(few_at_a_time.loss[0]) == pytest.approx(losses[0], rel=1e-3)


# The cache


def test_with_files_placed_by_hand_no_network_is_touched(
    web: Server, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = [published.served(web, tmp_path, name) for name in ("coco", "ViT-B/32")]
    monkeypatch.setattr(catalogue, "_listed", published.listing(*models))
    cache.mkdir()
    for model in models:
        for remote in model.files:
            (cache / remote.name).write_bytes(web.files[f"/{remote.name}"])

    def refused(*_: object) -> None:
        raise AssertionError("the network was touched")

    monkeypatch.setattr(socket.socket, "connect", refused)
    for model in models:
        obtain.model(model.name)
    check_keyframe(rendered(recipe("coco", "ViT-B/32"), tmp_path), 4, published.WIDTH, 8192)
    assert web.asked == []


def test_a_model_is_fetched_and_converted_once(
    web: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, messages: list[str]
) -> None:
    monkeypatch.setattr(catalogue, "_listed", published.listing(published.served(web, tmp_path, "coco")))
    first = obtain.model("coco")
    messages.clear()
    before = first.tensors.stat()
    assert obtain.model("coco") == first
    after = first.tensors.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert messages == []
    assert len(web.asked) == 2


def test_a_file_with_a_wrong_byte_is_refused_and_nothing_is_converted(
    web: Server, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = published.served(web, tmp_path, "coco")
    monkeypatch.setattr(catalogue, "_listed", published.listing(model))
    name = f"/{model.files[-1].name}"
    data = bytearray(web.files[name])
    data[len(data) // 2] ^= 1
    web.answers[name] = [Answer(body=bytes(data))]
    with pytest.raises(UserError, match="found sha256"):
        obtain.model("coco")
    assert not (cache / "converted").exists()


def test_a_render_without_its_weights_says_how_to_fetch_them(
    web: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "_listed", published.listing(published.served(web, tmp_path, "coco")))
    with pytest.raises(
        UserError, match=r"coco-[0-9a-f]{16}\.safetensors: found no such file.*songreel fetch coco"
    ):
        rendered(recipe("coco", "starter"), tmp_path)


@pytest.mark.parametrize("kept", [0, 100, 5000])
def test_converted_weights_that_are_cut_short_are_named(kept: int, tmp_path: Path) -> None:
    own = str(published.write_vqgan("coco", tmp_path / "mine.ckpt"))
    tensors = obtain.model(own).tensors
    tensors.write_bytes(tensors.read_bytes()[:kept])
    with pytest.raises(
        DamageError, match=r"mine-.*: found other weights of .*mine.ckpt.* than were converted"
    ):
        rendered(recipe(own, "starter"), tmp_path)
    obtain.model(own)
    check_keyframe(rendered(recipe(own, "starter"), tmp_path), 4, published.WIDTH, 8192)


def test_the_command_fetches_what_is_named_and_refuses_what_is_unknown(
    web: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(catalogue, "_listed", published.listing(published.served(web, tmp_path, "coco")))
    assert main(["fetch", "coco"]) == 0
    assert re.search(r"songreel: coco is ready: .*coco-.*\.safetensors", capsys.readouterr().err)
    assert main(["fetch", "cocoa"]) == 1
    assert "fetch: found 'cocoa', expected one of starter, coco" in capsys.readouterr().err


# Planning


def planned(folder: Path, **keys: Any) -> plan.Plan:
    screenplay = folder / "song.csv"
    screenplay.write_text('"a red boat",0\n')
    return plan.make(
        resolve({"screenplay": str(screenplay), "audio": "none", **keys}), Paths(folder / "results")
    )


def test_a_film_is_planned_before_its_models_are_there(tmp_path: Path) -> None:
    made = planned(tmp_path, model="imagenet-16384", perceptors=["ViT-B/32", "RN50:0.5"], size="1280x720")
    (segment,) = made.segments.values()
    sha256 = "845a68805098cb666420d5db93df53f3a3b6dd443e6dd85c05759c5b998cd663"
    assert segment.model == ModelEntry("imagenet-16384", sha256)
    assert [entry.weight for entry in segment.perceptors] == [1, 0.5]


@pytest.mark.parametrize(("size", "nearest"), [("1280x722", "1280x720"), ("1270x720", "1264x720")])
def test_a_size_off_the_grid_is_refused_with_the_nearest_one(size: str, nearest: str, tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=f"found {size}, expected multiples of 16 pixels .*nearest is {nearest}"
    ):
        planned(tmp_path, model="imagenet-16384", size=size)


@pytest.mark.parametrize(
    "use",
    [
        lambda folder: planned(folder, model="imagenet-1024", size="64x64"),
        lambda _: obtain.model("imagenet-1024"),
        # what a job makes of a plan of before
        lambda _: weights.brought(plans.recipe(model=ModelEntry("imagenet-1024", "0" * 64))),
    ],
    ids=["plan", "fetch", "job"],
)
def test_a_model_that_is_listed_no_longer_is_told_with_what_to_do(
    use: Callable[[Path], object], tmp_path: Path, cache: Path
) -> None:
    copy = re.escape(str(cache / "vqgan_imagenet_f16_1024.ckpt"))
    with pytest.raises(UserError, match=rf"^model 'imagenet-1024': .*sha256.* by its path, as {copy} with"):
        use(tmp_path)


def test_the_copy_in_the_cache_of_a_model_that_is_listed_no_longer_draws_by_its_path(
    tmp_path: Path, cache: Path
) -> None:
    cache.mkdir()
    copy = published.write_vqgan("sflckr", cache / catalogue.DROPPED["imagenet-1024"])
    (segment,) = planned(tmp_path, model=str(copy), size="64x64").segments.values()
    assert segment.model.name == str(copy)


# A checkpoint of one's own


def test_a_checkpoint_of_ones_own_is_hashed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = published.write_vqgan("coco", tmp_path / "mine.ckpt")
    first = weights.vqgan(str(own))
    with monkeypatch.context() as patch:
        patch.setattr("songreel.models.digests.digest", None)
        assert weights.vqgan(str(own)) == first
    os.utime(own, ns=(1, 1))
    assert weights.vqgan(str(own)) == first
    own.with_suffix(".yaml").write_text(
        own.with_suffix(".yaml").read_text().replace("resolution: 256", "resolution: 128")
    )
    assert weights.vqgan(str(own)).sha256 != first.sha256


def test_models_of_ones_own_draw_and_judge(tmp_path: Path) -> None:
    own = str(published.write_vqgan("openimages-8192", tmp_path / "mine.ckpt"))
    judge = str(published.write_clip("RN50", tmp_path / "my clip.pt"))
    for name in (own, judge):
        obtain.model(name)
    check_keyframe(rendered(recipe(own, judge), tmp_path), 8, published.WIDTH, 8192)


def test_a_malicious_checkpoint_of_ones_own_creates_nothing_and_is_refused(
    tmp_path: Path, cache: Path
) -> None:
    own, target = published.write_vqgan("coco", tmp_path / "mine.ckpt"), tmp_path / "created"
    named = checkpoints.malicious(own, target, "os", checkpoints.zipped)
    with pytest.raises(UserError, match=re.escape(named)):
        obtain.model(str(own))
    assert not target.exists()
    assert not list((cache / "converted").glob("*"))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (
            lambda text: text.replace("n_embed: 8192", "n_embed: 70000"),
            "found 70000 codes, expected at most 65536",
        ),
        (
            lambda text: text.replace("n_embed", "n"),
            "found no model.params.n_embed, expected the architecture",
        ),
        (lambda text: None, "found no .*mine.yaml, expected taming's YAML beside mine.ckpt"),
    ],
)
def test_what_is_wrong_with_a_yaml_of_ones_own_is_told_by_the_plan(
    spoil: Any, words: str, tmp_path: Path
) -> None:
    own = published.write_vqgan("coco", tmp_path / "mine.ckpt")
    config = own.with_suffix(".yaml")
    text = spoil(config.read_text())
    config.unlink()
    if text:
        config.write_text(text)
    with pytest.raises(UserError, match=words):
        planned(tmp_path, model=str(own), size="64x64")


def test_a_missing_or_surplus_tensor_is_named(tmp_path: Path) -> None:
    own = published.write_vqgan("coco", tmp_path / "mine.ckpt")
    state = published.vqgan_state(published.VQGANS["coco"])
    del state["decoder.conv_out.bias"]
    checkpoints.bare(own, state)
    with pytest.raises(UserError, match=r"do not fit mine\.yaml \(found no decoder\.conv_out\.bias\)"):
        obtain.model(str(own))
    checkpoints.bare(
        own, published.vqgan_state(published.VQGANS["coco"]) | {"encoder.more.weight": torch.zeros(1)}
    )
    with pytest.raises(UserError, match=r"found encoder\.more\.weight, which it knows nothing of"):
        obtain.model(str(own))
    assert not list((tmp_path / "cache/converted").glob("*"))


# The true size


def test_the_true_imagenet_16384_with_vit_b_32_does_two_iterations(tmp_path: Path) -> None:
    """With random weights, at 256x256; the memory that is told beforehand is what it takes."""
    torch.manual_seed(0)
    config = published.vqgan_config(published.F16, [16], 16384, "VQModel", ch=128, z_channels=256)
    config["params"]["embed_dim"] = 256
    own = tmp_path / "full.ckpt"
    checkpoints.bare(own, published.vqgan_state(config))
    own.with_suffix(".yaml").write_text(yaml.safe_dump({"model": config}))
    judge = tmp_path / "clip.pt"
    wide = {"embed_dim": 512, "vision_width": 768, "transformer_width": 512, "transformer_heads": 8}
    full = published.PERCEPTORS["ViT-B/32"] | wide | {"transformer_layers": 12}
    checkpoints.bare(judge, perceptor.build(full).state_dict())
    towers = {"vision_cfg": {"patch_size": 32}, "text_cfg": {}}  # as open_clip's defaults have them
    judge.with_suffix(".json").write_text(json.dumps({"embed_dim": 512, "quick_gelu": True, **towers}))
    for name in (str(own), str(judge)):
        obtain.model(name)
    segment = rendered(recipe(str(own), str(judge), size=256, cutouts=4), tmp_path)
    check_keyframe(segment, 16, 256, 16384)
    assert segment.tokens.dtype == "uint16"
    stored = sum(
        memory._loaded_bytes(find(str(path)))
        for find, path in ((weights.vqgan, own), (weights.perceptor, judge))
    )
    assert 0.9e9 < stored < 1.1e9
