"""What no screenplay needs any more: found, told, and removed when that is asked for."""

from __future__ import annotations

import contextlib
import json
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from songreel.ground.documents import ClipPlan, SegmentRecipe, Timeline
from songreel.ground.errors import DamageError, UserError
from songreel.ground.files import Document
from songreel.ground.messages import shorten
from songreel.ground.paths import Paths
from songreel.jobs import locks
from songreel.planning import config, screenplay
from songreel.planning import plan as planning
from songreel.planning.audio import NoTrackError
from songreel.planning.config import Config
from songreel.planning.plan import Plan
from songreel.upkeep import running
from songreel.upkeep.running import HOUR, Needs, union

SCREENPLAYS = Path("screenplays")
ID = "([0-9a-f]{16})"
SHA256 = "([0-9a-f]{64})"
TEMPORARY = r"\.[0-9]+-"  # before the name of what was being written, see `files.replacing`
ASIDE = r"(?:-[0-9]+)?\.damaged"  # after the name of what was set aside, see `files.set_aside`
GONE = "(.gone-[0-9a-f]{32})"  # a work folder while it is removed
DAY = 86400  # seconds


@dataclass(frozen=True)
class Item:
    """A file, or the work folder of a segment, that can be removed."""

    path: Path
    size: int  # bytes
    age: float  # seconds
    words: str  # what it was rendered for, where that is known


# What is needed


def results(over: Document) -> Paths:
    """The folder that config.yaml names, with `over` on top. Raises UserError."""
    keys = config.read(Path("config.yaml")) | over
    try:
        return Paths(config.resolve(keys).results)
    except UserError as error:
        raise UserError(f"config.yaml: {error}") from None


def plans(files: Iterable[Path], over: Document, paths: Paths) -> Iterator[Plan]:
    """Plan every screenplay by each config file, as it is and with `over` on top.

    A file says what `snakemake --configfile` would take from it, on top of config.yaml. Raises UserError that
    says which screenplay and file could not be planned, since what they need is then not known.
    """
    for file in files:
        if not file.is_file():
            raise UserError(
                f"{file}: found no such file, expected the config file of a film; correct its name."
            )
        keys = config.read(Path("config.yaml")) | config.read(file)
        for raw in [keys, keys | over] if over else [keys]:
            yield from _planned(file, raw, paths)


def _planned(file: Path, raw: Document, paths: Paths) -> Iterator[Plan]:
    doing = str(file)
    try:
        own = config.resolve(raw)
        for settings in _films(own):
            doing = f"{file} with {settings.screenplay}"
            try:
                yield planning.make(settings, paths)
            except NoTrackError:
                if settings == own:
                    raise  # else no such film was ever made
    except UserError as error:
        raise UserError(f"{doing}: {error}") from None


def _films(settings: Config) -> Iterator[Config]:
    """A config's own film and, by the same settings, those of the other screenplays.

    An audio file that the config names is its own song's, and so are its track and the offset. Another film
    may have been made with them all the same, or with its own: both are needed, since it is better to keep
    too much.
    """
    yield settings
    for other in screenplay.screenplays(SCREENPLAYS):
        if other.resolve() != settings.screenplay.resolve():
            audios = {settings.audio, "none" if settings.audio == "none" else "auto"}
            tracks, offsets = {settings.audio_track, 1}, {settings.offset, 0.0}
            for audio, track, offset in product(audios, tracks, offsets):
                yield replace(settings, screenplay=other, audio=audio, audio_track=track, offset=offset)


# What is not needed


def find(needed: Needs, paths: Paths) -> list[Item]:
    """What can be removed, the largest first: what neither `needed` nor anybody at work may use.

    Raises UserError when that is not known, OSError when something cannot be read.
    """
    now = running.file_time(paths.root)
    used = union(running.workflows(paths, now))
    used["segments"] |= running.segments(paths, now)
    unneeded = [
        *_unneeded(union([needed, used]), paths),
        *_superseded(set(needed["segments"]) - used["segments"], paths),
        *((path, "") for path in _litter(paths, now)),
    ]
    items = (_item(path, words, now) for path, words in unneeded)
    return sorted((item for item in items if item), key=lambda item: (-item.size, item.path))


