# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tokens of the stand-ins sign in to Postfix and Dovecot, and others do not."""

from __future__ import annotations

import base64
import imaplib
import json
import smtplib
from typing import Any

import pytest
from imapclient import IMAPClient
from imapclient.exceptions import LoginError
from peers.cloud import Cloud
from peers.dovecot import TOKEN_MECHANISMS
from peers.mail import MailServer
from peers.tokens import MAIL, Permission, Tokens
from servers.peers.clients import ALICE, MECHANISMS, imap, imap_login, smtp, smtp_login
from servers.peers.web import Web

# The tests that use this server would fail with it.
pytestmark = pytest.mark.matrix

BOB = "bob@example.com"
EXCHANGE = "https://outlook.office365.com/.default"


def message(mechanism: str, user: str, token: str) -> bytes:
    """What a client says first."""
    if mechanism == "XOAUTH2":
        return f"user={user}\x01auth=Bearer {token}\x01\x01".encode()
    return f"n,a={user},\x01host=localhost\x01port=993\x01auth=Bearer {token}\x01\x01".encode()


def by_imap(server: MailServer, mechanism: str, user: str, token: str) -> tuple[str, dict[str, Any]]:
    """OK or the refusal, and the error that the server explains itself with."""
    errors: list[dict[str, Any]] = []

    def answer(challenge: bytes) -> bytes:
        if not challenge:
            return message(mechanism, user, token)
        errors.append(json.loads(challenge))
        return b"" if mechanism == "XOAUTH2" else b"\x01"

    with imap(server.ports["imaps"], "tls", server.zoo) as client:
        try:
            result = client.authenticate(mechanism, answer)[0]
        except imaplib.IMAP4.error as error:
            result = str(error)
    return result, errors[0] if errors else {}


def by_smtp(
    server: MailServer, mechanism: str, user: str, token: str, port: str = "submission"
) -> tuple[int, dict[str, Any]]:
    """The code, and the error that the server explains itself with."""
    error: dict[str, Any] = {}
    with smtp(server.ports[port], "starttls" if port == "submission" else "tls", server.zoo) as client:
        first = base64.b64encode(message(mechanism, user, token)).decode()
        code, text = client.docmd("AUTH", f"{mechanism} {first}")
        if code == 334:
            error = json.loads(base64.b64decode(text))
            code = client.docmd("" if mechanism == "XOAUTH2" else "AQ==")[0]
    return code, error


def entra_token(cloud: Cloud, **options: Any) -> str:
    """A token as an application gets it."""
    app = cloud.entra.add_app(**{"roles": ("IMAP.AccessAsApp", "SMTP.SendAsApp"), **options})
    form = {
        "grant_type": "client_credentials",
        "client_id": app.client_id,
        "client_secret": app.secret,
        "scope": EXCHANGE,
    }
    address = f"{cloud.entra.url}/{cloud.entra.tenant_id}/oauth2/v2.0/token"
    token: str = Web(cloud.zoo).post(address, form).json["access_token"]
    return token


@pytest.mark.parametrize("mechanism", TOKEN_MECHANISMS)
def test_a_token_signs_in(mail_server: MailServer, cloud: Cloud, mechanism: str) -> None:
    token = entra_token(cloud)
    assert mail_server.introspection
    mail_server.introspection.requests.clear()
    assert by_imap(mail_server, mechanism, BOB, token) == ("OK", {})
    assert [request.path for request in mail_server.introspection.requests] == [f"/introspect/imap/{BOB}"]
    for port in ("submission", "smtps", f"only_{mechanism.lower()}"):
        assert by_smtp(mail_server, mechanism, BOB, token, port) == (235, {})


@pytest.mark.parametrize("mechanism", TOKEN_MECHANISMS)
def test_a_token_is_refused(mail_server: MailServer, cloud: Cloud, mechanism: str) -> None:
    status = {"XOAUTH2": "401", "OAUTHBEARER": "invalid_token"}[mechanism]
    tokens = {
        "unknown": "nonsense",
        "expired": entra_token(cloud, lifetime=-10),
        "of another mailbox": entra_token(cloud, mailboxes=[BOB]),
        "without a role": entra_token(cloud, roles=("Mail.Send",)),
    }
    with cloud.entra.failing("wrong_audience"):
        tokens["for another service"] = entra_token(cloud)
    with cloud.entra.failing("forged_token"):
        tokens["forged"] = entra_token(cloud)
    for token in tokens.values():
        result, error = by_imap(mail_server, mechanism, ALICE.address, token)
        assert ("[AUTHENTICATIONFAILED]" in result, error["status"]) == (True, status)
        code, error = by_smtp(mail_server, mechanism, ALICE.address, token)
        assert (code, error["status"]) == (535, status)
        assert error["openid-configuration"]
    assert by_imap(mail_server, mechanism, BOB, tokens["of another mailbox"])[0] == "OK"
    assert "[AUTHENTICATIONFAILED]" in by_imap(mail_server, mechanism, "nobody@example.com", entra_token(cloud))[0]


