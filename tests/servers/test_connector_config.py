# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""connector_config: the applications themselves send with what it writes."""

from __future__ import annotations

import json
import secrets
import smtplib
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from peers.alertmanager import Alertmanager
from peers.ca import CertificateZoo
from peers.mail import MailServer
from peers.relay import Relay
from peers.scripted import Login
from peers.smtp import SmtpScript
from peers.users import USERS
from servers.playing import run
from servers.test_connector_test import Scene, connector

ALICE, BOB = USERS["alice"].address, USERS["bob"].address
ELSEWHERE = "cron@elsewhere.example.org"
AWKWARD = "a\"b'c#d;e\\f$g`h%U%%i: j{{k}}&=<é>\t!  k"
NO_SIGN_IN = {"username": None, "password": None}
SECONDS = 300
ALERTMANAGER = """\
# Who is told.
global:
  resolve_timeout: 1m  # soon
route: {receiver: mail, group_wait: 0s, group_interval: 1s}
receivers:
  - name: mail
    email_configs:
      - to: %s
        headers: {Subject: '{{ .CommonLabels.alertname }}'}
        html: ''
        text: 'An alert'
"""


class Application(Scene):
    """A registry, and an application that is given its connectors."""

    def __init__(self, folder: Path, server: MailServer) -> None:
        super().__init__(folder, server)
        self.folder = folder

    def configure(self, app: str, path: Path, block: dict[str, Any], **more: Any) -> None:
        """Writes a connector, which is not written again."""
        self.store([connector("chosen", "smtp", block, **more)])
        task = {**self.options, "connector": "chosen", "app": app, "path": str(path)}
        if app == "postfix":
            task["options"] = {"leave_out": ["from_address"]}
        first, second = (run("connector_config", task) for _time in range(2))
        assert (first.get("msg"), first["changed"], second["changed"]) == (None, True, False)


@pytest.fixture
def application(tmp_path: Path, mail_server: MailServer) -> Iterator[Application]:
    """Mailboxes are empty before and after."""
    mail_server.empty("bob")
    yield Application(tmp_path, mail_server)
    mail_server.empty("bob")


@contextmanager
def asking(zoo: CertificateZoo, user: str, password: str, **more: Any) -> Iterator[tuple[int, list[Login]]]:
    """A server that lets one user in, by its port, and who has signed in there."""
    script = SmtpScript(tls=zoo.good.server_context(), users={user: password}, auth_needed=True, **more)
    with script.server() as server:
        yield server.port, server.logins


def message(subject: str, sender: str = ELSEWHERE) -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = sender, BOB, subject
    mail.set_content("Told by an application.")
    return mail


def new_subject() -> str:
    return f"Told {secrets.token_hex(8)}"


def assert_from_alice(mail: EmailMessage) -> None:
    """As the connector says, whoever the application itself says it is."""
    assert mail["From"] == ALICE
    assert mail["Return-Path"] == f"<{ALICE}>"


class TestMsmtp:
    def send(self, path: Path, subject: str) -> subprocess.CompletedProcess[str]:
        command = ["msmtp", "-C", str(path), "-f", ELSEWHERE, BOB]
        text = message(subject).as_string()
        return subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=SECONDS)

    @pytest.mark.parametrize(
        ("place", "more"),
        [
            ("submission", {}),
            ("submission", {"host": "localhost"}),
            ("smtps", {}),
            ("smtps_other_ca", {"validate_certs": False, "ca_file": None}),
            ("client_cert", {"client_cert": "chain_file"}),
            ("client_cert_tls", {"client_cert": "certificate_file", "client_key": "key_file"}),
            ("only_login", {"mechanisms": ["LOGIN"]}),
            ("only_scram_sha_256", {"mechanisms": ["SCRAM-SHA-256"]}),
            ("relay", {**NO_SIGN_IN, "security": "none", "ehlo_name": "client.example.com"}),
        ],
    )
    def test_it_sends(self, application: Application, zoo: CertificateZoo, place: str, more: dict[str, Any]) -> None:
        path, subject = application.folder / "msmtprc", new_subject()
        files = {key: str(getattr(zoo.client, more[key])) for key in ("client_cert", "client_key") if key in more}
        application.configure("msmtp", path, application.block(place, **{**more, **files}))
        sent = self.send(path, subject)
        assert (sent.returncode, sent.stderr) == (0, "")
        assert_from_alice(application.server.wait_for("bob", "Subject", subject))

    @pytest.mark.parametrize("place", ["submission_other_ca", "submission_wrong_name", "no_starttls"])
    def test_it_does_not_send_where_the_server_is_not_trusted(self, application: Application, place: str) -> None:
        path = application.folder / "msmtprc"
        application.configure("msmtp", path, application.block(place))
        assert self.send(path, new_subject()).returncode != 0

    @pytest.mark.parametrize(("mechanisms", "is_sent"), [(None, False), (["PLAIN"], True)])
    def test_a_password_goes_in_the_clear_only_where_that_is_said(
        self, application: Application, zoo: CertificateZoo, mechanisms: list[str] | None, is_sent: bool
    ) -> None:
        path = application.folder / "msmtprc"
        with asking(zoo, "user", "secret", mechanisms=["PLAIN"]) as (port, logins):
            server = {"host": "127.0.0.1", "port": port, "security": "none", "username": "user", "password": "secret"}
            application.configure("msmtp", path, {**server, "mechanisms": mechanisms})
            assert (self.send(path, new_subject()).returncode == 0) is is_sent
        assert bool(logins) is is_sent

    def test_it_signs_in_with_any_password(self, application: Application, zoo: CertificateZoo) -> None:
        path = application.folder / "msmtprc"
        for user, password in (("user", AWKWARD), (AWKWARD.replace("\t", ""), ' "quoted" '), ("user", "#")):
            with asking(zoo, user, password, mechanisms=["PLAIN"]) as (port, logins):
                block = application.block("submission", port=port, username=user, password=password)
                application.configure("msmtp", path, {**block, "port": port})
                assert self.send(path, new_subject()).stderr == ""
            assert [(login.username, login.password, login.encrypted) for login in logins] == [(user, password, True)]