def _unneeded(kept: Needs, paths: Paths) -> Iterator[tuple[Path, str]]:
    """The files named by an id that is not kept, with their words."""
    for kind, pattern in _patterns(paths):
        for name, path in _named(pattern, folders=pattern == paths.work(ID)):
            if name not in kept[kind]:
                yield path, _words(kind, name, paths)


def _superseded(segments: Iterable[str], paths: Paths) -> Iterator[tuple[Path, str]]:
    """The files of a segment of which a longer one holds everything, and their logs."""
    for segment in sorted(segments):
        *shorter, longest = [*paths.rendered(segment)] or [0]
        if shorter and _whole(paths.latents(segment, longest), segment, longest):
            words = _words("segments", segment, paths)
            for keyframes in shorter:
                yield paths.latents(segment, keyframes), words
                yield paths.log("keyframes", f"{segment}-{keyframes}"), words
                if paths.score(segment, longest).exists():
                    yield paths.score(segment, keyframes), words


def _whole(path: Path, segment: str, keyframes: int) -> bool:
    from songreel.jobs import latents  # zarr takes a while to import

    try:
        latents.load(path, segment, keyframes)
    except (DamageError, FileNotFoundError):
        return False
    return True


def _litter(paths: Paths, now: float) -> Iterator[Path]:
    """What was set aside as damaged, and what killed runs left: by songreel's names, in its folders."""
    files = [*(pattern for _, pattern in _patterns(paths)), *_of_songs(paths), paths.trials()]
    for pattern in files:
        yield from _matching(pattern.parent, _escaped(pattern.name) + ASIDE)
        for path in _matching(pattern.parent, TEMPORARY + _escaped(pattern.name)):
            with contextlib.suppress(FileNotFoundError):
                if now - path.lstat().st_mtime > DAY:
                    yield path
    for folders in (True, False):
        yield from _matching(paths.work(GONE).parent, _escaped(GONE), folders)
    yield from running.ended(paths, now)


def _of_songs(paths: Paths) -> Iterator[Path]:
    """The files in the songs' folders that songreel writes. Only a folder with a plan of it is a song's."""
    for timeline in sorted(paths.root.glob(f"*/{paths.timeline('any').name}")):
        with contextlib.suppress(UserError, OSError):
            if timeline.is_file():
                Timeline.read(timeline)  # refuses what others call so
                song = timeline.parent.name
                yield from (paths.film(song), timeline, paths.owner(song))
                yield from (paths.film_read(song), paths.film_asked(song), paths.starts_of(song))
                yield from (paths.outline(song), paths.storyboard(song), paths.live(song), paths.about(song))
                yield from (paths.storyboard_asked(song), paths.run(song))
                yield paths.flicker(song)


def _patterns(paths: Paths) -> list[tuple[str, Path]]:
    """Every kind of file that is named by an id: a pattern of its name, with the id as the group."""
    return [
        ("segments", paths.segment_plan(ID)),
        ("segments", paths.latents(ID, "[0-9]+")),
        ("segments", paths.log("keyframes", f"{ID}-[0-9]+")),
        ("segments", paths.work(ID)),
        ("segments", paths.score(ID, "[0-9]+")),
        ("clips", paths.clip_plan(ID)),
        ("clips", paths.clip(ID)),
        ("clips", paths.log("clips", ID)),
        ("clips", paths.strip(ID)),
        ("fonts", paths.font(SHA256)),
        *(("tunes", file) for file in paths.tunes(ID)),
        ("audio", paths.audio_facts(SHA256)),
        ("audio", paths.heard(SHA256, "[0-9]+")),
        ("audio", paths.peaks(SHA256, "[0-9]+")),
        ("starts", paths.start(SHA256)),
        ("rankings", paths.ranking(ID)),
        ("seen", paths.seen(ID)),
        ("albums", paths.album_facts(ID)),
    ]


