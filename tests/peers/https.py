# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server for HTTPS, which remembers every request and can fail in many ways."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import email.utils
import functools
import json
import re
import threading
import time
import types
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from peers.ca import CertificateZoo
from peers.net import PeerFailed
from peers.scripted import Over, ScriptedServer, Talk

RETRY_AFTER = 7  # seconds that `throttled` asks for
ENOUGH = 256 * 2**20  # bytes of `endless`, so that a client without a limit does not eat up the machine


@dataclasses.dataclass(frozen=True, repr=False)
class Request:
    """What a client asked; printing it shows no secret."""

    method: str
    path: str  # as it was sent, without the query
    query: Mapping[str, str]
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    operation: str = ""
    arguments: tuple[str, ...] = ()  # from the path
    at_once: int = 1  # requests of the same client that are being answered, this one included

    def __repr__(self) -> str:
        return f"<{self.method} {self.path}>"

    @functools.cached_property
    def form(self) -> dict[str, str]:
        """The fields of the body, if it is a form."""
        return dict(parse_qsl(self.body.decode(errors="replace"), keep_blank_values=True))

    @property
    def json(self) -> Any:
        """The body, which must be JSON."""
        return json.loads(self.body)

    @property
    def bearer(self) -> str:
        """The access token, or nothing."""
        scheme, _space, token = self.headers.get("authorization", "").partition(" ")
        return token if scheme.lower() == "bearer" else ""


@dataclasses.dataclass(frozen=True, repr=False)
class Response:
    """What the server answers; `wire` takes over the connection instead."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    wire: Callable[[Talk], None] | None = None

    def to_bytes(self) -> bytes:
        """As it is sent."""
        headers = {"Content-Length": str(len(self.body)), **self.headers}
        lines = [f"HTTP/1.1 {self.status} {_phrase(self.status)}", *(f"{name}: {headers[name]}" for name in headers)]
        return "\r\n".join([*lines, "", ""]).encode() + self.body


def _phrase(status: int) -> str:
    with contextlib.suppress(ValueError):
        return HTTPStatus(status).phrase
    return "Unknown"


def as_json(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A response in JSON."""
    content = {"Content-Type": "application/json; charset=utf-8", "Cache-Control": "no-store", **(headers or {})}
    return Response(status, json.dumps(value).encode(), content)


def as_text(
    text: str, status: int = 200, kind: str = "text/html", headers: Mapping[str, str] | None = None
) -> Response:
    """A response in words."""
    return Response(status, text.encode(), {"Content-Type": f"{kind}; charset=utf-8", **(headers or {})})


def _half(talk: Talk) -> None:
    talk.send('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"access_token": "')
    talk.close()


