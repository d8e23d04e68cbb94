# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mail goes out through Postfix, is found in Dovecot, and is removed from there."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from peers import actions
from peers.ca import CertificateZoo
from peers.connectors import resolved
from peers.faults import SMTP
from peers.imap import ImapScript
from peers.mail import MailServer
from peers.scripted import ScriptedServer, Talk
from peers.smtp import SmtpScript
from peers.users import USERS
from servers.verdicts_probing import forms

from ansible_collections.mailroom.core.plugins.module_utils._connector.redaction import Redaction
from ansible_collections.mailroom.core.plugins.module_utils._connector.resolved import (
    ImapSettings,
    SmtpSettings,
    TlsTrust,
)
from ansible_collections.mailroom.core.plugins.module_utils._connector.secret import Secret
from ansible_collections.mailroom.core.plugins.module_utils._message import imap as imap_mail
from ansible_collections.mailroom.core.plugins.module_utils._message.compose import (
    TEST_MAIL,
    Request,
    compose,
    facts_of,
)
from ansible_collections.mailroom.core.plugins.module_utils._message.imap import ImapMail
from ansible_collections.mailroom.core.plugins.module_utils._message.outgoing_mail import (
    OutgoingMail,
    random_message_id,
)
from ansible_collections.mailroom.core.plugins.module_utils._message.smtp import SmtpMail
from ansible_collections.mailroom.core.plugins.module_utils._net.clock import Clock
from ansible_collections.mailroom.core.plugins.module_utils._net.record import Record
from ansible_collections.mailroom.core.plugins.module_utils._protocol.imap import ImapSession
from ansible_collections.mailroom.core.plugins.module_utils._protocol.session import Session
from ansible_collections.mailroom.core.plugins.module_utils._protocol.smtp import SmtpSession
from ansible_collections.mailroom.core.plugins.module_utils._verdict.diagnosis import diagnose
from ansible_collections.mailroom.core.plugins.module_utils._verdict.observation import Observation, ProbeError

ALICE, BOB, UMA, FULL = (USERS[name] for name in ("alice", "bob", "uma", "full"))
KINDS: dict[str, type[Session]] = {"smtp": SmtpSession, "imap": ImapSession}
WAYS = {"starttls": ("submission", "imap"), "tls": ("smtps", "imaps")}
WHEN = datetime(2024, 2, 29, 23, 59, 58, tzinfo=timezone(timedelta(hours=5, minutes=30)))
NAME = "Alarm-Zentrale B\u00fccher & S\u00f6hne, \u4f8b\u5b50 (Nacht\u00addienst) " + "sehr lang " * 8
REFERENCES = " ".join(f"<{number}.{'x' * 40}@example.com>" for number in range(12))
SETTINGS: dict[str, Any] = {
    "display_name": "W\u00e4chter \u2014 " + "\u4f8b\u5b50 " * 20,
    "from_address": ALICE.address,
    "from_name": NAME.strip(),
    "reply_to": "antwort@b\u00fccher.example",
    "errors_to": BOB.address,
    "cc": [BOB.address, "kopie@b\u00fccher.example"],
    "bcc": [UMA.address],
    "headers": {
        "X-Team": "Caf\u00e9 \u2615 and tea " * 10,
        "References": REFERENCES,
        "X-Dots": ".",
        "List-Id": "<a.b>",
    },
    "signature": ".\n..two dots\nAcme & S\u00f6hne",
}
FAR = 600.0


@contextlib.contextmanager
def session(
    zoo: CertificateZoo,
    protocol: str,
    port: int,
    *,
    security: str = "starttls",
    user: str = "alice",
    timeout: float = 10,
    deadline: float = 30,
) -> Iterator[Any]:
    """A session that is signed in."""
    who = USERS[user]
    settings = SmtpSettings if protocol == "smtp" else ImapSettings
    endpoint = settings(
        protocol,
        "localhost",
        port,
        security,
        trust=TlsTrust(ca_file=str(zoo.ca_file)),
        auth="password",
        username=who.address,
        password=Secret(who.password),
    )
    conversation = KINDS[protocol](endpoint, Clock(deadline, timeout), Record(protocol), Redaction([endpoint.password]))
    try:
        conversation.open()
        conversation.sign_in()
        yield conversation
        conversation.quit()
    finally:
        conversation.close()


