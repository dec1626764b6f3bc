"""What a job tells SLURM, and how it uses the time between SIGTERM and the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from songreel.jobs import scheduler
from tests.conftest import REPOSITORY

# A job at work on a keyframe, which is kept when a line comes in.
SCRIPT = """
import sys
from songreel.jobs import scheduler
from songreel.ground import stops

with stops.handled(lambda: print("told", flush=True)):
    with scheduler.grace():
        print("at work", flush=True)
        sys.stdin.readline()
        print("kept", flush=True)
    print("goes on", flush=True)
"""


def stopped(number: signal.Signals, **variables: str) -> tuple[list[str], int]:
    """What a job says that is stopped at work, and its exit status."""
    inherited = {key: value for key, value in os.environ.items() if key != scheduler.JOB}
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        env=inherited | {"PYTHONPATH": str(REPOSITORY / "workflow"), **variables},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.default_int_handler
        ),  # a shell's `&` ignores it
    ) as process:
        assert process.stdout and process.stdin
        assert process.stdout.readline() == "at work\n"
        process.send_signal(number)
        process.send_signal(number)  # from SLURM and from Snakemake
        words, _ = process.communicate("\n", timeout=60)
    return words.split("\n")[:-1], process.returncode


def test_a_job_of_slurm_keeps_its_keyframe_before_it_obeys() -> None:
    assert stopped(signal.SIGTERM, SLURM_JOB_ID="7") == (["kept", "told"], 143)


def test_other_jobs_obey_at_once() -> None:
    assert stopped(signal.SIGTERM) == (["told"], 143)
    assert stopped(signal.SIGINT, SLURM_JOB_ID="7") == (["told"], 130)


@pytest.mark.parametrize(
    ("variables", "job"),
    [
        ({"SLURM_JOB_ID": "7"}, "7"),
        ({"SLURM_JOB_ID": "9", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "2"}, "7_2"),
    ],
)
def test_the_queue_shows_a_lines_words(
    variables: dict[str, str], job: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, told = tmp_path / "scontrol", tmp_path / "told"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {told}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    scheduler.show("'Down' by the \"river\"; $(x)")
    assert told.read_text().splitlines() == [
        "update",
        f"JobId={job}",
        "Comment='Down' by the \"river\"; $(x)",
    ]


def test_nobody_is_told_without_slurm_and_no_harm_is_done_without_its_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv(scheduler.JOB, "7")
    scheduler.show("words")
    monkeypatch.delenv(scheduler.JOB)
    program = tmp_path / "scontrol"
    program.write_text(f"#!/bin/sh\n: > {tmp_path}/told\n")
    program.chmod(0o755)
    scheduler.show("words")
    assert not (tmp_path / "told").exists()
