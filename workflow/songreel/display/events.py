"""What Snakemake's log records mean for a film, without Snakemake's details.

Which rule a job is of is seen by its wildcards: another's workflow may call the rules something else.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snakemake_interface_logger_plugins.common import LogEvent

KEYFRAMES, CLIP, FILM, STORYBOARD, FETCH = "keyframes", "clip", "film", "storyboard", "fetch"
OTHER = "other"
_KINDS = {"segment": KEYFRAMES, "clip": CLIP, "song": FILM, "weights": FETCH}

# What Snakemake says in words alone
STOPPED = ("Terminating processes on user request", "Cancelling snakemake on user request")
NOTHING = "Nothing to be done"
# What only repeats that a job failed, of which an event says more, or that files come and go as planned
REPEATED = (
    "At least one job did not complete",
    "Exiting because a job execution failed",
    "CalledProcessError",
    "Cannot restore ",
    "were not present when the DAG was created",
)


@dataclass(frozen=True)
class Began:
    """A job was started, or given to a cluster."""

    job: int
    kind: str
    name: str  # the segment, clip, song or model
    log: Path | None
    devices: int  # the cores that it has, or the GPUs
    on_gpu: bool = False


@dataclass(frozen=True)
class Ended:
    """A job has done its work."""

    job: int


@dataclass(frozen=True)
class Failed:
    """A job has ended without; it may be tried again."""

    job: int
    rule: str
    log: Path | None
    words: str = ""  # a scheduler's, of how it ended


@dataclass(frozen=True)
class Idle:
    """Everything that was asked for is there."""


@dataclass(frozen=True)
class Stopped:
    """The user has stopped the run."""


@dataclass(frozen=True)
class Trouble:
    """Snakemake has something to say that is no job's failure."""

    words: str
    grave: bool


Event = Began | Ended | Failed | Idle | Stopped | Trouble


def read(record: logging.LogRecord) -> Event | None:
    """What a record tells; None when it is nothing that is shown."""
    facts, event = record.__dict__, getattr(record, "event", None)
    if event == LogEvent.JOB_INFO:
        return _began(facts)
    if event == LogEvent.JOB_FINISHED:
        return Ended(facts["job_id"])
    if event == LogEvent.JOB_ERROR:
        return _failed(facts)
    words = str(record.msg or "")
    if words.startswith(STOPPED):
        return Stopped()
    if words.startswith(NOTHING):
        return Idle()
    if record.levelno < logging.WARNING or event not in (None, LogEvent.ERROR):
        return None
    is_new = words.strip() and not any(repeated in words for repeated in REPEATED)
    return Trouble(words.strip(), record.levelno >= logging.ERROR) if is_new else None


def _began(facts: Mapping[str, Any]) -> Began:
    kind, name = _kind(facts.get("wildcards") or {})
    # Both are made of a song. Snakemake writes kinds of files behind their names: `storyboard.html (update)`.
    if kind == FILM and any(Path(path).name.startswith("storyboard.") for path in facts.get("output") or ()):
        kind = STORYBOARD
    gpus = (facts.get("resources") or {}).get("gpu")
    gpus = gpus if isinstance(gpus, int) else 0
    return Began(facts["jobid"], kind, name, _log(facts), gpus or facts.get("threads") or 1, gpus > 0)


def _failed(facts: Mapping[str, Any]) -> Failed:
    words = " ".join(str(facts.get("rule_msg") or "").split())
    return Failed(facts["jobid"], str(facts.get("rule_name") or ""), _log(facts), words)


def _kind(wildcards: Mapping[str, str]) -> tuple[str, str]:
    for wildcard, kind in _KINDS.items():
        if wildcard in wildcards:
            return kind, wildcards[wildcard]
    return OTHER, ""


def _log(facts: Mapping[str, Any]) -> Path | None:
    logs = [str(path) for path in facts.get("log") or []]
    return Path(logs[0]) if logs else None
