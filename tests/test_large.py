"""What larger films promise: the size that was asked for, the same pictures, and no edge where tiles meet."""

from __future__ import annotations

import importlib.util
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from songreel.drawing import film, upscaling
from songreel.ground import limits
from songreel.ground.documents import ClipPlan
from songreel.ground.enlarging import Enlarging, Upscaler
from songreel.ground.errors import UserError
from songreel.kernels import tiles
from songreel.models import large, weights
from songreel.planning import enlarging
from songreel.planning.config import resolve
from tests.plans import clip
from tests.starter import picture_maker
from tests.test_film import FFMPEG, ffmpeg

Frames = NDArray[np.uint8]  # [n, height, width, 3]


def smooth(side: int, seed: int = 0) -> Tensor:
    """A picture float32 [1, 3, side, side] in 0..1 that has details, but none finer than some pixels."""
    small = torch.rand(1, 3, side // 8, side // 8, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(small, size=(side, side), mode="bicubic").clamp(0, 1)


def doubled(picture: Tensor) -> Tensor:
    return picture.repeat_interleave(2, 2).repeat_interleave(2, 3)


# tiles


@pytest.mark.parametrize("size", [(64, 64), (65, 100), (30, 200), (41, 40), (200, 33)])
@pytest.mark.parametrize(("side", "overlap"), [(40, 8), (32, 16), (33, 0)])
def test_tiles_cover_a_picture_of_any_size(size: tuple[int, int], side: int, overlap: int) -> None:
    picture = torch.rand(2, 3, *size)
    seen: list[torch.Size] = []

    def function(tile: Tensor) -> Tensor:
        seen.append(tile.shape[2:])
        return doubled(tile)

    torch.testing.assert_close(tiles.tiled(function, picture, side, overlap, 2), doubled(picture))
    assert max(map(max, seen)) <= side


def test_a_picture_of_one_tile_is_what_the_function_makes_of_it() -> None:
    picture = torch.rand(1, 3, 40, 32)
    assert torch.equal(tiles.tiled(torch.sin, picture, 40, 8, 1), torch.sin(picture))


def test_tiles_that_differ_in_brightness_meet_without_an_edge() -> None:
    levels = iter(torch.rand(99, generator=torch.Generator().manual_seed(0)).tolist())
    made = tiles.tiled(lambda tile: tile * 0 + next(levels), torch.zeros(1, 1, 200, 200), 64, 16, 1)[0, 0]
    steps = torch.cat([made.diff(dim=0).abs().flatten(), made.diff(dim=1).abs().flatten()])
    assert made.std() > 0.1
    assert steps.max() < 1.01 / 16


# drawing with too little memory


@pytest.fixture
def scarce(monkeypatch: pytest.MonkeyPatch) -> None:
    """So little memory that nothing but the smallest tile fits."""
    monkeypatch.setattr(limits, "free", lambda: 1000)
    large._sides.clear()


def test_a_picture_that_does_not_fit_is_drawn_in_tiles_that_nobody_sees(
    scarce: None, messages: list[str]
) -> None:
    maker = picture_maker()
    with torch.no_grad():
        latents = maker.embed(maker.tokens(smooth(320)))
        whole = maker.decode(latents)
    tiled = large.decode(maker, latents)
    assert messages == [f"pictures are drawn in tiles of {32 * maker.factor} pixels, for want of memory."]
    assert not torch.equal(tiled, whole)
    assert (tiled - whole).abs().mean() < 8 / 255

    def steps(picture: Tensor) -> Tensor:
        return picture.diff(dim=3).abs().mean((0, 1, 2))

    edges = [end * maker.factor - 1 for _, end in list(tiles._spans(40, 32, large.OVERLAP))[:-1]]
    edges += [first * maker.factor - 1 for first, _ in list(tiles._spans(40, 32, large.OVERLAP))[1:]]
    for edge in edges:
        assert steps(tiled)[edge] < 1.15 * max(steps(whole)[edge], steps(whole).mean())


def test_a_picture_that_fits_is_drawn_whole() -> None:
    maker = picture_maker()
    with torch.no_grad():
        latents = maker.embed(maker.tokens(smooth(64)))
        assert torch.equal(large.decode(maker, latents), maker.decode(latents))


# films that are larger than their pictures


def encoded(target: Path, frames: Frames, size: tuple[int, int], planned: ClipPlan) -> Frames:
    film.encode([frames], planned, size, target, FFMPEG)
    raw = ffmpeg(
        "-i", target, "-vf", "scale=in_color_matrix=bt709", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"
    )
    return np.frombuffer(raw, np.uint8).reshape(-1, size[1], size[0], 3)


@pytest.mark.parametrize("scale", [1.5, 2.0, 3.3])
def test_a_larger_clip_shows_the_same_pictures_enlarged_by_lanczos(scale: float, tmp_path: Path) -> None:
    picture = (smooth(64)[0, :1].repeat(3, 1, 1).permute(1, 2, 0) * 255).to(torch.uint8).numpy()
    planned = clip(3, enlarging=Enlarging(scale), crf=1)
    size = planned.size((64, 64))
    assert size[0] % 2 == 0
    assert abs(size[0] - 64 * scale) <= 1
    shown = encoded(tmp_path / "clip.mp4", np.stack([picture] * 3), size, planned)
    wanted = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS), np.float32)
    assert np.abs(shown - wanted).mean() < 2


