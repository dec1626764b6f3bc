"""Pictures with their words, as they lie in each kind of package."""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree import ElementTree

from songreel_starter.sources import Source, files, read

GROUPS = (
    *(
        "smileys",
        "people",
        "component",
        "nature",
        "food",
        "travel",
        "activities",
        "objects",
        "symbols",
        "flags",
    ),
)
TONE = re.compile(r"1f3f[b-f]|\b(skin-tone|tone[1-6])\b|-(light|medium|dark)\b(?=$| )")
VARIANT = re.compile(r"(-(flat|duo|fill|alternate|silhouette|\d+))+$")
CLOCK = re.compile(r"(o.clock|[a-z]+ thirty)$")  # twenty-four emoji, named by their times
INK = "#202020"  # for icons that leave the colour to their reader
DUBLIN_CORE = "{http://purl.org/dc/elements/1.1/}"
LIST_ITEM = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}li"
CLUTTER = {
    "unsorted",
    "clip art",
    "clipart",
    "image",
    "media",
    "png",
    "svg",
    "public domain",
    "special",
    "examples",
    "hash",
    "externalsource",
}
SIGNS = {
    "flags",
    "signs and symbols",
    "logos",
    "buttons",
    "geography",
    "computer",
}  # topics that are seldom sung of
LEFT_OUT = {"duplicates", "shapes"}  # folders: copies, and a thousand polygons
ARTISTS = re.compile(r"\b(architetto|francesco rollandin|lumen desig\w*|r)\b")


@dataclass(frozen=True)
class Picture:
    """A picture as its package holds it, and what it shows."""

    label: str
    keywords: tuple[str, ...]
    group: str  # one of GROUPS for emoji, else the reader's own
    data: bytes | None = None  # a raster file
    svg: str | None = None


@dataclass(frozen=True)
class Name:
    """What Unicode's CLDR calls an emoji."""

    label: str
    keywords: tuple[str, ...]
    group: str


class Names:
    """Emoji names by code points and, spaces aside, by what CLDR or Unicode itself calls the emoji."""

    def __init__(self, entries: list[dict[str, Any]], unicode: Mapping[str, str]) -> None:
        self.by_code = {plain_code(entry["hexcode"]): _name(entry) for entry in entries}
        called = {_squeezed(name): self.by_code.get(plain_code(code)) for code, name in unicode.items()}
        self.by_label = called | {_squeezed(name.label): name for name in self.by_code.values()}

    def find(self, code: str | None, label: str) -> Name | None:
        entry = self.by_code.get(plain_code(code)) if code else None
        return entry or self.by_label.get(_squeezed(label))


def emoji_names(archive: Path) -> Names:
    """The names and keywords of emojibase-data."""
    paths = "en/data.json", "meta/unicode-names.json"
    contents = read(archive, "npm", *paths)
    entries, unicode = (json.loads(contents[path]) for path in paths)
    return Names(entries, unicode)


def pictures(source: Source, archive: Path, names: Names) -> Iterator[Picture]:
    """All pictures of a fetched source, in the archive's order."""
    reader = READERS[source.reader]
    return reader(source, archive, names)


def words(text: str) -> str:
    """A name in plain lower-case words: `Fire_Engine-2` -> `fire engine 2`."""
    return re.sub(r"[\s_-]+", " ", text).strip().lower()


