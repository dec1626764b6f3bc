"""Learning rates that change while a line is sung: a curve, as the learning rate of each keyframe."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from songreel.ground.errors import UserError
from songreel.ground.strategy import Strategy
from songreel.planning import camera, curves, lengths
from songreel.planning.config import Config
from songreel.planning.curves import Curve
from songreel.planning.moments import Reading, Song
from songreel.planning.rows import shown
from songreel.planning.timeline import Shot

DIGITS = 3  # of a learning rate: what differs by less is the same
MOST = 10.0

Rates = tuple[float, ...]  # by keyframe, the last one for all that follow


def of(shots: Sequence[Shot], config: Config, song: Song) -> list[Rates]:
    """Each line's learning rates; () where it is a plain number. Raises UserError for what goes too far."""
    return [_of_line(number, shot, config, song) for number, shot in enumerate(shots, 1)]


def of_film(config: Config) -> Curve | None:
    """The film's curve, where it is one. Raises UserError when it cannot be read."""
    text = config.learning_rate_curve
    return curves.parse(text, "config key 'learning_rate'") if text else None


def applied(strategy: Strategy, rates: Rates) -> Strategy:
    """How a line is optimised at such learning rates."""
    if not rates:
        return strategy
    return strategy.but(learning_rate=rates[0], learning_rates=rates if len(rates) > 1 else ())


def _of_line(number: int, shot: Shot, config: Config, song: Song) -> Rates:
    said = shot.line.directions
    curve = said.learning_rate_curve or (of_film(config) if said.learning_rate is None else None)
    if curve is None:
        return ()
    reading = Reading(shot, number, config.frames_per_second, config.exact_keyframe_rate, song)
    need = lengths.of_shot(shot, config)
    known = need if reading.depends_on_song(curve) else camera.spanned(need, reading)
    rates = [*_known(curve, reading, known)]
    while len(rates) > 1 and rates[-1] == rates[-2]:
        rates.pop()
    return tuple(rates)


def _known(curve: Curve, reading: Reading, keyframes: int) -> Iterator[float]:
    """The rate of each keyframe. After the line's end, where it blends into the next, it may have none."""
    shown_keyframes = reading.shot.frames * reading.keyframe_rate / reading.frames_per_second
    for keyframe in range(keyframes):
        try:
            yield _rate(curve, reading, keyframe)
        except UserError:
            if keyframe < shown_keyframes:
                raise
            return


def _rate(curve: Curve, reading: Reading, keyframe: int) -> float:
    """The mean of a curve on the way to a keyframe; at the first one, on the way to the next."""
    values = [curve.at(moment) for moment in reading.moments(curve, max(0, keyframe - 1))]
    rate = round(math.fsum(values) / len(values), DIGITS)
    if 0 <= rate <= MOST:
        return rate
    raise UserError(
        f"{curve.what}: found {shown(curve.text)}, which comes to {rate:g} on the way to the keyframe at"
        f" {float(keyframe / reading.keyframe_rate):.3f} s of the line, expected a learning rate from 0 to"
        f" {MOST:g}; correct it."
    )