def test_a_size_that_was_not_changed_leaves_a_clips_plan_as_it_was() -> None:
    assert enlarging.of(resolve({})) is None
    assert "enlarging" not in ClipPlan.of(resolve({}), clip(3).shown, enlarging=None).to_json()


# models that enlarge


def compact(target: Path, scale: int = 2) -> Path:
    """A model whose pictures are the nearest pixels: its tensors, all of them 0, add nothing to those."""
    features = 4
    tensors = {"body.0.weight": torch.zeros(features, 3, 3, 3), "body.0.bias": torch.zeros(features)}
    tensors |= {"body.1.weight": torch.zeros(features)}
    tensors |= {"body.2.weight": torch.zeros(features, features, 3, 3), "body.2.bias": torch.zeros(features)}
    tensors |= {"body.3.weight": torch.zeros(features)}
    tensors |= {
        "body.4.weight": torch.zeros(3 * scale**2, features, 3, 3),
        "body.4.bias": torch.zeros(3 * scale**2),
    }
    if target.suffix == ".safetensors":
        save_file(tensors, target)
    else:
        torch.save({"params": {name: it + 1 for name, it in tensors.items()}, "params_ema": tensors}, target)
    return target


def entry(path: Path) -> Upscaler:
    return Upscaler(str(path), sha256(path.read_bytes()).hexdigest())


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_a_model_enlarges_every_frame_by_its_own_factor(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upscaling, "SIDE", 40)
    monkeypatch.setattr(upscaling, "OVERLAP", 8)
    frames = np.random.default_rng(0).integers(0, 256, (3, 32, 64, 3), dtype=np.uint8)
    enlarge = upscaling.load(entry(compact(tmp_path / name)), torch.device("cpu"))
    larger = np.concatenate(list(enlarge([frames[:2], frames[2:]])))
    np.testing.assert_allclose(larger, frames.repeat(2, 1).repeat(2, 2), atol=1)


def test_another_model_than_was_planned_with_is_refused(tmp_path: Path) -> None:
    planned = entry(compact(tmp_path / "a.pth"))
    compact(tmp_path / "a.pth", 4)
    with pytest.raises(UserError, match="the plan was made with weights"):
        upscaling.load(planned, torch.device("cpu"))


def test_a_file_that_is_no_such_model_is_refused_in_a_sentence(tmp_path: Path) -> None:
    save_file({"a.weight": torch.zeros(3)}, tmp_path / "a.safetensors")
    for path in (tmp_path / "a.safetensors", weights.vqgan("starter").tensors):
        with pytest.raises(UserError, match="expected a model that enlarges pictures") as told:
            upscaling.read(path)
        assert "\n" not in str(told.value)


def asked(**keys: Any) -> str:
    with pytest.raises(UserError) as told:
        enlarging.of(resolve(keys))
    return str(told.value)


def test_what_a_model_needs_is_said_while_planning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(compact(tmp_path / "a.pth"))
    planned = enlarging.of(resolve({"upscale": 4, "upscaler": path}))
    assert planned == Enlarging(4, entry(Path(path)))
    assert "write for example 'upscale: 2'" in asked(upscaler=path)
    assert "cannot be read" in asked(upscale=2, upscaler=str(tmp_path / "b.pth"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "pip install 'songreel[upscale]'" in asked(upscale=2, upscaler=path)
