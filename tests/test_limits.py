"""How much memory there is counts every limit, and too little of it is told in a sentence."""

from __future__ import annotations

import errno
import resource
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import torch

from songreel.cli import main
from songreel.ground import limits, shortage
from songreel.ground.errors import UserError
from songreel.ground.files import identity, write_json_if_changed
from songreel.ground.paths import Paths
from songreel.models import weights
from songreel.sampling import memory
from tests.plans import recipe

GB = 1_000_000_000


def group(folder: Path, **files: object) -> Path:
    """A control group's folder with these files, their dots written as underscores."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("memory_", "memory.")).write_text(f"{content}\n")
    return folder


def process(folder: Path, groups: str, mounts: str) -> Path:
    (folder / "proc").mkdir()
    (folder / "proc/cgroup").write_text(groups)
    (folder / "proc/mountinfo").write_text(mounts)
    return folder / "proc"


def test_the_tightest_of_nested_groups_counts(tmp_path: Path) -> None:
    top = group(tmp_path / "group")
    group(top / "user", memory_max=8 * GB, memory_current=6 * GB)
    group(top / "user/job", memory_max="max", memory_high="max", memory_current=2 * GB)
    group(top / "user/job/step", memory_max=4 * GB, memory_high=3 * GB, memory_current=2 * GB)
    (top / "user/job/step/memory.stat").write_text(
        f"anon 7\ninactive_file {GB // 2}\nactive_file {GB // 4}\n"
    )
    mounts = f"31 23 0:28 / {top} rw,relatime shared:4 - cgroup2 cgroup2 rw\n"
    proc = process(tmp_path, "0::/user/job/step\n", mounts)
    assert list(limits.in_groups(proc)) == [GB + GB // 2 + GB // 4, 2 * GB]


def test_the_first_version_of_groups_counts(tmp_path: Path) -> None:
    top = group(tmp_path / "a b", memory_limit_in_bytes=9223372036854771712, memory_usage_in_bytes=9 * GB)
    group(top / "job", memory_limit_in_bytes=2 * GB, memory_usage_in_bytes=GB)
    (top / "job/memory.stat").write_text(f"cache 3\ntotal_inactive_file {GB // 2}\ntotal_active_file 0\n")
    escaped = str(top).replace(" ", r"\040")
    mounts = (
        f"35 31 0:32 / {escaped} rw - cgroup cgroup rw,memory\n36 31 0:33 / /cpu rw - cgroup cgroup rw,cpu\n"
    )
    proc = process(tmp_path, "5:cpu:/job\n4:memory,hugetlb:/job\n0::/\n", mounts)
    assert min(limits.in_groups(proc)) == GB + GB // 2


def test_a_container_that_sees_a_part_of_the_groups_finds_its_own(tmp_path: Path) -> None:
    top = group(tmp_path / "group", memory_max=GB, memory_current=0)
    for root, path in (("/docker/1", "/docker/1"), ("/docker/1", "/../.."), ("/", "/")):
        folder = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        proc = process(folder, f"0::{path}\n", f"31 23 0:28 {root} {top} rw - cgroup2 cgroup2 rw\n")
        assert list(limits.in_groups(proc)) == [GB]


@pytest.mark.parametrize("text", ["", "garbage\n", "0::/nowhere\n", "4:memory:/x\n"])
def test_where_there_are_no_groups_nothing_is_limited(text: str, tmp_path: Path) -> None:
    proc = process(tmp_path, text, f"31 23 0:28 / {tmp_path} rw - cgroup2 cgroup2 rw\nodd - cgroup2\n")
    assert list(limits.in_groups(proc)) == []
    assert list(limits.in_groups(tmp_path / "none")) == []


def test_a_limit_of_a_group_refuses_what_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    models = weights.vqgan("starter"), [weights.perceptor("starter")]
    job = (*models, recipe(size=(512, 256), cutouts=32), 8, torch.device("cpu"), torch.float32)
    memory.check(*job)
    monkeypatch.setattr(limits, "in_groups", lambda: [3 * GB, 40_000_000])
    with pytest.raises(UserError, match=r"found 0\.0 GB free on the CPU"):
        memory.check(*job)


def test_a_limit_of_the_address_space_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    used = psutil.Process().memory_info().vms
    monkeypatch.setattr(resource, "getrlimit", lambda _: (used + GB, resource.RLIM_INFINITY))
    assert 0.9 * GB < limits.free() < 1.1 * GB
    monkeypatch.setattr(resource, "getrlimit", lambda _: (GB // 9, resource.RLIM_INFINITY))
    assert limits.free() == 0


def test_the_memory_that_is_told_counts_every_number_of_a_yaml() -> None:
    starter = weights.architecture(weights.vqgan("starter"))
    clip = [weights.params(weights.perceptor("starter"))]

    def told(**over: int) -> int:
        ddconfig = {
            **starter["ddconfig"],
            **{key: over.pop(key) for key in list(over) if key in starter["ddconfig"]},
        }
        return memory.needed({**starter, "ddconfig": ddconfig, **over}, clip, 0, (512, 512), 2, 0, 4)

    for more in ({"embed_dim": 4096}, {"z_channels": 4096}, {"num_res_blocks": 9}, {"n_embed": 65536 << 4}):
        assert told(**more) > 1.05 * told()


SHORTAGES = [
    MemoryError(),
    OSError(errno.ENOMEM, "Cannot allocate memory", "a.safetensors"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory"),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    ImportError("libtorch_cpu.so: failed to map segment from shared object"),
    RuntimeError("unable to mmap 1024 bytes from file <a>: Cannot allocate memory (12)"),
    RuntimeError("std::bad_alloc"),
    RuntimeError("can't start new thread"),
]


@pytest.mark.parametrize("error", SHORTAGES, ids=lambda error: str(error)[:20])
def test_every_librarys_word_for_too_little_memory_is_one_sentence(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object) -> None:
        try:
            raise error
        except Exception as cause:
            raise ValueError("something else") from cause

    monkeypatch.setattr("songreel.models.obtain.model", fails)
    assert main(["fetch", "starter"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("songreel: found too little memory") and told.count("\n") == 1


def test_other_errors_are_not_taken_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shortage.sentence(RuntimeError("mat1 and mat2 shapes cannot be multiplied")) is None
    assert shortage.sentence(OSError(errno.EACCES, "Permission denied")) is None
    assert shortage.sentence(ValueError("cannot mmap an empty file")) is None
    assert shortage.sentence(UserError("found too little memory, out of memory")) is None
    monkeypatch.setattr(limits, "free", lambda: 1000)
    assert shortage.sentence(RuntimeError("could not create a primitive"))
    assert shortage.sentence(KeyError("a")) is None


@pytest.mark.parametrize("megabytes", [500, 3000, 3200])
def test_a_job_without_address_space_ends_in_one_sentence(megabytes: int, tmp_path: Path) -> None:
    """With some hundred megabytes torch cannot be mapped; with some gigabytes its threads end the process."""
    facts = {"text": "a red boat"}
    plan = Paths(tmp_path).segment_plan(identity(facts))
    write_json_if_changed(plan, facts)
    limit = f"ulimit -v {megabytes * 1000}; exec {sys.executable} -m songreel keyframes '{plan}' 5"
    job = subprocess.run(["bash", "-c", limit], capture_output=True, text=True, check=False)
    if "damaged plan" in job.stderr:
        pytest.skip("this torch needs less: the job went on to the recipe, which is none")
    assert job.returncode == 1
    assert job.stderr.startswith("songreel: found too little memory, where `ulimit -v` allows"), job.stderr
    assert "Traceback" not in job.stderr
