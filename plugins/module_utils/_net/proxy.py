# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Tunnels through a proxy: SOCKS5 (RFC 1928, 1929) and HTTP CONNECT."""

from __future__ import annotations

import base64
import re
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Callable

from .._connector.domain import MAX_NAME_LENGTH
from .._connector.resolved import Proxy
from .._verdict.observation import Kind, ProbeError, probe_error
from .dial import ascii_host
from .stream import Stream

_SOCKS_REPLIES = {
    1: "the proxy has an internal error",
    2: "the proxy does not allow this connection",
    3: "the network is unreachable from the proxy",
    4: "the host is unreachable from the proxy",
    5: "the connection was refused",
    6: "the connection timed out",
    7: "the proxy does not support this command",
    8: "the proxy does not support this address type",
}
_TARGET_ERRORS = (3, 4, 5, 6)
_NOT_A_PROXY: tuple[Kind, ...] = ("timeout", "closed", "reset", "protocol")
_LONGEST_CREDENTIAL = 255
_GATEWAY_ERRORS = ("502", "503", "504")
# Only the three digits of the proxy's status are shown.
_STATUS_LINE = re.compile(rb"HTTP/\S*\s+([0-9]{3})(?!\S)")


@contextmanager
def attribute_errors_to_proxy(proxy: Proxy | None) -> Iterator[None]:
    """Report errors on the way to the proxy as errors of the proxy, not of the server."""
    try:
        yield
    except (ProbeError, OSError) as error:
        if proxy is None:
            raise
        reason = error if isinstance(error, ProbeError) else error.strerror or error
        raise probe_error("proxy", f"{proxy.host} port {proxy.port} cannot be reached ({reason})") from error


def tunnel_through_proxy(stream: Stream, proxy: Proxy, host: str, port: int) -> None:
    """Ask the proxy at the other end of the stream to connect to the host."""
    name = ascii_host(host)
    if not 0 < len(name) <= MAX_NAME_LENGTH or "%" in name:
        raise probe_error("not_found", "this is not a host name or address that a proxy accepts")
    try:
        _CONNECT[proxy.scheme](stream, proxy, name, port)
    except ProbeError as error:
        if error.observation.kind in _NOT_A_PROXY:
            raise probe_error("proxy", f"the server at this address does not answer like a proxy ({error})") from error
        raise
    stream.start_step()


def _connect_socks5(stream: Stream, proxy: Proxy, host: str, port: int) -> None:
    methods = b"\x00\x02" if proxy.username else b"\x00"
    stream.sendall(b"\x05" + bytes([len(methods)]) + methods)
    version, method = stream.read(2)
    if version != 5:
        raise probe_error("proxy", "the proxy does not speak SOCKS5")
    if method == 2 and proxy.username:
        _socks5_sign_in(stream, proxy)
    elif method:
        raise probe_error(
            "proxy", "the proxy requires a sign-in, but proxy_username is empty", field="{block}.proxy_username"
        )
    name = _socks5_address(host)
    stream.sendall(b"\x05\x01\x00" + name + struct.pack(">H", port))
    _version, reply, _reserved, kind = stream.read(4)
    if reply:
        error_kind: Kind = "proxy_target" if reply in _TARGET_ERRORS else "proxy"
        raise probe_error(error_kind, _SOCKS_REPLIES.get(reply, f"the proxy answers with code {reply}"))
    length = {1: 4, 4: 16}.get(kind) or stream.read(1)[0]
    stream.read(length + 2)


def _socks5_sign_in(stream: Stream, proxy: Proxy) -> None:
    username, password = proxy.username.encode(), _password(proxy).encode()
    if max(len(username), len(password)) > _LONGEST_CREDENTIAL:
        text = "proxy_username and proxy_password must have at most 255 octets each for SOCKS5"
        raise probe_error("config", text, field="{block}.proxy_password")
    stream.sendall(b"\x01" + bytes([len(username)]) + username + bytes([len(password)]) + password)
    if stream.read(2)[1]:
        raise probe_error(
            "proxy", "the proxy refused proxy_username and proxy_password", field="{block}.proxy_password"
        )


def _socks5_address(host: str) -> bytes:
    if ":" in host:
        return b"\x04" + socket.inet_pton(socket.AF_INET6, host)
    with suppress(OSError):
        return b"\x01" + socket.inet_pton(socket.AF_INET, host)
    name = host.encode("ascii")
    return b"\x03" + bytes([len(name)]) + name


def _connect_http(stream: Stream, proxy: Proxy, host: str, port: int) -> None:
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if proxy.username:
        credentials = base64.b64encode(f"{proxy.username}:{_password(proxy)}".encode()).decode("ascii")
        lines.append(f"Proxy-Authorization: Basic {credentials}")
    stream.sendall("\r\n".join([*lines, "", ""]).encode("ascii"))
    match = _STATUS_LINE.match(stream.readline())
    if match is None:
        raise probe_error("proxy", "the proxy does not speak HTTP")
    status = match.group(1).decode("ascii")
    while stream.readline().strip():
        pass
    if status == "407":
        name = "proxy_password" if proxy.username else "proxy_username"
        text = "the proxy requires a sign-in: check proxy_username and proxy_password (407)"
        raise probe_error("proxy", text, field=f"{{block}}.{name}")
    if status in _GATEWAY_ERRORS:
        raise probe_error("proxy_target", f"the proxy answers with status {status}")
    if not status.startswith("2"):
        raise probe_error("proxy", f"the proxy refused the connection ({status})")


_CONNECT: dict[str, Callable[[Stream, Proxy, str, int], None]] = {"socks5": _connect_socks5, "http": _connect_http}


def _password(proxy: Proxy) -> str:
    return proxy.password.reveal() if proxy.password else ""
