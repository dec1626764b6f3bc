"""What reading a published checkpoint promises: the tensors that were saved, and to run nothing of it."""

import contextlib
import functools
import io
import pickle
import subprocess
import sys
import tempfile
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from songreel.ground.errors import UserError
from songreel.models import archives, checkpoints, naming
from tests import checkpoints as build

Builder = Callable[[Path, Mapping[str, Tensor]], Path]


def safetensors(path: Path, state: Mapping[str, Tensor]) -> Path:
    save_file({name: value.contiguous() for name, value in state.items()}, path)
    return path


FORMATS: tuple[Builder, ...] = (build.lightning, build.bare, build.legacy, safetensors)
DTYPES = ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool")


def equal(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> bool:
    """Whether the names, dtypes, shapes and bits are the same."""
    return found.keys() == expected.keys() and all(
        found[name].dtype == value.dtype and torch.equal(found[name], value)
        for name, value in expected.items()
    )


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as told:
        checkpoints.tensors(path)
    assert "\n" not in str(told.value)
    assert str(told.value).startswith(f"{path}: ") and "expected" in str(told.value)
    return str(told.value)


# the tensors that were saved


@pytest.mark.parametrize("save", FORMATS)
def test_the_tensors_are_those_that_were_saved(save: Builder, tmp_path: Path) -> None:
    state = build.vqgan_state()
    state |= {f"of.{name}": torch.ones(3, 2).to(getattr(torch, name)) for name in DTYPES}
    state |= {"scalar": torch.tensor(7), "empty": torch.empty(0, 3), "transposed": torch.randn(3, 2).T}
    assert equal(checkpoints.tensors(save(tmp_path / "a.whatever", state)), state)


def test_parameters_are_read_as_tensors(tmp_path: Path) -> None:
    weight = torch.randn(3)
    path = build.bare(tmp_path / "a.ckpt", {"weight": nn.Parameter(weight)})
    assert equal(checkpoints.tensors(path), {"weight": weight})


@pytest.mark.parametrize("save", [build.lightning, build.bare, build.legacy])
def test_tensors_that_share_their_numbers_come_back_right(save: Builder, tmp_path: Path) -> None:
    numbers = torch.arange(24, dtype=torch.float32)
    state = {
        "whole": numbers.view(4, 6),
        "again": numbers.view(4, 6),
        "row": numbers[6:12],
        "every second": numbers[1::2],
        "column": numbers.view(4, 6)[:, 2],
        "turned": numbers.view(2, 3, 4).permute(2, 0, 1),
    }
    found = checkpoints.tensors(save(tmp_path / "a.ckpt", state))
    assert equal(found, state)
    assert found["row"].untyped_storage().data_ptr() == found["whole"].untyped_storage().data_ptr()


def test_a_state_dict_reads_as_torch_reads_it(tmp_path: Path) -> None:
    path = build.bare(tmp_path / "a.pt", build.vqgan_state())
    assert equal(checkpoints.tensors(path), torch.load(path, weights_only=True))


@pytest.mark.parametrize("half", [True, False], ids=["half", "float"])
@pytest.mark.parametrize("vision", ["vit", "resnet"])
def test_a_torchscript_clip_is_read_for_its_tensors(vision: str, half: bool, tmp_path: Path) -> None:
    path = build.torchscript_clip(tmp_path / "clip.pt", vision, half)
    found = checkpoints.tensors(path)
    with warnings.catch_warnings(action="ignore"):  # torch.jit is deprecated
        jit: Any = torch.jit  # without types
        assert equal(found, jit.load(path).state_dict())
    assert found.keys() - naming.clip_state(found).keys() == build.CLIP_FACTS.keys()
    build.clip_model(vision, half).load_state_dict(naming.clip_state(found), strict=True)
    assert equal(naming.clip_state(found), build.clip_model(vision, half).state_dict())
    assert any(tensor.dtype == torch.float16 for tensor in found.values()) == half


def test_the_mask_of_an_archive_is_not_a_weight() -> None:
    found = {"transformer.resblocks.0.attn_mask": torch.ones(2, 2), "token_embedding.weight": torch.ones(2)}
    assert naming.clip_state(found).keys() == {"token_embedding.weight"}


# what a model needs of them


def test_a_vqgan_sheds_its_losses(tmp_path: Path) -> None:
    path = build.lightning(tmp_path / "last.ckpt", build.vqgan_state() | build.losses())
    assert equal(naming.first_stage(checkpoints.tensors(path)), build.vqgan_state())


def test_the_first_stage_inside_a_transformer_is_found(tmp_path: Path) -> None:
    path = build.transformer_with_first_stage(tmp_path / "last.ckpt", build.vqgan_state())
    assert equal(naming.first_stage(checkpoints.tensors(path)), build.vqgan_state())


def test_a_gumbel_vqgan_keeps_its_quantiser(tmp_path: Path) -> None:
    found = checkpoints.tensors(build.gumbel(tmp_path / "last.ckpt"))
    assert equal(naming.first_stage(found), build.gumbel_state())


def test_a_conversion_holds_what_was_selected_and_is_the_same_every_time(tmp_path: Path) -> None:
    numbers = torch.arange(12, dtype=torch.float16)
    state = build.vqgan_state() | {
        "encoder.a": numbers.view(3, 4).T,
        "encoder.b": numbers,
        "decoder.b": numbers,
    }
    state |= {"encoder.none": torch.empty(0, 2), "decoder.none": torch.empty(0)}
    for name, order in (("a", list(state)), ("b", sorted(state, reverse=True))):
        build.lightning(tmp_path / f"{name}.ckpt", {key: state[key] for key in order} | build.losses())
        checkpoints.convert(tmp_path / f"{name}.ckpt", tmp_path / f"{name}.safetensors", naming.first_stage)
    assert equal(load_file(tmp_path / "a.safetensors"), state)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_a_conversion_that_finds_nothing_says_what_was_there(tmp_path: Path) -> None:
    build.bare(tmp_path / "a.ckpt", {"transformer.weight": torch.ones(1)})
    with pytest.raises(UserError, match=r"a\.ckpt: found transformer\.weight and the like"):
        checkpoints.convert(tmp_path / "a.ckpt", tmp_path / "a.safetensors", naming.first_stage)
    assert [path.name for path in tmp_path.iterdir()] == ["a.ckpt"]


def test_reading_leaves_the_file_as_it_is(tmp_path: Path) -> None:
    path = build.bare(tmp_path / "a.ckpt", build.vqgan_state())
    before = path.read_bytes()
    for tensor in checkpoints.tensors(path).values():
        tensor.zero_()
    assert path.read_bytes() == before


# foreign objects


def test_foreign_objects_are_inert_and_nothing_is_imported(tmp_path: Path) -> None:
    path = build.lightning(tmp_path / "last.ckpt", build.vqgan_state())
    check = """
import sys, pathlib
from songreel.models import archives, checkpoints, naming
before = set(sys.modules)
checkpoints.tensors(pathlib.Path(sys.argv[1]))
sys.exit(", ".join(set(sys.modules) - before) or None)
"""
    subprocess.run([sys.executable, "-c", check, str(path)], check=True)


def test_a_whole_pickled_model_is_refused_in_a_sentence(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2), tmp_path / "model.pt")
    assert "no named tensors" in refusal(tmp_path / "model.pt")


