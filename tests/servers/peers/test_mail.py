# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real servers do what the tests of the collection expect of them."""

from __future__ import annotations

import contextlib
import imaplib
import signal
import smtplib
import ssl
import subprocess
import sys
import time
import unicodedata
from pathlib import Path

import pytest
from peers import mail, net, postfix, warden
from peers.ca import CertificateZoo
from peers.mail import MailServer
from servers.peers.clients import ALICE, MECHANISMS, imap, imap_login, smtp, smtp_login

# The tests that use this server would fail with it.
pytestmark = pytest.mark.matrix

TESTS = Path(mail.__file__).resolve().parents[1]
_PROGRAM = """
import pathlib, sys, time
from peers.mail import MailServer

server = MailServer(pathlib.Path(sys.argv[1]))
server.start()
print(server._warden.pid, server.ports['imap'], server.ports['relay'], flush=True)
time.sleep(60)
"""
# What OpenSSL says of each certificate; None where it is content.
VERIFICATION = {
    "expired": 10,
    "not_yet_valid": 9,
    "near_end": None,
    "wrong_name": 62,
    "no_names": None,
    "no_address": None,
    "other_ca": 20,
    "self_signed": 18,
    "with_intermediate": None,
    "missing_intermediate": 20,
    "expired_intermediate": 10,
    "sha1": 68,
    "sha1_intermediate": 68,
    "loose_ca": 20,
}


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize(("port", "security"), [("submission", "starttls"), ("smtps", "tls"), ("no_starttls", "none")])
def test_smtp_signs_in(mail_server: MailServer, port: str, security: str, mechanism: str) -> None:
    with smtp(mail_server.ports[port], security, mail_server.zoo) as client:
        if security == "tls":
            assert smtp_login(client, mechanism, ALICE.address, "wrong") == 535
        assert smtp_login(client, mechanism, ALICE.address, ALICE.password) == 235


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize(("port", "security"), [("imap", "starttls"), ("imaps", "tls"), ("imap", "none")])
def test_imap_signs_in(mail_server: MailServer, port: str, security: str, mechanism: str) -> None:
    with imap(mail_server.ports[port], security, mail_server.zoo) as client:
        if security == "tls":
            assert "[AUTHENTICATIONFAILED]" in imap_login(client, mechanism, ALICE.address, "wrong")
        assert imap_login(client, mechanism, ALICE.address, ALICE.password) == "OK"
        assert client.select("INBOX", readonly=True)[0] == "OK"


def test_refused_sign_ins_do_not_lock_the_server(mail_server: MailServer) -> None:
    for _attempt in range(3):
        with smtp(mail_server.ports["smtps"], "tls", mail_server.zoo) as client:
            assert smtp_login(client, "PLAIN", "nobody@example.com", "wrong") == 535
    with imap(mail_server.ports["imaps"], "tls", mail_server.zoo) as session:
        assert imap_login(session, "PLAIN", ALICE.address, ALICE.password) == "OK"


@pytest.mark.parametrize("name", [port.name for port in postfix.PORTS if port.name.startswith("only_")])
def test_ports_with_one_mechanism(mail_server: MailServer, name: str) -> None:
    wanted = name.removeprefix("only_").upper().replace("_", "-")
    with smtp(mail_server.ports[name], "tls", mail_server.zoo) as client:
        offered = client.esmtp_features.get("auth", "").split()
    assert offered == [wanted]


