# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Read the greeting of an SMTP or IMAP server, and detect another protocol or a port that expects TLS."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from .._connector.resolved import Endpoint, Protocol
from .._net.connection import Connection
from .._net.record import Phase, Record
from .._net.stream import Stream
from .._verdict.observation import Observation, ProbeError, probe_error

TLS_ALERT = b"\x15\x03"

_GREETINGS = {
    "SMTP": re.compile(rb"220[ -]"),
    "IMAP": re.compile(rb"\* (OK|PREAUTH|BYE)\b"),
    "POP3": re.compile(rb"\+OK\b"),
    "SSH": re.compile(rb"SSH-"),
    "HTTP": re.compile(rb"HTTP/"),
}


@contextmanager
def greeting_phase(endpoint: Endpoint, connection: Connection, record: Record) -> Iterator[Phase]:
    """The phase in which the greeting is read; if none comes, test whether the port expects TLS."""
    with record.phase("greeting") as phase:
        connection.stream.start_step()
        try:
            yield phase
        except ProbeError as error:
            if endpoint.security != "tls" and _expects_tls(connection, error.observation):
                raise probe_error("speaks_tls", "the port expects a TLS handshake") from None
            raise


def read_first_line(stream: Stream, expected: Protocol) -> bytes:
    """Read the first line of the greeting; fail if it is that of another protocol."""
    line = stream.readline()
    for protocol, pattern in _GREETINGS.items():
        if protocol != expected.upper() and pattern.match(line):
            raise probe_error("other_protocol", f"the port speaks {protocol}", speaks=protocol)
    return line


def _expects_tls(connection: Connection, observation: Observation) -> bool:
    """Whether the server is silent because it expects a TLS handshake; some send an alert after a while."""
    if connection.stream.starts_with(TLS_ALERT):
        return True
    return observation.kind == "timeout" and not connection.stream.has_unread and connection.speaks_tls()
