# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""What every conversation begins with: look up, connect, encrypt."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from typing import Any

from .._auth.mechanism import Mechanism
from .._auth.passwords import BY_PREFERENCE, REVEALING, choose
from .._auth.refusal import refused_sign_in
from .._auth.tokens import Token
from .._connector.redaction import Redaction
from .._connector.resolved import Endpoint, TlsTrust
from .._connector.secret import Secret
from .._net.clock import Clock
from .._net.dial import ascii_host, connect, resolve
from .._net.os_errors import observation_of
from .._net.proxy import reaching, through
from .._net.record import Phase, Record
from .._net.stream import Stream
from .._net.tls import context_for, tls_facts
from .._verdict.observation import Observation, ProbeError, probe_error
from .session import Session

X509_V_ERR_CERT_HAS_EXPIRED = 10
MOST_CAPABILITIES = 100
LONGEST_CAPABILITY = 200
TLS_ALERT = b"\x15\x03"

_FIRST_WORDS = {
    "SMTP": re.compile(rb"220[ -]"),
    "IMAP": re.compile(rb"\* (OK|PREAUTH|BYE)\b"),
    "POP3": re.compile(rb"\+OK\b"),
    "SSH": re.compile(rb"SSH-"),
    "HTTP": re.compile(rb"HTTP/"),
}