def _squeezed(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def plain_code(code: str) -> str:
    """Code points without the variation selector, by which the same emoji may differ."""
    return re.sub(r"-fe0f\b", "", code.lower())


def _name(entry: Mapping[str, Any]) -> Name:
    group = GROUPS[entry["group"]] if "group" in entry else "symbols"
    label = words(entry["label"].replace(":", " "))
    label = "clock" if CLOCK.search(label) else label.removesuffix(" not done").removesuffix(" done")
    keywords = tuple(words(tag) for tag in entry.get("tags", ()))
    return Name(label, tuple(tag for tag in keywords if tag != label), group)


def _iconify(source: Source, archive: Path, names: Names) -> Iterator[Picture]:
    contents = read(archive, source.kind, "icons.json", "chars.json")
    icons, codes = json.loads(contents["icons.json"]), json.loads(contents["chars.json"])
    code_of = {name: code for code, name in reversed(codes.items())}
    for key, icon in icons["icons"].items():
        label = words(VARIANT.sub("", key))
        name = names.find(code_of.get(key), label) or Name(
            label, (), "flags" if label.startswith("flag ") else "icon"
        )
        if icon.get("hidden") or f"{key}-fill" in icons["icons"]:
            continue
        if TONE.search(f"{key} {code_of.get(key, '')}") and "moj" in source.name + source.by.lower():
            continue
        if max(map(len, name.label.split())) > 14:  # several words written as one
            continue
        yield Picture(name.label, name.keywords, name.group, svg=_svg(icon, icons))


def _svg(icon: Mapping[str, Any], icons: Mapping[str, Any]) -> str:
    width, height = (icon.get(side, icons.get(side, 16)) for side in ("width", "height"))
    box = f"{icon.get('left', 0)} {icon.get('top', 0)} {width} {height}"
    namespaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    body = icon["body"].replace("currentColor", INK)
    return f'<svg {namespaces} viewBox="{box}" width="{width}" height="{height}">{body}</svg>'


def _emoji_files(source: Source, archive: Path, names: Names) -> Iterator[Picture]:
    """Raster files named by code points."""
    with files(archive, source.kind) as contents:
        for path, data in contents:
            code = PurePosixPath(path).stem
            name = names.find(code, code)
            if name and PurePosixPath(path).suffix in (".webp", ".png") and not TONE.search(code):
                yield Picture(name.label, name.keywords, name.group, data=data)


def _openclipart(source: Source, archive: Path, names: Names) -> Iterator[Picture]:
    """SVG files with titles and tags in them, in folders that tell the topic."""
    with files(archive, source.kind) as contents:
        pictures = [clip for path, data in contents if (clip := _clip_art(PurePosixPath(path), data))]
    count = Counter(picture.label for picture, _ in pictures)
    for picture, stem in pictures:  # a title that many have is the collection's
        yield picture if count[picture.label] <= 4 else replace(picture, label=stem)


def _clip_art(path: PurePosixPath, data: bytes) -> tuple[Picture, str] | None:
    """A picture with its file's name; None when it is none, a copy or not in the public domain."""
    folders = path.parent.parts
    if "svg" not in folders or not path.name.endswith((".svg", ".svg.gz")) or LEFT_OUT & set(folders):
        return None
    svg = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8", "replace")
    if "ublic" not in svg:  # the dedication to the public domain
        return None
    topics = [words(folder) for folder in folders[folders.index("svg") + 1 :]]
    stem = path.name.split(".")[0]
    title, tags = _titles(svg, stem)
    kept = [tag for tag in dict.fromkeys(tags + topics) if tag not in CLUTTER and tag != title]
    group = "signs" if SIGNS & set(topics) else "clip art"
    return Picture(title, tuple(kept[:12]), group, svg=svg), _clean(stem)


def _titles(svg: str, stem: str) -> tuple[str, list[str]]:
    """The title and the tags, or else the file's name."""
    try:
        tree = ElementTree.fromstring(svg)
    except ElementTree.ParseError:
        return _clean(stem), []
    title = tree.findtext(f".//{DUBLIN_CORE}title") or stem
    tags = (item.text or "" for item in tree.findall(f".//{DUBLIN_CORE}subject//{LIST_ITEM}"))
    return _clean(title) or _clean(stem), [words(tag) for tag in tags if tag.strip()]


def _clean(title: str) -> str:
    """A title without its artist, numbers and punctuation."""
    plain = re.sub(r"[^a-z' ]+|\b\w{17,}\b", " ", ARTISTS.sub(" ", words(title)))
    return words(plain)[:60]


def _stamps(source: Source, archive: Path, names: Names) -> Iterator[Picture]:
    """Pictures beside text files whose first line describes them."""
    kept: dict[str, bytes] = {}
    with files(archive, source.kind) as contents:
        kept = {path: data for path, data in contents if path.endswith((".png", ".svg", ".txt"))}
    for path, data in sorted(kept.items()):
        description = kept.get(re.sub(r"\.(png|svg)$", ".txt", path))
        if description is None or path.endswith(".txt"):
            continue
        label = words(description.decode("utf-8", "replace").splitlines()[0].rstrip("."))
        if path.endswith(".svg"):
            yield Picture(label, (), "stamp", svg=data.decode("utf-8", "replace"))
        else:
            yield Picture(label, (), "stamp", data=data)


def _photographs(source: Source, archive: Path, names: Names) -> Iterator[Picture]:
    """The pictures that the table names, with the words that it gives."""
    table = source.pictures or {}
    contents = read(archive, source.kind, *table)
    for path, (label, *keywords) in table.items():
        yield Picture(label, tuple(keywords), "photograph", data=contents[path])


READERS: Mapping[str, Callable[[Source, Path, Names], Iterator[Picture]]] = {
    "iconify": _iconify,
    "emoji-files": _emoji_files,
    "openclipart": _openclipart,
    "stamps": _stamps,
    "photographs": _photographs,
}