# files that would run code


@pytest.mark.parametrize("container", build.CONTAINERS)
@pytest.mark.parametrize("attack", build.ATTACKS)
def test_a_file_that_would_run_code_is_refused_by_name_and_runs_nothing(
    attack: str, container: Callable[[Path, bytes], Path], tmp_path: Path
) -> None:
    named = build.malicious(tmp_path / "evil.ckpt", tmp_path / "target", attack, container)
    assert f"found {named}, which would run code" in refusal(tmp_path / "evil.ckpt")
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize("attack", build.ATTACKS)
def test_the_attacks_are_real(attack: str, tmp_path: Path) -> None:
    _, data = build.ATTACKS[attack]
    with contextlib.suppress(Exception):  # some fail once they have done it
        pickle.loads(data(tmp_path / "target"))
    assert (tmp_path / "target").exists()


HARMLESS = [("builtins", "set"), ("__builtin__", "slice"), ("_codecs", "encode"), ("functools", "partial")]
HARMLESS += [("pathlib", "PosixPath"), ("torch.optim.adam", "Adam"), ("torch", "float32"), ("foreign", "A.B")]
REFUSED = [("torch.hub", "load"), ("torch", "load"), ("torch._utils", "_rebuild_qtensor"), ("sys", "exit")]
REFUSED += [("functools", "reduce"), ("operator", "attrgetter"), ("types", "FunctionType"), ("io", "open")]
REFUSED += [("_posixsubprocess", "fork_exec"), ("importlib", "import_module"), ("foreign", "os.set")]


