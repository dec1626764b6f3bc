"""A film is the plan's by what it holds: whatever else is put in its place is seen and made good."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import pytest

from songreel.drawing import joined
from songreel.ground import seal
from songreel.ground.documents import Timeline
from songreel.ground.errors import DamageError
from songreel.ground.files import not_later, set_aside
from songreel.upkeep import damage
from tests import films
from tests.test_failures import Project, copied, only_sentence, snakemake

DAY = 86400  # seconds


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("rendered") / "song").create().render()


@pytest.fixture
def project(rendered: Project, tmp_path: Path) -> Project:
    return copied(rendered, tmp_path / "song")


def film_of(project: Project) -> Path:
    return project.timeline().with_name("film.mp4")


def stamp(path: Path, seconds_from_now: float) -> None:
    then = time.time() + seconds_from_now
    os.utime(path, (then, then))


def run(project: Project, *config: str, dry: bool = False) -> str:
    """What a call of snakemake that ends well prints."""
    result = snakemake(project, *config, dry=dry)
    assert result.returncode == 0, result.stderr
    return result.stdout + result.stderr


def faults(project: Project) -> list[DamageError]:
    return list(damage.find(project.plan(), project.paths))


# What stands in the film's place


def _flip(at: float) -> Callable[[Path], object]:
    def flip(film: Path) -> None:
        data = bytearray(film.read_bytes())
        data[round(at * (len(data) - 1))] ^= 1
        film.write_bytes(data)

    return flip


def _folder(film: Path) -> None:
    film.unlink()
    (film / "inside").mkdir(parents=True)


def _dangling(film: Path) -> None:
    film.unlink()
    film.symlink_to("nowhere.mp4")


def _loop(film: Path) -> None:
    film.unlink()
    film.symlink_to(film.name)


def _pipe(film: Path) -> None:
    film.unlink()
    os.mkfifo(film)


def _other_songs(film: Path) -> None:
    """The whole film of another screenplay, which has the same plan."""
    data = film.read_bytes()[: -seal.HEAD_BYTES - 3 * seal.DIGEST_BYTES]
    film.write_bytes(data)
    plan = joined._seal(Timeline.read(film.with_name("timeline.json")), film).payload[seal.DIGEST_BYTES :]
    seal.add(film, seal.of_film("other", plan))


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut short": (lambda film: film.write_bytes(film.read_bytes()[:-1]), "a damaged file"),
    "half": (lambda film: os.truncate(film, film.stat().st_size // 2), "a damaged file"),
    "empty": (lambda film: film.write_bytes(b""), "a damaged file"),
    "zeroed": (lambda film: film.write_bytes(bytes(film.stat().st_size)), "a damaged file"),
    "first byte": (_flip(0), "a damaged file"),
    "a byte in the middle": (_flip(0.5), "a damaged file"),
    "last byte": (_flip(1), "a damaged file"),
    "longer": (lambda film: film.write_bytes(film.read_bytes() + b"\0"), "a damaged file"),
    "a clip": (lambda film: shutil.copy(next(film.parents[1].glob("clips/*")), film), "a damaged file"),
    "of an earlier version": (
        lambda film: os.truncate(film, film.stat().st_size - seal.HEAD_BYTES - 3 * seal.DIGEST_BYTES),
        "a damaged file, or a film of an earlier version",
    ),
    "another screenplay's": (_other_songs, "another screenplay's film"),
    "a folder": (_folder, "a folder"),
    "a dangling link": (_dangling, "a link that leads nowhere"),
    "a link to itself": (_loop, "a link that leads nowhere"),
    "a pipe": (_pipe, "a pipe"),
}


@pytest.mark.parametrize(("damaging", "words"), BROKEN.values(), ids=BROKEN)
def test_a_film_that_is_not_as_it_was_joined_is_named_set_aside_and_joined_again(
    damaging: Callable[[Path], object], words: str, project: Project
) -> None:
    film = film_of(project)
    whole = film.read_bytes()
    assert faults(project) == []
    damaging(film)
    (fault,) = faults(project)
    assert f"song/film.mp4: found {words}" in str(fault)
    aside = set_aside(fault.path)
    assert os.path.lexists(aside) and not os.path.lexists(film)
    assert faults(project) == []
    assert project.film() == 0
    assert film.read_bytes() == whole
    assert faults(project) == []


def test_a_whole_film_is_right_at_any_time_and_in_any_folder(project: Project, tmp_path: Path) -> None:
    for seconds in (-1000 * DAY, 1000 * DAY):
        stamp(film_of(project), seconds)
        assert joined.is_film(film_of(project), project.plan().timeline, tmp_path / "note")
    elsewhere = copied(project, tmp_path / "elsewhere")
    assert faults(elsewhere) == []


def test_an_older_plans_film_stays_until_the_new_one_is_there(project: Project) -> None:
    film = film_of(project)
    old = film.read_bytes()
    project.raw["title"] = "Another title"
    plan = project.plan()
    assert faults(project) == []
    assert damage.is_outdated(plan, project.paths)
    assert film.read_bytes() == old
    assert project.film() == 0
    assert not damage.is_outdated(plan, project.paths)
    assert films.tags(film)["title"] == "Another title"


def test_a_large_film_is_read_once_and_again_when_it_was_changed(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its plan is always looked at; that a file was written to, its size, number or times tell."""
    monkeypatch.setattr(joined, "LARGE_BYTES", 99)
    film, plan, intact = film_of(project), project.plan(), Mock(wraps=seal.intact)
    monkeypatch.setattr(seal, "intact", intact)
    for _ in range(3):
        assert list(damage.find(plan, project.paths)) == []
    assert intact.call_count == 1
    before = film.stat()
    _flip(0.5)(film)
    os.utime(film, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert [fault.path for fault in damage.find(plan, project.paths)] == [film]
    assert damage.is_outdated(project.plan(), project.paths) is False
    project.raw["title"] = "Another title"
    assert damage.is_outdated(project.plan(), project.paths)


def test_what_was_set_aside_before_is_not_lost(tmp_path: Path) -> None:
    names = []
    for number in range(3):
        (tmp_path / "film.mp4").write_text(str(number))
        names.append(set_aside(tmp_path / "film.mp4"))
    assert [name.read_text() for name in names] == ["0", "1", "2"]
    assert names[0].name == "film.mp4.damaged"


# What Snakemake then does


DONE = "Nothing to be done"


def test_snakemake_joins_what_is_not_the_plans_film_and_nothing_else(project: Project) -> None:
    film, whole = film_of(project), film_of(project).read_bytes()
    assert DONE in run(project, dry=True)
    _flip(0.3)(film)
    stamp(film, 10 * DAY)
    told = run(project, dry=True)
    assert "now film.mp4.damaged, and rendered again" in told
    assert "\nfilm  " in told and "\nclip  " not in told
    run(project)
    assert film.read_bytes() == whole
    assert DONE in run(project)


def test_an_edit_is_not_hidden_by_a_time_stamp_that_lies_ahead(project: Project) -> None:
    """A node's clock was ahead, for the film and for what it is made from."""
    film = film_of(project)
    for path in (film, *project.paths.clip("any").parent.iterdir(), project.timeline()):
        stamp(path, 10 * DAY)
    assert DONE in run(project)
    run(project, "title=New")
    assert films.tags(film)["title"] == "New"
    assert DONE in run(project, "title=New")


def test_an_older_plans_film_that_lands_after_the_new_plan_is_joined_again(project: Project) -> None:
    """It was being joined while the screenplay was edited. And again: Snakemake has seen all of it then."""
    film, old = film_of(project), film_of(project).read_bytes()
    for _ in range(2):
        run(project, "title=New", dry=True)
        film.write_bytes(old)
        run(project, "title=New")
        assert films.tags(film)["title"] == "New"
    assert DONE in run(project, "title=New")


def test_a_song_that_changes_while_the_film_is_made_ends_in_no_film(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else, once it is changed back, a film with another sound would pass for the plan's."""
    films.ffmpeg("-f", "lavfi", "-i", "sine=220:duration=0.5", project.screenplay.with_suffix(".wav"))
    project.plan()
    before = film_of(project).read_bytes()
    films.ffmpeg("-f", "lavfi", "-i", "sine=440:duration=0.5", project.screenplay.with_suffix(".wav"))
    clips = [project.paths.clip(entry.clip) for entry in Timeline.read(project.timeline()).clips]
    assert [project.clip(clip.stem) for clip in clips if not clip.exists()].count(1) == 0
    assert project.film() == 1
    assert "song.wav: found a song that was changed since the film was planned" in only_sentence(
        capsys.readouterr().err
    )
    assert film_of(project).read_bytes() == before
    project.screenplay.with_suffix(".wav").unlink()
    assert project.film() == 1
    assert "song.wav: No such file" in only_sentence(capsys.readouterr().err)


def test_times_that_lie_ahead_are_taken_back_and_others_left(tmp_path: Path) -> None:
    target, earlier, later = (tmp_path / name for name in ("target", "earlier", "later"))
    for path, seconds in ((target, 0), (earlier, -DAY), (later, DAY)):
        path.touch()
        stamp(path, seconds)
    before = earlier.stat().st_mtime_ns
    not_later([earlier, later, tmp_path / "gone"], target)
    assert earlier.stat().st_mtime_ns == before
    assert later.stat().st_mtime_ns == target.stat().st_mtime_ns
