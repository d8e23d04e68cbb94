# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""HTTP over the same connections as mail: the same proxies, the same trust, the same clock, and limits.

The environment's proxies and certificates have no influence. No redirect is followed.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import select
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from typing import Any, NamedTuple
from urllib.parse import SplitResult, quote, urlencode, urlsplit

from .._connector.redaction import Redaction
from .._connector.resolved import Proxy, TlsTrust
from .._verdict.observation import ProbeError, probe_error
from .clock import Clock
from .connection import Connection, Target
from .dial import ascii_host
from .os_errors import observation_of
from .record import Record
from .stream import Stream

LARGEST_BODY = 4 * 1024 * 1024
LARGEST_HEAD = 256 * 1024
PIECE = 64 * 1024

_STEPS = {"dns": "looking up the name", "tcp": "connecting", "tls": "starting encryption"}
_ANSWERING = {"step": "answering"}
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Origin(NamedTuple):
    """Where a request goes."""

    scheme: str
    host: str
    port: int

    @property
    def is_local(self) -> bool:
        """Whether it is this machine, or the cloud's own service for it: nothing of that passes a network."""
        if self.host == "localhost":
            return True
        try:
            address = ipaddress.ip_address(self.host)
        except ValueError:
            return False
        return address.is_loopback or address.is_link_local


@dataclass(frozen=True, repr=False)
class HttpResponse:
    """What a server answered. Its body may hold a token, so it does not show itself."""

    status_code: int
    headers: Message
    content: bytes

    def __repr__(self) -> str:
        return f"HttpResponse({self.status_code})"

    @property
    def text(self) -> str:
        return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        try:
            return json.loads(self.text)
        except (ValueError, RecursionError):
            raise probe_error("protocol", "an answer that is not JSON") from None

    def raise_for_status(self) -> None:
        """What msal expects of a response."""
        if self.status_code >= 400:
            raise http.client.HTTPException(f"HTTP status {self.status_code}")


