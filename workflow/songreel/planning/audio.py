"""The song itself: which file and track it is, what it hashes to, how long it sounds."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from math import inf
from pathlib import Path

from songreel.drawing import sound
from songreel.drawing.sound import Length
from songreel.ground import files
from songreel.ground.documents import Sound
from songreel.ground.errors import UserError
from songreel.ground.files import Document, read_json, write_json_if_changed
from songreel.ground.paths import Paths

# What is looked for beside a screenplay: what always was, any other audio, and then films that have sound.
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
AUDIO = re.compile(
    r"\.(wave?|w64|rf64|bwf|flac|mp[123]|mpga?|mpa|m4[abr]|aac|adts|og[ga]|opus|spx|wma|xwma|ai(f|ff|fc)|mka|webm|weba"
    r"|caf|au|snd|alac|ape|wv|tta|tak|shn|mpc|mlp|thd|e?ac3|ec3|dts|dtshd|amr|awb|3ga|ram?|dsf|dff|voc|gsm|mp4)"
)
FILMS = re.compile(
    r"\.(mov|qt|m4v|mkv|avi|divx|mpe?g|m2v|vob|ts|m?ts|m2ts|flv|f4v|wmv|asf|3gp|3g2|og[vx]|rm|rmvb|mxf|nut)"
)
TUNE = ".tune"  # a text of notes, which songreel once played
COUNTED = 3  # how seconds are counted, in notes of them; other notes are not trusted


@dataclass(frozen=True)
class Audio:
    """A song's audio."""

    path: Path
    sha256: str
    seconds: float
    track: int = 1
    tracks: tuple[str, ...] = ()  # what ffmpeg says of each
    late: bool = False  # whether it starts after the film

    def mixed(self, mix: str) -> Sound:
        """What a timeline says of it, when it has to be mixed so for a film."""
        return Sound(str(self.path), self.sha256, self.track, self.late, mix)


class NoTrackError(UserError):
    """The audio has no track of that number."""


def find(setting: str, track: int, screenplay: Path, program: str, paths: Paths) -> Audio | None:
    """The audio that the config key `audio` means: `auto`, `none` or a path.

    Raises UserError when a named file is missing or holds no such track, or `auto` finds more than one.
    """
    if setting == "none":
        return None
    source = _beside(screenplay) if setting == "auto" else _as_written(Path(setting))
    if source and source.suffix.lower() == TUNE:
        raise _no_longer_played(source, setting, paths)
    if source is None:
        return None
    if not source.is_file():
        raise UserError(
            f"config key 'audio': {str(source)!r} is not a file; expected an audio file, 'auto' for the one"
            f" beside the screenplay or 'none' for a silent film."
        )
    return _from_file(source, track, program, paths)


def described(audio: Audio | None, mix: str, setting: str, screenplay: Path) -> str:
    """What is heard, in words: the file, its track and its length, or why there is none."""
    if audio is None and setting == "none":
        return "none, as the config key 'audio' says"
    if audio is None:
        return f"none, since no audio named {screenplay.stem!r} lies beside {str(screenplay)!r}"
    about = f" ({audio.tracks[audio.track - 1]})" if audio.tracks else ""
    mixed = ", mixed down to what a film can hold" if mix else ""
    track = f"track {audio.track} of {max(len(audio.tracks), 1)}{about}"
    return f"{str(audio.path)!r}, {track}, {_minutes_and_seconds(audio.seconds)}{mixed}"


def _minutes_and_seconds(seconds: float) -> str:
    minutes, rest = divmod(round(seconds * 1000), 60_000)
    return f"{minutes}:{rest / 1000:06.3f}"


# Which file


def _beside(screenplay: Path) -> Path | None:
    """The audio named like a screenplay, or None.

    Names count as equal in any Unicode form, endings in any case. One that was always found wins over one
    that is found since, sound over films, and the very name over one with other capitals.
    """
    for same_name in (_form, lambda name: _form(name).casefold()):
        named = _named_like(screenplay, same_name)
        always = [path for path in named if path.name in _names_always_found(screenplay)]
        kinds = ([path for path in named if kind.fullmatch(path.suffix.lower())] for kind in (AUDIO, FILMS))
        for paths in (always, *kinds):
            if paths:
                return _only(paths, screenplay)
    # To be refused in a sentence, not to be played.
    return next((path for path in named if path.suffix.lower() == TUNE), None)


def _names_always_found(screenplay: Path) -> tuple[str, ...]:
    return tuple(screenplay.stem + suffix for suffix in SUFFIXES)


