# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The proxies forward, refuse and misbehave as asked."""

from __future__ import annotations

import base64
import contextlib
import socket
import struct
from collections.abc import Iterator

import pytest
from peers import net
from peers.proxies import GARBAGE, HTTP_REPLIES, SOCKS_REPLIES, HttpProxy, Socks5Proxy
from peers.smtp import SmtpScript

# The tests that use this server would fail with it.
pytestmark = pytest.mark.matrix

GREETING = b"220 mail.example.com ESMTP\r\n"


@contextlib.contextmanager
def _through(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("localhost", port), timeout=0.5) as sock:
        yield sock


def _socks(sock: socket.socket, host: str, port: int, user: str = "", password: str = "") -> int:
    """The code of the proxy's reply; 255 where it refuses the sign-in or its method."""
    sock.sendall(b"\x05\x01" + (b"\x02" if user else b"\0"))
    if sock.recv(2) == b"\x05\xff":
        return 255
    if user:
        sock.sendall(b"\x01" + b"".join(bytes([len(text)]) + text.encode() for text in (user, password)))
        if sock.recv(2) != b"\x01\0":
            return 255
    sock.sendall(b"\x05\x01\0\x03" + bytes([len(host)]) + host.encode() + struct.pack("!H", port))
    return sock.recv(10)[1]


def _http(sock: socket.socket, host: str, port: int, user: str = "", password: str = "") -> int:
    head = f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n"
    if user:
        head += f"Proxy-Authorization: Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}\r\n"
    sock.sendall(f"{head}\r\n".encode())
    reply = b""
    while not reply.endswith(b"\r\n\r\n"):
        reply += sock.recv(1)
    return int(reply.split()[1])


@pytest.mark.parametrize("user", ["", "someone"])
def test_they_forward(user: str) -> None:
    password = user and "pass word"
    with SmtpScript().server() as server:
        for kind, ask, good in ((Socks5Proxy, _socks, 0), (HttpProxy, _http, 200)):
            proxy = kind(user or None, password or None, routes={"mail.example.com": "127.0.0.1"})
            with proxy.server() as front, _through(front.port) as sock:
                assert ask(sock, "mail.example.com", server.port, user, password) == good
                assert sock.recv(100) == GREETING
                sock.sendall(b"QUIT\r\n")
                assert sock.recv(100).startswith(b"221")
                assert sock.recv(100) == b""
            (request,) = proxy.requests
            assert (request.host, request.port, request.kind) == ("mail.example.com", server.port, "name")
            assert (request.username or "", request.password or "") == (user, password)


def test_they_want_the_right_password() -> None:
    for kind, ask, refused in ((Socks5Proxy, _socks, 255), (HttpProxy, _http, 407)):
        with kind("someone", "right").server() as front:
            for user, password in (("", ""), ("someone", "wrong")):
                with _through(front.port) as sock:
                    assert ask(sock, "localhost", 1, user, password) == refused


@pytest.mark.parametrize("code", SOCKS_REPLIES.values())
def test_socks_refusals(code: int) -> None:
    with Socks5Proxy(refuse=code).server() as front, _through(front.port) as sock:
        assert _socks(sock, "localhost", 1) == code
        assert sock.recv(10) == b""


@pytest.mark.parametrize("status", HTTP_REPLIES)
def test_http_refusals(status: int) -> None:
    with HttpProxy(refuse=status).server() as front, _through(front.port) as sock:
        assert _http(sock, "localhost", 1) == status


def test_a_dead_target() -> None:
    with net.Refused() as dead:
        with Socks5Proxy().server() as front, _through(front.port) as sock:
            assert _socks(sock, "localhost", dead.port) == SOCKS_REPLIES["refused"]
        with HttpProxy().server() as front, _through(front.port) as sock:
            assert _http(sock, "localhost", dead.port) == 502


@pytest.mark.parametrize("kind", [Socks5Proxy, HttpProxy])
def test_they_misbehave(kind: type[Socks5Proxy | HttpProxy]) -> None:
    with kind(mode="garbage").server() as front, _through(front.port) as sock:
        sock.sendall(b"\x05\x01\0")
        assert sock.recv(100) == GARBAGE
    with kind(mode="hang_up").server() as front, _through(front.port) as sock:
        sock.sendall(b"\x05\x01\0")
        assert sock.recv(100) == b""
    with kind(mode="hang").server() as front, _through(front.port) as sock:
        sock.sendall(b"\x05\x01\0")
        with pytest.raises(TimeoutError):
            sock.recv(100)
    with SmtpScript().server() as server, kind(mode="hang_later").server() as front, _through(front.port) as sock:
        ask, good = (_socks, 0) if kind is Socks5Proxy else (_http, 200)
        assert ask(sock, "localhost", server.port) == good
        with pytest.raises(TimeoutError):
            sock.recv(100)
