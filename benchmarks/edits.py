"""What an edit of a song of 38 lines costs against its whole film: python -m benchmarks.edits."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.conftest import REPOSITORY, TINY, Project, Run, new_project
from tests.songs import whole_song

SETTINGS = {**TINY, "size": "16x16", "keyframes_per_second": 2, "frames_per_second": 4, "tail": 0}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        lines = whole_song()
        project = new_project(Path(folder) / "song", **SETTINGS)
        project.write(lines)
        whole = _timed("the whole film", project)
        small = new_project(Path(folder) / "small", **SETTINGS)
        small.write([(lines[13][0], 0), (lines[14][0], lines[14][1] - lines[13][1])])
        start_up = _timed("a film of one line, most of it the start of processes", small)
        project.write([*lines[:13], ("a line that nobody has sung", lines[13][1]), *lines[14:]])
        edit = _timed("one line edited", project)
        print(f"the edit took {edit / whole:.3f} of the whole film's time")
        print(f"a 37th of it and the film of one line: {(whole / 37 + start_up) / whole:.3f}")
        project.write(lines)
        _timed("undone", project)
        project.write([*lines[:9], (lines[9][0], lines[9][1] + 0.5), *lines[10:]])
        print(_forecast(project))
        _timed("the 10th line half a second later", project)


def _timed(name: str, project: Project) -> float:
    started = time.monotonic()
    run = project.run()
    took = time.monotonic() - started
    assert run.status == 0, run.output
    print(f"{took:7.1f} s  {_jobs(run):<36} {name}", flush=True)
    return took


def _jobs(run: Run) -> str:
    return ", ".join(f"{count} {rule}" for rule, count in sorted(run.executed.items()))


def _forecast(project: Project) -> str:
    """What songreel plan says, but for the lines that are cached."""
    command = [sys.executable, "-m", "songreel", "plan"]
    environment = {"PYTHONPATH": str(REPOSITORY / "workflow")}
    done = subprocess.run(
        command, cwd=project.folder, env=environment, capture_output=True, text=True, check=True
    )
    return "\n".join(line for line in done.stdout.splitlines() if " cached " not in line)


if __name__ == "__main__":
    main()
