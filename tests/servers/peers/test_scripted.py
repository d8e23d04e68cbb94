# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scripted servers are good ones, except for the one fault that each is named after."""

from __future__ import annotations

import base64
import imaplib
import smtplib
import socket
import ssl
import threading
import time

import pytest
from peers import actions, faults, sasl, texts
from peers.ca import CertificateZoo
from peers.imap import LOGIN_COMMAND, ImapScript
from peers.scripted import ScriptedServer, Talk
from peers.smtp import SmtpScript
from servers.peers.clients import ALICE, MECHANISMS, Scram, answering, imap, imap_login, smtp, smtp_login

# The tests that use this server would fail with it.
pytestmark = pytest.mark.matrix

# Only where something hangs.
PATIENCE_SECONDS = 120


@pytest.mark.parametrize("security", ["none", "starttls", "tls"])
@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_good_smtp(zoo: CertificateZoo, security: str, mechanism: str) -> None:
    script = SmtpScript(tls=zoo.good.server_context(), auth_needed=True)
    with script.server(tls=security == "tls") as server, smtp(server.port, security, zoo) as client:
        assert client.mail(ALICE.address)[0] == 530
        assert smtp_login(client, mechanism, ALICE.address, "wrong") == 535
        assert smtp_login(client, mechanism, ALICE.address, ALICE.password) == 235
        assert not client.sendmail(ALICE.address, ["bob@example.com"], "Subject: Hello\r\n\r\nThere.\r\n")
    assert server.mechanisms == [mechanism] * 2
    first, second = server.logins
    assert (first.accepted, second.accepted, second.username) == (False, True, ALICE.address)
    assert second.encrypted == (security != "none")
    assert b"There." in server.received[0]


@pytest.mark.parametrize("security", ["none", "starttls", "tls"])
@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_good_imap(zoo: CertificateZoo, security: str, mechanism: str) -> None:
    script = ImapScript(tls=zoo.good.server_context())
    with script.server(tls=security == "tls") as server, imap(server.port, security, zoo) as client:
        assert "[AUTHENTICATIONFAILED]" in imap_login(client, mechanism, ALICE.address, "wrong")
        assert imap_login(client, mechanism, ALICE.address, ALICE.password) == "OK"
        assert client.select("INBOX", readonly=True) == ("OK", [b"0"])
        assert client.select("Nope")[0] == "NO"
        assert client.getquotaroot("INBOX")[1][1] == [b'"User quota" (STORAGE 1 10240)']
    assert server.mechanisms == [mechanism] * 2


def test_imap_login_command() -> None:
    with ImapScript(users={'"q\\': "p w"}).server() as server:
        with imaplib.IMAP4("localhost", server.port) as client:
            assert client.login('"\\"q\\\\"', "p w")[0] == "OK"
        with socket.create_connection(("localhost", server.port)) as sock:
            lines = sock.makefile("rwb")
            lines.readline()
            lines.write(b'a LOGIN {3+}\r\n"q\\ {3}\r\n')
            lines.flush()
            assert lines.readline().startswith(b"+")
            lines.write(b"p w\r\n")
            lines.flush()
            assert lines.readline() == b"a OK Logged in\r\n"
    assert server.mechanisms == [LOGIN_COMMAND] * 2


def test_the_server_proves_itself(zoo: CertificateZoo) -> None:
    for name, proven in (
        ("scram_one_iteration", True),
        ("scram_wrong_signature", False),
        ("scram_no_signature", False),
    ):
        with faults.SMTP[name].make(zoo) as server, smtp(server.port, "starttls", zoo) as client:
            answer = answering("SCRAM-SHA-256", ALICE.address, ALICE.password)
            code, text = client.docmd("AUTH", "SCRAM-SHA-256")
            while code == 334:
                code, text = client.docmd(base64.b64encode(answer(base64.b64decode(text))).decode())
            assert code == 235
            assert isinstance(answer, Scram)
            assert answer.proven == proven


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("scram_too_many_iterations", b"i=1000000000"),
        ("scram_wrong_nonce", b"r=quite-another-nonce,"),
        ("scram_short_nonce", b"r=0123456789abcdef,"),
        ("scram_error", b"e=other-error"),
    ],
)
def test_scram_faults(zoo: CertificateZoo, name: str, first: bytes) -> None:
    with faults.IMAP[name].make(zoo) as server, imap(server.port, "starttls", zoo) as client:
        heard: list[bytes] = []

        def answer(challenge: bytes) -> bytes | None:
            heard.append(challenge)
            return Scram(b"alice@example.com", b"x", "sha256")(b"") if len(heard) == 1 else None

        with pytest.raises(imaplib.IMAP4.error):
            client.authenticate("SCRAM-SHA-256", answer)  # type: ignore[arg-type]
    assert first in heard[1]


