"""The song itself: which file it is, what it hashes to, how long it sounds."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import ffmpeg

from songreel import tune
from songreel.errors import UserError
from songreel.files import read_json, write_json_if_changed
from songreel.paths import Paths

SUFFIXES = (
    ".wav",
    ".flac",
    ".mp3",
    ".m4a",
    ".aac",
    ".ogg",
    ".opus",
    ".wma",
    ".aiff",
    ".mka",
    ".mp4",
    ".webm",
)
PROBE_RATE = 48000  # samples a second, to count the seconds by


@dataclass(frozen=True)
class Audio:
    """A song's audio, and the tune it is made from when a rule makes it."""

    path: Path
    sha256: str
    seconds: float
    tune: Path | None = None


def find(setting: str, screenplay: Path, ffmpeg_path: str, paths: Paths) -> Audio | None:
    """The audio that the config key `audio` means: `auto`, `none` or a path.

    Raises UserError when a named file is missing or holds no audio, or `auto` finds more than one.
    """
    if setting == "none":
        return None
    source = _beside(screenplay) if setting == "auto" else Path(setting)
    if source is None:
        return None
    if not source.is_file():
        raise UserError(
            f"config key 'audio': {str(source)!r} is not a file; expected an audio file, 'auto' for the one"
            f" beside the screenplay or 'none' for a silent film."
        )
    return _from_tune(source, paths) if source.suffix == ".tune" else _from_file(source, ffmpeg_path, paths)


def _beside(screenplay: Path) -> Path | None:
    known = (*SUFFIXES, ".tune")
    named = (screenplay.with_name(screenplay.stem + suffix) for suffix in known)
    found = [path for path in named if path.is_file()]
    if len(found) > 1:
        names = ", ".join(repr(path.name) for path in found)
        raise UserError(
            f"{screenplay}: {names} lie beside the screenplay where one audio file was expected;"
            f" name the right one with the config key 'audio'."
        )
    return found[0] if found else None


def _from_tune(source: Path, paths: Paths) -> Audio:
    notes = tune.read(source)
    digest = hashlib.sha256(f"{tune.RECIPE}\n".encode() + source.read_bytes()).hexdigest()
    return Audio(paths.tune(digest[:16]), digest, tune.seconds(notes), source)


def _from_file(source: Path, ffmpeg_path: str, paths: Paths) -> Audio:
    try:
        with source.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(
            f"config key 'audio': {str(source)!r} cannot be read ({error.strerror});"
            f" expected a readable audio file."
        ) from None
    facts = paths.audio_facts(digest)
    seconds = _noted(facts, digest)
    if seconds is None:
        seconds = _seconds(source, ffmpeg_path)
        write_json_if_changed(facts, {"sha256": digest, "seconds": seconds})
    return Audio(source, digest, seconds)


def _noted(facts: Path, digest: str) -> float | None:
    """The seconds that were counted before, or None when they were not or the note is damaged."""
    try:
        noted = read_json(facts)
        return float(noted["seconds"]) if noted["sha256"] == digest else None
    except (UserError, LookupError, TypeError, ValueError):
        return None


def _seconds(source: Path, ffmpeg_path: str) -> float:
    """Count decoded samples: what a header says of the length is often wrong for compressed audio."""
    stream = ffmpeg.input(f"file:{source}").audio.output("pipe:", format="s16le", ac=1, ar=PROBE_RATE)
    process = stream.global_args("-v", "quiet", "-nostdin").run_async(cmd=ffmpeg_path, pipe_stdout=True)
    with process:
        samples = sum(len(block) for block in iter(lambda: process.stdout.read(1 << 20), b"")) // 2
    if not samples:
        raise UserError(
            f"config key 'audio': {str(source)!r} holds no audio that ffmpeg can read; expected a song as"
            f" WAV, FLAC, MP3, AAC, Ogg or the like: check the file, or set 'none' for a silent film."
        )
    return samples / PROBE_RATE
