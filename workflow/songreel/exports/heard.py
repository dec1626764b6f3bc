"""`songreel sound`: what is heard of a song, for a person to read or another program to follow."""

from __future__ import annotations

import json
from pathlib import Path

from songreel.drawing import film
from songreel.exports import out
from songreel.ground.errors import UserError
from songreel.ground.paths import Paths
from songreel.planning import audio, hearing
from songreel.planning.config import Config
from songreel.planning.hearing import NAMES, RATE, Heard

ENDINGS = (".csv", ".json")
BAR = 24  # letters of the longest bar


def of(config: Config) -> tuple[str, Heard]:
    """Which song a film has, in words, and what is heard of it. Raises UserError where there is none."""
    program = film.working(config.ffmpeg)
    paths = Paths(config.results)
    song = audio.find(config.audio, config.audio_track, config.screenplay, program, paths)
    described = audio.described(song, "", config.audio, config.screenplay)
    if song is None:
        raise UserError(
            f"config key 'audio': found {described}, expected a song to listen to; name one with"
            f" --config audio=SONG."
        )
    return described, hearing.of(song, program, paths)


def as_text(described: str, heard: Heard) -> str:
    """The tempo, the beats, and how high each curve is in the mean."""
    rows = [f"sound: {described}"]
    if heard.beats:
        rows.append(f"tempo: {heard.tempo:.2f} beats a minute")
        rows.append(f"beats: {len(heard.beats)}, from {heard.beats[0]:.2f} s to {heard.beats[-1]:.2f} s")
    else:
        rows.append("tempo: none, since nothing in it is regular")
    rows.append("curve   mean")
    for name in NAMES:
        mean = float(heard.curves[name].mean())
        rows.append(f"{name:<6} {mean:5.2f}  {'#' * round(BAR * mean)}".rstrip())
    return "\n".join(rows)


def write(heard: Heard, target: Path, force: bool) -> None:
    """Write the curves as a table or as JSON, by the target's ending. Raises UserError, OSError."""
    if target.suffix.lower() not in ENDINGS:
        raise UserError(
            f"{target}: found the ending {target.suffix!r}, expected .csv or .json; give it one of them."
        )
    out.check_free(target, force)
    out.write(target, _csv(heard) if target.suffix.lower() == ".csv" else _json(heard))


def _csv(heard: Heard) -> str:
    columns = [heard.curves[name].tolist() for name in NAMES]
    rows = (
        ",".join([f"{at / RATE:.2f}", *(f"{value:.4f}" for value in values)])
        for at, values in enumerate(zip(*columns, strict=True))
    )
    return "\n".join([",".join(["seconds", *NAMES]), *rows]) + "\n"


def _json(heard: Heard) -> str:
    curves = {name: [round(value, 4) for value in heard.curves[name].tolist()] for name in NAMES}
    document = {"rate": RATE, "tempo": heard.tempo, "beats": heard.beats, "curves": curves}
    return json.dumps(document) + "\n"