def _named_like(screenplay: Path, same_name: Callable[[str], str]) -> list[Path]:
    """What lies beside a screenplay, is no folder and has its name, whatever comes after the last dot."""
    wanted = same_name(screenplay.stem)
    try:
        names = sorted(os.listdir(screenplay.parent))  # noqa: PTH208
    except FileNotFoundError:
        return []
    alike = (screenplay.with_name(name) for name in names if same_name(Path(name).stem) == wanted)
    return [path for path in alike if not path.is_dir()]


def _only(paths: list[Path], screenplay: Path) -> Path:
    if len(paths) > 1:
        names = ", ".join(repr(path.name) for path in sorted(paths, key=_rank))
        raise UserError(
            f"{screenplay}: {names} lie beside the screenplay where one audio file was expected;"
            f" name the right one with the config key 'audio'."
        )
    return paths[0]


def _rank(path: Path) -> tuple[int, str]:
    suffix = path.suffix.lower()
    return SUFFIXES.index(suffix) if suffix in SUFFIXES else len(SUFFIXES), path.name


def _no_longer_played(tune: Path, setting: str, paths: Paths) -> UserError:
    """What is said of a text of notes: the sound that was made of it, if it is there, can take its place."""
    sound, target = _played_before(tune, paths), str(tune.with_suffix(".wav"))
    give = f"move {str(sound)!r}, the sound that was made of it, to" if sound else "save one as"
    name = "" if setting == "auto" else " and name that with the config key 'audio'"
    return UserError(
        f"{tune}: found a tune, which songreel no longer plays, expected an audio file;"
        f" {give} {target!r}{name}."
    )


def _played_before(tune: Path, paths: Paths) -> Path | None:
    """The sound that songreel made of a tune when it played them, named by a hash of the notes."""
    with suppress(OSError):
        digest = hashlib.sha256(b"1\n" + files.read_bytes(tune)).hexdigest()
        sound, *_ = paths.tunes(digest[:16])
        return sound if sound.is_file() else None
    return None


def _as_written(path: Path) -> Path:
    """The path, or the one file in its folder that has its name in another Unicode form."""
    if path.exists():
        return path
    with suppress(RuntimeError):  # nobody has such a home
        path = path.expanduser()
    with suppress(OSError):
        alike = [name for name in os.listdir(path.parent) if _form(name) == _form(path.name)]  # noqa: PTH208
        if len(alike) == 1:
            return path.with_name(alike[0])
    return path


def _form(name: str) -> str:
    return unicodedata.normalize("NFC", name)


# What it hashes to, and how long it is


def _from_file(source: Path, track: int, program: str, paths: Paths) -> Audio:
    digest = _digest(source)
    facts = paths.audio_facts(digest)
    head = {"sha256": digest, "counted": COUNTED, "ffmpeg": sound.fingerprint(program)}
    tracks, lengths = _noted(facts, head)
    tracks = tracks or sound.tracks(source, program)
    _check_track(track, tracks, source)
    if track not in lengths:
        lengths[track] = sound.length(source, track, program)
        _note(facts, {**head, "tracks": list(tracks)}, lengths, paths)
    length = lengths[track]
    return Audio(source, digest, length.seconds, track=track, tracks=tracks, late=length.late)


def _digest(source: Path) -> str:
    try:
        return files.sha256(source)
    except OSError as error:
        raise UserError(
            f"config key 'audio': {str(source)!r} cannot be read ({error.strerror});"
            f" expected a readable audio file."
        ) from None


def _check_track(track: int, tracks: tuple[str, ...], source: Path) -> None:
    if track > len(tracks):
        listed = "; ".join(f"{number}: {about}" for number, about in enumerate(tracks, 1))
        raise NoTrackError(
            f"config key 'audio_track': found {track}, expected one of the tracks of {str(source)!r}"
            f" ({listed}); correct it."
        )


def _note(facts: Path, head: Document, lengths: Mapping[int, Length], paths: Paths) -> None:
    """Remember what was counted, if that can be written; a plan that is only looked at makes no folder."""
    if paths.root.is_dir():
        with suppress(OSError):
            noted = {str(number): asdict(length) for number, length in lengths.items()}
            write_json_if_changed(facts, {**head, "lengths": noted})


def _noted(facts: Path, head: Document) -> tuple[tuple[str, ...], dict[int, Length]]:
    """The tracks and the lengths that were counted before, in this way and by this ffmpeg, if any."""
    with suppress(UserError, OSError, LookupError, TypeError, ValueError, AttributeError):
        noted = read_json(facts)
        if head.items() <= noted.items():
            lengths = {int(track): Length(**length) for track, length in noted["lengths"].items()}
            if all(0 < length.seconds < inf for length in lengths.values()):
                return tuple(map(str, noted["tracks"])), lengths
    return (), {}
