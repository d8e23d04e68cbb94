# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The interface of a session with a server, for every protocol."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from itertools import islice
from typing import Any

from .._auth.tokens import Token
from .._connector.redaction import Redaction
from .._connector.resolved import Endpoint
from .._net.clock import Clock
from .._net.connection import Connection, Target
from .._net.record import Record

MOST_CAPABILITIES = 100
LONGEST_CAPABILITY = 200


class Session(ABC):
    """A session with one endpoint."""

    connection: Connection | None = None

    def __init__(self, endpoint: Endpoint, clock: Clock, record: Record, redact: Redaction) -> None:
        self.endpoint = endpoint
        self.clock = clock
        self.record = record
        self.redact = redact
        """Everything that the server sends passes this redaction before it may be shown."""
        self.capabilities: dict[str, list[str]] = {}
        self.has_sent_credentials = False

    @property
    def address(self) -> str:
        return self.connection.address if self.connection else ""

    @property
    def tls(self) -> dict[str, Any] | None:
        return self.connection.tls if self.connection else None

    @property
    def is_encrypted(self) -> bool:
        return self.connection is not None and self.connection.is_encrypted

    def record_capabilities(self, when: str, names: Iterable[str]) -> None:
        """Keep the redacted capabilities, shortened."""
        self.capabilities[when] = [name[:LONGEST_CAPABILITY] for name in islice(names, MOST_CAPABILITIES)]

    def facts(self) -> dict[str, Any]:
        """Facts for the remedy."""
        return {**(self.tls or {}), **self.endpoint.facts(), **self.advertised()}

    @abstractmethod
    def advertised(self) -> dict[str, Any]:
        """Facts for the remedy about what the server offers."""

    @abstractmethod
    def open(self) -> None:
        """Connect, negotiate TLS and read the capabilities."""

    @abstractmethod
    def sign_in(self, token: Token | None = None) -> None:
        """Try once to sign in, with the safest mechanism that is offered."""

    @abstractmethod
    def quit(self) -> None:
        """End the session and close the connection."""

    def close(self) -> None:
        """Close the connection at once, in any state."""
        if self.connection is not None:
            self.connection.close()


class MailSession(Session):
    """A session over SMTP or IMAP, with TLS from the start or by STARTTLS."""

    connection: Connection

    def __init__(
        self,
        endpoint: Endpoint,
        clock: Clock,
        record: Record,
        redact: Redaction,
        connection: Connection | None = None,
    ) -> None:
        super().__init__(endpoint, clock, record, redact)
        trust = None if endpoint.security == "none" else endpoint.trust
        target = Target(endpoint.host, endpoint.port, trust, endpoint.proxy)
        self.connection = connection or Connection(target, clock, redact, record)

    def open(self) -> None:
        """Negotiate; if the certificate is refused, read it, so that it can be reported."""

        def start_tls_on(second: Connection) -> None:
            type(self)(self.endpoint, self.clock, Record(), self.redact, second).negotiate_tls()

        with self.connection.describe_refused_certificate(start_tls_on):
            self.negotiate()

    @abstractmethod
    def negotiate(self) -> None:
        """Connect, negotiate TLS and read the capabilities."""

    @abstractmethod
    def negotiate_tls(self) -> None:
        """Connect and, unless security is none, negotiate TLS."""
