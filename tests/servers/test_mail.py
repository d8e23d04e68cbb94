# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module mail against Postfix and Dovecot, read back over IMAP."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from peers import actions
from peers.actions import Action
from peers.cloud import Cloud
from peers.mail import MailServer
from peers.scripted import ScriptedServer, Talk
from peers.smtp import SmtpScript
from peers.users import USERS
from servers.oauth_probing import Rig
from servers.playing import MODULES, run
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


SCRIPTS = "Grüße, Ωμέγα, Привет, שלום, مرحبا, नमस्ते, 你好, こんにちは, 한국어, 🚀 e\u0301"
LINES = ["", ".", "..", ".leading dot", "From here", "-- ", "trailing  ", "=20", "x" * 3000, SCRIPTS, "\tTab", "end"]


def test_each_option_arrives_as_it_was_written(office: Office, mail_server: MailServer, tmp_path: Path) -> None:
    report = tmp_path / "nightly report.csv"
    report.write_bytes(b"a;b\r\n.\r\n\x00\xff" + bytes(range(256)) * 300)
    office.store(
        [
            office.smtp(
                from_name="Alerts, Inc.",
                cc=[UMA],
                bcc=[ALICE],
                reply_to="unread@example.com",
                errors_to="bounces@example.com",
                signature="The alerts team\nSüd",
                headers={"X-Team": "operations", "X-Kept": "yes"},
            )
        ]
    )
    answer = office.mail(
        to=[f"Bob Ünsal <{BOB}>", '"Smith, \\"J\\"" <john@example.net>'],
        cc=["Carol <carol@example.net>"],
        bcc=["hidden@example.net"],
        subject=f"Report: {SCRIPTS}",
        body="\n".join(LINES),
        html=f"<html><body><p>{SCRIPTS}</p></body></html>",
        reply_to="Answers <answers@example.com>",
        headers={"X-Team": "finance", "X-Number": 7},
        attachments=[str(report), {"path": str(report), "name": f"{SCRIPTS}.txt", "content_type": "text/x-report"}],
    )
    assert not answer.get("failed"), answer["msg"]
    (sent,) = answer["sent"]
    everybody = [BOB, "john@example.net", "carol@example.net", UMA, "hidden@example.net", ALICE]
    assert (sent["to"], sent["refused"]) == (everybody, [])
    for user in ("bob", "uma", "alice"):
        message = mail_server.wait_for(user, "Message-ID", sent["message_id"])
        assert (message.defects, message["Bcc"]) == ([], None)
        assert b"hidden@" not in message.as_bytes()
    named = [
        (each.display_name, each.addr_spec)
        for name in ("From", "To", "Cc", "Reply-To")
        for each in message[name].addresses
    ]
    assert named == [
        ("Alerts, Inc.", ALICE),
        ("Bob Ünsal", BOB),
        ('Smith, "J"', "john@example.net"),
        ("Carol", "carol@example.net"),
        ("", UMA),
        ("Answers", "answers@example.com"),
    ]
    assert message["Return-Path"] == "<bounces@example.com>"
    assert message["Subject"] == f"Report: {SCRIPTS}"
    assert message.get_all("X-Team") == ["finance"]
    assert (message["X-Kept"], message["X-Number"], message["Auto-Submitted"]) == ("yes", "7", "auto-generated")
    assert message.get_content_type() == "multipart/mixed"
    text, html = (message.get_body((kind,)) for kind in ("plain", "html"))
    assert text
    assert html
    assert text.get_content().split("\r\n") == [*LINES, "", "-- ", "The alerts team", "Süd", ""]
    assert SCRIPTS in html.get_content()
    assert html.get_content().index("Süd") < html.get_content().index("</body>")
    files = [
        (each.get_filename(), each.get_content_type(), each.get_payload(decode=True))
        for each in message.iter_attachments()
    ]
    content = report.read_bytes()
    assert files == [("nightly report.csv", "text/csv", content), (f"{SCRIPTS}.txt", "text/x-report", content)]


CONTENTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "a subject alone": ({}, "text/plain", "Hello\r\n"),
    "HTML alone": ({"html": "<p>Só</p>"}, "text/html", "<p>Só</p>\r\n"),
    "text and HTML": ({"body": "So", "html": "<p>So</p>"}, "multipart/alternative", ""),
    "a body that is empty": ({"body": ""}, "text/plain", "Hello\r\n"),
}


@pytest.mark.parametrize(("options", "kind", "content"), CONTENTS.values(), ids=CONTENTS)
def test_mail_has_no_more_parts_than_it_needs(
    office: Office, mail_server: MailServer, options: dict[str, Any], kind: str, content: str
) -> None:
    office.store([office.smtp()])
    (sent,) = office.mail(to=BOB, **options)["sent"]
    message = mail_server.wait_for("bob", "Message-ID", sent["message_id"])
    assert message.get_content_type() == kind
    assert not content or message.get_content() == content


def test_mail_goes_through_a_purpose_the_default_or_a_declaration(office: Office, mail_server: MailServer) -> None:
    other = {**office.smtp(), "name": "other", "from_name": "Other", "available_to": ["acme"]}
    bound = {"default": "alerts", "purposes": {"notices": "alerts", "notices@acme": "other"}}
    written = run("connectors", {**office.options, "connectors": [office.smtp(from_name="Usual"), other], **bound})
    assert not written.get("failed"), written["msg"]
    declared = {key: value for key, value in office.smtp(from_name="Inline").items() if key != "name"}
    for options, name in (
        ({"purpose": "notices"}, "Usual"),
        ({"purpose": "notices", "tenant": "acme"}, "Other"),
        ({}, "Usual"),
        ({"declaration": declared}, "Inline"),
    ):
        (sent,) = office.mail(to=BOB, connector=None, **options)["sent"]
        message = mail_server.wait_for("bob", "Message-ID", sent["message_id"])
        assert message["From"].addresses[0].display_name == name


def test_check_mode_sends_nothing(office: Office, mail_server: MailServer, tmp_path: Path) -> None:
    office.store([office.smtp(cc=[UMA])])
    answer = office.mail(check=True, to=BOB, attachments=[str(tmp_path / "to be made.csv")])
    assert not answer.get("failed"), answer["msg"]
    assert (answer["changed"], answer["msg"]) == (True, "1 mail would be sent.")
    assert answer["sent"] == [{"to": [BOB, UMA], "message_id": None, "queue_id": None, "refused": []}]
    assert "does not exist yet" in str(answer["warnings"])
    assert mail_server.messages("bob") == []


def test_copies_can_be_left_out(office: Office) -> None:
    office.store([office.smtp(cc=[UMA], bcc=[ALICE])])
    (sent,) = office.mail(to=BOB, include_copies=False)["sent"]
    assert sent["to"] == [BOB]


BREAKS = ("\r\nBcc: eve@example.com", "\nX", "\rX", "\0", "\u2028X", "\x85X")
INJECTED = {
    "to": [f"bob{each}@example.com" for each in BREAKS] + [f"Bob{each} <bob@example.com>" for each in BREAKS],
    "cc": [[f"bob@example.com{each}"] for each in BREAKS],
    "bcc": [[f"Bob{each} <bob@example.com>"] for each in BREAKS],
    "reply_to": [f"Bob{each} <bob@example.com>" for each in BREAKS],
    "subject": [f"Hello{each}" for each in BREAKS] + ["", "x" * 1001],
    "headers": [{"X-A": f"a{each}"} for each in BREAKS] + [{f"X-A{each}": "a"} for each in BREAKS],
    "attachments": [
        [{"path": "/etc/hostname", field: f"text/a{each}"}] for field in ("name", "content_type") for each in BREAKS
    ],
}


@pytest.mark.parametrize("field", INJECTED)
def test_no_option_adds_a_header(office: Office, field: str) -> None:
    with SmtpScript().server() as server:
        office.store([connector("alerts", "smtp", {"host": "127.0.0.1", "port": server.port, "security": "none"})])
        for value in INJECTED[field]:
            answer = office.mail(**{"to": BOB, field: value})
            assert (answer["failed"], answer["verdict"], answer["field"]) == (True, "config_invalid", field), value
            assert answer["msg"].startswith(f"{field}: "), answer["msg"]
        assert server.connections == 0


