"""What the rules need of the Snakemake that runs them, also without profiles/default or as another's module.

Nothing becomes wrong by other settings, for files are named by what they hold: a job that is run once more
finds its work done. But Snakemake would run such jobs, and after a `kill -9` ask to be unlocked.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from songreel import data
from songreel.ground import files
from songreel.ground.errors import UserError
from songreel.ground.messages import say
from songreel.jobs import leases, workers

if TYPE_CHECKING:  # safetensors takes a while
    from songreel.models.weights import Weights

Models = Callable[[], "list[Weights]"]

FLAGS = "--rerun-triggers mtime --ignore-incomplete --nolock"


def is_part(workflow: Any) -> bool:
    """Whether the rules are a module of another workflow. Only while the Snakefile is read."""
    return not workflow.modifier.is_main_snakefile()


def has_config_of_its_own(workflow: Any) -> bool:
    """Whether a `module` statement gives the settings, not config.yaml. Only while the Snakefile is read."""
    return bool(workflow.modifier.skip_configfile)


def songs(workflow: Any) -> dict[Path, Models]:
    """What tells the models of each song, by its results folder.

    Several modules of one workflow render one each, and share what one rule fetches.
    """
    known: dict[Path, Models] = workflow.__dict__.setdefault("songreel_songs", {})
    return known


def add_song(workflow: Any, results: Path, models: Models) -> bool:
    """Make a song known; returns whether it is the first. Raises UserError when another has its folder."""
    known, folder = songs(workflow), results.resolve()
    if folder in known:
        raise UserError(
            f"module: found two songs with the results folder {results}, expected one for each; name others"
            f" with the key `results` in the modules' `config`."
        )
    known[folder] = models
    return len(known) == 1


def settle(workflow: Any) -> None:
    """Set what profiles/default sets, before anything is planned; another's workflow keeps its own settings.

    Snakemake has its settings only after it has read the Snakefile, so they are set on its way on.
    """
    _check_places(workflow)
    prepare = workflow._prepare_dag  # of Snakemake 9
    part, first = is_part(workflow), not songs(workflow)

    def prepare_settled(*args: Any, **settings: Any) -> None:
        if not part:
            _judge_by_times(workflow)
            settings |= {"ignore_incomplete": True, "nolock": True}
        elif first and workflow.is_main_process and settings.get("nolock") is False:
            say(f"part of another workflow, which may be stopped and started again at will with {FLAGS}.")
        prepare(*args, **settings)

    workflow._prepare_dag = prepare_settled


def bring_package(workflow: Any) -> None:
    """Have jobs in conda environments find this package, which those do not hold, and nothing beside it.

    Snakemake would take PYTHONPATH from them, since packages of another Python would come before their own.
    """
    from snakemake.settings.types import DeploymentMethod

    if DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method:
        folder = Path(".snakemake/songreel").absolute()
        _link(folder / "songreel", data.PACKAGE)
        os.environ["PYTHONPATH"] = str(folder)
        workflow.deployment_settings.conda_not_block_search_path_envvars = True


def share_workers(workflow: Any) -> None:
    """Let the jobs of a workflow that renders on this machine share workers; others must not look for any.

    In an environment or a container of its own a job needs a Python of its own. Before the Snakefile is read
    to its end this is a guess, for Snakemake does not say yet where it runs jobs.
    """
    deployed = workflow.deployment_settings.deployment_method
    if workflow.is_main_process and renders_here(workflow) and not deployed:
        leases.tell_jobs()
        workers.begin(workflow.resource_settings.cores or 1, len(leases.devices()))
    else:
        workers.forbid()
        leases.forget()


def renders_here(workflow: Any) -> bool:
    """Whether Snakemake runs jobs on this machine, as far as it says; see `share_workers`."""
    if workflow.executor_plugin:
        return workflow.local_exec and not workflow.dryrun and not workflow.touch
    given = workflow.resource_settings
    return given.cores is not None and given.nodes is None and not workflow.output_settings.dryrun


def end_timers() -> None:
    """Let Snakemake end at once when all is done.

    After each job it sets a timer of a second, to look whether more jobs may start, and ends with the last.
    """
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer) and thread.function.__module__.startswith("snakemake."):
            thread.cancel()


def _link(link: Path, target: Path) -> None:
    if link.resolve() == target:
        return
    link.parent.mkdir(parents=True, exist_ok=True)
    with files.replacing(link, lasting=False) as temporary:
        temporary.symlink_to(target)


def _judge_by_times(workflow: Any) -> None:
    from snakemake.settings.types import RerunTrigger

    if workflow.dag_settings.rerun_triggers == RerunTrigger.all():  # nobody has asked for others
        workflow.dag_settings.rerun_triggers = frozenset({RerunTrigger.MTIME})


def _check_places(workflow: Any) -> None:
    """Raise UserError when a `module` statement moves the files: commands and plans would not find them."""
    modifier = workflow.modifier.path_modifier
    if modifier.prefix or modifier._prefix_replacements:
        raise UserError(
            "module: found a `prefix` or `replace_prefix`, expected none; name another folder with the key"
            " `results` in the module's `config`."
        )
