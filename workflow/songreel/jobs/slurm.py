"""What Snakemake's executor for SLURM leaves open: a controller that is away for a while, jobs that it has
forgotten, and jobs that ran out of what they had asked for.

Version 2.8 asks `sacct` when the controller does not say how long it remembers jobs, which on a cluster
without accounting fails for ever; forgets all its jobs when it gets no answer; waits for ever for a job that
SLURM no longer knows; and takes a failed submission for a failed job. `mend` puts this right from outside.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from songreel.ground.messages import say

PLUGIN = "snakemake_executor_plugin_slurm"
MENDED = ("query_job_status", "get_min_job_age")
PATIENCE_SECONDS = 2  # between two looks for the controller
ANSWER_SECONDS = 30  # after which a command of SLURM's hangs; its own patience is ten
FORGOTTEN_AFTER = 3  # answers without a job, until SLURM has forgotten it: it had ended long before
UNKNOWN = "UNKNOWN"  # for the executor a job that has ended; its files tell whether well
LIMITS = {"TIMEOUT": ("time", "runtime", "minutes"), "OUT_OF_MEMORY": ("memory", "mem_mb", "megabytes")}

States = Mapping[str, str]  # by the number of the job
Answer = tuple[States, float]  # with the seconds that it took


@dataclass
class Watch:
    """What is known of the controller and of the jobs that are waited for."""

    waited_for: Collection[str] = ()
    # Answers in a row that did not name a job
    missing: Counter[str] = field(default_factory=Counter)
    reported: set[str] = field(default_factory=set)  # jobs whose end at a limit was told
    away: bool = False

    def update(self, states: States | None) -> dict[str, str]:
        """The states as the executor is to see them; None is no answer, which says nothing of any job."""
        self.reached(states is not None)
        if states is None:
            return {}
        for job in self.waited_for:
            named = any(_number(other) == _number(job) for other in states)
            self.missing[job] = 0 if named else self.missing[job] + 1
        forgotten = {job: UNKNOWN for job in self.waited_for if self.missing[job] >= FORGOTTEN_AFTER}
        for job in self.waited_for:
            if states.get(job) in LIMITS and job not in self.reported:
                self.reported.add(job)
                say(out_of(states[job], job))
        return {**states, **forgotten}

    def reached(self, answered: bool) -> None:
        """Tell once that the controller is away, and once that it is back."""
        if answered == self.away:
            self.away = not answered
            say(
                "SLURM's controller answers again."
                if answered
                else "SLURM's controller does not answer; it is asked again until it does, its jobs go on."
            )


def mend() -> None:
    """Mend the executor, if it is there and of a kind that is known."""
    plugin = sys.modules.get(PLUGIN)
    if plugin and all(hasattr(plugin, name) for name in MENDED) and not hasattr(plugin, "songreel"):
        _mend(plugin, Watch())


def _mend(plugin: Any, watch: Watch) -> None:
    plugin.songreel = watch
    plugin.query_job_status = _patient(plugin.query_job_status, watch)
    plugin.get_min_job_age = _remembering(plugin.get_min_job_age)
    executor = plugin.Executor
    executor.check_active_jobs = _noting(executor.check_active_jobs, watch)
    for name in ("run_job", "run_array_jobs"):
        setattr(executor, name, _reaching(getattr(executor, name), watch))


def _patient(
    ask: Callable[..., Awaitable[tuple[States | None, float | None]]], watch: Watch
) -> Callable[..., Awaitable[Answer]]:
    """No answer is one that names no job: the executor asks again at its next turn, and keeps its jobs."""

    async def asked(*arguments: Any) -> Answer:
        states, seconds = await ask(*arguments)
        return watch.update(states), seconds or 0.0

    return asked


def _remembering(ask: Callable[[], int | None]) -> Callable[[], int]:
    """How many seconds SLURM remembers jobs, as it said last: long enough, until it has said anything."""
    known = [sys.maxsize]

    def asked() -> int:
        seconds = ask()
        if seconds is not None:
            known[0] = seconds
        return known[0]

    return asked


def _noting(check: Callable[..., AsyncIterator[Any]], watch: Watch) -> Callable[..., AsyncIterator[Any]]:
    def checked(executor: Any, jobs: Collection[Any]) -> AsyncIterator[Any]:
        watch.waited_for = [job.external_jobid for job in jobs]
        return check(executor, jobs)

    return checked


def _reaching(submit: Callable[..., None], watch: Watch) -> Callable[..., None]:
    """Submit when the controller can be reached, or not at all when the run is stopped before."""

    def submitted(executor: Any, jobs: Any) -> None:
        while executor.wait:
            reached = answers()
            watch.reached(reached)
            if reached:
                submit(executor, jobs)
                return
            time.sleep(PATIENCE_SECONDS)

    return submitted


def answers() -> bool:
    """Whether SLURM's controller, or one that stands in for it, is there; so it is if nobody can tell."""
    answer = _output("scontrol", "ping")
    return answer is not None and not ("is DOWN" in answer and "is UP" not in answer)


def out_of(state: str, job: str) -> str:
    """What to do when SLURM has ended a job at a limit."""
    what, resource, unit = LIMITS[state]
    row = _output("squeue", "--noheader", "--states=all", f"--jobs={job}", "--format=%l|%k") or ""
    limit, _, words = row.strip().partition("|")
    had = f", of which it had {limit}" if limit and state == "TIMEOUT" else ""
    return (
        f"SLURM's job {job}{f' ({words})' if words else ''} ran out of {what}{had}: its finished keyframes"
        f" are kept for the next try; if that ends so, too, set a larger {resource} ({unit}) for"
        f" {_rule(words)} under set-resources in the profile, and run the same command again."
    )


def _rule(words: str) -> str:
    """The rule of a job by its words in the queue, which are the executor's until the job has its own."""
    if match := re.match(r"rule_([a-z]+)", words):
        return match[1]
    return {"keyframes": "keyframes", "frames": "clip"}.get(words.rpartition(" ")[2], "its rule")


def _output(*command: str) -> str | None:
    """What a command of SLURM's prints; None when it hangs."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=ANSWER_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return None
    except OSError:
        return ""
    return done.stdout


def _number(job: str) -> str:
    """A job's own number, or that of its array."""
    return job.partition("_")[0]
