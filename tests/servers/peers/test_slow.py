# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The slow server takes its time, for everybody at once."""

from __future__ import annotations

import threading
import time

import pytest
from peers.ca import CertificateZoo
from peers.slow import SlowServer
from servers.peers.clients import ALICE, imap, imap_login, smtp, smtp_login

# The tests that use this server would fail with it.
pytestmark = pytest.mark.matrix


@pytest.mark.parametrize("security", ["none", "starttls", "tls"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_slow_logins(zoo: CertificateZoo, security: str, mechanism: str) -> None:
    with SlowServer("smtp", 0.2, security, zoo.good) as server, smtp(server.port, security, zoo) as client:
        started = time.monotonic()
        assert smtp_login(client, mechanism, ALICE.address, ALICE.password) == 235
        assert time.monotonic() - started >= 0.2
    with SlowServer("imap", 0.2, security, zoo.good) as server, imap(server.port, security, zoo) as session:
        started = time.monotonic()
        assert imap_login(session, mechanism, ALICE.address, ALICE.password) == "OK"
        assert time.monotonic() - started >= 0.2
        assert session.select("INBOX", readonly=True)[0] == "OK"


def test_two_hundred_at_once(zoo: CertificateZoo) -> None:
    with SlowServer("smtp", 1.5) as server:
        threads = [threading.Thread(target=_sign_in, args=(server.port, zoo)) for _turn in range(200)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert server.stats() == dict.fromkeys(("connections", "most_connections", "logins", "most_logins"), 200)


def _sign_in(port: int, zoo: CertificateZoo) -> None:
    with smtp(port, "none", zoo) as client:
        smtp_login(client, "PLAIN", ALICE.address, ALICE.password)
