# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Record the phases of a session, each with its status and duration."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from .._connector.resolved import Protocol
from .._errors import MissingLibrary
from .._verdict.observation import Observation, PhaseName, PhaseStatus, ProbeError
from .os_errors import observation_from_error

LONGEST_TEXT = 500


@dataclass
class Phase:
    """One phase, with the beginning of the server's reply."""

    phase: PhaseName
    status: PhaseStatus = "ok"
    ms: float = 0.0
    code: int | None = None
    enhanced: str = ""
    text: str = ""

    def set_reply(self, code: int | None, enhanced: str, text: str) -> None:
        self.code, self.enhanced, self.text = code, enhanced, text[:LONGEST_TEXT]


@dataclass
class Record:
    """The phases of one session; without a protocol the record is discarded."""

    protocol: Protocol | Literal[""] = ""
    phases: list[Phase] = field(default_factory=list)
    current: PhaseName | Literal[""] = ""

    @contextmanager
    def phase(self, name: PhaseName) -> Iterator[Phase]:
        """Time a phase; on error, record it and raise a ProbeError that names the phase."""
        phase = Phase(name)
        self.phases.append(phase)
        self.current = name
        started = time.monotonic()
        try:
            yield phase
        except ProbeError as error:
            raise ProbeError(self._fail(phase, error.observation)) from error
        except MissingLibrary as missing:
            phase.status, phase.text = "fail", str(missing)
            raise
        except OSError as error:
            raise ProbeError(self._fail(phase, observation_from_error(error))) from error
        except Exception:
            phase.status = "fail"
            raise
        finally:
            phase.ms = round((time.monotonic() - started) * 1000, 1)

    def _fail(self, phase: Phase, observation: Observation) -> Observation:
        phase.status = "fail"
        if observation.text or observation.code:
            phase.set_reply(observation.code, observation.enhanced, observation.text)
        return observation.with_context(phase=observation.phase or phase.phase, protocol=self.protocol)
