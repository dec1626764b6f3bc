"""Every file that songreel writes, named in one place."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Paths:
    """The files below a results folder. What is named by an id holds what the id was made from."""

    root: Path = Path("results")

    def segment_plan(self, segment: str) -> Path:
        return self.root / f"plan/segments/{segment}.json"

    def clip_plan(self, clip: str) -> Path:
        return self.root / f"plan/clips/{clip}.json"

    def font(self, sha256: str) -> Path:
        """A font that clips are lettered with, by its content: a job draws with what it was planned with."""
        return self.root / f"plan/fonts/{sha256}.font"

    def audio_facts(self, sha256: str) -> Path:
        return self.root / f"plan/audio/{sha256}.json"

    def heard(self, sha256: str, track: int | str) -> Path:
        """What is heard of a track of an audio file, a hundred times a second."""
        return self.root / f"plan/audio/{sha256}-{track}.npz"

    def start(self, sha256: str) -> Path:
        """A picture that lines start from, by what its pixels hash to (see `pictures.digest`)."""
        return self.root / f"plan/starts/{sha256}.png"

    def ranking(self, ranking: str) -> Path:
        """Which pictures of an album fit some words best."""
        return self.root / f"plan/rankings/{ranking}.json"

    def seen(self, look: str) -> Path:
        """What a perceptor makes of a picture of an album."""
        return self.root / f"plan/seen/{look}.npy"

    def album_facts(self, place: str) -> Path:
        """What a picture, or the pictures of a folder, hash to, by a hash of where it lies."""
        return self.root / f"plan/albums/{place}.json"

    def peaks(self, sha256: str, track: int | str) -> Path:
        """How loud a song's track is from moment to moment."""
        return self.root / f"plan/audio/{sha256}-{track}.npy"

    def score(self, segment: str, keyframes: int | str) -> Path:
        """What perceptors made of a segment's pictures and words when it was rendered."""
        return self.root / f"plan/scores/{segment}-{keyframes}.safetensors"

    def strip(self, clip: str) -> Path:
        """A few small pictures of a clip."""
        return self.root / f"plan/strips/{clip}.json"

    def trials(self) -> Path:
        """Where it stands what an ffmpeg was found to be able to make."""
        return self.root / "plan/ffmpeg.json"

    def latents(self, segment: str, keyframes: int | str) -> Path:
        return self.root / f"latents/{segment}-{keyframes}.zarr.zip"

    def clip(self, clip: str) -> Path:
        return self.root / f"clips/{clip}.mp4"

    def tunes(self, tune: str) -> tuple[Path, Path, Path]:
        """What versions that played tunes made of one: its sound first, then its notes and its log."""
        notes = self.root / f"plan/tunes/{tune}.tune"
        return self.root / f"tunes/{tune}.wav", notes, self.log("tunes", tune)

    def timeline(self, song: str) -> Path:
        return self.root / song / "timeline.json"

    def owner(self, song: str) -> Path:
        """Which screenplay a song's folder belongs to."""
        return self.root / song / "screenplay.json"

    def starts_of(self, song: str) -> Path:
        """From which picture each of a song's lines starts, by the plan that was carried out last."""
        return self.root / song / "starts.json"

    def film(self, song: str) -> Path:
        return self.root / song / "film.mp4"

    def flicker(self, song: str) -> Path:
        """How much a film and each of its clips flicker."""
        return self.root / song / "flicker.json"

    def export(self, song: str, name: str) -> Path:
        """What is made of a film for other programs, where no other place is named."""
        return self.root / song / name

    def film_read(self, song: str) -> Path:
        """Where is noted that a large film was read and is whole."""
        return self.root / song / ".film-read.json"

    def film_asked(self, song: str) -> Path:
        """A file that asks Snakemake to join a film again which is an older plan's."""
        return self.root / song / ".film-asked"

    def outline(self, song: str) -> Path:
        """What a plan knows of a song's lines and no document says: rows, prompts, takes."""
        return self.root / song / "outline.json"

    def storyboard(self, song: str) -> Path:
        return self.root / song / "storyboard.html"

    def live(self, song: str) -> Path:
        """What the storyboard shows while the film is rendered."""
        return self.root / song / "storyboard.js"

    def storyboard_asked(self, song: str) -> Path:
        """A file that asks Snakemake to make a storyboard again which is not the plan's."""
        return self.root / song / ".storyboard-asked"

    def run(self, song: str) -> Path:
        """Which clips were there when the last run began."""
        return self.root / song / ".run.json"

    def about(self, song: str) -> Path:
        """What a film was made from, for the report."""
        return self.root / song / ".about.rst"

    def history(self, machine: str) -> Path:
        return self.root / f"history/{machine}.jsonl"

    def log(self, kind: str, name: str) -> Path:
        return self.root / f"logs/{kind}/{name}.log"

    def work(self, segment: str) -> Path:
        """Where one job keeps what it has so far of a segment; no rule declares it, so no rule deletes it."""
        return self.root / ".work" / segment

    def running(self, name: str) -> Path:
        """Where a workflow shows that it is running, and a removal that it is going on."""
        return self.root / ".running" / name

    def standing(self, name: str) -> Path:
        """Where a job shows how far it is with a segment or a clip."""
        return self.running(f"{name}.standing")

    def rendered(self, segment: str) -> Mapping[int, Path]:
        """The latents files of a segment that exist, by their number of keyframes, shortest first."""
        return _rendered(self.latents("any", 0).parent).get(segment, {})


