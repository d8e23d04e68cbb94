# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""An HTTP client over the same connections as mail, with the same proxy, trust, clock and limits.

Proxies and certificates of the environment are ignored. No redirect is followed.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import select
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from email.message import Message
from email.utils import parsedate_to_datetime
from math import ceil
from typing import Any, NamedTuple
from urllib.parse import SplitResult, quote, urlencode, urlsplit

from .._connector.redaction import Redaction
from .._connector.resolved import Proxy, TlsTrust
from .._verdict.observation import ProbeError, probe_error
from .clock import Clock
from .connection import Connection, Target
from .dial import ascii_host
from .os_errors import observation_from_error
from .record import Record
from .stream import Stream

LARGEST_BODY = 4 * 1024 * 1024
LARGEST_HEAD = 256 * 1024
CHUNK_SIZE = 64 * 1024

_STEPS = {"dns": "looking up the name", "tcp": "connecting", "tls": "starting encryption"}
_ANSWERING = {"step": "answering"}
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Origin(NamedTuple):
    """Scheme, host and port of a URL."""

    scheme: str
    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        return self.host == "localhost" or getattr(self._address(), "is_loopback", False)

    @property
    def is_local(self) -> bool:
        """Whether it is a loopback address, or a link-local one as for managed identities."""
        return self.is_loopback or getattr(self._address(), "is_link_local", False)

    def _address(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
        try:
            return ipaddress.ip_address(self.host)
        except ValueError:
            return None


@dataclass(frozen=True, repr=False)
class HttpResponse:
    """A response. Its representation leaves out the body, which may hold a token."""

    status_code: int
    headers: Message
    content: bytes

    def __repr__(self) -> str:
        return f"HttpResponse({self.status_code})"

    @property
    def text(self) -> str:
        return self.content.decode("utf-8", "replace")

    @property
    def retry_after(self) -> int:
        """Retry-After in seconds; 0 if there is none."""
        wait = str(self.headers.get("Retry-After") or "")
        if wait.isdecimal():
            return int(wait) if len(wait) < 7 else 0
        try:
            until = parsedate_to_datetime(wait)
            return max(0, ceil((until - datetime.now(timezone.utc)).total_seconds()))
        except (TypeError, ValueError, IndexError, OverflowError):
            return 0

    def json(self) -> Any:
        try:
            return json.loads(self.text)
        except (ValueError, RecursionError):
            raise probe_error("protocol", "the response is not JSON") from None

    def raise_for_status(self) -> None:
        """Part of the interface that msal expects."""
        if self.status_code >= 400:
            raise http.client.HTTPException(f"HTTP status {self.status_code}")


class HttpClient:
    """An HTTPS client that keeps the connection to the last origin open.

    Plain HTTP never goes through the proxy. It is allowed only for GET to loopback and link-local addresses, where
    clouds serve managed identities, and with `plain_to_loopback` for every method to loopback addresses. localhost
    has to stand for one of those.
    """

    def __init__(
        self,
        clock: Clock,
        redact: Redaction,
        trust: TlsTrust | None = None,
        proxy: Proxy | None = None,
        record: Record | None = None,
    ) -> None:
        self.connection: Connection | None = None
        """The current or the last connection."""
        self.plain_to_loopback = False
        """Whether plain HTTP is allowed for every method to loopback addresses."""
        self._clock = clock
        self._redact = redact
        self._trust = trust or TlsTrust()
        self._proxy = proxy
        self._record = record
        self._origin: Origin | None = None
        self._is_used = False

    def get(self, url: str, params: Any = None, headers: Any = None, **_more: object) -> HttpResponse:
        return self.request("GET", _add_query(url, params), None, headers)

    def post(
        self, url: str, data: Any = None, params: Any = None, headers: Any = None, **_more: object
    ) -> HttpResponse:
        """Send a mapping as a form, or text as it is."""
        is_form = isinstance(data, Mapping)
        body = urlencode(data, doseq=True) if is_form else data or ""
        body = body.encode() if isinstance(body, str) else bytes(body)
        return self.request("POST", _add_query(url, params), body, {**(_FORM if is_form else {}), **(headers or {})})

    def request(
        self, method: str, url: str, body: bytes | None = None, headers: Mapping[str, Any] | None = None
    ) -> HttpResponse:
        parts, origin = parse_url(url)
        is_allowed = origin.is_loopback if self.plain_to_loopback else method == "GET" and origin.is_local
        if origin.scheme == "http" and not is_allowed:
            raise probe_error("protocol", "the URL does not begin with https://", **_ANSWERING)
        stream = self._connect(origin)
        target = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~") + (f"?{parts.query}" if parts.query else "")
        encoded_headers = {name: str(value).encode() for name, value in (headers or {}).items() if value is not None}
        http_connection = http.client.HTTPConnection(origin.host, origin.port)
        http_connection.default_port = 443 if origin.scheme == "https" else 80
        http_connection.auto_open = 0
        http_connection.sock = _Socket(stream)
        self._is_used = True
        is_complete = False
        try:
            http_connection.request(method, target, body, encoded_headers)
            response = http_connection.getresponse()
            content = response.read()
            is_complete = response.status >= 200 and not response.will_close and not stream.has_unread
            return HttpResponse(response.status, response.headers, content)
        except ProbeError as error:
            raise ProbeError(error.observation.with_context(facts=_ANSWERING)) from error
        except (http.client.HTTPException, ValueError, LookupError) as error:
            text = f"the HTTP request or response is malformed ({type(error).__name__})"
            raise probe_error("protocol", text, **_ANSWERING) from None
        except OSError as error:
            raise ProbeError(observation_from_error(error).with_context(facts=_ANSWERING)) from error
        finally:
            if not is_complete:
                self.close()

    def connect(self, url: str) -> None:
        """Open the connection that the next requests use, and record its phases."""
        self._connect(parse_url(url)[1], self._record)

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()

    def _connect(self, origin: Origin, record: Record | None = None) -> Stream:
        """The current connection if it is for this origin and still open, else a new one."""
        if self.connection is not None and origin == self._origin and self.connection.is_open and not self._is_stale():
            return self.connection.stream
        self.close()
        is_plain = origin.scheme == "http"
        trust, proxy = (None, None) if is_plain else (self._trust, self._proxy)
        target = Target(origin.host, origin.port, trust, proxy, only_loopback=is_plain and origin.is_loopback)
        connection = Connection(target, self._clock, self._redact, record)
        self.connection, self._origin, self._is_used = connection, origin, False
        try:
            with connection.describe_refused_certificate(Connection.open):
                connection.open()
        except ProbeError as error:
            phase = error.observation.phase
            facts = {"step": _STEPS[phase]} if phase in _STEPS else {}
            observation = error.observation.with_context(phase=phase if record else "", facts=facts)
            raise ProbeError(observation) from error
        return connection.stream

    def _is_stale(self) -> bool:
        """Whether the server closed the idle connection, or sent something unrequested."""
        if not self._is_used or self.connection is None or not self.connection.is_open:
            return False
        readable = select.poll()
        readable.register(self.connection.stream.connection, select.POLLIN)
        return bool(readable.poll(0))


class _Socket:
    """The part of a socket that http.client uses."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def sendall(self, data: bytes) -> None:
        for start in range(0, len(data), CHUNK_SIZE):
            self._stream.sendall(data[start : start + CHUNK_SIZE])

    def makefile(self, *_mode: object) -> _ResponseFile:
        return _ResponseFile(self._stream)

    def close(self) -> None:
        """Do nothing: the client closes the connection."""


class _ResponseFile:
    """The part of a socket's file that http.client uses, with a size limit and a timeout for each chunk."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._bytes_left = LARGEST_BODY + LARGEST_HEAD

    def readline(self, _limit: int = -1) -> bytes:
        return self._count(self._stream.readline())

    def read(self, size: int | None = None) -> bytes:
        if size is None:
            return self._read_to_end()
        if not 0 <= size <= self._bytes_left:
            raise probe_error("protocol", f"the response is larger than {LARGEST_BODY} octets")
        chunks = [self._read_chunk(min(CHUNK_SIZE, size - start)) for start in range(0, size, CHUNK_SIZE)]
        return b"".join(chunks)

    def close(self) -> None:
        """Do nothing: the client closes the connection."""

    def flush(self) -> None:
        """Do nothing: nothing is buffered."""

    def _read_to_end(self) -> bytes:
        """Read until the server closes the connection."""
        content = bytearray()
        try:
            while True:
                content += self._read_chunk(CHUNK_SIZE)
        except ProbeError as error:
            if error.observation.kind != "closed":
                raise
        while self._stream.has_unread:
            content += self._count(self._stream.read(1))
        return bytes(content)

    def _read_chunk(self, size: int) -> bytes:
        self._stream.start_step()
        return self._count(self._stream.read(size))

    def _count(self, data: bytes) -> bytes:
        self._bytes_left -= len(data)
        if self._bytes_left < 0:
            raise probe_error("protocol", f"the response is larger than {LARGEST_BODY} octets")
        return data


def _add_query(url: str, params: Any) -> str:
    if not params:
        return url
    return f"{url}{'&' if '?' in url else '?'}{urlencode(params, doseq=True)}"


def parse_url(url: str) -> tuple[SplitResult, Origin]:
    """The parts of a URL and its origin, or a ProbeError."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    if parts.scheme not in ("https", "http") or not host or parts.username is not None:
        raise probe_error("protocol", "the URL does not begin with https://")
    return parts, Origin(parts.scheme, ascii_host(host), port or (443 if parts.scheme == "https" else 80))
