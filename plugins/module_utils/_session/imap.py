# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""A conversation over IMAP: the beginning by hand, so that each phase can be told, then IMAPClient."""

from __future__ import annotations

import ast
import imaplib
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from .._errors import MissingLibrary
from .._signin.mechanism import Mechanism
from .._signin.tokens import Token
from .._verdict.signal import Signal, Stopped, stop
from .._wire.stream import Stream
from .conversation import Conversation
from .redaction import Redaction

_BYTES = re.compile(r"b(['\"]).*\1\Z", re.DOTALL)
_COMMAND_ERROR = re.compile(r"\S+ command error: (\S+) \[(.*)\]\Z", re.DOTALL)
_FAILED = re.compile(r"\A\w+ failed: ")
_CODE = re.compile(r"\[([A-Z-]+)(?: [^\]]*)?\]", re.IGNORECASE)


class ImapSession(Conversation):
    """IMAP up to the point where a mailbox is open for reading."""

    _client: Any = None
    _connection: _Imap4 | None = None

    def sign_in(self, token: Token | None = None) -> None:
        with self.record.phase("auth"):
            if self._is_signed_in:
                raise stop("preauth", "the server has signed the client in by itself (PREAUTH)")
            mechanism = self._mechanism(token)
            with self._judged():
                self._client = self._make_client()
            if mechanism is None:
                self._log_in()
                return
            with self.signing_in(mechanism), self._judged():
                self._client.sasl_login(mechanism.name, _Conversation(mechanism))

    def select(self) -> dict[str, Any]:
        """Open the mailbox for reading only; what the server says of it."""
        client = self._signed_in()
        with self.record.phase("select"), self._judged():
            return dict(client.select_folder(self.endpoint.mailbox, readonly=True))

    def quota(self) -> tuple[int, int] | None:
        """How much of the storage is used, and how much there is, where the server tells."""
        client = self._signed_in()
        try:
            if not client.has_capability("QUOTA"):
                return None
            _root, quotas = client.get_quota_root(self.endpoint.mailbox)
        except (imaplib.IMAP4.error, ValueError, LookupError, TypeError, AttributeError, Stopped):
            return None
        for each in quotas:
            is_told = isinstance(each.usage, int) and isinstance(each.limit, int)
            if is_told and _as_text(each.resource).upper() == "STORAGE":
                return each.usage, each.limit
        return None

    def quit(self) -> None:
        with suppress(imaplib.IMAP4.error, ValueError, LookupError, TypeError, Stopped):
            if self._client is not None:
                self._client.logout()
            else:
                self._say("LOGOUT")
        self.close()

    @property
    def _offered(self) -> list[str]:
        return self.capabilities.get("after_tls") or self.capabilities.get("before_tls") or []

    def told(self) -> dict[str, Any]:
        return {"offered": sorted(self._ways_to_sign_in()) or "no way to sign in beyond the LOGIN command"}

    def _ways_to_sign_in(self) -> list[str]:
        return [name[5:] for name in self._offered if name.startswith("AUTH=")]

    def greet(self) -> None:
        self._tag = 0
        with self.greeting() as phase:
            self._welcome = self.first_line()
            text = _shortened(self.redact(_as_text(self._welcome)))
            phase.reply(None, _response_code(text), text)
            if not text.startswith("* "):
                raise Stopped(Signal("protocol", text=text))
            kind = text[2:].split(" ", 1)[0].upper()
            self._is_signed_in = kind == "PREAUTH"
            if kind == "BYE":
                raise _replied("BYE", text[2:])
            if kind not in ("OK", "PREAUTH"):
                raise Stopped(Signal("protocol", text=text))

    def ask_capabilities(self, when: str) -> None:
        with self.record.phase("capability"):
            lines = self._say("CAPABILITY")
            found = [line.split()[2:] for line in lines if line.upper().startswith("* CAPABILITY")]
            self.capabilities[when] = [name.upper() for names in found for name in names]

    def start_tls(self) -> bool:
        if "STARTTLS" not in self._offered and self.endpoint.security == "starttls_optional":
            return False
        with self.record.phase("starttls"):
            if self._is_signed_in:
                raise stop("preauth", "the server has signed the client in by itself (PREAUTH)")
            if "STARTTLS" not in self._offered:
                raise stop("starttls_missing", "the server does not offer STARTTLS")
            self._say("STARTTLS")
            self.capabilities.setdefault("before_tls", [])
        return True

    def _say(self, command: str) -> list[str]:
        """Send a command and read until its tagged reply; the untagged lines."""
        self._tag += 1
        tag = f"M{self._tag}"
        self.stream.sendall(f"{tag} {command}\r\n".encode("ascii"))
        lines: list[str] = []
        while True:
            line = _shortened(self.redact(_as_text(self.stream.readline())))
            if line.startswith(f"{tag} "):
                break
            if not line.startswith(("* ", "+")):
                raise Stopped(Signal("protocol", text=line))
            lines.append(line)
            if line.upper().startswith("* BYE"):
                raise _replied("BYE", line[2:])
        status, _space, text = line[len(tag) + 1 :].partition(" ")
        if status.upper() != "OK":
            raise _replied(status.upper(), text)
        return lines

    def _mechanism(self, token: Token | None) -> Mechanism | None:
        """The mechanism, or None for the LOGIN command, which needs no capability but can be disabled."""
        try:
            return self.mechanism(self._ways_to_sign_in(), token)
        except Stopped as stopped:
            if stopped.signal.kind != "no_mechanism":
                raise
            if "LOGINDISABLED" in self._offered:
                where = "over this connection" if self.is_encrypted else "without encryption"
                raise stop("login_disabled", f"the server lets nobody sign in {where} (LOGINDISABLED)") from None
            if token or "LOGIN" not in (self.endpoint.mechanisms or ("LOGIN",)):
                raise
            return None

    def _log_in(self) -> None:
        username, secret = self.endpoint.username, self.password()
        if not (username + secret.reveal()).isascii():
            raise stop("unfit_secret", "the only way to sign in that is offered cannot carry characters beyond ASCII")
        self.has_sent_credentials = True
        with self._judged():
            self._client.login(username, secret.reveal())

    def _make_client(self) -> Any:
        try:
            from imapclient import IMAPClient
        except ImportError as missing:
            raise MissingLibrary("imapclient", "to read mail over IMAP", str(missing)) from None
        self.stream.unread(self._welcome)
        connection = self._connection = _Imap4(self.stream)

        class Client(IMAPClient):  # type: ignore[misc, unused-ignore]
            """IMAPClient on a connection that is open already."""

            def _create_IMAP4(self) -> Any:  # noqa: N802  IMAPClient names it so
                return connection

            def _set_read_timeout(self) -> None:
                return

        return Client(self.endpoint.host, port=self.endpoint.port, ssl=False)

    def _judged(self) -> _Judged:
        return _Judged(self.redact, self._farewell)

    def _farewell(self) -> str:
        """What the server said when it ended the conversation by itself."""
        said = self._connection.untagged_responses.get("BYE") if self._connection else None
        return _as_text(said[-1]) if said else ""

    def _signed_in(self) -> Any:
        if self._client is None:
            raise stop("internal", "nobody has signed in")
        return self._client


