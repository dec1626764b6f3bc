"""`songreel doctor` finds each fault, says what to do, never ends in a traceback and names nobody."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import psutil
import pytest

from songreel.cli import main
from songreel.jobs import leases
from songreel.models import download
from songreel.upkeep.doctor import machine, media, probe
from songreel.upkeep.doctor.probe import Facts, TorchError
from tests.conftest import REPOSITORY

CPU = Facts("2.11.0", "0.26.0", "CUDA 12.8", "", 0, "", 0, 0, 4, "", 2)
GPU = Facts("2.11.0", "0.26.0", "CUDA 12.8", "A GPU", 2, "", 80 << 30, 79 << 30, 2, "", 2)


@pytest.fixture
def torch(monkeypatch: pytest.MonkeyPatch) -> Callable[[object], None]:
    """Has torch found as a test says; importing it takes seconds."""

    def found(facts: object) -> None:
        def finish(_: object) -> object:
            if isinstance(facts, Exception):
                raise facts
            return facts

        monkeypatch.setattr(probe, "finish", finish)

    monkeypatch.setattr(probe, "start", lambda: None)
    found(CPU)
    return found


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, torch: object) -> Path:
    """A folder with a film of two lines, which is the current one."""
    folder = tmp_path / "home/maria/songs"
    (folder / "screenplays").mkdir(parents=True)
    (folder / "config.yaml").write_text("screenplay: screenplays/river.csv\nsize: 32x32\n")
    (folder / "screenplays/river.csv").write_text("Down by the river,0\nthe water runs,1.5\n")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(tmp_path / "home/maria"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr(machine, "SLURM", ("sinfo-that-is-not-there",))
    return folder


def examined(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, tuple[str, str]]]:
    """The exit status, and the worst state of each thing with all that was said of it."""
    capsys.readouterr()
    status = main(["doctor", "--json", *arguments])
    printed = capsys.readouterr()
    assert printed.err == ""
    worst: dict[str, tuple[str, str]] = {}
    for check in json.loads(printed.out)["checks"]:
        state, said = worst.get(check["name"], ("ok", ""))
        order = ("ok", "note", "fault")
        state = max(state, check["state"], key=order.index)
        worst[check["name"]] = state, f"{said} {check['found']}; {check['advice']}"
    return status, worst


def fault(capsys: pytest.CaptureFixture[str], name: str, *arguments: str) -> str:
    """What is said of the one thing that is at fault."""
    status, checks = examined(capsys, *arguments)
    assert status == 1
    assert [one for one, (state, _) in checks.items() if state == "fault"] == [name], checks
    return checks[name][1]


def program(path: Path, script: str) -> Path:
    """A program of a shell's."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_a_whole_machine_and_project_are_found_well(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, checks = examined(capsys)
    assert status == 0
    expected = {"Python", "PyTorch", "GPU", "Memory", "ffmpeg", "Fonts", "Model", "Album", "Results", "Disk"}
    assert expected | {"SLURM", "Speed", "Config", "Screenplay", "Sound"} <= checks.keys()
    assert {name: state for name, (state, _) in checks.items() if state != "ok"} == {"Speed": "note"}
    assert sorted(path.name for path in project.iterdir()) == ["config.yaml", "screenplays"]


