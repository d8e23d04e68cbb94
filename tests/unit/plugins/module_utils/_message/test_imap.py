# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Diagnosis and removing a message, word for word."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from fuzz import entries

from ansible_collections.mailroom.core.plugins.module_utils._connector.redaction import Redaction
from ansible_collections.mailroom.core.plugins.module_utils._connector.resolved import ImapSettings
from ansible_collections.mailroom.core.plugins.module_utils._connector.secret import Secret
from ansible_collections.mailroom.core.plugins.module_utils._message import imap
from ansible_collections.mailroom.core.plugins.module_utils._message.imap import ImapMail
from ansible_collections.mailroom.core.plugins.module_utils._net.clock import Clock
from ansible_collections.mailroom.core.plugins.module_utils._net.record import Record
from ansible_collections.mailroom.core.plugins.module_utils._protocol.imap import ImapSession, parse_message_ids
from ansible_collections.mailroom.core.plugins.module_utils._verdict.diagnosis import diagnose
from ansible_collections.mailroom.core.plugins.module_utils._verdict.observation import ProbeError

MINE = "<test.0123abcd@example.com>"
HEADER = b"Received: from a by b\r\nMessage-ID: " + MINE.encode() + b"\r\nSubject: Hello\r\n\r\n"
ANOTHER = HEADER.replace(b"test.", b"x.test.")
DONE = b"{tag} OK done\r\n"
SELECTED = b"* 1 EXISTS\r\n* OK [UIDVALIDITY 1] ok\r\n" + DONE
NOTHING = b"* SEARCH\r\n" + DONE
SILENCE = b""

HEADERS: dict[str, tuple[str, list[str]]] = {
    "one": ("Subject: x\r\nMessage-ID: <1@b>\r\nFrom: y\r\n\r\n", ["<1@b>"]),
    "folded": ("MESSAGE-id:\r\n <1@b>\r\nFrom: y\r\n\r\n", ["<1@b>"]),
    "last, and without its end": ("message-id:<1@b>", ["<1@b>"]),
    "spaces": ("Message-ID :\t <1@b> \t\r\n", ["<1@b>"]),
    "none": ("Subject: Message-ID: <1@b>\r\n", []),
    "in a folded line of another": ("Subject: x\r\n Message-ID: <1@b>\r\n", []),
    "another's": ("X-Message-ID: <1@b>\r\nResent-Message-ID: <1@b>\r\n", []),
    "with more": ("Message-ID: <1@b> (note)\r\n", ["<1@b> (note)"]),
    "two": ("Message-ID: <1@b>\r\nMessage-ID: <2@b>\r\n", ["<1@b>", "<2@b>"]),
}


@pytest.mark.parametrize(("header", "found"), HEADERS.values(), ids=HEADERS)
def test_message_ids(header: str, found: list[str]) -> None:
    assert parse_message_ids(header) == found