def scripted(office: Office, script: SmtpScript, **more: Any) -> ScriptedServer:
    """A server that is asked by the connector alerts."""
    server = script.server().start()
    block = {"host": "127.0.0.1", "port": server.port, "security": "none", **more}
    office.store([connector("alerts", "smtp", block)])
    return server


@pytest.fixture
def serve(office: Office) -> Iterator[Callable[..., ScriptedServer]]:
    """Starts scripted servers, and closes them."""
    servers: list[ScriptedServer] = []

    def start(script: SmtpScript, **more: Any) -> ScriptedServer:
        servers.append(scripted(office, script, **more))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


Serve = Callable[..., ScriptedServer]
EXTENSIONS = {
    "none": ((), "{}", "config_invalid"),
    "SMTPUTF8": (("8BITMIME", "SMTPUTF8"), "{} BODY=8BITMIME SMTPUTF8", ""),
    "8BITMIME alone": (("8BITMIME",), "", "config_invalid"),
}


@pytest.mark.parametrize(("offered", "command", "verdict"), EXTENSIONS.values(), ids=EXTENSIONS)
def test_an_address_beyond_ascii_needs_smtputf8_and_text_needs_nothing(
    office: Office, serve: Serve, offered: tuple[str, ...], command: str, verdict: str
) -> None:
    server = serve(SmtpScript(offered=offered))
    text = office.mail(to=BOB, subject=SCRIPTS, body=SCRIPTS * 40, html=SCRIPTS)
    assert not text.get("failed"), text["msg"]
    assert server.received[0].isascii()
    address = office.mail(to="jürgen@bücher.example", cc=BOB)
    assert (address.get("verdict", ""), address["changed"]) == (verdict, not verdict)
    if verdict:
        assert "does not offer SMTPUTF8" in address["remedy"] or "8BITMIME" in address["remedy"]
        assert b"MAIL FROM" not in server.received[1]
    else:
        assert f"MAIL FROM:<{ALICE}>{command.format('')}\r\n".encode() in server.received[1]
        assert "RCPT TO:<jürgen@xn--bcher-kva.example>".encode() in server.received[1]


def test_a_message_that_is_too_large_is_refused_before_any_of_it_is_sent(
    office: Office, serve: Serve, tmp_path: Path
) -> None:
    file = tmp_path / "large.bin"
    file.write_bytes(b"x" * 9000)
    server = serve(SmtpScript(offered=["SIZE 10240"]))
    answer = office.mail(to=BOB, attachments=[str(file)])
    assert (answer["verdict"], answer["field"], answer["sent"]) == ("message_too_large", "attachments", [])
    assert "10240 octets" in answer["remedy"]
    assert b"MAIL FROM" not in server.received[0]


def test_the_size_that_is_announced_is_that_of_the_message(office: Office, serve: Serve, tmp_path: Path) -> None:
    sizes = (0, 1, 56, 57, 58, 31919, 31920, 31921, 100_000)
    for size in sizes:
        (tmp_path / str(size)).write_bytes(b"." * size)
    server = serve(SmtpScript(offered=["SIZE"]))
    answer = office.mail(
        to=BOB, subject="No dots at the start", attachments=[str(tmp_path / str(size)) for size in sizes]
    )
    assert not answer.get("failed"), answer["msg"]
    announced = re.search(rb" SIZE=(\d+)\r\n", server.received[0])
    body = server.received[0].partition(b"DATA\r\n")[2].partition(b"\r\n.\r\n")[0] + b"\r\n"
    assert announced
    assert int(announced[1]) == len(body)


def linked(folder: Path) -> Path:
    (folder / "link").symlink_to("/etc/hostname")
    return folder / "link"


def fifo(folder: Path) -> Path:
    os.mkfifo(folder / "fifo")
    return folder / "fifo"


KINDS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "a symbolic link": (linked, "must be a regular file, but is a symbolic link"),
    "a FIFO": (fifo, "must be a regular file, but is a FIFO"),
    "a device": (lambda _folder: Path("/dev/zero"), "must be a regular file, but is a device"),
    "a folder": (lambda folder: folder, "must be a regular file, but is a directory"),
    "nothing": (lambda folder: folder / "missing", "does not exist"),
    "a file in a file": (lambda _folder: Path("/etc/hostname/x"), "cannot be read: Not a directory"),
}


