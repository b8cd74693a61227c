"""HTTP client for URLs that users enter (webhooks, calendar feeds): protects against SSRF and slow servers.

It connects only to public addresses, checked after DNS resolution, and limits the time and size of a response.
"""

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

PATIENCE = 5.0  # seconds for the whole call, however slowly the server responds
ENOUGH = 2000  # bytes of a response that are kept
HOPS = 3  # redirects followed
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

_listener = ""
_calendars = ""


def configure(listener: str, calendars: str = "") -> None:
    """Set the sandbox's webhook listener and calendar URL prefix, the only private addresses that may be called."""
    global _listener, _calendars
    _listener, _calendars = listener, calendars


def sandbox_listener() -> str:
    return _listener


def sandbox_calendars() -> str:
    return _calendars


def is_sandbox_calendar(address: str) -> bool:
    return bool(_calendars) and address.startswith(_calendars)


@dataclass(frozen=True)
class CallResult:
    """The result of a POST: status and body, or the error."""

    status: int | None
    answer: str
    took: int
    trouble: str = ""

    @property
    def is_good(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def post(address: str, body: bytes, headers: Mapping[str, str]) -> CallResult:
    """Send a POST, without redirects, and without a proxy that would bypass the address check."""
    db.require_no_transaction()
    began = time.monotonic()
    try:
        with httpx.Client(
            transport=_Transport(guarded=not _is_sandbox_listener(address), until=began + PATIENCE), trust_env=False
        ) as client:
            request = client.build_request(
                "POST", address, content=body, headers=dict(headers) | {"Accept-Encoding": "identity"}, timeout=PATIENCE
            )
            status, answer = _read_start(client.send(request, stream=True, follow_redirects=False))
    except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, OSError, ValueError) as error:
        return CallResult(None, "", _since(began), _error_text(error))
    return CallResult(
        status, answer, _since(began), "" if 200 <= status < 300 else f"The server responded with status {status}."
    )


def _is_sandbox_listener(address: str) -> bool:
    return bool(_listener) and address == _listener


@dataclass(frozen=True)
class FetchResult:
    """The result of a GET: status and content, or the error."""

    status: int | None
    content: bytes = b""
    tag: str = ""  # ETag, to ask whether it has changed
    trouble: str = ""


def fetch(address: str, headers: Mapping[str, str], most: int) -> FetchResult:
    """Send a GET and follow redirects; each address is checked, and all requests share the time limit."""
    db.require_no_transaction()
    until = time.monotonic() + PATIENCE
    try:
        for _ in range(HOPS + 1):
            answer = _get(address, headers, until, most)
            if not isinstance(answer, str):
                return answer
            address = answer
    except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, OSError, ValueError) as error:
        return FetchResult(None, trouble=_error_text(error))
    return FetchResult(None, trouble="Too many redirects.")


def _get(address: str, headers: Mapping[str, str], until: float, most: int) -> FetchResult | str:
    """Return the content, or the URL of a redirect."""
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


def _read_start(answer: httpx.Response) -> tuple[int, str]:
    """Read as much of the body as is kept; the status counts even if the body breaks off."""
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


def _error_text(error: Exception) -> str:
    if isinstance(error, httpx.TimeoutException):
        return f"No response within {PATIENCE:.0f} seconds."
    return f"Could not connect: {str(error) or type(error).__name__}"[:300]


def is_public(address: str) -> bool:
    """True for a public IP address; an IPv6 address with an embedded IPv4 address is as public as that one."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        hidden = (
            ip.ipv4_mapped or ip.sixtofour or (ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else None)
        )
        if ip.teredo or (hidden and not is_public(str(hidden))):
            return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


def _resolve_public(host: str, port: int) -> str:
    """Resolve a host name to an address, if all its addresses are public; the caller connects to that very address."""
    try:
        found = [str(each[4][0]) for each in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except OSError:
        raise httpcore.ConnectError("the host name is unknown.") from None
    if not found or not all(is_public(each) for each in found):
        raise httpcore.ConnectError("the host name does not lead to a public address.")
    return found[0]


# --- transport --------------------------------------------------------------------------------------------------------


class _DeadlineStream(httpcore.NetworkStream):
    """A stream that ends at a deadline, even if the server keeps sending."""

    def __init__(self, stream: httpcore.NetworkStream, until: float) -> None:
        self.stream, self.until = stream, until

    def _left(self) -> float:
        left = self.until - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout
        return left

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self.stream.read(max_bytes, self._left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.stream.write(buffer, self._left())

    def close(self) -> None:
        self.stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _DeadlineStream(self.stream.start_tls(ssl_context, server_hostname, self._left()), self.until)

    def get_extra_info(self, info: str) -> Any:
        return self.stream.get_extra_info(info)


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
        address = _resolve_public(host, port) if self.guarded else host
        return _DeadlineStream(super().connect_tcp(address, port, timeout, local_address, socket_options), self.until)


class _Transport(httpx.HTTPTransport):
    """httpx on our own streams; the certificate check and the Host header keep the host name."""

    def __init__(self, *, guarded: bool, until: float) -> None:
        super().__init__(trust_env=False)
        network = _Network(guarded=guarded, until=until)
        self._pool = httpcore.ConnectionPool(
            ssl_context=ssl.create_default_context(), max_connections=1, network_backend=network
        )
