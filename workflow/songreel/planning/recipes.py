"""What is optimised for each line of a film: its words, its take, and the picture that it starts from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from songreel.ground.documents import RECIPE, ModelEntry, PerceptorEntry, SegmentRecipe
from songreel.ground.errors import UserError
from songreel.ground.paths import Paths
from songreel.models import weights
from songreel.planning import album, starts, wording
from songreel.planning.choices import Asked, Choice, Request
from songreel.planning.config import Config, weighed
from songreel.planning.timeline import Shot

Report = Callable[[str], None]


@dataclass(frozen=True)
class Look:
    """The models of a film: what draws it, and what judges it, each with its weight."""

    model: weights.Weights
    judges: tuple[tuple[weights.Weights, float], ...]


def look(config: Config) -> Look:
    model = weights.vqgan(config.model)
    judges = tuple((weights.perceptor(name), weight) for name, weight in map(weighed, config.perceptors))
    _check_size(config, model)
    return Look(model, judges)


def takes(shots: Sequence[Shot], config: Config) -> list[int]:
    """Which rendering of its text each line is."""
    sung: Counter[str] = Counter()
    takes = []
    for shot in shots:
        text = shot.line.text
        take = sung[text] if config.repeats == "vary" else 0
        takes.append(take if shot.line.take is None else shot.line.take)
        sung[text] += 1
    return takes


def chosen(
    shots: Sequence[Shot],
    takes: Sequence[int],
    config: Config,
    look: Look,
    song: str,
    paths: Paths,
    report: Report,
) -> tuple[Request | None, list[Choice]]:
    """From which picture each line starts, and what that was chosen by; nothing where there is no album."""
    source = album.find(config, paths, report)
    if source is None:
        return None, []
    rows = zip(shots, takes, strict=True)
    request = Request(
        album=source,
        perceptors=tuple(PerceptorEntry(judge.name, judge.sha256, weight) for judge, weight in look.judges),
        size=(config.width, config.height),
        lines=tuple(Asked(shot.line.text, take, shot.line.take is not None) for shot, take in rows),
    )
    chosen = starts.choose(request, [judge for judge, _ in look.judges], paths)
    for change in starts.changes(song, [shot.line.row for shot in shots], request, chosen, paths):
        report(f"{config.screenplay}: {change}")
    return request, chosen


def of(
    shots: Sequence[Shot],
    takes: Sequence[int],
    chosen: Sequence[Choice],
    config: Config,
    look: Look,
    report: Report,
) -> Iterator[SegmentRecipe]:
    """What to optimise for each shot; `report` is told of words for which a perceptor has no room."""
    contexts = {judge.name: wording.context(judge) for judge, _ in look.judges}
    pictures = [choice.start for choice in chosen]
    for shot, take, picture in zip_longest(shots, takes, pictures):
        text = shot.line.text
        whole = wording.joined(text, config.style)
        readings = {name: wording.read(text, config.style, size) for name, size in contexts.items()}
        if note := wording.note(f"{config.screenplay} row {shot.line.row}", readings):
            report(note)
        yield SegmentRecipe(
            recipe=RECIPE,
            text=whole,
            seed=config.seed,
            take=take,
            model=ModelEntry(look.model.name, look.model.sha256),
            perceptors=tuple(
                _perceptor(*judge, readings[judge[0].name].words, whole) for judge in look.judges
            ),
            size=(config.width, config.height),
            strategy=config.strategy if picture is None else config.strategy_of_pictures,
            start=picture,
        )


def _perceptor(judge: weights.Weights, weight: float, words: str, whole: str) -> PerceptorEntry:
    """What a recipe says of a perceptor: its words, too, where it has no room for the `whole` text."""
    return PerceptorEntry(judge.name, judge.sha256, weight, None if words == whole else words)


def _check_size(config: Config, model: weights.Weights) -> None:
    factor = weights.factor(model)
    if config.width % factor or config.height % factor:
        sides = (max(1, round(side / factor)) * factor for side in (config.width, config.height))
        fitting = "x".join(map(str, sides))
        raise UserError(
            f"config key 'size': found {config.width}x{config.height}, expected multiples of {factor} pixels"
            f" for the model {model.name!r}; the nearest is {fitting}."
        )
