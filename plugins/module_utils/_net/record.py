# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The phases of a conversation, in order, each with its outcome and how long it took."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from .._connector.resolved import Protocol
from .._errors import MissingLibrary
from .._verdict.observation import Observation, PhaseName, PhaseStatus, ProbeError
from .os_errors import observation_of

LONGEST_TEXT = 500


@dataclass
class Phase:
    """One phase. What the server said is kept as far as it is useful."""

    phase: PhaseName
    status: PhaseStatus = "ok"
    ms: float = 0.0
    code: int | None = None
    enhanced: str = ""
    text: str = ""

    def reply(self, code: int | None, enhanced: str, text: str) -> None:
        self.code, self.enhanced, self.text = code, enhanced, text[:LONGEST_TEXT]


@dataclass
class Record:
    """What happened in one conversation; without a protocol it is kept for nobody."""

    protocol: Protocol | Literal[""] = ""
    phases: list[Phase] = field(default_factory=list)
    current: PhaseName | Literal[""] = ""

    @contextmanager
    def phase(self, name: PhaseName) -> Iterator[Phase]:
        """Time a phase; what stops it is recorded and raised as a ProbeError that names the phase."""
        phase = Phase(name)
        self.phases.append(phase)
        self.current = name
        started = time.monotonic()
        try:
            yield phase
        except ProbeError as stopped:
            raise ProbeError(self._failed(phase, stopped.observation)) from stopped
        except MissingLibrary as missing:
            phase.status, phase.text = "fail", str(missing)
            raise
        except OSError as error:
            raise ProbeError(self._failed(phase, observation_of(error))) from error
        except Exception:
            phase.status = "fail"
            raise
        finally:
            phase.ms = round((time.monotonic() - started) * 1000, 1)

    def _failed(self, phase: Phase, observation: Observation) -> Observation:
        phase.status = "fail"
        if observation.text or observation.code:
            phase.reply(observation.code, observation.enhanced, observation.text)
        return observation.with_context(phase=observation.phase or phase.phase, protocol=self.protocol)
