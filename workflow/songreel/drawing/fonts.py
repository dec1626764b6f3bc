"""Fonts as libass is given them: which letters one has, how wide they are, and one face alone, renamed."""

from __future__ import annotations

import base64
import io
import unicodedata
from typing import Any

import regex
from fontTools.ttLib import TTFont

# The 6-bit digits of a font inside a script start at "!"; base64 has the same bits in another alphabet.
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_DIGITS = bytes.maketrans(_BASE64, bytes(range(33, 33 + len(_BASE64))))
_ROW = 80  # of them in a line of a script
_TYPO_METRICS = 1 << 7  # in a font's fsSelection
_REGULAR = 1 << 6
SEMI_BOLD = 600  # as the font that comes along
# What is drawn as nothing wherever it stands, so that no font need have it.
_UNSEEN = regex.compile(r"[\p{Default_Ignorable_Code_Point}\p{Cc}\p{Cf}\p{Z}]")


class Font:
    """One face of a font file. Raises ValueError when the file is no font that can be drawn at any size."""

    def __init__(self, data: bytes, number: int = 0) -> None:
        try:
            self._font = TTFont(io.BytesIO(data), fontNumber=number, lazy=True)
            self._glyphs: dict[int, str] = self._font.getBestCmap() or {}
            self._widths = self._font["hmtx"]
            self._em: int = self._font["head"].unitsPerEm
            self._hhea, self._os2 = self._font["hhea"], self._font.get("OS/2")
            self._names = self._font["name"]
        except Exception as error:  # a damaged one can raise any
            raise ValueError(f"it is damaged: {error}") from None
        if not any(table in self._font for table in ("glyf", "CFF ", "CFF2")):
            raise ValueError("it has pictures instead of outlines")
        if not self._glyphs or self._em <= 0:
            raise ValueError("it has no letters")

    @property
    def name(self) -> str:
        """What people call it."""
        return str(self._names.getBestFullName() or "without a name")

    @property
    def families(self) -> tuple[str, ...]:
        """The names of its family, the one of four styles first."""
        names = (self._names.getDebugName(kind) for kind in (1, 16))
        return tuple(name for name in names if name)

    @property
    def letters(self) -> tuple[range, ...]:
        """All letters that it has, by their numbers."""
        made: list[range] = []
        for letter in sorted(self._glyphs):
            if made and made[-1].stop == letter:
                made[-1] = range(made[-1].start, letter + 1)
            else:
                made.append(range(letter, letter + 1))
        return tuple(made)

    def draws(self, cluster: str) -> bool:
        """Whether it has all that is to be seen of a letter with its marks."""
        return all(ord(letter) in self._glyphs for letter in cluster if not _UNSEEN.match(letter))

    def advance(self, cluster: str) -> float:
        """How far a letter with its marks reaches, in ems, by itself: neither joined nor kerned."""
        names = (self._glyphs.get(ord(letter)) for letter in cluster if not is_unseen(letter))
        return float(sum(self._widths[name][0] for name in names if name) / self._em)

    @property
    def line(self) -> float:
        """What ASS calls the size of a font whose em is 1: the height that Windows gives its lines."""
        os2, hhea = self._os2, self._hhea
        hhea_height = hhea.ascent - hhea.descent
        windows = os2.usWinAscent + os2.usWinDescent if os2 else 0
        if not windows or not hhea_height:
            return float((hhea_height or self._em) / self._em)
        typo = os2.sTypoAscender - os2.sTypoDescender if os2.fsSelection & _TYPO_METRICS else 0
        return float(windows / hhea_height * (typo or hhea_height) / self._em)

    @property
    def depth(self) -> float:
        """How far its lines reach below their letters' feet, in ems, as libass has it."""
        descent = self._os2.usWinDescent if self._os2 else 0
        return float((descent or -self._hhea.descent) / self._em)

    def settled(self, text: str) -> Font:
        """This font or, of one with axes, that of a text's letters alone, semi-bold where it can be.

        Without that it would be drawn as its axes stand at first, which is often hair-thin.
        """
        if "fvar" not in self._font or not any(ord(letter) in self._glyphs for letter in text):
            return self
        from fontTools import subset
        from fontTools.varLib import instancer

        options = subset.Options(layout_features=["*"], notdef_outline=True)
        chosen = subset.Subsetter(options)
        chosen.populate(text=text)
        chosen.subset(self._font)
        axes = {axis.axisTag: _settled(axis) for axis in self._font["fvar"].axes}
        instancer.instantiateVariableFont(self._font, axes, inplace=True)
        return Font(self._saved())

    def alone(self, name: str) -> bytes:
        """A font file of this face alone, called `name`, so that no other can be meant."""
        self._names.names = []
        for kind, text in ((1, name), (2, "Regular"), (4, name), (6, name)):
            self._names.setName(text, kind, 3, 1, 0x409)  # for Windows, in English: what libass reads
        if self._os2:  # else libass would slant or thicken what it takes for another style
            self._os2.usWeightClass, self._os2.fsSelection = 400, self._os2.fsSelection & ~0x21 | _REGULAR
        return self._saved()

    def _saved(self) -> bytes:
        """A font file. Its time is as it was: the same face is the same file."""
        file = io.BytesIO()
        self._font.recalcTimestamp = self._font.recalcBBoxes = False
        self._font.save(file, reorderTables=False)
        return file.getvalue()


def _settled(axis: Any) -> float:
    """Where an axis of a font is to stand."""
    wanted = SEMI_BOLD if axis.axisTag == "wght" else axis.defaultValue
    return float(min(max(axis.minValue, wanted), axis.maxValue))


def clusters(text: str) -> list[str]:
    """A text's letters, each with its marks."""
    return regex.findall(r"\X", text)  # type: ignore[no-any-return]


def is_unseen(letter: str) -> bool:
    """Whether a character is drawn as nothing and takes no room: a space does."""
    return bool(_UNSEEN.match(letter)) and unicodedata.category(letter)[0] != "Z"


def is_space(cluster: str) -> bool:
    """Whether all of it is blank."""
    return all(_UNSEEN.match(letter) for letter in cluster)


def embedded(data: bytes) -> bytes:
    """A font file as a script holds it: three bytes in four digits, in lines of at most 80."""
    digits = base64.b64encode(data).rstrip(b"=").translate(_DIGITS)
    return b"\n".join(digits[first : first + _ROW] for first in range(0, len(digits), _ROW))
