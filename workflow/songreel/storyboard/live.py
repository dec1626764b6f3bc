"""The storyboard's files: the page, and while a film is rendered the script that the page reads again.

A page that is finished says at its end of which plan it is. One that is not says nothing there, and so
Snakemake is asked to make it, however the run has ended that was to finish it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from songreel.drawing import joined
from songreel.ground import files
from songreel.ground.documents import Timeline
from songreel.ground.files import identity, not_later, replacing, write_json_if_changed
from songreel.ground.messages import say
from songreel.ground.paths import Paths
from songreel.jobs.progress import FILM
from songreel.storyboard import completing, gather, outline, page
from songreel.storyboard.facts import Storyboard

VERSION = 1  # bumped when a page shows other things of the same film
TRIES = 5  # to show what other jobs have finished meanwhile
MANY = 100  # lines, from which on a page is not written anew for each
SECONDS_A_LINE = 0.02  # between two times


def is_current(song: str, paths: Paths) -> bool:
    """Whether there is a finished page that shows the film of the latest plan."""
    mark = _mark(song, paths)
    try:
        with files.opened(paths.storyboard(song)) as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - len(mark)))
            return file.read() == mark
    except OSError:
        return False


def ask(song: str, paths: Paths) -> bool:
    """Whether there is a page that is not the latest plan's, or whose film is to be joined.

    If so, Snakemake is asked to make it again; if not, the film's time may not lie ahead, which would do so.
    """
    current = is_current(song, paths) and paths.film(song).exists()
    if current:
        not_later([paths.film(song)], paths.storyboard(song))
    old = paths.storyboard(song).is_file() and not current
    if old:
        joined.ask_again(paths.storyboard(song), paths.storyboard_asked(song))
    return old


def _mark(song: str, paths: Paths) -> bytes:
    """What a page of the latest plan ends with."""
    timeline, plan = outline.read(song, paths)
    shown = {"version": VERSION, "timeline": timeline.to_json(), "outline": plan.to_json()}
    return f"<!-- songreel {identity(shown)} -->\n".encode()


def begin(song: str, paths: Paths, program: str) -> None:
    """Show a film whose run begins: which clips are there already, and what is yet to come."""
    with _harmless():
        timeline, _ = outline.read(song, paths)
        cached = sorted({clip.clip for clip in timeline.clips if paths.clip(clip.clip).exists()})
        write_json_if_changed(paths.run(song), {"cached": cached}, lasting=False)
        if is_current(song, paths) and paths.film(song).exists():
            return  # nobody will make it again
        completing.song_heard(song, paths, program)
        paths.live(song).unlink(missing_ok=True)
        _show(song, paths)


def refresh(paths: Paths) -> None:
    """Show how far the film is that a job is of, if the workflow has said which."""
    song = os.environ.get(FILM)
    if song and paths.outline(song).exists():
        show(song, paths)


def show(song: str, paths: Paths) -> None:
    """Show how far a film is."""
    with _harmless():
        _show(song, paths)


def finish(song: str, paths: Paths, program: str) -> Path:
    """Make the page of a film with all that can be known of it. Raises UserError, OSError."""
    mark = b"\n" + _mark(song, paths)
    completing.everything(song, paths, program)
    board = gather.of(song, paths)
    _write(paths.storyboard(song), page.html(board).encode() + (mark if board.finished else b""))
    # For a page that is open: it reads this once more
    _write(paths.live(song), page.script(board).encode())
    return paths.storyboard(song)


def _show(song: str, paths: Paths) -> None:
    """Write what an open page reads, and the page where it is not one that reads it.

    Jobs that end at the same time may write at the same time, and the last to write may have looked first. So
    each looks once more.
    """
    for _ in range(TRIES):
        if _was_shown_just_now(song, paths):
            return
        board = replace(gather.of(song, paths), finished=False)
        if not paths.live(song).exists() or not paths.storyboard(song).exists():
            _write(paths.storyboard(song), page.html(board).encode())
        _write(paths.live(song), page.script(board).encode())
        if _there(board) == _there(gather.of(song, paths)):
            return


def _there(board: Storyboard) -> list[tuple[str | None, bool]]:
    """What a job's end changes."""
    return [(line.clip, line.keyframes == line.keyframes_needed) for line in board.lines]


def _was_shown_just_now(song: str, paths: Paths) -> bool:
    """Whether a page of many lines is so new that it can wait for the next job or report."""
    lines = len(Timeline.read(paths.timeline(song)).lines)
    if lines <= MANY:
        return False
    with suppress(OSError):
        return time.time() - paths.live(song).stat().st_mtime < lines * SECONDS_A_LINE
    return False


def _write(path: Path, content: bytes) -> None:
    with replacing(path, lasting=False) as temporary:
        temporary.write_bytes(content)


@contextmanager
def _harmless() -> Iterator[None]:
    """Let nothing that hinders a page stop what it shows: it is said."""
    try:
        yield
    except Exception as error:
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        say(f"the storyboard cannot show how far the film is: {reason}.")
