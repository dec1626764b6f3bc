"""A song's sound as ffmpeg hears it: its tracks, how long one is, and how it goes into a film.

Sound is placed by its timestamps, as players do: what is late starts late, and what is missing is silence.
The same filter does so while seconds are counted and while films are joined, so the two cannot disagree.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from songreel import stops
from songreel.errors import UserError

PROBE_RATE = 48000  # samples a second, to count the seconds by
LONGEST_HOURS = 100  # of sound; more comes of damaged timestamps
# What starts within 15 ms of the beginning starts there: so late are codecs that need a moment, as Opus in
# WebM. Every later gap of more than 10 ms is filled with silence: a lost packet is a gap of 20 ms.
TIMED = "asetpts=PTS-STARTPTS*lt(abs(STARTT)\\,0.015),aresample=async=1:min_hard_comp=0.01:first_pts=0"
# Channels that AAC, and so a film, can hold.
KNOWN_LAYOUTS = "aformat=channel_layouts=7.1|5.1|5.0|4.0|3.0|stereo|mono"
CRASHES = tuple(
    getattr(signal, f"SIG{name}") for name in ("ILL", "ABRT", "BUS", "FPE", "KILL", "SEGV", "TERM", "SYS")
)
_TRACK = re.compile(r"^ *Stream #0:(\d+)(?:\[0x[0-9a-f]+\])?(?:\((\w+)\))?: Audio: (.*)$", re.MULTILINE)


def until(seconds: Fraction | float, mix: str) -> str:
    """The filter for a film that lasts so long: silence after the sound's end, or its end cut off."""
    return ",".join((TIMED, *filter(None, (mix,)), f"apad,atrim=end={float(seconds):.6f}"))


def mixes(source: Path, track: int, program: str) -> Iterator[str]:
    """Filters that may make of a sound what a film can hold, the first to be tried first: as it is."""
    yield ""
    yield KNOWN_LAYOUTS
    count = channels(source, track, program)
    left, right = ("+".join(f"c{channel}" for channel in range(first, count, 2)) for first in (0, 1))
    yield f"pan=stereo|c0<{left}|c1<{right or left}"


def tracks(source: Path, program: str) -> tuple[str, ...]:
    """What ffmpeg says of a file's audio tracks, in order; at least one.

    Raises UserError when it finds none, and when it crashes.
    """
    status, words = _run([program, "-hide_banner", "-nostdin", "-i", f"file:{source}"])
    if ended := _crash(status):
        raise _crashed(source, program, ended, words)
    header = words.partition("Input #0")[2]
    found = {int(number): _described(about, language) for number, language, about in _TRACK.findall(header)}
    if not found:
        raise _no_audio(source, "" if header else _last(words))
    return tuple(found[number] for number in sorted(found))


def channels(source: Path, track: int, program: str) -> int:
    """How many channels a track has, by the header of a WAV that ffmpeg makes of a moment of it."""
    options = ["-map", f"0:a:{track - 1}", "-frames:a", "1", "-f", "wav", "pipe:"]
    command = _quiet(program, ["-i", f"file:{source}", *options])
    made = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False).stdout
    return int.from_bytes(made[22:24], "little") or 2


def seconds(source: Path, track: int, program: str) -> float:
    """How long a track sounds, counted from the film's beginning in decoded samples: headers are often wrong.

    Raises UserError when there is no sound, and when ffmpeg does not get to its end.
    """
    # One channel will do to count, and can be taken of any layout, where ffmpeg cannot mix them all down.
    options = ["-map", f"0:a:{track - 1}", "-af", f"pan=mono|c0=c0,{TIMED}"]
    command = _quiet(
        program, ["-i", f"file:{source}", *options, "-ar", str(PROBE_RATE), "-f", "s16le", "pipe:"]
    )
    with tempfile.TemporaryFile() as errors:
        status, size = _measured(command, errors.fileno())
        errors.seek(max(0, errors.seek(0, os.SEEK_END) - 10_000))
        words = errors.read().decode("utf-8", "replace")
    if size > LONGEST_HOURS * 3600 * PROBE_RATE * 2:
        raise UserError(
            f"config key 'audio': {str(source)!r} lasts for over {LONGEST_HOURS} hours by its timestamps,"
            f" where a song was expected; they are damaged: convert it to WAV or FLAC."
        )
    if status:
        raise _crashed(source, program, _crash(status) or f"status {status}", words)
    if not size:
        raise _no_audio(source, _last(words))
    return size // 2 / PROBE_RATE


def _measured(command: Sequence[str], errors: int) -> tuple[int, int]:
    """ffmpeg's exit status and how many bytes it wrote; it is stopped when they are far too many."""
    most = LONGEST_HOURS * 3600 * PROBE_RATE * 2
    size = 0
    with (
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors) as process,
        stops.undoing(process.kill),
    ):
        assert process.stdout is not None
        while size <= most and (block := process.stdout.read(1 << 20)):
            size += len(block)
        if size > most:
            process.kill()
    return process.returncode, size


def fingerprint(program: str) -> str:
    """What tells an ffmpeg from another, and from itself after it was replaced."""
    found = Path(shutil.which(program) or program).resolve()
    about = found.stat()
    facts = (str(found), about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino)
    return _fingerprint(program, facts)


@functools.cache
def _fingerprint(program: str, facts: tuple[object, ...]) -> str:
    # A script may stand for the program; what that says of itself changes when it does.
    said = subprocess.run([program, "-version"], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return hashlib.sha256(repr(facts).encode() + said.stdout).hexdigest()[:16]


def _run(command: Sequence[str]) -> tuple[int, str]:
    with (
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as process,
        stops.undoing(process.kill),
    ):
        _, words = process.communicate()
    return process.returncode, words.decode("utf-8", "replace")


def _quiet(program: str, arguments: Sequence[str]) -> list[str]:
    return [program, "-hide_banner", "-nostdin", "-v", "error", *arguments]


def _described(about: str, language: str) -> str:
    """Codec, rate and channels, without what only programs want to know."""
    codec, *rest = re.sub(r" \([^,]*\)", "", about).split(", ")[:3]
    spoken = [language] if language not in ("", "und") else []
    return ", ".join((codec, *rest, *spoken))


def _crash(status: int) -> str:
    """The signal that ended a program, also one that a shell reports; nothing if it ended by itself."""
    number = -status if status < 0 else status - 128
    if status < 0 or number in CRASHES:
        return signal.Signals(number).name
    return ""


def _last(words: str) -> str:
    """The last line that ffmpeg said, without the address of the part that said it."""
    lines = [line for line in map(str.strip, words.splitlines()) if line]
    return re.sub(r"^\[[^]]+ @ 0x[0-9a-f]+\] ", "", lines[-1]) if lines else ""


def _no_audio(source: Path, reason: str) -> UserError:
    because = f" ({reason})" if reason else ""
    return UserError(
        f"config key 'audio': {str(source)!r} holds no audio that ffmpeg can read{because}; expected a song"
        f" as WAV, FLAC, MP3, AAC, Ogg or the like: check the file, or set 'none' for a silent film."
    )


def _crashed(source: Path, program: str, ended: str, words: str) -> UserError:
    last = f", its last words were {_last(words)!r}" if words.strip() else ""
    return UserError(
        f"config key 'audio': ffmpeg ({program}) crashed on {str(source)!r} (ended by {ended}{last}), where"
        f" it was expected to read the song to its end; convert it to WAV or FLAC, or name another ffmpeg"
        f" with the config key 'ffmpeg'."
    )