def test_only_scram_lets_this_user_in(mail_server: MailServer) -> None:
    user = mail_server.users["scram"]
    with imap(mail_server.ports["imaps"], "tls", mail_server.zoo) as client:
        assert "[AUTHENTICATIONFAILED]" in imap_login(client, "PLAIN", user.address, user.password)
        assert imap_login(client, "SCRAM-SHA-256", user.address, user.password) == "OK"
    with smtp(mail_server.ports["smtps"], "tls", mail_server.zoo) as client:
        assert smtp_login(client, "CRAM-MD5", user.address, user.password) == 535
        assert smtp_login(client, "SCRAM-SHA-1", user.address, user.password) == 235


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_password_beyond_ascii(mail_server: MailServer, mechanism: str) -> None:
    user = mail_server.users["uma"]
    prepared = unicodedata.normalize("NFKC", user.typed.replace("\u00ad", ""))
    assert user.typed != prepared == user.password
    with smtp(mail_server.ports["smtps"], "tls", mail_server.zoo) as client:
        assert smtp_login(client, mechanism, user.address, user.typed) == 535
        assert smtp_login(client, mechanism, user.address, user.password) == 235


@pytest.mark.parametrize(
    ("name", "expected"),
    [("locked", "[CONTACTADMIN]"), ("broken", "[UNAVAILABLE]"), ("homeless", "OK"), ("denied", "OK")],
)
def test_users_who_cannot_sign_in(mail_server: MailServer, name: str, expected: str) -> None:
    user = mail_server.users[name]
    with imap(mail_server.ports["imaps"], "tls", mail_server.zoo) as client:
        assert expected in imap_login(client, "PLAIN", user.address, user.password)


@pytest.mark.parametrize(
    ("name", "mailbox", "expected"),
    [("homeless", "INBOX", b"[SERVERBUG]"), ("denied", "INBOX", b"[NOPERM]"), ("alice", "Nope", b"doesn't exist")],
)
def test_mailboxes_that_cannot_be_opened(mail_server: MailServer, name: str, mailbox: str, expected: bytes) -> None:
    user = mail_server.users[name]
    with imap(mail_server.ports["imaps"], "tls", mail_server.zoo) as client:
        client.authenticate("PLAIN", lambda challenge: f"\0{user.address}\0{user.password}".encode())
        answer, text = client.select(mailbox, readonly=True)
        assert (answer, expected in (text[0] or b"")) == ("NO", True)


def test_quota(mail_server: MailServer) -> None:
    user = mail_server.users["full"]
    with imap(mail_server.ports["imaps"], "tls", mail_server.zoo) as client:
        client.authenticate("PLAIN", lambda challenge: f"\0{user.address}\0{user.password}".encode())
        assert b"(STORAGE 3 1)" in client.getquotaroot("INBOX")[1][1][0]
        assert b"[OVERQUOTA]" in client.append("INBOX", "", None, b"Subject: One more\r\n\r\n")[1][0]
    with smtp(mail_server.ports["relay"], "none", mail_server.zoo) as client:
        client.mail("bob@example.com")
        assert client.rcpt("full@example.com")[0] == 552


def test_a_message_is_delivered(mail_server: MailServer) -> None:
    with smtp(mail_server.ports["submission"], "starttls", mail_server.zoo) as client:
        smtp_login(client, "PLAIN", ALICE.address, ALICE.password)
        text = "From: alice@example.com\r\nMessage-ID: <delivered@example.com>\r\nSubject: Hello\r\n\r\nThere.\r\n"
        client.sendmail(ALICE.address, ["bob@example.com", "somebody@example.net"], text)
    message = mail_server.wait_for("bob", "Message-ID", "<delivered@example.com>")
    assert (message["Subject"], message.get_content()) == ("Hello", "There.\r\n")
    mail_server.empty("bob")
    assert not mail_server.messages("bob")


@pytest.mark.parametrize(
    ("port", "sender", "recipient", "signed_in", "code"),
    [
        ("submission", "alice@example.com", "somebody@example.net", False, 554),
        ("submission", "alice@example.com", "somebody@example.net", True, 250),
        ("submission", "alice@example.com", "bob@example.com", False, 554),
        ("submission", "alice@example.com", "nobody@example.com", True, 550),
        ("no_auth", "alice@example.com", "bob@example.com", False, 250),
        ("no_auth", "alice@example.com", "somebody@example.net", False, 554),
        ("relay", "alice@example.org", "somebody@example.net", False, 250),
        ("own_sender", "alice@example.com", "bob@example.com", True, 250),
        ("own_sender", "bob@example.com", "bob@example.com", True, 553),
        ("auth_before_mail", "alice@example.com", "bob@example.com", True, 250),
    ],
)
def test_who_may_send(
    mail_server: MailServer, port: str, sender: str, recipient: str, *, signed_in: bool, code: int
) -> None:
    security = "none" if port in ("no_auth", "relay") else "starttls"
    with smtp(mail_server.ports[port], security, mail_server.zoo) as client:
        if signed_in:
            assert smtp_login(client, "PLAIN", ALICE.address, ALICE.password) == 235
        assert client.mail(sender)[0] == 250
        assert client.rcpt(recipient)[0] == code


