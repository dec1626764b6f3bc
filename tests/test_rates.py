"""Frames a second: exact for television's rates, and whole rates as they always were."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from songreel.drawing import film
from songreel.ground import rates
from songreel.ground.paths import Paths
from songreel.models import weights
from songreel.planning import plan, timeline
from songreel.planning.config import resolve
from songreel.planning.screenplay import Line
from tests import films, plans
from tests.films import FFMPEG
from tests.plans import clip


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (30, 30),
        (30.0, 30),
        ("60", 60),
        (23.976, "24000/1001"),
        (23.98, "24000/1001"),
        ("23.9760", "24000/1001"),
        (29.97, "30000/1001"),
        ("29.970", "30000/1001"),
        (30000 / 1001, "30000/1001"),
        (59.94, "60000/1001"),
        (47.952, "48000/1001"),
        (119.88, "120000/1001"),
        ("30000/1001", "30000/1001"),
        (" 24000 / 1001 ", "24000/1001"),
        ("30/1.001", "30000/1001"),
        ("60/2", 30),
        (12.5, "25/2"),
        (33.3333, "100/3"),
        (29.5, "59/2"),
    ],
)
def test_a_rate_is_what_people_mean(value: Any, written: Any) -> None:
    found = rates.written(rates.parsed(value))
    assert (found, type(found)) == (written, type(written))


@pytest.mark.parametrize(
    "value", ["", "x", "30/", "30000/0", "1/3/5", "29,97", "nan", "inf", "30.0001001", True]
)
def test_what_is_no_rate_is_none(value: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        rates.parsed(value)


def planned(folder: Path, rate: Any, **keys: Any) -> plan.Plan:
    screenplay = folder / "song.csv"
    screenplay.write_text('"one",0\n"two",4\n"three",8.02\n')
    settings = {"screenplay": str(screenplay), "audio": "none", "size": "64x64", "frames_per_second": rate}
    return plan.make(resolve({**settings, **keys}), Paths(folder / "results"))


@pytest.fixture(autouse=True)
def trusted_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "_check_file", lambda found: None)


def test_plan_files_say_a_whole_rate_as_a_number_and_others_as_a_fraction(tmp_path: Path) -> None:
    for rate, said in ((30, 30), (30.0, 30), (29.97, "30000/1001")):
        made = planned(tmp_path, rate)
        for document in (document.to_json() for document in (made.timeline, *made.clips.values())):
            assert json.dumps(document["frames_per_second"]) == json.dumps(said)


def test_lines_have_the_frames_between_their_starts(tmp_path: Path) -> None:
    made = planned(tmp_path, 29.97, tail=4)
    frames = [entry.frames for entry in made.timeline.clips]
    ends = [round(seconds * 30000 / 1001) for seconds in (4, 8.02, 12.02)]
    assert np.cumsum(frames).tolist() == ends


# An hour


@pytest.mark.parametrize("written", [23.976, 29.97])
def test_after_an_hour_every_frame_word_and_chapter_is_where_the_screenplay_says(
    written: float, tmp_path: Path
) -> None:
    """A line every four seconds: lengths that are rounded add up to many frames over so many clips."""
    rate = rates.parsed(written)
    lines = [Line(f"line {number}", 4.0 * number, number + 1) for number in range(900)]
    shots = timeline.shots(lines, rate, 3600)
    clips = {frames: encoded(tmp_path, frames, rate) for frames in {shot.frames for shot in shots}}
    sung = tuple(plans.line(shot.line.text, shot.line.start_seconds, shot.end_seconds) for shot in shots)
    document = plans.timeline([shot.frames for shot in shots], rate, lines=sung)
    film.join(document, [clips[shot.frames] for shot in shots], tmp_path / "film.mp4", FFMPEG)
    pictures = films.packets(tmp_path / "film.mp4", "v")
    assert [packet.start * rate for packet in pictures] == list(range(round(3600 * rate)))
    half_a_frame = float(1 / rate / 2)
    starts = [line.start_seconds for line in lines]
    seen = [float(pictures[shot.first_frame].start) for shot in shots]
    shown = [cue.start_seconds for cue in films.cues(tmp_path / "film.mp4")]
    chapters = [chapter.start_seconds for chapter in films.chapters(tmp_path / "film.mp4")]
    for found in (seen, shown, chapters):
        assert np.abs(np.array(found) - starts).max() <= half_a_frame


def encoded(folder: Path, frames: int, rate: Fraction) -> Path:
    """A grey clip, as small as can be."""
    drawing = clip(frames, rate, crf=51)
    target = folder / f"{frames}.mp4"
    grey = np.full((frames, 16, 16, 3), 99, np.uint8)
    film.encode([grey], drawing, (16, 16), target, FFMPEG)
    return target
