"""What a film's curves may know of its song. It is listened to only where one of them asks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from songreel.ground.paths import Paths
from songreel.planning import camera, curves, pace
from songreel.planning.audio import Audio
from songreel.planning.config import Config
from songreel.planning.curves import Beats, Curve
from songreel.planning.moments import Song
from songreel.planning.timeline import Shot

DIGITS = 2  # of what is heard: another mix that sounds the same within these renders nothing anew


def of(shots: Sequence[Shot], config: Config, audio: Audio | None, program: str, paths: Paths) -> Song:
    """What is heard of a film's song. Raises UserError for a curve or a song that cannot be read."""
    used = [*_used(shots, config)]
    steady = Beats.steady(config.tempo) if config.tempo else None
    counted = not steady and any(curve.counts_beats for curve in used)
    if audio is None or not (counted or any(curve.listens for curve in used)):
        return Song(steady)
    # With it comes numpy, and the song is read: most films do not listen.
    from songreel.planning import hearing

    heard = hearing.of(audio, program, paths)

    def hear(name: str, first_seconds: float, end_seconds: float) -> float:
        return round(heard.mean(name, first_seconds, end_seconds), DIGITS)

    return Song(steady or Beats.of(heard.beats), hear)


def _used(shots: Sequence[Shot], config: Config) -> Iterator[Curve]:
    """The curves of the film and of its lines."""
    for name in camera.KINDS:
        yield curves.parse(getattr(config, name), f"config key '{name}'")
    if rate := pace.of_film(config):
        yield rate
    for shot in shots:
        said = shot.line.directions
        for curve in (*(getattr(said, name) for name in camera.KINDS), said.learning_rate_curve):
            if curve is not None:
                yield curve
