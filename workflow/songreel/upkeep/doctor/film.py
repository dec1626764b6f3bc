"""What a film takes of its own folder: config.yaml, screenplay, song, models, album, and where results go."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from songreel.costs import history
from songreel.ground.errors import UserError
from songreel.ground.messages import duration
from songreel.ground.paths import Paths, song_folder
from songreel.planning import album, audio, config, screenplay, timeline
from songreel.planning.config import Config
from songreel.planning.lyric_files.song import Song
from songreel.upkeep import places
from songreel.upkeep.doctor.checks import GB, Check, fault, gigabytes, note, ok

# What x264 takes of a pixel at crf 16, rounded up from films; every 6 less of crf is about twice as much.
BITS_PER_PIXEL = 1.0
LINE_BYTES, KEYFRAME_BYTES = 600_000, 2_000  # of results/latents
SLACK_BYTES = 100_000_000  # logs, plan files, what is written beside a file before it replaces it


@dataclass(frozen=True)
class Film:
    """What is to be made, as far as that can be read."""

    config: Config  # all defaults where config.yaml cannot be read
    in_project: bool
    song: Song | None  # None where the screenplay cannot be read

    @property
    def paths(self) -> Paths:
        return Paths(self.config.results)


def opened(configfile: Path, over: Mapping[str, Any]) -> tuple[Film, list[Check]]:
    """The film of a config file with some keys on top, and what was found of both and of its screenplay."""
    in_project = configfile.is_file() or Path("config.yaml").is_file() or bool(over)
    try:
        keys = config.read(Path("config.yaml")) | config.read(configfile)
        settings = config.resolve(keys | dict(over))
    except UserError as error:
        film = Film(config.resolve({}), False, None)
        return film, [fault("Config", str(error), "it is looked at with the defaults here")]
    if not in_project:
        advice = "songreel new FOLDER makes one; all else is looked at with the defaults"
        return Film(settings, False, None), [note("Config", "no config.yaml in this folder", advice)]
    read = ok("Config", f"{configfile}: {settings.width}x{settings.height}, preset {settings.preset}")
    try:
        song = screenplay.read_song(settings.screenplay)
    except UserError as error:
        return Film(settings, True, None), [read, fault("Screenplay", str(error))]
    return Film(settings, True, song), [read, _described(settings, song)]


def _described(settings: Config, song: Song) -> Check:
    count = len(song.lines)
    until = duration(song.lines[-1].start_seconds)
    return ok(
        "Screenplay",
        f"{settings.screenplay}: {count} line{'s' * (count > 1)}, the last one starts after {until}",
    )


def sound(film: Film, ffmpeg: str | None, report_seconds: Callable[[float], object]) -> Iterator[Check]:
    """Which song is heard; `report_seconds` is told how long. Raises UserError."""
    if not film.song or not ffmpeg:
        return
    settings = film.config
    heard = audio.find(settings.audio, settings.audio_track, settings.screenplay, ffmpeg, film.paths)
    if heard:
        report_seconds(heard.seconds)
    yield ok("Sound", audio.described(heard, "", settings.audio, settings.screenplay))


def pictures(film: Film) -> Iterator[Check]:
    """The folder whose pictures lines start from. Raises UserError."""
    if not film.in_project:
        return
    if film.config.album in ("auto", "none"):
        yield ok("Album", {"auto": "the starter's own, with the starter pair"}.get(film.config.album, "none"))
        return
    told: list[str] = []
    names = album.pictures_in(Path(film.config.album), told.append)
    yield ok("Album", f"{film.config.album}: {len(names)} pictures")
    yield from (note("Album", message) for message in told)


def results(film: Film) -> Iterator[Check]:
    """Whether they can be written, and how fast lines were last rendered. Raises UserError, OSError."""
    root = film.paths.root
    if film.in_project:
        song = song_folder(film.config.screenplay)
        places.check_folders(song, film.paths)
        places.check_notes()
        places.check_results(song, film.paths)
        yield ok("Results", f"{root} can be written")
    elif not os.access(Path(), os.W_OK):
        yield note("Results", "this folder cannot be written", "make films in another")


def disk(film: Film, audio_seconds: float | None) -> Iterator[Check]:
    """The space that is free where results go, against what the film takes. Raises OSError."""
    free = free_bytes(film.paths.root)
    takes = _bytes(film, audio_seconds) if film.song else 0
    if takes > free:
        yield fault(
            "Disk",
            f"{gigabytes(free)} free, where the film takes about {gigabytes(takes)}",
            "free some space, or name another folder with the config key 'results'",
        )
    elif free < GB:
        yield note("Disk", f"{gigabytes(free)} free, which other films may not fit into")
    else:
        yield ok("Disk", f"{gigabytes(free)} free" + (f", about {gigabytes(takes)} taken" if takes else ""))


def free_bytes(folder: Path) -> int:
    """What is free where a folder is or will be."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _bytes(film: Film, audio_seconds: float | None) -> int:
    """What the film and all that it is made of take, rather more than less."""
    settings, song = film.config, film.song
    assert song is not None
    seconds = timeline.end_seconds(song.lines, settings.tail, audio_seconds)
    pixels = settings.width * settings.height * float(settings.frames_per_second) * seconds
    drawn = pixels * BITS_PER_PIXEL * 2 ** ((16 - settings.crf) / 6) / 8
    kept = LINE_BYTES * len(song.lines) + KEYFRAME_BYTES * seconds * settings.keyframes_per_second
    # Once in clips, once in the film, once in a film that is to replace it
    return round(3 * drawn + kept + SLACK_BYTES)


def speed(film: Film) -> Iterator[Check]:
    """What was last measured on this machine."""
    last = next((job for job in reversed(history.recall(film.paths)) if _optimised(job)), None)
    if last is None:
        advice = "the first line tells; songreel bench measures it without a film"
        yield note("Speed", "nothing was rendered on this machine into these results", advice)
        return
    work, per_second = last["work"], last["units"] / max(last["seconds"], 1e-3)
    size = "x".join(map(str, work["size"]))
    yield ok(
        "Speed",
        f"{per_second:.1f} iterations a second at {size} with {work['cutouts']} cutouts, measured last",
    )


def _optimised(job: Mapping[str, Any]) -> bool:
    work = job["work"]
    return work.get("kind") == "iterations" and isinstance(work.get("size"), list) and "cutouts" in work