class HttpClient:
    """Asks servers over HTTPS; one connection is kept open for as long as the same server is asked.

    Plain HTTP is only spoken to this machine and to link-local addresses, where clouds answer for managed
    identities, only to read, and never through the proxy.
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
        """The present or the last one; it is kept open for as long as the same server is asked."""
        self._clock = clock
        self._redact = redact
        self._trust = trust or TlsTrust()
        self._proxy = proxy
        self._record = record
        self._origin: Origin | None = None
        self._is_used = False

    def get(self, url: str, params: Any = None, headers: Any = None, **_more: object) -> HttpResponse:
        return self.request("GET", _with(url, params), None, headers)

    def post(
        self, url: str, data: Any = None, params: Any = None, headers: Any = None, **_more: object
    ) -> HttpResponse:
        """Send a form, or a text as it is."""
        is_form = isinstance(data, Mapping)
        body = urlencode(data, doseq=True) if is_form else data or ""
        body = body.encode() if isinstance(body, str) else bytes(body)
        return self.request("POST", _with(url, params), body, {**(_FORM if is_form else {}), **(headers or {})})

    def request(
        self, method: str, url: str, body: bytes | None = None, headers: Mapping[str, Any] | None = None
    ) -> HttpResponse:
        parts, origin = _parse_url(url)
        if origin.scheme == "http" and not (method == "GET" and origin.is_local):
            raise probe_error("protocol", "an address that is not https", **_ANSWERING)
        stream = self._connect(origin)
        target = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~") + (f"?{parts.query}" if parts.query else "")
        given = {name: str(value).encode() for name, value in (headers or {}).items() if value is not None}
        talking = http.client.HTTPConnection(origin.host, origin.port)
        talking.default_port = 443 if origin.scheme == "https" else 80
        talking.auto_open = 0
        talking.sock = _Socket(stream)
        self._is_used = True
        is_complete = False
        try:
            talking.request(method, target, body, given)
            response = talking.getresponse()
            content = response.read()
            is_complete = response.status >= 200 and not response.will_close and not stream.has_unread
            return HttpResponse(response.status, response.headers, content)
        except ProbeError as stopped:
            raise ProbeError(stopped.observation.with_context(facts=_ANSWERING)) from stopped
        except (http.client.HTTPException, ValueError, LookupError) as error:
            text = f"a malformed HTTP answer or request ({type(error).__name__})"
            raise probe_error("protocol", text, **_ANSWERING) from None
        except OSError as error:
            raise ProbeError(observation_of(error).with_context(facts=_ANSWERING)) from error
        finally:
            if not is_complete:
                self.close()

    def connect(self, url: str) -> None:
        """Open the connection that the next requests use; its phases are recorded where there is a record."""
        self._connect(_parse_url(url)[1], self._record)

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()

    def _connect(self, origin: Origin, record: Record | None = None) -> Stream:
        """The connection to a server: the present one while it lasts, else a new one."""
        if self.connection is not None and origin == self._origin and self.connection.is_open and not self._has_ended():
            return self.connection.stream
        self.close()
        is_plain = origin.scheme == "http"
        trust, proxy = (None, None) if is_plain else (self._trust, self._proxy)
        connection = Connection(Target(origin.host, origin.port, trust, proxy), self._clock, self._redact, record)
        self.connection, self._origin, self._is_used = connection, origin, False
        try:
            with connection.describing_refused_certificate(Connection.open):
                connection.open()
        except ProbeError as stopped:
            phase = stopped.observation.phase
            facts = {"step": _STEPS[phase]} if phase in _STEPS else {}
            observation = stopped.observation.with_context(phase=phase if record else "", facts=facts)
            raise ProbeError(observation) from stopped
        return connection.stream

    def _has_ended(self) -> bool:
        """Whether the server has closed the connection meanwhile, or said something unasked."""
        if not self._is_used or self.connection is None or not self.connection.is_open:
            return False
        readable = select.poll()
        readable.register(self.connection.stream.connection, select.POLLIN)
        return bool(readable.poll(0))


class _Socket:
    """What http.client asks of a socket."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def sendall(self, data: bytes) -> None:
        for start in range(0, len(data), PIECE):
            self._stream.sendall(data[start : start + PIECE])

    def makefile(self, *_mode: object) -> _Reading:
        return _Reading(self._stream)

    def close(self) -> None:
        """The connection is closed by whom it belongs to."""


class _Reading:
    """What http.client asks of a socket's file: with a limit for the whole answer, and a time for each piece."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._left = LARGEST_BODY + LARGEST_HEAD

    def readline(self, _limit: int = -1) -> bytes:
        return self._counted(self._stream.readline())

    def read(self, size: int | None = None) -> bytes:
        if size is None:
            return self._rest()
        if not 0 <= size <= self._left:
            raise probe_error("protocol", f"an answer of more than {LARGEST_BODY} octets")
        pieces = [self._piece(min(PIECE, size - start)) for start in range(0, size, PIECE)]
        return b"".join(pieces)

    def close(self) -> None:
        """The connection is closed by whom it belongs to."""

    def flush(self) -> None:
        """Nothing is kept back."""

    def _rest(self) -> bytes:
        """Everything up to the end of the connection."""
        rest = bytearray()
        try:
            while True:
                rest += self._piece(PIECE)
        except ProbeError as stopped:
            if stopped.observation.kind != "closed":
                raise
        while self._stream.has_unread:
            rest += self._counted(self._stream.read(1))
        return bytes(rest)

    def _piece(self, size: int) -> bytes:
        self._stream.start_step()
        return self._counted(self._stream.read(size))

    def _counted(self, data: bytes) -> bytes:
        self._left -= len(data)
        if self._left < 0:
            raise probe_error("protocol", f"an answer of more than {LARGEST_BODY} octets")
        return data


def _with(url: str, params: Any) -> str:
    if not params:
        return url
    return f"{url}{'&' if '?' in url else '?'}{urlencode(params, doseq=True)}"


def _parse_url(url: str) -> tuple[SplitResult, Origin]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    if parts.scheme not in ("https", "http") or not host or parts.username is not None:
        raise probe_error("protocol", "an address that is not https")
    return parts, Origin(parts.scheme, ascii_host(host), port or (443 if parts.scheme == "https" else 80))
