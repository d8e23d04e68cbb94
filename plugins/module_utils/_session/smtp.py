# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""A conversation over SMTP, on top of smtplib's reading of replies."""

from __future__ import annotations

import base64
import binascii
import re
import smtplib
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Any, NamedTuple

from .._signin.mechanism import Mechanism
from .._signin.tokens import Token
from .._verdict.signal import Signal, Stopped, stop
from .._wire.record import Phase
from .conversation import Conversation

_ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?:\s|$)")
_KNOWS_NO_EHLO = (500, 502)
_A_REPLY = re.compile(rb"\d{3}[ -]|\d{3}\r?\n")
_MOST_CHALLENGES = 5
_LONGEST_COMMAND = 500


class Reply(NamedTuple):
    """What the server answers to a command."""

    code: int
    enhanced: str
    text: str

    @property
    def is_ok(self) -> bool:
        return 200 <= self.code < 300


class SmtpSession(Conversation):
    """SMTP up to the point where a message could be handed over."""

    _features: Mapping[str, str] = MappingProxyType({})

    def sign_in(self, token: Token | None = None) -> None:
        with self.record.phase("auth") as phase:
            mechanism = self.mechanism(self._offered, token)
            with self.signing_in(mechanism):
                self._authenticate(mechanism, phase)

    @property
    def _offered(self) -> list[str]:
        return self._features.get("auth", "").upper().split()

    def told(self) -> dict[str, Any]:
        limit = self._features.get("size", "")
        return {
            "offered": sorted(self._offered) or "no way to sign in",
            "size_limit": f"{limit} octets" if limit else "which it does not tell",
        }

    def envelope(self, sender: str, recipients: Sequence[str], size: int = 0) -> None:
        """Name sender and recipients, then take it all back: no mail is sent."""
        with self.record.phase("sender") as phase:
            self._expect_ok(phase, f"MAIL FROM:<{sender}>{self._mail_options((sender, *recipients), size)}")
        with self.record.phase("recipient") as phase:
            for recipient in recipients:
                self._expect_ok(phase, f"RCPT TO:<{recipient}>")
        self.reset()

    def reset(self) -> None:
        """Take the envelope back; the server has judged it already, so trouble here changes nothing."""
        with suppress(Stopped):
            self._command("RSET")

    def quit(self) -> None:
        with suppress(Stopped):
            self._command("QUIT")
        self.close()

    def greet(self) -> None:
        self._smtp = smtplib.SMTP(local_hostname=self._own_name())
        self._smtp.sock = self.stream  # type: ignore[assignment]
        self._whole_reply = ""
        with self.greeting() as phase:
            line = self.first_line()
            if not _A_REPLY.match(line):
                raise Stopped(Signal("protocol", text=_printable(self.redact(line.decode("utf-8", "replace").strip()))))
            self.stream.unread(line)
            reply = self._note(phase, self._reply())
            if not reply.is_ok:
                raise _stopped(reply)

    def ask_capabilities(self, when: str) -> None:
        with self.record.phase("ehlo") as phase:
            reply = self._note(phase, self._command(f"EHLO {self._smtp.local_hostname}"))
            if reply.code in _KNOWS_NO_EHLO:
                reply = self._note(phase, self._command(f"HELO {self._smtp.local_hostname}"))
                if not reply.is_ok:
                    raise _stopped(reply)
                self._features = {}
            elif not reply.is_ok:
                raise _stopped(reply)
            else:
                self._features = _features(self._whole_reply)
            self.capabilities[when] = [f"{name} {rest}".strip().upper() for name, rest in self._features.items()]

    def start_tls(self) -> bool:
        if "starttls" not in self._features and self.endpoint.security == "starttls_optional":
            return False
        with self.record.phase("starttls") as phase:
            if "starttls" not in self._features:
                raise stop("starttls_missing", "the server does not offer STARTTLS")
            reply = self._note(phase, self._command("STARTTLS"))
            if reply.code != 220:
                raise _stopped(reply)
            self._features = {}
        return True

    def _authenticate(self, mechanism: Mechanism, phase: Phase) -> None:
        first = mechanism.first()
        command = f"AUTH {mechanism.name}"
        encoded = _encoded(first) if first is not None else ""
        unasked = first is not None and len(command) + len(encoded) < _LONGEST_COMMAND
        reply = self._command(f"{command} {encoded}" if unasked else command)
        answered_first = unasked or first is None
        for _round in range(_MOST_CHALLENGES):
            if reply.code != 334:
                break
            answer = mechanism.answer(_decoded(reply.text)) if answered_first else first
            answered_first = True
            reply = self._command(_encoded(answer or b""))
        self._note(phase, reply)
        if reply.code == 334:
            raise stop("protocol", "more challenges than the mechanism has")
        if reply.code < 400 and reply.code != 235:
            raise stop("protocol", f"a reply that is no answer to a sign-in ({reply.code})")
        if reply.code != 235:
            raise _stopped(reply)

    def _mail_options(self, addresses: Sequence[str], size: int) -> str:
        options = f" SIZE={size}" if size and "size" in self._features else ""
        if all(address.isascii() for address in addresses):
            return options
        if "smtputf8" not in self._features:
            raise stop("config", "an address that is not ASCII, and the server does not offer SMTPUTF8")
        return f"{options} SMTPUTF8"

    def _expect_ok(self, phase: Phase, command: str) -> None:
        reply = self._note(phase, self._command(command))
        if not reply.is_ok:
            raise _stopped(reply)

    def _command(self, command: str) -> Reply:
        self.stream.sendall(f"{command}\r\n".encode())
        return self._reply()

    def _reply(self) -> Reply:
        try:
            code, message = self._smtp.getreply()
        except smtplib.SMTPException as error:
            raise stop("protocol", str(error)[:200]) from None
        text = self.redact(message.decode("utf-8", "replace"))
        if not 200 <= code <= 599:
            raise Stopped(Signal("protocol", text=_printable(text) or "a reply without a code"))
        self._whole_reply = text
        enhanced = _ENHANCED.match(text)
        return Reply(code, enhanced.group(1) if enhanced else "", _printable(text))

    def _note(self, phase: Phase, reply: Reply) -> Reply:
        phase.reply(reply.code, reply.enhanced, reply.text)
        return reply

    def _own_name(self) -> str:
        """What to call oneself: a full name, else the address, as RFC 5321 wants it; never a look-up."""
        name = self.endpoint.ehlo_name or socket.gethostname()
        if "." in name:
            return name
        address = str(self.stream.socket.getsockname()[0]).partition("%")[0]
        return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


def _features(text: str) -> dict[str, str]:
    """The capabilities of an EHLO reply, whose first line is the server's name."""
    features: dict[str, str] = {}
    for line in text.split("\n")[1:]:
        name, _space, rest = line.strip().partition(" ")
        if name.upper().startswith("AUTH="):
            name, rest = "AUTH", f"{name[5:]} {rest}"
        features[name.lower()] = f"{features.get(name.lower(), '')} {rest}".strip()
    return features


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise stop("protocol", "a challenge that is not base64") from None


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() or char == "\n" else "?" for char in text)[:2000]


def _stopped(reply: Reply) -> Stopped:
    return Stopped(Signal("reply", code=reply.code, enhanced=reply.enhanced, text=reply.text))
