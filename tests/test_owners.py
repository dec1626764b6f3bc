"""Two screenplays of one name keep two films, and a project that is copied or moved keeps its own."""

import shutil
from pathlib import Path

import pytest

from songreel.ground.files import write_json_if_changed
from songreel.ground.paths import Paths
from songreel.planning import owners, plan
from songreel.planning.config import resolve
from tests.plans import timeline


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        write(tmp_path / f"project/{name}/lyrics.csv", f"{name},0\n")
    return tmp_path / "project"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def planned(screenplay: Path, results: Path) -> plan.Plan:
    """Plan a film and write the plan, as each start of the workflow does."""
    made = plan.make(resolve({"screenplay": str(screenplay), "audio": "none"}), Paths(results))
    plan.write(made, Paths(results))
    return made


def test_a_second_screenplay_of_the_name_gets_a_folder_of_its_own_and_that_is_told(project: Path) -> None:
    results = project / "results"
    first, second = (planned(project / name / "lyrics.csv", results) for name in ("a", "b"))
    assert first.song == "lyrics" and second.song.startswith("lyrics-")
    (told,) = second.notes
    assert not first.notes and f"this film is {results / second.song}/film.mp4." in told
    assert "../a/lyrics.csv" in told


def test_each_keeps_its_folder_whichever_is_rendered_next(project: Path) -> None:
    songs = [planned(project / name / "lyrics.csv", project / "results").song for name in "abbaab"]
    assert songs == [songs[0], songs[1], songs[1], songs[0], songs[0], songs[1]]


def test_names_that_differ_in_their_end_alone_are_two_screenplays(project: Path) -> None:
    other = write(project / "a/lyrics.txt", "c,0\n")
    songs = [planned(path, project / "results").song for path in (project / "a/lyrics.csv", other)]
    assert len(set(songs)) == 2


def test_a_folder_from_before_its_owner_was_noted_stays_the_songs(project: Path) -> None:
    paths = Paths(project / "results")
    write_json_if_changed(paths.timeline("lyrics"), timeline([]).to_json())
    assert planned(project / "b/lyrics.csv", paths.root).song == "lyrics"


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"screenplay": 7}', '{"screenplay": "a\\u0000b"}', "[" * 9999]
)
def test_a_damaged_note_is_written_again(content: str, project: Path) -> None:
    paths = Paths(project / "results")
    write(paths.owner("lyrics"), content)
    assert planned(project / "b/lyrics.csv", paths.root).song == "lyrics"
    assert planned(project / "a/lyrics.csv", paths.root).song != "lyrics"


def test_a_screenplay_that_was_moved_keeps_its_film(project: Path) -> None:
    planned(project / "a/lyrics.csv", project / "results")
    (project / "a").rename(project / "c")
    assert planned(project / "c/lyrics.csv", project / "results").song == "lyrics"


@pytest.mark.parametrize("linked", [False, True])
def test_a_project_that_is_copied_as_a_whole_keeps_its_folders(
    linked: bool, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    songs = [planned(project / name / "lyrics.csv", project / "results").song for name in "ab"]
    copy = project.with_name("copy")
    shutil.copytree(project, copy)
    if linked:
        shutil.move(copy, project.with_name("elsewhere"))
        copy.symlink_to(project.with_name("elsewhere"))
    monkeypatch.chdir(copy)
    assert [planned(Path(f"{name}/lyrics.csv"), Path("results")).song for name in "ab"] == songs


def test_to_look_for_the_folder_writes_nothing(project: Path) -> None:
    paths = Paths(project / "results")
    assert owners.folder(project / "a/lyrics.csv", paths) == "lyrics"
    assert not paths.root.exists()
