# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""What every kind of test of a connector has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar

from .._connector.redaction import Redaction
from .._net.clock import Clock
from .credentials import RejectedCredentials, Tokens
from .job import Job
from .result import Depth, EndpointResult, ProbeWarning, reaches

DEEPEST_IN_CHECK_MODE: Depth = "envelope"
"""Deeper tests send mail. Holds for connector_test, verify, init_mail and the roles."""


@dataclass(frozen=True)
class Bounds:
    """How far to go, and within which limits."""

    depth: Depth = "login"
    to: str = ""
    include_copies: bool = False
    """Whether what is sent goes to the connector's cc and bcc too."""
    timeout: float = 10
    deadline: float = 60
    min_days_valid: int = 14
    alternatives: bool = False
    """Whether the other usual ports of a host are tried where no encrypted connection can be made."""
    warnings: tuple[ProbeWarning, ...] = ()

    def in_check_mode(self) -> Bounds:
        """The same, but so that nothing is sent, with a warning where that is not what was asked for."""
        if reaches(DEEPEST_IN_CHECK_MODE, self.depth):
            return self
        deepest = DEEPEST_IN_CHECK_MODE
        text = f"in check mode the test ends with {deepest}: nothing was sent, and {self.depth} is not tested"
        return replace(self, depth=deepest, warnings=(*self.warnings, ProbeWarning("check_mode", text)))


@dataclass(frozen=True)
class CheckContext:
    """What the checks of one connector share."""

    job: Job
    bounds: Bounds
    clock: Clock
    redact: Redaction
    """Shared by all servers: one may quote what was sent to another."""
    rejected: RejectedCredentials
    tokens: Tokens

    @classmethod
    def of(cls, job: Job, bounds: Bounds, rejected: RejectedCredentials) -> CheckContext:
        clock, redact = Clock(bounds.deadline, bounds.timeout), Redaction(job.all_secrets())
        return cls(job, bounds, clock, redact, rejected, Tokens(job, clock, rejected, redact))

    def at_depth(self, depth: Depth) -> CheckContext:
        """For a check that goes less far."""
        return replace(self, bounds=replace(self.bounds, depth=depth))

    def of_reader(self, reader: Job) -> CheckContext:
        """For the connector whose mailbox is read, which has a token of its own."""
        if reader is self.job:
            return self
        return replace(self, job=reader, tokens=Tokens(reader, self.clock, self.rejected, self.redact))


class Check(ABC):
    """A kind of test of a connector."""

    needs: ClassVar[Depth]
    """The depth from which on it runs."""

    @abstractmethod
    def run(self) -> list[EndpointResult]:
        """Run it; errors are part of the results, of which there is one for each server."""
