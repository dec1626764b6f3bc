"""What a film needs of ffmpeg, tried out while it is planned, on a few frames and a second of its very sound.

Encoders, filters and layouts of channels differ from build to build. What the last job cannot do is told
before the first one starts. A trial that went well is remembered, for as long as the ffmpeg stays the same.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from fractions import Fraction
from math import ceil
from pathlib import Path

import numpy as np

from songreel.drawing import film, sound
from songreel.ground import rates, stops
from songreel.ground.documents import (
    JOINING,
    ClipPlan,
    Shown,
    Sound,
    Timeline,
    TimelineClip,
    TimelineLine,
)
from songreel.ground.enlarging import Enlarging
from songreel.ground.errors import UserError
from songreel.ground.files import Document, identity, read_json, write_json_if_changed
from songreel.ground.lettering import ON_PICTURE
from songreel.ground.paths import Paths
from songreel.planning.audio import Audio
from songreel.planning.config import Config

FRAMES = 3
DRAWN = 8  # frames given to ffmpeg: motion interpolation looks ahead
SECONDS = 1  # of sound

_passed: dict[str, str] = {}  # in this process: the mix that each trial found


def check(
    config: Config, enlarging: Enlarging | None, audio: Audio | None, program: str, paths: Paths
) -> str:
    """Make a clip and a film; returns how the sound has to be mixed for a film, `""` if not at all.

    Raises UserError for what ffmpeg cannot make of these settings or of this sound.
    """
    ffmpeg = sound.fingerprint(program)
    trial = identity({"ffmpeg": ffmpeg, "settings": _settings(config, enlarging), "sound": _facts(audio)})
    known = {**_noted(paths, ffmpeg), **_passed}
    if trial not in known:
        known[trial] = _try(config, enlarging, audio, program)
        _note(paths, ffmpeg, trial, known[trial])
    _passed[trial] = known[trial]
    return known[trial]


def _settings(config: Config, enlarging: Enlarging | None) -> Document:
    size = [config.width, config.height]
    rate = rates.written(config.frames_per_second)
    known = {"size": size, "rate": rate, "encoder": config.encoder, "crf": config.crf} | _motion(config)
    known |= {"mixed": config.fps_blend} if config.fps_blend else {}
    larger = {"enlarging": asdict(enlarging)} if enlarging else {}
    return known | larger | ({"words": True} if config.lyrics in ON_PICTURE else {})


def _motion(config: Config) -> Document:
    """How fast frames are drawn where ffmpeg interpolates them."""
    motion = config.interpolation == "motion"
    return {"motion": config.keyframes_per_second if motion else None}


def _facts(audio: Audio | None) -> Document | None:
    return {"sha256": audio.sha256, "track": audio.track} if audio else None


def _noted(paths: Paths, ffmpeg: str) -> Mapping[str, str]:
    """The trials of this ffmpeg that went well before."""
    with suppress(UserError, OSError, LookupError, TypeError, AttributeError):
        noted = read_json(paths.trials())
        if noted["ffmpeg"] == ffmpeg:
            return {str(trial): str(mix) for trial, mix in noted["mixes"].items()}
    return {}


def _note(paths: Paths, ffmpeg: str, trial: str, mix: str) -> None:
    """Remember a trial, if that can be written; a plan that is only looked at makes no results folder."""
    if paths.root.is_dir():
        with suppress(OSError):
            noted = {**_noted(paths, ffmpeg), trial: mix}
            write_json_if_changed(paths.trials(), {"ffmpeg": ffmpeg, "mixes": noted})


def _try(config: Config, enlarging: Enlarging | None, audio: Audio | None, program: str) -> str:
    with (
        tempfile.TemporaryDirectory() as folder,
        stops.undoing(lambda: shutil.rmtree(folder, ignore_errors=True)),
    ):
        if enlarging and enlarging.upscaler:
            from songreel.drawing import upscaling  # and with it torch

            upscaling.read(Path(enlarging.upscaler.path))
        clip = Path(folder) / "trial.mp4"
        _make_clip(config, enlarging, clip, program)
        _make_film(config, clip, None, program)
        return _mix(config, clip, audio, program) if audio else ""


def _make_clip(config: Config, enlarging: Enlarging | None, clip: Path, program: str) -> None:
    drawing = ClipPlan.of(config, Shown("", FRAMES), enlarging=enlarging)
    size = config.film_size
    script = _words(config)
    frame = np.random.default_rng(0).integers(0, 256, (config.height, config.width, 3), dtype=np.uint8)
    try:
        film.encode([frame[None]] * DRAWN, drawing, size, clip, program, script)
    except film.FFmpegError as error:
        if script and _works_without(config, enlarging, clip, program):
            raise _wordless(config, error, program) from None
        filters = ", interpolation 'motion'" if drawing.interpolation == "motion" else ""
        filters += f", fps_blend {drawing.fps_blend}" if drawing.fps_blend else ""
        raise _incapable(
            f"the clips of this film (encoder {config.encoder!r}{filters}, {size[0]}x{size[1]})",
            error,
            program,
        ) from None


def _words(config: Config) -> bytes | None:
    """What is drawn on the clip."""
    if config.lyrics not in ON_PICTURE:
        return None
    from songreel.planning import lettering  # and with it fontTools: most films have no words on them

    return lettering.trial(config)


def _works_without(config: Config, enlarging: Enlarging | None, clip: Path, program: str) -> bool:
    """Whether it is the words alone that it cannot draw."""
    try:
        _make_clip(replace(config, lyrics="soft"), enlarging, clip, program)
    except UserError:
        return False
    return True


def _wordless(config: Config, error: film.FFmpegError, program: str) -> UserError:
    return UserError(
        f"config key 'lyrics': {config.lyrics!r} has words drawn on the picture, and {program} was tried and"
        f" cannot do that ({error.reason}), expected an ffmpeg with libass; leave the key 'ffmpeg' empty for"
        f" the one that comes with songreel, or write 'lyrics: soft'."
    )


def _make_film(config: Config, clip: Path, song: Sound | None, program: str) -> None:
    """Raises UserError when it cannot be joined even without sound, else FFmpegError."""
    copies = ceil(SECONDS * config.frames_per_second / FRAMES)
    timeline = _timeline(config, clip, copies, song)
    try:
        film.join(timeline, [clip] * copies, clip.with_name("film.mp4"), program)
    except film.FFmpegError as error:
        if song:
            raise
        raise _incapable("a film with subtitles and chapters of its clips", error, program) from None


def _timeline(config: Config, clip: Path, copies: int, song: Sound | None) -> Timeline:
    """A film of the clip, again and again."""
    seconds = float(copies * FRAMES / config.frames_per_second)
    return Timeline(
        recipe=JOINING,
        title="trial",
        artist="",
        frames_per_second=Fraction(config.frames_per_second),
        audio=song,
        clips=(TimelineClip(clip.stem, FRAMES),) * copies,
        lines=(TimelineLine("a trial", 0.0, seconds, ""),),
    )


def _mix(config: Config, clip: Path, audio: Audio, program: str) -> str:
    """The first mix of the sound that goes into a film."""
    failed: film.FFmpegError | None = None
    for mix in sound.mixes(audio.path, audio.track, program):
        try:
            _make_film(config, clip, audio.mixed(mix), program)
            return mix
        except film.FFmpegError as error:
            failed = failed or error
    assert failed is not None
    raise UserError(
        f"config key 'audio': ffmpeg ({program}) cannot put track {audio.track} of {str(audio.path)!r} into"
        f" a film ({failed.reason}), where sound was expected that it can encode as AAC; convert it to a WAV"
        f" or FLAC of two channels, or name another ffmpeg with the config key 'ffmpeg'."
    )


def _incapable(what: str, error: film.FFmpegError, program: str) -> UserError:
    return UserError(
        f"config key 'ffmpeg': {program} was tried and cannot make {what} ({error.reason}), expected an"
        f" ffmpeg that can; leave the key empty for the one that comes with songreel, or change 'encoder' or"
        f" 'interpolation'."
    )
