"""A film and its lines as they are now, from what its plan says and its jobs have kept.

Whatever is missing, damaged or being written is told as missing. Nothing slow is read: no latents, no clip.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import accumulate
from pathlib import Path

from songreel.drawing import joined, strips, waveform
from songreel.ground import files, rates
from songreel.ground.documents import Timeline, TimelineLine
from songreel.ground.errors import DamageError, UserError
from songreel.ground.files import read_json
from songreel.ground.paths import Paths
from songreel.jobs import envelopes, locks, scores
from songreel.jobs.scores import Score
from songreel.storyboard import following, outline, weakest
from songreel.storyboard.facts import Line, State, Storyboard
from songreel.storyboard.outline import Outline, OutlineLine

MOST_PICTURES = 1500  # of all lines, 2.7 kB each in a page
SILENT_SECONDS = 120.0  # without a heartbeat, until a job on another machine is told as stopped
_SCORE = re.compile(r"([0-9a-f]{16})-([0-9]+)\.safetensors")

Kept = Mapping[str, Sequence[int]]  # of which numbers of keyframes each segment has a score, fewest first


def of(song: str, paths: Paths) -> Storyboard:
    """All that is known of a song's film. Raises UserError when there is no plan of it."""
    timeline, plan = outline.read(song, paths)
    kept = _kept_scores(paths)
    known = [
        score(entry.segment, line.keyframes, kept, paths)
        for entry, line in zip(timeline.lines, plan.lines, strict=True)
    ]
    film = _film(song, timeline, paths)
    return Storyboard(
        title=timeline.title,
        artist=timeline.artist,
        song=song,
        screenplay=plan.screenplay,
        film=film,
        finished=film is not None,
        width=plan.size[0],
        height=plan.size[1],
        rate=str(rates.written(timeline.frames_per_second)),
        frames=sum(clip.frames for clip in timeline.clips),
        seconds=float(timeline.seconds),
        waveform=_waveform(timeline, paths),
        lines=tuple(_lines(song, timeline, plan, known, paths)),
        elsewhere=_in_report(paths.film(song)) if film else None,
        notes=tuple(_notes(song, timeline, known, paths)),
    )


def _film(song: str, timeline: Timeline, paths: Paths) -> str | None:
    """The film as the page names it, if it is there and the plan's."""
    film = paths.film(song)
    with suppress(DamageError, OSError):
        if film.is_file() and not joined.is_older(film, timeline):
            return film.name
    return None


def _in_report(film: Path) -> str:
    """Where Snakemake's report has the film, seen from where it has the page: by a hash of its path."""
    return f"../{hashlib.sha256(str(film).encode()).hexdigest()[:16]}/{film.name}"


def _waveform(timeline: Timeline, paths: Paths) -> tuple[tuple[float, float], ...]:
    if timeline.audio is None:
        return ()
    seconds = float(timeline.seconds)
    peaks = waveform.load(paths.peaks(timeline.audio.sha256, timeline.audio.track), seconds)
    return () if peaks is None else waveform.columns(peaks, seconds)


def _notes(song: str, timeline: Timeline, known: Sequence[Score | None], paths: Paths) -> Iterator[str]:
    """What is missing and may be asked about."""
    rows = zip(timeline.lines, known, strict=True)
    unseen = sum(
        bool(paths.rendered(line.segment)) and (score is None or not score.judged) for line, score in rows
    )
    if unseen:
        are = "line was" if unseen == 1 else "lines were"
        command = f"songreel storyboard {shlex.quote(str(paths.timeline(song)))} --measure"
        yield f"{unseen} {are} rendered when nobody looked how the pictures follow the words; {command} does."


# Lines


