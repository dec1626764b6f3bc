"""How well pictures follow words: by what perceptors kept, so that none is opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from songreel.jobs.scores import Score

FAR = 2.5  # deviations below the median, by which a line is far from the others
DEVIATION = 1.4826  # of a normal distribution, in median absolute deviations from the median
LEAST = 0.02  # cosines closer to the median than this are not far, however alike the lines are
FEWEST = 4  # measured lines of which one can be said to be far from the others


@dataclass(frozen=True)
class Follows:
    """How well a line's pictures follow its words."""

    cosine: float  # the mean over its pictures and, by their weights, over the perceptors
    rank: int  # of its own words among all lines', by that cosine; 1 is best
    out_of: int  # different words


def measured(scores: Sequence[Score | None], words: Sequence[str]) -> list[Follows | None]:
    """How well each line's pictures follow its words; None where they were not looked at.

    Lines of the same words count once. Only those are compared that the same perceptors have looked at.
    """
    kinds = [_perceptors(score) for score in scores]
    follows: list[Follows | None] = [None] * len(scores)
    for kind in {kind for kind in kinds if kind}:
        at = [number for number, other in enumerate(kinds) if other == kind]
        of_kind = [score for number in at if (score := scores[number])]
        own = _numbered([words[number] for number in at])
        for number, follow in zip(at, _follows(_cosines(of_kind, own), own), strict=True):
            follows[number] = follow
    return follows


def _perceptors(score: Score | None) -> tuple[tuple[str, float, int], ...]:
    return tuple((it.name, it.weight, len(it.words)) for it in score.judged) if score else ()


def _numbered(words: Sequence[str]) -> list[int]:
    """Which of the different words are each line's own."""
    different = {own: number for number, own in enumerate(dict.fromkeys(words))}
    return [different[own] for own in words]


def _cosines(scores: Sequence[Score], own: Sequence[int]) -> NDArray[np.float64]:
    """Of each line's pictures to each of the different words, as [lines, words]."""
    firsts = [scores[own.index(number)] for number in range(max(own) + 1)]
    total = sum(abs(it.weight) for it in scores[0].judged) or 1.0
    cosines = np.zeros((len(scores), len(firsts)))
    for judge, weight in enumerate(it.weight for it in scores[0].judged):
        words = np.stack([score.judged[judge].words for score in firsts]).astype(np.float64)  # [m, d]
        pictures = np.stack([score.judged[judge].pictures.mean(0, np.float64) for score in scores])  # [n, d]
        cosines += weight / total * (pictures @ words.T)
    return cosines


def _follows(cosines: NDArray[np.float64], own: Sequence[int]) -> list[Follows]:
    rows = zip(cosines, own, strict=True)
    return [Follows(round(float(row[at]), 4), 1 + int((row > row[at]).sum()), len(row)) for row, at in rows]


def far_below(follows: Sequence[Follows | None]) -> float:
    """The cosine below which a line follows its words far worse than most; -1 where nothing can be said."""
    cosines = [follow.cosine for follow in follows if follow]
    if len(cosines) < FEWEST:
        return -1.0
    middle = median(cosines)
    deviation = DEVIATION * median(abs(cosine - middle) for cosine in cosines)
    return middle - max(FAR * deviation, LEAST)