def sample_mail(
    message_id: str = "", to: tuple[str, ...] = (ALICE.address,), header: str = "", size: int = 0
) -> OutgoingMail:
    """A sample_mail with a Message-ID, and lines to fill it."""
    message_id = message_id or random_message_id("example.com")
    filling = "x" * 78 + "\r\n"
    text = f"From: {ALICE.address}\r\nMessage-ID: {message_id}\r\n{header}\r\nHello\r\n{filling * (size // 80)}"
    return OutgoingMail(text.encode(), ALICE.address, to, message_id)


def refusal(mail: Any, task: str, argument: Any) -> Observation:
    with pytest.raises(ProbeError) as caught:
        getattr(mail, task)(argument)
    return caught.value.observation


@pytest.fixture
def clean(mail_server: MailServer) -> MailServer:
    """The mail server, with nothing in the mailboxes that these tests write to."""
    for user in ("alice", "bob", "uma"):
        mail_server.empty(user)
    return mail_server


@pytest.mark.parametrize("security", WAYS)
def test_every_field_arrives_as_it_was_set(clean: MailServer, zoo: CertificateZoo, security: str) -> None:
    smtp_port, imap_port = (clean.ports[name] for name in WAYS[security])
    server = {
        "host": "localhost",
        "port": smtp_port,
        "security": security,
        "auth": "password",
        "username": ALICE.address,
    }
    connector = resolved({**SETTINGS, "smtp": server})
    request = Request(
        TEST_MAIL,
        (ALICE.address,),
        facts_of(connector, "Acme"),
        random_message_id("example.com"),
        WHEN,
        include_copies=True,
    )
    composed = compose(connector, request)
    with session(zoo, "smtp", smtp_port, security=security) as outgoing:
        accepted = SmtpMail(outgoing).send(composed)
    with session(zoo, "imap", imap_port, security=security) as incoming:
        delivered = ImapMail(incoming).find(composed.message_id)
    assert re.search(rf"\b{accepted.queue_id}: .*status=sent", clean.log_tail(400))
    assert delivered.hops >= 1
    for user in ("alice", "bob", "uma"):
        _compare(clean.wait_for(user, "Message-ID", composed.message_id))
    with session(zoo, "imap", imap_port, security=security) as incoming:
        assert ImapMail(incoming).remove(composed.message_id) == 1
    assert clean.inbox("alice") == {}
    assert len(clean.inbox("bob")) == 1
    shown = json.dumps(
        [dataclasses.asdict(accepted), dataclasses.asdict(delivered)]
        + [dataclasses.asdict(each.record) for each in (outgoing, incoming)]
    )
    for form in forms(ALICE.address, ALICE.password):
        assert form not in shown
        assert form.encode() not in composed.message


def raw(message: EmailMessage, name: str) -> str:
    """A header as it arrived, unfolded."""
    (value,) = (value for each, value in message.raw_items() if each.lower() == name.lower())
    return re.sub(r"\r?\n(?=[ \t])", "", str(value)).strip()


def _compare(message: EmailMessage) -> None:
    """What was read back with what was set."""
    # Python's own reading of addresses keeps the spaces between encoded words.
    name, address = raw(message, "From").rsplit(" ", 1)
    assert (str(make_header(decode_header(name))), address) == (SETTINGS["from_name"], f"<{ALICE.address}>")
    assert message["Return-Path"].strip("<>") == BOB.address
    assert message["Reply-To"] == "antwort@xn--bcher-kva.example"
    assert [each.addr_spec for each in message["To"].addresses] == [ALICE.address]
    assert [each.addr_spec for each in message["Cc"].addresses] == [BOB.address, "kopie@xn--bcher-kva.example"]
    assert message["Subject"] == f"Test mail from {SETTINGS['display_name']}".strip()
    assert parsedate_to_datetime(message["Date"]) == WHEN
    assert message["Auto-Submitted"] == "auto-generated"
    for name, value in SETTINGS["headers"].items():
        assert str(message[name]).strip() == value.strip(), name
    assert message["Bcc"] is None
    assert UMA.address not in message.as_string().replace(f"for <{UMA.address}>", "").replace(
        f"Delivered-To: {UMA.address}", ""
    )
    text = message.get_body(("plain",))
    assert text is not None
    content = text.get_content().replace("\r\n", "\n")
    assert content.endswith(f"\n-- \n{SETTINGS['signature']}\n")
    for fact in ("alerts", "localhost", "smtp", ALICE.address, "Acme"):
        assert fact in content
    html = message.get_body(("html",))
    assert html is not None
    assert "Acme &amp; S\u00f6hne" in html.get_content()


