"""What the project promises about itself: its files agree with each other."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from songreel import __version__
from songreel.planning.config import schema

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "workflow" / "songreel"
MOST_LINES, MOST_LINES_OF_A_FUNCTION = 320, 45


def _pyproject() -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project


@pytest.mark.parametrize("name", ["songreel", "starter"])
def test_the_conda_environment_has_the_versions_of_pyproject(name: str) -> None:
    environment = yaml.safe_load((ROOT / "envs" / f"{name}.yaml").read_text(encoding="utf-8"))
    packages = environment["dependencies"][-1]["pip"]
    project, workflow_only = _pyproject(), ("snakemake",)
    wanted = [entry for entry in project["dependencies"] if not entry.startswith(workflow_only)]
    assert packages == wanted + project["optional-dependencies"].get(name, [])


def test_the_package_knows_its_version() -> None:
    assert _pyproject()["version"] == __version__


def test_the_readme_tells_each_preset_as_it_is() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \|(.*)\|$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    told = {name: [cell.strip() for cell in cells.split("|")] for name, cells in rows}
    for name, preset in schema()["presets"].items():
        keys = ("keyframes_per_second", "iterations", "frames_per_second", "size")
        assert [told[name][column] for column in (0, 1, 3, 4)] == [str(preset[key]) for key in keys]


def test_imports_run_one_way() -> None:
    imports = {path.stem: _imports(path) for path in PACKAGE.glob("*.py")}
    seen: set[str] = set()
    while imports:
        ready = {name for name, needs in imports.items() if needs <= seen}
        assert ready, f"these import each other in a circle: {sorted(imports)}"
        seen |= ready
        imports = {name: needs for name, needs in imports.items() if name not in ready}


def _imports(path: Path) -> set[str]:
    text = path.read_text(encoding="utf-8")
    lists = re.findall(r"^\s*from songreel import (.+)$", text, re.MULTILINE)
    names = {name.strip() for names in lists for name in names.split(",")}
    names |= set(re.findall(r"^\s*from songreel\.(\w+) import", text, re.MULTILINE))
    return {name for name in names if (PACKAGE / f"{name}.py").exists()}


def test_no_module_of_the_package_is_longer_than_can_be_kept_in_mind() -> None:
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in PACKAGE.rglob("*.py")}
    assert not {path.name: count for path, count in lines.items() if count > MOST_LINES}


def test_no_function_is_longer_than_a_screen() -> None:
    for path in (ROOT / "workflow").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
                count = node.end_lineno - node.lineno + 1
                assert count <= MOST_LINES_OF_A_FUNCTION, f"{path}: {node.name} has {count} lines"


def test_the_tests_import_no_benchmark() -> None:
    """Benchmarks may use what tests render with; what tests a benchmark lies beside it."""
    for path in (ROOT / "tests").glob("*.py"):
        assert not re.search(
            r"^\s*(from|import) benchmarks\b", path.read_text(encoding="utf-8"), re.MULTILINE
        )


def test_the_commands_tell_their_use_without_importing_torch() -> None:
    code = """
import sys
from songreel.cli import main
try:
    main(["--help"])
except SystemExit:
    print("torch" in sys.modules)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "keyframes" in run.stdout
    assert run.stdout.strip().endswith("False")
