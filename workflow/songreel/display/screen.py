"""The few lines that a terminal shows while a film is rendered: the film, and a bar for each running line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.text import Text

from songreel.display import state, words
from songreel.display.events import CLIP, FETCH, KEYFRAMES
from songreel.display.state import Job, Run

WIDE, WIDEST = 59, 99  # columns from which on speeds are shown, and units are written out
BAR = (8, 24)  # columns of a bar, at least and at most
MOST_TITLE = 40  # columns
MOST_SPEED = 30  # letters of what is said of a download
COLOURS = {KEYFRAMES: "cyan", CLIP: "green"}
# What is done, where it ends, what is not: to be told apart without colours, too
STROKES, ASCII_STROKES = ("━", "╸", "─"), ("=", ">", "-")


def render(run: Run, price: float, now: float, console: Console) -> RenderableType:
    """What is shown on a console of some width and height, of which one row and column stay free."""
    # Terminals do not agree on where the cursor is after a row's last column.
    width, height = console.width - 1, console.height
    head = _head(run, price, now, width)
    troubles = [Text(words.plain(trouble), style="red") for trouble in words.troubles(run)]
    taken = 2 + len(head) + sum(len(trouble.wrap(console, width)) for trouble in troubles)
    shown, more = _fitting(run, height - taken)
    strokes = STROKES if console.encoding.startswith("utf") else ASCII_STROKES
    rows = _rows(run, shown, width, strokes) if shown else []
    rest = [Text(f"and {more} more", style="dim")] if more else []
    return Group(Text(), *head, *rows, *rest, *troubles)


def _fitting(run: Run, rows: int) -> tuple[list[Job], int]:
    """The jobs that there is room for, those that tell most first, and how many more there are."""
    jobs = [job for job in run.running.values() if job.began.name]
    if len(jobs) <= rows:
        return jobs, 0
    # On a cluster most of them wait.
    jobs.sort(key=lambda job: job.standing is None)
    room = max(rows - 1, 0)
    return jobs[:room], len(jobs) - room


def _head(run: Run, price: float, now: float, width: int) -> list[Text]:
    """The title and how far the film is, on as many lines as that takes."""
    title = Text(", ".join(words.title(film) for film in run.films), style="bold")
    title.truncate(min(width, MOST_TITLE), overflow="ellipsis")
    lines, line = [], title.append("  ")
    for number, piece in enumerate(words.standing(run, price, now)):
        if line.cell_len + cell_len(piece) + 3 > width:
            lines.append(line)
            line = Text()
        elif number:
            line.append(" · ", style="not bold dim")
        line.append(piece, style="not bold")
    return [*lines, line]


def _rows(run: Run, jobs: Sequence[Job], width: int, strokes: Sequence[str]) -> list[Text]:
    """A row for each job. Words stand last: terminals do not agree on how wide some letters are."""
    columns = max(BAR[0], min(BAR[1], (width + 1) // 4))
    figures = [[*_figures(run, job, width)] for job in jobs]
    least = (5, 9) if width < WIDEST else (17, 17)
    widths = [max(least[at], *map(len, column)) for at, column in enumerate(zip(*figures, strict=True))]
    rows = []
    for job, cells in zip(jobs, figures, strict=True):
        row = _bar(run, job, columns, strokes)
        for cell, cell_width in zip(cells, widths, strict=True):
            row.append(f"  {cell:>{cell_width}}", style="dim" if cell is not cells[0] else "")
        row.append(f"  {words.of_job(run, job)}")
        row.truncate(width, overflow="ellipsis")
        rows.append(row)
    return rows


def _bar(run: Run, job: Job, columns: int, strokes: Sequence[str]) -> Text:
    full, end, empty = strokes
    if job.kind not in COLOURS:
        return Text().append(empty * columns, style="dim")
    halves = int(state.share(run, job) * columns * 2)
    stroke = full * (halves // 2) + end * (halves % 2)
    bar = Text().append(stroke, style=COLOURS[job.kind])
    return bar.append(empty * (columns - len(stroke)), style="dim")


def _figures(run: Run, job: Job, width: int) -> Iterator[str]:
    """How many keyframes or frames there are of how many and, where there is room, how fast they come."""
    done, total = state.count(run, job)
    unit = {KEYFRAMES: "keyframe ", CLIP: "frame "}.get(job.kind, "") if width >= WIDEST else ""
    yield (f"{unit}{done} of {total}" if unit else f"{done}/{total}") if total else ""
    if width >= WIDE:
        yield _speed(run, job, width >= WIDEST)


def _speed(run: Run, job: Job, in_full: bool) -> str:
    if job.kind not in COLOURS:
        return words.last_line(job.began.log)[:MOST_SPEED] if job.kind == FETCH else ""
    if not job.standing or not job.standing.speed:
        return "starting" if run.local or job.standing else "waiting"
    units = {KEYFRAMES: ("iterations/s", "it/s"), CLIP: ("frames/s", "fps")}[job.kind]
    return f"{job.standing.speed:.1f} {units[0] if in_full else units[1]}"
