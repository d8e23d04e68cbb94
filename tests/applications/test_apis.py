# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""connector_api: real applications are written to, read again, and send what they are to send."""

from __future__ import annotations

import json
import secrets
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from peers import airflow, privacyidea, zabbix
from peers.ca import CertificateZoo
from peers.front import TlsFront
from peers.mail import MailServer
from peers.users import USERS
from servers.playing import run
from servers.test_connector_test import Scene, connector

ALICE, BOB = USERS["alice"].address, USERS["bob"].address
NAME = "told_by_api"
WRONG_PASSWORD = "Rumpelstilzchen-" + secrets.token_hex(12)


class App:
    """An application that runs, and what a task says of it."""

    app: str
    options: dict[str, Any]
    host: str  # what it calls the field of the server
    hands_on_replies = False
    sends_when_tested = True

    program: Any
    url: str
    login: dict[str, str]

    @property
    def task(self) -> dict[str, Any]:
        return {"app": self.app, "url": self.url, "login": self.login, "options": self.options, "connector": NAME}

    @property
    def other_login(self) -> dict[str, str]:
        """Of somebody who may not write mail settings."""
        return {**self.login, "username": self.other}

    other: str

    def send(self, subject: str) -> str:
        """Have it send a mail where its test does not, and say the subject."""
        raise NotImplementedError

    def token(self) -> str:
        """A token of whoever signs in."""
        raise NotImplementedError


class PrivacyIdea(App):
    app = "privacyidea"
    host = "server"
    other = privacyidea.OTHER

    def __init__(self, _zoo: CertificateZoo) -> None:
        self.program = privacyidea.PrivacyIdea()
        self.options = {"leave_out": ["smtp.validate_certs"]}
        self.url = self.program.url
        self.login = {"username": privacyidea.ADMIN, "password": self.program.password}

    def token(self) -> str:
        answer = call(f"{self.url}/auth", self.login)
        return str(answer["result"]["value"]["token"])


class Airflow(App):
    app = "airflow"
    host = "host"
    hands_on_replies = True
    sends_when_tested = False
    other = airflow.OTHER

    def __init__(self, zoo: CertificateZoo) -> None:
        self.program = airflow.Airflow(zoo.ca_file)
        self.options = {"leave_out": ["smtp.ca_file"]}
        self.url = self.program.url
        self.login = {"username": airflow.ADMIN, "password": self.program.password}

    def token(self) -> str:
        return str(call(f"{self.url}/auth/token", self.login)["access_token"])

    def send(self, subject: str) -> str:
        self.program.send(NAME, BOB, subject)
        return subject


class Zabbix(App):
    app = "zabbix"
    host = "smtp_server"
    hands_on_replies = True
    other = zabbix.OTHER

    def __init__(self, zoo: CertificateZoo) -> None:
        self.program = zabbix.Zabbix(zoo.ca_file)
        self.url = self.program.url
        self.login = {"username": zabbix.ADMIN, "password": self.program.password}
        self.options = {"leave_out": ["smtp.ca_file"], "server": f"127.0.0.1:{self.program.port}"}

    def token(self) -> str:
        session = self.program.call("user.login", self.login)
        (made,) = self.program.call("token.create", {"name": secrets.token_hex(4)}, session)["tokenids"]
        return str(self.program.call("token.generate", [made], session)[0]["token"])


def call(url: str, body: dict[str, str]) -> Any:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=300) as answer:
        return json.load(answer)


@pytest.fixture(scope="module", params=[PrivacyIdea, Airflow, Zabbix], ids=lambda kind: kind.app)
def app(request: pytest.FixtureRequest, zoo: CertificateZoo) -> Iterator[App]:
    running = request.param(zoo)
    with running.program:
        yield running


