# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which ports a remedy says were tried, without a server."""

from __future__ import annotations

from typing import Any, cast

from ansible_collections.mailroom.core.plugins.module_utils._check.alternatives import Alternatives
from ansible_collections.mailroom.core.plugins.module_utils._connector.resolved import Endpoint
from ansible_collections.mailroom.core.plugins.module_utils._protocol.session import MailSession
from ansible_collections.mailroom.core.plugins.module_utils._verdict.observation import Observation

REFUSED = Observation("refused", phase="tcp", protocol="smtp")


class Refusing:
    """A session with a port that nobody listens on."""

    def __init__(self, *_given: Any) -> None:
        pass

    def negotiate(self) -> None:
        raise ConnectionRefusedError

    def close(self) -> None:
        pass


def test_the_own_port_of_a_connector_is_none_of_the_other_ports() -> None:
    """The host was tried for another connector, to which this port was one of the others."""
    alternatives = Alternatives(timeout=10)
    endpoints = [Endpoint("smtp", "mail.example.com", port, "starttls") for port in (2525, 587)]
    session_type = cast("type[MailSession]", Refusing)
    tried = [alternatives.probe(endpoint, REFUSED, session_type, 10).pairs for endpoint in endpoints]
    assert [[pair.port for pair in pairs] for pairs in tried] == [[465, 587, 25], [465, 25]]
