"""One request for a published file, and what its answer says: how long, which part of what, or why not."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import urljoin, urlsplit

import requests
from requests.exceptions import RequestException
from urllib3.exceptions import HTTPError

CONNECT_SECONDS = 10.0
READ_SECONDS = 60.0  # without a byte
CHUNK = 1 << 15  # bytes

# HTTP statuses, the last and all above it
WHOLE, PART, NO_SUCH_PART, BUSY, BROKEN = 200, 206, 416, 429, 500


class BrokenError(Exception):
    """The connection broke, and the same address may go on."""


class UnreachableError(BrokenError):
    """No connection was made, or no answer came."""


class UselessError(Exception):
    """An address does not give the file, and why."""


class Session(requests.Session):
    """A session that is led to no unencrypted address, but for this machine's own."""

    def ask(self, url: str, headers: dict[str, str]) -> requests.Response:
        """An answer whose body is still to be read. Raises UnreachableError, BrokenError, UselessError."""
        _check_address(url)
        try:
            response = self.get(url, headers=headers, stream=True, timeout=(CONNECT_SECONDS, READ_SECONDS))
        except (requests.Timeout, requests.ConnectionError) as error:
            raise UnreachableError(_reason(error)) from None
        except RequestException as error:
            raise UselessError(_reason(error)) from None
        status = f"HTTP status {response.status_code} {response.reason}".rstrip()
        if response.status_code in (WHOLE, PART, NO_SUCH_PART):
            return response
        response.close()
        passing = response.status_code >= BROKEN or response.status_code == BUSY
        raise (BrokenError if passing else UselessError)(status)

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Where an answer leads, if it does."""
        target = super().get_redirect_target(resp)
        if target:
            _check_address(urljoin(resp.url, target))
        return target


def chunks(response: requests.Response) -> Iterator[bytes]:
    """What arrives, to the last byte before a connection breaks, which `iter_content` drops."""
    try:
        while chunk := response.raw.read(CHUNK, decode_content=False):
            yield chunk
    except (HTTPError, OSError) as error:
        raise BrokenError(f"the connection broke ({_reason(error)})") from None


def is_page(content: bytes) -> bool:
    """Whether a file begins as a web page does."""
    return content.lstrip(b"\xef\xbb\xbf \t\r\n")[:9].lower().startswith((b"<html", b"<!doctype"))


def validator(response: requests.Response) -> str | None:
    """What tells one content of an address from another, for If-Range, which takes no weak tag."""
    tag = response.headers.get("ETag", "W/")
    return response.headers.get("Last-Modified") if tag.startswith("W/") else tag


def total_of(response: requests.Response) -> int | None:
    """The size of the whole file by Content-Range, if it tells."""
    match = re.fullmatch(r"bytes .*/(\d+)", response.headers.get("Content-Range", ""))
    return int(match[1]) if match else None


def _check_address(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_this_machine(parts.hostname or "")):
        raise UselessError(f"was led to {url}, expected an address that begins with https://")


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
