# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Results of tests, as the module returns them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from .._connector.redaction import Redaction
from .._connector.resolved import Endpoint, ResolvedConnector
from .._net.record import Phase, Record
from .._protocol.session import Session
from .._verdict.diagnosis import Diagnosis, diagnose
from .._verdict.fields import field_of
from .._verdict.observation import Observation, PhaseName
from .alternatives import TriedPairs, advice

# Fields that are not redacted: our own, and texts in which the server's part was redacted before. All others are.
_NOT_REDACTED = frozenset(
    "connector protocol host port phase status ms enhanced text message_id delivered_ms hops".split()
)

Depth = Literal["connect", "login", "envelope", "send", "deliver"]
DEPTHS: tuple[Depth, ...] = get_args(Depth)


def reaches(depth: Depth, wanted: Depth) -> bool:
    """Whether a test of this depth goes as far as the wanted one."""
    return DEPTHS.index(depth) >= DEPTHS.index(wanted)


@dataclass(frozen=True)
class ProbeWarning:
    """Something that works but needs attention."""

    code: str
    text: str


@dataclass
class EndpointResult:
    """The result of testing one server of a connector."""

    endpoint: Endpoint
    record: Record
    redact: Redaction
    session: Session | None = None
    observation: Observation | None = None
    warnings: list[ProbeWarning] = field(default_factory=list)
    message: dict[str, Any] | None = None
    """The mail that the server has accepted, and what is known of its delivery."""
    alternatives: TriedPairs | None = None
    """What was tried instead of this server, where no encrypted connection could be made."""
    reads_for: str = ""
    """The connector that the mailbox belongs to, where that is another than the tested one."""
    traceback: list[str] = field(default_factory=list)
    """Where a bug of ours happened, if one did."""

    def skip(self, expected: Iterable[PhaseName]) -> None:
        """Record the phases that were not reached as skipped."""
        left = list(expected)
        for phase in self.record.phases:
            if phase.phase in left:
                left = left[left.index(phase.phase) + 1 :]
        self.record.phases += [Phase(name, "skipped") for name in left]

    def to_dict(self) -> dict[str, Any]:
        session = self.session
        tls = dict(session.tls) if session and session.tls else None
        if tls:
            tls.pop("signature_hash", None)
        shown = {
            **({"connector": self.reads_for} if self.reads_for else {}),
            "protocol": self.endpoint.protocol,
            "host": self.endpoint.host,
            "port": self.endpoint.port,
            "address": session.address if session else None,
            "phases": [_phase_to_dict(phase) for phase in self.record.phases],
            "tls": tls,
            "capabilities": session.capabilities if session else {},
            "message": self.message,
        }
        is_declared = shown["address"] == self.endpoint.host
        return dict(self.redact.value(shown, _NOT_REDACTED | {"address"} if is_declared else _NOT_REDACTED))


def _phase_to_dict(phase: Phase) -> dict[str, Any]:
    shown: dict[str, Any] = {"phase": phase.phase, "status": phase.status, "ms": phase.ms}
    optional = {"code": phase.code, "enhanced": phase.enhanced, "text": phase.text}
    return {**shown, **{key: value for key, value in optional.items() if value}}


@dataclass
class Result:
    """The result of testing one connector."""

    name: str
    depth: Depth
    elapsed_ms: int = 0
    endpoints: list[EndpointResult] = field(default_factory=list)
    observation: Observation | None = None
    warnings: list[ProbeWarning] = field(default_factory=list)
    """Warnings about the test as a whole."""
    traceback: list[str] = field(default_factory=list)
    """Where a bug of ours happened outside of the tests of its servers, if one did."""
    connector: ResolvedConnector | None = None
    to: str = ""
    """The recipient that the task names."""
    reader: str = ""
    """The connector whose mailbox is read, where that is another one."""

    def accepted(self) -> dict[str, Any] | None:
        """The mail that a server has accepted, if one has."""
        return next((each.message for each in self.endpoints if each.message), None)

    def diagnosis(self) -> Diagnosis:
        """The verdict on what failed first; the remedy says whose mailbox it is, and what answers instead."""
        if self.observation:
            return diagnose(self.observation)
        failed = self._failed()
        if not failed or not failed.observation:
            return Diagnosis("ok", "certain", "")
        diagnosis = diagnose(failed.observation)
        if failed.reads_for:
            opening = f"The mailbox of connector {failed.reads_for}, in which the mail is looked for, cannot be used."
            return diagnosis._replace(remedy=f"{opening} {diagnosis.remedy}")
        if failed.alternatives:
            instead = advice(failed.endpoint.host, failed.alternatives)
            return diagnosis._replace(remedy=f"{diagnosis.remedy} {instead}".strip())
        return diagnosis

    def field_to_check(self) -> str | None:
        """The declared field to look at first, or the option of the task."""
        observation, failed = self.first_observation(), self._failed()
        if not observation:
            return None
        if not self.observation and failed and failed.reads_for:
            return "deliver_via"
        smtp = self.connector.smtp if self.connector else None
        shares = smtp is not None and smtp.same_credentials
        declared = self.connector.declared if self.connector else ()
        return field_of(self.diagnosis(), observation, declared, self.to, shares_credentials=shares)

    def lacks_library(self) -> bool:
        """Whether the test has failed for want of a Python library on this host."""
        observation = self.first_observation()
        return bool(observation and observation.facts.get("library"))

    def first_observation(self) -> Observation | None:
        failed = self._failed()
        return self.observation or (failed.observation if failed else None)

    def _failed(self) -> EndpointResult | None:
        return next((each for each in self.endpoints if each.observation), None)

    def to_dict(self, *, verbose: bool = False) -> dict[str, Any]:
        """The result as it is returned; the traceback of a bug of ours only if verbose."""
        diagnosis = self.diagnosis()
        traceback = [*self.traceback, *(line for each in self.endpoints for line in each.traceback)]
        found = [*self.warnings, *(warning for endpoint in self.endpoints for warning in endpoint.warnings)]
        warnings = [vars(warning) for warning in dict.fromkeys(found)]
        status = "fail" if diagnosis.verdict != "ok" else "warn" if warnings else "ok"
        return {
            "connector": self.name,
            "status": status,
            "verdict": diagnosis.verdict,
            "field": self.field_to_check(),
            "certainty": diagnosis.certainty,
            "remedy": diagnosis.remedy,
            "warnings": warnings,
            "alternatives": [
                {"protocol": each.endpoint.protocol, **pair._asdict()}
                for each in self.endpoints
                for pair in (each.alternatives.answered if each.alternatives else ())
            ],
            **({"deliver_via": self.reader} if self.reader else {}),
            "depth": self.depth,
            "elapsed_ms": self.elapsed_ms,
            "endpoints": [endpoint.to_dict() for endpoint in self.endpoints],
            **({"traceback": traceback} if verbose and traceback else {}),
        }
