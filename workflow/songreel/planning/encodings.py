"""The text of a file that a spreadsheet may have saved: in UTF-8, in UTF-16, or in an old code page.

Code pages give other letters to the same bytes, and nothing in a file names its own. So it is read where
all those that would make words of it make the same words.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from itertools import pairwise

# UTF-32 first: its mark begins with that of UTF-16
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)
# Windows' for Western and Central Europe, Cyrillic, Greek, Turkish and Baltic; the Macintosh's; DOS's.
CODE_PAGES = ("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1257", "mac_roman", "cp850")
BETWEEN_LETTERS = "\u2019\u2018\u2013\u2014\u2026\u00b7\u00a0"  # apostrophes, dashes, dots, a space
BESIDE_LETTERS = (
    BETWEEN_LETTERS + "\u201a\u201c\u201d\u201e\u00ab\u00bb\u2039\u203a\u00bf\u00a1\u20ac\u00a3\u00b0"
)
FLORIN = "\u0192"  # a letter by its category, yet in no alphabet

_WORD = re.compile(r"[^\W\d_]+")
# Where files with a mark each were put into one
_INNER_MARKS = re.compile(r"(?:\A|(?<=[\r\n]))\ufeff+")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


class EncodingError(ValueError):
    """What was found that is no text, and the bytes before it."""

    def __init__(self, found: str, before: bytes) -> None:
        super().__init__(found)
        self.found, self.before = found, before


def decode(raw: bytes) -> str:
    """The text of a file, free of control characters but tab and newlines, without its byte-order mark.

    Nor has it those at the start of a later row.

    Raises:
        EncodingError: it is no text, or may be several.
    """
    codec = next((codec for mark, codec in MARKS if raw.startswith(mark)), None) or _unmarked(raw)
    try:
        text = raw.decode(codec or "utf-8")
    except UnicodeDecodeError as error:  # its offsets count from after the byte-order mark of UTF-8
        before, byte = error.object[: error.start], error.object[error.start]
        if codec:
            raise EncodingError(f"the byte 0x{byte:02X}, which is not {codec.upper()[:6]}", before) from None
        text = _by_code_page(raw, f"the byte 0x{byte:02X}, which is not UTF-8", before)
    if control := _CONTROL.search(text):
        found = f"the control character U+{ord(control[0]):04X}, as in a binary file"
        raise EncodingError(found, text[: control.start()].encode("utf-8", "surrogatepass"))
    return _INNER_MARKS.sub("", text)


def _unmarked(raw: bytes) -> str | None:
    """UTF-16, by the side on which its marks and digits have their zero byte; None where there is none."""
    zeros = {at % 2 for at, byte in enumerate(raw) if not byte}
    if not zeros:
        return None
    codec = "utf-16-be" if zeros == {0} else "utf-16-le"
    if len(zeros) == 1 and len(raw) % 2 == 0 and re.search("[,;:\t]", raw.decode(codec, "replace")):
        return codec
    raise EncodingError("a NUL byte, as in a binary file", raw[: raw.index(b"\0")])


def _by_code_page(raw: bytes, found: str, before: bytes) -> str:
    readings: list[str] = []
    for page in CODE_PAGES:
        try:
            text = raw.decode(page)
        except UnicodeDecodeError:
            continue
        if text not in readings and _plausible(text):
            readings.append(text)
    if len(readings) == 1:
        return readings[0]
    if readings:
        found += f" and may mean {' or '.join(_difference(readings))}"
    raise EncodingError(found, before)


def _difference(readings: list[str]) -> list[str]:
    """The word that the readings first disagree on, as each of them has it."""
    at = next(at for at, letters in enumerate(zip(*readings, strict=True)) if len(set(letters)) > 1)
    words = (
        "".join(re.findall(r"\S*$", text[max(0, at - 20) : at])[:1] + re.findall(r"^\S*", text[at : at + 20]))
        for text in readings
    )
    return [repr(word) for word in dict.fromkeys(words)]


def _plausible(text: str) -> bool:
    """Whether a reading makes words of the bytes beyond ASCII: letters of one script, in the usual case."""
    around = f" {text} "
    for before, letter, after in zip(around, text, around[2:], strict=False):
        if letter.isascii() or (letter.isalpha() and letter != FLORIN):
            continue
        if letter not in (BETWEEN_LETTERS if before.isalpha() and after.isalpha() else BESIDE_LETTERS):
            return False
    return all(word.isascii() or _is_word(word) for word in _WORD.findall(text))


def _is_word(word: str) -> bool:
    foreign = [letter for letter in word if not letter.isascii()]
    if any(unicodedata.normalize("NFKC", letter) != letter for letter in foreign):
        return False  # ligatures and signs
    scripts = {unicodedata.name(letter, "").split()[0] for letter in foreign}
    if len(scripts) > 1 or (len(foreign) < len(word) and scripts != {"LATIN"}):
        return False
    rises = any(
        one.islower() and other.isupper() and not (one + other).isascii() for one, other in pairwise(word)
    )
    return not rises and not (word[:2].isupper() and any(letter.islower() for letter in foreign))
