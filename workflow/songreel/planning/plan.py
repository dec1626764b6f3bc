"""From a screenplay to ids: what to optimise, what to draw, what to join.

A segment is named by a hash of its recipe and knows no time; a clip is named by its segment, the one before
it and how it is drawn. So whatever an edit leaves as it was has the name it had, and is found on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

from songreel.drawing import film
from songreel.ground.documents import (
    JOINING,
    ClipPlan,
    SegmentRecipe,
    Shown,
    Sound,
    Timeline,
    TimelineClip,
    TimelineLine,
)
from songreel.ground.enlarging import Enlarging
from songreel.ground.errors import UserError
from songreel.ground.files import write_if_changed, write_json_if_changed
from songreel.ground.lettering import ON_PICTURE, Lettering
from songreel.ground.messages import say, shorten
from songreel.ground.paths import Paths, latents_file
from songreel.planning import (
    audio,
    beginnings,
    enlarging,
    gallery,
    listening,
    owners,
    recipes,
    screenplay,
    starts,
    timeline,
    trial,
)
from songreel.planning.choices import Choice, Request
from songreel.planning.config import Config
from songreel.planning.gallery import Hung
from songreel.planning.lengths import STEP as STEP
from songreel.planning.lengths import in_steps
from songreel.planning.lengths import keyframes_for as keyframes_for
from songreel.planning.screenplay import Line
from songreel.planning.timeline import Shot

MOST_NAMED = 20  # lines that an offset left out


@dataclass(frozen=True)
class Plan:
    """Everything that a film needs, by name. The documents are what the plan files say."""

    song: str  # the film's folder
    screenplay: str  # where it lies, seen from the results
    segments: Mapping[str, SegmentRecipe]
    clips: Mapping[str, ClipPlan]
    timeline: Timeline
    needs: Mapping[str, int]  # keyframes, by segment
    sound: str  # what is heard, in words
    fonts: Mapping[str, Path] = field(default_factory=dict)  # that words are drawn with, by their sha256
    notes: tuple[str, ...] = ()  # what is not as the user may think, a sentence each
    # What the lines' pictures are chosen by; None where they start from the canvas.
    album: Request | None = None
    starts: tuple[Choice, ...] = ()  # the picture of each line that starts from one of the album
    began: tuple[str | None, ...] = ()  # the name of the picture that each line starts from
    pictures: Mapping[str, Hung] = field(default_factory=dict)  # that it names, by what they show
    # The lines, with all that their file says of them; no document is made of it.
    shots: tuple[Shot, ...] = field(default=(), compare=False)


def make(config: Config, paths: Paths) -> Plan:
    """Plan a film from the screenplay, the audio and the weights' hashes, once ffmpeg was tried out.

    Raises UserError for what is wrong with any of them.
    """
    notes: list[str] = []
    song = screenplay.read_song(config.screenplay, notes.append)
    config = replace(config, title=config.title or song.title, artist=config.artist or song.artist)
    over, lines = timeline.moved(song.lines, config.offset)
    ffmpeg, larger = film.working(config.ffmpeg), enlarging.of(config)
    # A clip is named by the encoder that draws it, not by how that was found.
    config = replace(config, encoder=film.encoder(config.encoder, config.film_size, ffmpeg))
    sound = audio.find(config.audio, config.audio_track, config.screenplay, ffmpeg, paths)
    shots = _shots(lines, sound, config)
    folder = owners.folder(config.screenplay, paths)
    if elsewhere := owners.note(config.screenplay, folder, paths):
        notes.append(elsewhere)
    notes += _of_times(lines, shots, sound, config)
    heard = listening.of(shots, config, sound, ffmpeg, paths)
    script = recipes.of(shots, config, folder, paths, notes.append, heard)
    segments = [recipe.id for recipe in script.recipes]
    letters, fonts = _lettered(shots, config, notes.append)
    clips = _clips(shots, segments, script.chained, letters, larger, config)
    mix = trial.check(config, larger, sound, ffmpeg, paths)
    return Plan(
        song=folder,
        screenplay=owners.place(config.screenplay, paths),
        segments=dict(zip(segments, script.recipes, strict=True)),
        clips={clip.id: clip for clip in clips},
        timeline=_timeline(shots, segments, clips, sound.mixed(mix) if sound else None, config),
        needs=_needs(clips, script.recipes, config),
        sound=audio.described(sound, mix, config.audio, config.screenplay) + _left_out(over),
        fonts=fonts,
        notes=tuple(notes),
        album=script.album,
        starts=script.chosen,
        began=script.began,
        pictures=script.pictures,
        shots=shots,
    )


def _shots(lines: Sequence[Line], sound: audio.Audio | None, config: Config) -> tuple[Shot, ...]:
    end = timeline.end_seconds(lines, config.tail, sound.seconds if sound else None)
    if shots := timeline.shots(lines, config.frames_per_second, end):
        return shots
    raise UserError(
        f"{config.screenplay}: the film would have no frames; expected a second line, audio, or a config"
        f" key 'tail' above 0."
    )


def _of_times(
    lines: Sequence[Line], shots: Sequence[Shot], sound: audio.Audio | None, config: Config
) -> Iterator[str]:
    """What is odd about the lines' times."""
    if short := timeline.too_short(lines, shots, config.tail):
        yield f"{config.screenplay}: {short}"
    if sound and (silent := timeline.silent(shots, sound.seconds)):
        yield f"{config.screenplay}: {silent}"


