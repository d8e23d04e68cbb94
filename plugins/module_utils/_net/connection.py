# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Open a connection: resolve, connect, tunnel through the proxy, start TLS, describe a refused certificate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from .._connector.redaction import Redaction
from .._connector.resolved import Proxy, TlsTrust
from .._verdict.observation import ProbeError, probe_error
from .clock import Clock
from .dial import ascii_host, connect, resolve
from .os_errors import observation_from_error
from .proxy import attribute_errors_to_proxy, tunnel_through_proxy
from .record import Record
from .stream import Stream
from .tls import ssl_context, tls_facts

X509_V_ERR_CERT_HAS_EXPIRED = 10


@dataclass(frozen=True)
class Target:
    """Where a connection goes. Without `trust` it is never encrypted."""

    host: str
    port: int
    trust: TlsTrust | None = None
    proxy: Proxy | None = None
    only_loopback: bool = False
    """Whether the name has to stand for this machine, whatever the resolver says, since nothing is encrypted."""


class Connection:
    """A connection to a server; what happens is recorded in the phases config, dns, tcp and tls."""

    def __init__(self, target: Target, clock: Clock, redact: Redaction, record: Record | None = None) -> None:
        self.address = ""
        self.tls: dict[str, Any] | None = None
        """Version, cipher and certificate; where the certificate is refused, of the second handshake."""
        self.is_encrypted = False
        self._target = target
        self._clock = clock
        self._redact = redact
        self._record = record or Record()
        self._stream: Stream | None = None

    @property
    def is_open(self) -> bool:
        return self._stream is not None

    @property
    def stream(self) -> Stream:
        if self._stream is None:
            raise probe_error("internal", "there is no connection")
        return self._stream

    def open(self) -> None:
        """Connect, and start TLS if the target has `trust`; on failure the connection is closed."""
        try:
            self.connect()
            if self._target.trust:
                self.start_tls()
        except BaseException:
            self.close()
            raise

    def connect(self) -> None:
        """Resolve the name and connect, through the proxy if there is one; TLS is not started."""
        target, proxy = self._target, self._target.proxy
        host, port = (proxy.host, proxy.port) if proxy else (target.host, target.port)
        with self._record.phase("config"):
            if target.trust:
                ssl_context(target.trust)
        with self._record.phase("dns"), attribute_errors_to_proxy(proxy):
            self._clock.start_step()
            addresses = resolve(host, port, self._clock)
        with self._record.phase("tcp"):
            with attribute_errors_to_proxy(proxy):
                self._clock.start_step()
                connected, address = connect(addresses, self._clock)
            self.address = address.text
            self._stream = Stream(connected, self._clock)
            if target.only_loopback and not address.is_loopback:
                self.close()
                text = f"{target.host} stands for {address.text}, which is not this machine, and nothing is encrypted"
                raise probe_error("protocol", text)
            if proxy:
                tunnel_through_proxy(self._stream, proxy, target.host, target.port)

    def start_tls(self, *, is_upgrade: bool = False) -> None:
        """Start TLS; `is_upgrade`: after STARTTLS."""
        with self._record.phase("tls"):
            if self._target.trust is None:
                raise probe_error("internal", "TLS is started on a connection without trust")
            context = ssl_context(self._target.trust)
            try:
                secure = self.stream.start_tls(context, ascii_host(self._target.host))
            except (ProbeError, OSError) as error:
                observation = error.observation if isinstance(error, ProbeError) else observation_from_error(error)
                if is_upgrade and observation.kind == "speaks_plain":
                    raise probe_error("injection", "plain text follows the reply to STARTTLS") from error
                raise
            self.tls = tls_facts(secure, self._redact)
            self.is_encrypted = True

    @contextmanager
    def describe_refused_certificate(self, start_tls_on: Callable[[Connection], None]) -> Iterator[None]:
        """If a certificate is refused within, read it in a second handshake, so that it can be reported.

        `start_tls_on` does the handshake on another connection, which accepts any certificate and presents none.
        """
        try:
            yield
        except ProbeError as error:
            if error.observation.kind != "certificate":
                raise
            second = self._without_validation()
            try:
                start_tls_on(second)
            except ProbeError:
                pass  # the certificate stays unknown
            finally:
                second.close()
            self.tls = second.tls
            facts = second.tls or {}
            observation = error.observation.with_context(facts=facts)
            if observation.code == X509_V_ERR_CERT_HAS_EXPIRED and (facts.get("days_left") or 0) > 0:
                # OpenSSL does not say which certificate of the chain has expired: the server's own has not.
                observation = observation.with_context(kind="issuer_expired")
            raise ProbeError(observation) from error

    def speaks_tls(self) -> bool:
        """Whether the port answers a TLS handshake on another connection; a failed handshake proves TLS too."""
        second = self._without_validation()
        try:
            second.open()
        except ProbeError as error:
            return error.observation.kind == "tls"
        finally:
            second.close()
        return True

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
        self._stream = None

    def _without_validation(self) -> Connection:
        """Another connection to the same server: without record, client certificate or validation."""
        target = replace(self._target, trust=TlsTrust(validate=False))
        return type(self)(target, self._clock, self._redact)
