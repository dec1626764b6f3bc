"""Lines that follow the song: what they hear is in their ids, and nothing else of the song is."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from songreel.ground.errors import UserError
from songreel.ground.motion import Motion
from songreel.ground.paths import Paths
from songreel.models import weights
from songreel.planning import audio, hearing, plan
from songreel.planning.config import resolve
from songreel.planning.plan import Plan
from songreel.planning.spectrum import SAMPLE_RATE
from songreel.upkeep import prune, running
from tests import bands
from tests.bands import Samples
from tests.conftest import TINY, new_project
from tests.films import FFMPEG

SECONDS = 12
SETTINGS = {**TINY, "keyframes_per_second": 5, "transition": 0}
LISTENING = "1 + 0.3*low"


@pytest.fixture(scope="module", autouse=True)
def trusted_weights() -> Iterator[None]:
    """Hash the weights in no test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weights, "_check_file", lambda found: None)
        yield


def drums(seconds: float = SECONDS) -> Samples:
    """A bass drum twice a second."""
    return bands.struck(bands.bass_drum(), bands.times(120, seconds), seconds)


class Film:
    """Three lines of four seconds, of which the second may listen; it is rendered on for one more."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "results").mkdir()
        self.sing(drums())

    def sing(self, samples: Samples) -> None:
        bands.wav(samples, self.folder / "song.wav")

    def plan(self, cell: str = "", column: str = "zoom", **settings: Any) -> Plan:
        screenplay = self.folder / "song.csv"
        screenplay.write_text(f'text,start,{column}\none,0,\ntwo,4,"{cell}"\nthree,8,\n', encoding="utf-8")
        keys = {**SETTINGS, "screenplay": str(screenplay), "audio": "auto", **settings}
        return plan.make(resolve(keys), Paths(self.folder / "results"))


@pytest.fixture
def film(tmp_path: Path) -> Film:
    return Film(tmp_path)


def segments(made: Plan) -> list[str]:
    return [line.segment for line in made.timeline.lines]


def motion(made: Plan, line: int = 1) -> Motion:
    found = made.segments[segments(made)[line]].motion
    assert found
    return found


def quieter(samples: Samples, first: float, end: float) -> Samples:
    changed = samples.copy()
    changed[round(first * SAMPLE_RATE) : round(end * SAMPLE_RATE)] *= 0.3
    return changed


def test_a_zoom_follows_the_bass_drum(film: Film) -> None:
    zoom = motion(film.plan(LISTENING)).zoom
    found = audio.find(str(film.folder / "song.wav"), 1, Path("song.csv"), FFMPEG, Paths(film.folder))
    assert found
    heard = hearing.of(found, FFMPEG, Paths(film.folder / "results"))
    bass = [heard.mean("low", 4 + at / 5, 4 + (at + 1) / 5) for at in range(len(zoom))]
    # 1.3 a second is where it is loudest, for a fifth of a second
    assert zoom == pytest.approx([1.3 ** (low / 5) for low in bass], abs=0.003)
    assert np.corrcoef(zoom, bass)[0, 1] > 0.98


def test_who_does_not_listen_depends_on_no_song(film: Film, messages: list[str]) -> None:
    before = film.plan("1 + 0.1*sin(p=2s)")
    film.sing(bands.tone(440, SECONDS))
    assert segments(film.plan("1 + 0.1*sin(p=2s)")) == segments(before)
    assert not messages and not [*film.folder.glob("results/plan/audio/*.npz")]


def test_another_song_renders_the_lines_that_listen_and_no_others(film: Film) -> None:
    before = segments(film.plan(LISTENING))
    film.sing(quieter(drums(), 4, 8))
    after = segments(film.plan(LISTENING))
    assert [one == other for one, other in zip(before, after, strict=True)] == [True, False, True]


@pytest.mark.parametrize(("first", "end", "same"), [(0, 3.9, True), (9, 12, True), (4.5, 5.5, False)])
def test_a_line_hears_its_own_stretch_of_the_song_alone(
    first: float, end: float, same: bool, film: Film
) -> None:
    before = segments(film.plan(LISTENING))
    film.sing(quieter(drums(), first, end))
    assert (segments(film.plan(LISTENING)) == before) == same


def test_what_is_not_listened_to_may_change(film: Film) -> None:
    before = segments(film.plan(LISTENING))
    film.sing(drums() + bands.tone(5000, SECONDS, 0.05))
    assert segments(film.plan(LISTENING)) == before
    assert segments(film.plan("1 + 0.3*high")) != before


def test_an_expression_of_the_song_that_comes_to_a_number_is_that_number(film: Film) -> None:
    assert segments(film.plan("1.1 + 0*low")) == segments(film.plan("1.1"))
    assert segments(film.plan("0.5 + 0*amp", "learning_rate")) == segments(film.plan("0.5", "learning_rate"))


def test_the_film_may_listen_and_a_line_not(film: Film) -> None:
    made = film.plan("none", zoom=LISTENING)
    heard = [made.segments[segment].motion is not None for segment in segments(made)]
    assert heard == [True, False, True]


def test_beats_are_those_of_the_song_unless_a_tempo_is_set(film: Film) -> None:
    keyed = "0s:(1), 4b:(1.4)"  # four beats of the song are two seconds
    by_song, by_tempo = motion(film.plan(keyed)).zoom, motion(film.plan(keyed, tempo=60)).zoom
    assert by_song[9] == pytest.approx(1.4 ** (1 / 5), abs=0.006) and by_song[-1] == max(by_song)
    assert by_tempo[9] < by_song[9] - 0.02


def test_who_listens_without_a_song_is_told(film: Film) -> None:
    (film.folder / "song.wav").unlink()
    with pytest.raises(UserError, match=r"row 3, column zoom: found low, .* is heard .*; name a song\."):
        film.plan(LISTENING)


def test_the_song_is_listened_to_once_for_all_plans(film: Film, messages: list[str]) -> None:
    film.plan(LISTENING)
    film.plan("1 + 0.2*onset")
    assert messages == ["listening to the song, which is kept for the next time."]


def test_nothing_is_promised_to_be_kept_where_there_is_no_results_folder(
    film: Film, messages: list[str]
) -> None:
    (film.folder / "results").rmdir()
    film.plan(LISTENING)
    assert messages == ["listening to the song."]


def test_what_was_heard_by_another_version_is_heard_again(
    film: Film, messages: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = segments(film.plan(LISTENING))
    monkeypatch.setattr(hearing, "HEARING", hearing.HEARING + 1)
    assert segments(film.plan(LISTENING)) == before and len(messages) == 2


def test_what_was_heard_is_kept_with_its_song_and_can_be_removed_without(film: Film) -> None:
    made, paths = film.plan(LISTENING), Paths(film.folder / "results")
    (heard,) = film.folder.glob("results/plan/audio/*.npz")
    assert heard not in [item.path for item in prune.find(running.needs(made), paths)]
    silent = film.plan(audio="none")
    assert heard in [item.path for item in prune.find(running.needs(silent), paths)]


# learning rates


def rates(made: Plan, line: int = 1) -> tuple[float, ...]:
    return made.segments[segments(made)[line]].strategy.learning_rates


def test_a_learning_rate_follows_what_begins(film: Film) -> None:
    found = rates(film.plan("0.1 + 0.2*onset", "learning_rate"))
    assert len(found) == 25 and 0.1 <= min(found) < 0.15 and 0.18 < max(found) <= 0.3
    assert all(round(rate, 3) == rate for rate in found)


def test_the_film_may_have_a_learning_rate_that_changes_and_a_line_its_own(film: Film) -> None:
    made = film.plan("0.5", "learning_rate", learning_rate="0.1 + 0.2*onset")
    assert [bool(rates(made, line)) for line in range(3)] == [True, False, True]
    strategy = made.segments[segments(made)[1]].strategy
    assert strategy.learning_rate == 0.5


def test_a_learning_rate_by_time_is_the_same_in_a_longer_line(film: Film) -> None:
    ramp = "0s:(0.3), 2s:(0.1)"
    short = film.plan(ramp, "learning_rate")
    screenplay = film.folder / "song.csv"
    longer = screenplay.read_text(encoding="utf-8").replace("three,8", "three,9.5")
    screenplay.write_text(longer, encoding="utf-8")
    keys = {**SETTINGS, "screenplay": str(screenplay), "audio": "auto"}
    assert segments(plan.make(resolve(keys), Paths(film.folder / "results")))[1] == segments(short)[1]
    assert rates(short)[0] == pytest.approx(0.29, abs=0.011) and rates(short)[-1] == 0.1


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        ("0.1 - 2*low", "expected a learning rate from 0 to 10"),
        ("100*amp", "expected a learning rate from 0 to 10"),
        ("0.1 +", "column learning_rate: found '0.1 \\+'"),
        ("0", "a number above 0 and up to 10"),
        ("open('x')", "column learning_rate: found 'open'"),
    ],
)
def test_a_learning_rate_that_cannot_be_is_told_with_its_row(cell: str, found: str, film: Film) -> None:
    with pytest.raises(UserError, match=rf"song.csv row 3.*{found}"):
        film.plan(cell, "learning_rate")


def test_a_films_learning_rate_that_cannot_be_read_names_its_key(film: Film) -> None:
    with pytest.raises(UserError, match=r"^config key 'learning_rate': found 'loud'"):
        film.plan(learning_rate="0.1 + loud")


# rendered


def test_a_line_with_sound_and_camera_that_was_killed_goes_on_bit_for_bit(tmp_path: Path) -> None:
    project = new_project(tmp_path / "project", **TINY)
    project.screenplay.parent.mkdir()
    bands.wav(drums(8), project.screenplay.with_suffix(".wav"))
    cells = "1 + 0.5*low,20*beat - 10,0.5 + onset,2"
    rows = f"text,start,zoom,angle,learning_rate,stability\na red rose,0,{cells}\ngreen grass,4,,,,\n"
    project.screenplay.write_text(rows, encoding="utf-8")
    keys = {**TINY, "iterations": 12, "keyframes_per_second": 5, "audio": "auto"}
    made = plan.make(resolve({**keys, "screenplay": str(project.screenplay)}), project.results)
    plan.write(made, project.results)
    segment = project.segments[0]
    assert made.segments[segment].motion and made.segments[segment].strategy.learning_rates
    straight = project.copy(tmp_path / "straight")
    kept = project.results.work(segment) / "1/kept.zarr.zip"
    with project.command("keyframes", project.results.segment_plan(segment), "6") as process:
        while not kept.exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL and not project.results.rendered(segment)
    # What it heard is in its plan: it goes on without the song.
    project.screenplay.with_suffix(".wav").unlink()
    for each in (project, straight):
        with each.command("keyframes", each.results.segment_plan(segment), "6") as process:
            assert process.wait() == 0
    resumed, whole = (each.results.latents(segment, 6).read_bytes() for each in (project, straight))
    assert resumed == whole
