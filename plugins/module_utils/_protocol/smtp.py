# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""An SMTP session and its phases."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Any, NamedTuple

from .._auth.mechanism import Mechanism
from .._auth.tokens import Token
from .._connector.domain import DomainError, address_to_ascii, to_ascii
from .._connector.redaction import MAX_SHOWN_LENGTH
from .._connector.resolved import SmtpSettings
from .._net.record import Phase
from .._verdict.observation import Observation, ProbeError, perhaps_accepted, probe_error
from .greeting import greeting_phase, read_first_line
from .session import MOST_CAPABILITIES, MailSession
from .sign_in import SignIn
from .smtp_codec import (
    END_OF_MESSAGE,
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

QUIT_TIMEOUT = 1.0

_EHLO_UNKNOWN = (500, 502)
_MOST_CHALLENGES = 5
_MAX_SHOWN_LINES = 50
_SERVICE_CLOSING = 421
_GO_AHEAD = 354
_LARGEST_GROUP = 100
"""Commands that are sent without waiting for replies; more of these than fit into buffers would block both sides."""


class Envelope(NamedTuple):
    """Sender, recipients, and the SMTP extensions that the message needs."""

    sender: str
    recipients: Sequence[str]
    size: int = 0
    is_8bit: bool = False
    is_international: bool = False


class Handover(NamedTuple):
    """The reply to an accepted message, and the recipients that were refused."""

    text: str
    refused: Mapping[str, Observation]


class SmtpSession(MailSession):
    """An SMTP session, up to the envelope or with messages."""

    endpoint: SmtpSettings

    _features: Mapping[str, str] = MappingProxyType({})
    _redacted_features: Mapping[str, str] = MappingProxyType({})
    """The features, redacted, for messages only."""

    def negotiate(self) -> None:
        """Connect, negotiate TLS and read the capabilities."""
        self.negotiate_tls()
        if self.endpoint.security == "tls":
            self._read_greeting()
        if self.is_encrypted:
            self._send_ehlo("after_tls")

    def negotiate_tls(self) -> None:
        """Connect and, unless security is none, negotiate TLS."""
        self.connection.connect()
        if self.endpoint.security == "tls":
            self.connection.start_tls()
            return
        self._read_greeting()
        self._send_ehlo("before_tls")
        if self._request_starttls():
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
        limit = self._redacted_features.get("size", "")
        offered = self._redacted_features.get("auth", "").upper().split()
        return {
            "offered": sorted(offered) or "no mechanism",
            "size_limit": f"{limit} octets" if limit else "not announced",
        }

    def check_envelope(self, sender: str, recipients: Sequence[str], size: int = 0) -> None:
        """Send MAIL FROM and RCPT TO, then RSET: no mail is sent."""
        self._send_envelope(_Commands(self), Envelope(sender, recipients, size))
        self.reset()

    def send_message(self, envelope: Envelope, message: Iterable[bytes], *, partial: bool = False) -> Handover:
        """Try once to send a message; returns the server's reply when it has accepted it.

        A refused recipient stops it; with `partial`, only the refusal of all does.
        """
        commands = _Commands(self)
        refused = self._send_envelope(commands, envelope, partial=partial)
        with self.record.phase("message") as phase:
            reply = self._record_reply(phase, commands.reply() if partial else self._command("DATA"))
            if reply.code != _GO_AHEAD:
                self.reset()
                raise self._unexpected_reply(reply)
            self._send_data(message)
            with self.clock.suspend_step_timeout():
                reply = self._record_reply(phase, self._read_message_reply())
            if not reply.is_ok:
                raise self._unexpected_reply(reply)
            return Handover(self._redact_text(reply), refused)

    def reset(self) -> None:
        """Send RSET; an error is ignored, since the result of the envelope is known already."""
        with suppress(ProbeError):
            self._command("RSET")

    def quit(self) -> None:
        with suppress(ProbeError), self.clock.limit_step_timeout(QUIT_TIMEOUT):
            self._command("QUIT")
        self.close()

    def _read_greeting(self) -> None:
        with greeting_phase(self.endpoint, self.connection, self.record) as phase:
            stream = self.connection.stream
            stream.unread(read_first_line(stream, "smtp"))
            self._require_ok(self._record_reply(phase, self._read_reply()))

    def _send_ehlo(self, when: str) -> None:
        """Send EHLO, or HELO if the server does not know it; features from before STARTTLS are discarded."""
        with self.record.phase("ehlo") as phase:
            name = self._ehlo_name()
            reply = self._record_reply(phase, self._command(f"EHLO {name}"))
            self._features = self._redacted_features = {}
            if reply.code in _EHLO_UNKNOWN:
                self._require_ok(self._record_reply(phase, self._command(f"HELO {name}")))
            else:
                self._require_ok(reply)
                self._features = parse_features(reply.lines)
                self._redacted_features = parse_features(self.redact.lines(reply.lines[: MOST_CAPABILITIES + 1]))
            features = self._redacted_features.items()
            self.record_capabilities(when, (f"{name} {rest}".strip().upper() for name, rest in features))

    def _request_starttls(self) -> bool:
        """Send STARTTLS if it is required, or optional and offered; returns whether the TLS handshake follows."""
        security, is_offered = self.endpoint.security, "starttls" in self._features
        if security == "none" or (security == "starttls_optional" and not is_offered):
            return False
        with self.record.phase("starttls") as phase:
            if not is_offered:
                raise probe_error("starttls_missing", "the server does not offer STARTTLS")
            reply = self._record_reply(phase, self._command("STARTTLS"))
            if reply.code != 220:
                raise self._reply_error(reply)
            self._features = self._redacted_features = {}
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
            answer = mechanism.respond(_decode_challenge(reply)) if answered_first else first
            answered_first = True
            reply = self._command(encode_response(answer or b""))
        self._record_reply(phase, reply)
        if reply.code == 334:
            raise probe_error("protocol", "the server sent more challenges than the mechanism has")
        if reply.code < 400 and reply.code != 235:
            raise probe_error("protocol", f"the server sent an unexpected reply to AUTH ({reply.code})")
        if reply.code != 235:
            raise self._reply_error(reply)

    def _send_envelope(
        self, commands: _Commands, envelope: Envelope, *, partial: bool = False
    ) -> dict[str, Observation]:
        """Send MAIL FROM and every RCPT TO; if a recipient is refused, send RSET and raise an error.

        With `partial`, return the refused ones while there are others, and let DATA follow at once.
        """
        with self.record.phase("sender") as phase:
            sender, *recipients = map(_ascii_address, (envelope.sender, *envelope.recipients))
            is_ascii = all(address.isascii() for address in (sender, *recipients))
            envelope = envelope._replace(is_international=envelope.is_international or not is_ascii)
            commands.add(f"MAIL FROM:<{sender}>{self._mail_options(envelope)}")
            commands.add(*(f"RCPT TO:<{recipient}>" for recipient in recipients))
            commands.add(*(["DATA"] if partial else []))
            reply = self._record_reply(phase, commands.reply())
            if not reply.is_ok:
                commands.skip()
                raise self._reply_error(reply)
        with self.record.phase("recipient") as phase:
            refused: dict[str, Reply] = {}
            for recipient in recipients:
                reply = self._record_reply(phase, commands.reply())
                if reply.code == _SERVICE_CLOSING:
                    raise self._reply_error(reply)
                if not reply.is_ok:
                    refused[recipient] = reply
            if refused and not (partial and len(refused) < len(recipients)):
                commands.skip()
                self.reset()
                raise self._refused_recipients_error(refused)
        in_phase: dict[str, Any] = {"phase": "recipient", "protocol": "smtp"}
        return {
            address: self._reply_error(reply).observation.with_context(**in_phase) for address, reply in refused.items()
        }

    def _refused_recipients_error(self, refused: Mapping[str, Reply]) -> ProbeError:
        """The error for the first permanent refusal; the text names all refused recipients."""
        replies = list(refused.values())
        observation = self._reply_error(next((each for each in replies if each.code >= 500), replies[0])).observation
        if len(refused) == 1:
            (address,) = refused
            is_named = address.lower() in observation.text.lower()
            text = observation.text if is_named else f"{address}: {observation.text}"
        else:
            texts = dict.fromkeys(f"{each.code} {self._redact_text(each)}" for each in replies)
            text = f"{len(refused)} recipients were refused: {', '.join(refused)}\n" + "\n".join(texts)
        return ProbeError(observation.with_context(text=text[:MAX_SHOWN_LENGTH], facts={"refused": tuple(refused)}))

    def _mail_options(self, envelope: Envelope) -> str:
        size_limit = parse_size_limit(self._features.get("size", ""))
        if 0 < size_limit < envelope.size:
            shown_limit = self.redact(str(size_limit))
            raise probe_error(
                "too_large",
                f"the message has {envelope.size} octets, the server accepts at most {shown_limit}: it was not sent",
            )
        options = f" SIZE={envelope.size}" if envelope.size and "size" in self._features else ""
        if envelope.is_8bit:
            if "8bitmime" not in self._features:
                raise probe_error("config", "the message is not ASCII, but the server does not offer 8BITMIME")
            options += " BODY=8BITMIME"
        if envelope.is_international:
            if "smtputf8" not in self._features:
                raise probe_error("config", "an address is not ASCII, but the server does not offer SMTPUTF8")
            options += " SMTPUTF8"
        return options

    def _send_data(self, message: Iterable[bytes]) -> None:
        """Send the message; if the server closes the connection meanwhile, raise the error that it sent.

        Only its end makes it whole, so that until then an error leaves nothing to be accepted.
        """
        lines = iter(message)
        while True:
            try:
                part = next(lines, None)
            except ProbeError:
                self.close()  # a file cannot be read any more: what was sent of the message must not be completed
                raise
            try:
                for chunk in [END_OF_MESSAGE] if part is None else frame_message(part):
                    self.connection.stream.sendall(chunk)
            except ProbeError as error:
                lost = error if part is not None else perhaps_accepted(error)
                raise self._read_error_reply() or lost from None
            if part is None:
                return

    def _read_error_reply(self) -> ProbeError | None:
        with suppress(ProbeError):
            reply = self._read_reply()
            return self._reply_error(reply) if reply.code >= 400 else None
        return None

    def _read_message_reply(self) -> Reply:
        """Read the reply to the message; without it the message may or may not have been accepted."""
        try:
            return self._read_reply()
        except ProbeError as error:
            raise perhaps_accepted(error) from error

    def _unexpected_reply(self, reply: Reply) -> ProbeError:
        """The error for a reply other than the expected one."""
        if reply.code < 400:
            return probe_error("protocol", f"the server sent an unexpected reply ({reply.code})")
        return self._reply_error(reply)

    def _require_ok(self, reply: Reply) -> None:
        if not reply.is_ok:
            raise self._reply_error(reply)

    def _command(self, command: str) -> Reply:
        self.connection.stream.sendall(encode_command(command))
        return self._read_reply()

    def _read_reply(self) -> Reply:
        lines: list[str] = []
        while True:
            line = self.connection.stream.readline()
            parsed = parse_reply_line(line)
            if parsed is None:
                raise probe_error("protocol", self.redact(line) or "the reply has no code")
            lines.append(parsed.text)
            if parsed.is_last:
                return Reply(parsed.code, tuple(lines))

    def _record_reply(self, phase: Phase, reply: Reply) -> Reply:
        phase.set_reply(reply.code, self._enhanced(reply), self._redact_text(reply))
        return reply

    def _reply_error(self, reply: Reply) -> ProbeError:
        return ProbeError(
            Observation("reply", code=reply.code, enhanced=self._enhanced(reply), text=self._redact_text(reply))
        )

    def _enhanced(self, reply: Reply) -> str:
        return reply.enhanced if self.redact.is_free_of_secrets(reply.enhanced) else ""

    def _redact_text(self, reply: Reply) -> str:
        return "\n".join(self.redact.lines(reply.lines[:_MAX_SHOWN_LINES]))[:MAX_SHOWN_LENGTH]

    def _ehlo_name(self) -> str:
        """The name for EHLO: a full host name, else the address literal (RFC 5321); nothing is looked up."""
        name = self.endpoint.ehlo_name or socket.gethostname()
        if not self.endpoint.ehlo_name and "." not in name:
            name = str(self.connection.stream.connection.getsockname()[0]).partition("%")[0]
        return address_literal(name) or _ascii_name(name)


class _Commands:
    """Commands of one transaction, sent in groups where the server offers PIPELINING (RFC 2920), else one by one."""

    def __init__(self, session: SmtpSession) -> None:
        self._session = session
        self._size = _LARGEST_GROUP if "pipelining" in session._features else 1  # noqa: SLF001  a part of it
        self._unsent: list[str] = []
        self._unanswered = 0

    def add(self, *commands: str) -> None:
        self._unsent += commands

    def reply(self) -> Reply:
        """The reply to the next command, which is sent now if it was not sent with those before it."""
        stream = self._session.connection.stream
        if self._unanswered:
            stream.start_step()
        else:
            group, self._unsent = self._unsent[: self._size], self._unsent[self._size :]
            stream.sendall(b"".join(map(encode_command, group)))
            self._unanswered = len(group)
        self._unanswered -= 1
        return self._session._read_reply()  # noqa: SLF001

    def skip(self) -> None:
        """Send nothing more, and read the replies to what was sent. A server that waits for a message gets none."""
        self._unsent = []
        try:
            while self._unanswered:
                if self.reply().code == _GO_AHEAD:
                    self._session.connection.stream.sendall(END_OF_MESSAGE)
                    self._unanswered += 1
        except ProbeError:
            self._session.close()


def _decode_challenge(reply: Reply) -> bytes:
    try:
        return decode_challenge(reply)
    except ValueError:
        raise probe_error("protocol", "the challenge is not base64") from None


def _ascii_name(name: str) -> str:
    try:
        return to_ascii(name)
    except DomainError as error:
        raise probe_error("config", f"ehlo_name {error}", field="{block}.ehlo_name") from None


def _ascii_address(address: str) -> str:
    try:
        return address_to_ascii(address)
    except DomainError as error:
        raise probe_error("config", f"the domain of a mail address {error}") from None
