"""Bring a published file into the cache of weights, or find it there.

Only what has the right sha256 gets the file's name. Whatever ends a download, what has arrived stays beside
it in `<file>.part`, and the next one goes on from there. `<file>.sha256` remembers what a file was found to
hash to, so that gigabytes are read once.
"""

from __future__ import annotations

import fcntl
import ipaddress
import os
import platform
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import requests
from requests.exceptions import RequestException
from urllib3.exceptions import HTTPError

from songreel.ground.errors import UserError
from songreel.ground.files import write_json_if_changed
from songreel.ground.telling import EVERY, clock
from songreel.models import digests
from songreel.models.catalogue import Remote
from songreel.models.digests import Tell, megabytes

CONNECT_SECONDS = 10.0
READ_SECONDS = 60.0  # without a byte
PAUSE_SECONDS = 1.0  # before a connection that broke is made again
TRIES = 3  # in a row that bring no byte more, until an address is given up
CHUNK = 1 << 15  # bytes

WHOLE, PART, NO_SUCH_PART, BUSY, BROKEN = 200, 206, 416, 429, 500  # HTTP statuses, the last and all above it


class _BrokenError(Exception):
    """The connection broke, and the same address may go on."""


class _UnreachableError(_BrokenError):
    """No connection was made, or no answer came."""


class _UselessError(Exception):
    """An address does not give the file, and why."""


def fetch(remote: Remote, folder: Path, tell: Tell) -> Path:
    """A file in the cache, downloaded if it is not there; `tell` hears how far it is.

    One process downloads and the others wait for it. A file that is there already, brought by whomever, is
    hashed once and needs no network. Raises UserError when the file is another than the published one, or
    cannot be had; OSError when the folder cannot be written.
    """
    target = folder.absolute() / remote.name  # as sentences tell it
    if not _there(target):
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(target, tell):
            if not _there(target):
                _Download(remote, target, tell).run()
    digests.check(remote, target, tell)
    return target


def _there(target: Path) -> bool:
    """Whether a user's file has that name; a link to a disk that is not mounted is one too."""
    return target.exists() or target.is_symlink()


# One process at a time


