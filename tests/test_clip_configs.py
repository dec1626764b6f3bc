"""A CLIP of another house sees as it does there, or is refused by name; nothing about it is guessed."""

from __future__ import annotations

import copy
import functools
import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from songreel.ground.errors import UserError
from songreel.models import clip_configs, fits, obtain, perceptor, weights
from songreel.models.perceptor import Perceptor
from tests import checkpoints, published
from tests import reference_clip as reference

CPU = torch.device("cpu")
WORDS = ["a red house", "the sea at night"]
PICTURES = torch.rand(3, 3, reference.SIDE, reference.SIDE, generator=torch.Generator().manual_seed(1))
STATE = functools.cache(reference.weights)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SONGREEL_WEIGHTS", str(tmp_path / "cache"))
    return tmp_path / "cache"


def saved(path: Path, state: Mapping[str, Tensor], config: Any, name: str = "") -> str:
    """A checkpoint and beside it its config, named like it unless told otherwise."""
    path.parent.mkdir(exist_ok=True)
    if path.suffix == ".safetensors":
        save_file(dict(state), path)
    else:
        torch.save({"epoch": 3, "state_dict": dict(state)} if path.suffix == ".pt" else dict(state), path)
    (path.with_name(name) if name else path.with_suffix(".json")).write_text(json.dumps(config))
    return str(path)


def loaded(name: str) -> Perceptor:
    return perceptor.load(obtain.perceptor(name), CPU, torch.float32)


def check_sees(judge: Perceptor, heads: int, text_heads: int, activation: str, **pixels: Any) -> None:
    tokens = perceptor.tokenize(WORDS, reference.CONTEXT)
    pictures = reference.images(STATE(), PICTURES, heads, activation, **pixels)
    texts = reference.texts(STATE(), tokens, text_heads, activation)
    torch.testing.assert_close(judge.embed_images(PICTURES), pictures, rtol=1e-4, atol=2e-5)
    torch.testing.assert_close(judge.embed_texts(WORDS), texts, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize(("heads", "text_heads"), [(3, 2), (2, 4), (1, 1)])
@pytest.mark.parametrize("quick", [True, False], ids=["quick", "gelu"])
def test_open_clips_towers_see_as_their_config_tells(
    heads: int, text_heads: int, quick: bool, tmp_path: Path
) -> None:
    config = {"model_cfg": reference.open_clip_config(heads, text_heads, quick), "preprocess_cfg": {}}
    judge = loaded(
        saved(tmp_path / "m/open_clip_model.safetensors", STATE(), config, "open_clip_config.json")
    )
    check_sees(judge, heads, text_heads, "quick_gelu" if quick else "gelu")


@pytest.mark.parametrize("activation", ["quick_gelu", "gelu", "gelu_new"])
@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_hugging_faces_clip_sees_as_its_config_tells(file: str, activation: str, tmp_path: Path) -> None:
    config = reference.hugging_face_config(3, 4, activation)
    state = reference.hugging_face_names(STATE())
    (tmp_path / "m").mkdir()
    pixels = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4]}
    (tmp_path / "m/preprocessor_config.json").write_text(json.dumps(pixels))
    judge = loaded(saved(tmp_path / "m" / file, state, config, "config.json"))
    check_sees(judge, 3, 4, activation, mean=pixels["image_mean"], std=pixels["image_std"])


@pytest.mark.parametrize("quick", [True, False], ids=["quick", "gelu"])
def test_what_is_fused_for_gpus_sees_the_same(quick: bool, tmp_path: Path) -> None:
    judge = loaded(saved(tmp_path / "mine.pt", STATE(), reference.open_clip_config(3, 2, quick)))
    perceptor.fuse(judge.clip.visual)
    check_sees(judge, 3, 2, "quick_gelu" if quick else "gelu")


@pytest.mark.parametrize("prefix", ["module.", "model.", "_orig_mod.module.", "ema.", "text."])
def test_what_trainers_put_before_names_changes_nothing(prefix: str, tmp_path: Path) -> None:
    look = ("visual.", "logit_scale")
    state = {
        name if prefix == "text." and name.startswith(look) else f"{prefix}{name}": tensor
        for name, tensor in STATE().items()
    }
    judge = loaded(saved(tmp_path / "epoch_3.pt", state, reference.open_clip_config(3, 2, False)))
    check_sees(judge, 3, 2, "gelu")


