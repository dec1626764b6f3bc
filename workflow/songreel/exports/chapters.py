"""Chapters as a video site takes them from a film's description.

YouTube's rules (its help, "Add chapters to a video"): rows of a time and a title by rising time, the first at
0:00, three or more, each 10 seconds or longer; a description holds no angle brackets.
"""

from __future__ import annotations

from collections.abc import Sequence

from songreel.ground.errors import UserError
from songreel.planning.lines import Line
from songreel.planning.lyric_files.song import one_line

FEWEST, SHORTEST = 3, 10  # chapters; seconds of each
LONGEST_TITLE = 100  # letters
_NOT_TAKEN = str.maketrans("<>", "\u2039\u203a")


def chapters(lines: Sequence[Line], title: str, end_seconds: float, film: str) -> str:
    """The chapters of a film, where lines that are too short for one are joined to the one before.

    What comes before the first line is a chapter with the film's title, where it is long enough.

    Raises UserError where a film has no three chapters.
    """
    starts = [(0, title), *((int(line.start_seconds), line.text) for line in lines)]
    if starts[1][0] < SHORTEST:
        starts = [(0, starts[1][1]), *starts[2:]]
    kept: list[tuple[int, str]] = []
    for second, text in starts:
        if (not kept or second - kept[-1][0] >= SHORTEST) and end_seconds - second >= SHORTEST:
            kept.append((second, text))
    if len(kept) < FEWEST:
        raise UserError(
            f"{film}: found {len(kept)} chapters of {SHORTEST} s or longer in {end_seconds:.1f} s, expected"
            f" {FEWEST} or more, as video sites want them; leave them out for so short a film."
        )
    return "".join(f"{_time(second)} {_title(text)}\n" for second, text in kept)


def _time(second: int) -> str:
    minutes, rest = divmod(second, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _title(text: str) -> str:
    line = one_line(text).translate(_NOT_TAKEN)
    return line if len(line) <= LONGEST_TITLE else f"{line[: LONGEST_TITLE - 1].rstrip()}\u2026"