def test_only_the_one_message_is_removed(clean: MailServer, zoo: CertificateZoo) -> None:
    mine = "<test.1a2b@example.com>"
    others = {
        "substring": sample_mail(f"<x.y@example.com> {mine}"),
        "other case": sample_mail("<TEST.1A2B@EXAMPLE.COM>"),
        "longer": sample_mail("<test.1a2b@example.com.example.net>"),
        "an answer to it": sample_mail(header=f"References: {mine}\r\nIn-Reply-To: {mine}\r\n"),
        "nothing alike": sample_mail(),
    }
    with session(zoo, "smtp", clean.ports["submission"]) as outgoing:
        for each in (*others.values(), sample_mail(mine)):
            SmtpMail(outgoing).send(each)
    _await_count(clean, "alice", len(others) + 1)
    with clean._signed_in("alice") as client:
        client.select("INBOX")
        client.store("1", "+FLAGS", r"(\Deleted)")
    with session(zoo, "imap", clean.ports["imap"]) as incoming:
        mail = ImapMail(incoming)
        mail.find(mine)
        assert mail.remove(mine) == 1
        assert mail.remove(mine) == 0
    left = sorted(raw(each, "Message-ID") for each in clean.inbox("alice").values())
    assert left == sorted(each.message_id for each in others.values())
    with clean._signed_in("alice") as client:
        client.select("INBOX", readonly=True)
        flags = client.fetch("1:*", "(FLAGS)")[1]
    assert sum(rb"\Deleted" in each for each in flags if isinstance(each, bytes)) == 1
    assert not any(rb"\Seen" in each for each in flags if isinstance(each, bytes))


def test_copies_of_the_message_are_removed_with_it(clean: MailServer, zoo: CertificateZoo) -> None:
    twice = sample_mail()
    with session(zoo, "smtp", clean.ports["submission"]) as outgoing:
        SmtpMail(outgoing).send(twice)
        SmtpMail(outgoing).send(dataclasses.replace(twice, recipients=(ALICE.address, BOB.address)))
    _await_count(clean, "alice", 2)
    with session(zoo, "imap", clean.ports["imap"]) as incoming:
        assert ImapMail(incoming).remove(twice.message_id) == 2
    _await_count(clean, "bob", 1)


def _await_count(server: MailServer, user: str, count: int) -> None:
    for _attempt in range(200):
        if len(server.inbox(user)) == count:
            return
    raise AssertionError(server.log_tail())


def test_the_server_tells_when_the_message_has_come(
    clean: MailServer, zoo: CertificateZoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imap_mail, "LISTEN", FAR)
    listening = threading.Event()
    sent = sample_mail()
    with session(zoo, "imap", clean.ports["imap"], timeout=FAR, deadline=20) as incoming:
        wait_for_new_mail = incoming.wait_for_new_mail

        def announced(*seconds: float) -> bool:
            listening.set()
            return bool(wait_for_new_mail(*seconds))

        incoming.wait_for_new_mail = announced
        with ThreadPoolExecutor(1) as pool:
            found = pool.submit(ImapMail(incoming).find, sent.message_id)
            assert listening.wait(15)
            with session(zoo, "smtp", clean.ports["submission"]) as outgoing:
                SmtpMail(outgoing).send(sent)
            assert found.result().hops >= 1


class Mailbox:
    """A mailbox with one message, behind a server that offers little; the message comes after some looks."""

    def __init__(self, header: str, looks: int, deleted: tuple[int, ...] = ()) -> None:
        self.header = header
        self.looks = looks
        self.deleted = set(deleted)
        self.uids = {3, 7}

    def script(self, *offers: str) -> ImapScript:
        answers = {"uid": self.uid, "expunge": self.expunge, "select": self.select}
        return ImapScript(answers, offered=["IMAP4rev1", "AUTH=PLAIN", *offers])

    def select(self, talk: Talk) -> None:
        talk.send(f"* 2 EXISTS\r\n* OK [UIDVALIDITY 1] Ok\r\n{talk.tag} OK [READ-WRITE] Done\r\n")

    def uid(self, talk: Talk) -> None:
        command = talk.received.decode().strip().splitlines()[-1].split(" ", 2)[2]
        talk.send(f"{self._said(command)}{talk.tag} OK Done\r\n")

    def expunge(self, talk: Talk) -> None:
        self.uids -= self.deleted
        talk.send(f"{talk.tag} OK Done\r\n")

    def _said(self, command: str) -> str:
        if command == "SEARCH DELETED":
            return f"* SEARCH {' '.join(map(str, sorted(self.deleted)))}\r\n"
        if command.startswith("SEARCH"):
            self.looks -= 1
            return "* SEARCH 7\r\n" if self.looks < 0 and 7 in self.uids else "* SEARCH\r\n"
        if command.startswith("STORE"):
            self.deleted.add(7)
            return ""
        return f"* 2 FETCH (UID 7 BODY[HEADER] {{{len(self.header)}}}\r\n{self.header})\r\n"


