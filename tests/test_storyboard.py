"""What a storyboard knows of a film, when it is made, and how it fills up while the film is rendered."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from docutils.core import publish_parts
from jinja2 import Environment

from songreel import cli
from songreel.drawing import film
from songreel.ground.documents import SegmentRecipe
from songreel.ground.paths import Paths
from songreel.jobs import latents, locks, looks, scores
from songreel.jobs.progress import FILM
from songreel.planning import config, plan
from songreel.storyboard import about, gather, live, outline, outlining, page
from songreel.storyboard.facts import Line, Storyboard
from songreel.upkeep import damage, prune, running
from tests.conftest import TINY, Project, new_project

A, B, C = "a lighthouse at dusk", "the tide comes in, and in", "a red boat"
LINES = [(A, 0), (B, 2), (C, 4)]
SONG = "song"


@pytest.fixture(scope="module")
def first_render(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A film of three lines of 16 frames, rendered once; tests work on copies of it."""
    project = new_project(tmp_path_factory.mktemp("first") / "project", **TINY, style="in oil")
    project.write(LINES)
    assert project.rendered() == {"keyframes": 3, "clip": 3, "film": 1}
    return project


@pytest.fixture
def rendered(first_render: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A copy, in whose folder this process works and of whose film it is a job."""
    project = first_render.copy(tmp_path / "copy")
    monkeypatch.chdir(project.folder)
    monkeypatch.setenv(FILM, SONG)
    return project


def board(project: Project) -> Storyboard:
    return gather.of(SONG, project.results)


def unlink(*files: Path) -> None:
    for file in files:
        file.unlink()


def plan_again(settings: dict[str, Any] | None = None) -> plan.Plan:
    """Plan the film in this folder, as Snakemake does when it starts."""
    resolved = config.resolve(config.read(Path("config.yaml")) | (settings or {}))
    made = plan.make(resolved, Paths())
    plan.write(made, Paths())
    outlining.write(made, resolved, Paths())
    return made


def all_planned(project: Project) -> dict[str, int]:
    run = project.run("--dry-run")
    assert run.status == 0, run.output
    return dict(run.all_planned)


# What it knows


def test_a_storyboard_tells_of_a_film_and_its_lines(first_render: Project) -> None:
    found = board(first_render)
    assert (found.title, found.song, found.film, found.finished) == (SONG, SONG, "film.mp4", True)
    assert (found.width, found.height, found.rate, found.frames, found.seconds) == (32, 32, "8", 48, 6.0)
    assert (found.waveform, found.notes) == ((), ())
    assert [(line.number, line.row, line.text) for line in found.lines] == [(1, 1, A), (2, 2, B), (3, 3, C)]
    assert [(line.first_frame, line.frames) for line in found.lines] == [(0, 16), (16, 16), (32, 16)]
    assert [line.segment for line in found.lines] == first_render.segments
    for line in found.lines:
        assert (line.take, line.prompt, line.style, line.state) == (0, None, "in oil", "done")
        assert line.keyframes == line.keyframes_needed == len(line.losses) == 5
        assert line.cosine is not None and -1 <= line.cosine <= 1
        assert line.rank is not None and 1 <= line.rank <= line.out_of == 3
        assert line.seconds_taken is not None and line.seconds_taken > 0
        assert len(line.strip) == 8 and len(set(line.strip)) > 1
        assert (first_render.results.film(SONG).parent / str(line.clip)).is_file()


def test_losses_are_those_of_the_latents(first_render: Project) -> None:
    for line in board(first_render).lines:
        kept = latents.load(first_render.results.latents(line.segment, 5), line.segment)
        assert line.losses == tuple(round(float(loss), 4) for loss in kept.loss)


def test_results_that_no_job_kept_anything_of_are_read_and_told_as_not_measured(
    rendered: Project,
) -> None:
    paths, before = rendered.results, board(rendered)
    shutil.rmtree(paths.score("", "").parent)
    shutil.rmtree(paths.strip("").parent)
    bare = board(rendered)
    assert [(line.losses, line.strip, line.cosine) for line in bare.lines] == [((), (), None)] * 3
    live.finish(SONG, paths, film.executable(""))
    after = board(rendered)
    assert [line.losses for line in after.lines] == [line.losses for line in before.lines]
    assert [len(line.strip) for line in after.lines] == [8, 8, 8]
    for line in after.lines:
        assert (line.cosine, line.rank, line.out_of, line.seconds_taken, line.weak) == (
            None,
            None,
            0,
            None,
            None,
        )


def test_one_line_that_was_not_measured_is_said(rendered: Project) -> None:
    unlink(rendered.results.score(rendered.segments[0], 5))
    found = board(rendered)
    assert found.notes == (
        "1 line was rendered when nobody looked how the pictures follow the words; songreel storyboard"
        f" {rendered.results.timeline(SONG)} --measure does.",
    )
    assert [line.out_of for line in found.lines] == [0, 2, 2]


def test_a_line_can_be_measured_that_was_rendered_when_nobody_looked(rendered: Project) -> None:
    before = board(rendered)
    unlink(rendered.results.score(rendered.segments[1], 5))
    assert cli.main(["storyboard", str(Paths().timeline(SONG)), "--measure"]) == 0
    after = board(rendered)
    assert after.notes == ()
    assert after.lines[1] == replace(before.lines[1], seconds_taken=None, cosine=after.lines[1].cosine)
    assert after.lines[1].cosine == pytest.approx(before.lines[1].cosine, abs=1e-3)


def test_what_is_missing_is_told_as_missing(rendered: Project) -> None:
    paths = rendered.results
    first, second, third = board(rendered).lines
    clips = rendered.clips
    unlink(clips[0], paths.latents(first.segment, 5), paths.latents(second.segment, 5), paths.film(SONG))
    unlink(paths.strip(clips[2].stem))
    found = board(rendered)
    assert (found.film, found.finished) == (None, False)
    assert found.lines == (
        replace(first, clip=None, state="waiting", keyframes=0, strip=()),
        replace(second, keyframes=0),
        replace(third, strip=()),
    )


def test_a_film_of_an_older_plan_is_not_shown_as_this_one(rendered: Project) -> None:
    rendered.write([*LINES[:2], ("a blue boat", 4)])
    plan_again()
    found = board(rendered)
    assert (found.film, found.finished) == (None, False)
    assert [line.state for line in found.lines] == ["done", "done", "waiting"]


def test_a_damaged_score_is_a_line_that_was_not_measured(rendered: Project) -> None:
    path = rendered.results.score(rendered.segments[1], 5)
    path.write_bytes(path.read_bytes()[:-1])
    assert [line.cosine is None for line in board(rendered).lines] == [False, True, False]


def test_removal_takes_what_is_kept_of_lines_that_no_film_needs(rendered: Project) -> None:
    paths = rendered.results
    first, *others = rendered.segments
    clips = [clip.stem for clip in rendered.clips]
    needed = running.union([{"segments": others, "clips": clips[1:]}])
    removed = {item.path for item in prune.find(needed, paths)}
    assert {paths.score(first, 5), paths.strip(clips[0])} <= removed
    assert not {paths.score(other, 5) for other in others} & removed
    assert not {paths.storyboard(SONG), paths.outline(SONG), paths.live(SONG)} & removed


def test_what_stands_in_the_place_of_a_page_is_damage(rendered: Project) -> None:
    made = plan_again()
    file = Paths().storyboard(SONG)
    file.unlink()
    file.mkdir()
    assert [fault.path for fault in damage.in_plans(made, Paths())] == [file]


def test_a_look_that_fails_harms_no_latents(
    rendered: Project, monkeypatch: pytest.MonkeyPatch, messages: list[str]
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(scores, "keep", full)
    segment, paths = rendered.segments[0], Paths()
    before = paths.latents(segment, 5).read_bytes()
    unlink(paths.latents(segment, 5), paths.score(segment, 5))
    shutil.rmtree(paths.work(segment), ignore_errors=True)
    assert cli.main(["keyframes", str(paths.segment_plan(segment)), "5"]) == 0
    assert paths.latents(segment, 5).read_bytes() == before
    assert any("was not measured" in message and "No space left" in message for message in messages)


# When it is made


def test_a_finished_film_has_its_page(first_render: Project) -> None:
    assert live.is_current(SONG, first_render.results)


def test_a_film_without_a_page_gets_only_that(rendered: Project) -> None:
    paths = rendered.results
    unlink(paths.storyboard(SONG), paths.live(SONG), paths.outline(SONG))
    assert all_planned(rendered) == {"storyboard": 1}


def test_a_page_whose_rows_have_moved_is_made_again(rendered: Project) -> None:
    rendered.screenplay.write_text("# A comment.\n" + rendered.screenplay.read_text())
    run = rendered.run()
    assert (run.status, run.executed, run.storyboards) == (0, {}, 1), run.output
    assert live.is_current(SONG, rendered.results)
    assert [(line.row, line.state) for line in board(rendered).lines] == [
        (2, "cached"),
        (3, "cached"),
        (4, "cached"),
    ]


@pytest.mark.parametrize("damage", ["cut", "begun and never finished"])
def test_a_page_that_is_not_finished_is_asked_for_again(rendered: Project, damage: str) -> None:
    paths = rendered.results
    assert not live.ask(SONG, paths) and not paths.storyboard_asked(SONG).exists()
    if damage == "cut":
        file = paths.storyboard(SONG)
        file.write_bytes(file.read_bytes()[:-5])
    else:
        aside = paths.film(SONG).rename(rendered.folder / "aside")
        live.begin(SONG, paths, film.executable(""))
        aside.rename(paths.film(SONG))
    assert live.ask(SONG, paths)
    assert paths.storyboard_asked(SONG).stat().st_mtime > paths.storyboard(SONG).stat().st_mtime


def test_a_finished_page_stays_where_no_run_will_make_it_again(rendered: Project) -> None:
    live.begin(SONG, rendered.results, film.executable(""))
    assert live.is_current(SONG, rendered.results)


def test_a_page_that_is_made_before_its_film_is_not_the_last_one(rendered: Project) -> None:
    unlink(rendered.results.film(SONG))
    live.finish(SONG, rendered.results, film.executable(""))
    assert live.ask(SONG, rendered.results)


def test_editing_one_line_makes_one_line_new(rendered: Project) -> None:
    before = board(rendered)
    rendered.write([(A, 0), ("a blue boat", 2), (C, 4)])
    assert rendered.rendered() == {"keyframes": 1, "clip": 2, "film": 1}
    after = board(rendered)
    assert [line.state for line in after.lines] == ["cached", "done", "done"]
    assert _of_its_own(after.lines[0]) == _of_its_own(before.lines[0])
    # Its clip is new, for the one before it is blended into it
    assert replace(_of_its_own(after.lines[2]), clip="", strip=()) == replace(
        _of_its_own(before.lines[2]), clip="", strip=()
    )
    assert after.lines[1].segment != before.lines[1].segment and after.lines[1].cosine is not None


def _of_its_own(line: Line) -> Line:
    """What does not depend on the other lines, nor on what was rendered when."""
    return replace(line, rank=None, weak=None, state="done")


def test_a_report_holds_film_storyboard_screenplay_and_settings(rendered: Project) -> None:
    run = rendered.run("--report", "report.zip")
    assert (run.status, run.executed) == (0, {}), run.output
    with zipfile.ZipFile("report.zip") as report:
        names = {Path(name).name: name for name in report.namelist()}
        text = report.read(names["report.html"]).decode()
        assert report.read(names["film.mp4"]) == rendered.film.read_bytes()
        assert gather.of(SONG, Paths()).elsewhere == f"../{Path(names['film.mp4']).parent.name}/film.mp4"
        assert report.read(names["storyboard.html"]) == rendered.results.storyboard(SONG).read_bytes()
    for words in (A, B, C, "style: in oil", "rank of"):
        assert words in text


def test_what_a_report_tells_of_a_song_is_only_text(rendered: Project) -> None:
    words = "{{ snakemake.no }} {% endraw %} *star* `tick` <b>|x| _y_ :z:`w`"
    rendered.write([(words, 0), (A, 2)])
    settings = config.read(Path("config.yaml")) | {"title": words}
    made = plan.make(config.resolve(settings), Paths())
    about.write(made, settings, rendered.screenplay, Paths())
    read = Environment().from_string(Paths().about(SONG).read_text()).render()
    html = publish_parts(read, writer="html")["html_body"]
    assert "system-message" not in html and "{{ snakemake.no }}" in html and "&lt;b&gt;|x| _y_ :z:" in html


# While it is rendered


def test_a_page_fills_up_as_lines_are_done(rendered: Project) -> None:
    paths, (_, second, _) = rendered.results, rendered.clips
    aside = second.rename(rendered.folder / "aside")
    unlink(paths.film(SONG))
    live.begin(SONG, paths, film.executable(""))
    begun, shown = paths.live(SONG).read_text(), paths.storyboard(SONG).read_text()
    assert A in shown and B in shown and not live.is_current(SONG, paths)
    aside.rename(second)
    live.refresh(paths)
    assert paths.live(SONG).read_text() != begun
    assert paths.storyboard(SONG).read_text() == shown
    assert [line.state for line in board(rendered).lines] == ["cached", "done", "cached"]


def test_jobs_that_end_while_a_page_is_written_are_shown(
    rendered: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last to write has looked before the other one had ended."""
    paths, (_, second, _) = rendered.results, rendered.clips
    aside, seen = second.rename(rendered.folder / "aside"), []

    def script(storyboard: Storyboard) -> str:
        if aside.exists():
            aside.rename(second)
        seen.append([line.clip is not None for line in storyboard.lines])
        return "//"

    monkeypatch.setattr(page, "script", script)
    live.refresh(paths)
    assert seen == [[True, False, True], [True, True, True]]


def test_a_line_is_running_while_a_job_has_its_lock_and_no_longer(rendered: Project) -> None:
    paths, line = rendered.results, board(rendered).lines[0]
    unlink(rendered.clips[0], paths.latents(line.segment, 5))
    recipe = SegmentRecipe.read(paths.segment_plan(line.segment))
    other = rendered.results.latents(rendered.segments[1], 5)
    kept = latents.load(other, rendered.segments[1])
    shutil.rmtree(paths.work(line.segment), ignore_errors=True)
    with locks.held(paths.work(line.segment)) as lock:
        part = latents.Segment(kept.tokens[:2], kept.loss[:2], kept.latent)
        lock.keep(lambda file: latents.write(file, part, recipe))
        assert _told(rendered) == ("running", 2)
    assert _told(rendered) == ("waiting", 2)


def _told(project: Project) -> tuple[str, int]:
    line = board(project).lines[0]
    return line.state, line.keyframes


def test_a_job_of_no_workflow_shows_nothing(rendered: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FILM)
    unlink(rendered.results.live(SONG))
    live.refresh(rendered.results)
    assert not rendered.results.live(SONG).exists()


def test_what_hinders_a_page_is_said_and_stops_no_job(
    rendered: Project, monkeypatch: pytest.MonkeyPatch, messages: list[str]
) -> None:
    rendered.results.outline(SONG).write_text("{}")
    live.refresh(rendered.results)
    assert len(messages) == 1 and "the storyboard cannot show how far the film is" in messages[0]


def test_a_page_of_very_many_lines_is_not_written_for_each(
    rendered: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    monkeypatch.setattr(live, "MANY", 2)
    monkeypatch.setattr(live, "SECONDS_A_LINE", 1e6)

    def script(storyboard: Storyboard) -> str:
        written.append(len(storyboard.lines))
        return "//"

    monkeypatch.setattr(page, "script", script)
    live.refresh(rendered.results)
    assert not written
    unlink(rendered.results.live(SONG))
    live.refresh(rendered.results)
    assert written == [3]


def test_long_films_have_fewer_pictures_a_line(rendered: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = board(rendered).lines[0].strip
    monkeypatch.setattr(gather, "MOST_PICTURES", 6)
    assert board(rendered).lines[0].strip == (whole[2], whole[6])


def test_a_line_tells_what_steers_it_where_that_is_not_its_text(rendered: Project) -> None:
    rows = ["text,start,prompt,style,take", f"{A},0,a castle:2 | fog,none,7", f"{C},2,,,"]
    rendered.screenplay.write_text("\n".join(rows))
    plan_again({"avoid": "blurry"})
    _, told = outline.read(SONG, rendered.results)
    assert _directions(told.lines) == [
        (2, 7, "a castle:2 | fog | blurry:-0.5", ""),
        (3, 0, f"{C} | blurry:-0.5", "in oil"),
    ]


def _directions(lines: Sequence[outline.OutlineLine]) -> list[tuple[int, int, str | None, str]]:
    return [(line.row, line.take, line.prompt, line.style) for line in lines]


def test_looks_are_few(first_render: Project) -> None:
    kept = scores.load(first_render.segments[0], 5, first_render.results)
    assert kept and len(kept.judged[0].pictures) == 5 <= looks.MOST
