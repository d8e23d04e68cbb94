# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Loopback addresses and ports: free ones, dead ones, black holes, and names for several of them."""

from __future__ import annotations

import contextlib
import random
import socket
import time
import types
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Self

BLOCK = 128
LOWEST = 20000


class PeerFailed(Exception):
    """A peer could not be started, or did not do what it should."""


class PortBlock:
    """A block of ports below the ephemeral ones; whoever listens on its first port owns the block."""

    def __init__(self) -> None:
        self._guard, first = _claim_block()
        self._free = iter(range(first + 1, first + BLOCK))

    def take(self) -> int:
        """A port that nobody else is given while the block is held."""
        for port in self._free:
            if is_free(port):
                return port
        raise PeerFailed(f"no free port is left in a block of {BLOCK}")

    def release(self) -> None:
        """Gives the block back."""
        self._guard.close()


def _claim_block() -> tuple[socket.socket, int]:
    ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    firsts = list(range(LOWEST, max(ephemeral, LOWEST + 100 * BLOCK) - BLOCK, BLOCK))
    random.shuffle(firsts)
    for first in firsts:
        guard = socket.socket()
        try:
            guard.bind(("127.0.0.1", first))
            guard.listen(1)
        except OSError:
            guard.close()
        else:
            return guard, first
    raise PeerFailed("no block of ports is free")


def is_free(port: int) -> bool:
    """Whether nothing listens on any address at this port."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("0.0.0.0", port))  # nothing listens here, it is only tried
        except OSError:
            return False
    return True


def has_ipv6() -> bool:
    """Whether ::1 can be listened on."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as sock:
        sock.bind(("::1", 0))
        return True
    return False


def listening(host: str = "127.0.0.1", port: int = 0, backlog: int = 512) -> socket.socket:
    """A listening socket, for IPv4 or IPv6 as the address says."""
    sock = bound(host, port)
    sock.listen(backlog)
    return sock


def bound(host: str, port: int = 0) -> socket.socket:
    """A bound socket that does not listen: whoever connects is refused, and nobody else gets the port."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock


class Refused:
    """An address and port where every connection is refused, as long as this is open."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self._sock = bound(host, port)
        self.host = host
        self.port: int = self._sock.getsockname()[1]

    def close(self) -> None:
        """Gives the port back."""
        self._sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        self.close()


class Blackhole(Refused):
    """An address and port that never answer a connection attempt: a listener whose queue is full.

    Linux drops what does not fit into a full queue, so a client waits until its own timeout.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(host, port)
        self._sock.listen(0)
        self._waiting: list[socket.socket] = []
        self._fill()

    def _fill(self) -> None:
        for _attempt in range(8):
            client = socket.socket(self._sock.family)
            client.settimeout(0.2)
            self._waiting.append(client)
            try:
                client.connect((self.host, self.port))
            except TimeoutError:
                return
        raise PeerFailed("this kernel does not drop connections when a queue is full")

    def close(self) -> None:
        """Gives the port back."""
        for client in self._waiting:
            client.close()
        super().close()


def answers(
    *places: tuple[str, int],
) -> list[tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[str, int]]]:
    """What `socket.getaddrinfo` would return for a name with these addresses, to hand to code that resolves names."""
    return [
        (socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port))
        for host, port in places
    ]


def hosts_environment(folder: Path, names: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """Environment variables under which a command resolves these names to these addresses (package libnss-wrapper)."""
    path = folder / "hosts"
    lines = [f"{address} {name}\n" for name, addresses in names.items() for address in addresses]
    path.write_text("".join(["127.0.0.1 localhost\n", *lines]), encoding="ascii")
    return {"LD_PRELOAD": _nss_wrapper(), "NSS_WRAPPER_HOSTS": str(path)}


def _nss_wrapper() -> str:
    for found in Path("/usr").glob("lib*/**/libnss_wrapper.so"):
        return str(found)
    raise PeerFailed("libnss_wrapper.so is not here: it is in the Debian package libnss-wrapper")


def wait_until_open(port: int, seconds: float, host: str = "127.0.0.1") -> bool:
    """Whether somebody accepts connections within the time given."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1):
            return True
        time.sleep(0.01)
    return False