def _lines(
    song: str, timeline: Timeline, plan: Outline, known: Sequence[Score | None], paths: Paths
) -> Iterator[Line]:
    words = [_words(entry, line) for entry, line in zip(timeline.lines, plan.lines, strict=True)]
    follows = following.measured(known, words)
    weak = weakest.told(plan, words, follows)
    cached, firsts = _cached(song, paths), [0, *accumulate(clip.frames for clip in timeline.clips)]
    pictures = max(1, min(strips.MOST, MOST_PICTURES // len(plan.lines)))
    for at, (entry, line, clip) in enumerate(zip(timeline.lines, plan.lines, timeline.clips, strict=True)):
        score, follow = known[at], follows[at]
        drawn, state = paths.clip(clip.clip), _state(entry.segment, clip.clip, cached, paths)
        yield Line(
            number=at + 1,
            row=line.row,
            text=entry.text,
            prompt=line.prompt,
            style=line.style,
            take=line.take,
            start_seconds=entry.start_seconds,
            end_seconds=entry.end_seconds,
            first_frame=firsts[at],
            frames=clip.frames,
            segment=entry.segment,
            clip=os.path.relpath(drawn, paths.root / song) if drawn.exists() else None,
            state=state,
            keyframes=min(_keyframes(entry.segment, paths), line.keyframes),
            keyframes_needed=line.keyframes,
            losses=tuple(round(float(loss), 4) for loss in score.losses) if score else (),
            cosine=follow.cosine if follow else None,
            rank=follow.rank if follow else None,
            out_of=follow.out_of if follow else 0,
            seconds_taken=score.seconds if score else None,
            weak=weak[at],
            strip=_strip(clip.clip, pictures, paths),
            start_from=line.start_from,
        )


def _words(entry: TimelineLine, line: OutlineLine) -> str:
    """What tells the words of a line from others'."""
    return "\n".join((line.prompt or entry.text, line.style))


def _strip(clip: str, count: int, paths: Paths) -> tuple[str, ...]:
    """So many of a clip's pictures, evenly spaced."""
    kept = strips.load(paths.strip(clip)) or () if paths.clip(clip).exists() else ()
    if len(kept) <= count:
        return kept
    return tuple(kept[(2 * part + 1) * len(kept) // (2 * count)] for part in range(count))


def _cached(song: str, paths: Paths) -> set[str]:
    """The clips that were there when the last run began."""
    with suppress(UserError, OSError, LookupError, TypeError):
        return set(read_json(paths.run(song))["cached"])
    return set()


def _state(segment: str, clip: str, cached: set[str], paths: Paths) -> State:
    if paths.clip(clip).exists():
        return "cached" if clip in cached else "done"
    return "running" if _is_running(segment, paths) else "waiting"


def _is_running(segment: str, paths: Paths) -> bool:
    """Whether a job is at a segment's keyframes. One on another machine is known by its heartbeat alone."""
    work = paths.work(segment)
    if not work.is_dir() or not locks.in_use(work):
        return False
    with suppress(OSError):
        beats = [owner.stat().st_mtime for owner in work.glob(f"*/{locks.OWNER}")]
        return bool(beats) and time.time() - max(beats) < SILENT_SECONDS
    return False


def _keyframes(segment: str, paths: Paths) -> int:
    """How many keyframes of a segment are there, those included that a job has kept so far."""
    rendered = max(paths.rendered(segment), default=0)
    kept = locks.kept(paths.work(segment))
    return max(rendered, _counted(kept)) if kept else rendered


def _counted(kept: Path) -> int:
    with suppress(Exception):  # one that is damaged, or replaced just now, can raise any
        entries = envelopes.unpacked(files.read_bytes(kept))
        return int(envelopes.document(entries, "tokens/zarr.json")["shape"][0])
    return 0


# Scores


def _kept_scores(paths: Paths) -> Kept:
    found: dict[str, list[int]] = {}
    with suppress(OSError):
        for name in os.listdir(paths.score("any", 0).parent):  # noqa: PTH208
            if match := _SCORE.fullmatch(name):
                found.setdefault(match[1], []).append(int(match[2]))
    return {segment: sorted(counts) for segment, counts in found.items()}


def score(segment: str, keyframes: int, kept: Kept, paths: Paths) -> Score | None:
    """What is known of a segment that so many keyframes are shown of: of one that is measured, if any is."""
    counts = kept.get(segment, ())
    long_enough = [count for count in counts if count >= keyframes]
    shorter = [count for count in reversed(counts) if count < keyframes]
    whole = [found for it in (*long_enough, *shorter) if (found := scores.load(segment, it, paths))]
    return next((it for it in whole if it.judged), next(iter(whole), None))
