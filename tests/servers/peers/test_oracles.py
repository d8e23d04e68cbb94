# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other programs see the peers as they are meant to be."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from peers import oracles
from peers.mail import MailServer

# The tests that use this server would fail with it.
pytestmark = pytest.mark.matrix

SECURITIES = ("none", "starttls", "tls")


@pytest.fixture(scope="module")
def blackbox(mail_server: MailServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[oracles.Blackbox]:
    modules = {
        f"{protocol}_{security}": getattr(oracles, f"{protocol}_module")(mail_server.zoo, security)
        for protocol in ("smtp", "imap")
        for security in SECURITIES
    }
    with oracles.Blackbox(tmp_path_factory.mktemp("blackbox"), modules) as exporter:
        yield exporter


@pytest.mark.parametrize(
    ("port", "security", "mechanism", "phase"),
    [
        ("submission", "starttls", "PLAIN", "ok"),
        ("smtps", "tls", "LOGIN", "ok"),
        ("smtps", "tls", "CRAM-MD5", "ok"),
        ("smtps_expired", "tls", "PLAIN", "tls"),
        ("submission_other_ca", "starttls", "PLAIN", "tls"),
        ("submission_missing_intermediate", "starttls", "PLAIN", "tls"),
        ("no_starttls", "starttls", "PLAIN", "tls"),
        ("relay", "starttls", "PLAIN", "auth"),
    ],
)
def test_swaks(mail_server: MailServer, port: str, security: str, mechanism: str, phase: str) -> None:
    opinion = oracles.swaks(
        mail_server.ports[port],
        security=security,
        zoo=mail_server.zoo,
        user=mail_server.users["alice"],
        mechanism=mechanism,
        until="RCPT",
    )
    assert opinion.phase == phase, opinion.text


def test_monitoring_plugins(mail_server: MailServer) -> None:
    ports = mail_server.ports
    assert oracles.check_smtp(ports["submission"], security="starttls", user=mail_server.users["alice"]).code == 0
    assert oracles.check_smtp(ports["submission"], "-D", "14", security="starttls").code == 0
    assert oracles.check_smtp(ports["submission_near_end"], "-D", "14", security="starttls").code == 1
    assert oracles.check_smtp(ports["submission_expired"], "-D", "14", security="starttls").code == 2
    assert oracles.check_imap(ports["imap"]).code == 0
    assert oracles.check_imap(ports["imaps"], security="tls").code == 0


@pytest.mark.parametrize(
    ("module", "port", "content"),
    [
        ("smtp_none", "relay", True),
        ("smtp_starttls", "submission", True),
        ("smtp_tls", "smtps", True),
        ("smtp_tls", "smtps_wrong_name", False),
        ("smtp_tls", "submission", False),
        ("imap_none", "imap", True),
        ("imap_starttls", "imap", True),
        ("imap_tls", "imaps", True),
        ("imap_starttls", "imap_not_yet_valid", False),
        ("imap_starttls", "imap_no_starttls", False),
    ],
)
def test_blackbox(blackbox: oracles.Blackbox, mail_server: MailServer, module: str, port: str, content: bool) -> None:
    assert blackbox.probe(module, mail_server.ports[port]) == content