def test_what_is_well_is_a_line_and_quiet_leaves_it_out(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert rows[0].startswith("ok    Python      Python 3.") and rows[-1] == "No fault was found."
    assert main(["doctor", "--quiet", "--config", "screenplay=none.csv"]) == 1
    rows = capsys.readouterr().out.splitlines()
    assert rows[0].startswith("FAULT Screenplay  none.csv: found no such file") and rows[-1][:2] == "1 "
    assert not any(row.startswith("ok") for row in rows)


def test_outside_a_project_the_machine_is_looked_at(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    status, checks = examined(capsys)
    assert status == 0 and "songreel new" in checks["Config"][1] and checks["ffmpeg"][0] == "ok"
    assert not list(Path().iterdir())


FAULTS = {
    "screenplay=none.csv": ("Screenplay", "found no such file"),
    "album=nowhere": ("Album", "no such folder"),
    "model=none.ckpt": ("Model", "found no <model>"),
    "perceptors=None.pt": ("Model", "<perceptor>"),
    "results=/proc/songreel": ("Results", "see to that"),
    "results=config.yaml": ("Results", "found a file, expected a folder"),
    "ffmpeg=./none": ("ffmpeg", "does not run"),
    "lyrics_font=none.ttf": ("Fonts", "no such file"),
    "audio=none.mp3": ("Sound", "<audio>"),
    "size=huge": ("Config", "size"),
    "size=36x32": ("Size", "the nearest is"),
}


@pytest.mark.parametrize("setting", FAULTS)
def test_each_key_that_cannot_be_is_a_fault_with_what_to_do(
    setting: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, expected = FAULTS[setting]
    status, checks = examined(capsys, "--config", setting)
    assert status == 1 and checks[name][0] == "fault"
    assert expected in checks[name][1]


@pytest.mark.parametrize("content", ["screenplay: [", "no_such_key: 1", "", "\0", "size: !!python/name:os"])
def test_a_broken_config_hides_nothing_else(
    content: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "config.yaml").write_text(content)
    assert "config" in fault(capsys, "Config")
    _, checks = examined(capsys)
    assert checks["ffmpeg"][0] == checks["Model"][0] == checks["Memory"][0] == "ok"


def test_an_ffmpeg_without_what_films_take_is_a_fault(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    real = imageio_ffmpeg.get_ffmpeg_exe()
    lacking = f'case "$*" in *-encoders*) {real} "$@" | grep -v libx264 ;; *) exec {real} "$@" ;; esac'
    ffmpeg = program(tmp_path / "bin/ffmpeg", lacking)
    assert "no libx264" in fault(capsys, "ffmpeg", "--config", f"ffmpeg={ffmpeg}")
    crashing = program(
        tmp_path / "bin/ffmpeg2", f'case "$*" in *-version*) {real} -version ;; *) kill -9 $$ ;; esac'
    )
    assert "ffmpeg" in fault(capsys, "ffmpeg", "--config", f"ffmpeg={crashing}")


def test_an_ffmpeg_that_hangs_is_not_waited_for(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(media, "LISTED_SECONDS", 0.2)
    hanging = program(tmp_path / "bin/ffmpeg", "exec sleep 60")
    assert "says nothing within" in fault(capsys, "ffmpeg", "--config", f"ffmpeg={hanging}")


def test_words_without_a_font_are_a_fault_where_they_are_drawn(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("songreel.planning.typefaces._machines", lambda _: ())
    (project / "screenplays/river.csv").write_text("\U00013000 river,0\n,1\n".replace("\n,", "\nruns,"))
    assert examined(capsys)[1]["Fonts"][0] == "note"
    assert "no outlines of \U00013000" in fault(capsys, "Fonts", "--config", "lyrics=burned")


def test_weights_that_are_to_come_are_told_with_their_size_and_not_fetched(
    project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fetch(*_: object) -> None:
        raise AssertionError("nothing is downloaded")

    monkeypatch.setattr(download, "fetch", fetch)
    monkeypatch.setenv("SONGREEL_WEIGHTS", str(tmp_path / "weights"))
    published = ("--config", "model=imagenet-16384", "perceptors=ViT-B/32", "album=none")
    status, checks = examined(capsys, *published)
    assert status == 0 and checks["Model"][0] == "note"
    assert "1.0 GB" in checks["Model"][1] and "songreel fetch imagenet-16384" in checks["Model"][1]
    assert not (tmp_path / "weights").exists()
    monkeypatch.setenv("SONGREEL_WEIGHTS", "/proc/weights")
    assert "SONGREEL_WEIGHTS" in fault(capsys, "Model", *published)


def test_a_full_disk_is_a_fault(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    usage = shutil.disk_usage(project)._replace(free=1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert "1 MB free" in fault(capsys, "Disk")


TORCHES: dict[str, tuple[object, str, str]] = {
    "broken": (TorchError("libcudart.so.12: cannot open shared object file"), "PyTorch", "install torch"),
    "memory": (MemoryError(), "PyTorch", "too little memory"),
    "small GPU": (Facts(**{**vars(GPU), "free_bytes": 1_000_000}), "GPU memory", "lower 'size'"),
}


@pytest.mark.parametrize("kind", TORCHES)
def test_a_torch_or_a_gpu_that_does_not_do_is_a_fault(
    kind: str, project: Path, torch: Callable[[object], None], capsys: pytest.CaptureFixture[str]
) -> None:
    facts, name, expected = TORCHES[kind]
    torch(facts)
    assert expected in fault(capsys, name)


def test_a_gpu_is_told_with_its_path(
    project: Path, torch: Callable[[object], None], capsys: pytest.CaptureFixture[str]
) -> None:
    torch(GPU)
    status, checks = examined(capsys)
    assert status == 0 and checks["Kernels"][0] == "ok" and "the first of 2" in checks["GPU"][1]
    torch(Facts(**{**vars(GPU), "plain_path": "Triton needs a C compiler and finds none; install gcc"}))
    assert examined(capsys)[1]["Kernels"][0] == "note"


def test_a_gpu_that_torch_does_not_find_is_a_fault(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(leases, "DRIVERS", (str(project / "config.yaml"),))
    monkeypatch.delenv(leases.VISIBLE, raising=False)
    assert "torch does not find" in fault(capsys, "GPU")
    monkeypatch.setenv(leases.VISIBLE, "")
    assert examined(capsys)[1]["GPU"][0] == "note"


def test_a_package_of_another_version_is_a_fault(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    versions = {"torch": "2.1.0", "zarr": None}
    real = machine._version
    monkeypatch.setattr(machine, "_version", lambda name: versions.get(name, real(name)))
    monkeypatch.setattr(importlib.metadata, "requires", lambda _: ["torch>=2.11,<3", "zarr>=3.1,<4"])
    told = fault(capsys, "Python")
    assert "found torch 2.1.0, expected <3,>=2.11" in told and "found no zarr" in told


def test_a_cluster_is_told_and_a_silent_one_is_not_waited_for(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(machine, "SLURM", ("sinfo",))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    program(tmp_path / "bin/sinfo", "echo cpu 4; echo gpu 2")
    assert "2 partitions of together 6 nodes" in examined(capsys)[1]["SLURM"][1]
    monkeypatch.setattr(machine, "ANSWER_SECONDS", 0.2)
    program(tmp_path / "bin/sinfo", "exec sleep 60")
    state, told = examined(capsys)[1]["SLURM"]
    assert state == "note" and "does not answer" in told


def test_the_speed_that_was_measured_last_is_told(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    history = project / f"results/history/{platform.node()}.jsonl"
    history.parent.mkdir(parents=True)
    work = {"kind": "iterations", "size": [32, 32], "cutouts": 8}
    rows = [{"work": work, "units": 100, "seconds": seconds} for seconds in (50, 4)]
    history.write_text(
        "".join(f"{json.dumps(row)}\n" for row in [*rows, {"work": {}, "units": 1, "seconds": 1}])
    )
    assert "25.0 iterations a second at 32x32 with 8 cutouts" in examined(capsys)[1]["Speed"][1]


def test_a_mistake_of_songreels_own_is_a_line_not_a_traceback(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(media, "words", lambda _: 1 / 0)
    assert "ZeroDivisionError" in fault(capsys, "Fonts")


@pytest.mark.parametrize("setting", ["style=", *FAULTS])
def test_the_json_names_neither_user_nor_home_nor_machine(
    setting: str,
    project: Path,
    torch: Callable[[object], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(platform, "node", lambda: "marias-laptop.example.org")
    monkeypatch.setenv("USER", "maria")
    home = Path(os.environ["HOME"])
    song, album = home / "my secret/Maria's song.csv", home / "photos of anna"
    song.parent.mkdir()
    album.mkdir()
    song.write_text("Down by the river,0\nthe water runs,1.5\n")
    monkeypatch.setenv("SONGREEL_WEIGHTS", str(home / "wedding disk/weights"))
    torch(
        TorchError(f"{home}/env/lib/python3.11/torch/lib/libc10.so: undefined symbol of maria@marias-laptop")
    )
    own = [f"screenplay={song}", f"album={album}", "model=imagenet-16384", f"results={home}/films"]
    main(["doctor", "--json", "--config", *own, setting])
    printed = capsys.readouterr().out
    json.loads(printed)
    for name in ("maria", "laptop", "secret", "anna", "wedding", "songs", str(home), str(home.resolve())):
        assert name not in printed.lower(), (name, printed)


def test_the_json_names_no_file_of_the_project(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "screenplays/for-anna.csv").write_text("Down by the river,0\nthe water runs,1.5\n")
    (project / "holidays").mkdir()
    own = ("screenplay=screenplays/for-anna.csv", "album=holidays", "model=bens/hidden.ckpt")
    main(["doctor", "--json", "--config", *own])
    printed = capsys.readouterr().out
    assert "<screenplay>: 2 lines" in printed and "no picture in the folder '<album>'" in printed
    assert not any(name in printed for name in ("anna", "holidays", "bens", "hidden"))


# In a process of its own: what is the matter with Python itself


def started(folder: Path, *packages: Path, **process: Any) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(map(str, (*packages, REPOSITORY / "workflow")))
    return subprocess.run(
        [sys.executable, "-m", "songreel", "doctor"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "SONGREEL_WEIGHTS": str(folder / "weights")},
        capture_output=True,
        text=True,
        check=False,
        **process,
    )


BROKEN = {
    "missing": "raise ModuleNotFoundError(\"No module named 'torch'\")",
    "broken": "raise ImportError('libtorch_cpu.so: cannot open shared object file')",
    "aborting": "import os; os.abort()",
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_torch_that_cannot_be_imported_is_a_line(kind: str, tmp_path: Path) -> None:
    (tmp_path / "broken/torch").mkdir(parents=True)
    (tmp_path / "broken/torch/__init__.py").write_text(BROKEN[kind])
    done = started(tmp_path, tmp_path / "broken")
    assert done.returncode == 1 and "Traceback" not in done.stdout + done.stderr
    assert "FAULT PyTorch     it cannot be used (" in done.stdout and "1 of " in done.stdout


def test_too_little_address_space_is_a_line(tmp_path: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (400_000_000, 400_000_000))

    done = started(tmp_path, preexec_fn=limit)
    assert done.returncode == 1 and "Traceback" not in done.stdout + done.stderr
    assert "FAULT Limits      `ulimit -v` allows 0.4 GB" in done.stdout


def test_the_real_torch_is_found(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    facts = probe.finish(probe.start())
    assert facts.torch.startswith("2.") and facts.number_bytes in (2, 4) and facts.threads >= 1


def children() -> Iterator[int]:
    with suppress(psutil.NoSuchProcess):
        yield from (child.pid for child in psutil.Process().children())


def test_a_torch_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "PATIENCE_SECONDS", 0.2)
    process = subprocess.Popen(["sleep", "60"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with pytest.raises(TorchError, match="not imported within"):
        probe.finish(process)
    assert process.pid not in [*children()]