def test_ports_refuse_as_they_should(mail_server: MailServer) -> None:
    with smtp(mail_server.ports["auth_before_mail"], "starttls", mail_server.zoo) as client:
        assert client.mail("alice@example.com")[1].startswith(b"5.7.0")
    with smtp(mail_server.ports["submission"], "none", mail_server.zoo) as client:
        assert client.mail("alice@example.com") == (530, b"5.7.0 Must issue a STARTTLS command first")
    with smtp(mail_server.ports["small"], "starttls", mail_server.zoo) as client:
        assert client.mail("alice@example.com", ["SIZE=20000"])[0] == 552
    with smtp(mail_server.ports["auth_after_starttls"], "none", mail_server.zoo) as client:
        assert "auth" not in client.esmtp_features
        assert "starttls" in client.esmtp_features


def test_imap_before_starttls(mail_server: MailServer) -> None:
    with imap(mail_server.ports["imap_starttls_required"], "none", mail_server.zoo) as client:
        assert {"LOGINDISABLED", "STARTTLS"} <= set(client.capabilities)
        assert "[PRIVACYREQUIRED]" in imap_login(client, "PLAIN", ALICE.address, ALICE.password)
        client.starttls(ssl_context=mail_server.zoo.trusting())
        assert imap_login(client, "PLAIN", ALICE.address, ALICE.password) == "OK"
    with imap(mail_server.ports["imap_no_starttls"], "none", mail_server.zoo) as client:
        assert "STARTTLS" not in client.capabilities
        assert imap_login(client, "PLAIN", ALICE.address, ALICE.password) == "OK"


@pytest.mark.parametrize("name", VERIFICATION)
def test_certificates(mail_server: MailServer, name: str) -> None:
    zoo, ports = mail_server.zoo, mail_server.ports
    for port, security in ((f"submission_{name}", "starttls"), (f"smtps_{name}", "tls")):
        with _verified(VERIFICATION[name]), smtp(ports[port], security, zoo) as client:
            client.noop()
    for port, security in ((f"imap_{name}", "starttls"), (f"imaps_{name}", "tls")):
        with _verified(VERIFICATION[name]), imap(ports[port], security, zoo) as session:
            session.noop()


@contextlib.contextmanager
def _verified(code: int | None):  # type: ignore[no-untyped-def]
    if code is None:
        yield
        return
    # imaplib hides the exception of STARTTLS behind one of its own, made while cleaning up.
    with pytest.raises(OSError) as caught:  # noqa: PT011
        yield
    error: BaseException | None = caught.value
    while error and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__context__
    assert error
    assert error.verify_code == code


def test_every_certificate_is_tried() -> None:
    assert {"good", *VERIFICATION} == set(CertificateZoo.SERVERS)


def test_client_certificates(mail_server: MailServer) -> None:
    zoo = mail_server.zoo
    for name, code in (("client", 250), ("client_expired", 421), ("client_other_ca", 421), (None, 421)):
        context = zoo.trusting()
        if name:
            context.load_cert_chain(zoo[name].certificate_file, zoo[name].key_file)
        assert _first_code(mail_server.ports["client_cert_tls"], context) == code
    with pytest.raises(OSError, match="CERTIFICATE_REQUIRED"):
        imap(mail_server.ports["imaps_client_cert"], "tls", zoo)
    context.load_cert_chain(zoo.client.certificate_file, zoo.client.key_file)
    with imaplib.IMAP4_SSL("localhost", mail_server.ports["imaps_client_cert"], ssl_context=context) as client:
        assert client.noop()[0] == "OK"


