"""The process that ranks an album's pictures for each text, and keeps those that lines start from."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

import torch

from songreel import data
from songreel.ground import pictures
from songreel.ground.errors import DamageError, UserError
from songreel.ground.files import write_json_if_changed
from songreel.ground.paths import Paths
from songreel.jobs.photographs import Judge, Photographs
from songreel.jobs.render import weights_of
from songreel.models import perceptor, proofs, weights
from songreel.models.perceptor import Perceptor
from songreel.planning import album, choices
from songreel.planning.choices import Choice, Ranking, Request
from songreel.sampling import composing
from songreel.sampling.albums import Album

CPU, PRECISION = torch.device("cpu"), torch.float32  # so that on all machines the same pictures are chosen


def run(request: Request, paths: Paths) -> None:
    """Rank what is not ranked yet, and keep the pictures that a request's lines start from.

    Raises UserError when a picture or a model cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="songreel-") as folder:
        chooser = _Chooser(request, paths, Paths(Path(folder)))
        chooser.rank(text for text in request.texts if text not in chooser.rankings)
        # A picture that is gone is made by ranking its text once more.
        while lacking := chooser.lacking():
            chooser.rank(lacking)
        chooser.keep()


class _Chooser:
    def __init__(self, request: Request, paths: Paths, drawn: Paths) -> None:
        self.request, self.paths = request, paths
        self.drawn = drawn  # where all pictures lie that were ranked, until it is known which are chosen
        self.rankings = choices.known(request, paths)

    @cached_property
    def album(self) -> Album:
        return load(self.request, self.paths)

    def rank(self, texts: Iterable[str]) -> None:
        for text in texts:
            count = self.request.count(text)
            found = self.album.ranked(text, self.request.size, count)
            entries = [Choice(it.name, pictures.digest(it.picture), round(it.fit, 6)) for it in found]
            for choice, candidate in zip(entries, found, strict=True):
                if not (file := self.drawn.start(choice.start)).exists():
                    pictures.keep(candidate.picture, file)
            self.rankings[text] = ranking = Ranking(tuple(entries), len(entries) < count)
            file = self.paths.ranking(self.request.ranking(text))
            write_json_if_changed(file, ranking.to_json(), lasting=False)

    def lacking(self) -> list[str]:
        """The texts whose pictures are neither kept nor ranked by this process."""
        rows = zip(self.request.lines, choices.assigned(self.request.lines, self.rankings), strict=True)
        return list(dict.fromkeys(line.text for line, choice in rows if not self._source(choice)))

    def _source(self, choice: Choice) -> Path | None:
        files = (self.paths.start(choice.start), self.drawn.start(choice.start))
        return next((file for file in files if file.is_file()), None)

    def keep(self) -> None:
        for choice in choices.assigned(self.request.lines, self.rankings):
            if not (kept := self.paths.start(choice.start)).is_file():
                pictures.keep(pictures.load(self.drawn.start(choice.start), choice.start), kept)


def load(request: Request, paths: Paths) -> Album:
    """The album that a request names, ready to rank. Raises UserError when a model cannot be read."""
    found = [weights_of(entry, weights.perceptor) for entry in request.perceptors]
    with proofs.reading(found) as proof:
        judges = [
            Judge(perceptor.load(it, CPU, PRECISION), entry.sha256, entry.weight)
            for it, entry in zip(found, request.perceptors, strict=True)
        ]
        proof.settle()
    if request.album.folder:
        return Photographs(request.album, judges, paths)
    return _of_starter(judges[0].perceptor)


def _of_starter(judge: Perceptor) -> Album:
    """The album that came with the starter. Raises UserError when it is damaged."""
    try:
        return composing.load(album.STARTER.parent, lambda texts: judge.embed_texts(texts).numpy())
    except DamageError as fault:
        raise UserError(f"{fault}; restore it, {data.RESTORE}.") from None