class _Imap4(imaplib.IMAP4):
    """imaplib on a stream that is connected already."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        super().__init__("", 0)

    def open(self, host: str = "", port: int = 0, _timeout: float | None = None) -> None:
        self.host, self.port = host, port
        self.sock = self._stream  # type: ignore[assignment]
        self.file = self._stream  # type: ignore[assignment]

    def shutdown(self) -> None:
        self._stream.close()


class _Conversation:
    """A mechanism as imaplib wants it: asked first with an empty challenge."""

    def __init__(self, mechanism: Mechanism) -> None:
        self._mechanism = mechanism
        self._is_first = True

    def __call__(self, challenge: bytes) -> bytes:
        first = self._mechanism.first() if self._is_first else None
        self._is_first = False
        return first if first is not None else self._mechanism.answer(challenge)


class _Judged:
    """Turns the errors of imaplib and IMAPClient into observations."""

    def __init__(self, redact: Redaction, farewell: Callable[[], str]) -> None:
        self._redact = redact
        self._farewell = farewell

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if not isinstance(error, Exception) or isinstance(error, (OSError, MissingLibrary)):
            return
        farewell = _shortened(self._redact(self._farewell()))
        if isinstance(error, Stopped) and (not farewell or error.signal.kind not in ("closed", "reset")):
            return
        raise (_replied("BYE", farewell) if farewell else self._stopped(error)) from None

    def _stopped(self, error: Exception) -> Stopped:
        status, said = _said(error)
        text = _shortened(self._redact(said))
        if isinstance(error, imaplib.IMAP4.error) and not _is_abort(error):
            return _replied(status, text)
        # imaplib and IMAPClient raise all sorts of errors over replies that are malformed.
        return stop("protocol", text or "a malformed reply")


def _is_abort(error: BaseException | None) -> bool:
    """Whether the conversation broke off; IMAPClient hides that behind a failed sign-in."""
    return error is not None and (isinstance(error, imaplib.IMAP4.abort) or _is_abort(error.__context__))


def _said(error: Exception) -> tuple[str, str]:
    """The status and the server's words in an error, where they stand as the text of a bytes object."""
    text = error.args[0] if error.args else ""
    if not isinstance(text, str):
        return "NO", _as_text(text)
    found = _COMMAND_ERROR.match(text)
    status, said = (found.group(1), found.group(2)) if found else ("NO", _FAILED.sub("", text))
    return status, _as_text(ast.literal_eval(said) if _BYTES.match(said) else said)


def _response_code(text: str) -> str:
    found = _CODE.search(text)
    return f"[{found.group(1).upper()}]" if found else ""


def _replied(status: str, text: str) -> Stopped:
    return Stopped(Signal("reply", enhanced=_reply_code(status, text), text=text))


def _reply_code(status: str, text: str) -> str:
    return f"{status} {_response_code(text)}".strip()


def _as_text(data: Any) -> str:
    text = data.decode("utf-8", "replace") if isinstance(data, bytes) else str(data)
    return "".join(char if char.isprintable() else "?" for char in text.rstrip("\r\n"))


def _shortened(text: str) -> str:
    """What is kept of a server's words; secrets are taken out before, lest half of one stays."""
    return text[:2000]
