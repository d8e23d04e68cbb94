# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""From a host's name to a connected socket, racing its addresses as RFC 8305 describes."""

from __future__ import annotations

import errno
import os
import selectors
import socket
import time
from collections.abc import Iterable
from itertools import chain, zip_longest
from typing import Any, NamedTuple

from .._connector.domain import DomainError, to_ascii
from .._verdict.observation import ProbeError, probe_error
from .clock import Clock
from .limits import NO_DESCRIPTOR_LEFT, WAIT_FOR_DESCRIPTOR
from .resolver import RESOLVER

NEXT_ADDRESS_AFTER = 0.25

_TELLING = (errno.ECONNREFUSED, errno.ECONNRESET, errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH)


class Address(NamedTuple):
    """One address that a name stands for."""

    family: int
    sockaddr: Any

    @property
    def text(self) -> str:
        return str(self.sockaddr[0])


def ascii_host(host: str) -> str:
    """A host's name as it goes over the wire."""
    try:
        return to_ascii(host)
    except DomainError:
        raise probe_error("not_found", "this is not a host's name") from None


def resolve(host: str, port: int, clock: Clock) -> list[Address]:
    """All addresses of a host; an IP address is not looked up, so that no name server can keep it waiting."""
    name = ascii_host(host)
    try:
        if _is_ip_address(name):
            answer = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        else:
            answer = RESOLVER.look_up(name, port, clock)
    except UnicodeError:
        raise probe_error("not_found", "this is not a host's name") from None
    if not answer:
        raise probe_error("not_found", "the name has no address")
    return _interleaved(Address(int(family), sockaddr) for family, _type, _proto, _name, sockaddr in answer)


def _is_ip_address(name: str) -> bool:
    try:
        return ":" in name or bool(socket.inet_pton(socket.AF_INET, name))
    except OSError:
        return False


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
        self._selector = selectors.PollSelector()  # the others need a descriptor themselves
        self._next_start = 0.0
        self._errors = [OSError("no address")]
        self._no_descriptor: OSError | None = None

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
                raise min(self._errors, key=_error_rank)
            if self._no_descriptor:
                self._wait_for_descriptor(self._no_descriptor, clock)
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
            if error.errno in NO_DESCRIPTOR_LEFT:
                self._no_descriptor = error
                self._next_start = time.monotonic() + WAIT_FOR_DESCRIPTOR
                self._waiting.insert(0, address)
            else:
                self._errors.append(error)
            return
        self._no_descriptor = None
        attempt.setblocking(False)
        outcome = attempt.connect_ex(address.sockaddr)
        if outcome in (0, errno.EINPROGRESS, errno.EWOULDBLOCK):
            self._selector.register(attempt, selectors.EVENT_WRITE, address)
        else:
            self._lost(attempt, outcome)

    def _wait_for_descriptor(self, error: OSError, clock: Clock) -> None:
        """Wait until others close theirs; where none does before the step is out of time, raise that error."""
        try:
            left = clock.left()
        except ProbeError:
            raise error from None
        time.sleep(min(left, WAIT_FOR_DESCRIPTOR))

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


def _error_rank(error: OSError) -> int:
    """Where every address failed in its own way, the one that was reached says most."""
    return _TELLING.index(error.errno) if error.errno in _TELLING else len(_TELLING)
