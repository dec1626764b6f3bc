"""The command line helps: examples that work, the word that was meant, completion, exit statuses as told."""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from songreel import cli, help_commands, usage
from songreel.cli import main
from songreel.ground import messages
from songreel.ground.errors import UserError
from tests.conftest import REPOSITORY

COMMANDS = dict(cli._parser().commands)
DOCUMENT = REPOSITORY / "docs/watching.md"


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The last row of what is printed when a command line is not understood."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_an_example_that_is_understood(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    examples = usage.EXAMPLES[name]
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    printed = capsys.readouterr().out
    assert ended.value.code == 0 and all(f"\n  {example}\n" in printed for example in examples)
    for example in examples:
        words = shlex.split(example, comments=True)
        until = next((at for at, word in enumerate(words) if word in ("<", ">")), len(words))
        options = cli._parser().parse_args(words[1:until])
        assert words[:2] == ["songreel", name] and options.parser.prog == f"songreel {name}"


def test_no_example_is_of_a_command_that_is_gone() -> None:
    assert usage.EXAMPLES.keys() == COMMANDS.keys()


def test_songreel_alone_shows_what_it_can(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    printed = capsys.readouterr().out
    assert all(f"\n    {name}" in printed for name in COMMANDS)


def test_a_misspelt_word_is_told_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, "paln").endswith("did you mean 'plan'?")
    assert refused(capsys, "Doctor", "--json").endswith("did you mean 'doctor'?")
    assert refused(capsys, "plan", "--prcie", "3").endswith("did you mean '--price'?")
    assert refused(capsys, "prune", "--configfiles=a.yaml").endswith("did you mean '--configfile'?")
    assert refused(capsys, "export", "vttt").endswith("did you mean 'vtt'?")
    assert refused(capsys, "bench", "--only", "ful").endswith("did you mean 'full'?")
    told = refused(capsys, "xyzzy")
    assert "expected one of new, plan" in told and "did you mean" not in told


def test_a_word_too_many_is_refused_where_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, "plan", "river.csv") == "songreel plan: error: found river.csv, expected none"


@pytest.mark.parametrize("shell", usage.SHELLS)
def test_a_shell_is_told_every_command_and_option(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    options = {
        option.lstrip("-")
        for command in COMMANDS.values()
        for action in command._actions
        for option in action.option_strings
    }
    assert all(re.search(rf"\b{word}\b", script) for word in (*COMMANDS, *options))
    if program := shutil.which(shell):
        subprocess.run([program, "-n"], input=script, text=True, check=True)


def completed(script: str, *words: str) -> list[str]:
    """What bash offers for the last word of a command line."""
    line = " ".join(map(shlex.quote, words))
    ask = f"COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _shtab_songreel; echo ${{COMPREPLY[@]}}"
    done = subprocess.run(["bash", "-c", f"{script}\n{ask}"], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_bash_completes_commands_options_and_formats(capsys: pytest.CaptureFixture[str]) -> None:
    main(["completion", "bash"])
    script = capsys.readouterr().out
    assert completed(script, "songreel", "pr") == ["prune", "preview"]
    assert completed(script, "songreel", "plan", "--pr") == ["--price"]
    assert completed(script, "songreel", "export", "v") == ["vtt"]


def test_quiet_leaves_the_answer_and_the_failures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text("screenplay: a.csv\nalbum: none\n")
    (tmp_path / "a.csv").write_text("Down by the river,0\nruns,200\n")
    assert main(["plan", "--quiet"]) == 0
    printed = capsys.readouterr()
    assert re.fullmatch(r"\d+ keyframes, \d+ iterations to do: .*\n", printed.out) and printed.err == ""
    assert main(["plan", "--quiet", "--config", "screenplay=b.csv", "--log", "a.log"]) == 1
    assert capsys.readouterr().err.startswith("songreel: b.csv: found no such file")
    assert "b.csv" in (tmp_path / "a.log").read_text()
    messages.say("as before")
    assert capsys.readouterr().err == "songreel: as before\n"


def test_what_can_be_removed_is_told_to_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text("screenplay: screenplays/a.csv\nalbum: none\naudio: none\n")
    (tmp_path / "screenplays").mkdir()
    (tmp_path / "screenplays/a.csv").write_text("Down by the river,0\nruns,2\n")
    clip = tmp_path / "results/clips/0123456789abcdef.mp4"
    clip.parent.mkdir(parents=True)
    clip.write_bytes(b"1234")
    assert main(["prune", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert not told["removed"] and [(it["path"], it["size"]) for it in told["items"]] == [
        ("results/clips/0123456789abcdef.mp4", 4)
    ]
    assert main(["prune", "--json", "--yes"]) == 0 and not clip.exists()


# Exit statuses


def statuses() -> dict[int, str]:
    """Those that the document lists, with what they are for."""
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    return {int(number): words for number, words in rows}


def stopped(number: signal.Signals, folder: Path) -> int:
    """The status of a command that a signal stops, which waits for its standard input."""
    process = subprocess.Popen(
        [sys.executable, "-m", "songreel", "choose", "--results", str(folder), "--log", str(folder / "log")],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "workflow")},
    )
    deadline = time.monotonic() + 60
    while not caught(process.pid, number) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(number)
    process.communicate()
    return process.returncode


def caught(process: int, number: signal.Signals) -> bool:
    """Whether a process has songreel's own handler of a signal; Python has one of Ctrl-C from the start."""
    if number == signal.SIGINT:
        return caught(process, signal.SIGTERM)
    mask = re.search(r"^SigCgt:\s*(\w+)$", Path(f"/proc/{process}/status").read_text(), re.MULTILINE)
    return bool(mask and int(mask[1], 16) >> (number - 1) & 1)


def unread() -> int:
    """The status of a command whose reader is gone."""
    process = subprocess.Popen(
        [sys.executable, "-m", "songreel", "completion", "bash"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "workflow")},
    )
    assert process.stdout and process.stderr
    process.stdout.close()
    assert process.stderr.read() == b""
    return process.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_commands_end_with_the_statuses_that_the_document_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    seen = {
        main(["completion", "fish"]),
        main(["plan", "--config", "screenplay=none.csv"]),
        stopped(signal.SIGINT, tmp_path),
        stopped(signal.SIGTERM, tmp_path),
        unread(),
    }
    with pytest.raises(SystemExit) as ended:
        main(["plan", "--nothing"])
    assert {*seen, ended.value.code} == set(statuses()) == {0, 1, 2, 130, 141, 143}


def test_a_command_may_say_how_it_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(_: argparse.Namespace) -> int:
        return 1

    monkeypatch.setattr(help_commands, "_completion", run)
    assert main(["completion", "bash"]) == 1


def test_a_failure_is_one_sentence_and_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: Any) -> Iterator[None]:
        raise UserError("a.csv: found nothing, expected a line; write one.")

    monkeypatch.setattr(usage, "completion", fails)
    assert main(["completion", "bash", "--quiet"]) == 1
    assert capsys.readouterr().err == "songreel: a.csv: found nothing, expected a line; write one.\n"