def write(plan: Plan, paths: Paths) -> None:
    """Write the plan files that are not there yet or say something else.

    What a power cut spoils of them, of which there may be thousands, says something else at the next start.
    """
    gallery.keep(plan.pictures, paths)
    for segment, recipe in plan.segments.items():
        write_json_if_changed(paths.segment_plan(segment), recipe.to_json(), lasting=False)
    for clip, drawing in plan.clips.items():
        write_json_if_changed(paths.clip_plan(clip), drawing.to_json(), lasting=False)
    _write_fonts(plan.fonts, paths)
    write_json_if_changed(paths.owner(plan.song), {"screenplay": plan.screenplay})
    write_json_if_changed(paths.timeline(plan.song), plan.timeline.to_json(), lasting=False)
    if plan.album:
        remembered = starts.remembered(plan.album, plan.starts)
        write_json_if_changed(paths.starts_of(plan.song), remembered, lasting=False)


def _write_fonts(fonts: Mapping[str, Path], paths: Paths) -> None:
    if fonts:
        from songreel.planning import lettering

        for file, content in lettering.copies(fonts, paths.font):
            write_if_changed(file, content)


def latents_of(clip: ClipPlan, needs: Mapping[str, int], paths: Paths) -> list[Path]:
    """The latents that a clip is drawn from: its own segment's, and those of the one before it, if any.

    A file that is already long enough serves; else it is the one to render, long enough for the whole film.
    A job on another machine knows no `needs`, but by then the files are there.
    """
    return [_latents_file(part.segment, need, needs, paths) for part, need in sources(clip)]


def settle_starts(plan: Plan, segments: Iterable[str], paths: Paths) -> None:
    """Have the pictures there that these segments start from. Raises UserError where that cannot be."""
    gallery.keep(plan.pictures, paths)
    wanted = {start for segment in segments if (start := plan.segments[segment].start)} - set(plan.pictures)
    if not plan.album or all(paths.start(start).is_file() for start in wanted):
        return
    say("making the pictures again that lines start from.")
    starts.run(plan.album, paths)
    for start in sorted(wanted):
        if not paths.start(start).is_file():  # another machine may round a picture of the starter's otherwise
            raise UserError(
                f"{paths.start(start)}: found that this picture cannot be made again as it was; run the same"
                f" command again, which chooses anew."
            )


def latents_before(segment: str, recipe: SegmentRecipe, needs: Mapping[str, int], paths: Paths) -> list[Path]:
    """The latents that a segment goes on from: none where it has a start of its own, or has begun."""
    before = recipe.previous
    if before is None or paths.rendered(segment):
        return []
    return [_latents_file(before.segment, before.keyframes, needs, paths)]


