"""How a keyframe is optimised: what a config sets, a recipe holds and the sampler goes by."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Strategy:
    """Every setting of the optimisation; config.yaml and its schema call them the same."""

    iterations: int  # for each keyframe
    lead_in: int  # iterations before those of the first keyframe
    cutouts: int
    learning_rate: float
    # How strongly a chain is held to the picture that it starts from; 0 for those that start from the canvas.
    hold: float = field(default=0.0, kw_only=True)
    # How strongly a keyframe is held to the one before; 0 lets it go.
    stability: float = field(default=0.0, kw_only=True)
    # By keyframe, the last one for all that follow; () is `learning_rate` throughout.
    learning_rates: tuple[float, ...] = field(default=(), kw_only=True)

    def learning_rate_of(self, keyframe: int) -> float:
        """How far a step goes, at most about, on the way to a keyframe."""
        rates = self.learning_rates or (self.learning_rate,)
        return rates[min(keyframe, len(rates) - 1)]

    def but(self, **values: Any) -> Strategy:
        """The same with other values of some settings."""
        return replace(self, **values)
