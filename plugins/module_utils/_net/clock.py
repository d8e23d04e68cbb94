# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The deadline of a test and the timeout of each step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .._verdict.observation import probe_error

_MIN_PAUSE, _MAX_PAUSE = 0.0005, 0.05


class Clock:
    """A deadline for all of a connector's steps, and a timeout for each step."""

    def __init__(self, deadline: float, timeout: float) -> None:
        self._end = time.monotonic() + deadline
        self._timeout = timeout
        self._step_end = self._end
        self.start_step()

    def start_step(self) -> None:
        self._step_end = min(self._end, time.monotonic() + self._timeout)

    @contextmanager
    def limit_step_timeout(self, seconds: float) -> Iterator[None]:
        """Limit the timeout of the steps within."""
        former, self._timeout = self._timeout, min(self._timeout, seconds)
        try:
            yield
        finally:
            self._timeout = former

    @contextmanager
    def suspend_step_timeout(self) -> Iterator[None]:
        """Let the steps within take until the deadline."""
        former, self._timeout = self._timeout, max(self._timeout, self.remaining)
        self.start_step()
        try:
            yield
        finally:
            self._timeout = former

    def pause(self, seconds: float) -> bool:
        """Sleep and return True, or return False if `seconds` is 0 or goes beyond the deadline."""
        if not 0 < seconds < self.remaining:
            return False
        time.sleep(seconds)
        return True

    def wait_for(self, is_done: Callable[[], bool]) -> None:
        """Wait until something is done; raise a timeout if the step ends before.

        It polls, since on old C libraries a lock with a timeout uses the wall clock, which may jump.
        """
        started = time.monotonic()
        while not is_done():
            pause = min(max(_MIN_PAUSE, (time.monotonic() - started) / 4), _MAX_PAUSE)
            time.sleep(min(pause, self.step_remaining()))

    @property
    def remaining(self) -> float:
        """Seconds until the deadline; zero or negative once it has passed."""
        return self._end - time.monotonic()

    def step_remaining(self) -> float:
        """Seconds that the current step may still take; raises a timeout if there are none."""
        left = self._step_end - time.monotonic()
        if left <= 0:
            raise probe_error("timeout", "no answer in time")
        return left