@pytest.mark.parametrize(("module", "name"), HARMLESS)
def test_a_harmless_object_does_not_spoil_the_weights(module: str, name: str, tmp_path: Path) -> None:
    path = build.beside_weights(tmp_path / "a.ckpt", build.dotted(module, name, 1))
    assert equal(checkpoints.tensors(path), build.vqgan_state())


@pytest.mark.parametrize(("module", "name"), REFUSED)
def test_a_global_that_does_something_is_refused(module: str, name: str, tmp_path: Path) -> None:
    path = build.zipped(tmp_path / "a.ckpt", build.dotted(module, name, 1))
    assert f"{module}.{name}" in refusal(path)


def test_the_names_in_a_sentence_cannot_command_a_terminal(tmp_path: Path) -> None:
    path = build.zipped(tmp_path / "a.ckpt", build.dotted("os", "\x1b[2J\n" + "x" * 1000))
    assert refusal(path).isprintable() and len(refusal(path)) < 500


# damaged and absurd files

TENSOR = b"ctorch._utils\n_rebuild_tensor_v2\n(("
FLOATS = build.pickled("storage") + b"ctorch\nFloatStorage\n" + build.pickled("0") + build.pickled("cpu")


def one_tensor(path: Path, offset: int, size: Any, stride: Any, numel: int = 6, held: int = 6) -> Path:
    """An archive with one tensor "a" and one storage of `held` zeros, said to be `numel`."""
    storage = TENSOR + FLOATS + build.pickled(numel) + b"tQ"
    rest = b"".join(build.pickled(value) for value in (offset, size, stride, False, None))
    build.zipped(path, b"\x80\x02}" + build.pickled("a") + storage + rest + b"tRs.")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("archive/data/0", bytes(4 * held))
    return path


ABSURD: dict[str, Any] = {
    "offset": (7, (1,), (1,)),
    "reach": (1, (3, 2), (2, 1)),
    "negative offset": (-1, (2,), (1,)),
    "negative stride": (5, (2,), (-1,)),
    "negative size": (0, (-2, -3), (1, 1)),
    "large": (0, (1 << 40, 1 << 40), (0, 0)),
    "overflow": (0, (2, 2), (1 << 62, 1 << 63)),
    "dimensions": (0, (2, 3), (1,)),
    "words": (0, ("a",), (1,)),
    "fractions": (0.5, (2,), (1,)),
    "no size": (0, None, (1,)),
    "too little": (0, (7,), (1,), 7),
    "too much": (0, (6,), (1,), 6, 7),
    "negative storage": (0, (0,), (1,), -1),
}


@pytest.mark.parametrize("absurd", ABSURD)
def test_a_tensor_beyond_its_numbers_is_refused(absurd: str, tmp_path: Path) -> None:
    assert equal(checkpoints.tensors(one_tensor(tmp_path / "a", 1, (2, 2), (3, 1))), {"a": torch.zeros(2, 2)})
    refusal(one_tensor(tmp_path / "b", *ABSURD[absurd]))


