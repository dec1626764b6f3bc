"""Snakemake that asks SLURM twice a second how its jobs are.

After each answer that tells of none that has ended, the executor waits ten seconds longer, up to 180.
"""

import sys

from snakemake.cli import main
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

SECONDS = 0.5  # between two questions

if __name__ == "__main__":
    RemoteExecutor.next_seconds_between_status_checks = property(lambda _: SECONDS, lambda *_: None)
    sys.exit(main())
