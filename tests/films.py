"""What a player finds in a film, read with the ffmpeg that comes with songreel."""

from __future__ import annotations

import re
import struct
import subprocess
from array import array
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import imageio_ffmpeg

FFMPEG = str(imageio_ffmpeg.get_ffmpeg_exe())
SAMPLE_RATE = 48000  # samples a second, to count seconds of sound by


class Cue(NamedTuple):
    """A text that is shown, or a chapter."""

    start_seconds: float
    end_seconds: float
    text: str


class Packet(NamedTuple):
    """Times in seconds, size in bytes."""

    start: Fraction
    duration: Fraction
    size: int


def ffmpeg(*arguments: str | Path) -> bytes:
    """What ffmpeg writes to its standard output."""
    command = [FFMPEG, "-v", "error", "-nostdin", "-y", *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout


def described(film: Path) -> str:
    """What ffmpeg tells about a file's streams."""
    done = subprocess.run([FFMPEG, "-hide_banner", "-i", film], capture_output=True, text=True, check=False)
    return done.stderr


def packets(film: Path, stream: str) -> list[Packet]:
    """A stream's packets as they lie in the file, in the order in which they are shown."""
    listing = ffmpeg("-i", film, "-map", f"0:{stream}", "-c", "copy", "-f", "framecrc", "-").decode()
    unit = re.search(r"^#tb 0: (.*)$", listing, re.MULTILINE)
    assert unit
    rows = (line.split(",") for line in listing.splitlines() if not line.startswith("#"))
    unsorted = (
        Packet(int(row[2]) * Fraction(unit[1]), int(row[3]) * Fraction(unit[1]), int(row[4])) for row in rows
    )
    return sorted(unsorted)


def frames(film: Path) -> list[str]:
    """A hash of every decoded frame."""
    listing = ffmpeg("-i", film, "-map", "0:v", "-fps_mode", "passthrough", "-f", "framemd5", "-").decode()
    return [line.split(",")[-1].strip() for line in listing.splitlines() if not line.startswith("#")]


def seconds_of_sound(film: Path) -> float:
    """How long the decoded audio is."""
    samples = ffmpeg("-i", film, "-map", "0:a", "-ac", "1", "-ar", str(SAMPLE_RATE), "-f", "s16le", "-")
    return len(samples) / 2 / SAMPLE_RATE


def loudness(film: Path, start_seconds: float, end_seconds: float) -> int:
    """The loudest sample of the decoded audio between two times, 0 to 32768."""
    samples = ffmpeg("-i", film, "-map", "0:a", "-ac", "1", "-ar", str(SAMPLE_RATE), "-f", "s16le", "-")
    first, last = (round(seconds * SAMPLE_RATE) for seconds in (start_seconds, end_seconds))
    return max(map(abs, array("h", samples)[first:last]))


def cues(film: Path) -> list[Cue]:
    """The subtitles byte for byte: ffmpeg's own text formats would write them in other ways."""
    shown = packets(film, "s")
    raw = ffmpeg("-i", film, "-map", "0:s", "-c", "copy", "-f", "data", "-")
    return [
        Cue(float(packet.start), float(packet.start + packet.duration), text)
        for packet, text in zip(shown, _texts(raw, shown), strict=True)
        if text
    ]


def _texts(raw: bytes, shown: list[Packet]) -> Iterator[str]:
    """A mov_text packet is two bytes of length, the text and its styles; an empty one is a gap."""
    at = 0
    for packet in shown:
        (length,) = struct.unpack_from(">H", raw, at)
        yield raw[at + 2 : at + 2 + length].decode()
        at += packet.size


def chapters(film: Path) -> list[Cue]:
    """The chapters with their titles."""
    _, *sections = ffmpeg("-i", film, "-f", "ffmetadata", "-").decode().split("[CHAPTER]\n")
    return [_chapter(_tags(section)) for section in sections]


def _chapter(tags: dict[str, str]) -> Cue:
    unit = Fraction(tags["TIMEBASE"])
    return Cue(float(int(tags["START"]) * unit), float(int(tags["END"]) * unit), tags["title"])


def tags(film: Path) -> dict[str, str]:
    """What the film as a whole says of itself."""
    head, *_ = ffmpeg("-i", film, "-f", "ffmetadata", "-").decode().split("[CHAPTER]\n")
    return _tags(head)


def _tags(section: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in section.splitlines() if not line.startswith(";"))
    return {key: re.sub(r"\\(.)", r"\1", value) for key, _, value in pairs}


def boxes(film: Path) -> list[str]:
    """The names of an MP4 file's outermost boxes, in order."""
    data, at, names = film.read_bytes(), 0, []
    while at < len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        names.append(name.decode())
        at += size
    return names
