"""Everything that is looked at, in the order in which it is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from songreel.upkeep.doctor import film, machine, media, models, probe
from songreel.upkeep.doctor.checks import Check, guarded
from songreel.upkeep.doctor.film import Film
from songreel.upkeep.doctor.probe import Facts, TorchError


def examine(configfile: Path, over: Mapping[str, Any]) -> tuple[Film, list[Check]]:
    """Look at all that the film of a config file, with some keys on top, takes."""
    importing = probe.start()  # which takes longest
    opened, checks = film.opened(configfile, over)
    checks += [*_of_film(opened)]
    torch = _finished(importing)
    checks += (
        [*guarded("Memory", lambda: models.fit(opened.config, torch))] if isinstance(torch, Facts) else []
    )
    return opened, [*_of_machine(torch), *checks]


def _finished(importing: Any) -> Facts | TorchError | MemoryError:
    try:
        return probe.finish(importing)
    except (TorchError, MemoryError) as error:
        return error


def _of_machine(torch: Facts | TorchError | MemoryError) -> Iterator[Check]:
    yield from guarded("Python", machine.python)
    yield from guarded("PyTorch", lambda: machine.torch(torch))
    yield from guarded("Limits", machine.memory)
    yield from guarded("SLURM", machine.slurm)


def _of_film(opened: Film) -> Iterator[Check]:
    seconds: list[float] = []
    ffmpeg = media.program(opened)
    yield from guarded("ffmpeg", lambda: media.ffmpeg(opened))
    yield from guarded("Sound", lambda: film.sound(opened, ffmpeg, seconds.append))
    yield from guarded("Fonts", lambda: media.words(opened))
    yield from guarded("Model", lambda: models.there(opened.config))
    yield from guarded("Size", lambda: models.drawn(opened.config))
    yield from guarded("Album", lambda: film.pictures(opened))
    yield from guarded("Results", lambda: film.results(opened))
    yield from guarded("Disk", lambda: film.disk(opened, seconds[0] if seconds else None))
    yield from guarded("Speed", lambda: film.speed(opened))
