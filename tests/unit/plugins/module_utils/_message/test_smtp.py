# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Handing a sample_mail over, word for word."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from fuzz import entries

from ansible_collections.mailroom.core.plugins.module_utils._connector.redaction import Redaction
from ansible_collections.mailroom.core.plugins.module_utils._connector.resolved import SmtpSettings
from ansible_collections.mailroom.core.plugins.module_utils._connector.secret import Secret
from ansible_collections.mailroom.core.plugins.module_utils._message.outgoing_mail import OutgoingMail
from ansible_collections.mailroom.core.plugins.module_utils._message.smtp import SmtpMail
from ansible_collections.mailroom.core.plugins.module_utils._message.transport import Accepted
from ansible_collections.mailroom.core.plugins.module_utils._net.clock import Clock
from ansible_collections.mailroom.core.plugins.module_utils._net.record import Record
from ansible_collections.mailroom.core.plugins.module_utils._protocol.smtp import SmtpSession
from ansible_collections.mailroom.core.plugins.module_utils._verdict.diagnosis import diagnose
from ansible_collections.mailroom.core.plugins.module_utils._verdict.observation import Observation, ProbeError

GREETING = b"220 mail.example.com ESMTP\r\n"
OK = b"250 2.0.0 Ok\r\n"
GO_ON = b"354 Go on\r\n"
QUEUED = b"250 2.0.0 Ok: queued as 4XYZ\r\n"
LOST = b""
PERHAPS = "may have accepted it"
LETTER = OutgoingMail(
    message=b"Subject: Hello\r\n\r\n.dots\r\n..more\r\nend.\r\n.\r\n",
    sender="ann@example.com",
    recipients=("bob@example.com", "cy@example.com"),
    message_id="<1@example.com>",
)


