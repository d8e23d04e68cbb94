# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright the mailroom.core contributors
"""A real tenant: one message, from the mailbox to itself. There is no such test unless it is asked for."""

from __future__ import annotations

from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, localtime, make_msgid

from live.tenant import Tenant

from ansible_collections.mailroom.core.plugins.module_utils._connector.effective import effective
from ansible_collections.mailroom.core.plugins.module_utils._connector.secret import Secret
from ansible_collections.mailroom.core.plugins.module_utils._session.endpoint import endpoints_of
from ansible_collections.mailroom.core.plugins.module_utils._session.graph import GraphSession
from ansible_collections.mailroom.core.plugins.module_utils._signin.ways import token_source
from ansible_collections.mailroom.core.plugins.module_utils._wire.clock import Clock
from ansible_collections.mailroom.core.plugins.module_utils._wire.http import HttpClient
from ansible_collections.mailroom.core.plugins.module_utils._wire.record import Record
from ansible_collections.mailroom.core.plugins.module_utils._wire.tls import Trust


def test_a_message_to_the_mailbox_itself_is_accepted(tenant: Tenant) -> None:
    declared = tenant.declaration("graph")
    secrets = {"oauth2.client_secret": Secret(declared["oauth2"].pop("client_secret"))}
    connector = effective(declared, {}, secrets, "live")
    clock = Clock(timeout=20, deadline=60)
    http = HttpClient(clock, Trust(ca_file=connector["oauth2"].get("ca_file", "")), None)
    session = GraphSession(endpoints_of(connector, secrets)[0], clock, Record("graph"))
    try:
        session.sign_in(token_source(connector["oauth2"], secrets, http).obtain("graph"))
        session.post_mime("sendMail", message(tenant.mailbox))
    finally:
        session.close()
        http.close()


def message(mailbox: str) -> bytes:
    """A few words to whom they come from."""
    letter = EmailMessage(policy=SMTP)
    letter["From"] = letter["To"] = mailbox
    letter["Subject"] = "Test of mailroom.core"
    letter["Date"] = format_datetime(localtime())
    letter["Message-ID"] = make_msgid(domain=mailbox.rpartition("@")[2])
    letter["Auto-Submitted"] = "auto-generated"
    letter.set_content("This message proves that the application may send. It can be deleted.\n")
    return letter.as_bytes()