@pytest.mark.parametrize(("make", "says"), KINDS.values(), ids=KINDS)
def test_what_is_no_file_is_not_attached(
    office: Office, tmp_path: Path, make: Callable[[Path], Path], says: str
) -> None:
    office.store([office.smtp()])
    path = make(tmp_path)
    answer = office.mail(to=BOB, attachments=["/etc/hostname", str(path)])
    assert (answer["verdict"], answer["field"], answer["changed"]) == ("config_invalid", "attachments", False)
    assert answer["msg"] == f"attachments: item 2 ({path}) {says}"


CHANGES: dict[str, Callable[[Path], Any]] = {
    "grows": lambda path: path.write_bytes(b"y" * 300_000),
    "shrinks": lambda path: os.truncate(path, 100_000),
    "is replaced": lambda path: (path.unlink(), path.write_bytes(b"y" * 200_000)),
    "is gone": lambda path: path.unlink(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_file_that_changes_is_not_sent_and_the_next_message_is(
    office: Office, serve: Serve, tmp_path: Path, change: Callable[[Path], Any]
) -> None:
    file = tmp_path / "report"
    file.write_bytes(b"x" * 200_000)

    def act(talk: Talk) -> bool:
        if talk.number == 0:
            change(file)
        return True

    server = serve(SmtpScript({"data": act}))
    messages = [{"to": BOB, "subject": "One", "attachments": [str(file)]}, {"to": UMA, "subject": "Two"}]
    answer = office.mail(subject=None, messages=messages)
    assert ([each["to"] for each in answer["sent"]], answer["unconfirmed"]) == ([[UMA]], [])
    (refused,) = answer["refused"]
    assert (refused["message"], refused["verdict"], refused["field"]) == (0, "config_invalid", "attachments")
    assert str(file) in refused["remedy"]
    assert server.connections == 2
    assert b"\r\n.\r\n" not in server.received[0]


def test_a_connection_that_breaks_within_a_message_leaves_nothing_unconfirmed(
    office: Office, serve: Serve, tmp_path: Path
) -> None:
    file = tmp_path / "report"
    file.write_bytes(b"x" * 4_000_000)

    def crash(talk: Talk) -> None:
        talk.send("354 Go on\r\n")
        talk.read_exactly(100_000)
        talk.reset()

    server = serve(SmtpScript({"data": crash}))
    answer = office.mail(to=BOB, attachments=[str(file)])
    assert (answer["verdict"], answer["changed"], answer["unconfirmed"]) == ("connection_reset", False, [])
    assert (answer["refused"][0]["tried"], server.connections) == (True, 1)


LOST: dict[str, Action] = {"hung up": actions.hang_up(), "reset": actions.reset(), "silent": actions.silent()}


@pytest.mark.parametrize("lose", LOST.values(), ids=LOST)
def test_a_lost_answer_is_told_and_the_message_is_not_sent_again(office: Office, serve: Serve, lose: Action) -> None:
    server = serve(SmtpScript({"message": lose}))
    answer = office.mail(to=BOB, deadline=1.5)
    assert (answer["failed"], answer["changed"], answer["sent"], answer["refused"]) == (True, False, [], [])
    (unconfirmed,) = answer["unconfirmed"]
    assert (unconfirmed["to"], unconfirmed["tried"]) == ([BOB], True)
    assert "check whether the message arrived before sending it again" in answer["remedy"]
    assert "may have been sent, since the answer was lost, and was not sent again" in answer["msg"]
    assert unconfirmed["message_id"].encode() in server.received[0]
    assert b"".join(server.received).count(b"\r\n.\r\n") == 1


def several(count: int) -> list[dict[str, Any]]:
    return [{"to": f"user{number}@example.net", "subject": f"Number {number}"} for number in range(count)]


def subjects(server: ScriptedServer) -> list[int]:
    """The numbers of the messages that reached the server, in their order."""
    return [int(number) for number in re.findall(rb"Subject: Number (\d+)", b"".join(server.received))]


@pytest.mark.parametrize("offered", [["PIPELINING"], []], ids=["with PIPELINING", "without"])
def test_many_messages_go_over_one_connection(office: Office, serve: Serve, offered: list[str]) -> None:
    ahead: list[bool] = []

    def look(talk: Talk) -> bool:
        ahead.append(talk.received.count(b"\r\nDATA\r\n") > talk.received.count(b"\r\n.\r\n"))
        return True

    server = serve(SmtpScript({"mail": look}, offered=offered))
    answer = office.mail(subject=None, messages=several(30))
    assert not answer.get("failed"), answer["msg"]
    assert [each["to"] for each in answer["sent"]] == [[each["to"]] for each in several(30)]
    assert (server.connections, subjects(server)) == (1, list(range(30)))
    assert set(ahead) == {bool(offered)}


def test_a_refused_message_does_not_stop_the_others(office: Office, serve: Serve) -> None:
    def refuse(talk: Talk) -> bool:
        if b"user2@" not in talk.received.rpartition(b"MAIL FROM")[2]:
            return True
        talk.send("550 5.1.1 No such user\r\n")
        return False

    for offered in (["PIPELINING"], []):
        server = serve(SmtpScript({"rcpt": refuse}, offered=offered))
        answer = office.mail(subject=None, messages=several(5))
        assert [each["to"] for each in answer["sent"]] == [[f"user{number}@example.net"] for number in (0, 1, 3, 4)]
        (refused,) = answer["refused"]
        assert (refused["message"], refused["to"], refused["field"]) == (2, ["user2@example.net"], "to")
        assert answer["msg"].splitlines()[0].startswith("messages[2] to user2@example.net was not sent: recipient_rej")
        assert answer["msg"].splitlines()[1] == "4 mails of 5 sent."
        assert (server.connections, subjects(server)) == (1, [0, 1, 3, 4])


def test_a_server_that_takes_a_message_for_nobody_gets_none(office: Office, serve: Serve) -> None:
    """One that counts refused recipients as recipients waits for a message, and must not get one."""

    def refuse(talk: Talk) -> None:
        talk.recipients = (talk.recipients or 0) + 1
        talk.send("550 5.1.1 No such user\r\n")

    server = serve(SmtpScript({"rcpt": refuse}))
    answer = office.mail(subject=None, messages=several(2))
    assert [each["verdict"] for each in answer["refused"]] == ["recipient_rejected"] * 2
    assert (server.connections, subjects(server)) == (1, [])
    assert server.received[0].count(b"DATA\r\n.\r\n") == 2


@pytest.mark.parametrize("ending", [actions.reply("421 4.7.0 Enough"), actions.hang_up()], ids=["421", "hung up"])
def test_a_server_that_ends_the_connection_between_messages_is_connected_to_again(
    office: Office, serve: Serve, ending: Action
) -> None:
    def limit(talk: Talk) -> bool | None:
        return ending(talk) if talk.received.count(b"\r\n.\r\n") == 2 else True

    server = serve(SmtpScript({"mail": limit}))
    answer = office.mail(subject=None, messages=several(5))
    assert not answer.get("failed"), answer["msg"]
    assert (server.connections, subjects(server)) == (3, [0, 1, 2, 3, 4])


def test_a_server_that_refuses_everybody_is_asked_once(office: Office, serve: Serve) -> None:
    server = serve(SmtpScript({"mail": actions.reply("421 4.3.2 Not now")}))
    answer = office.mail(subject=None, messages=several(3))
    assert [(each["verdict"], each["tried"]) for each in answer["refused"]] == [
        ("throttled", True),
        ("throttled", False),
        ("throttled", False),
    ]
    assert server.connections == 1


def test_messages_that_were_not_reached_before_the_deadline_are_told(office: Office, serve: Serve) -> None:
    serve(SmtpScript({"message": actions.slow(0.4)}))
    answer = office.mail(subject=None, messages=several(20), deadline=1.5)
    told = [*answer["sent"], *answer["unconfirmed"], *answer["refused"]]
    assert len(told) == 20
    assert answer["sent"]
    assert [each["tried"] for each in answer["refused"]] == [False] * len(answer["refused"])
    assert len(answer["unconfirmed"]) <= 1
    assert answer["verdict"] == "response_timeout"


MEASURED = f"""
import runpy, sys
try:
    runpy.run_module("{MODULES}.mail", run_name="__main__")
finally:
    peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
    print(peak.split()[1], file=sys.stderr)
"""


def peak_memory(options: dict[str, Any]) -> tuple[Answer, int]:
    """The answer of the module in a process of its own, and the most memory that it took, in MiB."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": options}),
        env={**os.environ, "PYTHONPATH": os.environ["ANSIBLE_COLLECTIONS_PATH"]},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return json.loads(done.stdout), int(done.stderr.split()[-1]) // 1024


def test_a_large_file_is_sent_in_little_memory(office: Office, serve: Serve, tmp_path: Path) -> None:
    file = tmp_path / "large.bin"
    with file.open("wb") as stream:
        for number in range(100):
            stream.write(bytes([number]) * 1024 * 1024)
    sent = hashlib.sha256()

    def swallow(talk: Talk) -> None:
        talk.send("354 Go on\r\n")
        header = b"\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        message = b""
        while header not in message:
            message += talk.read()
        content = message.partition(header)[2]
        while not content.endswith(b"\r\n.\r\n"):
            whole_lines = content.rfind(b"\r\n", 0, -1000) + 1
            sent.update(base64.b64decode(content[:whole_lines]))
            content = content[whole_lines:] + talk.read()
            talk.received.clear()
        sent.update(base64.b64decode(content.partition(b"\r\n--")[0]))
        talk.recipients = None
        talk.send("250 2.0.0 Ok: queued as 4LARGE\r\n")

    serve(SmtpScript({"data": swallow}, offered=["PIPELINING"]))
    answer, peak = peak_memory(
        {**office.options, "connector": "alerts", "to": BOB, "subject": "Large", "attachments": [str(file)]}
    )
    assert not answer.get("failed"), answer["msg"]
    assert sent.hexdigest() == hashlib.sha256(file.read_bytes()).hexdigest()
    assert peak < 64


INCUMBENT: dict[str, tuple[str, dict[str, Any]]] = {
    # AUTH is offered after STARTTLS only.
    "ansible/ansible#26376": ("auth_after_starttls", {}),
    # STARTTLS is offered in the reply to EHLO.
    "ansible/ansible#42338": ("submission", {}),
    # The name of the server is needed for TLS.
    "ansible/ansible#46673, STARTTLS": ("submission", {"host": "localhost"}),
    "ansible/ansible#46673, TLS": ("smtps", {"host": "localhost"}),
    # Mail is sent without encryption and without a sign-in.
    "ansible/ansible#48785": ("relay", {"security": "none", "username": None, "password": None}),
}


@pytest.mark.parametrize(("port", "settings"), INCUMBENT.values(), ids=INCUMBENT)
def test_what_has_broken_in_the_incumbent_works(
    office: Office, mail_server: MailServer, port: str, settings: dict[str, Any]
) -> None:
    office.store([connector("alerts", "smtp", office.block(port, **settings))])
    answer = office.mail(to=BOB)
    assert not answer.get("failed"), answer["msg"]
    mail_server.wait_for("bob", "Message-ID", answer["sent"][0]["message_id"])


UNTRUSTED = {"wrong name": "smtps_wrong_name", "expired": "smtps_expired", "self-signed": "smtps_self_signed"}


@pytest.mark.parametrize("port", UNTRUSTED.values(), ids=UNTRUSTED)
def test_no_password_goes_to_a_server_that_has_not_proven_who_it_is(office: Office, port: str) -> None:
    office.store([office.smtp(port)])
    answer = office.mail(to=BOB)
    assert answer["verdict"] in ("tls_name_mismatch", "tls_expired", "tls_untrusted")


def test_hundreds_of_recipients_are_named_in_groups(office: Office, serve: Serve) -> None:
    everybody = [f"user{number}@example.net" for number in range(1000)]
    server = serve(SmtpScript())
    (sent,) = office.mail(to=everybody)["sent"]
    assert sent["to"] == everybody
    assert (server.connections, server.received[0].count(b"RCPT TO:")) == (1, 1000)
    one_more = office.mail(to=[*everybody, BOB])
    assert one_more["msg"] == "to: must name at most 1000 recipients, with cc and bcc"


@pytest.fixture
def rig(mail_server: MailServer, office: Office, tmp_path: Path) -> Iterator[Rig]:
    """Services of a cloud for one test."""
    with Cloud(mail_server) as made:
        yield Rig(made, mail_server, tmp_path)


@pytest.mark.parametrize(
    ("uploads", "saves"), [(0, True), (0, False), (3, True), pytest.param(3, False, marks=pytest.mark.matrix)]
)
def test_graph_sends_files_of_every_size(
    office: Office, rig: Rig, mail_server: MailServer, uploads: int, saves: bool
) -> None:
    file = rig.path().with_name("Übersicht.pdf")
    file.write_bytes(os.urandom(7_000_000 if uploads else 1000))
    block = rig.graph(rig.by_secret(rig.app(roles=("Mail.Send", "Mail.ReadWrite"))), save_to_sent=saves)
    office.store([{"name": "alerts", "from_address": ALICE, "errors_to": "bounces@example.com", **block}])
    answer = office.mail(
        to=f"Bob <{BOB}>", bcc=UMA, body="See the file.", html="<p>See the file.</p>", attachments=[str(file)]
    )
    assert not answer.get("failed"), answer["msg"]
    (sent,) = answer["sent"]
    assert (sent["to"], sent["queue_id"], sent["refused"]) == ([BOB, UMA], None, [])
    for user in ("bob", "uma"):
        message = mail_server.wait_for(user, "Message-ID", sent["message_id"])
        (attached,) = message.iter_attachments()
        assert (attached.get_filename(), attached.get_content()) == ("Übersicht.pdf", file.read_bytes())
        assert "See the file." in str(message.get_body(("html",)))
    assert "Graph does not carry: errors_to" in str(answer["warnings"])
    assert sum(each.operation == "upload" for each in rig.cloud.graph.requests) == uploads


def test_graph_sends_a_large_file_in_little_memory(office: Office, rig: Rig, tmp_path: Path) -> None:
    file = tmp_path / "large.bin"
    with file.open("wb") as stream:
        stream.truncate(60 * 1024 * 1024)
    block = rig.graph(rig.by_secret(rig.app(roles=("Mail.Send", "Mail.ReadWrite"))))
    office.store([{"name": "alerts", "from_address": ALICE, **block}])
    rig.cloud.graph.fail("ErrorInvalidRecipients", at="send")
    given = {"connector": "alerts", "to": BOB, "subject": "Large", "attachments": [str(file)]}
    answer, peak = peak_memory({**office.options, **given})
    assert (answer["verdict"], answer["changed"]) == ("recipient_rejected", False)
    assert sum(each.operation == "upload" for each in rig.cloud.graph.requests) == 20
    assert peak < 128


GRAPH_FAULTS = {
    "ErrorSendAsDenied": ("sender_rejected", "refused"),
    "ErrorAccessDenied": ("mailbox_denied", "refused"),
    "html_500": ("throttled", "unconfirmed"),
    "reset": ("connection_reset", "unconfirmed"),
}


@pytest.mark.parametrize(("fault", "expected"), GRAPH_FAULTS.items())
def test_graph_refuses_or_loses_the_answer(office: Office, rig: Rig, fault: str, expected: tuple[str, str]) -> None:
    verdict, place = expected
    office.store([{"name": "alerts", "from_address": ALICE, **rig.graph(rig.by_secret(rig.app(roles=("Mail.Send",))))}])
    rig.cloud.graph.fail(fault, at="sendMail")
    answer = office.mail(to=BOB)
    assert (answer["verdict"], [each["to"] for each in answer[place]]) == (verdict, [[BOB]])
    assert sum(each.operation == "sendMail" for each in rig.cloud.graph.requests) == 1


def test_mail_is_sent_with_a_token_over_smtp(office: Office, rig: Rig, mail_server: MailServer) -> None:
    declared = rig.mail(rig.by_secret(rig.app()), imap="")
    (sent,) = office.mail(connector=None, declaration=declared, to=BOB)["sent"]
    mail_server.wait_for("bob", "Message-ID", sent["message_id"])


HOST = {"host": "127.0.0.1"}
# Each option of community.general.mail: a task there, the connector and the task here, and what the server is to get.
CONVERTED: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any], str]] = {
    "attach": (
        {"attach": ["/etc/hostname"]},
        {},
        {"attachments": ["/etc/hostname"]},
        'attachment; filename="hostname"',
    ),
    "bcc": ({"bcc": UMA}, {}, {"bcc": UMA}, f"RCPT TO:<{UMA}>"),
    "body": ({"body": "Good day"}, {}, {"body": "Good day"}, "\r\n\r\nGood day\r\n"),
    "no body": ({}, {}, {}, "\r\n\r\nHello\r\n"),
    "cc": ({"cc": f"Uma <{UMA}>"}, {}, {"cc": f"Uma <{UMA}>"}, f"\r\nCc: Uma <{UMA}>\r\n"),
    "charset": ({"charset": "utf-8"}, {}, {"body": "\u00fc"}, 'charset="utf-8"'),
    "ehlohost": ({"ehlohost": "host.example.org"}, {"ehlo_name": "host.example.org"}, {}, "EHLO host.example.org"),
    "headers": (
        {"headers": ["Reply-To=answers@example.com", "X-Special=Something"]},
        {},
        {"reply_to": "answers@example.com", "headers": {"X-Special": "Something"}},
        "\r\nX-Special: Something\r\n",
    ),
    "host": (HOST, HOST, {}, "\r\nSubject: Hello\r\n"),
    "message_id_domain": ({"message_id_domain": "example.com"}, {}, {}, "@example.com>\r\n"),
    "password": ({"password": "alice-Secret-1"}, {"password": "alice-Secret-1"}, {}, "AUTH "),
    "port": ({"port": 25}, {}, {}, "\r\nSubject: Hello\r\n"),
    "secure": ({"secure": "never"}, {"security": "none"}, {}, "\r\nSubject: Hello\r\n"),
    "sender": ({"sender": "Alice <alice@example.com>"}, {"from_name": "Alice"}, {}, f"\r\nFrom: Alice <{ALICE}>\r\n"),
    "subject": ({"subject": "Hello"}, {}, {"subject": "Hello"}, "\r\nSubject: Hello\r\n"),
    "subtype": ({"subtype": "html", "body": "<p>1</p>"}, {}, {"html": "<p>1</p>"}, "Content-Type: text/html;"),
    "timeout": ({"timeout": 20}, {}, {"timeout": 20}, "\r\nSubject: Hello\r\n"),
    "to": ({"to": f"Bob <{BOB}>"}, {}, {"to": f"Bob <{BOB}>"}, f"\r\nTo: Bob <{BOB}>\r\n"),
    "username": ({"username": ALICE}, {"username": ALICE, "password": "alice-Secret-1"}, {}, "AUTH "),
}
GUIDE = Path(__file__).resolve().parents[2] / "docs" / "docsite" / "rst" / "sending.rst"


def test_guide_converts_each_option_that_is_tested() -> None:
    table = GUIDE.read_text(encoding="utf-8").partition("Option there")[2].partition("With other collections")[0]
    rows = re.findall(r"^  \* - ``(\w+)``", table, re.MULTILINE)
    assert rows == [name for name in CONVERTED if name != "no body"]


@pytest.mark.parametrize(("_there", "smtp", "task", "arrives"), CONVERTED.values(), ids=CONVERTED)
def test_a_task_of_the_incumbent_is_converted_with_the_table(
    office: Office, _there: dict[str, Any], smtp: dict[str, Any], task: dict[str, Any], arrives: str
) -> None:
    signs_in = {"username": ALICE} if "password" in smtp else {}
    with SmtpScript().server() as server:
        block = {**HOST, "port": server.port, "security": "none", **signs_in, **smtp}
        name = {"from_name": block.pop("from_name")} if "from_name" in block else {}
        answer = office.mail(
            connector=None, declaration={"smtp": block, "from_address": ALICE, **name}, **{"to": BOB, **task}
        )
        assert not answer.get("failed"), answer["msg"]
        assert arrives in server.received[0].decode()
