"""What ffmpeg cannot do for a film is told while it is planned, and tried once for each ffmpeg."""

import sys
from pathlib import Path
from typing import Any

import pytest

from songreel.ground.errors import UserError
from songreel.ground.paths import Paths
from songreel.models import weights
from songreel.planning import plan, trial
from songreel.planning.config import resolve
from tests.films import FFMPEG, ffmpeg

# An ffmpeg that lacks something: whoever asks for it is told so.
LACKING = """#!{python}
import os, sys
arguments = sys.argv[1:]
open({log!r}, "a").write(" ".join(arguments) + "\\n")
if any({lacks!r} in argument for argument in arguments):
    sys.exit("Unknown {lacks}")
os.execv({ffmpeg!r}, [{ffmpeg!r}, *arguments])
"""


class Studio:
    """A folder with a screenplay, a song and an ffmpeg that lacks something."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log = folder, folder / "log"
        (folder / "song.csv").write_text('"one",0\n"two",1\n')
        (folder / "results").mkdir()
        self.lack("nothing")

    def lack(self, what: str) -> None:
        program = self.folder / "new"
        facts = {"python": sys.executable, "ffmpeg": FFMPEG, "log": str(self.log)}
        program.write_text(LACKING.format(lacks=what, **facts))
        program.chmod(0o755)
        program.replace(self.folder / "ffmpeg")

    def plan(self, **keys: Any) -> plan.Plan:
        settings = {"screenplay": str(self.folder / "song.csv"), "ffmpeg": str(self.folder / "ffmpeg")}
        small = {"size": "64x64", "frames_per_second": 10}
        return plan.make(resolve({**settings, **small, **keys}), Paths(self.folder / "results"))

    def tried(self, **keys: Any) -> bool:
        """Whether planning makes a clip."""
        self.log.write_text("")
        self.plan(**keys)
        return "rawvideo" in self.log.read_text()


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Studio:
    monkeypatch.setattr(weights, "_check_file", lambda found: None)
    monkeypatch.setattr(trial, "_passed", {})
    return Studio(tmp_path)


@pytest.mark.parametrize(
    ("lacks", "settings"),
    [
        ("libx264", {}),
        ("libx265", {"encoder": "libx265"}),
        ("minterpolate", {"interpolation": "motion"}),
        ("tmix", {"fps_blend": 1}),
        ("mov_text", {}),
        ("ffmetadata", {}),
        ("concat", {}),
    ],
)
def test_what_an_ffmpeg_cannot_make_is_told_while_planning(
    lacks: str, settings: dict[str, Any], studio: Studio
) -> None:
    studio.lack(lacks)
    with pytest.raises(
        UserError, match=rf"config key 'ffmpeg': .* cannot make .*\(Unknown {lacks}\), expected"
    ):
        studio.plan(**settings)
    assert not list((studio.folder / "results").iterdir())


@pytest.mark.parametrize("lacks", ["aac", "apad"])
def test_sound_that_an_ffmpeg_cannot_put_into_a_film_is_told_while_planning(
    lacks: str, studio: Studio
) -> None:
    ffmpeg("-f", "lavfi", "-i", "sine=duration=2", studio.folder / "song.wav")
    studio.lack(lacks)
    with pytest.raises(UserError, match=rf"'audio': .* cannot put track 1 of .*song\.wav' .*Unknown {lacks}"):
        studio.plan()


def test_an_ffmpeg_without_libass_is_told_where_words_are_to_be_drawn(studio: Studio) -> None:
    studio.lack("ass=filename")
    studio.plan(lyrics="soft")
    with pytest.raises(
        UserError, match=r"'lyrics': 'burned' .* cannot do that .* expected an ffmpeg with lib"
    ):
        studio.plan(lyrics="burned")
    studio.lack("libx264")
    with pytest.raises(UserError, match=r"config key 'ffmpeg': .* cannot make the clips"):
        studio.plan(lyrics="burned")
    studio.lack("nothing")
    assert studio.tried(lyrics="karaoke")
    assert not studio.tried(lyrics="karaoke", lyrics_colour="gold", lyrics_size=9)


def test_an_ffmpeg_is_tried_once_for_the_same_settings(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert studio.tried()
    assert not studio.tried()
    monkeypatch.setattr(trial, "_passed", {})  # as in the next run
    assert not studio.tried()
    assert studio.tried(encoder="libx265")
    assert not studio.tried()
    assert studio.tried(frames_per_second=29.97)


def test_an_ffmpeg_is_tried_again_after_it_changed(studio: Studio) -> None:
    assert studio.tried()
    studio.lack("libx264")
    with pytest.raises(UserError, match="libx264"):
        studio.plan()
    studio.lack("nothing")
    assert studio.tried()


@pytest.mark.parametrize("note", ["", "[]", '{"ffmpeg": 3}', "\0"])
def test_a_damaged_note_of_trials_is_passed_over(
    note: str, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio.plan()
    monkeypatch.setattr(trial, "_passed", {})
    Paths(studio.folder / "results").trials().write_text(note)
    assert studio.tried()


def test_a_trial_that_cannot_be_noted_is_no_failure(studio: Studio) -> None:
    (studio.folder / "results/plan").write_text("a file where a folder would be")
    assert studio.tried()


def test_a_plan_that_is_only_looked_at_makes_no_results(studio: Studio) -> None:
    (studio.folder / "results").rmdir()
    assert studio.tried()
    assert not (studio.folder / "results").exists()
