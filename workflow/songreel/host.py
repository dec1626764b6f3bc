"""What the rules need of the Snakemake that runs them, also without profiles/default or as another's module.

Nothing becomes wrong by other settings, for files are named by what they hold: a job that is run once more
finds its work done. But Snakemake would run such jobs, and after a `kill -9` ask to be unlocked.
"""

from __future__ import annotations

from typing import Any

from songreel.errors import UserError
from songreel.progress import say

FLAGS = "--rerun-triggers mtime --ignore-incomplete --nolock"


def is_part(workflow: Any) -> bool:
    """Whether the rules are a module of another workflow. Only while the Snakefile is read."""
    return not workflow.modifier.is_main_snakefile()


def has_config_of_its_own(workflow: Any) -> bool:
    """Whether a `module` statement gives the settings, not config.yaml. Only while the Snakefile is read."""
    return bool(workflow.modifier.skip_configfile)


def settle(workflow: Any) -> None:
    """Set what profiles/default sets, before anything is planned; another's workflow keeps its own settings.

    Snakemake has its settings only after it has read the Snakefile, so they are set on its way on.
    """
    _check_places(workflow)
    part, prepare = is_part(workflow), workflow._prepare_dag  # of Snakemake 9

    def prepare_settled(*args: Any, **settings: Any) -> None:
        if not part:
            _judge_by_times(workflow)
            settings |= {"ignore_incomplete": True, "nolock": True}
        elif workflow.is_main_process and settings.get("nolock") is False:
            say(f"part of another workflow, which may be stopped and started again at will with {FLAGS}.")
        prepare(*args, **settings)

    workflow._prepare_dag = prepare_settled


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