def _first_code(port: int, context: ssl.SSLContext) -> int:
    try:
        with smtplib.SMTP_SSL("localhost", port, timeout=60, context=context) as client:
            return client.ehlo()[0]
    except smtplib.SMTPConnectError as error:
        return error.smtp_code


def test_tls_versions(mail_server: MailServer) -> None:
    with smtp(mail_server.ports["tls12"], "tls", mail_server.zoo) as client:
        assert client.sock.version() == "TLSv1.2"  # type: ignore[union-attr]
    with imap(mail_server.ports["imaps_tls12"], "tls", mail_server.zoo) as session:
        assert session.sock.version() == "TLSv1.2"  # type: ignore[attr-defined]
    with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
        smtp(mail_server.ports["tls10"], "tls", mail_server.zoo)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_when_the_tests_are_killed(tmp_path: Path, number: int) -> None:
    command = [sys.executable, "-c", _PROGRAM, str(tmp_path)]
    with subprocess.Popen(command, cwd=TESTS, stdout=subprocess.PIPE, text=True) as tests:
        assert tests.stdout
        pid, *ports = map(int, tests.stdout.readline().split())
        assert _descendants(pid)
        tests.send_signal(number)
    end = time.monotonic() + 10
    while time.monotonic() < end and _alive(pid):
        time.sleep(0.02)
    assert not _alive(pid)
    assert all(map(net.is_free, ports))


def test_nothing_is_left_when_the_warden_is_killed(mail_server: MailServer, tmp_path: Path) -> None:
    with MailServer(tmp_path / "mail", mail_server.zoo) as server:
        ports = server.ports
        assert server._warden
        server._warden.kill()
    assert all(net.is_free(ports[name]) for name in ("imap", "relay"))
    assert not server.runtime.exists()


def _alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(") ")[2][0] != "Z"
    return False


def _descendants(pid: int) -> set[int]:
    return {child for child, parent in warden._parents() if parent == pid}


def test_two_at_once_and_deep_folders(mail_server: MailServer, tmp_path: Path) -> None:
    deep = tmp_path / ("deep" * 25) / ("down" * 25)
    with MailServer(deep, mail_server.zoo) as other:
        assert not set(other.ports.values()) & set(mail_server.ports.values())
        assert not other.messages("alice")
        runtime = other.runtime
        assert runtime.exists()
    assert not runtime.exists()
    assert "starting up" in other.log_tail()


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail, "PROGRAMS", {str(tmp_path / "dovecot"): "dovecot-core"})
    with pytest.raises(net.PeerFailed, match="dovecot-core"):
        MailServer(tmp_path / "mail").start()


def test_it_asks_sudo_where_it_is_not_root(
    mail_server: MailServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail.os, "geteuid", lambda: 1000)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(net.PeerFailed, match="need root"):
        MailServer(tmp_path / "mail", mail_server.zoo).start()
    sudo = tmp_path / "sudo"
    sudo.write_text(
        f'#!/bin/sh\nprintf \'%s\\n\' "$*" >> {tmp_path}/asked\nshift\nPATH=/usr/bin:/bin\nexec "$@"\n',
        encoding="utf-8",
    )
    sudo.chmod(0o755)
    with MailServer(tmp_path / "mail", mail_server.zoo):
        asked = (tmp_path / "asked").read_text(encoding="utf-8").splitlines()
    assert asked[0] == "-n true"
    assert asked[1].startswith("-n /")


def test_a_failed_start_shows_the_log(mail_server: MailServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail.dovecot, "MECHANISMS", ("NONSENSE",))
    with pytest.raises(net.PeerFailed, match=r"(?s)nobody can sign in.*dovecot\.log"):
        MailServer(tmp_path / "mail", mail_server.zoo).start()