class Passing:
    """A clock's time, which passes only where it is waited for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr("time.monotonic", lambda: self.now)
        monkeypatch.setattr("time.sleep", self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def passing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Passing]:
    yield Passing(monkeypatch)
    monkeypatch.undo()


class Server(entries.ScriptedSocket):
    """Says one part after each line; keeps what it was told, and lets time pass where it has nothing to say."""

    def __init__(self, passing: Passing, *parts: bytes, closes: bool = False) -> None:
        super().__init__(entries.BETWEEN.join(parts))
        self.commands: list[str] = []
        self._line = ""
        self._passing = passing
        self._closes = closes
        self._patience = 0.0

    def sendall(self, data: bytes) -> None:
        self._line += data.decode()
        if self._line.endswith("\n") and "CAPABILITY" not in self._line:
            self.commands.append(re.sub(r"^\S+ ", "", self._line.strip()))
        self._line = "" if self._line.endswith("\n") else self._line
        super().sendall(data)

    def settimeout(self, seconds: float | None) -> None:
        self._patience = seconds or 0.0

    def recv(self, size: int) -> bytes:
        data = super().recv(size)
        if not data and not self._closes:
            self._passing.sleep(self._patience)
            raise TimeoutError
        return data


def capabilities(words: str) -> bytes:
    return f"* CAPABILITY IMAP4rev1 {words}\r\n".encode() + DONE


def fetched(uid: int, header: bytes, number: int = 1) -> bytes:
    return b"* %d FETCH (UID %d BODY[HEADER] {%d}\r\n%s)\r\n" % (number, uid, len(header), header) + DONE


def searched(*uids: int) -> bytes:
    return "".join(["* SEARCH", *(f" {uid}" for uid in uids), "\r\n"]).encode() + DONE


def mail(
    passing: Passing, opened: bytes, *parts: bytes, offers: str = "", deadline: float = 60, closes: bool = False
) -> tuple[ImapMail, Server]:
    """A mailbox whose server says these parts once somebody has signed in."""
    offered = capabilities(f"SASL-IR AUTH=PLAIN {offers}")
    before = (b"* OK ready\r\n", offered, offered, b"{tag} OK in\r\n", opened, offered)
    server = Server(passing, *before, *parts, closes=closes)

    password = Secret(entries.PASSWORD)
    endpoint = ImapSettings("imap", "mail.example.com", 143, "none", auth="password", username="ann", password=password)
    clock = Clock(deadline, 10)
    connection = entries.connected_to(server, clock)
    session = ImapSession(endpoint, clock, Record("imap"), Redaction([password]), connection)
    session.open()
    session.sign_in()
    server.commands.clear()
    return ImapMail(session), server


def stopped_by(task: Any) -> ProbeError:
    with pytest.raises(ProbeError) as caught:
        task()
    return caught.value


def phases(found: ImapMail) -> list[tuple[str, str]]:
    return [(phase.phase, phase.status) for phase in found._session.record.phases][-2:]


def test_what_is_there_is_found_at_once(passing: Passing) -> None:
    found, server = mail(passing, SELECTED, searched(7), fetched(7, HEADER))
    assert found.find(MINE).hops == 1
    assert server.commands == [
        'EXAMINE "INBOX"',
        f'UID SEARCH HEADER Message-ID "{MINE}"',
        "UID FETCH 7 (BODY.PEEK[HEADER])",
    ]
    assert phases(found) == [("select", "ok"), ("delivery", "ok")]


def test_a_mailbox_that_is_open_already_is_not_opened_again(passing: Passing) -> None:
    found, server = mail(passing, SELECTED, searched(7), fetched(7, HEADER))
    found._session.select()
    found.find(MINE)
    assert server.commands.count('EXAMINE "INBOX"') == 1


def test_a_message_that_only_resembles_is_not_taken(passing: Passing) -> None:
    upper = HEADER.replace(b"test.", b"TEST.")
    parts = [SELECTED, searched(5, 6, 7), fetched(5, ANOTHER), fetched(6, upper), fetched(7, HEADER + b"x")]
    found, _server = mail(passing, *parts)
    assert found.find(MINE)


def test_without_idle_it_is_asked_again_and_again(passing: Passing) -> None:
    rounds = [DONE, NOTHING, DONE, NOTHING, DONE, searched(7), fetched(7, HEADER)]
    found, server = mail(passing, SELECTED, NOTHING, *rounds)
    found.find(MINE)
    assert [each for each in server.commands if each in ("NOOP", "IDLE")] == ["NOOP"] * 3
    assert passing.now == 3 * imap.PAUSE


def test_arrival_is_told_by_the_server_with_idle(passing: Passing) -> None:
    rounds = [b"* OK hold\r\n+ idling\r\n* 2 EXISTS\r\n", DONE, searched(7), fetched(7, HEADER)]
    found, server = mail(passing, SELECTED, NOTHING, *rounds, offers="IDLE")
    found.find(MINE)
    assert server.commands[-4:-2] == ["IDLE", "DONE"]
    assert passing.now == 0


def test_what_is_told_before_idling_begins_counts(passing: Passing) -> None:
    rounds = [b"* 2 EXISTS\r\n+ idling\r\n", DONE, searched(7), fetched(7, HEADER)]
    found, _server = mail(passing, SELECTED, NOTHING, *rounds, offers="IDLE")
    found.find(MINE)
    assert passing.now == 0


def test_a_server_that_says_the_same_again_does_not_make_it_turn_in_circles(passing: Passing) -> None:
    idling = b"+ idling\r\n* 2 EXISTS\r\n"
    rounds = [idling, DONE, NOTHING, idling, DONE, searched(7), fetched(7, HEADER)]
    found, _server = mail(passing, SELECTED, NOTHING, *rounds, offers="IDLE")
    found.find(MINE)
    assert passing.now == imap.LISTEN


def test_a_server_that_keeps_quiet_is_asked_nevertheless(passing: Passing) -> None:
    rounds = [b"+ idling\r\n* 2 EXP", b"UNGE\r\n" + DONE, searched(7), fetched(7, HEADER)]
    found, _server = mail(passing, SELECTED, NOTHING, *rounds, offers="IDLE")
    found.find(MINE)
    assert passing.now == imap.LISTEN


@pytest.mark.parametrize("answer", [b"{tag} NO not now\r\n", b"{tag} BAD what\r\n", b"+ idling\r\n{tag} OK enough\r\n"])
def test_where_idle_is_not_to_be_had_it_is_asked_again_and_again(passing: Passing, answer: bytes) -> None:
    rounds = [answer, NOTHING, DONE, searched(7), fetched(7, HEADER)]
    found, server = mail(passing, SELECTED, NOTHING, *rounds, offers="IDLE")
    found.find(MINE)
    assert [each for each in server.commands if each in ("NOOP", "IDLE", "DONE")] == ["IDLE", "NOOP"]


@pytest.mark.parametrize("offers", ["", "IDLE"])
def test_message_that_has_not_come_at_the_deadline_is_not_delivered(passing: Passing, offers: str) -> None:
    waiting = [b"+ idling\r\n", DONE] if offers else [DONE]
    rounds = [*[*waiting, NOTHING] * 30]
    found, _server = mail(passing, SELECTED, NOTHING, *rounds, deadline=20, offers=offers)
    observation = stopped_by(lambda: found.find(MINE)).observation
    assert (observation.kind, observation.phase) == ("not_delivered", "delivery")
    assert observation.facts["mailbox"] == "INBOX"
    assert 20 - imap.PAUSE <= passing.now <= 20
    assert phases(found)[-1] == ("delivery", "fail")


def test_a_server_that_does_not_answer_is_not_taken_for_slow_delivery(passing: Passing) -> None:
    found, _server = mail(passing, SELECTED, SILENCE, deadline=5)
    assert stopped_by(lambda: found.find(MINE)).observation.kind == "timeout"
    found, _server = mail(passing, SELECTED, NOTHING, DONE, SILENCE)
    observation = stopped_by(lambda: found.find(MINE)).observation
    assert diagnose(observation).verdict == "response_timeout"


TROUBLE: dict[str, tuple[tuple[bytes, ...], str]] = {
    "refused to open": ((b"{tag} NO [NONEXISTENT] no\r\n",), "mailbox_missing"),
    "refused to search": ((SELECTED, b"{tag} NO not now\r\n"), "protocol_error"),
    "a search that nobody can read": ((SELECTED, b"* SEARCH x y\r\n" + DONE), "protocol_error"),
    "a message that nobody can read": ((SELECTED, searched(7), b"* 1 FETCH (UID 7 ((\r\n" + DONE), "protocol_error"),
    "a farewell": ((SELECTED, b"* BYE Shutting down\r\n"), "throttled"),
    "a farewell while idling": ((SELECTED, NOTHING, b"+ idling\r\n* BYE Later\r\n"), "throttled"),
    "no word": ((SELECTED, b""), "connection_reset"),
}


@pytest.mark.parametrize(("parts", "verdict"), TROUBLE.values(), ids=TROUBLE)
def test_trouble_is_judged(passing: Passing, parts: tuple[bytes, ...], verdict: str) -> None:
    found, _server = mail(passing, *parts, offers="IDLE", closes=True)
    assert diagnose(stopped_by(lambda: found.find(MINE)).observation).verdict == verdict


@pytest.mark.parametrize(
    "answer", [DONE, b"* 1 FETCH (UID 7 FLAGS ())\r\n" + DONE, b"* 1 FETCH (UID 7 BODY[HEADER] NIL)\r\n" + DONE]
)
def test_a_message_that_has_gone_meanwhile_is_not_there(passing: Passing, answer: bytes) -> None:
    found, _server = mail(passing, SELECTED, searched(7), answer, DONE, searched(8), fetched(8, HEADER))
    assert found.find(MINE)


def test_exactly_the_message_is_removed(passing: Passing) -> None:
    there = [searched(7, 8, 9), fetched(7, HEADER), fetched(8, ANOTHER), fetched(9, HEADER)]
    found, server = mail(passing, SELECTED, *there, DONE, DONE, searched(8), fetched(8, ANOTHER), offers="UIDPLUS")
    assert found.remove(MINE) == 2
    assert server.commands[0] == 'SELECT "INBOX"'
    changing = [each for each in server.commands if "STORE" in each or "EXPUNGE" in each]
    assert changing == [r"UID STORE 7,9 +FLAGS.SILENT (\Deleted)", "UID EXPUNGE 7,9"]
    assert len(found._session.record.phases) == len({phase.phase for phase in found._session.record.phases})


def test_what_is_not_there_is_not_removed(passing: Passing) -> None:
    found, server = mail(passing, SELECTED, searched(8), fetched(8, ANOTHER))
    assert found.remove(MINE) == 0
    assert not any("STORE" in each or "EXPUNGE" in each for each in server.commands)


def test_without_uidplus_it_is_removed_where_nothing_else_would_go(passing: Passing) -> None:
    parts = [searched(7), fetched(7, HEADER), DONE, searched(7), b"* 1 EXPUNGE\r\n" + DONE, NOTHING]
    found, server = mail(passing, SELECTED, *parts)
    assert found.remove(MINE) == 1
    assert server.commands[-3:-1] == ["UID SEARCH DELETED", "EXPUNGE"]


def test_without_uidplus_it_stays_where_something_else_would_go(passing: Passing) -> None:
    parts = [searched(7), fetched(7, HEADER), DONE, searched(3, 7)]
    found, server = mail(passing, SELECTED, *parts)
    observation = stopped_by(lambda: found.remove(MINE)).observation
    assert observation.kind == "not_removed"
    assert "marked as deleted but not removed" in observation.text
    assert not any("EXPUNGE" in each for each in server.commands)


def test_a_mailbox_that_can_only_be_read_is_left_alone(passing: Passing) -> None:
    found, server = mail(passing, b"* 1 EXISTS\r\n{tag} OK [READ-ONLY] done\r\n")
    observation = stopped_by(lambda: found.remove(MINE)).observation
    assert (observation.kind, "INBOX is read-only" in observation.text) == ("not_removed", True)
    assert server.commands == ['SELECT "INBOX"']


def test_a_message_that_stays_is_not_counted_as_removed(passing: Passing) -> None:
    there = [searched(7), fetched(7, HEADER)]
    found, _server = mail(passing, SELECTED, *there, DONE, DONE, *there, offers="UIDPLUS")
    assert stopped_by(lambda: found.remove(MINE)).observation.kind == "not_removed"


def test_a_secret_that_the_server_sends_back_is_hidden(passing: Passing) -> None:
    found, _server = mail(passing, SELECTED, f"{{tag}} NO not for {entries.PASSWORD}\r\n".encode())
    stopped = stopped_by(lambda: found.find(MINE))
    assert entries.PASSWORD not in repr((str(stopped), stopped.observation, found._session.record))
