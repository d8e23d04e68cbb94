# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""A conversation over IMAP: greeting, capabilities and STARTTLS by hand, then IMAPClient (imap_client.py says why)."""

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
    client_on,
    reply_error,
    require_writable,
    response_code,
    translate_imap_errors,
    wait_for_mail,
)
from .session import MailSession
from .sign_in import SignIn

LAST_WORDS = 1.0
MOST_CANDIDATES = 20

_HEADER = b"BODY[HEADER]"
_FOLD = re.compile(r"\r?\n(?=[ \t])")
_MESSAGE_ID = re.compile(r"^Message-ID[ \t]*:[ \t]*([^\r\n]*?)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)


class ImapSession(MailSession):
    """IMAP: a mailbox is opened, and a message looked for in it."""

    endpoint: ImapSettings

    has_selected = False

    _offered: Sequence[str] = ()
    """What the server can do now; what it said before encryption does not count any more."""
    _shown_mechanisms: Sequence[str] = ()
    """The same of the mechanisms, without secrets. Nothing is decided by it."""
    _welcome = b""
    _is_signed_in = False
    _tag = 0
    _client: Any = None
    _supports_idle = True
    _reader: RecordingReader

    def negotiate(self) -> None:
        """Connect, encrypt as declared, and learn what the server can do."""
        self.negotiate_tls()
        if self.endpoint.security == "tls":
            self._read_greeting()
        if self.is_encrypted:
            self._ask_capabilities("after_tls")

    def negotiate_tls(self) -> None:
        """As far as the TLS handshake, or as it goes without one where none is declared or optional."""
        self.connection.connect()
        if self.endpoint.security == "tls":
            self.connection.start_tls()
            return
        self._read_greeting()
        self._ask_capabilities("before_tls")
        if self._ask_for_tls():
            self.connection.start_tls(is_upgrade=True)

    def sign_in(self, token: Token | None = None) -> None:
        with self.record.phase("auth"):
            if self._is_signed_in:
                raise probe_error("preauth", "the server has signed the client in by itself (PREAUTH)")
            sign_in = SignIn(self.endpoint, _mechanisms(self._offered), self.redact, is_encrypted=self.is_encrypted)
            mechanism = self._choose_mechanism(sign_in, token)
            self._client = self._make_client()
            if mechanism is None:
                self._log_in(sign_in)
                return
            mechanism.check()
            self.has_sent_credentials = True
            with sign_in.attempt(mechanism), self._translated_errors():
                self._client.sasl_login(mechanism.name, SaslResponder(mechanism))

    def select(self) -> dict[str, Any]:
        """Open the mailbox for reading only; what the server says of it."""
        client = self._signed_in()
        with self.record.phase("select"), self._translated_errors():
            said = dict(client.select_folder(self.endpoint.mailbox, readonly=True))
        self.has_selected = True
        return said

    def headers_of(self, message_id: str) -> dict[int, str]:
        """The headers of the messages with exactly this Message-ID, by UID; a server's search is not that exact."""
        client = self._signed_in()
        with self._translated_errors():
            found = client.search(f"HEADER Message-ID {_quoted(message_id)}")
            headers = {uid: self._header(uid) for uid in sorted(found)[-MOST_CANDIDATES:]}
        return {uid: header for uid, header in headers.items() if message_ids(header) == [message_id]}

    def await_mail(self, seconds: float, pause: float) -> bool:
        """Wait for new mail with IDLE, so long at most, or pause; whether there is time to look again."""
        client = self._signed_in()
        with self._translated_errors():
            if self._supports_idle and client.has_capability("IDLE"):
                self._supports_idle = wait_for_mail(self._reader, self._next_tag(), self.clock, seconds)
                return True
            if not self.clock.pause(pause):
                return False
            client.noop()
            return True

    def catch_up(self) -> None:
        """NOOP, so that mail is found that has come meanwhile: some servers search only what they have announced."""
        client = self._signed_in()
        with self._translated_errors():
            client.noop()

    def open_for_removal(self) -> None:
        """Open the mailbox so that messages in it can be removed."""
        client = self._signed_in()
        with self._translated_errors(), require_writable(self.endpoint.mailbox):
            client.select_folder(self.endpoint.mailbox)

    def remove(self, uids: Sequence[int]) -> None:
        """Remove these messages and no others, not even those that somebody else has marked."""
        client = self._signed_in()
        with self._translated_errors():
            client.delete_messages(uids, silent=True)
            if client.has_capability("UIDPLUS"):
                client.uid_expunge(uids)
                return
            if not set(client.search("DELETED")) <= set(uids):
                raise probe_error(
                    "not_removed",
                    "the message is only marked as deleted: others in the mailbox are marked too, and the server"
                    " cannot remove one alone",
                )
            client.expunge()

    def quota(self) -> tuple[int, int] | None:
        """How much of the storage is used, and how much there is, where the server tells."""
        client = self._signed_in()
        try:
            if not client.has_capability("QUOTA"):
                return None
            _root, quotas = client.get_quota_root(_quoted(_utf7(self.endpoint.mailbox)))
        except Exception:  # noqa: BLE001  the libraries raise anything over replies that are malformed
            return None
        for each in quotas:
            is_known = isinstance(each.usage, int) and isinstance(each.limit, int)
            if is_known and str(each.resource).upper() == "STORAGE":
                return each.usage, each.limit
        return None

    def quit(self) -> None:
        with suppress(Exception), self.clock.limit_step_timeout(LAST_WORDS):
            if self._client is not None:
                self._client.logout()
            else:
                self._say("LOGOUT")
        self.close()

    def advertised(self) -> dict[str, Any]:
        return {"offered": sorted(self._shown_mechanisms) or "no way to sign in beyond the LOGIN command"}

    def _read_greeting(self) -> None:
        with greeting_phase(self.endpoint, self.connection, self.record) as phase:
            self._welcome = read_first_line(self.connection.stream, "imap")
            text = self.redact(self._welcome)
            phase.set_reply(None, response_code(text), text)
            kind = _text(self._welcome)[2:].split(" ", 1)[0].upper() if self._welcome.startswith(b"* ") else ""
            self._is_signed_in = kind == "PREAUTH"
            if kind == "BYE":
                raise reply_error("BYE", text[2:])
            if kind not in ("OK", "PREAUTH"):
                raise ProbeError(Observation("protocol", text=text))

    def _ask_capabilities(self, when: str) -> None:
        with self.record.phase("capability"):
            lines = [line for line in self._say("CAPABILITY") if line.upper().startswith("* CAPABILITY")]
            self._offered = _capabilities(lines)
            shown = _capabilities(self.redact.lines(lines))
            self._shown_mechanisms = _mechanisms(shown)
            self.note_capabilities(when, shown)

    def _ask_for_tls(self) -> bool:
        """STARTTLS, where encryption is declared, or optional and offered; whether the handshake can begin."""
        security, is_offered = self.endpoint.security, "STARTTLS" in self._offered
        if security == "none" or (security == "starttls_optional" and not is_offered):
            return False
        with self.record.phase("starttls"):
            if self._is_signed_in:
                raise probe_error("preauth", "the server has signed the client in by itself (PREAUTH)")
            if not is_offered:
                raise probe_error("starttls_missing", "the server does not offer STARTTLS")
            self._say("STARTTLS")
        return True

    def _say(self, command: str) -> list[str]:
        """Send a command and read until its tagged reply; the untagged lines."""
        tag = self._next_tag()
        self.connection.stream.sendall(f"{tag} {command}\r\n".encode("ascii"))
        lines: list[str] = []
        while True:
            line = _text(self.connection.stream.readline())
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
        """A message's header, which is not read by that; nothing where the message is gone."""
        header = self._signed_in().fetch([uid], ["BODY.PEEK[HEADER]"]).get(uid, {}).get(_HEADER)
        return header.decode("utf-8", "replace") if isinstance(header, bytes) else ""

    def _choose_mechanism(self, sign_in: SignIn, token: Token | None) -> Mechanism | None:
        """The mechanism, or None for the LOGIN command, which needs no capability but can be disabled."""
        try:
            return sign_in.mechanism(token)
        except ProbeError as stopped:
            if stopped.observation.kind != "no_mechanism":
                raise
            if "LOGINDISABLED" in self._offered:
                kind: Kind = "login_disabled" if self.is_encrypted else "login_disabled_unencrypted"
                raise probe_error(kind, "the server lets nobody sign in over this connection (LOGINDISABLED)") from None
            if token or "LOGIN" not in (self.endpoint.mechanisms or ("LOGIN",)):
                raise
            return None

    def _log_in(self, sign_in: SignIn) -> None:
        """With the LOGIN command."""
        username, password = self.endpoint.username, sign_in.password().reveal()
        if not all(" " <= char <= "~" for char in username + password):
            raise probe_error(
                "unfit_secret",
                "the only way to sign in that is offered cannot carry line breaks, or characters beyond ASCII",
            )
        self.has_sent_credentials = True
        with sign_in.attempt(None), self._translated_errors():
            self._client.login(_quoted(username), password)

    def _make_client(self) -> Any:
        self.connection.stream.unread(self._welcome)
        self._reader = RecordingReader(self.connection.stream)
        with self._translated_errors():
            return client_on(self._reader, self.endpoint.host, self.endpoint.port)

    def _signed_in(self) -> Any:
        if self._client is None:
            raise probe_error("internal", "nobody has signed in")
        return self._client

    def _translated_errors(self) -> AbstractContextManager[None]:
        return translate_imap_errors(self._reader, self.redact)


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace").rstrip("\r\n")


def _capabilities(lines: Sequence[str]) -> list[str]:
    return [name.upper() for line in lines for name in line.split()[2:]]


def _mechanisms(capabilities: Sequence[str]) -> list[str]:
    return [name[5:] for name in capabilities if name.startswith("AUTH=")]


def message_ids(header: str) -> list[str]:
    """What a message's header says that its Message-ID is."""
    return _MESSAGE_ID.findall(_FOLD.sub("", header))


def _quoted(text: str) -> str:
    """A string of IMAP; imaplib quotes passwords only."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _utf7(mailbox: str) -> str:
    """A mailbox's name as it goes over the wire."""
    from imapclient.imap_utf7 import encode

    return str(encode(mailbox).decode("ascii"))
