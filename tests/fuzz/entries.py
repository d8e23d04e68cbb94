# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is fuzzed: bytes in, and either a verdict or an error of ours. Hypothesis and atheris both call these."""

from __future__ import annotations

import contextlib
import json
import typing as t

from peers.connectors import job as connector_job

from ansible_collections.mailroom.core.plugins.module_utils._auth.passwords import (
    BY_PREFERENCE,
    ONLY_IF_LISTED,
)
from ansible_collections.mailroom.core.plugins.module_utils._check.credentials import RejectedCredentials
from ansible_collections.mailroom.core.plugins.module_utils._check.endpoint import EndpointCheck
from ansible_collections.mailroom.core.plugins.module_utils._check.imap import ImapCheck
from ansible_collections.mailroom.core.plugins.module_utils._check.interface import Bounds, CheckContext
from ansible_collections.mailroom.core.plugins.module_utils._check.result import Result
from ansible_collections.mailroom.core.plugins.module_utils._check.smtp import SmtpCheck
from ansible_collections.mailroom.core.plugins.module_utils._connector.redaction import Redaction
from ansible_collections.mailroom.core.plugins.module_utils._connector.resolved import Proxy, TlsTrust
from ansible_collections.mailroom.core.plugins.module_utils._connector.secret import Secret
from ansible_collections.mailroom.core.plugins.module_utils._net.clock import Clock
from ansible_collections.mailroom.core.plugins.module_utils._net.connection import Connection, Target
from ansible_collections.mailroom.core.plugins.module_utils._net.proxy import tunnel_through_proxy
from ansible_collections.mailroom.core.plugins.module_utils._net.record import Record
from ansible_collections.mailroom.core.plugins.module_utils._net.stream import Stream
from ansible_collections.mailroom.core.plugins.module_utils._protocol.session import Session
from ansible_collections.mailroom.core.plugins.module_utils._verdict.diagnosis import diagnose
from ansible_collections.mailroom.core.plugins.module_utils._verdict.observation import ProbeError

BETWEEN = b"\xff\x00"
"""Ends what the server says at once; the next part comes when the client has said something."""
TAG = b"{tag}"
"""Becomes the tag of the IMAP command that is answered."""
PASSWORD = "hunter2-not-to-be-seen"
ALL_MECHANISMS = tuple(each.name for each in (*BY_PREFERENCE, *ONLY_IF_LISTED))


class ScriptedSocket:
    """A socket whose other end says one part after each line that it hears, then closes."""

    def __init__(self, data: bytes, largest_piece: int = 16 * 1024) -> None:
        self._parts = data.split(BETWEEN)
        self._pending = bytearray(self._parts.pop(0))
        self._largest_piece = largest_piece
        self._heard = bytearray()
        self._tag = b""

    def sendall(self, data: bytes) -> None:
        self._heard += data
        if not self._heard.endswith(b"\n"):
            return
        first, space, _rest = bytes(self._heard).partition(b" ")
        self._tag = first if space else self._tag
        self._heard.clear()
        if self._parts:
            self._pending += self._parts.pop(0).replace(TAG, self._tag)

    def recv(self, size: int) -> bytes:
        piece = bytes(self._pending[: min(size, self._largest_piece)])
        del self._pending[: len(piece)]
        return piece

    def settimeout(self, _seconds: float | None) -> None:
        """There is nothing to wait for."""

    def getsockname(self) -> tuple[str, int]:
        return ("192.0.2.1", 40000)

    def close(self) -> None:
        """There is nothing to close."""


def stream_of(data: bytes, largest_piece: int = 16 * 1024) -> Stream:
    """A stream that reads what a scripted socket says."""
    return Stream(t.cast("t.Any", ScriptedSocket(data, largest_piece)), Clock(5, 5))


def connected_to(socket: t.Any, clock: Clock, record: Record | None = None) -> Connection:
    """A connection that talks to this socket, for which encryption always succeeds."""

    class Scripted(Connection):
        def connect(self) -> None:
            self._stream = Stream(socket, self._clock)

        def start_tls(self, **_how: bool) -> None:
            with self._record.phase("tls"):
                self.tls = {"version": "TLSv1.3"}
                self.is_encrypted = True

    return Scripted(Target("mail.example.com", 25, TlsTrust()), clock, Redaction(), record)


