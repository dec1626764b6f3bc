"""A film as an editor's timeline: clips in order and the song, by path, in OpenTimelineIO's JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from songreel.ground.errors import UserError
from songreel.ground.paths import Paths
from songreel.planning.plan import Plan

if TYPE_CHECKING:
    import opentimelineio


def timeline(plan: Plan, paths: Paths) -> str:
    """The timeline as JSON; a clip is named by its line's words. Raises UserError without the package."""
    try:
        import opentimelineio as otio
    except ImportError:
        raise UserError(
            "songreel export otio: found no OpenTimelineIO, expected the package; install it with:"
            " pip install 'songreel[otio]'"
        ) from None
    made = otio.schema.Timeline(name=plan.timeline.title)
    made.tracks.append(_pictures(plan, paths, otio))
    if plan.timeline.audio:
        made.tracks.append(_sound(plan, otio))
    text: str = made.to_json_string(indent=2)
    return text + "\n"


def _pictures(plan: Plan, paths: Paths, otio: opentimelineio) -> opentimelineio.schema.Track:
    rate = float(plan.timeline.frames_per_second)
    track = otio.schema.Track(name="pictures", kind=otio.schema.TrackKind.Video)
    for entry, line in zip(plan.timeline.clips, plan.timeline.lines, strict=True):
        span = _span(entry.frames, rate, otio)
        media = otio.schema.ExternalReference(paths.clip(entry.clip).absolute().as_uri(), span)
        name = " ".join(line.text.split())
        line_says = {"text": line.text, "start_seconds": line.start_seconds, "end_seconds": line.end_seconds}
        track.append(otio.schema.Clip(name, media, span, metadata={"songreel": line_says}))
    return track


def _sound(plan: Plan, otio: opentimelineio) -> opentimelineio.schema.Track:
    from pathlib import Path

    sound = plan.timeline.audio
    assert sound is not None
    frames = sum(entry.frames for entry in plan.timeline.clips)
    span = _span(frames, float(plan.timeline.frames_per_second), otio)
    track = otio.schema.Track(name="song", kind=otio.schema.TrackKind.Audio)
    path = Path(sound.path)
    media = otio.schema.ExternalReference(path.absolute().as_uri(), span)
    track.append(otio.schema.Clip(path.name, media, span))
    return track


def _span(frames: int, rate: float, otio: opentimelineio) -> opentimelineio.opentime.TimeRange:
    return otio.opentime.TimeRange(
        otio.opentime.RationalTime(0, rate), otio.opentime.RationalTime(frames, rate)
    )