class HeardSocket(entries.ScriptedSocket):
    """A scripted socket that keeps what it was told."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.heard = bytearray()

    def sendall(self, data: bytes) -> None:
        self.heard += data
        super().sendall(data)


@dataclasses.dataclass
class Attempt:
    """What came of handing a sample_mail over."""

    accepted: Accepted | None
    observation: Observation | None
    heard: bytes
    record: Record

    @property
    def commands(self) -> list[str]:
        return self.heard.decode().split("\r\n")[1:-1]

    @property
    def refusal(self) -> Observation:
        assert self.observation is not None
        return self.observation


def connected(socket: Any, password: str = "") -> SmtpSession:
    """A session that talks to this socket."""

    secret = Secret(password) if password else None
    endpoint = SmtpSettings("smtp", "mail.example.com", 25, "none", password=secret, ehlo_name="client.example.com")
    clock = Clock(5, 5)
    connection = entries.connected_to(socket, clock)
    session = SmtpSession(endpoint, clock, Record("smtp"), Redaction([Secret(password)]), connection)
    session.open()
    return session


def send(
    *replies: bytes,
    features: tuple[str, ...] = ("SIZE 1000",),
    sample_mail: OutgoingMail = LETTER,
    password: str = "",
    socket_type: Callable[[bytes], HeardSocket] = HeardSocket,
) -> Attempt:
    """One attempt; the replies are those to MAIL FROM and what follows it."""
    hello = "".join(f"250-{each}\r\n" for each in ("mail.example.com", *features)) + "250 HELP\r\n"
    socket = socket_type(entries.BETWEEN.join((GREETING, hello.encode(), *replies)))
    session = connected(socket, password)
    accepted, observation = None, None
    try:
        accepted = SmtpMail(session).send(sample_mail)
    except ProbeError as stopped:
        observation = stopped.observation
    return Attempt(accepted, observation, bytes(socket.heard), session.record)


def sample_mail(**changes: Any) -> OutgoingMail:
    return dataclasses.replace(LETTER, **changes)


def test_a_letter_is_handed_over() -> None:
    attempt = send(OK, OK, OK, GO_ON, QUEUED)
    assert attempt.accepted == Accepted("4XYZ", "2.0.0 Ok: queued as 4XYZ")
    assert attempt.commands == [
        f"MAIL FROM:<ann@example.com> SIZE={LETTER.size}",
        "RCPT TO:<bob@example.com>",
        "RCPT TO:<cy@example.com>",
        "DATA",
        *("Subject: Hello", "", "..dots", "...more", "end.", "..", "."),
    ]
    phases = [(phase.phase, phase.status, phase.code) for phase in attempt.record.phases][-3:]
    assert phases == [("sender", "ok", 250), ("recipient", "ok", 250), ("message", "ok", 250)]


SIZES: dict[str, tuple[tuple[str, ...], str]] = {
    "no SIZE": ((), ""),
    "SIZE without a number": (("SIZE",), f" SIZE={LETTER.size}"),
    "SIZE 0 is no limit": (("SIZE 0",), f" SIZE={LETTER.size}"),
    "SIZE that is no number": (("SIZE many",), f" SIZE={LETTER.size}"),
    "just enough": ((f"SIZE {LETTER.size}",), f" SIZE={LETTER.size}"),
    "a number that nobody can count": (("SIZE " + "9" * 5000,), f" SIZE={LETTER.size}"),
}


@pytest.mark.parametrize(("features", "option"), SIZES.values(), ids=SIZES)
def test_the_size_is_told_where_the_server_wants_to_know(features: tuple[str, ...], option: str) -> None:
    attempt = send(OK, OK, OK, GO_ON, QUEUED, features=features)
    assert attempt.accepted
    assert attempt.commands[0] == f"MAIL FROM:<ann@example.com>{option}"


def test_a_letter_that_is_too_large_is_not_offered() -> None:
    attempt = send(OK, OK, OK, GO_ON, QUEUED, features=(f"SIZE {LETTER.size - 1}",))
    assert attempt.commands == []
    assert attempt.refusal.phase == "sender"
    assert str(LETTER.size) in attempt.refusal.text
    assert diagnose(attempt.refusal)[:2] == ("message_too_large", "certain")


INTERNATIONAL = sample_mail(recipients=("b\u00f6b@example.com",))
EIGHT_BIT = sample_mail(message="Reply-To: \u00e4nn@example.com\r\n\r\nHi\r\n".encode())


@pytest.mark.parametrize(
    ("written", "options"),
    [(INTERNATIONAL, " SMTPUTF8"), (EIGHT_BIT, " BODY=8BITMIME SMTPUTF8"), (LETTER, "")],
    ids=["address", "header", "neither"],
)
def test_extensions_are_asked_for_where_they_are_needed(written: OutgoingMail, options: str) -> None:
    attempt = send(
        *[OK] * (1 + len(written.recipients)), GO_ON, QUEUED, features=("SMTPUTF8", "8BITMIME"), sample_mail=written
    )
    assert attempt.accepted
    assert attempt.commands[0] == f"MAIL FROM:<ann@example.com>{options}"


@pytest.mark.parametrize(
    ("written", "features", "missing"),
    [
        (INTERNATIONAL, ("8BITMIME",), "SMTPUTF8"),
        (EIGHT_BIT, ("8BITMIME",), "SMTPUTF8"),
        (EIGHT_BIT, ("SMTPUTF8",), "8BITMIME"),
    ],
)
def test_what_the_server_does_not_offer_is_named(
    written: OutgoingMail, features: tuple[str, ...], missing: str
) -> None:
    attempt = send(OK, OK, OK, features=features, sample_mail=written)
    assert attempt.commands == []
    assert (attempt.refusal.kind, attempt.refusal.phase) == ("config", "sender")
    assert missing in attempt.refusal.text


def test_one_refused_recipient_stops_everything_and_is_named() -> None:
    attempt = send(OK, b"550 5.1.1 No such user\r\n", OK, OK)
    assert attempt.commands[-2:] == ["RCPT TO:<cy@example.com>", "RSET"]
    assert attempt.refusal.text == "bob@example.com: 5.1.1 No such user"
    assert (attempt.refusal.phase, attempt.refusal.code) == ("recipient", 550)
    assert diagnose(attempt.refusal).verdict == "recipient_rejected"
    assert attempt.record.phases[-1].status == "fail"


def test_an_address_that_the_server_names_is_not_named_twice() -> None:
    attempt = send(OK, OK, b"550 5.1.1 <CY@example.com>: unknown\r\n", OK)
    assert attempt.refusal.text == "5.1.1 <CY@example.com>: unknown"
    assert attempt.refusal.facts["refused"] == ("cy@example.com",)


def test_several_refused_recipients_are_all_named_and_judged_by_the_one_for_good() -> None:
    recipients = tuple(f"user{number}@example.com" for number in range(10))
    replies = [b"450 4.2.0 Greylisted\r\n", *[b"550 5.1.1 No such user\r\n"] * 9]
    attempt = send(OK, *replies, OK, sample_mail=sample_mail(recipients=recipients))
    assert attempt.commands[-1] == "RSET"
    assert all(recipient in attempt.record.phases[-1].text for recipient in recipients)
    assert "450 4.2.0 Greylisted" in attempt.refusal.text
    assert diagnose(attempt.refusal)[:2] == ("recipient_rejected", "certain")


def test_a_server_that_ends_the_conversation_is_asked_nothing_more() -> None:
    attempt = send(OK, b"421 4.3.2 Shutting down\r\n", OK, OK)
    assert attempt.commands[-1] == "RCPT TO:<bob@example.com>"
    assert diagnose(attempt.refusal).verdict == "throttled"


def test_a_refused_sender_is_told_in_its_phase() -> None:
    attempt = send(b"550 5.7.60 Not as this sender\r\n")
    assert attempt.refusal.phase == "sender"
    assert diagnose(attempt.refusal).verdict == "sender_rejected"


REFUSALS = (
    ("554 5.7.1 Rejected as spam", "message_rejected"),
    ("550 5.7.1 Policy", "message_rejected"),
    ("451 4.7.500 Server busy", "throttled"),
    ("421 4.3.2 Shutting down", "throttled"),
    ("552 5.3.4 Too big", "message_too_large"),
    ("552 Too much", "message_too_large"),
    ("552 5.2.2 Mailbox full", "mailbox_full"),
    ("554 5.2.252 SendAsDenied", "sender_rejected"),
)


@pytest.mark.parametrize(("reply", "verdict"), [*REFUSALS, ("250 Fine", "protocol_error")])
def test_refusals_of_data(reply: str, verdict: str) -> None:
    attempt = send(OK, OK, OK, f"{reply}\r\n".encode(), OK)
    assert attempt.commands[-2:] == ["DATA", "RSET"]
    assert attempt.refusal.phase == "message"
    assert diagnose(attempt.refusal).verdict == verdict
    assert PERHAPS not in attempt.refusal.text


@pytest.mark.parametrize(("reply", "verdict"), [*REFUSALS, ("354 Go on", "protocol_error")])
def test_refusals_of_the_message(reply: str, verdict: str) -> None:
    attempt = send(OK, OK, OK, GO_ON, f"{reply}\r\n".encode())
    assert attempt.refusal.phase == "message"
    assert diagnose(attempt.refusal).verdict == verdict
    assert attempt.heard.count(b"\r\nDATA\r\n") == 1


@pytest.mark.parametrize(("reply", "verdict"), [(LOST, "connection_reset"), (b"what?\r\n", "protocol_error")])
def test_a_connection_that_is_lost_after_the_end_may_have_brought_the_message(reply: bytes, verdict: str) -> None:
    attempt = send(OK, OK, OK, GO_ON, reply)
    assert PERHAPS in attempt.refusal.text
    assert PERHAPS in attempt.record.phases[-1].text
    assert attempt.refusal.phase == "message"
    assert diagnose(attempt.refusal).verdict == verdict
    assert attempt.heard.count(b"\r\nDATA\r\n") == 1


class Breaking(HeardSocket):
    """Breaks in the middle of the message, after having said something."""

    last_words = b""

    def sendall(self, data: bytes) -> None:
        if data.startswith(b"Subject"):
            self._pending += self.last_words
            raise BrokenPipeError(32, "Broken pipe")
        super().sendall(data)


class Refusing(Breaking):
    last_words = b"552 5.3.4 Too big\r\n"


@pytest.mark.parametrize(("socket_type", "verdict"), [(Breaking, "connection_reset"), (Refusing, "message_too_large")])
def test_a_connection_that_breaks_within_the_message_brought_nothing(
    socket_type: type[HeardSocket], verdict: str
) -> None:
    attempt = send(OK, OK, OK, GO_ON, QUEUED, socket_type=socket_type)
    assert attempt.refusal.phase == "message"
    assert diagnose(attempt.refusal).verdict == verdict
    assert PERHAPS not in attempt.refusal.text


def test_a_secret_that_the_server_sends_back_is_hidden() -> None:
    echo = f"250 2.0.0 Ok: queued as {entries.PASSWORD}\r\n".encode()
    attempt = send(OK, OK, OK, GO_ON, echo, password=entries.PASSWORD)
    assert attempt.accepted
    assert entries.PASSWORD not in repr((attempt.accepted, attempt.record))
    attempt = send(OK, *[f"550 5.1.1 {entries.PASSWORD}\r\n".encode()] * 2, OK, password=entries.PASSWORD)
    assert entries.PASSWORD not in repr((attempt.observation, attempt.record))
