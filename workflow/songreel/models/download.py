"""Bring a published file into the cache of weights, or find it there.

Only what has the right sha256 gets the file's name. Whatever ends a download, what has arrived stays beside
it in `<file>.part`, and the next one goes on from there. `<file>.sha256` remembers what a file was found to
hash to, so that gigabytes are read once.
"""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from urllib.parse import urlsplit

import requests

from songreel.ground.errors import UserError
from songreel.ground.files import write_json_if_changed
from songreel.ground.messages import EVERY, duration, say
from songreel.models import answers, digests
from songreel.models.answers import BrokenError, UnreachableError, UselessError
from songreel.models.catalogue import Remote
from songreel.models.digests import megabytes

PAUSE_SECONDS = 1.0  # before a connection that broke is made again
TRIES = 3  # in a row that bring no byte more, until an address is given up


def fetch(remote: Remote, folder: Path) -> Path:
    """A file in the cache, downloaded if it is not there, saying how far it is.

    One process downloads and the others wait for it. A file that is there already, brought by whomever, is
    hashed once and needs no network. Raises UserError when the file is another than the published one, or
    cannot be had; OSError when the folder cannot be written.
    """
    target = folder.absolute() / remote.name  # as sentences tell it
    if not _there(target):
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(target):
            if not _there(target):
                _Download(remote, target).run()
    digests.check(remote, target)
    return target


def _there(target: Path) -> bool:
    """Whether a user's file has that name; a link to a disk that is not mounted is one too."""
    return target.exists() or target.is_symlink()


# One process at a time


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """Wait until no other process downloads the file. The kernel ends the lock with the process.

    Some file systems of clusters have no locks: two processes then write the same bytes at the same places.
    `filelock` would save no line, look again and again, and may leave a marker where there are none.
    """
    path = target.with_name(f".{target.name}.lock")
    with path.open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = path.read_text(encoding="utf-8") or "another process"
            say(f"{target.name}: waiting for {holder}, which is downloading it.")
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError:
            pass
        with _naming(path):
            os.truncate(lock.fileno(), 0)
            os.write(lock.fileno(), f"process {os.getpid()} on {platform.node()}".encode())
        yield


# The download