def test_two_clips_in_one_file_are_refused(tmp_path: Path) -> None:
    state = {f"{prefix}{name}": tensor for prefix in ("model.", "ema.") for name, tensor in STATE().items()}
    with pytest.raises(UserError, match=r"mine\.pt: found the model 2 times, under ema\. and model\."):
        loaded(saved(tmp_path / "mine.pt", state, reference.open_clip_config(3, 2, False)))


def test_without_a_config_nothing_is_guessed(tmp_path: Path) -> None:
    path = tmp_path / "mine.pt"
    checkpoints.bare(path, STATE())
    with pytest.raises(UserError, match=r"mine\.pt: found a CLIP whose tensors do not tell its heads"):
        weights.perceptor(str(path))


def test_an_archive_of_openais_needs_no_config_whatever_lies_beside_it(tmp_path: Path) -> None:
    path = published.write_clip("ViT-B/32", tmp_path / "clip.pt")
    before = weights.perceptor(str(path))
    (tmp_path / "config.json").write_text("{}")
    assert weights.perceptor(str(path)) == before
    assert obtain.perceptor(str(path)) == before


def test_a_config_that_tells_the_usual_leaves_the_id_as_it_was(tmp_path: Path) -> None:
    usual = published.PERCEPTORS["ViT-B/32"]
    checkpoints.bare(tmp_path / "mine.pt", perceptor.build(usual).state_dict())
    config: dict[str, Any] = {"embed_dim": 32, "quick_gelu": True}
    config["vision_cfg"] = {"width": 64, "patch_size": 32}
    config["text_cfg"] = {"width": 64, "heads": 1, "layers": 2}
    ids = []
    for over in (
        {},
        {"quick_gelu": False},
        {"vision_cfg": {"width": 64, "patch_size": 32, "head_width": 32}},
    ):
        (tmp_path / "mine.json").write_text(json.dumps(config | over))
        ids.append(weights.perceptor(str(tmp_path / "mine.pt")).sha256)
    assert ids[0] == weights.hash_once("perceptors", tmp_path / "mine.pt")
    assert len(set(ids)) == 3


OPEN_CLIP: list[tuple[dict[str, Any], str]] = [
    ({"ls_init_value": 0.1}, "vision_cfg.ls_init_value"),
    ({"timm_model_name": "vit"}, "vision_cfg.timm_model_name"),
    ({"pool_type": "avg"}, "vision_cfg.pool_type"),
    ({"head_width": 0}, "vision_cfg.head_width"),
    ({"head_width": 5}, "vision_cfg.vision_heads"),
    ({"head_width": "64"}, "vision_cfg.head_width"),
    ({"layers": 10**9}, "vision_cfg.layers"),
    ({"image_size": [32, 64]}, "vision_cfg.image_size"),
    ({"wavelets": True}, "vision_cfg.wavelets"),
    ({"width": 64}, "do not fit mine.json"),
    ({"layers": 3}, "do not fit mine.json"),
]


@pytest.mark.parametrize(("vision", "named"), OPEN_CLIP)
def test_what_open_clip_has_and_songreel_has_not_is_refused_by_name(
    vision: dict[str, Any], named: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=named):
        loaded(saved(tmp_path / "mine.pt", STATE(), reference.open_clip_config(3, 2, False, **vision)))


HUGGING_FACE: list[tuple[dict[str, Any], str]] = [
    ({"model_type": "siglip"}, "model_type"),
    ({"text_config": {"hidden_act": "relu"}}, "text_config.hidden_act"),
    ({"vision_config": {"layer_norm_eps": 1e-6}}, "vision_config.layer_norm_eps"),
    ({"text_config": {"vocab_size": 30000}}, "vocab_size"),
    ({"text_config": {"eos_token_id": 7}}, "text_config.eos_token_id"),
    ({"vision_config": [1]}, "vision_config"),
    ({"projection_dim": -1}, "projection_dim"),
]


@pytest.mark.parametrize(("over", "named"), HUGGING_FACE)
def test_what_hugging_face_has_and_songreel_has_not_is_refused_by_name(
    over: dict[str, Any], named: str, tmp_path: Path
) -> None:
    path = saved(
        tmp_path / "model.safetensors",
        {"token_embedding.weight": torch.ones(1)},
        {"model_type": "clip"} | over,
    )
    with pytest.raises(UserError, match=named):
        weights.perceptor(path)


@pytest.mark.parametrize("text", ["", "[1]", "[" * 100_000, "{", '{"model_cfg": 3}', "9" * 5000, "null"])
def test_a_config_that_is_none_is_refused_in_a_sentence(text: str, tmp_path: Path) -> None:
    path = saved(tmp_path / "mine.pt", {"token_embedding.weight": torch.ones(1)}, {})
    (tmp_path / "mine.json").write_text(text)
    with pytest.raises(UserError, match=r"mine\.json: found"):
        weights.perceptor(path)


VALUES: list[Any] = [
    0,
    1,
    -1,
    3,
    64,
    10**9,
    10**30,
    1.5,
    float("inf"),
    float("nan"),
    None,
    True,
    "",
    "gelu",
    [],
    {},
]
VALUES += [[1, 2], [1, 1, 1, 1], [0.5, 0.5, 0.5], {"a": 1}, [[1]], "64"]


def test_no_config_breaks_out(tmp_path: Path) -> None:
    """Whatever it says, it is read or refused in a sentence; so is building what was read."""
    good: list[Any] = [
        {"model_cfg": reference.open_clip_config(3, 2, False), "preprocess_cfg": {"mean": [0.5] * 3}},
        reference.hugging_face_config(3, 2, "gelu"),
    ]
    read = 0
    for seed in range(300):
        draw = random.Random(seed)
        config = copy.deepcopy(draw.choice(good))
        for _ in range(draw.randint(1, 3)):
            places = [config, *(value for value in config.values() if isinstance(value, dict))]
            places += [value for place in places[1:] for value in place.values() if isinstance(value, dict)]
            place = draw.choice(places)
            place[draw.choice([*place, "mean", "act_kwargs"])] = draw.choice(VALUES)
        (tmp_path / "mine.json").write_text(json.dumps(config))
        try:
            built = clip_configs.params(tmp_path / "mine.json")
            clip_configs.identity(built)
            fits.expected(functools.partial(perceptor.build, built), tmp_path / "mine.json")
            read += 1
        except UserError as error:
            assert "\n" not in str(error) and len(str(error)) < 500, seed
    assert 0 < read < 300


CRAFTED: dict[str, dict[str, Tensor | None]] = {  # in the place of a good archive's tensors
    "scalar": {"visual.conv1.weight": torch.tensor(1.0)},
    "scalars": {
        name: torch.tensor(1.0) for name in ("text_projection", "positional_embedding", "ln_final.weight")
    },
    "one dimension": {"visual.conv1.weight": torch.ones(64)},
    "a projection in one dimension": {"text_projection": torch.ones(32)},
    "no positions": {"visual.positional_embedding": None},
    "empty positions": {"visual.positional_embedding": torch.empty(0, 64)},
    "no text": {"token_embedding.weight": torch.tensor(3)},
    "no patches": {"visual.conv1.weight": torch.empty(64, 3, 0, 0)},
    "wide beyond memory": {"text_projection": torch.empty(0, 1 << 40)},
    "integers": {"text_projection": torch.ones(64, 32, dtype=torch.int8)},
    "not finite": {"text_projection": torch.full((64, 32), float("nan"))},
}


@pytest.mark.parametrize("craft", CRAFTED)
def test_a_crafted_clip_is_refused_in_a_sentence(craft: str, tmp_path: Path) -> None:
    facts = {name: torch.tensor(1) for name in clip_configs.CLIP_FACTS}
    state = perceptor.build(published.PERCEPTORS["ViT-B/32"]).state_dict() | facts | CRAFTED[craft]
    kept = {name: tensor for name, tensor in state.items() if tensor is not None}
    checkpoints.bare(tmp_path / "mine.pt", kept)
    with pytest.raises(UserError, match=r"mine\.pt: ") as told:
        obtain.perceptor(str(tmp_path / "mine.pt"))
    assert "\n" not in str(told.value)
    assert not list((tmp_path / "cache/converted").glob("*.safetensors"))