def scripted(session_type: type[Session], data: bytes) -> type[Session]:
    """The session, connected to the script."""

    class Scripted(session_type):  # type: ignore[misc,valid-type]
        def __init__(self, endpoint: t.Any, clock: Clock, record: Record, redact: Redaction) -> None:
            connection = connected_to(ScriptedSocket(data), clock, record)
            super().__init__(endpoint, clock, record, redact, connection)

    return Scripted


def _probed(check_type: type[EndpointCheck], server: dict[str, t.Any], data: bytes) -> Result:
    protocol = "smtp" if check_type is SmtpCheck else "imap"
    defaults = {
        "host": "mail.example.com",
        "port": 587,
        "security": "starttls_optional",
        "validate_certs": True,
        "auth": "password",
        "username": "ann@example.com",
        "ehlo_name": "client.example.com",
    }
    addresses = {"from_address": "ann@example.com", "test_address": "bob@example.com"}
    effective = {**addresses, protocol: {**defaults, **server}}
    job = connector_job("fuzzed", effective, {f"{protocol}.password": Secret(PASSWORD)})
    context = CheckContext.of(job, Bounds(depth="envelope", timeout=5, deadline=5), RejectedCredentials())
    check = check_type(context, job.endpoints()[0])
    check.session_type = scripted(check.session_type, data)
    result = Result("fuzzed", "envelope")
    result.endpoints += check.run()
    return result


def verdict_of(result: Result) -> str:
    """The verdict; whatever a server says, it is never our fault and never gives a secret away."""
    shown = json.dumps(result.to_dict())
    if PASSWORD in shown:
        raise AssertionError("the password is in the result")
    verdict = result.diagnosis().verdict
    if verdict == "internal_error":
        raise AssertionError(f"an internal error: {result.diagnosis()}")
    return verdict


def smtp_conversation(data: bytes, mechanisms: tuple[str, ...] = ()) -> str:
    """A whole SMTP test, up to the envelope."""
    return verdict_of(_probed(SmtpCheck, {"security": "none", "mechanisms": mechanisms}, data))


def smtp_starttls(data: bytes) -> str:
    """A whole SMTP test that begins with STARTTLS, any mechanism allowed."""
    return verdict_of(_probed(SmtpCheck, {"mechanisms": ALL_MECHANISMS, "relay": True}, data))


def imap_conversation(data: bytes, mechanisms: tuple[str, ...] = ()) -> str:
    """A whole IMAP test, up to the quota."""
    return verdict_of(_probed(ImapCheck, {"security": "none", "mechanisms": mechanisms}, data))


def imap_starttls(data: bytes) -> str:
    """A whole IMAP test that begins with STARTTLS, any mechanism allowed."""
    return verdict_of(_probed(ImapCheck, {"mechanisms": ALL_MECHANISMS}, data))


def challenges(data: bytes) -> None:
    """Every mechanism, answering the parts as challenges."""
    for mechanism in (*BY_PREFERENCE, *ONLY_IF_LISTED):
        with contextlib.suppress(ProbeError):
            conversation = mechanism("ann", Secret(PASSWORD))
            conversation.initial_response()
            for challenge in data.split(BETWEEN):
                conversation.respond(challenge)
            conversation.verify_server()


def proxies(data: bytes) -> None:
    """Both kinds of proxy."""
    for scheme in ("socks5", "http"):
        for username in ("", "ann"):
            proxy = Proxy(scheme, "proxy.example.com", 1080, username, Secret(PASSWORD))
            try:
                tunnel_through_proxy(stream_of(data), proxy, "mail.example.com", 25)
            except ProbeError as stopped:
                diagnose(stopped.observation)


TARGETS: dict[str, t.Callable[[bytes], object]] = {
    "smtp": smtp_conversation,
    "smtp_starttls": smtp_starttls,
    "imap": imap_conversation,
    "imap_starttls": imap_starttls,
    "challenges": challenges,
    "proxies": proxies,
}

