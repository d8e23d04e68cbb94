# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest
from peers.proxies import HTTP_REPLIES, SOCKS_REPLIES, HttpProxy, Socks5Proxy
from peers.proxies import Proxy as Peer
from peers.scripted import ScriptedServer

from ansible_collections.mailroom.core.plugins.module_utils._connector.resolved import Proxy
from ansible_collections.mailroom.core.plugins.module_utils._connector.secret import Secret
from ansible_collections.mailroom.core.plugins.module_utils._net.clock import Clock
from ansible_collections.mailroom.core.plugins.module_utils._net.proxy import tunnel_through_proxy
from ansible_collections.mailroom.core.plugins.module_utils._net.stream import Stream
from ansible_collections.mailroom.core.plugins.module_utils._verdict.observation import ProbeError

PASSWORD = "hunter2-not-to-be-seen"
PEERS: dict[str, type[Peer]] = {"socks5": Socks5Proxy, "http": HttpProxy}
both = pytest.mark.parametrize("scheme", PEERS)


def _through(scheme: str, port: int, host: str, far_port: int, *who: str) -> Stream:
    connection = socket.create_connection(("127.0.0.1", port), timeout=60)
    stream = Stream(connection, Clock(1, 0.5))
    username, password = who or ("", "")
    secret = Secret(password) if password else None
    try:
        tunnel_through_proxy(stream, Proxy(scheme, "127.0.0.1", port, username, secret), host, far_port)
    except BaseException:
        stream.close()
        raise
    return stream


def _refused(act: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(ProbeError) as stopped:
        act()
    assert PASSWORD not in repr(stopped.value.observation)
    return stopped.value.observation.kind, stopped.value.observation.text


def _greets() -> ScriptedServer:
    return ScriptedServer(lambda talk: talk.send("220 mail.example.com\r\n"))


@both
@pytest.mark.parametrize("username", ["", "ann"])
@pytest.mark.parametrize(("host", "kind"), [("mail.example.com", "name"), ("127.0.0.1", "ipv4"), ("::1", "ipv6")])
def test_a_server_is_reached_through_a_proxy(scheme: str, username: str, host: str, kind: str) -> None:
    password = PASSWORD if username else None
    peer = PEERS[scheme](username or None, password, routes={host: "127.0.0.1"})
    with _greets() as far, peer.server() as near:
        stream = _through(scheme, near.port, host, far.port, username, password or "")
        assert stream.readline() == b"220 mail.example.com\r\n"
        stream.close()
    request = peer.requests[0]
    assert (request.host, request.port, request.kind) == (host, far.port, kind)
    assert (request.username, request.password) == (username or None, password)


@pytest.mark.parametrize("code", [*SOCKS_REPLIES.values(), 9, 255])
def test_every_refusal_of_socks5_is_told(code: int) -> None:
    with Socks5Proxy(refuse=code).server() as near:
        kind, text = _refused(lambda: _through("socks5", near.port, "mail.example.com", 25))
    assert kind == ("proxy_target" if code in (3, 4, 5, 6) else "proxy")
    assert text


@pytest.mark.parametrize("status", HTTP_REPLIES)
def test_every_refusal_of_http_is_told(status: int) -> None:
    with HttpProxy(refuse=status).server() as near:
        kind, text = _refused(lambda: _through("http", near.port, "mail.example.com", 25))
    assert kind == ("proxy_target" if status in (502, 503, 504) else "proxy")
    assert str(status) in text
    assert ("proxy_password" in text) == (status == 407)


@both
@pytest.mark.parametrize(("username", "password"), [("", ""), ("ann", "wrong"), ("ann", "")])
def test_a_proxy_that_wants_another_sign_in(scheme: str, username: str, password: str) -> None:
    with PEERS[scheme]("ann", PASSWORD).server() as near:
        kind, text = _refused(lambda: _through(scheme, near.port, "mail.example.com", 25, username, password))
    assert kind == "proxy"
    assert "sign-in" in text or "proxy_password" in text


@both
@pytest.mark.parametrize("mode", ["garbage", "hang", "hang_up"])
def test_a_proxy_that_is_none(scheme: str, mode: str) -> None:
    with PEERS[scheme](mode=mode).server() as near:
        kind, _text = _refused(lambda: _through(scheme, near.port, "mail.example.com", 25))
    assert kind == "proxy"


LIES = {
    "a status that is not a number": "HTTP/1.1 \u00b2\u00b2\u00b2 Fine\r\n\r\n",
    "no status": "HTTP/1.1\r\n\r\n",
    "mail": "220 mail.example.com ESMTP\r\n",
    "a blank line": "\r\n",
}


@pytest.mark.parametrize("reply", LIES.values(), ids=LIES)
def test_an_http_proxy_that_does_not_speak_http(reply: str) -> None:
    with ScriptedServer(lambda talk: (talk.read(), talk.send(reply.encode("latin-1")))) as near:  # type: ignore[arg-type,func-returns-value]
        assert _refused(lambda: _through("http", near.port, "mail.example.com", 25))[0] == "proxy"


@both
@pytest.mark.parametrize(
    "host", ["a" * 300, "ü" * 80 + ".example.com", "a..ü"], ids=["long", "long label", "empty label"]
)
def test_a_name_that_a_proxy_cannot_be_told(scheme: str, host: str) -> None:
    """Nobody has looked it up before, so it is found out here."""
    with PEERS[scheme](routes={host: "127.0.0.1"}).server() as near, pytest.raises(ProbeError):
        _through(scheme, near.port, host, 25)


def test_a_socks5_password_that_is_too_long_is_not_cut() -> None:
    """255 octets are the most that fit; a part of the password is not the password."""
    password = "x" * 300
    with Socks5Proxy("ann", password[:255]).server() as near:
        assert _refused(lambda: _through("socks5", near.port, "127.0.0.1", 25, "ann", password))[0] in (
            "proxy",
            "config",
        )


def test_a_proxy_shows_no_password() -> None:
    proxy = Proxy("socks5", "proxy.example.com", 1080, "ann", Secret(PASSWORD))
    assert PASSWORD not in f"{proxy!r} {proxy} {vars(proxy)}"
