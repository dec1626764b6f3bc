"""What a latents file promises: all of a segment, for any reader, in the same bytes for the same content."""

import json
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import zarr
from zarr.storage import ZipStore

from songreel import __version__
from songreel.ground.documents import SegmentRecipe
from songreel.ground.errors import DamageError
from songreel.jobs import latents
from songreel.jobs.latents import Segment
from tests.plans import recipe

RECIPE = recipe(text="Déjà vu: 星")
NAME = RECIPE.id


def save(path: Path, segment: Segment, recipe: SegmentRecipe) -> None:
    with path.open("wb") as file:
        latents.write(file, segment, recipe)


def segment(keyframes: int = 3, height: int = 4, width: int = 6) -> Segment:
    dice = np.random.default_rng(keyframes)
    return Segment(
        dice.integers(0, 65536, (keyframes, height, width), dtype=np.uint16),
        dice.random(keyframes, dtype=np.float32),
        dice.standard_normal((16, height, width), dtype=np.float32),
    )


def assert_same(found: Segment, expected: Segment) -> None:
    for name in ("tokens", "loss", "latent"):
        a, b = getattr(found, name), getattr(expected, name)
        assert a.dtype == b.dtype
        assert np.array_equal(a, b)
        assert a.shape == b.shape


@pytest.mark.parametrize("keyframes", [0, 1, 5, 3000])
def test_a_segment_comes_back_as_it_was(keyframes: int, tmp_path: Path) -> None:
    save(tmp_path / "s.zarr.zip", segment(keyframes), RECIPE)
    assert_same(latents.load(tmp_path / "s.zarr.zip", NAME), segment(keyframes))


@pytest.mark.parametrize("token", [0, 1, 16383, 65535])
def test_every_token_that_fits_in_16_bits_comes_back(token: int, tmp_path: Path) -> None:
    plain = Segment(np.full((2, 2, 2), token, np.uint16), np.zeros(2, np.float32), np.zeros((4, 2, 2), "f4"))
    save(tmp_path / "s.zarr.zip", plain, RECIPE)
    assert_same(latents.load(tmp_path / "s.zarr.zip", NAME), plain)


def test_values_that_are_no_numbers_come_back(tmp_path: Path) -> None:
    odd = np.array([np.nan, np.inf, -0.0], np.float32)
    save(tmp_path / "s.zarr.zip", Segment(segment().tokens, odd, segment().latent), RECIPE)
    assert latents.load(tmp_path / "s.zarr.zip", NAME).loss.tobytes() == odd.tobytes()


def test_the_same_content_is_the_same_bytes_at_any_time_and_under_any_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "now.zarr.zip", segment(), RECIPE)
    year = 366 * 86_400
    now, then, gone = time.time(), time.localtime(time.time() + year), time.gmtime(time.time() + year)
    monkeypatch.setattr(time, "time", lambda: now + year)
    monkeypatch.setattr(time, "localtime", lambda *_: then)
    monkeypatch.setattr(time, "gmtime", lambda *_: gone)
    save(tmp_path / "later.zarr.zip", segment(), RECIPE)
    assert (tmp_path / "now.zarr.zip").read_bytes() == (tmp_path / "later.zarr.zip").read_bytes()


def test_other_content_is_other_bytes(tmp_path: Path) -> None:
    save(tmp_path / "a.zarr.zip", segment(), RECIPE)
    save(tmp_path / "b.zarr.zip", segment(), recipe(text="another"))
    assert (tmp_path / "a.zarr.zip").read_bytes() != (tmp_path / "b.zarr.zip").read_bytes()


def test_plain_zarr_reads_the_file_and_what_it_was_made_from(tmp_path: Path) -> None:
    save(tmp_path / "s.zarr.zip", segment(), RECIPE)
    with ZipStore(tmp_path / "s.zarr.zip", mode="r") as store:
        group = zarr.open_group(store, mode="r", zarr_format=3)
        assert sorted(group.array_keys()) == ["latent", "loss", "tokens"]
        assert group.attrs.asdict() == {"recipe": RECIPE.to_json(), "songreel": __version__}
        assert [str(group[name].dtype) for name in ("tokens", "loss", "latent")] == [  # type: ignore[union-attr]
            "uint16",
            "float32",
            "float32",
        ]


def test_the_recipe_can_be_read_without_zarr(tmp_path: Path) -> None:
    save(tmp_path / "s.zarr.zip", segment(), RECIPE)
    with zipfile.ZipFile(tmp_path / "s.zarr.zip") as archive:
        assert archive.testzip() is None
        assert json.loads(archive.read("zarr.json"))["attributes"]["recipe"] == RECIPE.to_json()


def test_a_segment_grows_by_one_keyframe_at_a_time() -> None:
    canvas = segment().latent
    grown = latents.empty(canvas)
    assert_same(grown, Segment(np.zeros((0, 4, 6), np.uint16), np.zeros(0, np.float32), canvas))
    for keyframe in range(3):
        tokens = np.full((4, 6), 65535 - keyframe, np.int64)
        grown = grown.extended(tokens, keyframe / 4, canvas + keyframe)
    expected = np.array([65535, 65534, 65533], np.uint16)[:, None, None].repeat(4, 1).repeat(6, 2)
    assert_same(grown, Segment(expected, np.array([0, 0.25, 0.5], np.float32), canvas + 2))


def test_tokens_take_little_room(tmp_path: Path) -> None:
    dice = np.random.default_rng(0)
    tokens = dice.integers(0, 16384, (3000, 16, 16), dtype=np.uint16)
    song = Segment(tokens, np.zeros(3000, np.float32), np.zeros((256, 16, 16), np.float32))
    save(tmp_path / "s.zarr.zip", song, RECIPE)
    assert (tmp_path / "s.zarr.zip").stat().st_size < 1.05 * tokens.nbytes


@pytest.mark.parametrize("kept", [0, 0.3, 0.9])
def test_a_file_that_is_cut_short_is_named_and_not_taken_for_a_segment(kept: float, tmp_path: Path) -> None:
    path = tmp_path / "s.zarr.zip"
    save(path, segment(), RECIPE)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(DamageError, match=r"s\.zarr\.zip: found a damaged file \(.*\), expected latents"):
        latents.load(path, NAME)


def test_a_file_with_one_wrong_byte_is_not_taken_for_a_segment(tmp_path: Path) -> None:
    path = tmp_path / "s.zarr.zip"
    save(path, segment(), RECIPE)
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("tokens/c/0/0/0").header_offset
    data = bytearray(path.read_bytes())
    data[start + 30 + len("tokens/c/0/0/0") + 20] ^= 1  # a zip's local header is 30 bytes and the name
    path.write_bytes(data)
    with pytest.raises(DamageError, match="damaged"):
        latents.load(path, NAME)


def test_another_segment_under_a_segments_name_is_not_taken_for_it(tmp_path: Path) -> None:
    save(tmp_path / "s.zarr.zip", segment(), recipe(text="another"))
    with pytest.raises(DamageError, match=f"s.zarr.zip: found the latents of .*, expected those of {NAME}"):
        latents.load(tmp_path / "s.zarr.zip", NAME)


def test_a_shorter_segment_under_a_longer_ones_name_is_not_taken_for_it(tmp_path: Path) -> None:
    save(tmp_path / "s.zarr.zip", segment(3), RECIPE)
    assert len(latents.load(tmp_path / "s.zarr.zip", NAME, 3)) == 3
    with pytest.raises(DamageError, match=r"s\.zarr\.zip: found 3 keyframes, expected at least 4"):
        latents.load(tmp_path / "s.zarr.zip", NAME, 4)
