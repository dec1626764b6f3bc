"""`songreel export`: a film's pictures, for other programs: frames, loops, a contact sheet, a thumbnail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
# How Pillow saves a sheet or a thumbnail, by the ending of its name.
SAVED: Mapping[str, Mapping[str, Any]] = {
    ".png": {"format": "PNG"},
    ".jpg": {"format": "JPEG", "quality": 92},
    ".jpeg": {"format": "JPEG", "quality": 92},
    ".webp": {"format": "WEBP", "quality": 92},
}
THUMBNAIL = 1280  # pixels of its longer side, as video sites want it


def asked(
    kind: str,
    lines: tuple[int, int] | None,
    between: Sequence[float] | None,
    at: float | None,
    size: int | None,
) -> Asked:
    """What is asked of a format. Raises UserError where it has no place for that."""
    for name, value in (("lines", lines), ("between", between), ("at", at), ("size", size)):
        if value is not None and name not in FORMATS.get(kind, ()):
            option = {"lines": "line"}.get(name, name)
            takes = [one for one, names in FORMATS.items() if name in names]
            raise UserError(
                f"--{option}: found it with {kind!r}, expected it with {' or '.join(takes)}; leave it out."
            )
    if kind == "thumbnail" and lines and lines[0] != lines[1]:
        raise UserError(
            f"--line: found {lines[0]}-{lines[1]}, expected one line for a thumbnail; name one of them."
        )
    return Asked(lines, (between[0], between[1]) if between else None, at, size)


def export(
    kind: str,
    asked: Asked,
    plan: Plan,
    config: Config,
    paths: Paths,
    output: Path | None,
    force: bool,
    report: Report,
) -> Path:
    """Write pictures of a film, of one of FORMATS; returns the file or folder. Raises UserError, OSError."""
    film = footage.of(plan, paths, drawing.executable(config.ffmpeg))
    if kind == "frames":
        return _frames(film, asked, plan, output or paths.export(plan.song, "frames"), force)
    if kind in loops.FASTEST:
        return _loop(kind, film, asked, plan, output, paths, force)
    name = "sheet.png" if kind == "sheet" else "thumbnail.jpg"
    target = output or paths.export(plan.song, name)
    how = _saving(target)
    out.check_free(target, force)
    if kind == "sheet":
        picture = sheets.draw(film, plan, config, asked.size, report)
    else:
        picture = _thumbnail(film, asked, plan)
    _save(picture, target, how)
    return target


def _frames(film: Footage, asked: Asked, plan: Plan, folder: Path, force: bool) -> Path:
    span = spans.of(asked, plan)
    size = footage.fitted(film.size, asked.size) if asked.size else film.size
    frames.write(film, span, size, folder, force)
    return folder


def _loop(
    kind: str, film: Footage, asked: Asked, plan: Plan, output: Path | None, paths: Paths, force: bool
) -> Path:
    span = spans.of(asked, plan)
    target = output or paths.export(plan.song, f"{plan.song}{span.name}.{kind}")
    out.check_free(target, force)
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


def _saving(target: Path) -> Mapping[str, Any]:
    ending = target.suffix.lower()
    if ending not in SAVED:
        raise UserError(
            f"{target}: found the ending {ending!r}, expected one of {', '.join(SAVED)}; name the file so."
        )
    return SAVED[ending]


def _save(picture: Frame, target: Path, how: Mapping[str, Any]) -> None:
    with replacing(target) as temporary:
        Image.fromarray(picture).save(temporary, **how)
