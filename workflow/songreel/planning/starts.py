"""Has a process of its own rank an album's pictures and keep those that lines start from.

What it does is in `jobs/choosing.py`. To import PyTorch takes longer than all else that a plan does, so that
nothing here does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress

from songreel import data
from songreel.ground.errors import UserError
from songreel.ground.files import read_json
from songreel.ground.messages import say, shorten
from songreel.ground.paths import Paths
from songreel.models.weights import Weights
from songreel.planning import choices
from songreel.planning.choices import Choice, Request

SPEAKER = "songreel: "


def choose(request: Request, judges: Sequence[Weights], paths: Paths) -> list[Choice]:
    """The picture of each line: by the rankings that are kept, or else by new ones.

    Raises UserError when a picture or one of the models that choose cannot be read.
    """
    rankings = choices.known(request, paths)
    if unknown := [text for text in request.texts if text not in rankings]:
        check_ready(judges)
        count = f"{len(unknown)} line{'s' * (len(unknown) != 1)}"
        say(f"choosing the pictures that {count} may start from, which is kept for the next time.")
        run(request, paths)
        rankings = choices.known(request, paths)
    return choices.assigned(request.lines, rankings)


def check_ready(judges: Sequence[Weights]) -> None:
    """Raise UserError when a perceptor that chooses is not there yet: only jobs and `fetch` fetch models."""
    for judge in judges:
        if not judge.tensors.is_file() or not judge.architecture.is_file():
            raise UserError(
                f"config key 'album': pictures are chosen by the perceptor {judge.name!r}, found that its"
                f" weights are not there yet; run songreel fetch {judge.name} first, or write 'album: none'."
            )


def run(request: Request, paths: Paths) -> None:
    """Rank what is not ranked yet, and keep the pictures that lines start from, in a process of its own.

    What it says of its progress is said here. Raises UserError with what it says when it fails.
    """
    command = [sys.executable, "-m", "songreel", "choose", "--results", str(paths.root)]
    with subprocess.Popen(
        command,
        env=_environment(),
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="backslashreplace",
    ) as process:
        lines = list(_heard(request, process))
    if process.returncode:
        raise UserError(_reason(process.returncode, lines))
    for line in lines[-1:]:
        _say_again(line)


def _heard(request: Request, process: subprocess.Popen[str]) -> Iterator[str]:
    """The lines that a process writes, once it has its request; all but the last one are said at once."""
    assert process.stdin and process.stderr
    with suppress(BrokenPipeError):  # it has ended, and says why
        json.dump(request.to_json(), process.stdin)
        process.stdin.close()
    before = ""
    for line in process.stderr:
        # The last one may be why it failed, which is for an error to say.
        _say_again(before)
        before = line.rstrip()
        yield before


def _say_again(line: str) -> None:
    if line.startswith(SPEAKER):
        say(line.removeprefix(SPEAKER))


def _environment() -> dict[str, str]:
    """With this package, wherever it lies, and no GPU: the same pictures are chosen everywhere."""
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    if not data.INSTALLED:
        known = os.environ.get("PYTHONPATH")
        environment["PYTHONPATH"] = os.pathsep.join([str(data.PACKAGE.parent), *([known] if known else [])])
    return environment


def _reason(status: int, lines: Sequence[str]) -> str:
    """What a process that failed has said, as one sentence where it is one."""
    sentences = [line.removeprefix(SPEAKER) for line in lines if line.startswith(SPEAKER)]
    if sentences:
        return sentences[-1]
    if status < 0:
        return (
            f"config key 'album': choosing pictures was ended by signal {-status}, most likely for want of"
            f" memory; run the same command again, or write 'album: none'."
        )
    return "config key 'album': choosing pictures failed:\n" + "\n".join(lines)


# What a person is told


def note(request: Request, chosen: Sequence[Choice]) -> str:
    """What a film's lines start from, in words."""
    folder, count = request.album.folder, len({choice.start for choice in chosen})
    whose = (
        f"{folder!r}, of whose {len(request.album.pictures)} pictures"
        if folder
        else "the starter's, of which"
    )
    lines = f"{len(chosen)} line{'s' * (len(chosen) != 1)}"
    return f"{whose} {lines} start from {count}; songreel plan says which"


def changes(
    song: str, rows: Sequence[int], request: Request, chosen: Sequence[Choice], paths: Paths
) -> list[str]:
    """Which lines start from another picture than by the plan that was carried out last, a sentence each."""
    before = _before(song, paths)
    sentences = []
    for row, line, choice in zip(rows, request.lines, chosen, strict=True):
        start, name = before.get(line.key, (choice.start, ""))
        if start != choice.start:
            sentences.append(
                f"row {row} {shorten(line.text)} starts from {choice.name!r} now, not from {name!r}, and"
                f" is rendered anew."
            )
    return sentences


def remembered(request: Request, chosen: Sequence[Choice]) -> list[list[str | int]]:
    """What is kept of a plan's choices: text, take, the picture's sha256 and its name."""
    rows = zip(request.lines, chosen, strict=True)
    return [[line.text, line.take, choice.start, choice.name] for line, choice in rows]


def _before(song: str, paths: Paths) -> dict[tuple[str, int], tuple[str, str]]:
    with suppress(UserError, OSError, ValueError, TypeError):
        return {
            (str(text), int(take)): (str(start), str(name))
            for text, take, start, name in read_json(paths.starts_of(song))
        }
    return {}
