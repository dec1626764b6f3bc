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
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

import ffmpeg

from songreel.ground import stops
from songreel.ground.errors import UserError

PROBE_RATE = 48000  # samples a second, to count the seconds by
LONGEST_HOURS = 100  # of sound; more comes of damaged timestamps
MOST_BYTES = LONGEST_HOURS * 3600 * PROBE_RATE * 2
# Seconds: what starts within them starts at once; so late are codecs that need a moment
AT_ONCE = 0.015
# Times that stand still or go back, as where two files were put into one, say nothing: such a piece is heard
# after the one before it. Shorter pieces may have equal times for want of decimals. By number, ffmpeg keeps:
# 0 the time of a piece, 1 how much later than that it is heard, 2 the end of the one before, 3 its length.
SHORTEST = 0.002  # seconds of a piece whose time cannot be that of the one before it
_PLACED = (
    f"st(0,PTS-STARTPTS*lt(abs(STARTT),{AT_ONCE}));"
    f"if(lte(PTS,PREV_INPTS)*gt(ld(3)*TB,{SHORTEST}),st(1,ld(2)-ld(0)));"
    "st(3,NB_SAMPLES/SAMPLE_RATE/TB);st(2,ld(0)+ld(1)+ld(3));ld(0)+ld(1)"
)
# Every later gap of more than 10 ms is filled with silence: a lost packet is a gap of 20 ms.
TIMED = f"asetpts='{_PLACED}',aresample=async=1:min_hard_comp=0.01"
# ffmpeg begins such a filter anew where a sound changes its kind midway, so only what is late may wait in it.
FROM_0 = ":first_pts=0"
# Whole numbers, since AAC refuses floats that are none. A piece of AAC is 1024 samples: at lower rates than
# these a film's sound would outlast its pictures.
ENCODABLE = "aformat=sample_fmts=s32|s32p:sample_rates=44100|48000|64000|88200|96000"
# Channels that AAC, and so a film, can hold.
KNOWN_LAYOUTS = "aformat=channel_layouts=7.1|5.1|5.0|4.0|3.0|stereo|mono"
CRASHES = tuple(
    getattr(signal, f"SIG{name}") for name in ("ILL", "ABRT", "BUS", "FPE", "KILL", "SEGV", "TERM", "SYS")
)
_TRACK = re.compile(r"^ *Stream #0:(\d+)(?:\[0x[0-9a-f]+\])?(?:\((\w+)\))?: Audio: (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Length:
    """How long a track sounds, from the film's beginning, and whether it starts later than that."""

    seconds: float
    late: bool


def until(seconds: Fraction | float, late: bool, mix: str) -> str:
    """The filter for a film that lasts so long: silence after the sound's end, or its end cut off."""
    end = f"apad,atrim=end={float(seconds):.6f}"
    return ",".join(filter(None, (_timed(late), mix, ENCODABLE, end)))


def _timed(late: bool) -> str:
    return TIMED + FROM_0 if late else TIMED


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
    # By hand: ffmpeg-python knows no call without an output, and probes with ffprobe, which may be missing.
    status, words = _run([program, "-hide_banner", "-nostdin", "-i", f"file:{source}"])
    if _crash(status):
        raise _failed(source, program, status, words)
    header = words.partition("Input #0")[2]
    by_number = {
        int(number): _described(about, language) for number, language, about in _TRACK.findall(header)
    }
    if not by_number:
        raise _no_audio(source, "" if header else _last(words))
    return tuple(by_number[number] for number in sorted(by_number))


def channels(source: Path, track: int, program: str) -> int:
    """How many channels a track has, by the header of a WAV that ffmpeg makes of a moment of it."""
    return int.from_bytes(_first_piece(source, track, "wav", program)[22:24], "little") or 2


def length(source: Path, track: int, program: str) -> Length:
    """How long a track sounds, counted in decoded samples: headers are often wrong.

    Raises UserError when there is no sound, and when ffmpeg does not get to its end.
    """
    start = _start(source, track, program)
    late = abs(start) > AT_ONCE
    counted = _seconds(source, track, program, late)
    if late and abs(counted - start - _seconds(source, track, program, False)) > 0.1:
        raise UserError(
            f"config key 'audio': {str(source)!r} starts late and changes its rate or channels midway,"
            f" where one kind of sound was expected; convert it to WAV or FLAC."
        )
    return Length(counted, late)


def _start(source: Path, track: int, program: str) -> float:
    """The time stamp of the first decoded piece, in seconds."""
    output = _first_piece(source, track, "framecrc", program).decode("utf-8", "replace")
    unit = re.search(r"^#tb 0: (\d+/\d+)$", output, re.MULTILINE)
    first = re.search(r"^0, *-?\d+, *(-?\d+),", output, re.MULTILINE)
    return float(int(first[1]) * Fraction(unit[1])) if unit and first else 0.0


def _seconds(source: Path, track: int, program: str, late: bool) -> float:
    # One channel will do to count, and can be taken of any layout, where ffmpeg cannot mix them all down.
    heard = f"pan=mono|c0=c0,{_timed(late)}"
    output = _track(source, track).output("pipe:", format="s16le", af=heard, ar=PROBE_RATE)
    with tempfile.TemporaryFile() as errors:
        status, size = _measured(command(output, program), errors.fileno())
        words = _end_of(errors)
    if size > MOST_BYTES:
        raise UserError(
            f"config key 'audio': {str(source)!r} lasts for over {LONGEST_HOURS} hours by its timestamps,"
            f" where a song was expected; they are damaged: convert it to WAV or FLAC."
        )
    if status:
        raise _failed(source, program, status, words)
    if not size:
        raise _no_audio(source, _last(words))
    return size // 2 / PROBE_RATE


def samples(source: Path, track: int, late: bool, rate: int, program: str) -> Iterator[bytes]:
    """A track's sound from the film's beginning, float32 of one channel, `rate` a second, piece by piece.

    Raises UserError when ffmpeg does not get to the sound's end.
    """
    for mix in mixes(source, track, program):
        filters = ",".join(filter(None, (_timed(late), mix, "aformat=sample_fmts=flt:channel_layouts=mono")))
        output = _track(source, track).output("pipe:", format="f32le", af=filters, ar=rate)
        with tempfile.TemporaryFile() as errors:
            status, heard = yield from _pieces(command(output, program), errors.fileno())
            words = _end_of(errors)
        if heard:
            break
    if status:
        raise _failed(source, program, status, words)


def _pieces(command: Sequence[str], errors: int) -> Generator[bytes, None, tuple[int, bool]]:
    """What ffmpeg writes; returns its exit status, and whether there was anything."""
    some = False
    with (
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, env=environment()
        ) as process,
        stops.undoing(process.kill),
    ):
        assert process.stdout is not None
        try:
            while block := process.stdout.read(1 << 20):
                some = True
                yield block
        except BaseException:
            process.kill()
            raise
    return process.returncode, some