SMTP_WORDS = (
    b"220 mail.example.com ESMTP\r\n",
    b"250-mail.example.com\r\n250-SIZE 1000\r\n250-STARTTLS\r\n250-SMTPUTF8\r\n250 AUTH PLAIN LOGIN CRAM-MD5\r\n",
    b"250-mail.example.com\r\n250-AUTH=LOGIN\r\n250 AUTH SCRAM-SHA-256 SCRAM-SHA-1\r\n",
    b"334 \r\n",
    b"334 VXNlcm5hbWU6\r\n",
    b"334 " + b"cj1hYmMscz1hYWFhLGk9NDA5Ng==\r\n",
    b"235 2.7.0 Ok\r\n",
    b"250 2.1.0 Ok\r\n",
    b"221 2.0.0 Bye\r\n",
    b"454 4.7.0 Later\r\n",
    b"535 5.7.8 " + PASSWORD.encode() + b"\r\n",
    b"550-5.1.1 no such {user}\r\n550 5.1.1 \xff\xfe\r\n",
    b"-1\r\n",
    b"999 What\r\n",
    b"\r\n",
)
IMAP_WORDS = (
    b"* OK IMAP4rev1 ready\r\n",
    b"* PREAUTH hello\r\n",
    b"* BYE [UNAVAILABLE] later\r\n",
    b"* CAPABILITY IMAP4rev1 SASL-IR STARTTLS QUOTA AUTH=PLAIN AUTH=LOGIN\r\n",
    b"* CAPABILITY IMAP4rev1 AUTH=SCRAM-SHA-256 AUTH=CRAM-MD5\r\n",
    b"* CAPABILITY IMAP4rev1 LOGINDISABLED\r\n",
    b"* CAPABILITY IMAP4rev1 QUOTA\r\n",
    b"{tag} OK done\r\n",
    b"{tag} OK [CAPABILITY IMAP4rev1 QUOTA] in\r\n",
    b"{tag} NO [AUTHENTICATIONFAILED] no " + PASSWORD.encode() + b"\r\n",
    b"{tag} BAD what\r\n",
    b"M1 OK done\r\n",
    b"+ \r\n",
    b"+ VXNlcm5hbWU6\r\n",
    b"+ a\r\n",
    b"* FLAGS (\\Seen)\r\n* 3 EXISTS\r\n* OK [UIDVALIDITY 1] ok\r\n* OK [PERMANENTFLAGS ()] ok\r\n",
    b'* QUOTAROOT INBOX ""\r\n* QUOTA "" (STORAGE 10 512)\r\n',
    b"* QUOTA ((((\r\n",
    b"* OK [UIDVALIDITY x] \r\n",
    b"* 99999999999999999999 EXISTS\r\n",
    b"* LIST {5}\r\nabcde\r\n",
    b"* LIST {99999999999}\r\n",
    b"* \r\n",
    b"\r\n",
)
_IMAP_CAPABILITIES = IMAP_WORDS[3] + IMAP_WORDS[7]
_ONLY_LOGIN = IMAP_WORDS[6] + IMAP_WORDS[7]
_SELECTED = IMAP_WORDS[15] + IMAP_WORDS[7]
_QUOTA = IMAP_WORDS[16] + IMAP_WORDS[7]
GOOD_SMTP = (
    (SMTP_WORDS[0], SMTP_WORDS[1], SMTP_WORDS[6], *[SMTP_WORDS[7]] * 3, SMTP_WORDS[8]),
    (SMTP_WORDS[0], SMTP_WORDS[1], SMTP_WORDS[0], SMTP_WORDS[1], SMTP_WORDS[6], *[SMTP_WORDS[7]] * 6),
    (SMTP_WORDS[0], SMTP_WORDS[2], SMTP_WORDS[5], SMTP_WORDS[6]),
)
GOOD_IMAP = (
    (
        *(IMAP_WORDS[0], _IMAP_CAPABILITIES, _IMAP_CAPABILITIES, b"+ \r\n", IMAP_WORDS[7], _SELECTED),
        *(_IMAP_CAPABILITIES, _QUOTA, IMAP_WORDS[7]),
    ),
    (IMAP_WORDS[0], _ONLY_LOGIN, _ONLY_LOGIN, IMAP_WORDS[7], _SELECTED, _ONLY_LOGIN, _QUOTA),
    (
        *(IMAP_WORDS[0], _IMAP_CAPABILITIES, IMAP_WORDS[7], _IMAP_CAPABILITIES, _IMAP_CAPABILITIES, b"+ \r\n"),
        *(IMAP_WORDS[7], _SELECTED, _IMAP_CAPABILITIES, _QUOTA),
    ),
)
LOGGED_IN_IMAP = BETWEEN.join(GOOD_IMAP[0][:5])
