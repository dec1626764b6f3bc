"""Fonts for tests, small enough to be made while they run."""

from __future__ import annotations

from pathlib import Path

from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib.tables.TupleVariation import TupleVariation


def font(path: Path, letters: str, width: int = 600, grows: bool = False) -> Path:
    """A font whose letters are all the same square, which may grow to the right with an axis of weights."""
    pen = TTGlyphPen(None)
    for step, corner in enumerate([(50, 0), (50, 700), (550, 700), (550, 0)]):
        (pen.lineTo if step else pen.moveTo)(corner)
    pen.closePath()
    square = pen.glyph()
    names = [f"u{ord(letter):04X}" for letter in letters]
    made = FontBuilder(1000, isTTF=True)
    made.setupGlyphOrder([".notdef", *names])
    made.setupCharacterMap({ord(letter): name for letter, name in zip(letters, names, strict=True)})
    made.setupGlyf(dict.fromkeys((".notdef", *names), square))
    made.setupHorizontalMetrics(dict.fromkeys((".notdef", *names), (width, 50)))
    made.setupHorizontalHeader(ascent=900, descent=-300)
    made.setupNameTable({"familyName": path.stem, "styleName": "Regular", "fullName": path.stem})
    made.setupOS2(usWinAscent=900, usWinDescent=300)
    made.setupPost()
    if grows:
        made.setupFvar([("wght", 100, 100, 900, "Weight")], [])
        moved = [
            (0, 0),
            (0, 0),
            (800, 0),
            (800, 0),
            (0, 0),
            (800, 0),
            (0, 0),
            (0, 0),
        ]  # and four of its frame
        thick = TupleVariation({"wght": (0, 1, 1)}, moved)
        made.setupGvar({name: [thick] for name in (".notdef", *names)})
    made.save(path)
    return path