def test_a_server_that_does_not_tell_is_asked(zoo: CertificateZoo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imap_mail, "PAUSE", 0.01)
    mailbox = Mailbox("Message-ID: <1@example.com>\r\n\r\n", looks=3)
    with mailbox.script().server() as server:
        with session(zoo, "imap", server.port, security="none") as incoming:
            assert ImapMail(incoming).find("<1@example.com>").hops == 0
        said = bytes(server.received[0])
    assert said.count(b" NOOP\r\n") == 3
    assert b"IDLE" not in said


@pytest.mark.parametrize(("marked", "left"), [((), {3}), ((3,), {3, 7})], ids=["nothing else", "something else"])
def test_without_uidplus_nothing_else_goes(zoo: CertificateZoo, marked: tuple[int, ...], left: set[int]) -> None:
    mailbox = Mailbox("Message-ID: <1@example.com>\r\n\r\n", looks=0, deleted=marked)
    with mailbox.script().server() as server, session(zoo, "imap", server.port, security="none") as incoming:
        mail = ImapMail(incoming)
        if marked:
            assert refusal(mail, "remove", "<1@example.com>").kind == "not_removed"
        else:
            assert mail.remove("<1@example.com>") == 1
    assert mailbox.uids == left


@pytest.mark.parametrize("offers", [(), ("IDLE",)], ids=["asking", "listening"])
def test_what_does_not_come_is_not_delivered(zoo: CertificateZoo, offers: tuple[str, ...]) -> None:
    mailbox = Mailbox("Message-ID: <1@example.com>\r\n\r\n", looks=1000)
    script = mailbox.script(*offers)
    at = {**script.at, "idle": actions.reply("+ idling")}
    with dataclasses.replace(script, at=at).server() as server:
        with session(zoo, "imap", server.port, security="none", deadline=1.5) as incoming:
            observation = refusal(ImapMail(incoming), "find", "<1@example.com>")
        assert (b" IDLE\r\n" in server.received[0]) == bool(offers)
    assert (observation.kind, observation.phase, observation.facts["mailbox"]) == ("not_delivered", "delivery", "INBOX")


def test_what_does_not_come_to_dovecot_is_not_delivered(clean: MailServer, zoo: CertificateZoo) -> None:
    with session(zoo, "imap", clean.ports["imaps"], security="tls", deadline=1.5) as incoming:
        observation = refusal(ImapMail(incoming), "find", "<nothing@example.com>")
    assert (observation.kind, observation.phase) == ("not_delivered", "delivery")


REFUSED = {
    "over quota": ((FULL.address,), "mailbox_full", FULL.address),
    "unknown": (("nobody@example.com",), "recipient_rejected", "nobody@example.com"),
    "several": (("nobody@example.com", "none@example.com"), "recipient_rejected", "none@example.com"),
}


@pytest.mark.parametrize(("refused", "verdict", "named"), REFUSED.values(), ids=REFUSED)
def test_a_refused_recipient_is_named_and_nobody_gets_anything(
    clean: MailServer, zoo: CertificateZoo, refused: tuple[str, ...], verdict: str, named: str
) -> None:
    never, after = sample_mail(to=(ALICE.address, *refused, BOB.address)), sample_mail()
    with session(zoo, "smtp", clean.ports["submission"]) as outgoing:
        mail = SmtpMail(outgoing)
        observation = refusal(mail, "send", never)
        assert (observation.phase, diagnose(observation).verdict) == ("recipient", verdict)
        assert named in outgoing.record.phases[-1].text
        assert observation.facts["refused"] == refused
        mail.send(after)
    clean.wait_for("alice", "Message-ID", after.message_id)
    assert [each["Message-ID"] for each in clean.inbox("alice").values()] == [after.message_id]
    assert clean.inbox("bob") == {}


def test_a_foreign_sender_is_refused(clean: MailServer, zoo: CertificateZoo) -> None:
    with session(zoo, "smtp", clean.ports["own_sender"]) as outgoing:
        foreign = dataclasses.replace(sample_mail(), sender=BOB.address)
        assert diagnose(refusal(SmtpMail(outgoing), "send", foreign)).verdict == "sender_rejected"