def test_challenges(zoo: CertificateZoo) -> None:
    with faults.SMTP["too_many_challenges"].make(zoo) as server:
        client = smtp(server.port, "starttls", zoo)
        assert [client.docmd("AUTH", "PLAIN AGEAYg==")[0], *(client.docmd("")[0] for _turn in range(3))] == [334] * 4
        assert client.docmd("AGEAYg==")[0] == 535
        client.close()
    with faults.SMTP["endless_challenges"].make(zoo) as server:
        client = smtp(server.port, "starttls", zoo)
        client.docmd("AUTH", "PLAIN")
        assert [client.docmd("AGEAYg==")[0] for _turn in range(50)] == [334] * 50
        client.close()
    with faults.SMTP["scram_not_base64"].make(zoo) as server:
        client = smtp(server.port, "starttls", zoo)
        assert client.docmd("AUTH", "SCRAM-SHA-256") == (334, b"!!!not base64!!!")
        client.close()
    assert server.mechanisms == ["SCRAM-SHA-256"]


# What a fault does to a client is what test_verdicts.py tells; here only what that cannot see.
@pytest.mark.parametrize("action", faults.ENDLESS)
@pytest.mark.parametrize("protocol", ["SMTP", "IMAP"])
def test_endless_fault_ends_when_its_server_is_closed(zoo: CertificateZoo, protocol: str, action: str) -> None:
    fault = getattr(faults, protocol)[f"greeting_{action}"]
    with fault.make(zoo) as server, socket.create_connection(("localhost", server.port)) as sock:
        sock.sendall({"SMTP": b"EHLO x\r\n", "IMAP": b"a CAPABILITY\r\n"}[protocol])
        server.close()
    assert not [thread for thread in threading.enumerate() if thread.name == f"peer {fault.name}"]


def _greeting(action: actions.Action, seconds: float = 1) -> tuple[bytes, str]:
    """What comes until nothing comes any more, and how it ends."""
    heard = b""
    try:
        with (
            SmtpScript({"greeting": action}).server() as server,
            socket.create_connection(("localhost", server.port), timeout=seconds) as sock,
        ):
            while data := sock.recv(65536):
                heard += data
                if len(heard) > 1_000_000:
                    return heard, "flood"
    except OSError as error:  # a reset may come before the connection is there
        return heard, type(error).__name__
    return heard, "end"


def test_actions() -> None:
    assert _greeting(actions.silent()) == (b"", "TimeoutError")
    assert _greeting(actions.hang_up()) == (b"", "end")
    assert _greeting(actions.reset()) == (b"", "ConnectionResetError")
    assert _greeting(actions.garbage()) == (actions.NOISE, "TimeoutError")
    assert _greeting(actions.reply("421 Busy")) == (b"421 Busy\r\n", "end")
    assert _greeting(actions.reply("220 Hello")) == (b"220 Hello\r\n", "TimeoutError")
    assert _greeting(actions.say("220-Wait")) == (b"220-Wait\r\n220 mail.example.com ESMTP\r\n", "TimeoutError")
    assert _greeting(actions.raw(b"\0", close=True)) == (b"\0", "end")
    assert _greeting(actions.endless_lines("220-Wait"))[1] == "flood"
    heard, end = _greeting(actions.flood("220-"))
    assert (heard[:10], end, b"\n" in heard) == (b"220-xxxxxx", "flood", False)


