"""The picture that stands for a film: of the lines' middles the most colourful and contrasting."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from songreel.exports import footage, spans
from songreel.exports.footage import Footage, Frame
from songreel.planning.plan import Plan

LOOKED_AT = 64  # pixels of the longer side, to be compared
MOST = 60  # lines that are looked at, spread over the film


def choose(film: Footage, plan: Plan) -> int:
    """The frame that stands for a film. Raises UserError."""
    middles = [span.first + span.frames // 2 for span in spans.of_lines(plan)]
    middles = middles[:: -(-len(middles) // MOST)]
    size = footage.fitted(film.size, LOOKED_AT)
    return middles[int(np.argmax(merits(list(film.stills(middles, size)))))]


def merits(frames: Sequence[Frame]) -> list[float]:
    """How colourful and how contrasting frames are together, each by the most that one of them has."""
    looks = np.array([(colourfulness(frame), float(frame.mean(-1).std())) for frame in frames])
    return [float(merit) for merit in (looks / np.maximum(looks.max(0), 1)).sum(1)]


def colourfulness(frame: Frame) -> float:
    """How colourful a picture is seen to be (Hasler and Suesstrunk 2003, M3)."""
    red, green, blue = np.moveaxis(frame.astype(np.float64), -1, 0)
    opponents = np.stack([red - green, (red + green) / 2 - blue])
    spread = np.hypot(*opponents.std((1, 2)))
    return float(spread + 0.3 * np.hypot(*opponents.mean((1, 2))))