def _named(pattern: Path, folders: bool = False) -> Iterator[tuple[str, Path]]:
    """The files whose whole name fits a pattern, with the id in it; no others are the program's own."""
    name = _escaped(pattern.name)
    for path in _matching(pattern.parent, name, folders):
        if match := re.fullmatch(name, path.name):
            yield match[1], path


def _matching(folder: Path, name: str, folders: bool = False) -> Iterator[Path]:
    """The files, or the folders, whose whole name fits a pattern. A link is a file, wherever it leads."""
    for path in sorted(folder.glob("*")):
        if re.fullmatch(name, path.name) and (path.is_dir() and not path.is_symlink()) == folders:
            yield path


def _escaped(name: str) -> str:
    """A pattern in which a dot is a dot."""
    return name.replace(".", r"\.")


def _item(path: Path, words: str, now: float) -> Item | None:
    """None when it vanished meanwhile."""
    try:
        within = path.rglob("*") if path.is_dir() and not path.is_symlink() else ()
        stats = [file.lstat() for file in (path, *within)]
    except FileNotFoundError:
        return None
    age = now - max(file.st_mtime for file in stats)
    return Item(path, sum(file.st_size for file in stats), age, words)


def _words(kind: str, name: str, paths: Paths) -> str:
    """The words that a segment or clip shows; "" when neither plan nor latents tell them any more."""
    with contextlib.suppress(UserError):
        if kind == "clips":
            name = ClipPlan.read(paths.clip_plan(name)).shown.segment
        if kind in ("clips", "segments"):
            return shorten(_text(name, paths))
    return ""


def _text(segment: str, paths: Paths) -> str:
    for path in paths.rendered(segment).values():
        # A damaged one can raise any
        with contextlib.suppress(Exception), zipfile.ZipFile(path) as archive:
            recipe = json.loads(archive.read("zarr.json"))["attributes"]["recipe"]
            return SegmentRecipe.from_json(recipe).text
    return SegmentRecipe.read(paths.segment_plan(segment)).text


# Told and done


def remove(item: Item) -> None:
    """Remove what was found, or what is left of it. Raises OSError when that is refused."""
    if item.path.is_dir() and not item.path.is_symlink():
        # All at once: a job that locks it just now is fenced off and says so
        locks.remove(item.path)
    else:
        item.path.unlink(missing_ok=True)


def as_table(items: Sequence[Item]) -> str:
    """What was found, for a person to read."""
    width = max(len(str(item.path)) for item in items)
    rows = (
        f"{_size(item.size):>9}  {_age(item.age):>6}  {item.path!s:<{width}}  {item.words}" for item in items
    )
    return "\n".join(row.rstrip() for row in rows)


def as_json(items: Sequence[Item], removed: bool) -> str:
    """The same for other programs, sizes in bytes and ages in seconds."""
    rows = [{**vars(item), "path": str(item.path), "age": round(item.age)} for item in items]
    return json.dumps({"removed": removed, "items": rows}, indent=1)


def together(items: Sequence[Item]) -> str:
    """How many there are and how large they are."""
    return f"{len(items)} file{'s' * (len(items) != 1)}, {_size(sum(item.size for item in items))}"


def _size(count: float) -> str:
    """Bytes as people say them."""
    if count < 1000:
        return f"{count} B"
    for unit in ("kB", "MB"):
        count /= 1000
        if count < 999.95:
            return f"{count:.1f} {unit}"
    return f"{count / 1000:.1f} GB"


def _age(seconds: float) -> str:
    """An age as people say it."""
    if seconds < HOUR:
        return f"{max(seconds, 0) // 60:.0f} min"
    return f"{seconds // HOUR:.0f} h" if seconds < DAY else f"{seconds // DAY:.0f} d"
