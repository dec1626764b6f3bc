"""Everything that ffmpeg does: frames into a clip, clips and audio into a film."""

from __future__ import annotations

import contextlib
import itertools
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import ffmpeg
import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

from songreel.drawing import encoders, joined, lyrics, onpicture, sound
from songreel.ground import rates, seal, stops
from songreel.ground.documents import DRAWING, ClipPlan, Shown, Timeline
from songreel.ground.errors import DamageError, UserError
from songreel.ground.files import check_is_file, replacing

# RGB would otherwise be converted by the rules of standard-definition television and look paler in a browser.
COLOURS = {"colorspace": "bt709", "color_primaries": "bt709", "color_trc": "bt709", "color_range": "tv"}
TRIAL_FRAMES = 8
BITEXACT = {"fflags": "+bitexact", "flags": "+bitexact"}  # no version or time of day in the file


class FFmpegError(UserError):
    """A file that ffmpeg could not make, and the reason in its own words."""

    def __init__(self, target: Path, reason: str) -> None:
        super().__init__(
            f"{target}: ffmpeg could not make it ({reason}); see to that and run the same command again."
        )
        self.reason = reason


def executable(setting: str) -> str:
    """The ffmpeg that the config key `ffmpeg` names, by path or name, or imageio-ffmpeg's own."""
    here = Path(setting).expanduser()
    if setting and not shutil.which(setting) and here.is_file():
        return str(here.absolute())  # a bare name would be looked for elsewhere
    return setting or str(imageio_ffmpeg.get_ffmpeg_exe())


