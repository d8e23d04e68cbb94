# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small SOCKS5 and HTTP proxies that forward, refuse, hang or talk nonsense."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import ipaddress
import socket
import struct
import threading
from collections.abc import Mapping

from peers.scripted import ScriptedServer, Talk

Place = tuple[str, int]

GARBAGE = b"\xde\xad\xbe\xef nothing that a proxy would say\r\n\r\n"
SOCKS_REPLIES = {
    "general_failure": 1,
    "not_allowed": 2,
    "network_unreachable": 3,
    "host_unreachable": 4,
    "refused": 5,
    "expired": 6,
    "command_unsupported": 7,
    "address_unsupported": 8,
}
HTTP_REPLIES = {
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    407: "Proxy Authentication Required",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


@dataclasses.dataclass
class Request:
    """What a client wanted from a proxy."""

    host: str
    port: int
    kind: str  # name, ipv4 or ipv6
    username: str | None = None
    password: str | None = None


@dataclasses.dataclass
class Proxy:
    """What both kinds have in common.

    `routes` maps a host name that clients ask for to the address where it really is. `mode` is `forward`, `hang` (never
    answers), `hang_up`, `garbage`, or `hang_later` (answers that it is connected, then nothing comes).
    """

    username: str | None = None
    password: str | None = None
    mode: str = "forward"
    routes: Mapping[str, str] = dataclasses.field(default_factory=dict)
    refuse: int | None = None  # a code of SOCKS_REPLIES, or a status of HTTP_REPLIES
    requests: list[Request] = dataclasses.field(default_factory=list)

    def server(self) -> ScriptedServer:
        """A server that runs this proxy."""
        return ScriptedServer(self._talk, name=type(self).__name__)

    def _talk(self, talk: Talk) -> None:
        if self.mode == "hang":
            talk.hang()
        if self.mode == "garbage":
            talk.read()
            talk.send(GARBAGE)
            talk.hang()
        if self.mode == "hang_up":
            talk.read()
            talk.close()
        self._serve(talk)

    def _serve(self, talk: Talk) -> None:
        raise NotImplementedError

    def _knows(self, username: str, password: str) -> bool:
        return (username, password) == (self.username, self.password)

    def _connect(self, request: Request) -> socket.socket:
        self.requests.append(request)
        return socket.create_connection((self.routes.get(request.host, request.host), request.port), timeout=60)


class Socks5Proxy(Proxy):
    """RFC 1928, and RFC 1929 where there is a username."""

    def _serve(self, talk: Talk) -> None:
        username, password = self._sign_in(talk)
        _version, command, _reserved, kind = talk.read_exactly(4)
        host, name = _socks_address(talk, kind)
        port = int.from_bytes(talk.read_exactly(2), "big")
        request = Request(host, port, name, username, password)
        if self.refuse or command != 1:
            self.requests.append(request)
            self._answer(talk, self.refuse or SOCKS_REPLIES["command_unsupported"])
            talk.close()
        try:
            far = self._connect(request)
        except OSError as error:
            self._answer(talk, SOCKS_REPLIES[_socks_error(error)])
            talk.close()
            return
        with far:
            self._answer(talk, 0)
            if self.mode == "hang_later":
                talk.hang()
            join(talk, far)

    def _sign_in(self, talk: Talk) -> tuple[str | None, str | None]:
        _version, count = talk.read_exactly(2)
        methods = talk.read_exactly(count)
        wanted = 0 if self.username is None else 2
        if wanted not in methods:
            talk.send(b"\x05\xff")
            talk.close()
        talk.send(bytes([5, wanted]))
        if not wanted:
            return None, None
        talk.read_exactly(1)
        username, password = (talk.read_exactly(talk.read_exactly(1)[0]).decode() for _field in range(2))
        good = self._knows(username, password)
        talk.send(b"\x01\x00" if good else b"\x01\x01")
        if not good:
            talk.close()
        return username, password

    def _answer(self, talk: Talk, code: int) -> None:
        talk.send(bytes([5, code, 0, 1]) + struct.pack("!4sH", b"\x7f\0\0\1", 0))


def _socks_address(talk: Talk, kind: int) -> tuple[str, str]:
    if kind == 3:
        return talk.read_exactly(talk.read_exactly(1)[0]).decode(), "name"
    size = {1: 4, 4: 16}.get(kind)
    if not size:
        talk.close()
        raise AssertionError
    return str(ipaddress.ip_address(talk.read_exactly(size))), "ipv4" if kind == 1 else "ipv6"


def _socks_error(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if isinstance(error, TimeoutError):
        return "expired"
    return "host_unreachable"


class HttpProxy(Proxy):
    """CONNECT, with basic authentication where there is a username."""

    def _serve(self, talk: Talk) -> None:
        request, headers = _http_request(talk)
        given = headers.get("proxy-authorization", "")
        if given.lower().startswith("basic "):
            text = base64.b64decode(given[6:]).decode()
            request.username, _colon, request.password = text.partition(":")
        if self.username is not None and not self._knows(request.username or "", request.password or ""):
            self._refuse(talk, 407, request)
        if self.refuse:
            self._refuse(talk, self.refuse, request)
        try:
            far = self._connect(request)
        except OSError as error:
            _reply(talk, 504 if isinstance(error, TimeoutError) else 502)
            talk.close()
            return
        with far:
            talk.send("HTTP/1.1 200 Connection established\r\nVia: 1.1 proxy.example.com\r\n\r\n")
            if self.mode == "hang_later":
                talk.hang()
            join(talk, far)

    def _refuse(self, talk: Talk, status: int, request: Request) -> None:
        self.requests.append(request)
        _reply(talk, status)
        talk.close()


def _http_request(talk: Talk) -> tuple[Request, dict[str, str]]:
    method, target, _version = (*talk.line().split(" "), "", "")[:3]
    headers: dict[str, str] = {}
    while line := talk.line():
        name, _colon, value = line.partition(":")
        headers[name.lower()] = value.strip()
    host, _colon, port = target.rpartition(":")
    if method != "CONNECT" or not port.isdigit():
        _reply(talk, 400)
        talk.close()
    bare = host.strip("[]")
    kind = "ipv6" if ":" in bare else "ipv4" if bare.replace(".", "").isdigit() else "name"
    return Request(bare, int(port), kind), headers


def _reply(talk: Talk, status: int) -> None:
    body = f"<html>{HTTP_REPLIES[status]}</html>\r\n"
    ask = 'Proxy-Authenticate: Basic realm="proxy"\r\n' if status == 407 else ""
    head = f"HTTP/1.1 {status} {HTTP_REPLIES[status]}\r\n{ask}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    talk.send(head + body)


def join(talk: Talk, far: socket.socket) -> None:
    """Hands on what either side says until one of them ends."""
    far.settimeout(None)

    def back() -> None:
        with contextlib.suppress(OSError):
            while data := far.recv(65536):
                talk.sock.sendall(data)
        with contextlib.suppress(OSError):
            talk.sock.shutdown(socket.SHUT_RDWR)

    thread = threading.Thread(target=back, name="proxy", daemon=True)
    thread.start()
    try:
        while True:
            far.sendall(talk.read())
    finally:
        with contextlib.suppress(OSError):
            far.shutdown(socket.SHUT_RDWR)
        thread.join()