def test_a_message_that_is_too_large_is_not_sent(clean: MailServer, zoo: CertificateZoo) -> None:
    with session(zoo, "smtp", clean.ports["small"]) as outgoing:
        observation = refusal(SmtpMail(outgoing), "send", sample_mail(size=12_000))
        assert (observation.phase, diagnose(observation).verdict) == ("sender", "message_too_large")
        assert "10240" in diagnose(observation.with_context(facts=outgoing.facts())).remedy
        SmtpMail(outgoing).send(sample_mail(size=8_000))
    with session(zoo, "smtp", clean.ports["small"]) as outgoing:
        outgoing._features = {name: rest for name, rest in outgoing._features.items() if name != "size"}
        observation = refusal(SmtpMail(outgoing), "send", sample_mail(size=12_000))
    assert (observation.phase, diagnose(observation).verdict) == ("message", "message_too_large")


def test_a_large_message_arrives_whole(clean: MailServer, zoo: CertificateZoo) -> None:
    large = sample_mail(size=1_500_000)
    with session(zoo, "smtp", clean.ports["smtps"], security="tls") as outgoing:
        SmtpMail(outgoing).send(large)
    arrived = clean.wait_for("alice", "Message-ID", large.message_id)
    body = large.message.decode().partition("\r\n\r\n")[2]
    assert arrived.get_content().replace("\r\n", "\n") == body.replace("\r\n", "\n")


BROKEN = {
    "silent": "response_timeout",
    "hang_up": "connection_reset",
    "reset": "connection_reset",
    "garbage": "protocol_error",
    "flood": "protocol_error",
    "endless_lines": "protocol_error",
    "drip": "response_timeout|protocol_error",
}
SAID = {
    "data": {
        "busy": "throttled",
        "no_recipients": "message_rejected",
        "rejected": "message_rejected",
        "storage": "throttled",
    },
    "message": {
        "busy": "throttled",
        "from_refused": "sender_rejected",
        "mailbox_full": "mailbox_full",
        "policy": "message_rejected",
        "spam": "message_rejected",
        "storage": "throttled",
        "throttled": "throttled",
        "too_large": "message_too_large",
    },
}
EXPECTED = {f"{phase}_{name}": verdict for phase in SAID for name, verdict in (BROKEN | SAID[phase]).items()}


def test_each_fault_of_sending_has_its_verdict() -> None:
    assert set(EXPECTED) == {name for name in SMTP if name.startswith(("data_", "message_"))}


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.sampled(4)
def test_faults_of_sending(zoo: CertificateZoo, name: str) -> None:
    with SMTP[name].make(zoo) as server:
        observation, phase = _sent_to(zoo, server)
    assert re.fullmatch(EXPECTED[name], diagnose(observation).verdict), (diagnose(observation), observation)
    assert observation.phase == "message"
    is_open = name.startswith("message_") and name.removeprefix("message_") in BROKEN
    assert ("may have accepted it" in phase) == is_open
    assert sum(bytes(each).count(b"\r\nDATA\r\n") for each in server.received) == 1
    assert not any(form in f"{observation}{phase}" for form in forms(ALICE.address, ALICE.password))


def _sent_to(zoo: CertificateZoo, server: ScriptedServer) -> tuple[Observation, str]:
    """What stops it, and what is kept of that."""
    with contextlib.suppress(ProbeError), session(zoo, "smtp", server.port, timeout=0.8, deadline=3) as outgoing:
        observation = refusal(SmtpMail(outgoing), "send", sample_mail())
    return observation, outgoing.record.phases[-1].text


def test_a_server_without_smtputf8_is_not_sent_what_needs_it(zoo: CertificateZoo) -> None:
    with SmtpScript().server() as server, session(zoo, "smtp", server.port, security="none") as outgoing:
        observation = refusal(SmtpMail(outgoing), "send", sample_mail(to=("b\u00f6b@example.com",)))
        assert (observation.kind, "SMTPUTF8" in observation.text) == ("config", True)
        assert b"MAIL FROM" not in server.received[0]


def test_an_address_that_is_not_ascii_goes_to_a_server_that_takes_it(clean: MailServer, zoo: CertificateZoo) -> None:
    with session(zoo, "smtp", clean.ports["submission"]) as outgoing:
        SmtpMail(outgoing).send(sample_mail(to=("b\u00f6b@example.net",)))
