"""Which lines' pictures follow their words worst, and what to try for each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil
from pathlib import Path

from songreel.storyboard import following
from songreel.storyboard.following import Follows
from songreel.storyboard.outline import Outline

MOST_SHARE = 4  # one line of so many is marked at most: of the weakest the list is of use
TAKES_IN = (".csv",)  # files whose rows have a take


def told(outline: Outline, words: Sequence[str], follows: Sequence[Follows | None]) -> list[str | None]:
    """For each line why it is weak and what to try, in a sentence; None for those that are not."""
    reasons = _reasons(follows)
    weakest = sorted(reasons, key=lambda at: (-_rank(follows[at]), _cosine(follows[at])))
    marked = set(weakest[: ceil(len(words) / MOST_SHARE)])
    return [
        f"{reasons[at]}; {_remedy(outline, words, at)}." if at in marked else None for at in range(len(words))
    ]


def _reasons(follows: Sequence[Follows | None]) -> dict[int, str]:
    least = following.far_below(follows)
    return {at: reason for at, it in enumerate(follows) if it for reason in _reason(it, least)}


def _reason(follows: Follows, least: float) -> Iterator[str]:
    if follows.rank > 1:
        others = f"the words of {follows.rank - 1} other line{'s' * (follows.rank > 2)}"
        yield f"its pictures are nearer to {others} than to its own"
    elif follows.cosine < least:
        yield f"its pictures follow its words far less than those of the other lines ({follows.cosine:.2f})"


def _remedy(outline: Outline, words: Sequence[str], at: int) -> str:
    row = outline.lines[at].row
    if Path(outline.screenplay).suffix.lower() not in TAKES_IN:
        return f"try plainer words in row {row} of {outline.screenplay}"
    takes = (line.take for line, said in zip(outline.lines, words, strict=True) if said == words[at])
    return f"try take {max(takes) + 1} in row {row} of {outline.screenplay}, or plainer words"


def _rank(follows: Follows | None) -> int:
    return follows.rank if follows else 0


def _cosine(follows: Follows | None) -> float:
    return follows.cosine if follows else 1.0
