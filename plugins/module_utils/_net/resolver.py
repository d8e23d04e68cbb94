# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Looks names up within a time limit, although getaddrinfo knows none and cannot be interrupted.

It runs in threads of its own, of which there are few: one that hangs is left behind. They are daemons, so that the
process does not wait for them when it ends.
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
from .limits import NO_DESCRIPTOR_LEFT, WAIT_FOR_DESCRIPTOR, lookups_at_once

Answer = Union[list[Any], OSError, UnicodeError]


@dataclass
class _Lookup:
    """A name that is looked up once for all who wait for it at the same time."""

    name: str
    port: int
    waiting: int = 0
    answer: Answer | None = None

    def run(self) -> None:
        """Ask the system's resolver, again where only a free descriptor is missing."""
        answer = _ask(self.name, self.port)
        while self.waiting and _is_short_of_descriptors(answer):
            time.sleep(WAIT_FOR_DESCRIPTOR)
            answer = _ask(self.name, self.port)
        self.answer = answer


def _ask(name: str, port: int) -> Answer:
    try:
        return socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        return error


def _is_short_of_descriptors(answer: Answer) -> bool:
    # The numbers of getaddrinfo's own errors mean something else.
    if not isinstance(answer, OSError) or isinstance(answer, socket.gaierror):
        return False
    return answer.errno in NO_DESCRIPTOR_LEFT


class Resolver:
    """A bounded number of threads that look names up; when all of them hang, further names wait their time in vain."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._threads = 0
        self._has_no_thread = False
        self._queue: deque[_Lookup] = deque()
        self._current: dict[tuple[str, int], _Lookup] = {}

    def look_up(self, name: str, port: int, clock: Clock) -> list[Any]:
        """What getaddrinfo returns or raises; ProbeError where it does neither in time."""
        lookup = self._join(name, port)
        try:
            self._wait(lookup, clock)
        finally:
            self._leave(lookup)
        if isinstance(lookup.answer, list):
            return lookup.answer
        raise lookup.answer or probe_error("internal", "a look-up without an answer")

    def _join(self, name: str, port: int) -> _Lookup:
        with self._lock:
            lookup = self._current.get((name, port))
            if lookup is None:
                lookup = self._current[name, port] = _Lookup(name, port)
                self._queue.append(lookup)
            lookup.waiting += 1
            return lookup

    def _wait(self, lookup: _Lookup, clock: Clock) -> None:
        """Until there is an answer, or the step is out of time."""

        def is_answered() -> bool:
            if lookup.answer is None:
                self._start_thread()
            return lookup.answer is not None

        try:
            clock.wait_for(is_answered)
        except ProbeError:
            if self._has_no_thread:
                raise probe_error("exhausted", "this host can start no more threads") from None
            raise probe_error("timeout", "the name servers did not answer in time") from None

    def _leave(self, lookup: _Lookup) -> None:
        """Whoever asks for the name once nobody waits for it any more begins anew."""
        with self._lock:
            lookup.waiting -= 1
            if not lookup.waiting:
                self._forget(lookup)

    def _forget(self, lookup: _Lookup) -> None:
        if self._current.get((lookup.name, lookup.port)) is lookup:
            del self._current[lookup.name, lookup.port]

    def _start_thread(self) -> None:
        with self._lock:
            if not self._queue or self._threads >= self._most:
                return
            self._threads += 1
        try:
            threading.Thread(target=self._work, daemon=True, name="look-up").start()
        except RuntimeError:
            with self._lock:
                self._threads -= 1
                self._has_no_thread = not self._threads
        else:
            self._has_no_thread = False

    def _work(self) -> None:
        while True:
            lookup = self._next()
            if lookup is None:
                return
            lookup.run()
            with self._lock:
                self._forget(lookup)

    def _next(self) -> _Lookup | None:
        """The next name that somebody still waits for; where there is none, the thread ends."""
        with self._lock:
            while self._queue:
                lookup = self._queue.popleft()
                if lookup.waiting:
                    return lookup
            self._threads -= 1
            return None


RESOLVER = Resolver(lookups_at_once())
