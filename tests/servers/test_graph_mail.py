# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mail over the stand-in for Graph, through Postfix into Dovecot, and found again over Graph."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

import pytest
from peers.cloud import Cloud
from peers.connectors import resolved
from peers.mail import MailServer
from peers.users import USERS

from ansible_collections.mailroom.core.plugins.module_utils._auth.tokens import Token
from ansible_collections.mailroom.core.plugins.module_utils._connector.effective import derive_settings
from ansible_collections.mailroom.core.plugins.module_utils._connector.redaction import Redaction
from ansible_collections.mailroom.core.plugins.module_utils._connector.secret import Secret
from ansible_collections.mailroom.core.plugins.module_utils._message.compose import (
    TEST_MAIL,
    Request,
    compose,
    facts_of,
)
from ansible_collections.mailroom.core.plugins.module_utils._message.graph import GraphMail
from ansible_collections.mailroom.core.plugins.module_utils._message.graph_message import SMALLEST_UPLOAD
from ansible_collections.mailroom.core.plugins.module_utils._message.outgoing_mail import (
    OutgoingMail,
    random_message_id,
)
from ansible_collections.mailroom.core.plugins.module_utils._net.clock import Clock
from ansible_collections.mailroom.core.plugins.module_utils._net.record import Record
from ansible_collections.mailroom.core.plugins.module_utils._protocol.graph import MAX_CONCURRENT_REQUESTS, GraphSession
from ansible_collections.mailroom.core.plugins.module_utils._verdict.diagnosis import diagnose
from ansible_collections.mailroom.core.plugins.module_utils._verdict.observation import Observation, ProbeError