def test_slow_actions() -> None:
    started = time.monotonic()
    assert _greeting(actions.slow(0.2), 2) == (b"220 mail.example.com ESMTP\r\n", "TimeoutError")
    assert time.monotonic() - started > 2.2
    started = time.monotonic()
    assert _greeting(actions.drip("220 Hi\r\n", 0.02), 2) == (b"220 Hi\r\n", "TimeoutError")
    assert time.monotonic() - started > 2.1


def test_actions_that_count(zoo: CertificateZoo) -> None:
    for action, codes in (
        (actions.only_first(1, actions.reply("450 4.2.0 Later")), [450, 250, 250]),
        (actions.after(1, actions.reply("452 4.5.3 Too many recipients")), [250, 452, 452]),
    ):
        with SmtpScript({"rcpt": action}).server() as server, smtp(server.port, "none", zoo) as client:
            client.mail("alice@example.com")
            assert [client.rcpt("bob@example.com")[0] for _turn in range(3)] == codes


@pytest.mark.parametrize("name", texts.EXCHANGE)
def test_exchange_texts(zoo: CertificateZoo, name: str) -> None:
    with faults.SMTP[f"auth_end_exchange_{name}"].make(zoo) as server, smtp(server.port, "starttls", zoo) as client:
        code, text = client.docmd("AUTH", "PLAIN AGEAYg==")
        assert f"{code} {text.decode()}" == texts.EXCHANGE[name]
    assert server.mechanisms == ["PLAIN"]


@pytest.mark.parametrize(("protocol", "hello"), [("SMTP", b"STARTTLS\r\n"), ("IMAP", b"a STARTTLS\r\n")])
def test_injection_comes_in_one_piece(zoo: CertificateZoo, protocol: str, hello: bytes) -> None:
    fault = getattr(faults, protocol)["starttls_injection"]
    with fault.make(zoo) as server, socket.create_connection(("localhost", server.port), timeout=2) as sock:
        sock.recv(1000)
        sock.sendall(hello)
        assert sock.recv(1000).count(b"\r\n") == 2
        with zoo.trusting().wrap_socket(sock, server_hostname="localhost") as secured:
            secured.sendall(b"NOOP\r\n")
            assert secured.recv(1000)


def test_tls_where_it_is_not_expected(zoo: CertificateZoo) -> None:
    with faults.SMTP["plain_port_for_tls"].make(zoo) as server:
        plain = ScriptedServer(SmtpScript())
        with plain, pytest.raises(ssl.SSLError, match="WRONG_VERSION_NUMBER"):
            smtp(plain.port, "tls", zoo)
        assert not server.connections
    with faults.SMTP["tls_port_for_plain"].make(zoo) as server:
        with pytest.raises(TimeoutError), socket.create_connection(("localhost", server.port), timeout=0.2) as sock:
            sock.recv(100)
        with smtp(server.port, "tls", zoo) as client:
            assert client.noop()[0] == 250


def test_simultaneous_logins_are_counted() -> None:
    everybody, is_over = threading.Barrier(20, timeout=PATIENCE_SECONDS), threading.Event()

    def meet(_talk: Talk) -> bool:
        if not is_over.is_set():
            everybody.wait()
        return True

    with SmtpScript({"auth": meet}).server() as server:
        threads = [threading.Thread(target=_sign_in, args=(server.port,)) for _turn in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (server.connections, len(server.logins), server.most_logins) == (20, 20, 20)
        is_over.set()
        _sign_in(server.port)
        assert server.most_logins == 20
    assert all(login.ended for login in server.logins)


def _sign_in(port: int) -> None:
    with smtplib.SMTP("localhost", port) as client:
        client.login(ALICE.address, ALICE.password)


def test_an_error_in_a_script_is_raised_by_close() -> None:
    def broken(talk: Talk) -> None:
        raise LookupError("in the script")

    server = ScriptedServer(broken).start()
    with socket.create_connection(("localhost", server.port)) as sock:
        assert sock.recv(10) == b""
    with pytest.raises(LookupError):
        server.close()


def test_base64_of_sasl() -> None:
    assert sasl.decode("=") == b""
    for text in ("*", "%%%", "QQ"):
        with pytest.raises(sasl.BadResponse):
            sasl.decode(text)