class _Download:
    """One file's way into the cache, from the first of its addresses that gives it."""

    def __init__(self, remote: Remote, target: Path) -> None:
        self.remote, self.target = remote, target
        self.part = target.with_name(f"{target.name}.part")
        # Which address the part was begun from
        self.source = target.with_name(f"{target.name}.part.json")
        # Whether the part may be put together from several answers
        self.mended = self.part.exists()
        self.session = answers.Session()

    def run(self) -> None:
        """Try one address after the other. Raises UserError when none gives the file."""
        failures = []
        with self.session:
            for url in self.remote.urls:
                try:
                    self._bring(url)
                except UselessError as error:
                    failures.append(f"{url}: {error}")
                    say(f"{self.remote.name}: {failures[-1]}.")
                else:
                    return
        raise UserError(self._unavailable(failures))

    def _bring(self, url: str) -> None:
        """Bring the file from one address; once more from its start if what was put together is not it."""
        self._fill(url)
        sha256 = self._hash()
        if self.mended and sha256 != self.remote.sha256:
            say(f"{self.remote.name}: the parts do not fit together; downloading it from its start again.")
            self._discard()
            self._fill(url)
            sha256 = self._hash()
        if sha256 != self.remote.sha256:
            self._discard()
            raise UselessError(f"found sha256 {sha256}, expected {self.remote.sha256}")
        self._keep(sha256)

    def _fill(self, url: str) -> None:
        """Complete the part, however often the connection breaks, for as long as bytes arrive."""
        begun = furthest = self._size()
        tries = 0
        while True:
            try:
                return self._go_on(url)
            except BrokenError as error:
                tries = 0 if self._size() > furthest else tries + 1
                furthest = max(furthest, self._size())
                never = furthest == begun and isinstance(error, UnreachableError)
                if never or tries == TRIES:
                    raise UselessError(str(error)) from None
                time.sleep(PAUSE_SECONDS * (1 + tries))

    def _go_on(self, url: str) -> None:
        """Ask once for what is missing; from the start where the answer is not that."""
        offset = self._usable()
        if offset == self.remote.bytes:
            return None
        for start in (offset, 0):
            with self._ask(url, start) as response:
                if response.status_code == answers.WHOLE:
                    return self._receive(url, response, 0)
                if response.status_code == answers.PART and self._fits(response, start):
                    return self._receive(url, response, start)
        raise UselessError("found another part of the file than was asked for")

    def _usable(self) -> int:
        """From which byte to go on: the sha256 will prove what has arrived, wherever it came from."""
        if self._size() > self.remote.bytes:
            self._discard()
        return self._size()

    def _fits(self, response: requests.Response, start: int) -> bool:
        """Whether a part of a file is the one that was asked for."""
        begins = response.headers.get("Content-Range", "").startswith(f"bytes {start}-")
        return start > 0 and begins and answers.total_of(response) in (None, self.remote.bytes)

    def _ask(self, url: str, start: int) -> requests.Response:
        headers = {"Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
            begun = digests.read_record(self.source)
            if begun.get("url") == url and begun.get("validator"):
                headers["If-Range"] = begun["validator"]
        return self.session.ask(url, headers)

    def _receive(self, url: str, response: requests.Response, start: int) -> None:
        """Write what an answer holds into the part, from byte `start` on."""
        self._check_announced(response, start)
        chunks = answers.chunks(response)
        first = next(chunks, b"")
        if not start:
            self._begin(url, response, first)
        self._check_space()
        progress = _Progress(self.remote, start)
        progress.begin(urlsplit(url).hostname or url)
        self.mended = start > 0
        with _naming(self.part), self.part.open("r+b" if start else "wb") as file:
            file.seek(start)
            for chunk in chain((first,), chunks):
                file.write(chunk)
                progress.more(len(chunk))
        if progress.done < self.remote.bytes:
            raise BrokenError(f"the connection was cut after {progress.done} of {self.remote.bytes} bytes")

    def _check_announced(self, response: requests.Response, start: int) -> None:
        """Raise UselessError when an answer says that it is another file."""
        length = response.headers.get("Content-Length", "")
        announced = start + int(length) if length.isdecimal() else answers.total_of(response)
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise UselessError("found the file compressed, expected it as it is")
        if announced not in (None, self.remote.bytes):
            raise UselessError(f"found {announced} bytes, expected {self.remote.bytes}")

    def _begin(self, url: str, response: requests.Response, first: bytes) -> None:
        """Note where a new part comes from, and refuse a web page before it replaces the old one."""
        if not first:
            raise UselessError("found an empty file, expected weights")
        if answers.is_page(first):
            raise UselessError("found a web page, expected weights")
        self._discard()
        write_json_if_changed(self.source, {"url": url, "validator": answers.validator(response)})

    def _check_space(self) -> None:
        folder = self.target.parent
        missing, free = self.remote.bytes - self._size(), shutil.disk_usage(folder).free
        if missing > free:
            raise UserError(
                f"{folder}: found {megabytes(free)} free, expected {megabytes(missing)} for"
                f" {self.remote.name}; free some space, or name a folder on another disk in the environment"
                f" variable {digests.FOLDER}."
            )

    def _hash(self) -> str:
        return digests.digest(self.part, aloud=True)

    def _size(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _discard(self) -> None:
        self.part.unlink(missing_ok=True)
        self.source.unlink(missing_ok=True)
        self.mended = False

    def _keep(self, sha256: str) -> None:
        """Give the part the file's name, safe from a power cut."""
        with _naming(self.part), self.part.open("rb") as file:
            os.fsync(file.fileno())
        digests.remember(digests.record(self.target), self.part.stat(), sha256)
        self.part.replace(self.target)
        self.source.unlink(missing_ok=True)
        say(f"{self.remote.name}: all {megabytes(self.target.stat().st_size)} are there.")

    def _unavailable(self, failures: list[str]) -> str:
        facts = f"{self.remote.bytes} bytes, sha256 {self.remote.sha256}"
        return (
            f"{self.target}: found no such file, and none of its addresses gives it ({'; '.join(failures)});"
            f" run the same command again when they can be reached, or get the file ({facts}) from"
            f" one of them in another way and put it there."
        )


class _Progress:
    """Tells every few seconds how much of a file is there, how fast it comes and how long it will take."""

    def __init__(self, remote: Remote, start: int) -> None:
        self.name, self.total = remote.name, remote.bytes
        self.start = self.done = start
        self.started = self.reported = time.monotonic()

    def begin(self, host: str) -> None:
        """The first bytes are there."""
        whole = megabytes(self.total)
        say(
            f"{self.name}: going on after {megabytes(self.start)} of {whole}, from {host}."
            if self.start
            else f"{self.name}: downloading {whole} from {host}."
        )

    def more(self, count: int) -> None:
        """So many bytes more are there."""
        self.done += count
        if self.done > self.total:
            raise UselessError(f"found more than the expected {self.total} bytes")
        if time.monotonic() - self.reported >= EVERY:
            self.reported = time.monotonic()
            say(f"{self.name}: {self._state()}")

    def _state(self) -> str:
        speed = max(self.done - self.start, 1) / max(self.reported - self.started, 1e-9)
        left = duration((self.total - self.done) / speed)
        return f"{self.done / 1e6:.0f} of {megabytes(self.total)}, {speed / 1e6:.1f} MB/s, {left} left"


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Let an OSError tell the file: a disk that is full names none."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise
