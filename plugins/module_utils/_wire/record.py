# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The phases of a conversation, in order, each with its outcome and how long it took."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from .._errors import MissingLibrary
from .._verdict.observed import Signal, Stopped
from .trouble import signal_of

LONGEST_TEXT = 500


@dataclass
class Phase:
    """One phase. What the server said is kept as far as it is useful."""

    phase: str
    status: str = "ok"
    ms: float = 0.0
    code: int | None = None
    enhanced: str = ""
    text: str = ""

    def reply(self, code: int | None, enhanced: str, text: str) -> None:
        self.code, self.enhanced, self.text = code, enhanced, text[:LONGEST_TEXT]


@dataclass
class Record:
    """What happened in one conversation."""

    protocol: str
    phases: list[Phase] = field(default_factory=list)
    current: str = ""

    @contextmanager
    def phase(self, name: str) -> Iterator[Phase]:
        """A phase: whatever stops it is noted with its name and goes on up as Stopped."""
        phase = Phase(name)
        self.phases.append(phase)
        self.current = name
        started = time.monotonic()
        try:
            yield phase
        except Stopped as stopped:
            stopped.signal = self._failed(phase, stopped.signal)
            raise
        except MissingLibrary as missing:
            phase.status, phase.text = "fail", str(missing)
            raise
        except OSError as error:
            raise Stopped(self._failed(phase, signal_of(error))) from error
        except Exception:
            phase.status = "fail"
            raise
        finally:
            phase.ms = round((time.monotonic() - started) * 1000, 1)

    def _failed(self, phase: Phase, signal: Signal) -> Signal:
        phase.status = "fail"
        if signal.text or signal.code:
            phase.reply(signal.code, signal.enhanced, signal.text)
        return signal.seen(phase=signal.phase or phase.phase, protocol=self.protocol)
