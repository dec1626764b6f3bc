"""The notices that go with the starter's album, which holds small versions of the drawings themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from songreel.ground.files import replacing
from songreel.sampling import drawings
from songreel_starter.sources import FOLDER, Source

NAME = "NOTICE.md"
LICENCES = FOLDER / "licences"
WORDS = ("emojibase", "wordnet")
LINKS = {
    "CC-BY-3.0": "https://creativecommons.org/licenses/by/3.0/",
    "CC-BY-4.0": "https://creativecommons.org/licenses/by/4.0/",
}
HEAD = """# Notices for the album

`album.safetensors` holds drawings of these sources, each scaled to 96 pixels and compressed; those that came
in one colour were given two. Pictures composed of them recolour, scale and mirror them. Places were painted
by songreel, some with such drawings in them.

| source | by | drawings | licence | version |
|---|---|---|---|---|
"""
WORDED = """
The words by which drawings are found come from {words}, and from songreel's own table.
"""


def write(album: Path, sources: Mapping[str, Source]) -> None:
    """Write the notices beside an album, with the text of each licence that wants to be passed on."""
    counts = Counter(drawings.read(album.parent).sources)
    listed = [sources[name] for name in sources if name in counts]
    rows = [_row(it, counts[it.name]) for it in listed]
    words = " and ".join(
        f"{sources[name].name} ({sources[name].by}, {sources[name].version})" for name in WORDS
    )
    parts = [HEAD + "\n".join(rows) + "\n" + WORDED.format(words=words)]
    for file in sorted(LICENCES.glob("*.txt")):
        parts.append(f"\n## {file.stem}\n\n```text\n{file.read_text(encoding='utf-8').strip()}\n```\n")
    with replacing(album.with_name(NAME)) as temporary:
        temporary.write_text("".join(parts), encoding="utf-8")


def _row(it: Source, count: int) -> str:
    return f"| {it.name} | {it.by} | {count} | {_licence(it)} | {it.package} {it.version} |"


def _licence(source: Source) -> str:
    link = LINKS.get(source.licence)
    return f"[{source.licence}]({link})" if link else source.licence
