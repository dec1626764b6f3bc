"""What the storyboard's page and the command that shows it promise, without a browser."""

from __future__ import annotations

import json
import re
import sys
import webbrowser
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from songreel import cli
from songreel.ground.errors import UserError
from songreel.ground.paths import Paths
from songreel.storyboard import charts, page, watch
from tests import storyboards
from tests.conftest import Project
from tests.storyboards import HOSTILE

BOARD = storyboards.storyboard()


def facts(text: str) -> Any:
    """What is embedded in a page for its script."""
    (embedded,) = re.findall(r'<script type="application/json" id="facts">(.*?)</script>', text, re.DOTALL)
    return json.loads(embedded)


# The page


def test_a_page_asks_for_nothing_but_its_film() -> None:
    text = page.html(replace(BOARD, lines=tuple(replace(line, text="a") for line in BOARD.lines)))
    assert not re.findall(r"https?:|//\w+\.|@import|url\(", text)
    sources = re.findall(r'(?:src|href)="(.*?)[,"]', text)
    assert set(sources) == {"data:", "#sheet", "film.mp4", "data:image/webp;base64"}


def test_no_text_ends_an_element_of_the_page() -> None:
    text = page.html(BOARD)
    assert text.count("</script>") == 2
    assert text.count("<script") == 2
    assert text.count("</title>") == 1
    assert facts(text)["lines"][1]["text"] == HOSTILE
    assert "<" not in page.script(BOARD)
    assert page.script(BOARD).isascii()


def test_a_name_that_is_no_text_can_be_written() -> None:
    odd = replace(BOARD, screenplay="screenplays/\udce9t\udce9.csv")
    assert "screenplays/?t?.csv" in page.html(odd)
    page.script(odd).encode()


@pytest.mark.parametrize("rate", ["30", "30000/1001", "24"])
def test_a_line_is_sung_from_the_frame_that_its_start_is_rounded_to(rate: str) -> None:
    board = storyboards.storyboard(Fraction(rate))
    told = facts(page.html(board))
    assert Fraction(*told["rate"]) == Fraction(rate)
    for line, entry in zip(board.lines, told["lines"], strict=True):
        assert entry["first"] == line.first_frame
        assert entry["sung"] == round(Fraction(line.start_seconds) * Fraction(rate))


def test_a_film_of_an_older_plan_is_not_shown() -> None:
    assert "<video" in page.html(replace(BOARD, finished=False))
    assert 'src="film.mp4"' not in page.html(replace(BOARD, finished=False))


def test_only_what_is_told_otherwise_is_another_part() -> None:
    def versions(text: str) -> Mapping[str, str]:
        return {
            name: stamp
            for name, (stamp, _) in json.loads(text[len("songreelStoryboard(") : -3])["parts"].items()
        }

    lines = (*BOARD.lines[:2], replace(BOARD.lines[2], take=9), BOARD.lines[3])
    before, after = versions(page.script(BOARD)), versions(page.script(replace(BOARD, lines=lines)))
    assert {name for name in before if before[name] != after[name]} == {"line-3"}
    assert all(f'data-version="{stamp}"' in page.html(BOARD) for stamp in before.values())


def test_a_line_that_is_new_is_told_from_those_that_were_there() -> None:
    def fresh(*states: Any) -> int:
        lines = (replace(line, state=state) for line, state in zip(BOARD.lines, states, strict=True))
        return page.html(replace(BOARD, lines=tuple(lines))).count(">new<")

    assert fresh("cached", "cached", "done", "cached") == 1
    assert fresh("done", "done", "done", "done") == 0


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "0:00.0"), (7.25, "0:07.3"), (59.96, "1:00.0"), (209, "3:29.0"), (3723.5, "1:02:03.5")],
)
def test_times_are_told_as_people_read_them(seconds: float, told: str) -> None:
    assert page.clock(seconds) == told


def test_ranks_are_told_as_people_say_them() -> None:
    told = [page.ordinal(rank) for rank in (1, 2, 3, 4, 11, 12, 13, 21, 22, 111)]
    assert told == ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "22nd", "111th"]


# Its curves


def test_the_waveform_is_as_high_as_the_song_is_loud() -> None:
    assert charts.waveform([(-0.25, 0.5), (0.0, 0.0)]) == "M0 50V0h1V50h1V50h-1V75h-1Z"
    assert charts.waveform([(0.0, 0.0)]) == "M0 50V50h1V50h-1Z"
    assert charts.waveform([]) == ""


def test_a_sparkline_runs_from_the_first_value_to_the_last() -> None:
    assert charts.sparkline([3, 1, 2]) == "M0 1L50 23L100 12"
    assert charts.sparkline([1, 1]) == "M0 23L100 23"
    assert charts.sparkline([1]) == ""
    assert charts.sparkline(range(1000)).count("L") == charts.MOST_POINTS - 1


# `songreel watch`


@pytest.fixture
def rendered(project: Project, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The page of a project whose folder this process is in; no screen is near."""
    monkeypatch.chdir(project.folder)
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    file = project.results.storyboard("song")
    file.parent.mkdir(parents=True)
    file.write_text(page.html(BOARD), encoding="utf-8")
    return file


@pytest.mark.parametrize(
    "arguments", [[], ["screenplays/song.csv"], ["--config", "screenplay=screenplays/song.csv"]]
)
def test_watch_prints_the_address_and_how_to_look_from_elsewhere(
    rendered: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert cli.main(["watch", *arguments]) == 0
    told = capsys.readouterr()
    assert told.out == f"{rendered.as_uri()}\n"
    assert "--directory results 8000" in told.err
    assert "http://127.0.0.1:8000/song/storyboard.html" in told.err


def test_watch_opens_the_page_where_there_is_a_screen(
    rendered: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def opener(address: str) -> bool:
        opened.append(address)
        return True

    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    monkeypatch.delenv("SSH_TTY", raising=False)
    monkeypatch.setattr(webbrowser, "open", opener)
    assert cli.main(["watch"]) == 0
    assert opened == [rendered.as_uri()]
    assert cli.main(["watch", "--print"]) == 0
    assert len(opened) == 1
    assert capsys.readouterr().err == ""


def test_watch_says_where_a_page_would_be(rendered: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["watch", "screenplays/other.csv"]) == 1
    assert "results/other/storyboard.html: found no storyboard, expected" in capsys.readouterr().err


def test_a_page_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="found no storyboard"):
        watch.find("song", Paths(tmp_path))


@pytest.mark.parametrize(
    ("platform", "environment", "seen"),
    [
        ("linux", {}, False),
        ("linux", {"DISPLAY": ":0"}, True),
        ("linux", {"WAYLAND_DISPLAY": "wayland-0"}, True),
        ("linux", {"DISPLAY": "localhost:10.0", "SSH_CONNECTION": "1 2 3 4"}, False),
        ("darwin", {}, True),
        ("darwin", {"SSH_TTY": "/dev/ttys001"}, False),
    ],
)
def test_a_window_is_opened_where_somebody_sees_it(
    platform: str, environment: Mapping[str, str], seen: bool
) -> None:
    assert watch.has_screen(platform, environment) is seen