@contextmanager
def _alone(target: Path, tell: Tell) -> Iterator[None]:
    """Wait until no other process downloads the file. The kernel ends the claim with the process.

    Some file systems of clusters have no locks: two processes then write the same bytes at the same places.
    `filelock` would save no line, look again and again, and may leave a marker where there are none.
    """
    path = target.with_name(f".{target.name}.lock")
    with path.open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = path.read_text(encoding="utf-8") or "another process"
            tell(f"{target.name}: waiting for {holder}, which is downloading it.")
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

    def __init__(self, remote: Remote, target: Path, tell: Tell) -> None:
        self.remote, self.target, self.tell = remote, target, tell
        self.part = target.with_name(f"{target.name}.part")
        self.source = target.with_name(f"{target.name}.part.json")  # which address the part was begun from
        self.mended = self.part.exists()  # whether the part may be put together from several answers
        self.session = _Session()

    def run(self) -> None:
        """Try one address after the other. Raises UserError when none gives the file."""
        failures = []
        with self.session:
            for url in self.remote.urls:
                try:
                    self._bring(url)
                except _UselessError as error:
                    failures.append(f"{url}: {error}")
                    self.tell(f"{self.remote.name}: {failures[-1]}.")
                else:
                    return
        raise UserError(self._unavailable(failures))

    def _bring(self, url: str) -> None:
        """Bring the file from one address; once more from its start if what was put together is not it."""
        self._fill(url)
        found = self._hash()
        if self.mended and found != self.remote.sha256:
            self.tell(
                f"{self.remote.name}: the parts do not fit together; downloading it from its start again."
            )
            self._discard()
            self._fill(url)
            found = self._hash()
        if found != self.remote.sha256:
            self._discard()
            raise _UselessError(f"found sha256 {found}, expected {self.remote.sha256}")
        self._keep(found)

    def _fill(self, url: str) -> None:
        """Complete the part, however often the connection breaks, for as long as bytes arrive."""
        begun = furthest = self._size()
        tries = 0
        while True:
            try:
                return self._go_on(url)
            except _BrokenError as error:
                tries = 0 if self._size() > furthest else tries + 1
                furthest = max(furthest, self._size())
                never = furthest == begun and isinstance(error, _UnreachableError)
                if never or tries == TRIES:
                    raise _UselessError(str(error)) from None
                time.sleep(PAUSE_SECONDS * (1 + tries))

    def _go_on(self, url: str) -> None:
        """Ask once for what is missing; from the start where the answer is not that."""
        offset = self._usable()
        if offset == self.remote.bytes:
            return None
        for start in (offset, 0):
            with self._ask(url, start) as response:
                if response.status_code == WHOLE:
                    return self._receive(url, response, 0)
                if response.status_code == PART and self._fits(response, start):
                    return self._receive(url, response, start)
        raise _UselessError("found another part of the file than was asked for")

    def _usable(self) -> int:
        """From which byte to go on: the sha256 will prove what has arrived, wherever it came from."""
        if self._size() > self.remote.bytes:
            self._discard()
        return self._size()

    def _fits(self, response: requests.Response, start: int) -> bool:
        """Whether a part of a file is the one that was asked for."""
        begins = response.headers.get("Content-Range", "").startswith(f"bytes {start}-")
        return start > 0 and begins and _total_of(response) in (None, self.remote.bytes)

    def _ask(self, url: str, start: int) -> requests.Response:
        headers = {"Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
            begun = digests.told(self.source)
            if begun.get("url") == url and begun.get("validator"):
                headers["If-Range"] = begun["validator"]
        return self.session.ask(url, headers)

    def _receive(self, url: str, response: requests.Response, start: int) -> None:
        """Write what an answer holds into the part, from byte `start` on."""
        self._check_announced(response, start)
        chunks = _chunks(response)
        first = next(chunks, b"")
        if not start:
            self._begin(url, response, first)
        self._check_space()
        progress = _Progress(self.remote, start, self.tell)
        progress.begin(urlsplit(url).hostname or url)
        self.mended = start > 0
        with _naming(self.part), self.part.open("r+b" if start else "wb") as file:
            file.seek(start)
            for chunk in chain((first,), chunks):
                file.write(chunk)
                progress.more(len(chunk))
        if progress.done < self.remote.bytes:
            raise _BrokenError(f"the connection was cut after {progress.done} of {self.remote.bytes} bytes")

    def _check_announced(self, response: requests.Response, start: int) -> None:
        """Raise _UselessError when an answer says that it is another file, as it may or may not."""
        length = response.headers.get("Content-Length", "")
        told = start + int(length) if length.isdecimal() else _total_of(response)
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise _UselessError("found the file compressed, expected it as it is")
        if told not in (None, self.remote.bytes):
            raise _UselessError(f"found {told} bytes, expected {self.remote.bytes}")

    def _begin(self, url: str, response: requests.Response, first: bytes) -> None:
        """Note where a new part comes from, and refuse a web page before it replaces the old one."""
        if not first:
            raise _UselessError("found an empty file, expected weights")
        if _is_page(first):
            raise _UselessError("found a web page, expected weights")
        self._discard()
        write_json_if_changed(self.source, {"url": url, "validator": _validator(response)})

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
        return digests.digest(self.part, self._size(), self.tell)

    def _size(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _discard(self) -> None:
        self.part.unlink(missing_ok=True)
        self.source.unlink(missing_ok=True)
        self.mended = False

    def _keep(self, found: str) -> None:
        """Give the part the file's name, safe from a power cut."""
        with _naming(self.part), self.part.open("rb") as file:
            os.fsync(file.fileno())
        digests.remember(digests.record(self.target), self.part.stat(), found)
        self.part.replace(self.target)
        self.source.unlink(missing_ok=True)
        self.tell(f"{self.remote.name}: all {megabytes(self.target.stat().st_size)} are there.")

    def _unavailable(self, failures: list[str]) -> str:
        facts = f"{self.remote.bytes} bytes, sha256 {self.remote.sha256}"
        return (
            f"{self.target}: found no such file, and none of its addresses gives it ({'; '.join(failures)});"
            f" run the same command again when they can be reached, or get the file ({facts}) from"
            f" one of them in another way and put it there."
        )


class _Session(requests.Session):
    """A session that is led to no unencrypted address, but for this machine's own."""

    def ask(self, url: str, headers: dict[str, str]) -> requests.Response:
        """An answer whose body is still to be read. Raises _UnreachableError, _BrokenError, _UselessError."""
        _check_address(url)
        try:
            response = self.get(url, headers=headers, stream=True, timeout=(CONNECT_SECONDS, READ_SECONDS))
        except (requests.Timeout, requests.ConnectionError) as error:
            raise _UnreachableError(_reason(error)) from None
        except RequestException as error:
            raise _UselessError(_reason(error)) from None
        status = f"HTTP status {response.status_code} {response.reason}".rstrip()
        if response.status_code in (WHOLE, PART, NO_SUCH_PART):
            return response
        response.close()
        passing = response.status_code >= BROKEN or response.status_code == BUSY
        raise (_BrokenError if passing else _UselessError)(status)

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Where an answer leads, if it does."""
        target = super().get_redirect_target(resp)
        if target:
            _check_address(urljoin(resp.url, target))
        return target


class _Progress:
    """Tells every few seconds how much of a file is there, how fast it comes and how long it will take."""

    def __init__(self, remote: Remote, start: int, tell: Tell) -> None:
        self.name, self.total = remote.name, remote.bytes
        self.start, self.done, self.tell = start, start, tell
        self.started = self.told = time.monotonic()

    def begin(self, host: str) -> None:
        """The first bytes are there."""
        whole = megabytes(self.total)
        self.tell(
            f"{self.name}: going on after {megabytes(self.start)} of {whole}, from {host}."
            if self.start
            else f"{self.name}: downloading {whole} from {host}."
        )

    def more(self, count: int) -> None:
        """So many bytes more are there."""
        self.done += count
        if self.done > self.total:
            raise _UselessError(f"found more than the expected {self.total} bytes")
        if time.monotonic() - self.told >= EVERY:
            self.told = time.monotonic()
            self.tell(f"{self.name}: {self._state()}")

    def _state(self) -> str:
        speed = max(self.done - self.start, 1) / max(self.told - self.started, 1e-9)
        left = clock((self.total - self.done) / speed)
        return f"{self.done / 1e6:.0f} of {megabytes(self.total)}, {speed / 1e6:.1f} MB/s, {left} left"


def _is_page(content: bytes) -> bool:
    """Whether a file begins as a web page does."""
    return content.lstrip(b"\xef\xbb\xbf \t\r\n")[:9].lower().startswith((b"<html", b"<!doctype"))


def _chunks(response: requests.Response) -> Iterator[bytes]:
    """What arrives, to the last byte before a connection breaks, which `iter_content` drops."""
    try:
        while chunk := response.raw.read(CHUNK, decode_content=False):
            yield chunk
    except (HTTPError, OSError) as error:
        raise _BrokenError(f"the connection broke ({_reason(error)})") from None


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Let an OSError tell the file: a disk that is full names none."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


def _validator(response: requests.Response) -> str | None:
    """What tells one content of an address from another, for If-Range, which takes no weak tag."""
    tag = response.headers.get("ETag", "W/")
    return response.headers.get("Last-Modified") if tag.startswith("W/") else tag


def _total_of(response: requests.Response) -> int | None:
    """The size of the whole file by Content-Range, if it tells."""
    told = re.fullmatch(r"bytes .*/(\d+)", response.headers.get("Content-Range", ""))
    return int(told[1]) if told else None


def _check_address(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_this_machine(parts.hostname or "")):
        raise _UselessError(f"was led to {url}, expected an address that begins with https://")


def _is_this_machine(host: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def _reason(error: BaseException) -> str:
    """The first cause of what a library tells at length."""
    if isinstance(error, requests.Timeout) or "timed out" in str(error):
        return "no answer in time"
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
