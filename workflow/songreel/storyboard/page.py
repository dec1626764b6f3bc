"""The storyboard as a page that needs no network, and the script that an open page takes what is new from.

The page is made of parts, each with an id and a version: its heading, the waveform, a row for each line. The
script beside it holds the same parts, and an open page replaces those whose version is another.
"""

from __future__ import annotations

import hashlib
import json
from fractions import Fraction
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from songreel.ground.files import Document
from songreel.ground.messages import duration
from songreel.storyboard import charts
from songreel.storyboard.facts import Line, Storyboard

SCRIPT = "storyboard.js"  # beside the page
USUAL_STRIP = 8  # pictures, where no line has any yet


def html(storyboard: Storyboard) -> str:
    """The page: all that is known in plain HTML, what moves it in a script, no file besides but films."""
    return _whole(
        _template("storyboard.html").render(
            board=storyboard,
            parts=_parts(storyboard),
            facts=_embedded(_facts(storyboard)),
            style=Markup(_carried("storyboard.css")),
            script=Markup(_carried("storyboard.js")),
        )
    )


def script(storyboard: Storyboard) -> str:
    """What an open page reads again: a call with the facts and parts as they are now, in ASCII."""
    parts = {name: [_version(part), str(part)] for name, part in _parts(storyboard).items()}
    return f"songreelStoryboard({_embedded({'facts': _facts(storyboard), 'parts': parts})});\n"


def _facts(storyboard: Storyboard) -> Document:
    """What the page's script moves by. A line is sung from `sung` on, its picture is there from `first`."""
    rate = Fraction(storyboard.rate)
    lines = [
        {
            "text": line.text,
            "first": line.first_frame,
            "sung": max(line.first_frame, round(Fraction(line.start_seconds) * rate)),
            "frames": line.frames,
            "clip": line.clip,
        }
        for line in storyboard.lines
    ]
    return {
        "film": storyboard.film,
        "elsewhere": storyboard.elsewhere,
        "finished": storyboard.finished,
        "rate": [rate.numerator, rate.denominator],
        "frames": storyboard.frames,
        "lines": lines,
    }


def _parts(storyboard: Storyboard) -> dict[str, Markup]:
    """The inner HTML of each part of the page, by its id; lines in order."""
    parts = {name: _part(f"{name}.html", board=storyboard) for name in ("heading", "wave", "notes")}
    blanks = max((len(line.strip) for line in storyboard.lines), default=0) or USUAL_STRIP
    mixed = any(line.state == "cached" for line in storyboard.lines)
    for line in storyboard.lines:
        fresh = mixed and line.state == "done"
        parts[f"line-{line.number}"] = _part(
            "line.html", board=storyboard, line=line, strip=_strip(line), blanks=blanks, fresh=fresh
        )
    return parts


def _part(name: str, **values: object) -> Markup:
    return Markup(_whole(_template(name).render(**values)))


def _strip(line: Line) -> list[tuple[int, str]]:
    """Each of a line's pictures with its frame of the film: the middle one of an equal part, see `strips`."""
    halves = 2 * len(line.strip)
    frames = (line.first_frame + (2 * part + 1) * line.frames // halves for part in range(len(line.strip)))
    return list(zip(frames, line.strip, strict=True))


def _version(part: str) -> str:
    """What tells a part from what it was."""
    return hashlib.sha256(part.encode()).hexdigest()[:12]


def _embedded(value: object) -> Markup:
    """JSON for a script element: in ASCII, and with nothing that could end or open an element."""
    text = json.dumps(value, separators=(",", ":"))
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Markup(text)


def _whole(text: str) -> str:
    """A text that can be written as UTF-8: bytes of a name that is none become question marks."""
    return text.encode("utf-8", "replace").decode()


@cache
def _carried(name: str) -> str:
    return (Path(__file__).parent / "templates" / name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    folder = FileSystemLoader(Path(__file__).parent / "templates")
    environment = Environment(
        loader=folder, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "clock": clock,
        "duration": duration,
        "ordinal": ordinal,
        "percent": lambda share: f"{100 * share:.3f}".rstrip("0").rstrip(".") + "%",
        "sparkline": charts.sparkline,
        "version": _version,
        "waveform": charts.waveform,
        "amount": lambda count, word: f"{count} {word}" + ("" if count == 1 else "s"),
    }
    return environment


def _template(name: str) -> Template:
    return _environment().get_template(name)


def clock(seconds: float, digits: int = 1) -> str:
    """A time in a song as it is read: 0:07.5, 1:02:03.0."""
    units = int(seconds * 10**digits + 0.5)
    minutes, rest = divmod(units, 60 * 10**digits)
    hours, minutes = divmod(minutes, 60)
    second = f"{rest / 10**digits:0{3 + digits if digits else 2}.{digits}f}"
    return f"{hours}:{minutes:02}:{second}" if hours else f"{minutes}:{second}"


def ordinal(rank: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th."""
    ending = "th" if rank % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(rank % 10, "th")
    return f"{rank}{ending}"