def _endless(talk: Talk) -> None:
    talk.send('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"access_token": "')
    for _turn in range(ENOUGH // 65536):
        talk.send(b"x" * 65536)
    talk.hang()


def _endless_headers(talk: Talk) -> None:
    talk.send("HTTP/1.1 200 OK\r\n")
    for number in range(ENOUGH // 1000):
        talk.send(f"X-{number}: {'x' * 990}\r\n")
    talk.hang()


def _slow(talk: Talk) -> None:
    talk.send("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n")
    while True:
        talk.send(" ")
        talk.wait(0.1)


def _not_http(talk: Talk) -> None:
    talk.send("220 mail.example.com ESMTP ready\r\n")
    talk.close()


def _date_ahead() -> Response:
    date = email.utils.formatdate(time.time() + RETRY_AFTER, usegmt=True)
    return as_json({"error": "temporarily_unavailable"}, 429, {"Retry-After": date})


_PAGE = "<!DOCTYPE html><html><head><title>Oops</title></head><body><h1>Something went wrong</h1></body></html>"
FAULTS: Mapping[str, Callable[[HttpsServer], Response]] = {
    "throttled": lambda server: as_json({"error": "temporarily_unavailable"}, 429, {"Retry-After": str(RETRY_AFTER)}),
    "throttled_date": lambda server: _date_ahead(),
    "throttled_briefly": lambda server: as_json({"error": "temporarily_unavailable"}, 429, {"Retry-After": "1"}),
    "unavailable": lambda server: as_json({"error": "temporarily_unavailable"}, 503),
    "html_500": lambda server: as_text(_PAGE, 500),
    "html_200": lambda server: as_text(_PAGE),
    "empty": lambda server: Response(200),
    "not_json": lambda server: Response(200, b'{"access_token": ', {"Content-Type": "application/json"}),
    "not_an_object": lambda server: as_json(["access_token"]),
    "redirect": lambda server: Response(307, b"", {"Location": f"https://127.0.0.1:{server.port}/elsewhere"}),
    "redirect_loop": lambda server: Response(302, b"", {"Location": "?again"}),
    "silent": lambda server: Response(wire=Talk.hang),
    "half": lambda server: Response(wire=_half),
    "endless": lambda server: Response(wire=_endless),
    "endless_headers": lambda server: Response(wire=_endless_headers),
    "slow": lambda server: Response(wire=_slow),
    "reset": lambda server: Response(wire=Talk.reset),
    "closed": lambda server: Response(wire=Talk.close),
    "not_http": lambda server: Response(wire=_not_http),
}
# These change the right answer, which is made first.
CHANGES: Mapping[str, Callable[[Response], Response]] = {
    "wrong_content_type": lambda good: dataclasses.replace(good, headers={**good.headers, "Content-Type": "text/html"}),
}


@dataclasses.dataclass(frozen=True)
class Failure:
    """A refusal that a service knows by name."""

    name: str
    status: int
    code: str  # what the service calls it
    text: str = ""


@dataclasses.dataclass(frozen=True)
class Route:
    """Which function answers which requests."""

    operation: str
    method: str
    path: str  # a regular expression
    answer: Callable[..., Response]  # is given the request and the groups of the path


@dataclasses.dataclass
class _Planned:
    name: str
    at: str | None
    who: str | None
    left: int | None


class HttpsServer:
    """Answers requests between `start` and `stop`, or in a `with` block."""

    SCENARIOS: Mapping[str, Failure | None] = {}

    def __init__(self, zoo: CertificateZoo | None, *, certificate: str = "good", port: int = 0) -> None:
        self.requests: list[Request] = []
        self.most_at_once = 0
        self.largest_body = 200 * 2**20
        self._zoo = zoo
        self._context = zoo[certificate].server_context() if zoo else None
        self._wanted_port = port
        self._server: ScriptedServer | None = None
        self._changed = threading.Condition()
        self._failures: list[_Planned] = []
        self._active: collections.Counter[str] = collections.Counter()
        self._paused = False
        self._waiting = 0

    def routes(self) -> tuple[Route, ...]:
        """What this service knows."""
        return ()

    def who(self, request: Request) -> str:
        """The client or the mailbox that a request is about, for failures that concern one of them only."""
        return ""

    def fail_as(self, name: str, request: Request, answer: Callable[[Request], Response]) -> Response:
        """The answer when a scenario of this service's own is wanted; `answer` gives the right one."""
        raise NotImplementedError(name)

    def refused_at_once(self, request: Request) -> Response | None:
        """A refusal that does not wait, not even while requests are paused."""
        return None

    def unknown(self, request: Request) -> Response:
        """The answer where no route fits."""
        return as_json({"error": "not_found"}, 404)

    @property
    def port(self) -> int:
        """Where it listens."""
        if not self._server:
            raise PeerFailed(f"{type(self).__name__} is not running")
        return self._server.port

    @property
    def url(self) -> str:
        """Where clients reach it, without a path."""
        return f"https://localhost:{self.port}" if self._context else f"http://127.0.0.1:{self.port}"

    @property
    def ca_file(self) -> Path:
        """What a client should trust."""
        if not self._zoo:
            raise PeerFailed("this server speaks plain HTTP")
        return self._zoo.ca_file

    @classmethod
    def scenarios(cls) -> tuple[str, ...]:
        """All names that `fail` knows."""
        return (*cls.SCENARIOS, *FAULTS, *CHANGES)

    def fail(self, name: str, at: str | None = None, who: str | None = None, times: int | None = None) -> None:
        """Makes requests fail; what was planned last counts first."""
        if name not in self.scenarios():
            raise ValueError(f"{type(self).__name__} has no scenario {name}")
        if at is not None and at not in {route.operation for route in self.routes()}:
            raise ValueError(f"{type(self).__name__} has no operation {at}")
        with self._changed:
            self._failures.insert(0, _Planned(name, at, who, times))

    def works(self) -> None:
        """Nothing fails any more."""
        with self._changed:
            self._failures.clear()

    @contextlib.contextmanager
    def failing(
        self, name: str, at: str | None = None, who: str | None = None, times: int | None = None
    ) -> Iterator[None]:
        """Requests fail within the block."""
        self.fail(name, at, who, times)
        with self._changed:
            planned = self._failures[0]
        try:
            yield
        finally:
            with self._changed:
                self._failures = [one for one in self._failures if one is not planned]

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Requests wait within the block."""
        self._pause(True)
        try:
            yield
        finally:
            self._pause(False)

    def await_waiting(self, count: int, seconds: float = 120.0) -> None:
        """Returns when this many requests wait."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._waiting >= count, seconds):
                raise PeerFailed(f"{self._waiting} requests wait, not {count}")

    def start(self) -> Self:
        """Listens, and returns when clients can connect."""
        name = type(self).__name__
        self._server = ScriptedServer(self._converse, tls=self._context, port=self._wanted_port, name=name).start()
        return self

    def stop(self) -> None:
        """Cuts all connections; raises what went wrong in the server itself."""
        self._pause(False)
        server, self._server = self._server, None
        if server:
            server.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        self.stop()

    def _pause(self, paused: bool) -> None:
        with self._changed:
            self._paused = paused
            self._changed.notify_all()

    def _converse(self, talk: Talk) -> None:
        while True:
            request = self._read(talk)
            route, request = self._routed(request)
            with self._counted(request) as counted:
                response = self.refused_at_once(counted) or self._answered(route, counted)
                if response.wire:
                    response.wire(talk)
                talk.send(response.to_bytes())
            if request.headers.get("connection", "").lower() == "close":
                talk.close()

    def _read(self, talk: Talk) -> Request:
        try:
            return read_request(talk, self.largest_body)
        except ValueError:
            talk.send(Response(400).to_bytes())
            raise Over from None

    def _routed(self, request: Request) -> tuple[Route | None, Request]:
        for route in self.routes():
            if route.method == request.method and (match := re.fullmatch(route.path, request.path)):
                arguments = tuple(unquote(one or "") for one in match.groups())
                return route, dataclasses.replace(request, operation=route.operation, arguments=arguments)
        return None, request

    @contextlib.contextmanager
    def _counted(self, request: Request) -> Iterator[Request]:
        who = self.who(request)
        with self._changed:
            self._active[who] += 1
            request = dataclasses.replace(request, at_once=self._active[who])
            self.most_at_once = max(self.most_at_once, self._active.total())
            self.requests.append(request)
        try:
            yield request
        finally:
            with self._changed:
                self._active[who] -= 1

    def _answered(self, route: Route | None, request: Request) -> Response:
        with self._changed:
            self._waiting += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._paused)
            self._waiting -= 1
        if not route:
            return self.unknown(request)
        name = self._failure(request)

        def answer(asked: Request) -> Response:
            return route.answer(asked, *asked.arguments)

        if not name:
            return answer(request)
        if name in FAULTS:
            return FAULTS[name](self)
        if name in CHANGES:
            return CHANGES[name](answer(request))
        return self.fail_as(name, request, answer)

    def _failure(self, request: Request) -> str | None:
        who = self.who(request)
        with self._changed:
            for planned in self._failures:
                if planned.at in (None, request.operation) and planned.who in (None, who) and planned.left != 0:
                    if planned.left is not None:
                        planned.left -= 1
                    return planned.name
        return None


def read_request(talk: Talk, most: int) -> Request:
    """The next request of a connection."""
    method, target, _version = f"{talk.line()}  ".split(" ", 2)
    headers: dict[str, str] = {}
    while line := talk.line():
        name, _colon, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    if headers.get("expect", "").lower() == "100-continue":
        talk.send("HTTP/1.1 100 Continue\r\n\r\n")
    if "chunked" in headers.get("transfer-encoding", "").lower():
        body = b"".join(_chunks(talk))
    else:
        body = talk.read_exactly(min(int(headers.get("content-length", "0")), most))
    parts = urlsplit(target)
    return Request(method, parts.path, dict(parse_qsl(parts.query, keep_blank_values=True)), headers, body)


def _chunks(talk: Talk) -> Iterator[bytes]:
    while size := int(talk.line().partition(";")[0], 16):
        yield talk.read_exactly(size)
        talk.line()
    while talk.line():
        pass