def test_roles_are_for_one_protocol_each(mail_server: MailServer, cloud: Cloud) -> None:
    reading, sending = entra_token(cloud, roles=("IMAP.AccessAsApp",)), entra_token(cloud, roles=("SMTP.SendAsApp",))
    found = []
    for token in (reading, sending):
        result = by_imap(mail_server, "XOAUTH2", ALICE.address, token)[0]
        found.append((result, by_smtp(mail_server, "XOAUTH2", ALICE.address, token)[0]))
    assert found[0] == ("OK", 535)
    assert found[1][1] == 235
    assert "[AUTHENTICATIONFAILED]" in found[1][0]


def test_a_library_signs_in(mail_server: MailServer, cloud: Cloud) -> None:
    token = entra_token(cloud)
    context = mail_server.zoo.trusting()
    for way in ("oauth2_login", "oauthbearer_login"):
        with IMAPClient("localhost", mail_server.ports["imaps"], ssl_context=context, timeout=60) as client:
            getattr(client, way)(ALICE.address, token)
            assert client.select_folder("INBOX", readonly=True)[b"UIDVALIDITY"]
        with (
            IMAPClient("localhost", mail_server.ports["imaps"], ssl_context=context, timeout=60) as client,
            pytest.raises(LoginError, match="AUTHENTICATIONFAILED"),
        ):
            getattr(client, way)(ALICE.address, "nonsense")


def test_tokens_of_others_sign_in(mail_server: MailServer, cloud: Cloud) -> None:
    client = cloud.token_url.add_client()
    form = {"grant_type": "client_credentials", "client_id": client.client_id, "client_secret": client.secret}
    token = Web(cloud.zoo).post(cloud.token_url.endpoint, form).json["access_token"]
    assert by_imap(mail_server, "OAUTHBEARER", ALICE.address, token)[0] == "OK"
    assert by_smtp(mail_server, "OAUTHBEARER", ALICE.address, token)[0] == 235


def test_a_token_and_a_password_are_not_the_same(mail_server: MailServer, cloud: Cloud) -> None:
    assert by_imap(mail_server, "XOAUTH2", "scram@example.com", entra_token(cloud))[0] == "OK"
    with imap(mail_server.ports["imaps"], "tls", mail_server.zoo) as client:
        assert "[AUTHENTICATIONFAILED]" in imap_login(client, "PLAIN", ALICE.address, entra_token(cloud))
    code, error = by_smtp(mail_server, "XOAUTH2", ALICE.address, "nonsense")
    assert (code, error["scope"]) == (535, "mail")


def test_passwords_do_not_ask_about_tokens(mail_server: MailServer) -> None:
    assert mail_server.introspection
    mail_server.introspection.requests.clear()
    for mechanism in MECHANISMS:
        with imap(mail_server.ports["imaps"], "tls", mail_server.zoo) as client:
            assert imap_login(client, mechanism, ALICE.address, ALICE.password) == "OK"
        with smtp(mail_server.ports["smtps"], "tls", mail_server.zoo) as session:
            assert smtp_login(session, mechanism, ALICE.address, ALICE.password) == 235
    assert not mail_server.introspection.requests


@pytest.mark.parametrize("name", ["html_500", "closed"])
def test_what_cannot_be_asked(mail_server: MailServer, cloud: Cloud, name: str) -> None:
    assert mail_server.introspection
    with mail_server.introspection.failing(name, who=ALICE.address):
        assert "[UNAVAILABLE]" in by_imap(mail_server, "OAUTHBEARER", ALICE.address, entra_token(cloud))[0]


def test_where_the_mechanisms_are_offered(mail_server: MailServer) -> None:
    for port in ("submission", "smtps"):
        with smtp(mail_server.ports[port], "starttls" if port == "submission" else "tls", mail_server.zoo) as client:
            assert {*MECHANISMS, *TOKEN_MECHANISMS} == set(client.esmtp_features["auth"].split())
    with imap(mail_server.ports["imaps"], "tls", mail_server.zoo) as session:
        assert {f"AUTH={name}" for name in TOKEN_MECHANISMS} <= set(session.capabilities)


def test_mail_is_sent_with_a_token(mail_server: MailServer, cloud: Cloud) -> None:
    client = smtplib.SMTP_SSL("localhost", mail_server.ports["smtps"], timeout=60, context=mail_server.zoo.trusting())
    with client:
        client.ehlo()
        text = base64.b64encode(message("XOAUTH2", ALICE.address, entra_token(cloud))).decode()
        assert client.docmd("AUTH", f"XOAUTH2 {text}")[0] == 235
        client.sendmail(
            ALICE.address, [BOB], "From: alice@example.com\r\nMessage-ID: <token@example.com>\r\n\r\nHi\r\n"
        )
    assert mail_server.wait_for("bob", "Message-ID", "<token@example.com>")
    mail_server.empty("bob")


def test_two_tokens_are_never_the_same() -> None:
    known = Tokens()
    narrow, wide = known.issue({}, Permission(("imap",))), known.issue({}, Permission(MAIL))
    assert [known.sign_in(token, "smtp", BOB) for token in (narrow, wide)] == [False, True]
    known.forget()
    assert not known.sign_in(wide, "smtp", BOB)