def _end_of(errors: IO[bytes]) -> str:
    """The last of what ffmpeg complained of."""
    errors.seek(max(0, errors.seek(0, os.SEEK_END) - 10_000))
    return errors.read().decode("utf-8", "replace")


def _measured(command: Sequence[str], errors: int) -> tuple[int, int]:
    """ffmpeg's exit status and how many bytes it wrote; it is stopped when they are far too many."""
    size = 0
    with (
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, env=environment()
        ) as process,
        stops.undoing(process.kill),
    ):
        assert process.stdout is not None
        while size <= MOST_BYTES and (block := process.stdout.read(1 << 20)):
            size += len(block)
        if size > MOST_BYTES:
            process.kill()
    return process.returncode, size


def fingerprint(program: str) -> str:
    """What tells an ffmpeg from another, and from itself after it was replaced."""
    path = Path(shutil.which(program) or program).resolve()
    about = path.stat()
    facts = (str(path), about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino)
    return _fingerprint(program, facts)


@functools.cache
def _fingerprint(program: str, facts: tuple[object, ...]) -> str:
    # A script may stand for the program; what that says of itself changes when it does.
    version = subprocess.run(
        [program, "-version"], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    return hashlib.sha256(repr(facts).encode() + version.stdout).hexdigest()[:16]


def environment() -> dict[str, str]:
    """What an ffmpeg is started with that reads a song.

    The one that comes with songreel is linked statically. It must not load this system's converters of text,
    made for another C library, or it crashes on what names its tracks in some encoding, as MPEG-TS does.
    """
    return {**os.environ, "GCONV_PATH": os.devnull}


def _run(command: Sequence[str]) -> tuple[int, str]:
    """ffmpeg's exit status and words."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment(),
        check=False,
    )
    return done.returncode, done.stderr.decode("utf-8", "replace")


def _first_piece(source: Path, track: int, form: str, program: str) -> bytes:
    """What ffmpeg writes of a track's first decoded piece, as far as it gets."""
    output = _track(source, track).output("pipe:", format=form, **{"frames:a": 1})
    return subprocess.run(
        command(output, program),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=environment(),
        check=False,
    ).stdout


def _track(source: Path, track: int) -> Any:
    """A track as one of ffmpeg-python's streams."""
    return ffmpeg.input(f"file:{source}")[f"a:{track - 1}"]


def command(output: Any, program: str) -> list[str]:
    """What starts an ffmpeg that makes one of ffmpeg-python's outputs and says only what is wrong."""
    arguments: list[str] = output.compile(cmd=[program, "-hide_banner", "-nostdin", "-v", "error", "-y"])
    return arguments


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
    lines = [line for line in map(str.strip, words.splitlines()) if line and "message repeated" not in line]
    return re.sub(r"^\[[^]]+ @ 0x[0-9a-f]+\] ", "", lines[-1]) if lines else ""


def _no_audio(source: Path, reason: str) -> UserError:
    because = f" ({reason})" if reason else ""
    return UserError(
        f"config key 'audio': {str(source)!r} holds no audio that ffmpeg can read{because}; expected a song"
        f" as WAV, FLAC, MP3, AAC, Ogg or the like: check the file, or set 'none' for a silent film."
    )


def _failed(source: Path, program: str, status: int, words: str) -> UserError:
    """What is said of an ffmpeg that did not get to a song's end."""
    ended = _crash(status)
    how = (
        f"crashed on {str(source)!r} (ended by {ended}"
        if ended
        else f"failed on {str(source)!r} (status {status}"
    )
    last = f", its last words were {_last(words)!r}" if _last(words) else ""
    return UserError(
        f"config key 'audio': ffmpeg ({program}) {how}{last}), where it was expected to read the song to its"
        f" end; convert it to WAV or FLAC, or name another ffmpeg with the config key 'ffmpeg'."
    )
