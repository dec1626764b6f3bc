"""What the camera does in each line: its curves, per second, as moves from each keyframe to the next."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from songreel.ground.errors import UserError
from songreel.ground.motion import Motion, Move
from songreel.planning import curves, lengths
from songreel.planning.config import Config
from songreel.planning.curves import Curve, Moment
from songreel.planning.moments import Reading, Song
from songreel.planning.rows import shown
from songreel.planning.timeline import Shot

DIGITS = 6  # of a move: what differs by less is the same
# Seconds for which a curve that knows no song is read, or twice as many, and so on: a line that becomes
# longer, or shorter, has the moves that it had.
SPAN = 16


@dataclass(frozen=True)
class Kind:
    """One way to move: what a move calls it, and how far it may go from a keyframe to the next."""

    field: str
    least: float
    most: float


KINDS = {
    "zoom": Kind("zoom", 1 / 8, 8),
    "angle": Kind("angle", -180, 180),
    "translation_x": Kind("x", -1, 1),
    "translation_y": Kind("y", -1, 1),
    "shear": Kind("shear", -1, 1),
}


def of(shots: Sequence[Shot], config: Config, song: Song) -> list[Motion | None]:
    """How each line's picture moves. Raises UserError for a curve that cannot be read, or goes too far."""
    film = {name: curves.parse(getattr(config, name), f"config key '{name}'") for name in KINDS}
    motions = []
    for number, shot in enumerate(shots, 1):
        reading = Reading(shot, number, config.frames_per_second, config.exact_keyframe_rate, song)
        need = lengths.of_shot(shot, config)
        said = {name: getattr(shot.line.directions, name) or film[name] for name in KINDS}
        rows = {KINDS[name].field: _row(name, curve, reading, need) for name, curve in said.items()}
        motions.append(Motion.of(rows))
    return motions


def rest(motion: Motion | None, shot: Shot, keyframes: int, config: Config) -> Move | None:
    """How a line's picture moves from the last of so many keyframes until the line ends; None: not at all."""
    if motion is None:
        return None
    shown = shot.frames * config.exact_keyframe_rate / config.frames_per_second  # keyframes
    move = motion.move(keyframes - 1).part(float(shown - (keyframes - 1))).rounded(DIGITS)
    return None if move.still else move


def _row(name: str, curve: Curve, reading: Reading, need: int) -> list[float]:
    """What a curve makes of each move, as far as is known now: the last one is that of all that follow.

    After the line's end, where it blends into the next one, it may have no value.
    """
    if curve.constant is not None:
        return [_move(name, curve, reading, 0)]
    known = need - 1 if reading.depends_on_song(curve) else spanned(need - 1, reading)
    shown = reading.shot.frames * reading.keyframe_rate / reading.frames_per_second  # keyframes
    row: list[float] = []
    for keyframe in range(known):
        try:
            row.append(_move(name, curve, reading, keyframe))
        except UserError:
            if keyframe + 1 < shown or not row:
                raise
            break
    return row


def spanned(moves: int, reading: Reading) -> int:
    """So many moves, or as many as a line's span has."""
    span = SPAN * reading.keyframe_rate
    while span < moves:
        span *= 2
    return math.ceil(span)


def _move(name: str, curve: Curve, reading: Reading, keyframe: int) -> float:
    """What a curve, per second, comes to from a keyframe to the next."""
    kind, seconds = KINDS[name], float(1 / reading.keyframe_rate)
    if name == "zoom":
        grown = _mean(curve, reading, keyframe, lambda value, at: math.log(_above_0(value, at, curve)))
        # Far from what is allowed, and not too large for a float
        value = math.exp(max(-99.0, min(99.0, grown * seconds)))
    else:
        value = _mean(curve, reading, keyframe, lambda value, at: value) * seconds
    if not kind.least <= value <= kind.most:
        raise UserError(
            f"{curve.what}: found {shown(curve.text)}, which comes to {value:.3g} from the keyframe at"
            f" {keyframe * seconds:.3f} s of the line to the next one, expected from {kind.least:g} to"
            f" {kind.most:g}; make it gentler, or raise 'keyframes_per_second'."
        )
    return round(value, DIGITS)


def _mean(curve: Curve, reading: Reading, keyframe: int, value: Callable[[float, Moment], float]) -> float:
    if curve.constant is not None:
        return value(curve.constant, Moment(0, 0))
    values = [value(curve.at(moment), moment) for moment in reading.moments(curve, keyframe)]
    # Not a sum of the same number, which may be another one in its last digit
    return values[0] if len(set(values)) == 1 else math.fsum(values) / len(values)


def _above_0(value: float, moment: Moment, curve: Curve) -> float:
    if value > 0:
        return value
    raise UserError(
        f"{curve.what}: found {value:g} at {moment.t:.3f} s of the line, expected a ratio above 0, such as"
        f" 1.1 where the picture is to grow a tenth a second; correct it."
    )