def missing_latents(plan: Plan, paths: Paths) -> dict[str, int]:
    """The segments that are to be rendered for clips not drawn yet, and to how many keyframes."""
    to_draw = (drawing for clip, drawing in plan.clips.items() if not paths.clip(clip).exists())
    parts = (part for drawing in to_draw for part in sources(drawing))
    missing = {
        part.segment: max(need, plan.needs[part.segment])
        for part, need in parts
        if not latents_file(part.segment, need, paths)
    }
    chained = beginnings.needed(plan.segments, missing, paths)
    return {segment: max(need, plan.needs[segment]) for segment, need in chained.items()}


def _latents_file(segment: str, need: int, needs: Mapping[str, int], paths: Paths) -> Path:
    long_enough = latents_file(segment, need, paths)
    return long_enough or paths.latents(segment, max(need, needs.get(segment, 0)))


def sources(clip: ClipPlan) -> Iterator[tuple[Shown, int]]:
    """The parts that a clip is drawn from, each with the keyframes needed of it."""
    yield clip.shown, keyframes_for(clip.shown.frames, clip)
    if clip.before:
        yield clip.before, keyframes_for(clip.before.frames + clip.blend_frames, clip)


def _lettered(
    shots: Sequence[Shot], config: Config, report: Callable[[str], None]
) -> tuple[Sequence[Lettering | None], Mapping[str, Path]]:
    """The words on each shot's picture, if any, and the files of their fonts by their sha256."""
    if config.lyrics not in ON_PICTURE:
        return (None,) * len(shots), {}
    # With it comes fontTools: most films have no words on them.
    from songreel.planning import lettering

    drawn = lettering.made(shots, config, report)
    return drawn.of_clips, drawn.fonts


def _clips(
    shots: Sequence[Shot],
    segments: Sequence[str],
    chained: Sequence[bool],
    letters: Sequence[Lettering | None],
    larger: Enlarging | None,
    config: Config,
) -> list[ClipPlan]:
    """What to draw for each shot. One that goes on where the one before ends has no seam to blend."""
    parts = [Shown(segment, shot.frames) for segment, shot in zip(segments, shots, strict=True)]
    transition = round(config.transition * config.frames_per_second)  # frames
    befores = [None, *parts] if transition else [None] * len(parts)
    return [
        ClipPlan.of(config, shown, before, min(transition, shown.frames) if before else 0, words, larger)
        for before, shown, words in (
            (None if goes_on else before, shown, words)
            for before, shown, goes_on, words in zip(befores, parts, chained, letters, strict=False)
        )
    ]


def _needs(clips: Sequence[ClipPlan], optimised: Sequence[SegmentRecipe], config: Config) -> dict[str, int]:
    """Keyframes by segment: each line is rendered past its end, by the transition into the next."""
    transition = round(config.transition * config.frames_per_second)  # frames
    needs: dict[str, int] = {}
    for clip in clips:
        need = keyframes_for(clip.shown.frames + transition, clip)
        needs[clip.shown.segment] = max(need, needs.get(clip.shown.segment, 0))
    for before in (recipe.previous for recipe in optimised):
        if before:
            needs[before.segment] = max(in_steps(before.keyframes), needs[before.segment])
    return needs


def _left_out(lines: Sequence[Line]) -> str:
    """What is said of lines that an offset put before the beginning."""
    named = ", ".join(f"row {line.row} {shorten(line.text)}" for line in lines[:MOST_NAMED])
    more = f" and {len(lines) - MOST_NAMED} more" if len(lines) > MOST_NAMED else ""
    return (
        f"; by the config key 'offset' it begins after these lines, left out: {named}{more}" if lines else ""
    )


def _timeline(
    shots: Sequence[Shot],
    segments: Sequence[str],
    clips: Sequence[ClipPlan],
    sound: Sound | None,
    config: Config,
) -> Timeline:
    """What to join."""
    return Timeline(
        recipe=JOINING,
        title=config.title or config.screenplay.stem,
        artist=config.artist,
        frames_per_second=Fraction(config.frames_per_second),
        audio=sound,
        clips=tuple(TimelineClip(clip.id, clip.shown.frames) for clip in clips),
        lines=tuple(
            TimelineLine(
                shot.line.text, shot.line.start_seconds, shot.end_seconds, segment, shot.line.end_seconds
            )
            for shot, segment in zip(shots, segments, strict=True)
        ),
        subtitles=config.lyrics == "soft",
    )
