# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Resolve names with a timeout, although getaddrinfo has none and cannot be interrupted.

It runs in a limited number of daemon threads: the process does not wait for one that hangs.
"""

from __future__ import annotations

import socket
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any, Union

from .._verdict.observation import ProbeError, probe_error
from .clock import Clock
from .limits import NO_DESCRIPTOR_LEFT, WAIT_FOR_DESCRIPTOR, max_lookups

Answer = Union[list[Any], OSError, UnicodeError]


@dataclass
class _Lookup:
    """A pending look-up, shared by all who wait for the same name and port."""

    name: str
    port: int
    waiters: int = 0
    answer: Answer | None = None

    def run(self) -> None:
        """Call getaddrinfo, and retry for as long as the process is out of file descriptors."""
        answer = _getaddrinfo(self.name, self.port)
        while self.waiters and _is_out_of_descriptors(answer):
            time.sleep(WAIT_FOR_DESCRIPTOR)
            answer = _getaddrinfo(self.name, self.port)
        self.answer = answer


def _getaddrinfo(name: str, port: int) -> Answer:
    try:
        return socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        return error


def _is_out_of_descriptors(answer: Answer) -> bool:
    # The error numbers of gaierror are not errno values.
    if not isinstance(answer, OSError) or isinstance(answer, socket.gaierror):
        return False
    return answer.errno in NO_DESCRIPTOR_LEFT


class Resolver:
    """A pool of at most `max_threads` look-up threads. If all of them hang, further look-ups time out."""

    def __init__(self, max_threads: int) -> None:
        self._max_threads = max_threads
        self._lock = threading.Lock()
        self._threads = 0
        self._cannot_start_threads = False
        self._queue: deque[_Lookup] = deque()
        self._pending: dict[tuple[str, int], _Lookup] = {}

    def resolve(self, name: str, port: int, clock: Clock) -> list[Any]:
        """Return or raise what getaddrinfo does; raise ProbeError if it does not return in time."""
        lookup = self._add_waiter(name, port)
        try:
            self._wait(lookup, clock)
        finally:
            self._remove_waiter(lookup)
        if isinstance(lookup.answer, list):
            return lookup.answer
        raise lookup.answer or probe_error("internal", "a look-up ended without a result")

    def _add_waiter(self, name: str, port: int) -> _Lookup:
        with self._lock:
            lookup = self._pending.get((name, port))
            if lookup is None:
                lookup = self._pending[name, port] = _Lookup(name, port)
                self._queue.append(lookup)
            lookup.waiters += 1
            return lookup

    def _wait(self, lookup: _Lookup, clock: Clock) -> None:
        """Wait for the answer, or raise a timeout when the step is out of time."""

        def is_answered() -> bool:
            if lookup.answer is None:
                self._start_thread()
            return lookup.answer is not None

        try:
            clock.wait_for(is_answered)
        except ProbeError:
            if self._cannot_start_threads:
                raise probe_error("exhausted", "this host can start no more threads") from None
            raise probe_error("timeout", "the name servers did not answer in time") from None

    def _remove_waiter(self, lookup: _Lookup) -> None:
        """Drop the look-up when nobody waits for it, so that the next request starts a new one."""
        with self._lock:
            lookup.waiters -= 1
            if not lookup.waiters:
                self._forget(lookup)

    def _forget(self, lookup: _Lookup) -> None:
        if self._pending.get((lookup.name, lookup.port)) is lookup:
            del self._pending[lookup.name, lookup.port]

    def _start_thread(self) -> None:
        with self._lock:
            if not self._queue or self._threads >= self._max_threads:
                return
            self._threads += 1
        try:
            threading.Thread(target=self._run_lookups, daemon=True, name="look-up").start()
        except RuntimeError:
            with self._lock:
                self._threads -= 1
                self._cannot_start_threads = not self._threads
        else:
            self._cannot_start_threads = False

    def _run_lookups(self) -> None:
        while True:
            lookup = self._next_lookup()
            if lookup is None:
                return
            lookup.run()
            with self._lock:
                self._forget(lookup)

    def _next_lookup(self) -> _Lookup | None:
        """The next look-up that somebody still waits for, or None, after which the thread ends."""
        with self._lock:
            while self._queue:
                lookup = self._queue.popleft()
                if lookup.waiters:
                    return lookup
            self._threads -= 1
            return None


RESOLVER = Resolver(max_lookups())