class Desk(Scene):
    """A registry, an application, and what tasks print."""

    def __init__(self, folder: Path, server: MailServer, app: App) -> None:
        super().__init__(folder, server)
        self.app = app
        self.folder = folder
        self.printed: list[str] = []

    def declare(self, place: str = "submission", **more: Any) -> None:
        fields = {name: more.pop(name) for name in ("from_address", "test_address") if name in more}
        self.store([connector(NAME, "smtp", self.block(place, **more), **fields)])

    def play(self, check: bool = False, **options: Any) -> dict[str, Any]:
        answer = run("connector_api", {**self.options, **self.app.task, **options}, check)
        self.printed.append(json.dumps(answer))
        return answer

    def tested(self) -> str:
        """What the application's own test says."""
        return str(self.done(test=True, to=BOB)["test"]["status"])

    def done(self, check: bool = False, **options: Any) -> dict[str, Any]:
        answer = self.play(check, **options)
        assert not answer.get("failed"), answer["msg"]
        return answer


@pytest.fixture
def desk(tmp_path: Path, mail_server: MailServer, app: App) -> Iterator[Desk]:
    """The application holds nothing of ours before and after."""
    mail_server.empty("bob")
    desk = Desk(tmp_path, mail_server, app)
    yield desk
    desk.done(state="absent", target={"name": NAME})
    mail_server.empty("bob")


def test_it_is_made_once_sends_and_is_removed(desk: Desk, app: App, mail_server: MailServer) -> None:
    desk.declare()
    planned, made, again = desk.done(check=True), desk.done(), desk.done()
    assert [each["changed"] for each in (planned, made, again)] == [True, True, False]
    assert planned["diff"] == made["diff"]
    assert (planned["settings"], made["secret"]) == ({}, "sent")
    assert again["secret"] == ("verified" if app.app == "zabbix" else "unchanged")
    assert again["settings"][app.host].endswith("127.0.0.1")
    tested = desk.done(test=True, to=BOB)
    assert (tested["test"]["status"], tested["changed"]) == ("ok", False)
    if not app.sends_when_tested:
        app.send("Told by Airflow")
    assert mail_server.wait_for("bob", "From", ALICE)
    removed = desk.done(state="absent", target={"name": NAME})
    assert (removed["changed"], removed["settings"]) == (True, {})
    assert not desk.done(state="absent", target={"name": NAME})["changed"]


def test_one_field_changes_alone(desk: Desk, app: App) -> None:
    desk.declare()
    desk.done()
    desk.declare(from_address="bob@example.com")
    changed = desk.done()
    (diff,) = changed["diff"]
    assert len(set(diff["after"]) - {"password"}) == 1
    assert changed["secret"] == {"privacyidea": "sent", "airflow": "unchanged", "zabbix": "verified"}[app.app]
    assert not desk.done()["changed"]


def test_a_new_secret_is_sent_and_nothing_else(desk: Desk, app: App) -> None:
    desk.declare(password=WRONG_PASSWORD)
    desk.done()
    kept = desk.done(update_secret="never")
    assert not kept["changed"]
    desk.declare()
    changed = desk.done()
    (diff,) = changed["diff"]
    assert (changed["secret"], list(diff["after"].values())) == ("sent", ["(changed)"])
    assert desk.tested() == "ok"


def test_another_server_gets_the_secret(desk: Desk) -> None:
    desk.declare()
    desk.done()
    desk.declare(host="localhost")
    refused = desk.play(update_secret="never")
    assert refused["failed"]
    assert "update_secret: cannot be never" in refused["msg"]
    changed = desk.done()
    assert changed["secret"] == "sent"
    assert desk.tested() == "ok"


def test_encryption_and_sign_in_can_go_and_come_back(desk: Desk, app: App) -> None:
    desk.declare()
    desk.done()
    desk.declare("relay", username=None, password=None, security="none", ca_file=None)
    without = desk.done()
    assert (without["changed"], without["secret"]) == (True, "none")
    assert not desk.done()["changed"]
    assert desk.tested() == "ok"
    desk.declare("smtps")
    again = desk.done()
    assert again["secret"] == "sent"
    assert desk.tested() == "ok"


def test_a_token_signs_in_and_tests(desk: Desk, app: App) -> None:
    desk.declare()
    answer = desk.done(login={"token": app.token()}, test=True, to=BOB)
    assert (answer["changed"], answer["test"]["status"]) == (True, "ok")


