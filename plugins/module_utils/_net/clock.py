# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""How much time is left: for a step, and for everything."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .._verdict.observation import probe_error

_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.0005, 0.05


class Clock:
    """A deadline for a whole connector, and a timeout for each step within it."""

    def __init__(self, deadline: float, timeout: float) -> None:
        self._end = time.monotonic() + deadline
        self._timeout = timeout
        self._step_end = self._end
        self.start_step()

    def start_step(self) -> None:
        self._step_end = min(self._end, time.monotonic() + self._timeout)

    @contextmanager
    def hurried(self, seconds: float) -> Iterator[None]:
        """Steps within take no longer than this."""
        patience, self._timeout = self._timeout, min(self._timeout, seconds)
        try:
            yield
        finally:
            self._timeout = patience

    @contextmanager
    def patient(self) -> Iterator[None]:
        """Steps within may take all the time that is left."""
        patience, self._timeout = self._timeout, max(self._timeout, self.remaining)
        self.start_step()
        try:
            yield
        finally:
            self._timeout = patience

    def pause(self, seconds: float) -> bool:
        """Wait, where that much time is asked for and left; whether it was."""
        if not 0 < seconds < self.remaining:
            return False
        time.sleep(seconds)
        return True

    def wait_for(self, is_done: Callable[[], bool]) -> None:
        """Wait until something is done; stop where the step is out of time before.

        With an old C library a lock with a timeout waits by the wall clock, which may jump by hours; sleep never does.
        """
        started = time.monotonic()
        while not is_done():
            pause = min(max(_SHORTEST_PAUSE, (time.monotonic() - started) / 4), _LONGEST_PAUSE)
            time.sleep(min(pause, self.left()))

    @property
    def remaining(self) -> float:
        """Seconds until the deadline; none or less when it has passed."""
        return self._end - time.monotonic()

    def left(self) -> float:
        """Seconds that the current step may still take; a step that is out of time stops."""
        left = self._step_end - time.monotonic()
        if left <= 0:
            raise probe_error("timeout", "no answer in time")
        return left