def working(setting: str) -> str:
    """The `executable`, tried out: one that cannot run is told before hours of work that end in it.

    Raises UserError when it does not run.
    """
    try:
        program = executable(setting)  # RuntimeError where none came along
        subprocess.run([program, "-version"], stdin=subprocess.DEVNULL, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(
            f"config key 'ffmpeg': found {setting!r}, which does not run ({reason.rstrip('.')}), expected the"
            f" path of an ffmpeg; correct it, or leave it empty for the one that comes with songreel."
        ) from None
    return program


def encoder(setting: str, size: tuple[int, int], program: str) -> str:
    """The encoder that a config names; for `auto`, the first in hardware that works here, or libx264.

    That ffmpeg lists one says nothing: the card may be missing, or unable to encode pictures this small.
    """
    if setting != "auto":
        return setting
    return next((name for name in encoders.HARDWARE if _works(name, size, program)), "libx264")


def _works(name: str, size: tuple[int, int], program: str) -> bool:
    """Whether an encoder makes a clip of a few frames here."""
    frames = np.random.default_rng(0).integers(0, 256, (TRIAL_FRAMES, *reversed(size), 3), dtype=np.uint8)
    trial = ClipPlan(
        recipe=DRAWING,
        shown=Shown("", TRIAL_FRAMES),
        before=None,
        blend_frames=0,
        frames_per_second=Fraction(30),
        keyframes_per_second=30.0,
        interpolation="latent",
        encoder=name,
        crf=16,
    )
    with tempfile.TemporaryDirectory() as folder:
        try:
            encode([frames], trial, size, Path(folder) / "trial.mp4", program)
        except UserError:
            return False
    return True


def encode(
    batches: Iterable[NDArray[np.uint8]],
    clip: ClipPlan,
    size: tuple[int, int],
    target: Path,
    program: str,
    script: bytes | None = None,
) -> None:
    """Pipe frames uint8 [b, height, width, 3] into a clip of exactly its number of frames.

    `size` is the clip's width and height; frames of another one are scaled by Lanczos' method. The words of a
    `script`, see `onpicture`, are drawn on them. A batch is written while the next one is made. Raises
    UserError with ffmpeg's own words when it fails.
    """
    first, batches = _peeked(batches)
    height, width = first.shape[1:3]
    enlarged = {"w": size[0], "h": size[1], "flags": "lanczos"} if (width, height) != size else {}
    rate = clip.frames_per_second
    stream = ffmpeg.input(
        "pipe:", format="rawvideo", pix_fmt="rgb24", s=f"{width}x{height}", r=str(clip.drawn_rate)
    )
    # Before motion interpolation: after it, a second conversion would cost each colour some levels.
    stream = stream.filter("scale", **enlarged, out_color_matrix="bt709", out_range="tv")
    stream = stream.filter("format", "yuv420p")
    if clip.interpolation == "motion":
        # Scene-change detection would freeze a frame wherever many tokens change at once.
        stream = stream.filter("minterpolate", fps=str(rate), mi_mode="mci", scd="none")
    if clip.fps_blend:
        stream = _mixed(stream, clip.fps_blend)
    with replacing(target) as temporary, onpicture.handed_on(script) as handle:
        output = onpicture.drawn(stream, handle, rate).output(
            str(temporary),
            format="mp4",
            video_track_timescale=rates.ticks(rate),
            r=str(rate),
            **{"frames:v": clip.shown.frames},
            **encoders.options(clip.encoder, clip.crf),
            **COLOURS,
            **BITEXACT,
        )
        status, words = _pipe(batches, sound.command(output, program), handle)
        _check(status, words, temporary, target)
        seal.add(temporary, seal.of_clip(target.stem))


def _peeked(batches: Iterable[NDArray[np.uint8]]) -> tuple[NDArray[np.uint8], Iterator[NDArray[np.uint8]]]:
    """The first batch, and all of them."""
    left = iter(batches)
    first = next(left)
    return first, itertools.chain([first], left)


def _mixed(stream: Any, reach: int) -> Any:
    """Frames mixed with so many to each side, the nearer the more; those at a clip's ends with themselves."""
    weights = [reach + 1 - abs(step) for step in range(-reach, reach + 1)]
    stream = stream.filter("tpad", stop=reach, stop_mode="clone")
    stream = stream.filter("tmix", frames=len(weights), weights=" ".join(map(str, weights)))
    # Each is mixed when the last of its neighbours has come, the clip's first one for those before it.
    return stream.filter("trim", start_frame=reach).filter("setpts", "PTS-STARTPTS")


def _pipe(
    batches: Iterable[NDArray[np.uint8]], command: Sequence[str], handle: int | None
) -> tuple[int, bytes]:
    """Run ffmpeg on frames; returns its exit status and what it complained of. It inherits the `handle`."""
    shared: dict[str, Any] = {}
    if handle is not None:
        shared = {"pass_fds": [handle], "env": onpicture.environment()}
    with (
        tempfile.TemporaryFile() as words,
        subprocess.Popen(command, stdin=subprocess.PIPE, stderr=words, **shared) as process,
        stops.undoing(process.kill),
        ThreadPoolExecutor(1) as writer,
    ):
        assert process.stdin is not None
        try:
            writing: Future[Any] | None = None
            for batch in batches:
                if writing:
                    writing.result()
                writing = writer.submit(process.stdin.write, batch.tobytes())
            if writing:
                writing.result()
        except BrokenPipeError:
            pass  # motion interpolation has all it needs, or ffmpeg's words tell what went wrong
        except BaseException:
            process.kill()
            raise
        finally:
            with contextlib.suppress(BrokenPipeError):  # it tries once more to write what is left
                process.stdin.close()
        process.wait()
        words.seek(0)
        return process.returncode, words.read()


def join(timeline: Timeline, clips: Sequence[Path], target: Path, program: str) -> None:
    """Join clips without encoding them again; add audio, lyrics, chapters and title.

    The audio is padded with silence or cut so that it ends with the last frame. Raises UserError with
    ffmpeg's own words when it fails, DamageError when a clip is not what its name says.
    """
    for clip in clips:
        check(clip)
    with replacing(target) as temporary, tempfile.TemporaryDirectory() as folder:
        command = sound.command(_film(timeline, clips, Path(folder), temporary), program)
        with stops.undoing(lambda: shutil.rmtree(folder, ignore_errors=True)):
            status, complaints = _run(command)
        _check(status, complaints, temporary, target)
        joined.finish(temporary, timeline, target)


def _film(timeline: Timeline, clips: Sequence[Path], folder: Path, target: Path) -> Any:
    """What ffmpeg makes a film of, its listing, subtitles and metadata written into a folder."""
    listing, words, facts = (folder / name for name in ("clips.txt", "lyrics.srt", "facts.txt"))
    listing.write_text(_listing(timeline, clips), encoding="utf-8")
    words.write_text(lyrics.subtitles(timeline), encoding="utf-8")
    facts.write_text(lyrics.metadata(timeline), encoding="utf-8")
    # Inputs are numbered in this order. The first has no stream, but ffmpeg-python takes none without one.
    streams = [ffmpeg.input(str(facts), format="ffmetadata")["s?"]]
    streams += [ffmpeg.input(str(listing), format="concat", safe=0)["v"]]
    options = {"c:v": "copy", "c:s": "mov_text", "map_metadata": 0, "map_chapters": 0}
    if song := timeline.audio:
        streams += [ffmpeg.input(f"file:{song.path}")[f"a:{song.track - 1}"]]
        audio_filter = sound.until(timeline.seconds, song.late, song.mix)
        options |= {"c:a": "aac", "b:a": "192k", "af": audio_filter}
    if timeline.subtitles:
        streams += [ffmpeg.input(str(words))["s"]]
    return ffmpeg.output(
        *streams, str(target), format="mp4", movflags="+faststart", fflags="+bitexact", **options
    )


def _listing(timeline: Timeline, clips: Sequence[Path]) -> str:
    """The clips for ffmpeg to concatenate, each as long as to end where it should since the film's start.

    Left alone, ffmpeg adds up lengths that are rounded to microseconds, and after an hour frames are late.
    """
    frames = [entry.frames for entry in timeline.clips]
    ends = [round(1_000_000 * end / timeline.frames_per_second) for end in itertools.accumulate(frames)]
    lengths = [end - start for start, end in zip([0, *ends], ends, strict=False)]  # microseconds
    rows = (
        f"file '{_quoted(clip)}'\nduration {length / 1e6:.6f}\n"
        for clip, length in zip(clips, lengths, strict=True)
    )
    return "".join(rows)


def _run(command: Sequence[str]) -> tuple[int, bytes]:
    """Run ffmpeg; returns its exit status and what it complained of."""
    with (
        subprocess.Popen(command, stderr=subprocess.PIPE, env=sound.environment()) as process,
        stops.undoing(process.kill),
    ):
        _, words = process.communicate()
    return process.returncode, words


def make(
    output: Any,
    made: Path,
    target: Path,
    program: str,
    batches: Iterable[NDArray[np.uint8]] | None = None,
    handle: int | None = None,
) -> None:
    """Have ffmpeg make one of ffmpeg-python's outputs, the file `made` that is to be `target`.

    `batches` are piped to it, and a `handle` handed on. Raises FFmpegError.
    """
    command = sound.command(output, program)
    status, complaints = _run(command) if batches is None else _pipe(batches, command, handle)
    _check(status, complaints, made, target)


def check(clip: Path) -> None:
    """Raise DamageError unless a clip is whole and the one that its name says."""
    expected = f"the clip {clip.stem}"
    check_is_file(clip, expected)
    if not seal.intact(clip, seal.of_clip(clip.stem)):
        raise DamageError(clip, "a damaged file or another clip", expected)


def _quoted(path: Path) -> str:
    return str(path.resolve()).replace("'", "'\\''")


def _check(status: int, words: bytes, temporary: Path, target: Path) -> None:
    """Raise FFmpegError with ffmpeg's own words unless it ended well and made the file."""
    if status or not temporary.exists():
        raise FFmpegError(target, _reason(status, words))


def _reason(status: int, words: bytes) -> str:
    """The first and the last of ffmpeg's words, cause and consequence, or how it ended without any."""
    lines = [" ".join(line.split()) for line in words.decode("utf-8", "replace").splitlines()]
    messages = [re.sub(r"^\[[^]]+ @ 0x[0-9a-f]+\] ", "", line) for line in lines if line]
    if messages:
        return ": ".join(dict.fromkeys((messages[0], messages[-1])))
    return f"ended by {signal.Signals(-status).name}" if status < 0 else f"status {status} and no word"
