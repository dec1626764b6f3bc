"""What is optimised for each line of a film: its words, its take, and the picture that it starts from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from songreel.ground.documents import RECIPE, ModelEntry, PerceptorEntry, SegmentRecipe
from songreel.ground.errors import UserError
from songreel.ground.motion import Motion
from songreel.ground.paths import Paths
from songreel.ground.steering import Part
from songreel.models import weights
from songreel.planning import album, beginnings, camera, pace, starts, steering, wording
from songreel.planning.choices import Asked, Choice, Request
from songreel.planning.config import Config, weighed
from songreel.planning.gallery import Gallery, Hung
from songreel.planning.moments import SILENCE, Song
from songreel.planning.steering import Steering
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
    check_size(config, model)
    return Look(model, judges)


@dataclass(frozen=True)
class Script:
    """What is optimised for a film's lines, one entry a line where nothing else is said."""

    recipes: tuple[SegmentRecipe, ...]
    chained: tuple[bool, ...]  # whether it goes on where the line before ends
    began: tuple[str | None, ...]  # the name of the picture that it starts from
    album: Request | None  # what the lines' pictures are chosen by, where there is an album
    chosen: tuple[Choice, ...]  # the picture of each line that the request asks for
    pictures: Mapping[str, Hung]  # that the screenplay names, by the sha256 of what they show


def of(
    shots: Sequence[Shot], config: Config, song: str, paths: Paths, report: Report, heard: Song = SILENCE
) -> Script:
    """What to optimise for each shot of a film, by what is heard with it.

    `report` is told of pictures that are passed over, of chains and of words for which a perceptor has no
    room. Raises UserError for what does not fit.
    """
    film, gallery = look(config), Gallery(config.screenplay, (config.width, config.height), paths)
    steerings = steering.of(shots, config, gallery)
    lines = [
        Directed(*line)
        for line in zip(
            shots,
            steerings,
            takes(shots, steerings, config),
            beginnings.of(shots, config),
            camera.of(shots, config, heard),
            pace.of(shots, config, heard),
            strict=True,
        )
    ]
    request, choices = chosen(lines, config, film, song, paths, report)
    if request is None:
        lines = [replace(it, beginning=beginnings.CANVAS) if it.asks else it for it in lines]
    if note := beginnings.Chains.of([line.beginning for line in lines], shots).note(config.screenplay):
        report(note)
    left = iter(choices)
    began = [next(left) if line.asks else None for line in lines]
    starts = [it.start if it else line.image(gallery) for it, line in zip(began, lines, strict=True)]
    return Script(
        recipes=tuple(_recipes(lines, starts, config, film, gallery, report)),
        chained=tuple(line.beginning == beginnings.PREVIOUS for line in lines),
        began=tuple(
            it.name if it else line.shot.line.directions.image for it, line in zip(began, lines, strict=True)
        ),
        album=request,
        chosen=tuple(choices),
        pictures=gallery.hung,
    )


@dataclass(frozen=True)
class Directed:
    """A line, and all that is asked for it."""

    shot: Shot
    steering: Steering
    take: int
    beginning: str
    motion: Motion | None
    rates: pace.Rates

    @property
    def asks(self) -> bool:
        """Whether it starts from a picture of the album."""
        return self.beginning == beginnings.ALBUM

    @property
    def asked(self) -> Asked:
        """What it asks the album for."""
        words = self.steering.wanted or self.shot.line.text
        return Asked(words, self.take, self.shot.line.take is not None)

    def image(self, gallery: Gallery) -> str | None:
        """The sha256 of its own picture that it starts from. Raises UserError when it cannot be read."""
        path = self.shot.line.directions.image
        return gallery.fitted(path, self.shot.line.row) if path else None

    def mask(self, gallery: Gallery) -> str | None:
        """The sha256 of what is kept of that picture. Raises UserError when it cannot be read."""
        path = self.shot.line.directions.mask
        return gallery.fitted(path, self.shot.line.row) if path else None


