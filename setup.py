"""Puts into a wheel what lies beside the package in a checkout; the rest is in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

# By name, for a checkout may hold songs and models of its user's own.
DATA = (
    "Snakefile",
    "config.yaml",
    "envs/songreel.yaml",
    "fonts",
    "models/published.yaml",
    "models/starter",
    "profiles/default/config.yaml",
    "profiles/slurm/config.yaml",
    "screenplays/over-the-river.csv",
    "screenplays/over-the-river.mp3",
    "workflow/report",
    "workflow/rules",
    "workflow/schemas",
)


class BuildWithData(build_py):
    """Copies DATA into the package, where songreel/data.py finds it."""

    def run(self) -> None:
        """Build from nothing: what an earlier build left in the same folder would get into the wheel, too."""
        if self.editable_mode:
            super().run()
            return
        build = Path(self.build_lib)
        shutil.rmtree(build, ignore_errors=True)
        super().run()
        for name in DATA:
            source, target = Path(name), build / "songreel/share" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if source.is_dir() else shutil.copy
            copy(source, target)


setup(cmdclass={"build_py": BuildWithData})
