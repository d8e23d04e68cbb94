# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""An IMAP session: our own greeting, capabilities and STARTTLS, then IMAPClient (imap_client.py says why)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from typing import Any

from .._auth.mechanism import Mechanism
from .._auth.tokens import Token
from .._connector.resolved import ImapSettings
from .._verdict.observation import Kind, Observation, ProbeError, probe_error
from .greeting import greeting_phase, read_first_line
from .imap_client import (
    RecordingReader,
    SaslResponder,
    create_client,
    reply_error,
    require_writable,
    response_code,
    translate_imap_errors,
    wait_for_mail,
)
from .session import MailSession
from .sign_in import SignIn

QUIT_TIMEOUT = 1.0
MOST_CANDIDATES = 20

_HEADER = b"BODY[HEADER]"
_FOLD = re.compile(r"\r?\n(?=[ \t])")
_MESSAGE_ID = re.compile(r"^Message-ID[ \t]*:[ \t]*([^\r\n]*?)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)


class ImapSession(MailSession):
    """An IMAP session, which opens a mailbox and searches messages in it."""

    endpoint: ImapSettings

    has_selected = False

    _offered: Sequence[str] = ()
    """The current capabilities; those from before STARTTLS are discarded."""
    _redacted_mechanisms: Sequence[str] = ()
    """The SASL mechanisms, redacted, for messages only."""
    _greeting = b""
    _is_signed_in = False
    _tag = 0
    _client: Any = None
    _supports_idle = True
    _reader: RecordingReader

    def negotiate(self) -> None:
        """Connect, negotiate TLS and read the capabilities."""
        self.negotiate_tls()
        if self.endpoint.security == "tls":
            self._read_greeting()
        if self.is_encrypted:
            self._ask_capabilities("after_tls")

    def negotiate_tls(self) -> None:
        """Connect and, unless security is none, negotiate TLS."""
        self.connection.connect()
        if self.endpoint.security == "tls":
            self.connection.start_tls()
            return
        self._read_greeting()
        self._ask_capabilities("before_tls")
        if self._request_starttls():
            self.connection.start_tls(is_upgrade=True)

    def sign_in(self, token: Token | None = None) -> None:
        with self.record.phase("auth"):
            if self._is_signed_in:
                raise probe_error("preauth", "the server signed the client in without credentials (PREAUTH)")
            sign_in = SignIn(
                self.endpoint, _sasl_mechanisms(self._offered), self.redact, is_encrypted=self.is_encrypted
            )
            mechanism = self._choose_mechanism(sign_in, token)
            self._client = self._create_client()
            if mechanism is None:
                self._log_in(sign_in)
                return
            mechanism.check()
            self.has_sent_credentials = True
            with sign_in.attempt(mechanism), self._translate_errors():
                self._client.sasl_login(mechanism.name, SaslResponder(mechanism))

    def select(self) -> dict[str, Any]:
        """Open the mailbox read-only; returns the server's data about it."""
        client = self._require_client()
        with self.record.phase("select"), self._translate_errors():
            status = dict(client.select_folder(self.endpoint.mailbox, readonly=True))
        self.has_selected = True
        return status

    def find_headers(self, message_id: str) -> dict[int, str]:
        """The headers of the messages with this Message-ID, by UID; servers also find longer ones."""
        client = self._require_client()
        with self._translate_errors():
            found = client.search(f"HEADER Message-ID {_quote(message_id)}")
            headers = {uid: self._header(uid) for uid in sorted(found)[-MOST_CANDIDATES:]}
        return {uid: header for uid, header in headers.items() if parse_message_ids(header) == [message_id]}

    def wait_for_new_mail(self, seconds: float, pause: float) -> bool:
        """Wait for new mail with IDLE for `seconds`, or sleep for `pause`; returns False if no time is left."""
        client = self._require_client()
        with self._translate_errors():
            if self._supports_idle and client.has_capability("IDLE"):
                self._supports_idle = wait_for_mail(self._reader, self._next_tag(), self.clock, seconds)
                return True
            if not self.clock.pause(pause):
                return False
            client.noop()
            return True

    def refresh_mailbox(self) -> None:
        """Send NOOP: some servers search only messages that they have announced."""
        client = self._require_client()
        with self._translate_errors():
            client.noop()

    def select_for_removal(self) -> None:
        """Open the mailbox for writing."""
        client = self._require_client()
        with self._translate_errors(), require_writable(self.endpoint.mailbox):
            client.select_folder(self.endpoint.mailbox)

    def remove(self, uids: Sequence[int]) -> None:
        """Remove these messages only, not others that are marked as deleted."""
        client = self._require_client()
        with self._translate_errors():
            client.delete_messages(uids, silent=True)
            if client.has_capability("UIDPLUS"):
                client.uid_expunge(uids)
                return
            if not set(client.search("DELETED")) <= set(uids):
                raise probe_error(
                    "not_removed",
                    "the message is marked as deleted but not removed: other messages are marked too, and the server"
                    " cannot remove a single one (no UIDPLUS)",
                )
            client.expunge()

    def quota(self) -> tuple[int, int] | None:
        """The used and the available storage, if the server supports QUOTA."""
        client = self._require_client()
        try:
            if not client.has_capability("QUOTA"):
                return None
            _root, quotas = client.get_quota_root(_quote(_encode_mailbox(self.endpoint.mailbox)))
        except Exception:  # noqa: BLE001  the libraries raise anything over malformed replies
            return None
        for each in quotas:
            is_known = isinstance(each.usage, int) and isinstance(each.limit, int)
            if is_known and str(each.resource).upper() == "STORAGE":
                return each.usage, each.limit
        return None

    def quit(self) -> None:
        with suppress(Exception), self.clock.limit_step_timeout(QUIT_TIMEOUT):
            if self._client is not None:
                self._client.logout()
            else:
                self._command("LOGOUT")
        self.close()

    def advertised(self) -> dict[str, Any]:
        return {"offered": sorted(self._redacted_mechanisms) or "no SASL mechanism, only the LOGIN command"}

    def _read_greeting(self) -> None:
        with greeting_phase(self.endpoint, self.connection, self.record) as phase:
            self._greeting = read_first_line(self.connection.stream, "imap")
            text = self.redact(self._greeting)
            phase.set_reply(None, response_code(text), text)
            kind = _decode_line(self._greeting)[2:].split(" ", 1)[0].upper() if self._greeting.startswith(b"* ") else ""
            self._is_signed_in = kind == "PREAUTH"
            if kind == "BYE":
                raise reply_error("BYE", text[2:])
            if kind not in ("OK", "PREAUTH"):
                raise ProbeError(Observation("protocol", text=text))

    def _ask_capabilities(self, when: str) -> None:
        with self.record.phase("capability"):
            lines = [line for line in self._command("CAPABILITY") if line.upper().startswith("* CAPABILITY")]
            self._offered = _parse_capabilities(lines)
            redacted = _parse_capabilities(self.redact.lines(lines))
            self._redacted_mechanisms = _sasl_mechanisms(redacted)
            self.record_capabilities(when, redacted)

    def _request_starttls(self) -> bool:
        """Send STARTTLS if it is required, or optional and offered; returns whether the TLS handshake follows."""
        security, is_offered = self.endpoint.security, "STARTTLS" in self._offered
        if security == "none" or (security == "starttls_optional" and not is_offered):
            return False
        with self.record.phase("starttls"):
            if self._is_signed_in:
                raise probe_error("preauth", "the server signed the client in without credentials (PREAUTH)")
            if not is_offered:
                raise probe_error("starttls_missing", "the server does not offer STARTTLS")
            self._command("STARTTLS")
        return True

    def _command(self, command: str) -> list[str]:
        """Send a command and read up to its tagged reply; returns the untagged lines."""
        tag = self._next_tag()
        self.connection.stream.sendall(f"{tag} {command}\r\n".encode("ascii"))
        lines: list[str] = []
        while True:
            line = _decode_line(self.connection.stream.readline())
            if line.startswith(f"{tag} "):
                break
            if not line.startswith(("* ", "+")):
                raise ProbeError(Observation("protocol", text=self.redact(line)))
            lines.append(line)
            if line.upper().startswith("* BYE"):
                raise reply_error("BYE", self.redact(line[2:]))
        status, _space, text = line[len(tag) + 1 :].partition(" ")
        if status.upper() in ("NO", "BAD"):
            raise reply_error(status.upper(), self.redact(text))
        if status.upper() != "OK":
            raise ProbeError(Observation("protocol", text=self.redact(line)))
        return lines

    def _next_tag(self) -> str:
        self._tag += 1
        return f"M{self._tag}"

    def _header(self, uid: int) -> str:
        """Fetch a message's header without marking it as read; empty if the message is gone."""
        header = self._require_client().fetch([uid], ["BODY.PEEK[HEADER]"]).get(uid, {}).get(_HEADER)
        return header.decode("utf-8", "replace") if isinstance(header, bytes) else ""

    def _choose_mechanism(self, sign_in: SignIn, token: Token | None) -> Mechanism | None:
        """The SASL mechanism, or None for the LOGIN command, which needs no capability but can be disabled."""
        try:
            return sign_in.mechanism(token)
        except ProbeError as error:
            if error.observation.kind != "no_mechanism":
                raise
            if "LOGINDISABLED" in self._offered:
                kind: Kind = "login_disabled" if self.is_encrypted else "login_disabled_unencrypted"
                raise probe_error(
                    kind, "the server does not allow a sign-in over this connection (LOGINDISABLED)"
                ) from None
            if token or "LOGIN" not in (self.endpoint.mechanisms or ("LOGIN",)):
                raise
            return None

    def _log_in(self, sign_in: SignIn) -> None:
        """Sign in with the LOGIN command."""
        username, password = self.endpoint.username, sign_in.password().reveal()
        if not all(" " <= char <= "~" for char in username + password):
            raise probe_error(
                "unfit_secret",
                "username or password has characters beyond printable ASCII, which the LOGIN command cannot carry",
            )
        self.has_sent_credentials = True
        with sign_in.attempt(None), self._translate_errors():
            self._client.login(_quote(username), password)

    def _create_client(self) -> Any:
        self.connection.stream.unread(self._greeting)
        self._reader = RecordingReader(self.connection.stream)
        with self._translate_errors():
            return create_client(self._reader, self.endpoint.host, self.endpoint.port)

    def _require_client(self) -> Any:
        if self._client is None:
            raise probe_error("internal", "the mailbox is used before the sign-in")
        return self._client

    def _translate_errors(self) -> AbstractContextManager[None]:
        return translate_imap_errors(self._reader, self.redact)


def _decode_line(line: bytes) -> str:
    return line.decode("utf-8", "replace").rstrip("\r\n")


def _parse_capabilities(lines: Sequence[str]) -> list[str]:
    return [name.upper() for line in lines for name in line.split()[2:]]


def _sasl_mechanisms(capabilities: Sequence[str]) -> list[str]:
    return [name[5:] for name in capabilities if name.startswith("AUTH=")]


def parse_message_ids(header: str) -> list[str]:
    """The values of the Message-ID fields of a header."""
    return _MESSAGE_ID.findall(_FOLD.sub("", header))


def _quote(text: str) -> str:
    """Quote an IMAP string; imaplib quotes passwords only."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _encode_mailbox(mailbox: str) -> str:
    """Encode a mailbox name in modified UTF-7."""
    from imapclient.imap_utf7 import encode

    return str(encode(mailbox).decode("ascii"))
