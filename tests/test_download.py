"""A published file comes into the cache whole and right, whatever the network, the disk and others do."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import random
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

import platformdirs
import pytest

from songreel.ground.errors import UserError, sentence
from songreel.models import answers, digests, download
from songreel.models.catalogue import Remote
from songreel.models.digests import cache_folder
from songreel.models.download import fetch
from tests import server
from tests.conftest import REPOSITORY
from tests.server import Answer, Server

NAME = "model.ckpt"
CONTENT = random.Random(0).randbytes(1_000_000)
OTHER = random.Random(1).randbytes(len(CONTENT))
PAGE = b"\n<!DOCTYPE html><html><body>Please log in.</body></html>"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


RIGHT = sha256(CONTENT)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for hundredths of seconds where a download waits for many, and ask no proxy."""
    monkeypatch.setattr(download, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(answers, "READ_SECONDS", 0.3)
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture
def web() -> Iterator[Server]:
    with server.running() as script:
        yield script


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was touched")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def remote(*urls: str) -> Remote:
    return Remote(NAME, urls, len(CONTENT), RIGHT)


def elsewhere() -> Remote:
    return remote("https://example.invalid/model.ckpt")


def names(folder: Path) -> list[str]:
    """The files of a folder, but for the lock."""
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def whole(folder: Path) -> bool:
    """Whether the right file is there, and nothing of the download is left but what was found."""
    return names(folder) == [NAME, f"{NAME}.sha256"] and (folder / NAME).read_bytes() == CONTENT


# What is there already


def test_a_file_is_downloaded_once(web: Server, tmp_path: Path, messages: list[str]) -> None:
    wanted = remote(web.serve("/a", CONTENT))
    assert fetch(wanted, tmp_path / "new/cache") == tmp_path / "new/cache" / NAME
    assert whole(tmp_path / "new/cache")
    fetch(wanted, tmp_path / "new/cache")
    assert len(web.asked) == 1
    assert messages == [f"{NAME}: downloading 1 MB from 127.0.0.1.", f"{NAME}: all 1 MB are there."]


@pytest.mark.usefixtures("offline")
def test_with_files_placed_by_hand_no_network_is_touched(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(CONTENT)
    for _ in range(2):
        assert fetch(elsewhere(), tmp_path).read_bytes() == CONTENT


@pytest.mark.usefixtures("offline")
def test_a_file_is_hashed_once_and_again_when_it_was_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[Path] = []
    real = digests.digest

    def counted(path: Path, aloud: bool) -> str:
        hashed.append(path)
        return real(path, aloud)

    monkeypatch.setattr(digests, "digest", counted)
    target = tmp_path / NAME
    target.write_bytes(CONTENT)
    for _ in range(3):
        fetch(elsewhere(), tmp_path)
    assert hashed == [target]
    record = json.loads((tmp_path / f"{NAME}.sha256").read_text())
    assert record == {"size": len(CONTENT), "mtime_ns": target.stat().st_mtime_ns, "sha256": RIGHT}
    os.utime(target, ns=(0, 0))
    fetch(elsewhere(), tmp_path)
    assert hashed == [target, target]


@pytest.mark.usefixtures("offline")
def test_another_file_under_the_name_is_refused_with_both_hashes_and_kept(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(OTHER)
    for _ in range(2):
        with pytest.raises(UserError, match=f"{NAME}: found sha256 {sha256(OTHER)}, expected {RIGHT};.*move"):
            fetch(elsewhere(), tmp_path)
    assert (tmp_path / NAME).read_bytes() == OTHER


@pytest.mark.usefixtures("offline")
def test_a_file_that_was_damaged_since_is_refused(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(CONTENT)
    fetch(elsewhere(), tmp_path)
    (tmp_path / NAME).write_bytes(CONTENT[:-1])
    with pytest.raises(UserError, match=f"expected {RIGHT}"):
        fetch(elsewhere(), tmp_path)


@pytest.mark.usefixtures("offline")
def test_a_damaged_note_of_a_hash_costs_a_look_at_the_file(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(CONTENT)
    (tmp_path / f"{NAME}.sha256").write_text("{")
    fetch(elsewhere(), tmp_path)
    assert whole(tmp_path)


@pytest.mark.usefixtures("offline")
def test_a_cache_that_cannot_be_written_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    (tmp_path / NAME).write_bytes(CONTENT)
    monkeypatch.setattr(digests, "write_json_if_changed", refuse)
    fetch(elsewhere(), tmp_path)
    assert names(tmp_path) == [NAME]


@pytest.mark.usefixtures("offline")
def test_a_link_that_leads_nowhere_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / NAME).symlink_to(tmp_path / "unmounted" / NAME)
    with pytest.raises(FileNotFoundError):
        fetch(elsewhere(), tmp_path)
    assert (tmp_path / NAME).is_symlink()


# Mirrors


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Answer(status=404), "HTTP status 404 Not Found"),
        (Answer(status=403), "HTTP status 403 Forbidden"),
        (Answer(status=503), "HTTP status 503 Service Unavailable"),
        (Answer(status=204), "HTTP status 204 No Content"),
        (Answer(silent_seconds=0.5), "no answer in time"),
        (Answer(cut_after=0), "the connection broke"),
        (Answer(body=OTHER), f"found sha256 {sha256(OTHER)}, expected {RIGHT}"),
        (Answer(body=OTHER[:-1]), "found 999999 bytes, expected 1000000"),
        (Answer(body=OTHER + b"x", announced=False), "found more than the expected 1000000 bytes"),
        (Answer(body=PAGE), f"found {len(PAGE)} bytes, expected 1000000"),
        (Answer(body=PAGE, announced=False), "found a web page, expected weights"),
        (Answer(body=b"", announced=False), "found an empty file, expected weights"),
        (Answer(status=302, location="http://example.invalid/a"), "was led to http://example.invalid/a"),
        (Answer(status=302, location="/circle"), "Exceeded 30 redirects"),
    ],
)
def test_when_one_address_fails_the_next_one_is_asked(
    web: Server, tmp_path: Path, messages: list[str], fault: Answer, reason: str
) -> None:
    web.serve("/circle", b"", Answer(status=302, location="/circle"))
    first, second = web.serve("/a", CONTENT, fault), web.serve("/b", CONTENT)
    fetch(remote(first, second), tmp_path)
    assert whole(tmp_path)
    assert any(line.startswith(f"{NAME}: {first}: {reason}") for line in messages), messages


def test_a_server_that_nobody_answers_at_is_passed_by(
    web: Server, tmp_path: Path, messages: list[str]
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{free.getsockname()[1]}/a"
    fetch(remote(dead, web.serve("/b", CONTENT)), tmp_path)
    assert messages[0] == f"{NAME}: {dead}: Connection refused."
    assert whole(tmp_path)


def test_a_passing_fault_of_the_server_is_waited_out(
    web: Server, tmp_path: Path, messages: list[str]
) -> None:
    faults = Answer(status=500), Answer(status=429), Answer()
    fetch(remote(web.serve("/a", CONTENT, *faults)), tmp_path)
    assert whole(tmp_path) and len(messages) == 2


def test_redirects_are_followed(web: Server, tmp_path: Path) -> None:
    web.serve("/there", CONTENT, Answer(cut_after=500_000), Answer())
    fetch(remote(web.serve("/a", b"", Answer(status=302, location="/there"))), tmp_path)
    assert whole(tmp_path)
    assert web.ranges("/there") == ["", "bytes=500000-"]


def test_an_address_without_https_is_not_asked(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="expected an address that begins with https://"):
        fetch(remote("http://example.invalid/a"), tmp_path)


def test_when_nothing_can_be_reached_one_sentence_tells_how_to_get_the_file(
    web: Server, tmp_path: Path
) -> None:
    addresses = f"{web.address}/gone", "https://localhost:1/a"
    with pytest.raises(UserError) as caught:
        fetch(remote(*addresses), tmp_path)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / NAME}: found no such file")
    assert f"{addresses[0]}: HTTP status 404 Not Found; {addresses[1]}: Connection refused" in message
    assert f"({len(CONTENT)} bytes, sha256 {RIGHT})" in message
    assert "\n" not in message
    (tmp_path / NAME).write_bytes(CONTENT)
    fetch(remote(*addresses), tmp_path)


# Going on


def test_a_download_that_is_cut_ten_times_at_random_is_finished_in_one_call(
    web: Server, tmp_path: Path
) -> None:
    dice = random.Random(2)
    cuts = [Answer(cut_after=dice.randrange(40_000, 80_000)) for _ in range(10)]
    fetch(remote(web.serve("/a", CONTENT, *cuts, Answer())), tmp_path)
    assert whole(tmp_path)
    assert len(web.asked) == 11
    assert web.sent == len(CONTENT)


def test_a_server_that_ignores_ranges_is_read_from_the_start(web: Server, tmp_path: Path) -> None:
    script = Answer(cut_after=600_000), Answer(ranges=False)
    fetch(remote(web.serve("/a", CONTENT, *script)), tmp_path)
    assert whole(tmp_path)
    assert web.sent == 1_600_000


def test_an_address_that_never_gets_further_is_given_up(web: Server, tmp_path: Path) -> None:
    url = web.serve("/a", CONTENT, Answer(ranges=False, cut_after=600_000))
    with pytest.raises(UserError, match="the connection broke"):
        fetch(remote(url), tmp_path)
    assert len(web.asked) == 1 + download.TRIES


@pytest.mark.parametrize("fault", [Answer(shifted=-5), Answer(shifted=7), Answer(total=999)])
def test_another_part_than_was_asked_for_is_not_trusted(web: Server, tmp_path: Path, fault: Answer) -> None:
    script = Answer(cut_after=600_000), fault, Answer()
    fetch(remote(web.serve("/a", CONTENT, *script)), tmp_path)
    assert whole(tmp_path)
    assert web.ranges("/a") == ["", "bytes=600000-", ""]


def test_a_part_of_a_file_that_was_replaced_at_its_address_is_begun_anew(web: Server, tmp_path: Path) -> None:
    part = tmp_path / f"{NAME}.part"
    url = web.serve("/a", OTHER, Answer(tag='"old"', cut_after=600_000), Answer(status=404))
    with pytest.raises(UserError):
        fetch(remote(url), tmp_path)
    assert part.stat().st_size > 500_000
    web.serve("/a", CONTENT, Answer(tag='"new"'))
    fetch(remote(url), tmp_path)
    assert whole(tmp_path)
    assert web.asked[-1].if_range == '"old"'


def test_another_address_goes_on_where_the_first_one_ended(web: Server, tmp_path: Path) -> None:
    first = web.serve("/a", CONTENT, Answer(cut_after=600_000, tag='"1"'), Answer(status=404))
    fetch(remote(first, web.serve("/b", CONTENT)), tmp_path)
    assert whole(tmp_path)
    assert web.asked[-1] == server.Asked("/b", "bytes=600000-", "")


def test_parts_that_do_not_fit_are_downloaded_from_the_start(
    web: Server, tmp_path: Path, messages: list[str]
) -> None:
    first = web.serve("/a", OTHER, Answer(cut_after=600_000), Answer(status=404))
    fetch(remote(first, web.serve("/b", CONTENT)), tmp_path)
    assert whole(tmp_path)
    assert web.ranges("/b") == ["bytes=600000-", ""]
    assert f"{NAME}: the parts do not fit together; downloading it from its start again." in messages


def test_wrong_content_is_asked_for_once_and_never_gets_the_name(web: Server, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"found sha256 {sha256(OTHER)}, expected {RIGHT}"):
        fetch(remote(web.serve("/a", OTHER)), tmp_path)
    assert len(web.asked) == 1
    assert names(tmp_path) == []


def test_a_part_that_is_complete_is_taken_as_it_is(web: Server, tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT)
    fetch(remote(web.serve("/a", CONTENT)), tmp_path)
    assert whole(tmp_path)
    assert web.sent == 0


def test_a_part_that_is_too_long_is_begun_anew(web: Server, tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT + b"x")
    fetch(remote(web.serve("/a", CONTENT)), tmp_path)
    assert whole(tmp_path)


def test_a_web_page_takes_nothing_of_what_has_arrived(web: Server, tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT[:600_000])
    url = web.serve("/a", CONTENT, Answer(body=PAGE, ranges=False, announced=False))
    with pytest.raises(UserError, match="found a web page"):
        fetch(remote(url), tmp_path)
    web.serve("/a", CONTENT)
    fetch(remote(url), tmp_path)
    assert web.ranges("/a") == ["bytes=600000-"] * 2


@pytest.mark.parametrize("answer", [Answer(announced=False), Answer(chunked=True)])
def test_no_announced_length_will_do(web: Server, tmp_path: Path, answer: Answer) -> None:
    fetch(remote(web.serve("/a", CONTENT, answer)), tmp_path)
    assert whole(tmp_path)


def test_chunks_that_are_cut_are_gone_on_with(web: Server, tmp_path: Path) -> None:
    script = Answer(chunked=True, cut_after=600_000), Answer(chunked=True)
    fetch(remote(web.serve("/a", CONTENT, *script)), tmp_path)
    assert whole(tmp_path)
    assert len(web.asked) == 2


# The disk


def test_a_full_disk_is_one_sentence_and_the_next_run_goes_on(
    web: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.open

    def small(path: Path, *rest: Any, **named: Any) -> Any:
        file = real(path, *rest, **named)
        return _Small(file) if path.suffix == ".part" and rest == ("wb",) else file

    wanted = remote(web.serve("/a", CONTENT))
    with monkeypatch.context() as context, pytest.raises(OSError, match="No space") as caught:
        context.setattr(Path, "open", small)
        fetch(wanted, tmp_path)
    assert sentence(caught.value).startswith(f"{tmp_path / NAME}.part: the disk is full")
    kept = (tmp_path / f"{NAME}.part").stat().st_size
    fetch(wanted, tmp_path)
    assert whole(tmp_path) and web.ranges("/a") == ["", f"bytes={kept}-"]


class _Small:
    """A file on a disk that has room for half a megabyte."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.seek = file, file.seek

    def __enter__(self) -> _Small:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def write(self, chunk: bytes) -> None:
        if self.file.tell() >= 500_000:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.file.write(chunk)


def test_too_little_space_is_told_before_it_is_filled(
    web: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=500_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    url = web.serve("/a", CONTENT)
    expected = f"found 500000 bytes free, expected 1 MB for {NAME}; .*SONGREEL_WEIGHTS"
    with pytest.raises(UserError, match=expected):
        fetch(remote(url), tmp_path)
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT[:600_000])
    fetch(remote(url), tmp_path)
    assert whole(tmp_path)


# Many processes


SCRIPT = """
import sys
from pathlib import Path
from songreel.models.catalogue import Remote
from songreel.models.download import fetch
name, url, size, sha256, folder = sys.argv[1:]
fetch(Remote(name, (url,), int(size), sha256), Path(folder))
"""


def process(url: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, NAME, url, str(len(CONTENT)), RIGHT, str(folder)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "workflow")},
        stderr=subprocess.PIPE,
        text=True,
    )


def test_ten_processes_at_once_download_once(web: Server, tmp_path: Path) -> None:
    url = web.serve("/a", CONTENT, Answer(block_seconds=0.05))
    running = [process(url, tmp_path) for _ in range(10)]
    outputs = [each.communicate()[1] for each in running]
    assert [each.returncode for each in running] == [0] * 10
    assert len(web.asked) == 1 and web.sent == len(CONTENT)
    assert whole(tmp_path)
    waited = [output for output in outputs if "waiting" in output]
    assert waited and all(output.count("\n") == 1 for output in waited)
    (loader,) = (
        each.pid for each, output in zip(running, outputs, strict=True) if "downloading 1 MB" in output
    )
    assert re.fullmatch(
        f"songreel: {NAME}: waiting for process {loader} on .+, which is downloading it.\n", waited[0]
    )


def test_after_a_kill_in_the_middle_the_next_one_goes_on(web: Server, tmp_path: Path) -> None:
    url = web.serve("/a", CONTENT, Answer(block_seconds=0.05), Answer())
    part = tmp_path / f"{NAME}.part"
    first = process(url, tmp_path)
    until(lambda: part.exists() and part.stat().st_size > 200_000)
    second = process(url, tmp_path)
    assert "waiting for process" in cast(TextIO, second.stderr).readline()
    first.send_signal(signal.SIGKILL)
    first.communicate()
    _, output = second.communicate(timeout=20)
    assert second.returncode == 0 and "going on after" in output
    assert whole(tmp_path)
    (begun,) = re.findall(r"bytes=(\d+)-", web.ranges("/a")[1])
    assert int(begun) > 200_000


def test_a_file_system_without_locks_will_do(
    web: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    fetch(remote(web.serve("/a", CONTENT)), tmp_path)
    assert whole(tmp_path)


def test_threads_of_one_process_download_once(web: Server, tmp_path: Path) -> None:
    url = web.serve("/a", CONTENT, Answer(block_seconds=0.01))
    threads = [threading.Thread(target=fetch, args=(remote(url), tmp_path)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert whole(tmp_path) and len(web.asked) == 1


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# What a person sees


def test_progress_is_a_plain_line_every_few_seconds(
    web: Server, tmp_path: Path, messages: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "EVERY", 0.1)
    content = random.Random(3).randbytes(3_000_000)
    url = web.serve("/a", content, Answer(block_seconds=0.004))
    fetch(Remote(NAME, (url,), len(content), sha256(content)), tmp_path)
    lines = messages[1:-1]
    assert 3 <= len(lines) <= 15
    assert all(re.fullmatch(rf"{NAME}: [0-3] of 3 MB, \d+\.\d MB/s, \d+ s left", line) for line in lines)


def test_the_file_can_be_read_by_those_who_share_the_cache(web: Server, tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        target = fetch(remote(web.serve("/a", CONTENT)), tmp_path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(target.stat().st_mode) == 0o644


def test_the_cache_is_where_the_environment_says_or_in_the_users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SONGREEL_WEIGHTS", "~/weights")
    assert cache_folder() == Path.home() / "weights"
    monkeypatch.setenv("SONGREEL_WEIGHTS", "")
    assert cache_folder() == platformdirs.user_cache_path("songreel") / "weights"
