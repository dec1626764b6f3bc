"""What a user may say of the display: `--logger-songreel-…`, in a profile without the dashes before it."""

import math
from dataclasses import dataclass, field

from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_logger_plugins.settings import LogHandlerSettingsBase


@dataclass
class Settings(LogHandlerSettingsBase):
    """Snakemake makes options of these: their types must be types, not the names of some."""

    off: bool = field(
        default=False,
        metadata={"help": "Show Snakemake's own output instead, and what the jobs say.", "env_var": True},
    )
    price: float = field(
        default=0.0,
        metadata={
            "help": "Of an hour of one core or GPU: what the film has cost so far is then shown.",
            "env_var": True,
            "type": float,
        },
    )

    def __post_init__(self) -> None:
        """Raise WorkflowError, which Snakemake tells in a sentence, for what is no price."""
        if not (math.isfinite(self.price) and self.price >= 0):
            raise WorkflowError(
                f"--logger-songreel-price: found {self.price}, expected what an hour of one core or GPU"
                f" costs, 0 or more, as 2.50."
            )
