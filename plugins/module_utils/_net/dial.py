# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Resolve a host name and connect to the first address that answers (Happy Eyeballs, RFC 8305)."""

from __future__ import annotations

import errno
import ipaddress
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

CONNECTION_ATTEMPT_DELAY = 0.25

_ERRNO_RANK = (errno.ECONNREFUSED, errno.ECONNRESET, errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH)


class Address(NamedTuple):
    """One address of a host."""

    family: int
    sockaddr: Any

    @property
    def text(self) -> str:
        return str(self.sockaddr[0])

    @property
    def is_loopback(self) -> bool:
        return ipaddress.ip_address(self.text).is_loopback


def ascii_host(host: str) -> str:
    """The ASCII form of a host name."""
    try:
        return to_ascii(host)
    except DomainError:
        raise probe_error("not_found", "this is not a host name") from None


def resolve(host: str, port: int, clock: Clock) -> list[Address]:
    """All addresses of a host. An IP address is not looked up, so it does not depend on name servers."""
    name = ascii_host(host)
    try:
        if _is_ip_address(name):
            answer = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        else:
            answer = RESOLVER.resolve(name, port, clock)
    except UnicodeError:
        raise probe_error("not_found", "this is not a host name") from None
    if not answer:
        raise probe_error("not_found", "the name has no address")
    return _interleave(Address(int(family), sockaddr) for family, _type, _proto, _name, sockaddr in answer)


def _is_ip_address(name: str) -> bool:
    try:
        return ":" in name or bool(socket.inet_pton(socket.AF_INET, name))
    except OSError:
        return False


def _interleave(addresses: Iterable[Address]) -> list[Address]:
    """IPv6 and IPv4 addresses alternately, beginning with the resolver's first choice."""
    ordered = list(dict.fromkeys(addresses))
    first = [each for each in ordered if each.family == ordered[0].family]
    second = [each for each in ordered if each.family != ordered[0].family]
    return [each for each in chain.from_iterable(zip_longest(first, second)) if each is not None]


def connect(addresses: list[Address], clock: Clock) -> tuple[socket.socket, Address]:
    """The first connection that succeeds; the next address is tried while earlier attempts are pending."""
    attempts = _HappyEyeballs(addresses)
    try:
        connected = None
        while connected is None:
            connected = attempts.step(clock)
        return connected
    finally:
        attempts.close()


class _HappyEyeballs:
    """Connection attempts that run concurrently (RFC 8305, 5)."""

    def __init__(self, addresses: list[Address]) -> None:
        self._addresses = list(addresses)
        self._selector = selectors.PollSelector()  # other selectors need a file descriptor
        self._next_start = 0.0
        self._errors = [OSError("no address")]
        self._no_descriptor: OSError | None = None

    def close(self) -> None:
        """Close the attempts that are still pending."""
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()

    def step(self, clock: Clock) -> tuple[socket.socket, Address] | None:
        """Start the next attempt if it is due, and wait; returns the connection if one succeeded."""
        if self._addresses and time.monotonic() >= self._next_start:
            self._start(self._addresses.pop(0))
        if not self._selector.get_map():
            if not self._addresses:
                raise min(self._errors, key=_error_rank)
            if self._no_descriptor:
                self._wait_for_descriptor(self._no_descriptor, clock)
            self._next_start = 0.0
            return None
        remaining = clock.step_remaining()
        pause = min(remaining, max(0.0, self._next_start - time.monotonic())) if self._addresses else remaining
        for key, _events in self._selector.select(pause):
            connected = self._finish(key.fileobj, key.data)  # type: ignore[arg-type]
            if connected:
                return connected
        return None

    def _start(self, address: Address) -> None:
        self._next_start = time.monotonic() + CONNECTION_ATTEMPT_DELAY
        try:
            attempt = socket.socket(address.family, socket.SOCK_STREAM)
        except OSError as error:
            if error.errno in NO_DESCRIPTOR_LEFT:
                self._no_descriptor = error
                self._next_start = time.monotonic() + WAIT_FOR_DESCRIPTOR
                self._addresses.insert(0, address)
            else:
                self._errors.append(error)
            return
        self._no_descriptor = None
        attempt.setblocking(False)
        error_number = attempt.connect_ex(address.sockaddr)
        if error_number in (0, errno.EINPROGRESS, errno.EWOULDBLOCK):
            self._selector.register(attempt, selectors.EVENT_WRITE, address)
        else:
            self._fail(attempt, error_number)

    def _wait_for_descriptor(self, error: OSError, clock: Clock) -> None:
        """Wait for a free file descriptor; raise the error if the step is out of time."""
        try:
            remaining = clock.step_remaining()
        except ProbeError:
            raise error from None
        time.sleep(min(remaining, WAIT_FOR_DESCRIPTOR))

    def _finish(self, attempt: socket.socket, address: Address) -> tuple[socket.socket, Address] | None:
        self._selector.unregister(attempt)
        error_number = attempt.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error_number:
            self._fail(attempt, error_number)
            return None
        attempt.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return attempt, address

    def _fail(self, attempt: socket.socket, error_number: int) -> None:
        attempt.close()
        self._next_start = 0.0
        self._errors.append(OSError(error_number, os.strerror(error_number)))


def _error_rank(error: OSError) -> int:
    """The rank of an error when all addresses failed: an answer of the host ranks before no answer."""
    return _ERRNO_RANK.index(error.errno) if error.errno in _ERRNO_RANK else len(_ERRNO_RANK)
