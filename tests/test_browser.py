"""What a storyboard promises to whoever looks at it, seen by the Chromium that is installed."""

from __future__ import annotations

import functools
import http.server
import io
import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from songreel.storyboard import page
from songreel.storyboard.facts import Storyboard
from tests import storyboards
from tests.storyboards import HOSTILE, TEXTS, number_on

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
BOARD = storyboards.storyboard()
TELEVISION = storyboards.storyboard(Fraction(30000, 1001))
TRIES = 30  # to see a frame
PLAYER = "document.querySelector('video')"
expect.set_options(timeout=30_000)  # milliseconds: on a busy machine a page looks for news less often


@dataclass
class Seen:
    """An open page, what its console said of errors and what it asked for."""

    page: Page
    errors: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def player(self, what: str) -> Any:
        return self.page.evaluate(f"{PLAYER}.{what}")

    def frame(self) -> int:
        """The number of the frame that is on the screen, once the player has come to it."""
        self.page.wait_for_function(f"!{PLAYER}.seeking && {PLAYER}.readyState >= 2")
        # The player's buttons lie over the picture.
        self.page.evaluate(f"{PLAYER}.controls = false")
        shot = self.page.locator("video").screenshot()
        self.page.evaluate(f"{PLAYER}.controls = true")
        return number_on(Image.open(io.BytesIO(shot)))

    def shows(self, frame: int) -> bool:
        """Whether a frame is on the screen, at once or soon: a busy machine paints what was found later."""
        for _ in range(TRIES):
            if self.frame() == frame:
                return True
            self.page.wait_for_timeout(100)
        return False

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def current(self) -> str | None:
        return self.page.locator("[aria-current=true]").get_attribute("data-line")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        message = "no Chromium is installed, as Debian's package chromium is"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=program, args=arguments)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two films and their clips: of 30 frames a second, and of 30000/1001."""
    folder = tmp_path_factory.mktemp("films")
    for name, board in (("whole", BOARD), ("television", TELEVISION)):
        (folder / name).mkdir()
        storyboards.join(board, storyboards.make_clips(board, folder / name), folder / name)
    return folder


@pytest.fixture
def folder(films: Path, tmp_path: Path) -> Path:
    """A song's folder of its own, with its film and clips."""
    shutil.copytree(films / "whole", tmp_path / "river")
    return tmp_path / "river"


def write(board: Storyboard, folder: Path) -> Path:
    """Write a storyboard as a run does; its page."""
    (folder / page.SCRIPT).write_text(page.script(board), encoding="utf-8")
    file = folder / "storyboard.html"
    file.write_text(page.html(board), encoding="utf-8")
    return file


def look(browser: Browser, address: str, **how: Any) -> Seen:
    """Open a page and wait for what is in its player, if anything is."""
    seen = Seen(browser.new_page(**({"viewport": {"width": 1280, "height": 800}} | how)))
    seen.page.on("console", lambda said: seen.errors.extend([said.text] if said.type == "error" else []))
    seen.page.on("pageerror", lambda error: seen.errors.append(str(error)))
    seen.page.on("request", lambda request: seen.asked.append(request.url))
    seen.page.goto(address)
    if how.get("java_script_enabled", True):
        seen.page.wait_for_function(f"!{PLAYER}.src || {PLAYER}.readyState >= 2")
    return seen


@pytest.fixture
def seen(browser: Browser, folder: Path) -> Iterator[Seen]:
    """The finished film's page, opened from disk."""
    opened = look(browser, write(BOARD, folder).as_uri())
    yield opened
    assert not opened.errors
    assert opened.asked
    assert not [address for address in opened.asked if not address.startswith(("file:", "data:"))]
    opened.page.close()


# The film and its lines


@pytest.mark.parametrize("line", range(4))
def test_a_click_on_a_row_shows_its_first_frame(seen: Seen, line: int) -> None:
    seen.page.click(f"#line-{line + 1} .text", position={"x": 2, "y": 2})
    assert seen.shows(BOARD.lines[line].first_frame)
    assert seen.current() == str(line + 1)


