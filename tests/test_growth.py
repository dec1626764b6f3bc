"""Containers that would grow to gigabytes are refused by what they say of themselves."""

from __future__ import annotations

import io
import json
import resource
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from songreel.ground.errors import DamageError, UserError
from songreel.jobs import latents
from songreel.models import archives, checkpoints
from tests import checkpoints as build
from tests.plans import RECIPE

MOST_GROWTH = 500 << 20  # bytes
NAME = RECIPE.id


@pytest.fixture(autouse=True)
def small() -> Iterator[None]:
    """Nothing takes more than half a gigabyte."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < MOST_GROWTH


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as told:
        checkpoints.tensors(path)
    assert "\n" not in str(told.value)
    return str(told.value)


# checkpoints

MEMOISED = b"\x80\x02(" + b"K\x01" * 50_000 + b"lq\x00"  # a list of 50,000 numbers, and its name
PICKLES = {
    "empty lists": b"\x80\x02(" + b"]" * 3_000_000 + b"t.",
    "empty sets": b"\x80\x04(" + b"\x8f" * 3_000_000 + b"t.",
    "nested lists": b"\x80\x02" + b"(" * 2_000_000 + b"l" * 2_000_000 + b".",
    "nested dicts": b"\x80\x02" + b"}K\x01" * 1_000_000 + b"s" * 999_999 + b".",
    "a list copied": MEMOISED + b"ccollections\nOrderedDict\nq\x01" + b"h\x01h\x00\x85R" * 100_000 + b".",
    "a tuple of arguments": MEMOISED + b"cforeign\nA\nq\x01" + b"h\x01h\x00\x85\x81" * 100_000 + b".",
    "a shape copied": MEMOISED
    + b"ctorch._utils\n_rebuild_tensor_v2\nq\x01"
    + b"h\x01(K\x00K\x00h\x00h\x00tR" * 9,
    "a huge number": b"\x80\x02\x8b" + struct.pack("<i", 1 << 20) + b"\x7f" * (1 << 20) + b".",
    "objects": b"\x80\x02(cforeign\nA\nq\x01" + b"h\x01)\x81" * 1_000_000 + b"t.",
}


@pytest.mark.parametrize("what", PICKLES)
def test_a_pickle_of_huge_containers_is_refused_early(what: str, tmp_path: Path) -> None:
    assert "a damaged file or no checkpoint" in refusal(build.zipped(tmp_path / "bomb.pt", PICKLES[what]))


def test_so_is_one_in_the_format_before(tmp_path: Path) -> None:
    assert "more steps" in refusal(build.stacked(tmp_path / "bomb.pt", PICKLES["empty lists"]))


def test_a_module_that_holds_one_dict_many_times_is_refused(tmp_path: Path) -> None:
    module = b"c__torch__\nM\n)\x81"
    shared = b"}(" + b"".join(build.pickled(f"n{n}") + b"K\x01" for n in range(3000)) + b"uq\x05"
    modules = b"".join(build.pickled(f"m{n}") + module + b"h\x05b" for n in range(3000))
    data = b"\x80\x02" + shared + b"0" + module + b"}(" + modules + b"ub."
    assert "more modules than any model has" in refusal(build.zipped(tmp_path / "bomb.pt", data))


def test_a_pickle_that_is_packed_tight_is_refused_by_its_size(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("archive/data.pkl", "w", force_zip64=True) as file:
            for _ in range(40):
                file.write(bytes(1 << 20))
        archive.writestr("archive/version", "3\n")
    assert (tmp_path / "bomb.pt").stat().st_size < 100_000
    assert "absurd size" in refusal(tmp_path / "bomb.pt")


def test_entries_over_one_another_and_views_of_one_are_refused(tmp_path: Path) -> None:
    numbers = torch.zeros(300_000)
    views = {f"encoder.{n}": numbers[n:] for n in range(40)}
    assert "bytes of tensors in" in refusal(build.bare(tmp_path / "views.pt", views))
    assert "bytes of tensors in" in refusal(overlapping(tmp_path / "over.pt", 40, 300_000))


def overlapping(path: Path, count: int, numbers: int) -> Path:
    """An archive whose directory lists the same numbers under many names."""
    build.bare(path, {f"encoder.{n}": torch.zeros(numbers if n == 0 else 1) for n in range(count)})
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
        root = archive.namelist()[0].split("/")[0]
    huge = entries[f"{root}/data/0"]
    many = b"J" + struct.pack("<i", numbers)  # which every storage is said to hold
    pickled = entries[f"{root}/data.pkl"].replace(b"K\x01tq", many + b"tq")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{root}/data.pkl", pickled)
        archive.writestr(f"{root}/data/0", huge)
        first = archive.getinfo(f"{root}/data/0")
        for n in range(1, count):
            info = zipfile.ZipInfo(f"{root}/data/{n}")
            info.header_offset, info.CRC = first.header_offset, first.CRC
            info.file_size = info.compress_size = first.file_size
            archive.filelist.append(info)
            archive.NameToInfo[info.filename] = info
        archive._didModify = True  # type: ignore[attr-defined]
    return path


def test_a_directory_of_absurd_length_is_refused_unread(tmp_path: Path) -> None:
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 65535, 65535, 1 << 30, 4, 0)
    (tmp_path / "bomb.pt").write_bytes(b"PK\x03\x04" + end)
    assert "directory of 65535 entries" in refusal(tmp_path / "bomb.pt")


def test_a_header_of_absurd_length_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "bomb.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", archives.MOST_HEADER + 8) + b"{")
        file.truncate(archives.MOST_HEADER + 100)
    assert "absurd size" in refusal(tmp_path / "bomb.safetensors")


def test_safetensors_are_told_from_a_pickle_whatever_their_header_begins_with(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    state = {"encoder.weight": torch.ones(2)}
    for length in range(140):
        save_file(state, tmp_path / "a.safetensors", {"pad": "x" * length})
        if (tmp_path / "a.safetensors").read_bytes()[:1] == archives.PICKLE:
            break
    else:
        raise AssertionError("no header begins as a pickle does")
    assert checkpoints.tensors(tmp_path / "a.safetensors").keys() == state.keys()


# latents


def chain(keyframes: int = 5) -> latents.Segment:
    draw = np.random.default_rng(0)
    tokens = draw.integers(0, 99, (keyframes, 4, 4)).astype(np.uint16)
    return latents.Segment(
        tokens, np.ones(keyframes, np.float32), draw.standard_normal((8, 4, 4)).astype(np.float32)
    )


def repacked(path: Path, changes: dict[str, bytes], how: int = zipfile.ZIP_STORED) -> Path:
    """A latents file some of whose entries are others, each packed by `how`."""
    file = io.BytesIO()
    latents.write(file, chain(), RECIPE)
    with zipfile.ZipFile(file) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()} | changes
    with zipfile.ZipFile(path, "w", how) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return path


def described(name: str, **over: object) -> dict[str, bytes]:
    """What zarr notes of an array, with other values."""
    file = io.BytesIO()
    latents.write(file, chain(), RECIPE)
    with zipfile.ZipFile(file) as archive:
        facts = json.loads(archive.read(f"{name}/zarr.json"))
    return {f"{name}/zarr.json": json.dumps(facts | over).encode()}


def zstd(size: int) -> bytes:
    """A frame that says it becomes so many bytes, all of them zero."""
    blocks = [struct.pack("<I", 128 << 10 << 3 | 2)[:3] + b"\0"] * (size >> 17)
    blocks[-1] = struct.pack("<I", 128 << 10 << 3 | 3)[:3] + b"\0"
    return b"\x28\xb5\x2f\xfd" + bytes([0b11000000, 0x60]) + struct.pack("<Q", size) + b"".join(blocks)


def grid(*shape: int) -> dict[str, object]:
    return {"name": "regular", "configuration": {"chunk_shape": list(shape)}}


GROWING: dict[str, dict[str, bytes]] = {
    "zeros in zstd": {"tokens/c/0/0/0": zstd(4 << 30)},
    "no zstd": {"tokens/c/0/0/0": b"\x28\xb5\x2f\xfd" + bytes(20)},
    "many keyframes": described("tokens", shape=[1 << 30, 4, 4], chunk_grid=grid(1 << 16, 4, 4)),
    "a huge part": described("latent", chunk_grid=grid(1 << 30, 4, 4)),
    "many parts": described("loss", shape=[1 << 24], chunk_grid=grid(1)),
    "another codec": described(
        "tokens", codecs=[{"name": "bytes"}, {"name": "gzip", "configuration": {"level": 1}}]
    ),
    "another kind": described("tokens", data_type="float64"),
    "a negative side": described("tokens", shape=[-1, 4, 4]),
    "no chunks": described("tokens", chunk_grid=grid(0, 4, 4)),
    "no grid": described("tokens", chunk_grid=None),
}


@pytest.mark.parametrize("what", GROWING)
def test_latents_that_would_grow_are_damaged(what: str, tmp_path: Path) -> None:
    with pytest.raises(DamageError):
        latents.load(repacked(tmp_path / "a.zarr.zip", GROWING[what]), NAME)


def test_latents_packed_tight_are_refused_by_their_size(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zarr.zip"
    repacked(path, {"tokens/c/0/0/0": bytes(300 << 20)}, zipfile.ZIP_DEFLATED)
    with pytest.raises(DamageError, match="bytes that would become 3"):
        latents.load(path, NAME)


def test_latents_that_do_not_grow_are_read(tmp_path: Path) -> None:
    for keyframes in (0, 1, 5, 500):
        segment = chain(keyframes)
        with (tmp_path / "a.zarr.zip").open("wb") as file:
            latents.write(file, segment, RECIPE)
        found = latents.load(tmp_path / "a.zarr.zip", NAME, keyframes)
        assert all(
            np.array_equal(getattr(found, name), getattr(segment, name))
            for name in ("tokens", "loss", "latent")
        )
