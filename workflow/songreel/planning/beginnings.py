"""What each line of a film starts from: the canvas, a picture, or the line before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from songreel.ground.documents import SegmentRecipe
from songreel.ground.paths import Paths, latents_file
from songreel.ground.steering import Previous
from songreel.ground.strategy import Strategy
from songreel.planning import camera
from songreel.planning.config import Config
from songreel.planning.timeline import Shot

OWN, PREVIOUS, CANVAS, ALBUM = "image", "previous", "canvas", "album"


def of(shots: Sequence[Shot], config: Config) -> list[str]:
    """What each line starts from; that there is an album is not known yet."""
    return [_of_line(at, shot, config) for at, shot in enumerate(shots)]


def _of_line(at: int, shot: Shot, config: Config) -> str:
    said = shot.line.directions
    if said.image:
        return OWN
    origin = said.origin or config.origin
    if origin == PREVIOUS and at:
        return PREVIOUS
    return CANVAS if origin == CANVAS else ALBUM


def previous(recipe: SegmentRecipe, shot: Shot, config: Config) -> Previous:
    """What goes on from a line's segment where its shot ends: after the last keyframe that is seen of it."""
    rate = config.exact_keyframe_rate / config.frames_per_second
    keyframes = ceil(shot.frames * rate)
    return Previous(recipe.id, keyframes, camera.rest(recipe.motion, shot, keyframes, config))


def strategy(beginning: str, shot: Shot, config: Config) -> Strategy:
    """How a line is optimised: as its row says, or the film by what it starts from."""
    said = shot.line.directions
    chosen = {
        name: value
        for name in ("iterations", "lead_in", "cutouts", "learning_rate", "stability")
        if (value := getattr(said, name)) is not None
    }
    if beginning in (OWN, ALBUM):
        usual = config.strategy_of_pictures
    elif beginning == PREVIOUS:
        usual = config.strategy_of_chains
    else:
        usual = config.strategy
    return usual.but(**chosen)


@dataclass(frozen=True)
class Chains:
    """The lines that start from the line before, by their rows."""

    rows: tuple[tuple[int, ...], ...]  # of each chain, its first line with it

    @classmethod
    def of(cls, beginnings: Sequence[str], shots: Sequence[Shot]) -> Chains:
        """The chains of two lines and more."""
        chains: list[list[int]] = []
        for beginning, shot in zip(beginnings, shots, strict=True):
            if beginning != PREVIOUS:
                chains.append([])
            chains[-1].append(shot.line.row)
        return cls(tuple(tuple(chain) for chain in chains if len(chain) > 1))

    def note(self, screenplay: Path) -> str | None:
        """What follows from it, in one sentence; None where there is no chain."""
        if not self.rows:
            return None
        longest = max(self.rows, key=len)
        count = sum(len(chain) - 1 for chain in self.rows)
        lines = "1 line starts" if count == 1 else f"{count} lines start"
        return (
            f"{screenplay}: {lines} from the line before, so an edit of a line renders all that follow in its"
            f" chain, one after the other; the longest chain has {len(longest)} lines, rows {longest[0]} to"
            f" {longest[-1]}."
        )


def needed(recipes: Mapping[str, SegmentRecipe], needs: Mapping[str, int], paths: Paths) -> dict[str, int]:
    """What is missing for the segments that `needs` are missing to begin, and they: keyframes, by segment.

    A segment of which something is there has begun.
    """
    missing = dict(needs)
    waiting = list(needs)
    while waiting:
        segment = waiting.pop()
        before = recipes[segment].previous
        if before is None or paths.rendered(segment):
            continue
        if latents_file(before.segment, before.keyframes, paths) is None:
            if before.segment not in missing:
                waiting.append(before.segment)
            missing[before.segment] = max(before.keyframes, missing.get(before.segment, 0))
    return missing
