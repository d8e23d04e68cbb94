# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""What every conversation with a server has in common, whatever it is held over."""

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
    """A conversation with one endpoint, step by step."""

    connection: Connection | None = None

    def __init__(self, endpoint: Endpoint, clock: Clock, record: Record, redact: Redaction) -> None:
        self.endpoint = endpoint
        self.clock = clock
        self.record = record
        self.redact = redact
        """What the server says passes here before anything is made of it that may be shown."""
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

    def note_capabilities(self, when: str, names: Iterable[str]) -> None:
        """Keep what the server says that it can do, redacted, as far as anybody can read it."""
        self.capabilities[when] = [name[:LONGEST_CAPABILITY] for name in islice(names, MOST_CAPABILITIES)]

    def facts(self) -> dict[str, Any]:
        """What a remedy may speak of."""
        return {**(self.tls or {}), **endpoint_facts(self.endpoint), **self.advertised()}

    @abstractmethod
    def advertised(self) -> dict[str, Any]:
        """What the server says that it can do, as far as a remedy may speak of it."""

    @abstractmethod
    def open(self) -> None:
        """Connect, encrypt as the endpoint demands, and learn what the server can do."""

    @abstractmethod
    def sign_in(self, token: Token | None = None) -> None:
        """One attempt with the safest way that is offered; never a second one."""

    @abstractmethod
    def quit(self) -> None:
        """Say goodbye and close."""

    def close(self) -> None:
        """Close without a word, in any state."""
        if self.connection is not None:
            self.connection.close()


class MailSession(Session):
    """A conversation over SMTP or IMAP: over one connection, which may be encrypted from the start or later."""

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
        """Negotiate; a certificate that is refused is looked at, so that it can be reported."""

        def start_tls_on(second: Connection) -> None:
            type(self)(self.endpoint, self.clock, Record(), self.redact, second).negotiate_tls()

        with self.connection.describe_refused_certificate(start_tls_on):
            self.negotiate()

    @abstractmethod
    def negotiate(self) -> None:
        """Connect, encrypt as declared, and learn what the server can do."""

    @abstractmethod
    def negotiate_tls(self) -> None:
        """As far as the TLS handshake, or as it goes without one where none is declared or optional."""


def endpoint_facts(endpoint: Endpoint) -> dict[str, Any]:
    """What a remedy may speak of."""
    other = {"starttls": "tls", "starttls_optional": "tls", "none": "tls", "tls": "starttls"}
    return {
        "host": endpoint.host,
        "port": endpoint.port,
        "security": endpoint.security,
        "better_security": other[endpoint.security],
        "auth": endpoint.auth,
        "username": endpoint.username or "the user",
        "protocol": endpoint.protocol.upper(),
    }
