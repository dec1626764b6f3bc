"""The words that go into a film beside its pictures: subtitles, chapters, title and artist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from math import ceil

from songreel.ground.documents import Timeline

# Where ffmpeg would see markup start in SubRip, or in the ASS that it makes of it.
MARKUP = re.compile(r"<(?=.*>)|\{(?=\\|[CcFfoPSsYy]:)|\\(?=[nNh{}])|--(?=>)")
WORD_JOINER = "\u2060"
LONGEST_LINE = 4000  # bytes; ffmpeg reads SubRip in lines of up to 4095
# Seconds; MP4 as ffmpeg writes it holds no text, and no gap between two, of 2^31 us (35:47)
LONGEST_CUE = 1800


def subtitles(timeline: Timeline) -> str:
    """The lyrics as SubRip, at the screenplay's times; what is too long for MP4 goes on in another cue."""
    cues = []
    for number, (start, end, text) in enumerate(_cues(timeline), 1):
        cues.append(f"{number}\n{_timestamp(start)} --> {_timestamp(end)}\n{_plain(_one_line(text))}\n")
    return "\n".join(cues)


def _cues(timeline: Timeline) -> Iterator[tuple[float, float, str]]:
    """Start, end and text. A long wait for a line is itself a text, which nobody sees."""
    first = timeline.lines[0].start_seconds
    if first > LONGEST_CUE:
        yield from _split(0, first, WORD_JOINER)
    for line in timeline.lines:
        end = line.end_seconds if line.words_end_seconds is None else line.words_end_seconds
        if end > line.start_seconds:  # else an offset put its words, but not its picture, before the film
            yield from _split(line.start_seconds, end, line.text)
        if line.end_seconds - end > LONGEST_CUE:
            yield from _split(end, line.end_seconds, WORD_JOINER)


def _split(start: float, end: float, text: str) -> Iterator[tuple[float, float, str]]:
    parts = max(1, ceil((end - start) / LONGEST_CUE))
    bounds = [start, *(start + part * LONGEST_CUE for part in range(1, parts)), end]
    yield from ((*span, text) for span in pairwise(bounds))


def metadata(timeline: Timeline) -> str:
    """Title, artist and a chapter a line, in ffmpeg's metadata format.

    MP4's chapters leave no gap: what comes before the first line is a chapter with the film's title.
    """
    rows = [";FFMETADATA1", f"title={_escaped(timeline.title)}", f"artist={_escaped(timeline.artist)}"]
    first = timeline.lines[0].start_seconds
    if first > 0:
        rows += _chapter(timeline.title, 0, first)
    for line in timeline.lines:
        rows += _chapter(line.text, line.start_seconds, line.end_seconds)
    return "\n".join(rows) + "\n"


def _chapter(title: str, start_seconds: float, end_seconds: float) -> list[str]:
    start, end = round(start_seconds * 1000), round(end_seconds * 1000)
    return ["[CHAPTER]", "TIMEBASE=1/1000", f"START={start}", f"END={end}", f"title={_escaped(title)}"]


def _plain(text: str) -> str:
    """A text of which nothing is taken for markup: an invisible word joiner breaks up what would be.

    SubRip has no escapes. WebVTT has some, but not for the braces and backslashes of what ffmpeg makes of it.
    """
    return MARKUP.sub(lambda start: start[0] + WORD_JOINER, text)


def _timestamp(seconds: float) -> str:
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02},{rest % 1000:03}"


def _one_line(text: str) -> str:
    """A text without newlines; one that ffmpeg would break up in the middle of a character is cut."""
    line = " ".join(text.split())
    whole = len(_plain(line).encode("utf-8", "replace")) <= LONGEST_LINE
    return line if whole else f"{line[: LONGEST_LINE // 4 - 1]}…"  # a character is up to 4 bytes


def _escaped(text: str) -> str:
    escaped = "".join(f"\\{letter}" if letter in "=;#\\" else letter for letter in _one_line(text))
    # At a line's end it would join the next line
    return f"{escaped} " if escaped.endswith("\\") else escaped
