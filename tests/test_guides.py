"""What the documents for people promise: links that lead somewhere, a table that lists every module."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from songreel import __version__
from songreel.ground import documents
from songreel.models import catalogue

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "workflow/songreel"
FOLDERS = (ROOT, PACKAGE)  # that names in CONTRIBUTING's table are seen from
GUIDES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("models/*/*.md")])
MOST_LINES = 130  # of the README

_BLOCK = re.compile(r"^( *)```.*?^\1```", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"\]\(\s*([^)\s]+)[^)]*\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def links(text: str) -> list[str]:
    """The targets of a document's links and pictures, code left out."""
    return _LINK.findall(_CODE.sub("", _BLOCK.sub("", text)))


def anchors(text: str) -> set[str]:
    """What GitHub calls a document's headings in links."""
    headings = (heading.lower() for heading in _HEADING.findall(_BLOCK.sub("", text)))
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in headings}


def dead(guide: Path, text: str) -> Iterator[str]:
    """The links of a document of this project that lead nowhere in it."""
    for link in links(text):
        if re.match(r"[a-z]+:", link):
            continue  # another site
        path, _, anchor = link.partition("#")
        target = guide.parent / path if path else guide
        if not target.exists() or (anchor and anchor not in anchors(read(target))):
            yield link


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(guide: Path) -> None:
    assert not list(dead(guide, read(guide)))


def test_a_link_that_leads_nowhere_is_found() -> None:
    text = "[a](LICENSE) [b](docs/gone.md) [c](#start) [d](#gone) [e](docs/cost.md#gone) `[f](code.md)`"
    assert list(dead(ROOT / "README.md", text)) == ["docs/gone.md", "#gone", "docs/cost.md#gone"]


def test_every_guide_is_found_from_the_readme() -> None:
    linked = {(ROOT / link.partition("#")[0]).resolve() for link in links(read(ROOT / "README.md"))}
    assert set(GUIDES) - {ROOT / "README.md"} <= linked


def test_the_readme_is_read_in_minutes() -> None:
    assert len(read(ROOT / "README.md").splitlines()) <= MOST_LINES


def told_in_the_table() -> set[str]:
    """The files and folders that CONTRIBUTING says to look at."""
    section = read(ROOT / "CONTRIBUTING.md").partition("\n## Where to change what\n")[2].partition("\n## ")[0]
    return set(re.findall(r"`([^`]+)`", "".join(re.findall(r"^\|.*\|(.*)\|$", section, re.MULTILINE))))


def test_the_table_of_contributing_lists_every_module() -> None:
    modules = {path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py") if not path.stem.startswith("__")}
    told = told_in_the_table()
    places = {module: {str(module), *(f"{parent}/" for parent in module.parents)} for module in modules}
    assert not [str(module) for module, names in sorted(places.items()) if not names & told]


def test_the_table_of_contributing_names_nothing_that_is_gone() -> None:
    told = told_in_the_table()
    assert not [name for name in sorted(told) if not any((folder / name).exists() for folder in FOLDERS)]


def test_commands_that_contributing_names_are_there() -> None:
    named = re.findall(r"`(?:python -m )?((?:benchmarks|tests)\.\w+)", read(ROOT / "CONTRIBUTING.md"))
    assert named
    assert not [name for name in named if not (ROOT / f"{name.replace('.', '/')}.py").is_file()]


def test_every_published_model_is_told() -> None:
    told = set(re.findall(r"^\| `([^`]+)` \|", read(ROOT / "docs/models.md"), re.MULTILINE))
    assert {*catalogue.vqgans(), *catalogue.perceptors()} <= told


def test_the_changelog_says_what_the_version_renders_anew() -> None:
    entry = read(ROOT / "CHANGELOG.md").partition(f"\n## [{__version__}]")[2].partition("\n## ")[0]
    numbers = f"`RECIPE` {documents.RECIPE}, `DRAWING` {documents.DRAWING}, `JOINING` {documents.JOINING}"
    assert numbers in entry


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load(read(ROOT / "CITATION.cff"))
    assert (str(citation["version"]), citation["license"]) == (__version__, "MIT")


def test_the_hooks_before_a_commit_have_the_versions_of_the_checks() -> None:
    extras: dict[str, Any] = tomllib.loads(read(ROOT / "pyproject.toml"))["project"]["optional-dependencies"]
    (repository,) = yaml.safe_load(read(ROOT / ".pre-commit-config.yaml"))["repos"]
    wanted = {name for hook in repository["hooks"] for name in hook["additional_dependencies"]}
    assert wanted
    assert wanted <= set(extras["test"])


def test_an_installed_package_brings_its_types(tmp_path: Path) -> None:
    command = ["egg_info", "--egg-base", str(tmp_path), "build_py", "--build-lib", str(tmp_path / "lib")]
    code = "import setuptools; setuptools.setup()"
    subprocess.run([sys.executable, "-c", code, *command], cwd=ROOT, capture_output=True, check=True)
    assert (tmp_path / "lib/songreel/py.typed").is_file()