def latents_file(segment: str, keyframes: int, paths: Paths) -> Path | None:
    """The shortest latents file of a segment that has so many keyframes; None where there is none."""
    files = paths.rendered(segment).items()
    return next((path for count, path in files if count >= keyframes), None)


Rendered = Mapping[str, Mapping[int, Path]]  # the files of each segment, shortest first


def _rendered(folder: Path) -> Rendered:
    """A folder of latents, read again only when it has changed: a film asks for each of its lines."""
    try:
        changed = folder.stat().st_mtime_ns
    except FileNotFoundError:
        return {}
    if _last_read.get(folder, (0, {}))[0] != changed:
        # Else a file may come at the same tick of the clock
        settled = time.time_ns() - changed > SETTLED_NS
        _last_read[folder] = (changed if settled else 0, _read(folder))
    return _last_read[folder][1]


def _read(folder: Path) -> Rendered:
    segments: dict[str, dict[int, Path]] = {}
    for name in os.listdir(folder):  # noqa: PTH208
        if (match := re.fullmatch(r"([^.].*)-(\d+)\.zarr\.zip", name)) and int(match[2]):
            segments.setdefault(match[1], {})[int(match[2])] = folder / name
    return {segment: dict(sorted(files.items())) for segment, files in segments.items()}


SETTLED_NS = 2_000_000_000
_last_read: dict[
    Path, tuple[int, Rendered]
] = {}  # with the time of the folder then; 0 when that may yet be another's


# Of a name to which a hash is added: with the end of a log's name, file systems take 255
MOST_LETTERS = 242
# At its end, Snakemake takes it for a rule that goes in circles
_PERIODIC = re.compile(r"(.+?)\1{19,}$")


def song_folder(screenplay: Path) -> str:
    """A folder name for a screenplay: its stem where that is plain, else a plain form of it and a hash.

    The name passes through Snakemake's wildcards and a shell, where `{}` or a newline would mean something.
    """
    plain = re.sub(r"[^\w.-]+", "_", screenplay.stem, flags=re.ASCII).strip("._-")
    reserved = {"plan", "latents", "clips", "tunes", "logs", "history"}
    if plain == screenplay.stem and plain not in reserved and not _PERIODIC.search(plain):
        return plain
    return named(plain or "song", screenplay.stem)


def named(plain: str, whole: str) -> str:
    """A plain name that is told from others by a hash of what it stands for."""
    digest = hashlib.sha256(whole.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return f"{plain[:MOST_LETTERS]}-{digest}"
