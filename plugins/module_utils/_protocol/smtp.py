# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""A conversation over SMTP: its phases, and what a refusal in each of them means."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Any, NamedTuple

from .._auth.mechanism import Mechanism
from .._auth.tokens import Token
from .._connector.domain import DomainError, address_to_ascii, to_ascii
from .._connector.redaction import LONGEST_SHOWN
from .._connector.resolved import SmtpSettings
from .._net.record import Phase
from .._verdict.observation import PERHAPS_ACCEPTED, Observation, ProbeError, probe_error
from .greeting import greeting_phase, read_first_line
from .session import MOST_CAPABILITIES, MailSession
from .sign_in import SignIn
from .smtp_codec import (
    LONGEST_COMMAND,
    Reply,
    address_literal,
    decode_challenge,
    encode_command,
    encode_response,
    frame_message,
    parse_features,
    parse_reply_line,
    parse_size_limit,
)

LAST_WORDS = 1.0

_KNOWS_NO_EHLO = (500, 502)
_MOST_CHALLENGES = 5
_MOST_SHOWN = 50
_CLOSING = 421


class Envelope(NamedTuple):
    """Who sends to whom, and what the message asks of the server."""

    sender: str
    recipients: Sequence[str]
    size: int = 0
    is_8bit: bool = False
    is_international: bool = False


