# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pytest fixtures: the certificates and the mail server, made once per run, when the first test asks for them.

`cloud` is made for each test.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from peers.ca import CertificateZoo
from peers.cloud import Cloud
from peers.mail import MailServer

EMPTIED = ("alice", "bob")

__all__ = ["cloud", "mail_server", "running_mail_server", "zoo"]


@pytest.fixture(scope="session")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> CertificateZoo:
    """Certificates, good and bad."""
    return CertificateZoo(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def running_mail_server(tmp_path_factory: pytest.TempPathFactory, zoo: CertificateZoo) -> Iterator[MailServer]:
    """Postfix and Dovecot, with the certificates of `zoo`."""
    with MailServer(tmp_path_factory.mktemp("mail"), zoo) as server:
        yield server


@pytest.fixture(scope="module")
def mail_server(running_mail_server: MailServer) -> MailServer:
    """The same server for all, with nothing left of what the tests of another file have sent."""
    for name in EMPTIED:
        running_mail_server.empty(name)
    return running_mail_server


@pytest.fixture
def cloud(mail_server: MailServer) -> Iterator[Cloud]:
    """Entra, Graph and the others, whose tokens sign in to `mail_server`."""
    with Cloud(mail_server) as services:
        yield services
