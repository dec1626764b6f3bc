"""What a storyboard shows and no job has kept: that of results which were made before any job did.

It is read once, from the song, the clips and the latents, and kept as jobs keep it.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from songreel.drawing import strips, waveform
from songreel.ground.documents import Timeline
from songreel.ground.errors import DamageError
from songreel.ground.paths import Paths
from songreel.jobs import scores
from songreel.jobs.scores import Score
from songreel.storyboard import outline


def song_heard(song: str, paths: Paths, program: str) -> None:
    """Read how loud a film's song is from moment to moment. Raises OSError where that cannot be kept."""
    _hear(Timeline.read(paths.timeline(song)), paths, program)


def everything(song: str, paths: Paths, program: str) -> None:
    """Read all that is missing. Raises UserError when there is no plan, OSError where it cannot be kept."""
    timeline, plan = outline.read(song, paths)
    _hear(timeline, paths, program)
    for clip in timeline.clips:
        file, strip = paths.clip(clip.clip), paths.strip(clip.clip)
        if file.is_file() and strips.load(strip) is None:
            strips.keep(strips.read(file, clip.frames, plan.size, program), strip)
    _read_losses(dict.fromkeys(line.segment for line in timeline.lines), paths)


def _hear(timeline: Timeline, paths: Paths, program: str) -> None:
    if sound := timeline.audio:
        seconds, file = float(timeline.seconds), paths.peaks(sound.sha256, sound.track)
        if waveform.load(file, seconds) is None:
            peaks = waveform.read(sound, seconds, program)
            if peaks is not None:
                waveform.keep(peaks, file)


def _read_losses(segments: Iterable[str], paths: Paths) -> None:
    """Keep the losses of the longest file of each segment of which nothing is known."""
    for segment in segments:
        longest = max(paths.rendered(segment), default=0)
        if longest and scores.load(segment, longest, paths) is None:
            from songreel.jobs import latents  # zarr takes a while to import

            with suppress(DamageError, FileNotFoundError):
                found = latents.load(paths.latents(segment, longest), segment, longest)
                scores.keep(Score(found.loss), segment, paths)
