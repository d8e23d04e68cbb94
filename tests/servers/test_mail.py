# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module mail against Postfix and Dovecot, read back over IMAP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from peers.mail import MailServer
from peers.users import USERS
from servers.playing import run
from servers.test_connector_test import Scene, connector

ALICE, BOB, UMA = (USERS[name].address for name in ("alice", "bob", "uma"))
NOBODY = "nobody@example.com"
Answer = dict[str, Any]


class Office(Scene):
    """A registry with connectors that send as alice."""

    def mail(self, check: bool = False, **options: Any) -> Answer:
        return run("mail", {**self.options, "connector": "alerts", "subject": "Hello", **options}, check)

    def smtp(self, port: str = "submission", **more: Any) -> Answer:
        return connector("alerts", "smtp", self.block(port), **more)


@pytest.fixture
def office(tmp_path: Path, mail_server: MailServer) -> Iterator[Office]:
    """A registry of its own, and mailboxes that are empty before and after."""
    for user in ("alice", "bob", "uma"):
        mail_server.empty(user)
    yield Office(tmp_path, mail_server)
    for user in ("alice", "bob", "uma"):
        mail_server.empty(user)


def test_text_is_sent_through_a_connector(office: Office, mail_server: MailServer) -> None:
    office.store([office.smtp()])
    answer = office.mail(to=BOB, body="Good morning.\n.\nBye.")
    assert not answer.get("failed"), answer["msg"]
    assert (answer["changed"], answer["msg"], answer["refused"], answer["unconfirmed"]) == (
        True,
        "1 mail sent.",
        [],
        [],
    )
    (sent,) = answer["sent"]
    assert (sent["to"], sent["refused"]) == ([BOB], [])
    assert sent["queue_id"]
    message = mail_server.wait_for("bob", "Message-ID", sent["message_id"])
    assert (message["Subject"], message["To"], message["From"]) == ("Hello", BOB, ALICE)
    assert message.get_content_type() == "text/plain"
    assert message.get_content().splitlines() == ["Good morning.", ".", "Bye."]


def test_a_refused_recipient_is_a_failure_that_says_who_got_the_mail(office: Office, mail_server: MailServer) -> None:
    office.store([office.smtp()])
    answer = office.mail(to=[BOB, NOBODY], cc=UMA)
    assert (answer["failed"], answer["changed"]) == (True, True)
    (sent,), (refused,) = answer["sent"], answer["refused"]
    assert (sent["to"], sent["refused"]) == ([BOB, UMA], [NOBODY])
    assert (refused["message"], refused["to"], refused["tried"]) == (0, [NOBODY], True)
    for found in (answer, refused):
        assert (found["verdict"], found["certainty"], found["field"]) == ("recipient_rejected", "certain", "to")
        assert "User unknown" in found["remedy"]
    assert answer["unconfirmed"] == []
    for user in ("bob", "uma"):
        mail_server.wait_for(user, "Message-ID", sent["message_id"])
    first, second = answer["msg"].splitlines()
    assert first.startswith(f"The mail to {NOBODY} was not sent: recipient_rejected (certain), field to. Check ")
    assert second == f"It was sent to {BOB}, {UMA} (queue id {sent['queue_id']})."


def test_a_failure_has_verdict_field_and_remedy(office: Office) -> None:
    office.store([connector("alerts", "smtp", office.block("submission", password="not-it-0"))])
    answer = office.mail(to=BOB)
    assert (answer["failed"], answer["changed"], answer["sent"]) == (True, False, [])
    assert (answer["verdict"], answer["field"]) == ("auth_rejected", "smtp.password")
    assert answer["remedy"] in answer["msg"]
    assert [each["tried"] for each in answer["refused"]] == [False]
