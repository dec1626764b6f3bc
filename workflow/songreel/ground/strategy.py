"""How a keyframe is optimised: what a config sets, a recipe holds and the sampler goes by."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Strategy:
    """Every setting of the optimisation; config.yaml and its schema call them the same."""

    iterations: int  # for each keyframe
    lead_in: int  # iterations before those of the first keyframe
    cutouts: int
    learning_rate: float
    # How strongly a chain is held to the picture that it starts from; 0 for those that start from the canvas.
    hold: float = field(default=0.0, kw_only=True)