def takes(shots: Sequence[Shot], steerings: Sequence[Steering], config: Config) -> list[int]:
    """Which rendering of what steers it each line is."""
    sung: Counter[tuple[Part, ...]] = Counter()
    takes = []
    for shot, steers in zip(shots, steerings, strict=True):
        take = sung[steers.parts] if config.repeats == "vary" else 0
        takes.append(take if shot.line.take is None else shot.line.take)
        sung[steers.parts] += 1
    return takes


def chosen(
    lines: Sequence[Directed], config: Config, look: Look, song: str, paths: Paths, report: Report
) -> tuple[Request | None, list[Choice]]:
    """The album's picture for each line that asks for one, and what that was chosen by."""
    asking = [line for line in lines if line.asks]
    source = album.find(config, paths, report) if asking else None
    if source is None:
        return None, []
    request = Request(
        album=source,
        perceptors=tuple(PerceptorEntry(judge.name, judge.sha256, weight) for judge, weight in look.judges),
        size=(config.width, config.height),
        lines=tuple(line.asked for line in asking),
    )
    found = starts.choose(request, [judge for judge, _ in look.judges], paths)
    for change in starts.changes(song, [line.shot.line.row for line in asking], request, found, paths):
        report(f"{config.screenplay}: {change}")
    return request, found


def _recipes(
    lines: Sequence[Directed],
    starts: Sequence[str | None],
    config: Config,
    look: Look,
    gallery: Gallery,
    report: Report,
) -> Iterator[SegmentRecipe]:
    """What to optimise for each line; `report` is told of words for which a perceptor has no room."""
    contexts = {judge.name: wording.context(judge) for judge, _ in look.judges}
    before: tuple[SegmentRecipe, Shot] | None = None
    for line, start in zip(lines, starts, strict=True):
        shot, said = line.shot, line.shot.line.directions
        chained = before if line.beginning == beginnings.PREVIOUS else None
        recipe = SegmentRecipe(
            recipe=RECIPE,
            text=line.steering.text,
            seed=config.seed if said.seed is None else said.seed,
            take=line.take,
            model=ModelEntry(look.model.name, look.model.sha256),
            perceptors=tuple(_readers(line, look, contexts, config, report)),
            size=(config.width, config.height),
            strategy=pace.applied(beginnings.strategy(line.beginning, shot, config), line.rates),
            start=start,
            parts=() if line.steering.plain else line.steering.parts,
            mask=line.mask(gallery),
            previous=beginnings.previous(*chained, config) if chained else None,
            motion=line.motion,
        )
        before = recipe, shot
        yield recipe


def _readers(
    line: Directed, look: Look, contexts: Mapping[str, int], config: Config, report: Report
) -> Iterator[PerceptorEntry]:
    """The perceptors, each with what it reads of a line where it has no room for all."""
    read: dict[str, list[str]] = {name: [] for name in contexts}
    for steer in line.steering.steers:
        readings = {name: wording.read(steer.words, steer.style, size) for name, size in contexts.items()}
        if note := wording.note(f"{config.screenplay} row {line.shot.line.row}", readings):
            report(note)
        for name, reading in readings.items():
            read[name].append(reading.words)
    whole = [part.text for part in line.steering.parts]
    for judge, weight in look.judges:
        words = read[judge.name]
        if line.steering.plain:
            yield _perceptor(judge, weight, words[0], whole[0])
        else:
            reads = () if words == whole else tuple(words)
            yield PerceptorEntry(judge.name, judge.sha256, weight, reads=reads)


def _perceptor(judge: weights.Weights, weight: float, words: str, whole: str) -> PerceptorEntry:
    """What a recipe says of a perceptor: its words, too, where it has no room for the `whole` text."""
    return PerceptorEntry(judge.name, judge.sha256, weight, None if words == whole else words)


def check_size(config: Config, model: weights.Weights) -> None:
    """Raise UserError, which names the nearest that does, when a model does not draw pictures of a size."""
    factor = weights.factor(model)
    if config.width % factor or config.height % factor:
        sides = (max(1, round(side / factor)) * factor for side in (config.width, config.height))
        fitting = "x".join(map(str, sides))
        raise UserError(
            f"config key 'size': found {config.width}x{config.height}, expected multiples of {factor} pixels"
            f" for the model {model.name!r}; the nearest is {fitting}."
        )
