"""`songreel export`: a film's lyrics and chapters, and a timeline of its clips, for other programs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from songreel.exports import chapters, otio, out
from songreel.ground.paths import Paths
from songreel.planning.columns import Directions
from songreel.planning.dialects import Report
from songreel.planning.lyric_files import writing
from songreel.planning.lyric_files.song import Song
from songreel.planning.plan import Plan

LYRICS = {ending.removeprefix("."): ending for ending in writing.FORMATS if ending != ".csv"}
FORMATS = (*LYRICS, "chapters", "otio")


def export(kind: str, plan: Plan, paths: Paths, output: Path | None, force: bool, report: Report) -> Path:
    """Write what a film says, in one of FORMATS; returns the file. Raises UserError, OSError."""
    name = "chapters.txt" if kind == "chapters" else f"{plan.song}.{kind}"
    target = output or paths.export(plan.song, name)
    text = _text(kind, plan, paths)
    out.check_free(target, force)
    out.write(target, text)
    if kind == "otio" and (missing := sum(not paths.clip(clip).exists() for clip in plan.clips)):
        report(
            f"{target}: {missing} of its {len(plan.clips)} clips are not rendered yet; snakemake does that."
        )
    if kind in LYRICS and (lost := writing.loses(lyrics(plan), LYRICS[kind])):
        report(f"{target}: the format has no place for {lost}, which are not in it.")
    return target


def _text(kind: str, plan: Plan, paths: Paths) -> str:
    if kind == "otio":
        return otio.timeline(plan, paths)
    if kind == "chapters":
        end = plan.shots[-1].end_seconds
        return chapters.chapters(lyrics(plan).lines, plan.timeline.title, end, str(paths.film(plan.song)))
    song, ending = lyrics(plan), LYRICS[kind]
    if ending in writing.NEED_ENDS:
        song = writing.with_ends(song, plan.shots[-1].end_seconds)
    return writing.FORMATS[ending](song)


def lyrics(plan: Plan) -> Song:
    """What is sung in a film, at its times; not which take of a line is shown, nor what steers it."""
    lines = [
        replace(shot.line, take=None, directions=Directions())
        for shot in plan.shots
        if shot.line.end_seconds is None or shot.line.end_seconds > shot.line.start_seconds
    ]
    return Song(lines, plan.timeline.title, plan.timeline.artist)
