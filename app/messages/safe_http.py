"""The door to addresses that somebody typed in: only to where anybody may go, and for no longer than it may take."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import httpcore
import httpx

from app.kernel import db

PATIENCE = 5.0  # seconds for all of it, however slowly they speak
ENOUGH = 2000  # bytes of an answer that anybody would read
HOPS = 3  # how often whoever is read may say that it is elsewhere
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

_listener = ""
_calendars = ""


def configure(address: str, shelf: str = "") -> None:
    """Where the sandbox listens, and below which address it has something to read: all that may be called inside our own walls."""
    global _listener, _calendars
    _listener, _calendars = address, shelf


def sandbox_listener() -> str:
    return _listener


def sandbox_calendars() -> str:
    return _calendars


def is_sandbox_calendar(address: str) -> bool:
    """Is this one of the sandbox's things to read?"""
    return bool(_calendars) and address.startswith(_calendars)


@dataclass(frozen=True)
class CallResult:
    """What came of one call: an answer, or why there was none."""

    status: int | None
    answer: str
    took: int
    trouble: str = ""

    @property
    def is_good(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def post(address: str, body: bytes, headers: Mapping[str, str]) -> CallResult:
    """One POST. Nobody is followed anywhere else, and no proxy stands between the check and the line."""
    db.require_no_transaction()
    began = time.monotonic()
    try:
        with httpx.Client(
            transport=_Transport(guarded=not _is_sandbox_listener(address), until=began + PATIENCE), trust_env=False
        ) as client:
            request = client.build_request(
                "POST", address, content=body, headers=dict(headers) | {"Accept-Encoding": "identity"}, timeout=PATIENCE
            )
            status, answer = _read(client.send(request, stream=True, follow_redirects=False))
    except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, OSError, ValueError) as error:
        return CallResult(None, "", _since(began), _in_words(error))
    return CallResult(
        status, answer, _since(began), "" if 200 <= status < 300 else f"The server responded with status {status}."
    )


def _is_sandbox_listener(address: str) -> bool:
    return bool(_listener) and address == _listener


@dataclass(frozen=True)
class FetchResult:
    """What is there, or why it could not be read."""

    status: int | None
    content: bytes = b""
    tag: str = ""  # under which it can be asked whether it has changed
    trouble: str = ""


def fetch(address: str, headers: Mapping[str, str], most: int) -> FetchResult:
    """One GET, followed to where they say it is; each address on the way is looked at anew, and all of it shares the time."""
    db.require_no_transaction()
    until = time.monotonic() + PATIENCE
    try:
        for _ in range(HOPS + 1):
            answer = _get(address, headers, until, most)
            if not isinstance(answer, str):
                return answer
            address = answer
    except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, OSError, ValueError) as error:
        return FetchResult(None, trouble=_in_words(error))
    return FetchResult(None, trouble="Too many redirects.")


def _get(address: str, headers: Mapping[str, str], until: float, most: int) -> FetchResult | str:
    """What is there, or where else it is."""
    beside = is_sandbox_calendar(address)
    if not beside and not address.startswith("https://"):
        raise ValueError("the address must start with https://.")
    with httpx.Client(transport=_Transport(guarded=not beside, until=until), trust_env=False) as client:
        request = client.build_request(
            "GET", address, headers=dict(headers) | {"Accept-Encoding": "identity"}, timeout=PATIENCE
        )
        answer = client.send(request, stream=True, follow_redirects=False)
        try:
            if answer.has_redirect_location:
                return str(httpx.URL(address).join(answer.headers["Location"]))
            return _fetched(answer, most)
        finally:
            answer.close()


def _fetched(answer: httpx.Response, most: int) -> FetchResult:
    if answer.status_code == 304:
        return FetchResult(304)
    if answer.status_code != 200:
        return FetchResult(answer.status_code, trouble=f"The server responded with status {answer.status_code}.")
    content = b""
    for piece in answer.iter_raw():
        content += piece
        if len(content) > most:
            return FetchResult(200, trouble=f"The file is larger than {most // 1000} kB.")
    return FetchResult(200, content, answer.headers.get("ETag", ""))


def _since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)


def _read(answer: httpx.Response) -> tuple[int, str]:
    """As much of it as is kept. How it answered counts even when the rest does not come."""
    read = b""
    try:
        for piece in answer.iter_raw():
            read += piece
            if len(read) >= ENOUGH:
                break
    except httpx.HTTPError:
        pass
    finally:
        answer.close()
    return answer.status_code, read.decode("utf-8", "replace").replace("\x00", "�")


def _in_words(error: Exception) -> str:
    if isinstance(error, httpx.TimeoutException):
        return f"No response within {PATIENCE:.0f} seconds."
    return f"Could not connect: {str(error) or type(error).__name__}"[:300]


def is_public(address: str) -> bool:
    """May anybody on the internet reach this? An address that hides another one is as public as what it hides."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        hidden = (
            ip.ipv4_mapped or ip.sixtofour or (ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else None)
        )
        if ip.teredo or (hidden and not is_public(str(hidden))):
            return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


def _checked(host: str, port: int) -> str:
    """The address behind a name, if all of those behind it are public: what is checked is what is connected to."""
    try:
        found = [str(each[4][0]) for each in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except OSError:
        raise httpcore.ConnectError("the host name is unknown.") from None
    if not found or not all(is_public(each) for each in found):
        raise httpcore.ConnectError("the host name does not lead to a public address.")
    return found[0]


# --- the line ---------------------------------------------------------------------------------------------------------


class _Line(httpcore.NetworkStream):
    """A connection that ends when the time is over, even when there is always one more byte."""

    def __init__(self, line: httpcore.NetworkStream, until: float) -> None:
        self.line, self.until = line, until

    def _left(self) -> float:
        left = self.until - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout
        return left

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self.line.read(max_bytes, self._left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.line.write(buffer, self._left())

    def close(self) -> None:
        self.line.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Line(self.line.start_tls(ssl_context, server_hostname, self._left()), self.until)

    def get_extra_info(self, info: str) -> Any:
        return self.line.get_extra_info(info)


class _Network(httpcore.SyncBackend):
    def __init__(self, *, guarded: bool, until: float) -> None:
        self.guarded, self.until = guarded, until

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        there = _checked(host, port) if self.guarded else host
        return _Line(super().connect_tcp(there, port, timeout, local_address, socket_options), self.until)


class _Transport(httpx.HTTPTransport):
    """httpx as it is, on lines of our own: the name stays in the certificate's check and in the Host header."""

    def __init__(self, *, guarded: bool, until: float) -> None:
        super().__init__(trust_env=False)
        network = _Network(guarded=guarded, until=until)
        self._pool = httpcore.ConnectionPool(
            ssl_context=ssl.create_default_context(), max_connections=1, network_backend=network
        )
