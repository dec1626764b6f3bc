"""XML as a tree that knows its rows, by Python's expat; without what a file could do harm with.

Why not ElementTree: its elements know no row. A document type is refused, and with it all entities: those of
one kilobyte can become gigabytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

DEEPEST = 64  # elements in each other; lyrics have about six
MOST_ELEMENTS = 500_000


class XmlError(ValueError):
    """What was found that is no XML, or none that is read; and in which row."""

    def __init__(self, message: str, row: int) -> None:
        super().__init__(message)
        self.row = row


@dataclass(frozen=True)
class Element:
    """An element: its name and those of its attributes without their namespaces."""

    name: str
    attributes: dict[str, str]
    row: int  # counted from 1
    content: list[Element | str] = field(default_factory=list)

    def elements(self) -> Iterator[Element]:
        """The elements directly in it."""
        return (part for part in self.content if isinstance(part, Element))


def parse(text: str) -> Element:
    """The root of a document. Raises XmlError."""
    parser = expat.ParserCreate("utf-8", "}")  # whatever its first row says it once was
    builder = _Builder(parser)
    try:
        parser.Parse(text.encode("utf-8", "replace"), True)
    except expat.ExpatError as error:
        raise XmlError(f"no XML ({expat.ErrorString(error.code)})", error.lineno) from None
    return builder.root.content[0] if isinstance(builder.root.content[0], Element) else builder.root


class _Builder:
    def __init__(self, parser: expat.XMLParserType) -> None:
        self._parser = parser
        self.root = Element("", {}, 1)
        self._open = [self.root]
        self._count = 0
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = self._doctype

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        row = self._parser.CurrentLineNumber
        if len(self._open) > DEEPEST or self._count > MOST_ELEMENTS:
            raise XmlError(f"more than {DEEPEST} elements in each other or {MOST_ELEMENTS} in all", row)
        bare = {_bare(key): value for key, value in attributes.items()}
        element = Element(_bare(name), bare, row)
        self._open[-1].content.append(element)
        self._open.append(element)

    def _end(self, name: str) -> None:
        self._open.pop()

    def _text(self, text: str) -> None:
        if len(self._open) > 1:
            self._open[-1].content.append(text)

    def _doctype(self, *about: object) -> None:
        raise XmlError("a document type, which may declare entities", self._parser.CurrentLineNumber)


def _bare(name: str) -> str:
    return name.rpartition("}")[2]
