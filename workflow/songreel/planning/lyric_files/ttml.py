"""TTML, as broadcasters and music services write it (https://www.w3.org/TR/ttml1/).

Why not pysubs2: version 1.8.1 reads no times of words, no `dur`, no frames and no ticks, and writes a look
with each line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from xml.sax.saxutils import escape

from songreel.planning.lines import Line
from songreel.planning.lyric_files import words, xml_tree
from songreel.planning.lyric_files.song import LATEST, Notes, Song, one_line, timestamp
from songreel.planning.lyric_files.xml_tree import Element, XmlError

_OFFSET = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,12})?)(h|ms|m|s|f|t)")
_CLOCK = re.compile(
    r"(?:(?:([0-9]{1,4}):)?([0-9]{1,4}):)?([0-9]{1,6}(?:\.[0-9]{1,12})?)(?::([0-9]{1,4})(?:\.[0-9]+)?)?"
)
_NOT_SUNG = ("x-translation", "x-roman", "x-transliteration")  # roles of what stands beside the words
_BACKGROUND = "x-bg"  # the role of what is sung meanwhile, of which a line has no times
_MOST_DIGITS = 12
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class _Times:
    """What a file's times are counted by."""

    frame: Fraction  # of a second
    tick: Fraction
    absolute: bool  # whether times are the song's, as music services have them, or count from the parent's

    @classmethod
    def of(cls, root: Element) -> _Times:
        """What the root says. Raises ValueError for rates that are none."""
        stated = root.attributes
        rate = _rate(stated.get("frameRate", "30"))
        above, below = ([*stated.get("frameRateMultiplier", "1 1").replace(":", " ").split(), "1"])[:2]
        ticks = _rate(stated.get("tickRate", stated.get("frameRate", "1")))
        relative = cls(1 / (rate * _rate(above) / _rate(below)), 1 / ticks, False)
        return replace(relative, absolute="timing" in stated or _are_absolute(root, relative))

    def seconds(self, time: str, element: Element) -> Fraction:
        """The seconds of a time. Raises XmlError for what is none."""
        time = time.strip()
        if offset := _OFFSET.fullmatch(time):
            units = {"h": Fraction(3600), "m": Fraction(60), "s": Fraction(1), "ms": Fraction(1, 1000)}
            return Fraction(offset[1]) * (units | {"f": self.frame, "t": self.tick})[offset[2]]
        if not (parts := _CLOCK.fullmatch(time)):
            raise XmlError(f"the time {time[:40]!r}", element.row)
        hours, minutes, seconds, frames = (Fraction(part or 0) for part in parts.groups())
        return hours * 3600 + minutes * 60 + seconds + frames * self.frame


def _are_absolute(element: Element, times: _Times) -> bool:
    """Whether something in an element would begin after its end, were its times not the song's."""
    begin, end = (_time(element, key, times) for key in ("begin", "end"))
    for part in element.elements():
        inner = _time(part, "begin", times)
        if begin is None or end is None or inner is None:
            continue
        if begin <= inner < end <= begin + inner:
            return True
    return any(_are_absolute(part, times) for part in element.elements())


def _time(element: Element, key: str, times: _Times) -> Fraction | None:
    return times.seconds(element.attributes[key], element) if key in element.attributes else None


def _rate(time: str) -> Fraction:
    if not re.fullmatch(rf"[0-9]{{1,{_MOST_DIGITS}}}", time) or not int(time):
        raise ValueError(f"the rate {time[:40]!r}")
    return Fraction(time)


def read(text: str, notes: Notes) -> Song:
    """The song that a TTML file says. Raises ValueError, or XmlError with the row, for what is none."""
    root = xml_tree.parse(text)
    if root.name != "tt":
        raise XmlError(f"XML of the kind {root.name[:40]!r}", root.row)
    times = _Times.of(root)
    return Song(list(_lines(root, Fraction(0), None, times, notes)), _title(root))


def _title(root: Element) -> str:
    heads = [element for element in root.elements() if element.name == "head"]
    titles = (part for head in heads for part in _within(head) if part.name == "title")
    return next((one_line(_all_text(title)) for title in titles), "")


def _within(element: Element) -> Iterator[Element]:
    for part in element.elements():
        yield part
        yield from _within(part)


