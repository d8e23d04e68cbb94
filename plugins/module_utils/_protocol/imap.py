# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""A conversation over IMAP: the beginning by hand, so that each phase can be told, then IMAPClient."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from typing import Any

from .._auth.mechanism import Mechanism
from .._auth.tokens import Token
from .._connector.resolved import ImapSettings
from .._verdict.observation import Kind, Observation, ProbeError, probe_error
from .conversation import Conversation
from .imap_client import Asked, RecordingReader, client_on, judged, listen, may_change, replied, response_code

LAST_WORDS = 1.0
MOST_CANDIDATES = 20

_HEADER = b"BODY[HEADER]"
_FOLD = re.compile(r"\r?\n(?=[ \t])")
_MESSAGE_ID = re.compile(r"^Message-ID[ \t]*:[ \t]*([^\r\n]*?)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)


class ImapSession(Conversation):
    """IMAP: a mailbox is opened, and a message looked for in it."""

    endpoint: ImapSettings

    has_selected = False

    _offered: Sequence[str] = ()
    """What the server can do now; what it said before encryption does not count any more."""
    _shown_ways: Sequence[str] = ()
    """How one can sign in, without secrets. Nothing is decided by it."""
    _client: Any = None
    _hears_idle = True
    _heard: RecordingReader

    def sign_in(self, token: Token | None = None) -> None:
        with self.record.phase("auth"):
            if self._is_signed_in:
                raise probe_error("preauth", "the server has signed the client in by itself (PREAUTH)")
            mechanism = self._mechanism(token)
            self._client = self._make_client()
            if mechanism is None:
                self._log_in()
                return
            with self.signing_in(mechanism), self._judged():
                self._client.sasl_login(mechanism.name, Asked(mechanism))

    def select(self) -> dict[str, Any]:
        """Open the mailbox for reading only; what the server says of it."""
        client = self._signed_in()
        with self.record.phase("select"), self._judged():
            said = dict(client.select_folder(self.endpoint.mailbox, readonly=True))
        self.has_selected = True
        return said

    def headers_of(self, message_id: str) -> dict[int, str]:
        """The headers of the messages with exactly this Message-ID, by UID; a server's search is not that exact."""
        client = self._signed_in()
        with self._judged():
            found = client.search(f"HEADER Message-ID {_quoted(message_id)}")
            headers = {uid: self._header(uid) for uid in sorted(found)[-MOST_CANDIDATES:]}
        return {uid: header for uid, header in headers.items() if message_ids(header) == [message_id]}

    def await_mail(self, seconds: float, pause: float) -> bool:
        """Let the server tell of new mail, so long at most, or wait; whether there is time to look again."""
        client = self._signed_in()
        with self._judged():
            if self._hears_idle and client.has_capability("IDLE"):
                self._hears_idle = listen(self._heard, self._next_tag(), self.clock, seconds)
                return True
            if not self.clock.pause(pause):
                return False
            client.noop()
            return True

    def catch_up(self) -> None:
        """Let the server take in what has come since the mailbox was opened: some search only what they had told of."""
        client = self._signed_in()
        with self._judged():
            client.noop()

    def open_for_removal(self) -> None:
        """Open the mailbox so that messages in it can be removed."""
        client = self._signed_in()
        with self._judged(), may_change(self.endpoint.mailbox):
            client.select_folder(self.endpoint.mailbox)

    def remove(self, uids: Sequence[int]) -> None:
        """Remove these messages and no others, not even those that somebody else has marked."""
        client = self._signed_in()
        with self._judged():
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
            is_told = isinstance(each.usage, int) and isinstance(each.limit, int)
            if is_told and str(each.resource).upper() == "STORAGE":
                return each.usage, each.limit
        return None

    def quit(self) -> None:
        with suppress(Exception), self.clock.hurried(LAST_WORDS):
            if self._client is not None:
                self._client.logout()
            else:
                self._say("LOGOUT")
        self.close()

    def told(self) -> dict[str, Any]:
        return {"offered": sorted(self._shown_ways) or "no way to sign in beyond the LOGIN command"}

    def greet(self) -> None:
        self._tag = 0
        with self.greeting() as phase:
            self._welcome = self.first_line()
            text = self.redact(self._welcome)
            phase.reply(None, response_code(text), text)
            kind = _text(self._welcome)[2:].split(" ", 1)[0].upper() if self._welcome.startswith(b"* ") else ""
            self._is_signed_in = kind == "PREAUTH"
            if kind == "BYE":
                raise replied("BYE", text[2:])
            if kind not in ("OK", "PREAUTH"):
                raise ProbeError(Observation("protocol", text=text))

    def ask_capabilities(self, when: str) -> None:
        with self.record.phase("capability"):
            lines = [line for line in self._say("CAPABILITY") if line.upper().startswith("* CAPABILITY")]
            self._offered = _capabilities(lines)
            shown = _capabilities(self.redact.lines(lines))
            self._shown_ways = _ways_to_sign_in(shown)
            self.note_capabilities(when, shown)

    def start_tls(self) -> bool:
        if "STARTTLS" not in self._offered and self.endpoint.security == "starttls_optional":
            return False
        with self.record.phase("starttls"):
            if self._is_signed_in:
                raise probe_error("preauth", "the server has signed the client in by itself (PREAUTH)")
            if "STARTTLS" not in self._offered:
                raise probe_error("starttls_missing", "the server does not offer STARTTLS")
            self._say("STARTTLS")
            self.capabilities.setdefault("before_tls", [])
        return True

    def _say(self, command: str) -> list[str]:
        """Send a command and read until its tagged reply; the untagged lines."""
        tag = self._next_tag()
        self.stream.sendall(f"{tag} {command}\r\n".encode("ascii"))
        lines: list[str] = []
        while True:
            line = _text(self.stream.readline())
            if line.startswith(f"{tag} "):
                break
            if not line.startswith(("* ", "+")):
                raise ProbeError(Observation("protocol", text=self.redact(line)))
            lines.append(line)
            if line.upper().startswith("* BYE"):
                raise replied("BYE", self.redact(line[2:]))
        status, _space, text = line[len(tag) + 1 :].partition(" ")
        if status.upper() in ("NO", "BAD"):
            raise replied(status.upper(), self.redact(text))
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

    def _mechanism(self, token: Token | None) -> Mechanism | None:
        """The mechanism, or None for the LOGIN command, which needs no capability but can be disabled."""
        try:
            return self.mechanism(_ways_to_sign_in(self._offered), token)
        except ProbeError as stopped:
            if stopped.observation.kind != "no_mechanism":
                raise
            if "LOGINDISABLED" in self._offered:
                kind: Kind = "login_disabled" if self.is_encrypted else "login_disabled_unencrypted"
                raise probe_error(kind, "the server lets nobody sign in over this connection (LOGINDISABLED)") from None
            if token or "LOGIN" not in (self.endpoint.mechanisms or ("LOGIN",)):
                raise
            return None

    def _log_in(self) -> None:
        username, password = self.endpoint.username, self.password().reveal()
        if not all(" " <= char <= "~" for char in username + password):
            raise probe_error(
                "unfit_secret",
                "the only way to sign in that is offered cannot carry line breaks, or characters beyond ASCII",
            )
        with self.signing_in(), self._judged():
            self._client.login(_quoted(username), password)

    def _make_client(self) -> Any:
        self.stream.unread(self._welcome)
        self._heard = RecordingReader(self.stream)
        with self._judged():
            return client_on(self._heard, self.endpoint.host, self.endpoint.port)

    def _signed_in(self) -> Any:
        if self._client is None:
            raise probe_error("internal", "nobody has signed in")
        return self._client

    def _judged(self) -> AbstractContextManager[None]:
        return judged(self._heard, self.redact)


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace").rstrip("\r\n")


def _capabilities(lines: Sequence[str]) -> list[str]:
    return [name.upper() for line in lines for name in line.split()[2:]]


def _ways_to_sign_in(capabilities: Sequence[str]) -> list[str]:
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