class Conversation(Session):
    """A session over a protocol in which the server speaks first: SMTP and IMAP."""

    def __init__(self, endpoint: Endpoint, clock: Clock, record: Record, redact: Redaction) -> None:
        super().__init__(endpoint, clock, record, redact)
        self._stream: Stream | None = None
        self._offered_now: tuple[str, ...] = ()

    @property
    def stream(self) -> Stream:
        if self._stream is None:
            raise probe_error("internal", "there is no connection")
        return self._stream

    def open(self) -> None:
        """Begin the conversation; a certificate that is refused is looked at, so that it can be reported."""
        try:
            self.converse()
        except ProbeError as stopped:
            if stopped.observation.kind == "certificate":
                self.tls = self._look_at_certificate()
                raise ProbeError(_about_chain(stopped.observation, self.tls or {})) from stopped
            raise

    def note_capabilities(self, when: str, names: Iterable[str]) -> None:
        """Keep what the server says that it can do, redacted, as far as anybody can read it."""
        self.capabilities[when] = [name[:LONGEST_CAPABILITY] for name in islice(names, MOST_CAPABILITIES)]

    def converse(self) -> None:
        """Connect, encrypt as the endpoint demands, and learn what the server can do."""
        self._negotiate_tls()
        if self.endpoint.security == "tls":
            self.greet()
        if self.is_encrypted:
            self.ask_capabilities("after_tls")

    def _negotiate_tls(self) -> None:
        """As far as the conversation is encrypted, if it is to be."""
        security = self.endpoint.security
        self.connect()
        if security == "tls":
            self.encrypt()
            return
        self.greet()
        self.ask_capabilities("before_tls")
        if security in ("starttls", "starttls_optional") and self.start_tls():
            self.encrypt()

    @abstractmethod
    def greet(self) -> None:
        """Hear the server's greeting."""

    @abstractmethod
    def ask_capabilities(self, when: str) -> None:
        """Learn what the server can do, before_tls or after_tls."""

    @abstractmethod
    def start_tls(self) -> bool:
        """Ask for encryption; whether it can begin."""

    def connect(self) -> None:
        """Look the name up and connect, through the proxy where there is one."""
        endpoint, proxy = self.endpoint, self.endpoint.proxy
        host, port = (proxy.host, proxy.port) if proxy else (endpoint.host, endpoint.port)
        with self.record.phase("config"):
            if endpoint.security != "none":
                context_for(endpoint.trust)
        with self.record.phase("dns"), reaching(proxy):
            self.clock.start_step()
            addresses = resolve(host, port, self.clock)
        with self.record.phase("tcp"):
            with reaching(proxy):
                self.clock.start_step()
                connection, address = connect(addresses, self.clock)
            self.address = address.text
            self._stream = Stream(connection, self.clock)
            if proxy:
                through(self._stream, proxy, endpoint.host, endpoint.port)

    def encrypt(self) -> None:
        with self.record.phase("tls"):
            context = context_for(self.endpoint.trust)
            was_asked_for = self.endpoint.security != "tls"
            try:
                secure = self.stream.start_tls(context, ascii_host(self.endpoint.host))
            except (ProbeError, OSError) as error:
                observation = error.observation if isinstance(error, ProbeError) else observation_of(error)
                if was_asked_for and observation.kind == "speaks_plain":
                    raise probe_error("injection", "plain text follows the reply to STARTTLS") from error
                raise
            self.tls = tls_facts(secure, self.redact)
            self.is_encrypted = True

    @contextmanager
    def greeting(self) -> Iterator[Phase]:
        """The phase in which the server speaks first; where it does not, see whether it waits for TLS."""
        with self.record.phase("greeting") as phase:
            self.stream.start_step()
            try:
                yield phase
            except ProbeError as stopped:
                if self.endpoint.security != "tls" and self._waits_for_tls(stopped.observation):
                    raise probe_error("speaks_tls", "the port waits for a TLS handshake") from None
                raise

    def first_line(self) -> bytes:
        """What the server says first; where that is another protocol, there is nothing to talk about."""
        line = self.stream.readline()
        for protocol, beginning in _FIRST_WORDS.items():
            if protocol != self.endpoint.protocol.upper() and beginning.match(line):
                raise probe_error("other_protocol", f"the port speaks {protocol}", speaks=protocol)
        return line

    def mechanism(self, offered: Collection[str], token: Token | None) -> Mechanism:
        """The safest way to sign in that is offered, where anybody may sign in over this connection."""
        endpoint = self.endpoint
        self._offered_now = tuple(offered)
        if not self.is_encrypted and endpoint.security != "none":
            raise probe_error("unencrypted", "nobody signs in over a connection that is not encrypted")
        if token:
            self.redact.hide(token.secret.reveal())
            from .._auth.oauth import choose_token_mechanism

            with_token = choose_token_mechanism(offered, endpoint.mechanisms)
            host = ascii_host(endpoint.host)
            return with_token(endpoint.username, token.secret, host, endpoint.port, redact=self.redact)
        return choose(offered, endpoint.mechanisms)(endpoint.username, self.password(), redact=self.redact)

    def password(self) -> Secret:
        if self.endpoint.password is None:
            raise probe_error("config", "there is no password to sign in with", field="{sign_in}.password")
        return self.endpoint.password

    @contextmanager
    def signing_in(self, mechanism: Mechanism | None = None) -> Iterator[None]:
        """One attempt, with a mechanism or IMAP's LOGIN command; a failure says whether the credential was refused."""
        if mechanism:
            mechanism.check()
        self.has_sent_credentials = True
        try:
            yield
            if mechanism:
                mechanism.succeeded()
        except (ProbeError, OSError) as error:
            observation = error.observation if isinstance(error, ProbeError) else observation_of(error)
            was_sent = mechanism is None or mechanism.has_used_secret
            refused = refused_sign_in(observation, is_encrypted=self.is_encrypted, was_sent=was_sent)
            observation = mechanism.explained(observation) if mechanism else observation
            raise ProbeError(observation.with_context(refused=refused, facts=self._way(mechanism))) from error

    def _way(self, mechanism: Mechanism | None) -> dict[str, Any]:
        if mechanism is None:
            return {"mechanism": "the LOGIN command"}
        return {"mechanism": mechanism.name, "other_mechanisms": self._others(mechanism)}

    def _others(self, used: Mechanism) -> list[str]:
        """The other ways to sign in that are offered; none that would reveal the password to listeners."""
        if self.endpoint.auth == "oauth2":
            return []
        return [
            each.name
            for each in BY_PREFERENCE
            if each.name in self._offered_now
            and each.name != used.name
            and (self.is_encrypted or each.name not in REVEALING)
        ]

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()

    def _unchecked(self) -> Conversation:
        """Another conversation with the same server, which trusts any certificate and shows none."""
        endpoint = replace(self.endpoint, trust=TlsTrust(validate=False), auth="none", password=None)
        return type(self)(endpoint, self.clock, Record(self.record.protocol), self.redact)

    def _look_at_certificate(self) -> dict[str, Any] | None:
        """What a certificate says that was refused, seen in a second conversation without credentials."""
        looking = self._unchecked()
        try:
            looking._negotiate_tls()  # noqa: SLF001  it is of the same kind
        except ProbeError:
            pass
        finally:
            looking.close()
        return looking.tls

    def _waits_for_tls(self, observation: Observation) -> bool:
        """Whether the server is silent because it waits for a TLS handshake; some send an alert when that is late."""
        if self.stream.begins_with(TLS_ALERT):
            return True
        return observation.kind == "timeout" and not self.stream.has_unread and self._speaks_tls()

    def _speaks_tls(self) -> bool:
        """A handshake that breaks down (an alert, an old version) proves TLS as well."""
        looking = self._unchecked()
        try:
            looking.connect()
            looking.encrypt()
        except ProbeError as stopped:
            return stopped.observation.kind == "tls"
        finally:
            looking.close()
        return True


def _about_chain(observation: Observation, tls: Mapping[str, Any]) -> Observation:
    """OpenSSL does not say which certificate has expired: where the server's own has not, another one has."""
    has_expired = observation.code == X509_V_ERR_CERT_HAS_EXPIRED
    if has_expired and (tls.get("days_left") or 0) > 0:
        return observation.with_context(kind="issuer_expired")
    return observation