class SmtpSession(MailSession):
    """SMTP, up to the envelope or with a message."""

    endpoint: SmtpSettings

    _features: Mapping[str, str] = MappingProxyType({})
    _shown_features: Mapping[str, str] = MappingProxyType({})
    """The same without secrets. Nothing is decided by them."""

    def negotiate(self) -> None:
        """Connect, encrypt as declared, and learn what the server can do."""
        self.negotiate_tls()
        if self.endpoint.security == "tls":
            self._read_greeting()
        if self.is_encrypted:
            self._say_hello("after_tls")

    def negotiate_tls(self) -> None:
        """As far as the TLS handshake, or as it goes without one where none is declared or optional."""
        self.connection.connect()
        if self.endpoint.security == "tls":
            self.connection.start_tls()
            return
        self._read_greeting()
        self._say_hello("before_tls")
        if self._ask_for_tls():
            self.connection.start_tls(is_upgrade=True)

    def sign_in(self, token: Token | None = None) -> None:
        with self.record.phase("auth") as phase:
            offered = self._features.get("auth", "").upper().split()
            sign_in = SignIn(self.endpoint, offered, self.redact, is_encrypted=self.is_encrypted)
            mechanism = sign_in.mechanism(token)
            mechanism.check()
            self.has_sent_credentials = True
            with sign_in.attempt(mechanism):
                self._authenticate(mechanism, phase)

    def advertised(self) -> dict[str, Any]:
        limit = self._shown_features.get("size", "")
        offered = self._shown_features.get("auth", "").upper().split()
        return {
            "offered": sorted(offered) or "no way to sign in",
            "size_limit": f"{limit} octets" if limit else "which it does not tell",
        }

    def envelope(self, sender: str, recipients: Sequence[str], size: int = 0) -> None:
        """Name sender and recipients, then take it all back: no mail is sent."""
        self._address(Envelope(sender, recipients, size))
        self.reset()

    def hand_over(self, envelope: Envelope, message: bytes) -> str:
        """One attempt to send a message; what the server says when it has taken it."""
        self._address(envelope)
        with self.record.phase("message") as phase:
            reply = self._note(phase, self._command("DATA"))
            if reply.code != 354:
                self.reset()
                raise self._refusal(reply)
            self._send(message)
            with self.clock.suspend_step_timeout():
                reply = self._note(phase, self._verdict_on_message())
            if not reply.is_ok:
                raise self._refusal(reply)
            return self._text(reply)

    def reset(self) -> None:
        """Take the envelope back; the server has judged it already, so trouble here changes nothing."""
        with suppress(ProbeError):
            self._command("RSET")

    def quit(self) -> None:
        with suppress(ProbeError), self.clock.limit_step_timeout(LAST_WORDS):
            self._command("QUIT")
        self.close()

    def _read_greeting(self) -> None:
        with greeting_phase(self.endpoint, self.connection, self.record) as phase:
            stream = self.connection.stream
            stream.unread(read_first_line(stream, "smtp"))
            self._must_be_ok(self._note(phase, self._read_reply()))

    def _say_hello(self, when: str) -> None:
        """EHLO, or HELO where that is not known; what was said before encryption does not count any more."""
        with self.record.phase("ehlo") as phase:
            name = self._own_name()
            reply = self._note(phase, self._command(f"EHLO {name}"))
            self._features = self._shown_features = {}
            if reply.code in _KNOWS_NO_EHLO:
                self._must_be_ok(self._note(phase, self._command(f"HELO {name}")))
            else:
                self._must_be_ok(reply)
                self._features = parse_features(reply.lines)
                self._shown_features = parse_features(self.redact.lines(reply.lines[: MOST_CAPABILITIES + 1]))
            shown = self._shown_features.items()
            self.note_capabilities(when, (f"{name} {rest}".strip().upper() for name, rest in shown))

    def _ask_for_tls(self) -> bool:
        """STARTTLS, where encryption is declared, or optional and offered; whether the handshake can begin."""
        security, is_offered = self.endpoint.security, "starttls" in self._features
        if security == "none" or (security == "starttls_optional" and not is_offered):
            return False
        with self.record.phase("starttls") as phase:
            if not is_offered:
                raise probe_error("starttls_missing", "the server does not offer STARTTLS")
            reply = self._note(phase, self._command("STARTTLS"))
            if reply.code != 220:
                raise self._error_of(reply)
            self._features = self._shown_features = {}
        return True

    def _authenticate(self, mechanism: Mechanism, phase: Phase) -> None:
        first = mechanism.initial_response()
        command = f"AUTH {mechanism.name}"
        encoded = encode_response(first) if first is not None else ""
        unasked = first is not None and len(command) + len(encoded) < LONGEST_COMMAND
        reply = self._command(f"{command} {encoded}" if unasked else command)
        answered_first = unasked or first is None
        for _round in range(_MOST_CHALLENGES):
            if reply.code != 334:
                break
            answer = mechanism.respond(_challenge(reply)) if answered_first else first
            answered_first = True
            reply = self._command(encode_response(answer or b""))
        self._note(phase, reply)
        if reply.code == 334:
            raise probe_error("protocol", "more challenges than the mechanism has")
        if reply.code < 400 and reply.code != 235:
            raise probe_error("protocol", f"a reply that is no answer to a sign-in ({reply.code})")
        if reply.code != 235:
            raise self._error_of(reply)

    def _address(self, envelope: Envelope) -> None:
        """Name sender and recipients; where one is refused, all are asked about, and the envelope is taken back."""
        with self.record.phase("sender") as phase:
            sender, *recipients = map(_ascii_address, (envelope.sender, *envelope.recipients))
            is_ascii = all(address.isascii() for address in (sender, *recipients))
            envelope = envelope._replace(is_international=envelope.is_international or not is_ascii)
            command = f"MAIL FROM:<{sender}>{self._mail_options(envelope)}"
            self._must_be_ok(self._note(phase, self._command(command)))
        with self.record.phase("recipient") as phase:
            refused = self._name_recipients(phase, recipients)
            if refused:
                self.reset()
                raise self._refused_recipients(refused)

    def _name_recipients(self, phase: Phase, recipients: Sequence[str]) -> dict[str, Reply]:
        """Those that are refused, each with the reply."""
        refused: dict[str, Reply] = {}
        for recipient in recipients:
            reply = self._note(phase, self._command(f"RCPT TO:<{recipient}>"))
            if reply.code == _CLOSING:
                raise self._error_of(reply)
            if not reply.is_ok:
                refused[recipient] = reply
        return refused

    def _refused_recipients(self, refused: Mapping[str, Reply]) -> ProbeError:
        """Judged by the first refusal for good; where there are several, the text names all before it quotes any."""
        replies = list(refused.values())
        observation = self._error_of(next((each for each in replies if each.code >= 500), replies[0])).observation
        if len(refused) == 1:
            (address,) = refused
            is_named = address.lower() in observation.text.lower()
            text = observation.text if is_named else f"{address}: {observation.text}"
        else:
            said = dict.fromkeys(f"{each.code} {self._text(each)}" for each in replies)
            text = f"{len(refused)} recipients are refused: {', '.join(refused)}\n" + "\n".join(said)
        return ProbeError(observation.with_context(text=text[:LONGEST_SHOWN], facts={"refused": tuple(refused)}))

    def _mail_options(self, envelope: Envelope) -> str:
        size_limit = parse_size_limit(self._features.get("size", ""))
        if 0 < size_limit < envelope.size:
            limit = self.redact(str(size_limit))
            raise probe_error(
                "too_large",
                f"the message has {envelope.size} octets, and the server takes {limit} at most: it was not asked to"
                " take it",
            )
        options = f" SIZE={envelope.size}" if envelope.size and "size" in self._features else ""
        if envelope.is_8bit:
            if "8bitmime" not in self._features:
                raise probe_error("config", "the message is not ASCII, and the server does not offer 8BITMIME")
            options += " BODY=8BITMIME"
        if envelope.is_international:
            if "smtputf8" not in self._features:
                raise probe_error("config", "an address that is not ASCII, and the server does not offer SMTPUTF8")
            options += " SMTPUTF8"
        return options

    def _send(self, message: bytes) -> None:
        """Send the message and its end; what a server says that hangs up meanwhile is listened to."""
        try:
            for piece in frame_message(message):
                self.connection.stream.sendall(piece)
        except ProbeError as stopped:
            raise self._last_words() or stopped from None

    def _last_words(self) -> ProbeError | None:
        with suppress(ProbeError):
            reply = self._read_reply()
            return self._error_of(reply) if reply.code >= 400 else None
        return None

    def _verdict_on_message(self) -> Reply:
        """The reply to the end of the data; where there is none, nobody knows what became of the message."""
        try:
            return self._read_reply()
        except ProbeError as stopped:
            text = f"{stopped.observation.text}; {PERHAPS_ACCEPTED}" if stopped.observation.text else PERHAPS_ACCEPTED
            raise ProbeError(stopped.observation.with_context(text=text)) from stopped

    def _refusal(self, reply: Reply) -> ProbeError:
        """For a reply that is not the one hoped for."""
        if reply.code < 400:
            return probe_error("protocol", f"a reply that is out of place ({reply.code})")
        return self._error_of(reply)

    def _must_be_ok(self, reply: Reply) -> None:
        if not reply.is_ok:
            raise self._error_of(reply)

    def _command(self, command: str) -> Reply:
        self.connection.stream.sendall(encode_command(command))
        return self._read_reply()

    def _read_reply(self) -> Reply:
        lines: list[str] = []
        while True:
            line = self.connection.stream.readline()
            parsed = parse_reply_line(line)
            if parsed is None:
                raise probe_error("protocol", self.redact(line) or "a reply without a code")
            lines.append(parsed.text)
            if parsed.is_last:
                return Reply(parsed.code, tuple(lines))

    def _note(self, phase: Phase, reply: Reply) -> Reply:
        phase.set_reply(reply.code, self._enhanced(reply), self._text(reply))
        return reply

    def _error_of(self, reply: Reply) -> ProbeError:
        return ProbeError(Observation("reply", code=reply.code, enhanced=self._enhanced(reply), text=self._text(reply)))

    def _enhanced(self, reply: Reply) -> str:
        return reply.enhanced if self.redact.is_free_of_secrets(reply.enhanced) else ""

    def _text(self, reply: Reply) -> str:
        return "\n".join(self.redact.lines(reply.lines[:_MOST_SHOWN]))[:LONGEST_SHOWN]

    def _own_name(self) -> str:
        """What to call oneself: a full name, else the address, as RFC 5321 wants it; never a look-up."""
        name = self.endpoint.ehlo_name or socket.gethostname()
        if not self.endpoint.ehlo_name and "." not in name:
            name = str(self.connection.stream.connection.getsockname()[0]).partition("%")[0]
        return address_literal(name) or _ascii_name(name)


def _challenge(reply: Reply) -> bytes:
    try:
        return decode_challenge(reply)
    except ValueError:
        raise probe_error("protocol", "a challenge that is not base64") from None


def _ascii_name(name: str) -> str:
    try:
        return to_ascii(name)
    except DomainError as refused:
        raise probe_error("config", f"ehlo_name {refused}", field="{block}.ehlo_name") from None


def _ascii_address(address: str) -> str:
    try:
        return address_to_ascii(address)
    except DomainError as refused:
        raise probe_error("config", f"the domain of a mail address {refused}") from None
