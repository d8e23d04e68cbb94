# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""What a server of SMTP or IMAP says first; it may speak another protocol, or wait for TLS."""

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

_FIRST_WORDS = {
    "SMTP": re.compile(rb"220[ -]"),
    "IMAP": re.compile(rb"\* (OK|PREAUTH|BYE)\b"),
    "POP3": re.compile(rb"\+OK\b"),
    "SSH": re.compile(rb"SSH-"),
    "HTTP": re.compile(rb"HTTP/"),
}


@contextmanager
def greeting_phase(endpoint: Endpoint, connection: Connection, record: Record) -> Iterator[Phase]:
    """The phase in which the greeting is read; where none comes, see whether the port waits for TLS."""
    with record.phase("greeting") as phase:
        connection.stream.start_step()
        try:
            yield phase
        except ProbeError as stopped:
            if endpoint.security != "tls" and _waits_for_tls(connection, stopped.observation):
                raise probe_error("speaks_tls", "the port waits for a TLS handshake") from None
            raise


def read_first_line(stream: Stream, expected: Protocol) -> bytes:
    """The greeting's first line; stop where it is that of another protocol."""
    line = stream.readline()
    for protocol, beginning in _FIRST_WORDS.items():
        if protocol != expected.upper() and beginning.match(line):
            raise probe_error("other_protocol", f"the port speaks {protocol}", speaks=protocol)
    return line


def _waits_for_tls(connection: Connection, observation: Observation) -> bool:
    """Whether the server is silent because it waits for a TLS handshake; some send an alert when that is late."""
    if connection.stream.starts_with(TLS_ALERT):
        return True
    return observation.kind == "timeout" and not connection.stream.has_unread and connection.speaks_tls()
