# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The test of one connector: its servers one after another, or the one that sends while a mailbox is open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import cast

from .._connector.redaction import Redaction
from .._connector.resolved import Endpoint, Protocol
from .._net.clock import Clock
from .._net.record import Phase
from .._protocol.session import MailSession, Session
from .alternatives import USUAL_PAIRS, Alternatives, is_worth_trying
from .job import Job
from .mail import open_mailbox
from .probe import Bounds, Probe
from .rejected_credentials import RejectedCredentials
from .result import EndpointResult, reaches
from .tokens import Tokens


# What only one protocol needs is imported only for it.
def _graph() -> type[Probe]:
    from .graph import GraphProbe

    return GraphProbe


def _imap() -> type[Probe]:
    from .imap import ImapProbe

    return ImapProbe


def _smtp() -> type[Probe]:
    from .smtp import SmtpProbe

    return SmtpProbe


_PROBES: dict[Protocol, Callable[[], type[Probe]]] = {"smtp": _smtp, "imap": _imap, "graph": _graph}


def probe_type(protocol: Protocol) -> type[Probe]:
    """The test for a protocol, imported when it is first asked for."""
    return _PROBES[protocol]()


class ConnectorTest:
    """The order in which the servers of a connector are tested; results are kept as they come."""

    def __init__(
        self,
        job: Job,
        bounds: Bounds,
        refusals: RejectedCredentials,
        found: list[EndpointResult],
        alternatives: Alternatives | None = None,
    ) -> None:
        self._job = job
        self._bounds = bounds
        self._refusals = refusals
        self._found = found
        self._alternatives = alternatives
        self._clock = Clock(bounds.deadline, bounds.timeout)
        self._redact = Redaction(job.all_secrets())
        """One for everything that is asked: one server may repeat what another was told."""
        self._tokens = self._tokens_of(job)

    def run(self) -> None:
        self._test()
        if self._alternatives:
            self._try_alternatives(self._alternatives)

    def _test(self) -> None:
        endpoints = self._job.endpoints()
        sender = self._job.connector.sender
        reading = self._job.reading_endpoint() if sender and reaches(self._bounds.depth, "deliver") else None
        reads_what_it_sends = reading == sender and not self._job.reader
        if not sender or not reading or reads_what_it_sends:
            for endpoint in endpoints:
                self._found.append(self._run(self._probe(endpoint, self._bounds)))
            return
        read = self._send_and_read(sender, reading)
        for endpoint in endpoints:
            if endpoint not in (sender, reading):
                self._found.append(self._run(self._probe(endpoint, self._bounds)))
        self._found.append(read)

    def _try_alternatives(self, alternatives: Alternatives) -> None:
        """Where one of the connector's own servers was not reached, see what answers instead."""
        for result in self._found:
            endpoint, observation = result.endpoint, result.observation
            has_usual_ports = endpoint.protocol in USUAL_PAIRS and not result.reads_for
            if observation and has_usual_ports and is_worth_trying(observation):
                session_type = cast(type[MailSession], _PROBES[endpoint.protocol]().session_type)
                result.alternatives = alternatives.of(endpoint, observation, session_type, self._clock.remaining)

    def _send_and_read(self, sender: Endpoint, reading: Endpoint) -> EndpointResult:
        """Send only when the mailbox is open: what nobody can find, nobody can remove."""
        reader = self._job.reader or self._job
        sending = self._probe(sender, self._bounds)
        looking = self._probe(reading, replace(self._bounds, depth="login"), reader)

        def send(session: Session) -> None:
            sending.mailbox = open_mailbox(session)
            self._found.append(self._run(sending))

        looking.on_session_open = send
        is_own = reader is self._job
        read = self._run(looking, self._tokens if is_own else self._tokens_of(reader))
        if sending.mailbox is None:
            self._found.append(self._unsent(sender))
        read.reads_for = "" if is_own else reader.name
        return read

    def _unsent(self, sender: Endpoint) -> EndpointResult:
        """As far as it goes without sending."""
        result = self._run(self._probe(sender, replace(self._bounds, depth="envelope")))
        result.record.phases += [Phase("message", "skipped"), Phase("delivery", "skipped")]
        return result

    def _probe(self, endpoint: Endpoint, bounds: Bounds, job: Job | None = None) -> Probe:
        return probe_type(endpoint.protocol)(job or self._job, endpoint, bounds, self._refusals, self._redact)

    def _tokens_of(self, job: Job) -> Tokens:
        return Tokens(job, self._clock, self._refusals, self._redact)

    def _run(self, probe: Probe, tokens: Tokens | None = None) -> EndpointResult:
        return probe.run(self._clock, tokens or self._tokens)