class TestPostfix:
    def send(self, relay: Relay, subject: str, sender: str = ELSEWHERE) -> None:
        with smtplib.SMTP("127.0.0.1", relay.port, timeout=SECONDS) as smtp:
            smtp.send_message(message(subject), from_addr=sender)

    @pytest.mark.parametrize(
        ("place", "more"),
        [
            ("submission", {}),
            ("smtps", {"mechanisms": ["PLAIN", "LOGIN"]}),
            ("smtps_other_ca", {"validate_certs": False, "ca_file": None}),
            ("client_cert", {"client_cert": "certificate_file", "client_key": "key_file"}),
            ("starttls_optional", {"security": "starttls_optional", "validate_certs": False}),
            ("relay", {**NO_SIGN_IN, "security": "none", "ehlo_name": "client.example.com"}),
        ],
    )
    def test_it_relays(self, application: Application, zoo: CertificateZoo, place: str, more: dict[str, Any]) -> None:
        relay, subject = Relay(application.folder / "postfix"), new_subject()
        files = {key: str(getattr(zoo.client, more[key])) for key in ("client_cert", "client_key") if key in more}
        block = application.block(place, **{"host": "localhost", **more, **files})
        application.configure("postfix", relay.folder / "main.cf", block)
        with relay:
            self.send(relay, subject)
            assert application.server.wait_for("bob", "Subject", subject)["From"] == ELSEWHERE

    def test_it_keeps_what_a_server_of_another_name_would_get(self, application: Application) -> None:
        relay = Relay(application.folder / "postfix")
        block = application.block("submission_wrong_name", host="localhost")
        application.configure("postfix", relay.folder / "main.cf", block)
        with relay:
            self.send(relay, new_subject())
            assert "Server certificate not verified" in self.await_in_log(relay, "status=")

    def test_it_signs_in_with_any_password(self, application: Application, zoo: CertificateZoo) -> None:
        relay = Relay(application.folder / "postfix")
        with asking(zoo, "the user", AWKWARD, mechanisms=["PLAIN"]) as (port, logins):
            block = application.block("submission", host="localhost", username="the user", password=AWKWARD)
            application.configure("postfix", relay.folder / "main.cf", {**block, "port": port})
            with relay:
                self.send(relay, new_subject())
                assert "status=sent" in self.await_in_log(relay, "status=")
        assert [(login.username, login.password, login.encrypted) for login in logins] == [("the user", AWKWARD, True)]

    def await_in_log(self, relay: Relay, words: str) -> str:
        """The line of the log that has these words, as soon as it is there."""
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            for line in relay.log().splitlines():
                if words in line:
                    return line
            time.sleep(0.05)
        raise AssertionError(relay.log())


class TestAlertmanager:
    def alert(self, url: str, subject: str) -> None:
        body = json.dumps([{"labels": {"alertname": subject}}]).encode()
        headers = {"Content-Type": "application/json"}
        with urllib.request.urlopen(
            urllib.request.Request(f"{url}/api/v2/alerts", body, headers), timeout=SECONDS
        ) as answer:
            assert answer.status == 200

    def configuration(self, application: Application) -> Path:
        path = application.folder / "alertmanager.yml"
        path.write_text(ALERTMANAGER % BOB, encoding="utf-8")
        return path

    @pytest.mark.parametrize(
        ("place", "more"),
        [("submission", {}), ("relay", {**NO_SIGN_IN, "security": "none", "ehlo_name": "client.example.com"})],
    )
    def test_it_sends(self, application: Application, place: str, more: dict[str, Any]) -> None:
        path, subject = self.configuration(application), new_subject()
        block = application.block(place, **{"host": "localhost", **more, "ca_file": None})
        application.configure("alertmanager", path, block, from_name='Älerts, "all"')
        with Alertmanager(path, application.server.ca_file) as running:
            self.alert(running.url, subject)
            mail = application.server.wait_for("bob", "Subject", subject)
        (sender,) = mail["From"].addresses
        assert (sender.display_name, sender.addr_spec) == ('Älerts, "all"', ALICE)
        assert mail["Return-Path"] == f"<{ALICE}>"

    def test_it_signs_in_with_any_password(self, application: Application, zoo: CertificateZoo) -> None:
        path = self.configuration(application)
        user = AWKWARD.replace("\t", "")
        with asking(zoo, user, AWKWARD, mechanisms=["PLAIN"]) as (port, logins):
            block = application.block("submission", host="localhost", username=user, password=AWKWARD, ca_file=None)
            application.configure("alertmanager", path, {**block, "port": port})
            with Alertmanager(path, application.server.ca_file) as running:
                self.alert(running.url, new_subject())
                end = time.monotonic() + SECONDS
                while not any(login.ended for login in logins) and time.monotonic() < end:
                    time.sleep(0.05)
        assert (logins[0].username, logins[0].password, logins[0].encrypted) == (user, AWKWARD, True)
