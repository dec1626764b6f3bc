"""songreel's display, by the name under which Snakemake finds plugins: `--logger songreel`."""

from songreel.display.handler import Handler as LogHandler
from songreel.display.settings import Settings as LogHandlerSettings

__all__ = ["LogHandler", "LogHandlerSettings"]
