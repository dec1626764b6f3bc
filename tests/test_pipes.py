"""A named pipe or a device where a file is expected is refused in a sentence, and never waited for."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import pytest

from songreel.cli import main
from songreel.costs import history
from songreel.drawing import film
from songreel.ground import files
from songreel.ground.errors import DamageError, UserError
from songreel.ground.paths import Paths
from songreel.jobs import latents
from songreel.models import checkpoints, digests, weights
from songreel.planning import audio, config, screenplay
from tests import published

SECONDS = 20  # a test that waits is ended, not timed


@pytest.fixture(autouse=True)
def no_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def ended(number: int, frame: FrameType | None) -> None:
        raise AssertionError("the pipe was waited for")

    monkeypatch.setenv("SONGREEL_WEIGHTS", str(tmp_path / "cache"))
    before = signal.signal(signal.SIGALRM, ended)
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


READERS: dict[str, Callable[[Path], object]] = {
    "screenplay.csv": screenplay.read,
    "config.yaml": config.read,
    "clip.pt": lambda path: weights.perceptor(str(path)),
    "model.ckpt": checkpoints.tensors,
    "note.json": files.read_json,
    "hash.bin": digests.digest,
    "song.tune": lambda path: audio.find(str(path), 1, path, "ffmpeg", Paths(path.parent)),
    "latents.zarr.zip": lambda path: latents.load(path, "0" * 16),
    "clip.mp4": film.check,
    "song.wav": lambda path: audio.find(str(path), 1, path, "ffmpeg", Paths(path.parent)),
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("what", ["pipe", "device", "folder", "socket"])
def test_what_is_no_file_is_refused(name: str, what: str, tmp_path: Path) -> None:
    make(tmp_path / name, what)
    with pytest.raises((UserError, DamageError, OSError)) as told:
        READERS[name](tmp_path / name)
    assert name in str(told.value)


def make(path: Path, what: str) -> None:
    if what == "pipe":
        os.mkfifo(path)
    elif what == "device":
        path.symlink_to("/dev/zero")
    elif what == "folder":
        path.mkdir()
    else:
        import socket

        with socket.socket(socket.AF_UNIX) as made:
            made.bind(os.path.relpath(path))


@pytest.mark.parametrize("part", ["mine.ckpt", "mine.yaml"])
def test_a_vqgan_of_pipes_is_refused(part: str, tmp_path: Path) -> None:
    own = published.write_vqgan("coco", tmp_path / "mine.ckpt")
    (tmp_path / part).unlink()
    os.mkfifo(tmp_path / part)
    with pytest.raises(UserError, match=part):
        weights.vqgan(str(own))


def test_a_pipe_in_place_of_a_note_a_history_or_a_log_is_passed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = published.write_clip("ViT-B/32", tmp_path / "clip.pt")
    record = weights.record_of_own(own)
    record.parent.mkdir(parents=True)
    os.mkfifo(record)
    assert len(weights.perceptor(str(own)).sha256) == 64
    os.mkfifo(tmp_path / "log")
    assert main(["fetch", str(tmp_path / "none.pt"), "--log", str(tmp_path / "log")]) == 1
    assert "none.pt" in capsys.readouterr().err
    paths = Paths(tmp_path)
    paths.history(os.uname().nodename).parent.mkdir()
    os.mkfifo(paths.history(os.uname().nodename))
    history.remember(paths, {"work": "any"}, 1, 1.0)
    assert history.recall(paths) == []