def test_what_somebody_changed_inside_is_found_and_set_right(desk: Desk, app: App, tmp_path: Path) -> None:
    desk.declare()
    desk.done()
    somebody = Desk(tmp_path / "somebody", desk.server, app)
    (tmp_path / "somebody").mkdir()
    somebody.declare(host="somewhere.example.com")
    somebody.done()
    found = desk.done(check=True)
    assert found["changed"]
    assert found["diff"][0]["before"][app.host].endswith("somewhere.example.com")
    assert found["secret"] == "sent"
    desk.done()
    assert desk.tested() == "ok"


def test_wrong_login_no_right_and_a_program_that_is_down_are_told_apart(desk: Desk, app: App) -> None:
    desk.declare()
    wrong = desk.play(login={**app.login, "password": WRONG_PASSWORD})
    assert wrong["msg"].startswith("login: ")
    assert "does not accept it" in wrong["msg"]
    powerless = desk.play(login=app.other_login)
    assert powerless["msg"].startswith("login: the account may not do this")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        down = desk.play(url=f"http://127.0.0.1:{unused.getsockname()[1]}")
    assert "cannot be reached: nothing listens there" in down["msg"]


def test_tls_needs_the_right_authority(desk: Desk, app: App, zoo: CertificateZoo) -> None:
    desk.declare()
    with TlsFront(zoo, app.url) as front:
        assert "set ca_file" in desk.play(url=front.url)["msg"]
        assert desk.done(url=front.url, ca_file=str(front.ca_file))["changed"]


def test_a_redirect_to_another_origin_is_refused(desk: Desk, app: App, zoo: CertificateZoo) -> None:
    desk.declare()
    with TlsFront(zoo, app.url) as front, front.failing("redirect"):
        refused = desk.play(url=front.url, ca_file=str(front.ca_file))
        assert "redirects to another origin" in refused["msg"]
        assert {request.path for request in front.requests} != {"/elsewhere"}


@pytest.mark.parametrize(
    ("more", "to", "verdict"),
    [
        ({"password": WRONG_PASSWORD}, BOB, "auth_rejected"),
        ({"port": 1}, BOB, "connect_refused"),
        ({"host": "nowhere.invalid"}, BOB, "dns_not_found"),
        ({}, "nobody@example.com", "recipient_rejected"),
    ],
)
def test_what_the_mail_server_says_becomes_our_verdict(
    desk: Desk, app: App, more: dict[str, Any], to: str, verdict: str
) -> None:
    desk.declare(**more)
    if verdict == "recipient_rejected" and not app.sends_when_tested:
        assert desk.done(test=True, to=to)["test"]["status"] == "ok"
        return
    failed = desk.play(test=True, to=to)
    assert failed["failed"]
    assert failed["test"]["status"] == "failed"
    if app.hands_on_replies:
        assert failed["test"]["verdict"] == verdict, failed["test"]
    else:
        assert "connector_test" in failed["test"]["remedy"]


def test_secrets_are_nowhere(desk: Desk, app: App) -> None:
    desk.declare(password=WRONG_PASSWORD)
    desk.done()
    desk.play(test=True, to=BOB)
    stored = b"".join(path.read_bytes() for path in desk.folder.iterdir() if path.is_file())
    for secret in (WRONG_PASSWORD, app.login["password"]):
        assert secret not in "".join(desk.printed)
        assert secret.encode() not in stored


@pytest.mark.parametrize("app", [Airflow], indirect=True, ids=lambda kind: kind.app)
def test_a_mailbox_is_written_and_cannot_be_tested(desk: Desk) -> None:
    desk.store([connector(NAME, "imap", desk.block("imaps"))])
    options = {"leave_out": ["imap.ca_file"], "protocol": "imap"}
    answer = desk.done(options=options, test=True, to=BOB)
    assert (answer["settings"]["conn_type"], answer["settings"]["use_ssl"]) == ("imap", True)
    assert (answer["secret"], answer["test"]["status"]) == ("sent", "not_supported")
    assert not desk.done(options=options)["changed"]