def test_in_a_report_the_film_is_found_in_another_folder(browser: Browser, folder: Path) -> None:
    report = folder / "data"
    for name in ("film", "page"):
        (report / name).mkdir(parents=True)
    shutil.copy(folder / str(BOARD.film), report / "film")
    address = write(replace(BOARD, elsewhere=f"../film/{BOARD.film}"), report / "page").as_uri()
    seen = look(browser, address)
    seen.page.wait_for_function(f"{PLAYER}.readyState >= 2")
    assert seen.player("src").endswith(f"/data/film/{BOARD.film}")
    seen.page.click("#line-3 .go")
    assert seen.shows(BOARD.lines[2].first_frame)
    seen.page.close()


def test_frames_are_found_at_a_rate_that_is_no_whole_number(browser: Browser, films: Path) -> None:
    seen = look(browser, write(TELEVISION, films / "television").as_uri())
    for line in TELEVISION.lines:
        seen.page.click(f"#line-{line.number} .go")
        assert seen.shows(line.first_frame)
    seen.press("ArrowLeft")
    assert seen.shows(TELEVISION.lines[3].first_frame - 1)
    seen.page.close()


def test_a_click_on_a_picture_shows_its_frame(seen: Seen) -> None:
    picture = seen.page.locator("#line-2 .frames button").nth(5)
    frame = int(picture.get_attribute("data-frame") or "")
    picture.click()
    assert frame > BOARD.lines[1].first_frame
    assert seen.shows(frame)
    expect(picture).to_have_class("shown")


def test_a_click_on_the_waveform_shows_what_is_there(seen: Seen) -> None:
    box = seen.page.locator("#timeline").bounding_box()
    assert box
    seen.page.mouse.click(box["x"] + box["width"] * 0.5, box["y"] + 20)
    told = int(seen.page.locator("#timeline").get_attribute("aria-valuenow") or "")
    assert abs(told - BOARD.frames / 2) <= 1
    assert seen.shows(told)


def test_keys_step_by_a_frame_and_by_a_line(seen: Seen) -> None:
    first = [line.first_frame for line in BOARD.lines]
    steps = [
        ("ArrowRight", 1), ("ArrowRight", 2), ("ArrowDown", first[1]), ("ArrowLeft", first[1] - 1),
        ("ArrowUp", first[0]), ("ArrowLeft", 0), ("End", first[3]), ("ArrowDown", first[3]),
        ("ArrowRight", first[3] + 1), ("ArrowUp", first[3]), ("ArrowUp", first[2]), ("Home", 0),
    ]  # fmt: skip
    for key, frame in steps:
        seen.press(key)
        assert seen.shows(frame), key


def test_keys_follow_the_row_that_has_the_focus(seen: Seen) -> None:
    seen.page.focus("#line-1 .go")
    seen.press("ArrowDown", "ArrowDown")
    expect(seen.page.locator("#line-3 .go")).to_be_focused()
    seen.press("Enter")
    assert seen.shows(BOARD.lines[2].first_frame)


def test_the_words_change_with_the_frame_on_which_a_line_is_sung(seen: Seen) -> None:
    words = seen.page.locator("#words")
    for line, text in enumerate(TEXTS):
        sung = round(Fraction(BOARD.lines[line].start_seconds) * 30)
        seen.page.evaluate(f"{PLAYER}.currentTime = {(sung - 0.5) / 30}")
        assert seen.shows(sung - 1)
        expect(words).to_have_text(TEXTS[line - 1] if line else "", use_inner_text=False)
        seen.press("ArrowRight")
        assert seen.shows(sung)
        assert words.evaluate("element => element.textContent") == text


def test_the_film_plays_and_its_words_with_it(seen: Seen) -> None:
    seen.page.evaluate(
        f"""() => {{
            window.heard = [];
            new MutationObserver(() => heard.push([words.textContent, {PLAYER}.currentTime]))
                .observe(words, {{ childList: true }});
        }}"""
    )
    seen.page.focus("#line-1 .go")
    seen.press(" ")
    expect(seen.page.locator("#words")).to_have_text(TEXTS[0])
    assert not seen.player("paused")
    expect(seen.page.locator("#line-2")).to_have_class("current")
    seen.press(" ")
    assert seen.player("paused")
    heard = seen.page.evaluate("heard")
    assert [text for text, _ in heard][:2] == [*TEXTS[:2]]
    # The player's clock and its pictures are a few frames apart; the frame itself is held by the test above.
    late = (seconds - start for (_, seconds), start in zip(heard, storyboards.STARTS, strict=False))
    assert all(seconds > -0.3 for seconds in late)


