"""A call of snakemake as one sees it from outside: its processes, what its jobs do, what they say."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.conftest import Project, environment

IMPORTING, SAMPLING, DRAWING, JOINING = "importing", "sampling", "drawing", "joining"
INTERVAL = 0.2  # seconds between two looks


@dataclass(frozen=True)
class Job:
    """A running command of the package, and the shell that it was started from, if that is still there."""

    process: psutil.Process
    shell: psutil.Process | None
    doing: str

    def family(self) -> list[psutil.Process]:
        """The job's process, its shell, and the programs that it has started."""
        with contextlib.suppress(psutil.NoSuchProcess):
            family = [self.process, *self.process.children(recursive=True)]
            return [self.shell, *family] if self.shell else family
        return [self.process]


@dataclass(frozen=True, eq=False)
class Call:
    """A call of snakemake in a process group of its own, in which its jobs stay when it is killed."""

    process: subprocess.Popen[bytes]
    output: Path
    texts: Mapping[str, str]  # the lines as reports name them, by segment

    @classmethod
    def start(cls, project: Project, output: Path, texts: Mapping[str, str]) -> Call:
        """Render the film; what snakemake and its jobs print goes to `output`."""
        with output.open("wb") as file:
            process = subprocess.Popen(
                project.snakemake(),
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return cls(process, output, texts)

    def ended(self) -> bool:
        """Whether snakemake itself has ended."""
        return self.process.poll() is not None

    def members(self) -> list[psutil.Process]:
        """The processes of the group that live, snakemake among them."""
        return [process for process in psutil.process_iter() if self._has(process)]

    def _has(self, process: psutil.Process) -> bool:
        with contextlib.suppress(ProcessLookupError):
            return os.getpgid(process.pid) == self.process.pid and lives(process)
        return False

    def kill_all(self) -> None:
        """Kill the group at one blow."""
        if members := self.members():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            await_death(members)

    def begun(self) -> list[tuple[str, int]]:
        """The segments that its jobs began to sample, and the keyframes that each went on from."""
        said = self.output.read_text(encoding="utf-8", errors="replace")
        # A job's first report is the one that tells no speed.
        first = re.findall(r"^songreel: (.+): keyframe (\d+) of \d+(?:;.*)?$", said, re.MULTILINE)
        segments = {text: segment for segment, text in self.texts.items()}
        return [(segments[text], int(keyframes)) for text, keyframes in first]

    def workers(self) -> list[psutil.Process]:
        """The processes that do its jobs' work, those included that are idle."""
        return [process for process in self.members() if words_of(process)[1:3] == ["-m", "songreel.worker"]]

    def jobs(self) -> Iterator[Job]:
        """The jobs that run, whether snakemake still does or not."""
        begun = {segment for segment, _ in self.begun()}
        commands = {process: _command(process) for process in self.members()}
        for process, command in commands.items():
            parent = _parent(process)
            shell = parent if parent in commands and parent.pid != self.process.pid else None
            if command and not (
                shell and commands[shell]
            ):  # what a job has forked is not yet another program
                yield Job(process, shell, _doing(command, begun))


def lives(process: psutil.Process) -> bool:
    """Whether a process runs; one that is dead may wait for its parent to notice."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


def kill(processes: Sequence[psutil.Process]) -> None:
    """Kill processes, some of which may have ended meanwhile."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    await_death(processes)


def await_death(processes: Sequence[psutil.Process]) -> None:
    """Wait until killed processes are dead. Raises TimeoutError when one lives on, as in a hanging read."""
    if not happens(lambda: not any(map(lives, processes)), 60):
        raise TimeoutError(f"these were killed and live on: {processes}")


def happens(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether something comes about within some seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(left, INTERVAL))
    return True


def _command(process: psutil.Process) -> list[str]:
    """The words after `python -m songreel`; none when it is another program."""
    words = words_of(process)
    return words[3:] if words[1:3] == ["-m", "songreel"] else []


def words_of(process: psutil.Process) -> list[str]:
    """A process's command line; nothing when it has ended."""
    with contextlib.suppress(psutil.Error):
        return list(process.cmdline())
    return []


def _parent(process: psutil.Process) -> psutil.Process | None:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.parent()
    return None


def _doing(command: list[str], begun: set[str]) -> str:
    kind, plan, *_ = command
    if kind == "keyframes":
        return SAMPLING if Path(plan).stem in begun else IMPORTING
    return {"clip": DRAWING, "film": JOINING, "storyboard": JOINING}[kind]
