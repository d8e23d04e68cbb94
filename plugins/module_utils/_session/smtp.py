# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""A conversation over SMTP."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Any, NamedTuple

from .._signin.mechanism import Mechanism
from .._signin.tokens import Token
from .._verdict.signal import Signal, Stopped, stop
from .._wire.dial import ascii_host
from .._wire.record import Phase
from .._wire.words import LONGEST, printable
from .conversation import Conversation

LAST_WORDS = 1.0

_REPLY_LINE = re.compile(rb"(\d{3})(?:([ -])(.*?))?\r?\n", re.DOTALL)
_ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?:\s|$)")
_KNOWS_NO_EHLO = (500, 502)
_MOST_CHALLENGES = 5
_LONGEST_COMMAND = 500
_MOST_SHOWN = 50


class Reply(NamedTuple):
    """What the server answers to a command, word for word."""

    code: int
    lines: tuple[str, ...]

    @property
    def is_ok(self) -> bool:
        return 200 <= self.code < 300

    @property
    def enhanced(self) -> str:
        found = _ENHANCED.match(self.lines[0])
        return found.group(1) if found else ""


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
            sender, *recipients = (_ascii_domain(address) for address in (sender, *recipients))
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
        with suppress(Stopped), self.clock.hurried(LAST_WORDS):
            self._command("QUIT")
        self.close()

    def greet(self) -> None:
        with self.greeting() as phase:
            self.stream.unread(self.first_line())
            self._must_be_ok(self._note(phase, self._reply()))

    def ask_capabilities(self, when: str) -> None:
        with self.record.phase("ehlo") as phase:
            name = self._own_name()
            reply = self._note(phase, self._command(f"EHLO {name}"))
            self._features = {}
            if reply.code in _KNOWS_NO_EHLO:
                self._must_be_ok(self._note(phase, self._command(f"HELO {name}")))
            else:
                self._must_be_ok(reply)
                self._features = _features(reply)
            self.note_capabilities(when, (f"{name} {rest}".strip().upper() for name, rest in self._features.items()))

    def start_tls(self) -> bool:
        if "starttls" not in self._features and self.endpoint.security == "starttls_optional":
            return False
        with self.record.phase("starttls") as phase:
            if "starttls" not in self._features:
                raise stop("starttls_missing", "the server does not offer STARTTLS")
            reply = self._note(phase, self._command("STARTTLS"))
            if reply.code != 220:
                raise self._stopped(reply)
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
            answer = mechanism.answer(_decoded(reply)) if answered_first else first
            answered_first = True
            reply = self._command(_encoded(answer or b""))
        self._note(phase, reply)
        if reply.code == 334:
            raise stop("protocol", "more challenges than the mechanism has")
        if reply.code < 400 and reply.code != 235:
            raise stop("protocol", f"a reply that is no answer to a sign-in ({reply.code})")
        if reply.code != 235:
            raise self._stopped(reply)

    def _mail_options(self, addresses: Sequence[str], size: int) -> str:
        options = f" SIZE={size}" if size and "size" in self._features else ""
        if all(address.isascii() for address in addresses):
            return options
        if "smtputf8" not in self._features:
            raise stop("config", "an address that is not ASCII, and the server does not offer SMTPUTF8")
        return f"{options} SMTPUTF8"

    def _expect_ok(self, phase: Phase, command: str) -> None:
        self._must_be_ok(self._note(phase, self._command(command)))

    def _must_be_ok(self, reply: Reply) -> None:
        if not reply.is_ok:
            raise self._stopped(reply)

    def _command(self, command: str) -> Reply:
        self.stream.sendall(f"{command}\r\n".encode())
        return self._reply()

    def _reply(self) -> Reply:
        lines: list[str] = []
        while True:
            line = self.stream.readline()
            found = _REPLY_LINE.fullmatch(line)
            if not found or not b"200" <= found.group(1) <= b"599":
                raise stop("protocol", self._shown(printable(line)) or "a reply without a code")
            lines.append((found.group(3) or b"").decode("utf-8", "replace"))
            if found.group(2) != b"-":
                return Reply(int(found.group(1)), tuple(lines))

    def _note(self, phase: Phase, reply: Reply) -> Reply:
        phase.reply(reply.code, reply.enhanced, self._text(reply))
        return reply

    def _stopped(self, reply: Reply) -> Stopped:
        return Stopped(Signal("reply", code=reply.code, enhanced=reply.enhanced, text=self._text(reply)))

    def _text(self, reply: Reply) -> str:
        return self._shown("\n".join(printable(line) for line in reply.lines[:_MOST_SHOWN]))

    def _shown(self, text: str) -> str:
        return self.redact(text)[:LONGEST]

    def _own_name(self) -> str:
        """What to call oneself: a full name, else the address, as RFC 5321 wants it; never a look-up."""
        name = self.endpoint.ehlo_name or socket.gethostname()
        if not self.endpoint.ehlo_name and "." not in name:
            name = str(self.stream.connection.getsockname()[0]).partition("%")[0]
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return _ascii_name(name)
        return f"[IPv6:{address}]" if address.version == 6 else f"[{address}]"


def _ascii_name(name: str) -> str:
    try:
        return ascii_host(name)
    except UnicodeError:
        raise stop("config", "ehlo_name is not a host's name") from None


def _ascii_domain(address: str) -> str:
    """An address with its domain as it goes over the wire; the part before it stays."""
    local, _at, domain = address.rpartition("@")
    return f"{local}@{_ascii_name(domain)}" if local else address


def _features(reply: Reply) -> dict[str, str]:
    """The capabilities of an EHLO reply, whose first line is the server's name."""
    features: dict[str, str] = {}
    for line in reply.lines[1:]:
        name, _space, rest = line.strip().partition(" ")
        if name.upper().startswith("AUTH="):
            name, rest = "AUTH", f"{name[5:]} {rest}"
        features[name.lower()] = f"{features.get(name.lower(), '')} {rest}".strip()
    return features


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _decoded(reply: Reply) -> bytes:
    try:
        return base64.b64decode("".join(reply.lines).strip(), validate=True)
    except (binascii.Error, ValueError):
        raise stop("protocol", "a challenge that is not base64") from None