def test_an_id_can_be_copied(seen: Seen) -> None:
    seen.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    seen.page.click("#line-3 .copy")
    expect(seen.page.locator("#said")).to_contain_text(BOARD.lines[2].segment)
    assert seen.page.evaluate("navigator.clipboard.readText()") == BOARD.lines[2].segment


# What is told


def test_a_text_is_only_text(seen: Seen) -> None:
    seen.page.click("#line-2 .go")
    for place in ("#words", "#line-2 .text"):
        assert seen.page.locator(place).evaluate("element => element.textContent") == HOSTILE
    assert seen.page.locator("h1").inner_text() == BOARD.title
    assert seen.page.locator("#line-2 .prompt q").first.inner_text() == BOARD.lines[1].prompt
    assert (
        seen.page.locator("#line-2 .prompt q").nth(1).evaluate("e => getComputedStyle(e).direction") == "rtl"
    )
    assert seen.page.locator("script, img[src='x'], #line-2 b:not(.number b)").count() == 2  # the page's own


def test_the_weakest_line_is_marked_and_found(seen: Seen) -> None:
    expect(seen.page.locator("#line-4 p.weak")).to_contain_text("edit row 5, try take 4")
    assert seen.page.locator("p.weak").count() == seen.page.locator("#wave i.weak").count() == 1
    seen.page.click(".weakest button")
    assert seen.shows(BOARD.lines[3].first_frame)


def test_all_is_told_without_a_script(browser: Browser, folder: Path) -> None:
    seen = look(browser, write(BOARD, folder).as_uri(), java_script_enabled=False)
    rows = seen.page.get_by_role("table").get_by_role("row")
    assert rows.count() == 1 + len(TEXTS)
    told = rows.nth(3).get_by_role("cell").all_inner_texts()
    assert [" ".join(text.split()) for text in told][-4:] == [
        "follows its words 3rd of 4 0.250", "take 2", "rendered in 1 min 1 s", "id Copy 00000000",
    ]  # fmt: skip
    seen.page.close()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (400, "dark")])
def test_everybody_can_use_it(browser: Browser, folder: Path, width: int, scheme: str) -> None:
    how = {"viewport": {"width": width, "height": 800}, "color_scheme": scheme}
    for name, board in (("done", BOARD), ("begun", storyboards.begun(BOARD, 2))):
        seen = look(browser, write(board, folder).as_uri(), **how)
        assert seen.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
        found = Axe().run(seen.page).response["violations"]
        assert not [fault for fault in found if fault["impact"] in ("serious", "critical")], name
        seen.page.close()


# While it is rendered


def test_a_line_that_is_finished_appears_in_an_open_page(browser: Browser, folder: Path) -> None:
    seen = look(browser, write(storyboards.begun(BOARD, 2), folder).as_uri())
    seen.page.set_viewport_size({"width": 1280, "height": 500})
    seen.page.click("#line-2 .go")
    seen.page.evaluate(f"{PLAYER}.loop = true; {PLAYER}.playbackRate = 0.5; scrollTo(0, 150)")
    place = seen.page.evaluate(
        "[scrollY, document.activeElement.dataset.line, document.activeElement.className]"
    )
    expect(seen.page.locator("#line-3")).to_contain_text("5 of 10 keyframes")

    (folder / page.SCRIPT).write_text(page.script(storyboards.begun(BOARD, 3)), encoding="utf-8")
    expect(seen.page.locator("#line-3 img")).to_have_count(8)
    expect(seen.page.locator("#heading")).to_contain_text("3 of 4 lines drawn")
    assert place == seen.page.evaluate(
        "[scrollY, document.activeElement.dataset.line, document.activeElement.className]"
    )
    assert not seen.player("paused")
    assert seen.player("src").endswith("clips/1.mp4")
    assert not seen.errors

    # The film comes when what plays is over.
    (folder / page.SCRIPT).write_text(page.script(BOARD), encoding="utf-8")
    expect(seen.page.locator("#line-4 img")).to_have_count(8)
    assert seen.player("src").endswith("clips/1.mp4")
    seen.page.evaluate(f"{PLAYER}.pause()")
    seen.page.wait_for_function(f"{PLAYER}.src.includes('film.mp4') && {PLAYER}.readyState >= 2")
    assert BOARD.lines[1].first_frame <= seen.frame() < BOARD.lines[2].first_frame
    seen.page.click("#line-4 .go")
    assert seen.shows(BOARD.lines[3].first_frame)
    seen.page.close()


