"""A web server on this machine that answers as badly as others do, one scripted fault at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BLOCK = 1 << 14  # bytes sent at a time


@dataclass(frozen=True)
class Answer:
    """How one request is answered; as it comes, rightly and at once."""

    status: int = 200  # another one than 200 has no part of the file
    body: bytes | None = None  # another one than the file's content
    kind: str = "application/octet-stream"  # Content-Type
    tag: str = ""  # ETag
    location: str = ""  # to which the request is redirected
    cut_after: int | None = None  # bytes of the body, after which the connection ends
    ranges: bool = True  # whether Range is honoured
    shifted: int = 0  # bytes by which Content-Range, and what is sent, is beside what was asked for
    total: int | None = None  # another one than the file's size, in Content-Range
    announced: bool = True  # whether Content-Length is sent
    chunked: bool = False  # whether the body comes in chunks, which announces no length either
    silent_seconds: float = 0  # before the status line
    block_seconds: float = 0  # between two blocks


@dataclass(frozen=True)
class Asked:
    """One request that was made."""

    path: str
    range: str  # the Range header, if any
    if_range: str  # the If-Range header, if any


@dataclass
class Server:
    """What is served: by path a content, and the answers given in turn, the last one again and again."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    sent: int = 0  # bytes of all bodies
    lock: threading.Lock = field(default_factory=threading.Lock)

    def serve(self, path: str, content: bytes, *answers: Answer) -> str:
        """Serve a content at a path; returns its address."""
        self.files[path] = content
        self.answers[path] = list(answers) or [Answer()]
        return self.address + path

    def next(self, asked: Asked) -> Answer:
        """The answer to a request, which is counted."""
        with self.lock:
            self.asked.append(asked)
            script = self.answers.get(asked.path, [Answer(status=404)])
            return script.pop(0) if len(script) > 1 else script[0]

    def ranges(self, path: str) -> list[str]:
        """The Range headers of the requests for a path, in turn."""
        return [asked.range for asked in self.asked if asked.path == path]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Listener

    def do_GET(self) -> None:
        get = self.headers.get
        asked = Asked(self.path, get("Range", ""), get("If-Range", ""))
        answer = self.server.script.next(asked)
        time.sleep(answer.silent_seconds)
        self.close_connection = True
        content = self.server.script.files.get(self.path, b"") if answer.body is None else answer.body
        honoured = answer.ranges and asked.range and asked.if_range in ("", answer.tag)
        if answer.status == 200 and honoured:
            self._send_part(answer, content, int(asked.range.removeprefix("bytes=").rstrip("-")))
        else:
            self._send(answer, answer.status, content, {})

    def _send_part(self, answer: Answer, content: bytes, asked: int) -> None:
        total = answer.total or len(content)
        start = asked + answer.shifted
        if asked >= len(content):
            self._send(answer, 416, b"", {"Content-Range": f"bytes */{total}"})
        else:
            told = f"bytes {start}-{len(content) - 1}/{total}"
            self._send(answer, 206, content[start:], {"Content-Range": told})

    def _send(self, answer: Answer, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        headers |= {"Content-Type": answer.kind, "ETag": answer.tag, "Location": answer.location}
        announced = answer.announced and not answer.chunked
        headers |= {"Content-Length": str(len(body)) if announced else "", "Connection": "close"}
        headers |= {"Transfer-Encoding": "chunked" if answer.chunked else ""}
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        for start in range(0, len(body[: answer.cut_after]), BLOCK):
            block = body[: answer.cut_after][start : start + BLOCK]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(block), block) if answer.chunked else block)
            self.server.script.sent += len(block)
            time.sleep(answer.block_seconds)
        if answer.chunked and answer.cut_after is None:
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: object) -> None:
        pass


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 32

    def __init__(self, script: Server) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script = script

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that have gone: some tests kill them."""


@contextmanager
def running() -> Iterator[Server]:
    """A server that nothing is served at yet."""
    script = Server()
    listener = _Listener(script)
    script.address = f"http://127.0.0.1:{listener.server_port}"
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield script
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()