def _lines(
    element: Element, since: Fraction, until: Fraction | None, times: _Times, notes: Notes
) -> Iterator[Line]:
    """The lines in an element, which has a time of its own or its parent's."""
    for part in element.elements():
        if part.name in ("head", "metadata"):
            continue
        begin, end = _span(part, since, until, times)
        if part.name == "p":
            if line := _line(part, begin, end, times):
                yield line
            else:
                notes.odd(part.row, "has no time", "it is left out")
        else:
            yield from _lines(part, begin, end, times, notes)


def _span(
    part: Element, since: Fraction, until: Fraction | None, times: _Times
) -> tuple[Fraction, Fraction | None]:
    """When an element begins and ends: as it says, or as its parent does."""
    if part.attributes.get("timeContainer", "par") != "par":
        raise XmlError("times that follow each other (timeContainer)", part.row)
    zero = Fraction(0) if times.absolute else since
    stated = {
        key: times.seconds(part.attributes[key], part)
        for key in ("begin", "end", "dur")
        if key in part.attributes
    }
    begin = zero + stated["begin"] if "begin" in stated else since
    ends = [end for end in (until,) if end is not None and not times.absolute]
    if "end" in stated:
        ends.append(zero + stated["end"])
    if "dur" in stated:
        ends.append(begin + stated["dur"])
    if begin > LATEST:
        raise XmlError(f"the time {part.attributes.get('begin', '')[:40]!r}, over a hundred hours", part.row)
    return begin, min(ends, default=until)


def _line(part: Element, begin: Fraction, end: Fraction | None, times: _Times) -> Line | None:
    """A line, which starts with its first word where it has no time of its own."""
    pieces = list(_pieces(part, begin, end, times, False))
    starts = [start for _, start in pieces if start is not None]
    if "begin" not in part.attributes and starts:
        begin = Fraction(str(min(starts)))
    elif "begin" not in part.attributes and not begin:
        return None
    sung, timed = words.joined(pieces, float(begin))
    return Line(sung, float(begin), part.row, end_seconds=None if end is None else float(end), words=timed)


def _pieces(
    element: Element, since: Fraction, until: Fraction | None, times: _Times, inner: bool
) -> Iterator[words.Piece]:
    """The texts in an element, each with the time of the innermost span that has one."""
    for part in element.content:
        if isinstance(part, str):
            yield part, float(since) if inner and part.strip() else None
        elif part.name == "br":
            yield " ", None
        elif part.name == "span" and part.attributes.get("role") == _BACKGROUND:
            yield _all_text(part), None
        elif part.name == "span" and part.attributes.get("role") not in _NOT_SUNG:
            begin, end = _span(part, since, until, times)
            timed = "begin" in part.attributes
            yield from _pieces(part, begin, end, times, timed or inner)
            if timed and end is not None:
                yield "", float(end)


def _all_text(element: Element) -> str:
    return "".join(part if isinstance(part, str) else _all_text(part) for part in element.content)


def written(song: Song) -> str:
    """A TTML file, with the times of words as spans; all times count from the song's beginning."""
    title = f"<metadata><ttm:title>{_escaped(song.title)}</ttm:title></metadata>" if song.title else ""
    rows = "".join(f"      {_paragraph(line)}\n" for line in song.lines)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<tt xmlns="http://www.w3.org/ns/ttml" xmlns:ttm="http://www.w3.org/ns/ttml#metadata"'
        ' xml:lang="">\n'
        f"  <head>{title}</head>\n  <body>\n    <div>\n{rows}    </div>\n  </body>\n</tt>\n"
    )


def _paragraph(line: Line) -> str:
    assert line.end_seconds is not None  # given by `writing`
    begin = line.start_seconds
    if not line.words:
        content = _escaped(one_line(line.text))
    else:
        ends = [word.start_seconds for word in line.words[1:]] + [line.end_seconds]
        content = "".join(
            _span_of(
                word.text, word.start_seconds, end if word.end_seconds is None else word.end_seconds, begin
            )
            for word, end in zip(line.words, ends, strict=True)
        )
    return f'<p begin="{timestamp(begin, 3, ".")}" end="{timestamp(line.end_seconds, 3, ".")}">{content}</p>'


def _span_of(text: str, start: float, end: float, begin: float) -> str:
    """A word; its times count from its paragraph's, and the space after it stands outside."""
    word = text.rstrip()
    span = (
        timestamp(float(Fraction(str(seconds)) - Fraction(str(begin))), 3, ".") for seconds in (start, end)
    )
    return '<span begin="{}" end="{}">{}</span>{}'.format(*span, _escaped(word), text[len(word) :])


def _escaped(text: str) -> str:
    return escape(_NO_XML.sub("", one_line(text)))
