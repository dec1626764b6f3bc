"""`songreel export`: a film's pictures, for other programs: frames, loops, a contact sheet, a thumbnail."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from songreel.drawing import film as drawing
from songreel.exports import footage, frames, loops, out, sheets, spans, thumbnails
from songreel.exports.footage import Footage, Frame
from songreel.exports.spans import Asked
from songreel.ground.errors import UserError
from songreel.ground.files import replacing
from songreel.ground.paths import Paths
from songreel.planning.config import Config
from songreel.planning.dialects import Report
from songreel.planning.plan import Plan

# What each takes of what may be asked.
FORMATS: Mapping[str, tuple[str, ...]] = {
    "frames": ("lines", "between", "size"),
    "gif": ("lines", "between", "size"),
    "webp": ("lines", "between", "size"),
    "sheet": ("size",),
    "thumbnail": ("lines", "at", "size"),
}
OPTIONS = {"lines": "--line", "between": "--between", "at": "--at", "size": "--size"}
NAMES = {"sheet": "sheet.png", "thumbnail": "thumbnail.jpg"}
# How Pillow saves a sheet or a thumbnail, by the ending of its name.
SAVED: Mapping[str, Mapping[str, Any]] = {
    ".png": {"format": "PNG"},
    ".jpg": {"format": "JPEG", "quality": 92},
    ".jpeg": {"format": "JPEG", "quality": 92},
    ".webp": {"format": "WEBP", "quality": 92},
}
THUMBNAIL = 1280  # pixels of its longer side, as video sites want it


def check(asked: Asked) -> None:
    """Raise UserError where more is asked of a format than it has a place for."""
    for name, option in OPTIONS.items():
        if getattr(asked, name) is not None and name not in FORMATS.get(asked.kind, ()):
            takes = [kind for kind, names in FORMATS.items() if name in names]
            raise UserError(
                f"{option}: found it with {asked.kind!r}, expected it with {' or '.join(takes)}; leave it"
                f" out."
            )
    if asked.kind == "thumbnail" and asked.lines and asked.lines[0] != asked.lines[1]:
        raise UserError(
            f"--line: found {asked.lines[0]}-{asked.lines[1]}, expected one line for a thumbnail; name one of"
            f" them."
        )


def export(asked: Asked, plan: Plan, config: Config, paths: Paths, report: Report) -> Path:
    """Write pictures of a film; returns the file or folder. Raises UserError, OSError."""
    film = footage.of(plan, paths, drawing.executable(config.ffmpeg))
    if asked.kind == "frames":
        return _frames(film, asked, plan, paths)
    if asked.kind in loops.FASTEST:
        return _loop(film, asked, plan, paths)
    target = asked.output or paths.export(plan.song, NAMES[asked.kind])
    _check_ending(target, SAVED)
    out.check_free(target, asked.force)
    if asked.kind == "sheet":
        picture = sheets.draw(film, plan, config, asked.size, report)
    else:
        picture = _thumbnail(film, asked, plan)
    with replacing(target) as temporary:
        Image.fromarray(picture).save(temporary, **SAVED[target.suffix.lower()])
    return target


def _frames(film: Footage, asked: Asked, plan: Plan, paths: Paths) -> Path:
    folder = asked.output or paths.export(plan.song, "frames")
    size = footage.fitted(film.size, asked.size) if asked.size else film.size
    frames.write(film, spans.of(asked, plan), size, folder, asked.force)
    return folder


def _loop(film: Footage, asked: Asked, plan: Plan, paths: Paths) -> Path:
    kind, span = asked.kind, spans.of(asked, plan)
    target = asked.output or paths.export(plan.song, f"{plan.song}{span.name}.{kind}")
    _check_ending(target, (f".{kind}",))
    out.check_free(target, asked.force)
    if asked.lines:
        span = loops.without_blend(span, asked.lines[0], plan)
    size = footage.fitted(film.size, asked.size or loops.LONGEST_SIDE[kind])
    loops.write(film, span, size, kind, target)
    return target


def _thumbnail(film: Footage, asked: Asked, plan: Plan) -> Frame:
    if asked.at is not None:
        frame = min(spans.frame_at(asked.at, "--at", plan), film.frames - 1)
    elif asked.lines:
        frame = spans.middle_of(asked.lines[0], plan)
    else:
        frame = thumbnails.choose(film, plan)
    return film.still(frame, footage.fitted(film.size, asked.size or THUMBNAIL, larger=True))


def _check_ending(target: Path, endings: Collection[str]) -> None:
    ending = target.suffix.lower()
    if ending not in endings:
        expected = f"one of {', '.join(endings)}" if len(endings) > 1 else "".join(endings)
        raise UserError(f"{target}: found the ending {ending!r}, expected {expected}; name the file so.")
