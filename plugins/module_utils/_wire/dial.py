# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""From a host's name to a connected socket, racing its addresses as RFC 8305 describes."""

from __future__ import annotations

import errno
import os
import queue
import selectors
import socket
import threading
import time
from collections.abc import Iterable
from itertools import chain, zip_longest
from typing import Any, NamedTuple

from .._verdict.observed import stop
from .clock import Clock

NEXT_ADDRESS_AFTER = 0.25

_TELLING = (errno.ECONNREFUSED, errno.ECONNRESET, errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH)
_CHANGED_BY_IDNA = frozenset("\u00df\u03c2\u200c\u200d")


class Address(NamedTuple):
    """One address that a name stands for."""

    family: int
    sockaddr: Any

    @property
    def text(self) -> str:
        return str(self.sockaddr[0])


def ascii_host(host: str) -> str:
    """A host's name as it goes over the wire. Python's IDNA would make another name of some characters."""
    if not _CHANGED_BY_IDNA.isdisjoint(host):
        text = "host has characters that must be written in their ASCII form (xn--…)"
        raise stop("config", text, field="{block}.host")
    return host if host.isascii() else host.encode("idna").decode("ascii")


def resolve(host: str, port: int, clock: Clock) -> list[Address]:
    """All addresses of a host. The resolver knows no timeout: it is left behind when it takes too long."""
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            answers.put(socket.getaddrinfo(ascii_host(host), port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            answers.put(error)

    try:
        threading.Thread(target=look_up, daemon=True, name="look-up").start()
    except RuntimeError:
        raise stop("exhausted", "this host can start no more threads") from None
    try:
        answer = answers.get(timeout=clock.left())
    except queue.Empty:
        raise stop("timeout", "the name servers did not answer in time") from None
    if isinstance(answer, UnicodeError):
        raise stop("not_found", "this is not a host's name")
    if isinstance(answer, OSError):
        raise answer
    if not answer:
        raise stop("not_found", "the name has no address")
    return _interleaved(Address(int(family), sockaddr) for family, _type, _proto, _name, sockaddr in answer)


def _interleaved(addresses: Iterable[Address]) -> list[Address]:
    """IPv6 and IPv4 in turn, the resolver's first choice first."""
    ordered = list(dict.fromkeys(addresses))
    first = [each for each in ordered if each.family == ordered[0].family]
    second = [each for each in ordered if each.family != ordered[0].family]
    return [each for each in chain.from_iterable(zip_longest(first, second)) if each is not None]


def connect(addresses: list[Address], clock: Clock) -> tuple[socket.socket, Address]:
    """The first connection that comes about; the next address is tried while the earlier ones still are."""
    race = _Race(addresses)
    try:
        winner = None
        while winner is None:
            winner = race.go_on(clock)
        return winner
    finally:
        race.end()


class _Race:
    """Connection attempts that run side by side."""

    def __init__(self, addresses: list[Address]) -> None:
        self._waiting = list(addresses)
        self._selector = selectors.DefaultSelector()
        self._next_start = 0.0
        self._errors = [OSError("no address")]

    def end(self) -> None:
        """Give up on the attempts that are still under way."""
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()

    def go_on(self, clock: Clock) -> tuple[socket.socket, Address] | None:
        if self._waiting and time.monotonic() >= self._next_start:
            self._start(self._waiting.pop(0))
        if not self._selector.get_map():
            if not self._waiting:
                raise min(self._errors, key=_says_little)
            self._next_start = 0.0
            return None
        left = clock.left()
        pause = min(left, max(0.0, self._next_start - time.monotonic())) if self._waiting else left
        for key, _events in self._selector.select(pause):
            winner = self._finish(key.fileobj, key.data)  # type: ignore[arg-type]
            if winner:
                return winner
        return None

    def _start(self, address: Address) -> None:
        self._next_start = time.monotonic() + NEXT_ADDRESS_AFTER
        try:
            attempt = socket.socket(address.family, socket.SOCK_STREAM)
        except OSError as error:
            self._errors.append(error)
            return
        attempt.setblocking(False)
        outcome = attempt.connect_ex(address.sockaddr)
        if outcome in (0, errno.EINPROGRESS, errno.EWOULDBLOCK):
            self._selector.register(attempt, selectors.EVENT_WRITE, address)
        else:
            self._lost(attempt, outcome)

    def _finish(self, attempt: socket.socket, address: Address) -> tuple[socket.socket, Address] | None:
        self._selector.unregister(attempt)
        outcome = attempt.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if outcome:
            self._lost(attempt, outcome)
            return None
        attempt.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return attempt, address

    def _lost(self, attempt: socket.socket, outcome: int) -> None:
        attempt.close()
        self._next_start = 0.0
        self._errors.append(OSError(outcome, os.strerror(outcome)))


def _says_little(error: OSError) -> int:
    """Where every address failed in its own way, the one that was reached says most."""
    return _TELLING.index(error.errno) if error.errno in _TELLING else len(_TELLING)
