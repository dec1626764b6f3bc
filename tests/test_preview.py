"""What a preview promises: the song's cuts, words and camera as the film will have them, and no iteration."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from songreel.drawing import film, grid
from songreel.exports import preview
from songreel.ground.errors import UserError
from songreel.ground.motion import Move
from songreel.ground.paths import Paths
from songreel.kernels import moving
from songreel.planning.config import resolve
from tests.test_film import described, ffmpeg, wav

SIZE = (120, 80)


@pytest.mark.parametrize(
    "move", [Move(1.2, 30, 0.1, -0.2, 0.1), Move(), Move(0.5, -90, 0, 0.5), Move(1, 0, 0.3, 0)]
)
def test_a_grid_moves_as_pictures_do(move: Move) -> None:
    taken = grid.taken(move.zoom, move.angle, move.x, move.y, move.shear, SIZE)
    np.testing.assert_allclose(taken, moving.matrices([move], SIZE)[0].numpy(), atol=1e-9)


@pytest.mark.parametrize("octaves", [-30, -3.3, -0.01, 0, 0.5, 7, 30])
def test_a_grid_has_lines_however_far_it_was_zoomed(octaves: float) -> None:
    drawn = grid.drawn(SIZE, np.diag([2.0**octaves, 2.0**octaves, 1]), 0)
    assert drawn.shape == (80, 120, 3)
    assert 5 < drawn.std() < 80


def test_lines_come_and_go_without_a_jump() -> None:
    around = [np.log2(grid.CLOSEST) + shift for shift in (-1e-6, 1e-6)]
    before, after = (grid.drawn(SIZE, np.diag([2.0**o, 2.0**o, 1]), 0).astype(float) for o in around)
    assert np.abs(after - before).mean() < 0.5


def frames(video: Path, height: int) -> NDArray[np.uint8]:
    raw = ffmpeg("-i", video, "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    return np.frombuffer(raw, np.uint8).reshape(-1, height, 320, 3)


def test_a_preview_cuts_on_the_sung_line_and_moves_as_its_rows_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("song.csv").write_text("text,start,zoom\na red boat,0,\na green tree,1.533,1.5\nthe end,3,\n")
    wav(Path("song.wav"), 3)
    config = resolve({"screenplay": "song.csv", "transition": 0, "size": "128x64", "tail": 0})
    target = preview.make(config, Paths(tmp_path / "results"), None, False, print)
    seen = frames(target, 160 + 44 + 18)
    assert len(seen) == 45
    assert "Audio: aac" in described(target)
    pictures = seen[:, :96].astype(float)
    changes = np.abs(np.diff(pictures, axis=0)).mean((1, 2, 3))
    assert changes.argmax() == 22
    assert changes[:22].max() < 1 < changes[24:].min()
    assert not any((tmp_path / "results" / name).exists() for name in ("latents", "clips", "plan/segments"))


def test_a_preview_is_not_written_over_a_file_unasked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("song.csv").write_text('"a red boat",0\n"the end",1\n')
    Path("mine.mp4").write_text("mine")
    config = resolve({"screenplay": "song.csv", "tail": 0})
    with pytest.raises(UserError, match="--force"):
        preview.make(config, Paths(tmp_path / "results"), Path("mine.mp4"), False, print)
    assert Path("mine.mp4").read_text() == "mine"
    again = [preview.make(config, Paths(tmp_path / "results"), None, False, print) for _ in range(2)]
    assert film.executable("") and again[0].is_file()


def test_a_preview_of_nothing_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = resolve({"screenplay": "song.csv"})
    with pytest.raises(UserError, match=r"song\.csv: found no such file"):
        preview.make(config, Paths(tmp_path / "results"), None, False, print)
    assert list(tmp_path.iterdir()) == []
