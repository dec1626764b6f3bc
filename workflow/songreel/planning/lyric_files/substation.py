"""ASS and SSA, with karaoke's times of syllables, and SAMI: read and written by pysubs2."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from decimal import Decimal

import pysubs2

from songreel.planning.lines import Line, is_visible
from songreel.planning.lyric_files import words
from songreel.planning.lyric_files.song import JOINER, Notes, Song, one_line, split_rows

_EVENT = re.compile(r"\s*(?:Dialogue|Comment):")
_BLOCK = re.compile(r"\{([^{}]*)\}")
_ESCAPED = re.compile(r"\\([{}])")
_KARAOKE = re.compile(r"\\[kK]([fot]?)([0-9]{1,6})")
_SPACE = re.compile(r"\\[Nnh]")
_MARKUP = re.compile(r"\\(?=[Nnh{}]|\Z)")
_BROKEN_UP = re.compile(rf"(?<=\\){JOINER}")
_DRAWING = re.compile(r"\{[^{}]*\\p[1-9]")  # pysubs2's own look for it takes memory by the square of a text
_SAMI_STYLE = re.compile(r"\{\\[bisu][01]\}")
_FAILURES = (pysubs2.Pysubs2Error, ValueError, TypeError, LookupError, ArithmeticError, AssertionError)
_START = r"[^<>]{0,200}?\bstart\s*=\s*[\"']?([0-9]{1,9})\b"
_SYNC = re.compile(rf"<sync\b{_START}", re.IGNORECASE)
_TIMELESS_SYNC = re.compile(rf"<sync\b(?!{_START})[^<>]*>?", re.IGNORECASE)
# Of SAMI: for a damaged file its parser takes time that grows with the square of them.
MOST_LETTERS = 1 << 20
# Where a brace of the text itself is meant, which ASS writes with a backslash, while blocks are looked for.
_OPEN, _CLOSE = "\ue0f0", "\ue0f1"


def read_ass(text: str, notes: Notes) -> Song:
    """The song that an ASS or SSA file says.

    Where lines were prepared for karaoke effects, they are read, and not what the effects made of them. Each
    event is read by itself, so that a damaged style or event spoils no other.
    """
    kind = "ass" if "v4+" in text.lower() else "ssa"
    events = []
    for row, content in enumerate(split_rows(text), 1):
        if _EVENT.match(content):
            try:
                events += [(row, event) for event in _events(content, kind)]
            except ValueError:
                notes.odd(row, "is no event that can be read", "it is left out")
    prepared = any(event.effect == "karaoke" for _, event in events)
    return Song(
        [
            _line(event.text, event.start, event.end, row)
            for row, event in events
            if (event.effect == "karaoke" if prepared else not event.is_comment)
            and not _DRAWING.search(event.text)
        ]
    )


def _line(content: str, start: int, end: int, row: int) -> Line:
    """A line of an event in milliseconds, with its syllables where `\\k` gives their hundredths."""
    sung, timed = words.joined(list(_pieces(content, start)), start / 1000)
    return Line(sung, start / 1000, row, end_seconds=end / 1000, words=timed)


def _pieces(content: str, start: int) -> Iterator[words.Piece]:
    """Texts between blocks: `\\k` has the hundredths that a syllable takes, `\\kt` those before it starts."""
    content = _ESCAPED.sub(lambda brace: _OPEN if brace[1] == "{" else _CLOSE, content)
    at, since, now = 0, None, start
    for block in _BLOCK.finditer(content):
        yield _plain(content[at : block.start()]), since
        at, since = block.end(), None
        for kind, hundredths in _KARAOKE.findall(block[1]):
            if since is not None:
                yield "", since
            if kind == "t":
                now = start + 10 * int(hundredths)
            else:
                since, now = now / 1000, now + 10 * int(hundredths)
    yield _plain(content[at:]), since
    if now > start:
        yield "", now / 1000


def _plain(text: str) -> str:
    spaced = _SPACE.sub(" ", text).replace(_OPEN, "{").replace(_CLOSE, "}")
    return _BROKEN_UP.sub("", spaced)


def read_sami(text: str, notes: Notes) -> Song:
    """The song that a SAMI file says, of which a cue ends where the next one starts.

    Raises ValueError where pysubs2 can make nothing of it.
    """
    if len(text) > MOST_LETTERS:
        raise ValueError(f"{len(text)} letters, which are more than {MOST_LETTERS}")
    text = _TIMELESS_SYNC.sub("", text)
    events = sorted(_events(text, "sami"), key=lambda event: event.start)
    rows = {
        int(start): row for row, content in enumerate(split_rows(text), 1) for start in _SYNC.findall(content)
    }
    ends: list[float | None] = [event.start / 1000 for event in events[1:]]
    lines = []
    for event, end in zip(events, [*ends, None], strict=False):
        sung = one_line(_SPACE.sub(" ", _SAMI_STYLE.sub("", event.text)))
        if is_visible(sung):
            lines.append(Line(sung, event.start / 1000, rows.get(event.start, 1), end_seconds=end))
    return Song(lines)


def _events(text: str, kind: str) -> list[pysubs2.SSAEvent]:
    """What pysubs2 makes of a text. Raises ValueError where it fails, in whatever way it does so."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return pysubs2.SSAFile.from_string("\n".join(split_rows(text)), format_=kind).events
        except _FAILURES as error:
            raise ValueError(f"what pysubs2 cannot read ({one_line(str(error))})") from None


def written_ass(song: Song) -> str:
    """An ASS file, with the times of words as karaoke; all times to the hundredth, which is all it has."""
    subtitles = pysubs2.SSAFile()
    if song.title:
        subtitles.info["Title"] = one_line(song.title)
    for line in song.lines:
        assert line.end_seconds is not None  # given by `writing`
        start, end = (10 * _hundredths(seconds) for seconds in (line.start_seconds, line.end_seconds))
        subtitles.append(pysubs2.SSAEvent(start, end, _content(line)))
    return subtitles.to_string("ass")


def _content(line: Line) -> str:
    if not line.words:
        return _escaped(one_line(line.text))
    parts, now = [], _hundredths(line.start_seconds)
    pieces = list(words.pieces(line))
    ends = [start for _, start in pieces[1:]] + [line.end_seconds or line.start_seconds]
    if (first := _hundredths(pieces[0][1])) > now:
        parts.append(f"{{\\k{first - now}}}")
    if not pieces[-1][0]:  # a last word that ends before its line does says so by its length
        pieces.pop()
    for (text, start), end in zip(pieces, ends, strict=False):
        parts.append(f"{{\\k{max(0, _hundredths(end) - _hundredths(start))}}}{_escaped(text)}")
    return "".join(parts)


def _hundredths(seconds: float) -> int:
    return round(Decimal(str(seconds)) * 100)


def _escaped(text: str) -> str:
    return _MARKUP.sub(rf"\\{JOINER}", text).replace("{", r"\{").replace("}", r"\}")