def test_the_focus_stays_in_a_row_that_is_made_anew(browser: Browser, folder: Path) -> None:
    board = storyboards.begun(BOARD, 2)
    seen = look(browser, write(board, folder).as_uri())
    seen.page.focus("#line-3 .go")
    again = replace(board.lines[2], keyframes=6)
    board = replace(board, lines=(*board.lines[:2], again, board.lines[3]))
    (folder / page.SCRIPT).write_text(page.script(board), encoding="utf-8")
    expect(seen.page.locator("#line-3")).to_contain_text("6 of 10 keyframes")
    expect(seen.page.locator("#line-3 .go")).to_be_focused()
    seen.page.close()


def test_a_row_plays_its_clip_while_there_is_no_film(browser: Browser, folder: Path) -> None:
    seen = look(browser, write(storyboards.begun(BOARD, 3), folder).as_uri())
    assert seen.shows(0)
    seen.page.click("#line-3 .go")
    seen.page.wait_for_function(f"{PLAYER}.currentTime > 0.1")
    seen.press(" ")
    assert BOARD.lines[2].first_frame < seen.frame() < BOARD.lines[3].first_frame
    seen.press("ArrowDown")  # to what is not there yet
    assert seen.current() == "4"
    seen.press("Home", " ", "ArrowLeft")
    assert seen.current() == "1"
    assert not seen.errors
    seen.page.close()


def test_lines_come_and_go_with_the_screenplay(browser: Browser, folder: Path) -> None:
    seen = look(browser, write(storyboards.begun(BOARD, 1), folder).as_uri())
    begun = storyboards.begun(BOARD, 1)
    fewer = replace(begun, lines=begun.lines[:2])
    gone = replace(begun, lines=tuple(replace(line, clip=None) for line in begun.lines[1:]))
    for board in (fewer, begun, gone, begun):
        (folder / page.SCRIPT).write_text(page.script(board), encoding="utf-8")
        seen.page.evaluate("dispatchEvent(new Event('focus'))")
        expect(seen.page.locator("#lines tr")).to_have_count(len(board.lines))
    assert not seen.errors
    seen.page.close()


# Where it lies


def test_it_can_be_looked_at_from_another_machine(browser: Browser, folder: Path) -> None:
    write(BOARD, folder)
    handler = functools.partial(Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        seen = look(browser, f"http://127.0.0.1:{server.server_port}/storyboard.html")
        # Python's server sends no parts of files, without which a browser cannot seek.
        seen.page.wait_for_function(f"{PLAYER}.seekable.length && {PLAYER}.seekable.end(0) > 0")
        seen.page.click("#line-3 .go")
        assert seen.shows(BOARD.lines[2].first_frame)
        seen.page.close()
        server.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """The server of `python -m http.server`, without its log."""

    def log_message(self, format: str, *args: Any) -> None:
        pass


def test_a_song_of_usual_length_is_a_small_page(browser: Browser, folder: Path) -> None:
    board = storyboards.large()
    file = write(board, folder)
    assert file.stat().st_size < 5_000_000
    assert (folder / page.SCRIPT).stat().st_size < 5_000_000
    seen = look(browser, file.as_uri())
    assert seen.page.locator("#lines tr").count() == len(board.lines)
    seen.press("End")
    expect(seen.page.locator("#line-38")).to_be_in_viewport()
    assert not seen.errors
    seen.page.close()