BOMBS = {  # with what is said of them; the first would take tens of gigabytes in the unpickler written in C
    "memo": ("no named tensors", b"\x80\x02}r\xff\xff\xff\xff."),
    "buffer": ("KeyError 150", b"\x80\x05\x96" + (1 << 40).to_bytes(8, "little") + b"."),
    "bytes": ("EOFError", b"\x80\x04\x8e" + (1 << 40).to_bytes(8, "little") + b"."),
    "deep key": ("no named tensors", b"\x80\x02})" + b"\x85" * 900_000 + b"Ns."),
    "endless module": ("more modules", b"\x80\x02c__torch__\nM\n)\x81q\x07}X\1\0\0\0mh\x07sb."),
    "state on a class": ("no named", b"\x80\x02ccollections\nOrderedDict\nN}X\3\0\0\0getNs\x86b."),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_an_absurd_pickle_is_refused(bomb: str, tmp_path: Path) -> None:
    reason, data = BOMBS[bomb]
    assert reason in refusal(build.zipped(tmp_path / "bomb.ckpt", data))
    assert OrderedDict(a=1).get("a") == 1


def test_a_pickle_of_absurd_size_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_PICKLE", 10)
    assert "absurd size" in refusal(build.bare(tmp_path / "a.ckpt", build.vqgan_state()))


NOT_CHECKPOINTS = {
    "nothing": b"",
    "a page": b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
    "text": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n",
    "zeros": bytes(64),
    "a pickle": pickle.dumps({"a": 1}),
    "a header": b"\xff\xff\xff\xff\xff\xff\xff\x7f{}",
}


@pytest.mark.parametrize("what", NOT_CHECKPOINTS)
def test_another_file_is_refused_in_a_sentence(what: str, tmp_path: Path) -> None:
    (tmp_path / "a.ckpt").write_bytes(NOT_CHECKPOINTS[what])
    assert "a damaged file or no checkpoint" in refusal(tmp_path / "a.ckpt")


def test_an_ordinary_zip_a_folder_and_no_file_are_refused_in_a_sentence(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert "without one data.pkl" in refusal(tmp_path / "a.zip")
    assert "cannot be read" in refusal(tmp_path)
    assert "cannot be read" in refusal(tmp_path / "missing.ckpt")


def repacked(path: Path, how: int, changes: Mapping[str, bytes | None]) -> Path:
    """The same archive packed by another program, with some entries other ones or left out."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", how) as archive:
        for name, content in entries.items():
            changed = changes.get(name.partition("/")[2], content)
            if changed is not None:
                archive.writestr(name, changed)
    return path


def test_an_archive_that_was_packed_again_reads_the_same(tmp_path: Path) -> None:
    path = build.bare(tmp_path / "a.ckpt", build.vqgan_state())
    assert equal(checkpoints.tensors(repacked(path, zipfile.ZIP_STORED, {})), build.vqgan_state())


@pytest.mark.parametrize(
    ("how", "changes", "reason"),
    [
        (zipfile.ZIP_DEFLATED, {}, "compressed"),
        (zipfile.ZIP_STORED, {"data/1": None}, "data/1"),
        (zipfile.ZIP_STORED, {"data/1": b"1234"}, "4 bytes"),
        (zipfile.ZIP_STORED, {"byteorder": b"big"}, "big-endian"),
    ],
)
def test_an_archive_that_is_not_torchs_is_refused(
    how: int, changes: Mapping[str, bytes | None], reason: str, tmp_path: Path
) -> None:
    path = build.bare(tmp_path / "a.ckpt", build.vqgan_state())
    assert reason in refusal(repacked(path, how, changes))


SMALL = {"encoder.weight": torch.arange(6.0).view(2, 3), "decoder.bias": torch.ones(3, dtype=torch.float16)}


@functools.cache
def saved(save: Builder) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return save(Path(folder) / "a.ckpt", SMALL).read_bytes()


def told_or_read(data: bytes) -> Mapping[str, Tensor] | None:
    """The tensors of a file, or None where it is refused in a sentence."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.ckpt"
        path.write_bytes(data)
        try:
            return checkpoints.tensors(path)
        except UserError as error:
            assert "\n" not in str(error)
            return None


@pytest.mark.parametrize("save", FORMATS)
@settings(max_examples=25, deadline=None)
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_file_cut_short_is_refused(save: Builder, share: float) -> None:
    data = saved(save)
    assert told_or_read(data[: int(share * len(data))]) is None


@pytest.mark.parametrize("save", FORMATS)
@settings(max_examples=60, deadline=None)
@given(where=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_a_flipped_byte_never_breaks_out(save: Builder, where: float, flip: int) -> None:
    data = bytearray(saved(save))
    data[int(where * len(data))] ^= flip
    found = told_or_read(bytes(data))
    if found is not None and data[:2] == b"PK":  # the other formats hold no checksums
        assert equal(found, SMALL)


@settings(max_examples=100, deadline=None)
@given(where=st.floats(0, 1, exclude_max=True), byte=st.binary(max_size=2))
def test_a_changed_pickle_with_a_good_checksum_never_breaks_out(where: float, byte: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(saved(build.lightning))) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    pickled, file = entries["a/data.pkl"], io.BytesIO()
    place = int(where * len(pickled))
    entries["a/data.pkl"] = pickled[:place] + byte + pickled[place + 1 :]
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    told_or_read(file.getvalue())


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=60))
def test_a_random_pickle_never_breaks_out(data: bytes) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + data)
    assert told_or_read(file.getvalue()) is None