ALICE, BOB, UMA = (USERS[name].address for name in ("alice", "bob", "uma"))
EVERYTHING = ("Mail.Send", "Mail.ReadWrite")
WHEN = datetime(2030, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
FULL: dict[str, Any] = {
    "from_address": ALICE,
    "from_name": "Acme, Inc. \u2014 B\u00fccher & \u4f8b\u5b50 " * 5,
    "reply_to": "answers@b\u00fccher.example",
    "cc": [UMA, "two@b\u00fccher.example"],
    "bcc": [ALICE],
    "headers": {"X-Team": "Caf\u00e9 \u2615 and tea " * 20, "List-Id": "<alerts.example.com>", "X-Number": 7},
    "signature": "Acme & S\u00f6hne\n<b>not bold</b>",
    "display_name": "\u00dcberwachung, East",
}


class Rig:
    """Connectors for Graph in this process, and what was told of them."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.sessions: list[GraphSession] = []
        self.observations: list[Observation] = []

    def settings(self, mailbox: str = ALICE, **graph: Any) -> dict[str, Any]:
        block = {"url": self.cloud.graph.url, "ca_file": str(self.cloud.ca_file), "mailbox": mailbox, **graph}
        return {**FULL, "graph": block, "oauth2": {"client_id": "any"}}

    def mail(
        self,
        mailbox: str = ALICE,
        roles: tuple[str, ...] = EVERYTHING,
        deadline: float = 30,
        timeout: float = 10,
        **graph: Any,
    ) -> GraphMail:
        connector = resolved(derive_settings(self.settings(mailbox, **graph), {}, {}, "alerts"))
        session = GraphSession(connector.endpoints[0], Clock(deadline, timeout), Record("graph"), Redaction())
        self.sessions.append(session)
        token = self.cloud.tokens.issue({"aud": self.cloud.graph.url, "roles": list(roles)})
        session.sign_in(Token(Secret(token)))
        return GraphMail(session)

    def sample_mail(self, *to: str, **changes: Any) -> OutgoingMail:
        connector = resolved(derive_settings({**self.settings(), **changes}, {}, {}, "alerts"))
        facts = facts_of(connector, "Acme")
        message_id = random_message_id("example.com")
        return compose(connector, Request(TEST_MAIL, to or (BOB,), facts, message_id, WHEN, include_copies=True))

    def stopped(self, act: Callable[[], object]) -> Observation:
        with pytest.raises(ProbeError) as caught:
            act()
        self.observations.append(caught.value.observation)
        return caught.value.observation

    def asked(self, operation: str = "") -> int:
        return sum(operation in ("", each.operation) for each in self.cloud.graph.requests)

    def told(self) -> str:
        records = [vars(phase) for session in self.sessions for phase in session.record.phases]
        return repr(
            (records, self.observations, [diagnose(observation) for observation in self.observations], self.sessions)
        )


@pytest.fixture
def rig(cloud: Cloud, mail_server: MailServer) -> Any:
    """Connectors; at the end none of them has told a secret."""
    for user in ("alice", "bob", "uma"):
        mail_server.empty(user)
    made = Rig(cloud)
    yield made
    for session in made.sessions:
        session.close()
    told = made.told()
    hidden = [*cloud.tokens._issued, *(each.path for each in cloud.graph.requests if each.operation == "upload")]
    assert not [each for each in hidden if each[-20:] in told]


def addresses(message: EmailMessage, name: str) -> list[str]:
    return [each.addr_spec for each in message[name].addresses] if message[name] else []


def squeezed(text: str) -> str:
    """Without spaces: some releases of Python leave one between two encoded words."""
    return "".join(text.split())


@pytest.mark.parametrize("saves", [True, False], ids=["as MIME", "in JSON"])
def test_every_field_arrives_and_nobody_sees_who_is_hidden(rig: Rig, mail_server: MailServer, saves: bool) -> None:
    sample_mail = rig.sample_mail(BOB)
    accepted = rig.mail(save_to_sent=saves).send(sample_mail)
    assert accepted.text.startswith("accepted (request-id ")
    assert accepted.text.endswith("Auto-Submitted, List-Id, the plain text alternative") != saves
    assert [each.mime for each in rig.cloud.graph.accepted] == [saves]
    assert len(rig.cloud.graph.messages(ALICE, "sentitems")) == saves
    for user in ("bob", "uma", "alice"):
        arrived = mail_server.wait_for(user, "Message-ID", sample_mail.message_id)
        assert "Bcc" not in arrived
        assert ALICE not in str(arrived["To"]) + str(arrived["Cc"])
        assert squeezed(arrived["From"].addresses[0].display_name) == squeezed(FULL["from_name"])
        assert addresses(arrived, "From") == [ALICE]
        assert addresses(arrived, "To") == [BOB]
        assert addresses(arrived, "Cc") == [UMA, "two@xn--bcher-kva.example"]
        assert addresses(arrived, "Reply-To") == ["answers@xn--bcher-kva.example"]
        assert arrived["Subject"] == "Test mail from \u00dcberwachung, East"
        assert squeezed(arrived["X-Team"]) == squeezed(FULL["headers"]["X-Team"])
        assert arrived["X-Number"] == "7"
        assert arrived["List-Id"] == ("<alerts.example.com>" if saves else None)
        assert arrived["Auto-Submitted"] == ("auto-generated" if saves else None)
        page = arrived.get_body(("html",))
        assert page is not None
        assert "Acme &amp; S\u00f6hne<br>\n&lt;b&gt;not bold&lt;/b&gt;" in page.get_content().replace("\r\n", "\n")
        assert (arrived.get_body(("plain",)) is not None) == saves


def test_a_message_is_found_and_removed_and_nothing_else_is(rig: Rig, mail_server: MailServer) -> None:
    other, sample_mail = rig.sample_mail(ALICE), rig.sample_mail(ALICE)
    mail = rig.mail()
    mail.send(other)
    mail.send(sample_mail)
    found = mail.find(sample_mail.message_id)
    assert found.hops >= 1
    mail_server.wait_for("alice", "Message-ID", other.message_id)
    assert mail.remove(sample_mail.message_id) == 1
    left = [each["Message-ID"] for each in mail_server.messages("alice")]
    assert other.message_id in left
    assert sample_mail.message_id not in left
    sent = [each["Message-ID"] for each in rig.cloud.graph.messages(ALICE, "sentitems")]
    assert sent == [other.message_id, sample_mail.message_id]


def test_a_copy_of_what_was_sent_is_not_a_delivery(rig: Rig) -> None:
    sample_mail = rig.sample_mail(BOB, bcc=[], cc=[])
    mail = rig.mail(deadline=2)
    mail.send(sample_mail)
    observation = rig.stopped(lambda: mail.find(sample_mail.message_id))
    assert (diagnose(observation).verdict, observation.phase) == ("delivery_timeout", "delivery")
    assert rig.asked("listMessages") > 1
    assert rig.mail().remove(sample_mail.message_id) == 0


def test_what_the_receiving_server_says_of_a_message_is_read(rig: Rig, mail_server: MailServer) -> None:
    real = rig.cloud.graph._described
    results = {
        "name": "Authentication-Results",
        "value": "mx; spf=pass (it is; spf=fail)\r\n smtp.mailfrom=x; dkim=none",
    }

    def described(*about: Any) -> Any:
        value = real(*about)
        return {**value, "internetMessageHeaders": [results, *value["internetMessageHeaders"]]}

    rig.cloud.graph._described = described  # type: ignore[method-assign]
    sample_mail = rig.sample_mail(BOB)
    rig.mail().send(sample_mail)
    found = rig.mail(BOB, roles=("Mail.ReadBasic",)).find(sample_mail.message_id)
    assert found.authentication == {"spf": "pass", "dkim": "none"}
    assert found.hops == len(mail_server.wait_for("bob", "Message-ID", sample_mail.message_id).get_all("Received", []))


def large(*sizes: int) -> tuple[OutgoingMail, list[bytes]]:
    files = [bytes([number]) * size for number, size in enumerate(sizes)]
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"], message["Subject"] = ALICE, BOB, "Gr\u00f6\u00dfe"
    message["Message-ID"] = random_message_id("example.com")
    message.set_content("Look at this.")
    for number, content in enumerate(files):
        message.add_attachment(content, maintype="application", subtype="pdf", filename=f"\u00dcbersicht {number}.pdf")
    return OutgoingMail(message.as_bytes(), ALICE, (BOB,), str(message["Message-ID"])), files


@pytest.mark.parametrize("saves", [True, False])
def test_a_large_message_arrives_whole(rig: Rig, mail_server: MailServer, saves: bool) -> None:
    sample_mail, files = large(1000, SMALLEST_UPLOAD + 600_000)
    accepted = rig.mail(save_to_sent=saves).send(sample_mail)
    arrived = mail_server.wait_for("bob", "Message-ID", sample_mail.message_id)
    assert [each.get_content() for each in arrived.iter_attachments()] == files
    assert [each.get_filename() for each in arrived.iter_attachments()] == [
        "\u00dcbersicht 0.pdf",
        "\u00dcbersicht 1.pdf",
    ]
    uploads = [each for each in rig.cloud.graph.requests if each.operation == "upload"]
    assert len(uploads) == 2
    assert not any("authorization" in each.headers for each in uploads)
    assert rig.asked("send") == 1
    assert rig.cloud.graph.messages(ALICE, "drafts") == []
    assert ("save_to_sent" in accepted.text) != saves


@pytest.mark.parametrize(
    ("at", "fault", "left"),
    [
        ("addAttachment", "ErrorAccessDenied", 0),
        ("createUploadSession", "html_200", 0),
        ("upload", "reset", 0),
        ("upload", "RequestEntityTooLarge", 0),
        ("send", "ErrorInvalidRecipients", 0),
        ("send", "reset", 1),
        ("send", "half", 1),
    ],
)
def test_a_draft_stays_only_where_it_may_have_been_sent(rig: Rig, at: str, fault: str, left: int) -> None:
    rig.cloud.graph.fail(fault, at=at)
    rig.stopped(lambda: rig.mail().send(large(10, SMALLEST_UPLOAD)[0]))
    assert len(rig.cloud.graph.messages(ALICE, "drafts")) == left
    assert rig.asked("send") == (at == "send")
    assert rig.cloud.graph.accepted == []


REFUSALS: Mapping[str, str] = {
    "InvalidAuthenticationToken": "auth_rejected",
    "ErrorAccessDenied": "mailbox_denied",
    "ErrorAccessDenied_policy": "mailbox_denied",
    "ErrorSendAsDenied": "sender_rejected",
    "ErrorInvalidUser": "mailbox_missing",
    "ResourceNotFound": "mailbox_missing",
    "MailboxNotEnabledForRESTAPI": "mailbox_missing",
    "RequestEntityTooLarge": "message_too_large",
    "ErrorMessageSizeExceeded": "message_too_large",
    "ErrorMimeContentInvalidBase64String": "message_rejected",
    "ErrorInvalidRecipients": "recipient_rejected",
    "ApplicationThrottled": "throttled",
    "ServiceUnavailable": "throttled",
    "no_error_body": "mailbox_denied",
    "error_is_text": "mailbox_denied",
    "throttled_date": "throttled",
    "unavailable": "throttled",
    "html_500": "throttled",
    "html_200": "protocol_error",
    "empty": "protocol_error",
    "not_json": "protocol_error",
    "redirect": "protocol_error",
    "silent": "response_timeout",
    "slow": "response_timeout",
    "half": "connection_reset",
    "endless_headers": "protocol_error",
    "reset": "connection_reset",
    "closed": "connection_reset",
    "not_http": "protocol_error",
}
ONES_FOR_READING = ("ErrorAccessDenied", "ApplicationThrottled", "html_200", "empty", "reset", "redirect")


@pytest.mark.parametrize("saves", [True, False], ids=["as MIME", "in JSON"])
@pytest.mark.parametrize(("fault", "verdict"), REFUSALS.items())
@pytest.mark.sampled(5)
def test_each_refusal_has_its_verdict_and_nothing_is_sent_twice(
    rig: Rig, fault: str, verdict: str, saves: bool
) -> None:
    rig.cloud.graph.fail(fault, at="sendMail")
    mail = rig.mail(deadline=2, timeout=1, save_to_sent=saves)
    observation = rig.stopped(lambda: mail.send(rig.sample_mail()))
    assert (diagnose(observation).verdict, observation.phase) == (verdict, "message")
    assert rig.asked() == 1


@pytest.mark.parametrize("fault", ONES_FOR_READING)
def test_each_refusal_of_reading_has_its_verdict(rig: Rig, fault: str) -> None:
    rig.cloud.graph.fail(fault, at="listMessages")
    observation = rig.stopped(lambda: rig.mail(deadline=2, timeout=1).find("<1@example.com>"))
    assert (diagnose(observation).verdict, observation.phase) == (REFUSALS[fault], "delivery")


def test_a_sender_a_recipient_and_a_mailbox_that_are_really_wrong(rig: Rig) -> None:
    wrong = rig.sample_mail(from_address=BOB)
    assert diagnose(rig.stopped(lambda: rig.mail().send(wrong))).verdict == "sender_rejected"
    for mailbox in ("onprem@example.com", "guest@example.com", "nobody@example.com"):
        sample_mail = rig.sample_mail(from_address=mailbox)
        observation = rig.stopped(lambda mailbox=mailbox, sample_mail=sample_mail: rig.mail(mailbox).send(sample_mail))
        assert diagnose(observation).verdict == "mailbox_missing"
    rig.cloud.graph.send_as[ALICE] = {BOB}
    rig.mail().send(wrong)


def test_who_asks_for_a_moment_gets_it_and_the_message_once(rig: Rig, mail_server: MailServer) -> None:
    rig.cloud.graph.fail("throttled_briefly", at="sendMail", times=2)
    sample_mail = rig.sample_mail()
    rig.mail().send(sample_mail)
    assert rig.asked("sendMail") == 3
    assert len(rig.cloud.graph.accepted) == 1
    mail_server.wait_for("bob", "Message-ID", sample_mail.message_id)


def test_an_application_that_only_sends_cannot_look_for_what_it_sent(rig: Rig) -> None:
    sample_mail = rig.sample_mail(ALICE)
    mail = rig.mail(roles=("Mail.Send",))
    mail.send(sample_mail)
    observation = rig.stopped(lambda: mail.find(sample_mail.message_id))
    assert diagnose(observation).verdict == "mailbox_denied"
    assert "reading is not permitted: it needs Mail.ReadBasic or more" in diagnose(observation).remedy
    assert mail.remove(sample_mail.message_id) == 0


def test_who_reads_but_may_not_write_leaves_the_message_where_it_is(rig: Rig, mail_server: MailServer) -> None:
    sample_mail = rig.sample_mail(ALICE)
    mail = rig.mail(roles=("Mail.Send", "Mail.Read"))
    mail.send(sample_mail)
    mail.find(sample_mail.message_id)
    assert mail.remove(sample_mail.message_id) == 0
    mail_server.wait_for("alice", "Message-ID", sample_mail.message_id)


def test_many_at_once_about_one_mailbox_are_never_too_many_for_graph(rig: Rig) -> None:
    sample_mails = [rig.sample_mail() for _number in range(MAX_CONCURRENT_REQUESTS * 3)]
    mails = [rig.mail() for _mail in sample_mails]
    threads = [
        threading.Thread(target=mail.send, args=(sample_mail,)) for mail, sample_mail in zip(mails, sample_mails)
    ]
    with rig.cloud.graph.paused():
        for thread in threads:
            thread.start()
        rig.cloud.graph.await_waiting(MAX_CONCURRENT_REQUESTS)
    for thread in threads:
        thread.join(30)
    assert rig.asked() == len(sample_mails)
    assert rig.cloud.graph.most_at_once <= MAX_CONCURRENT_REQUESTS
    assert {each.message["Message-ID"] for each in rig.cloud.graph.accepted} == {
        each.message_id for each in sample_mails
    }
