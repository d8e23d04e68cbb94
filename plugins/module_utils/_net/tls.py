# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""SSL contexts, and the facts about a server's certificate."""

from __future__ import annotations

import hashlib
import os
import ssl
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any

from .._connector.redaction import Redaction
from .._connector.resolved import TlsTrust
from .._verdict.observation import probe_error

MOST_NAMES = 100


def ssl_context(trust: TlsTrust) -> ssl.SSLContext:
    """The SSL context for `trust`, cached, since loading the CA certificates is slow."""
    with _CONTEXT_LOCK:
        return _create_context(trust)


_CONTEXT_LOCK = threading.Lock()


@lru_cache(maxsize=64)
def _create_context(trust: TlsTrust) -> ssl.SSLContext:
    for field, path in (
        ("ca_file", trust.ca_file),
        ("client_cert", trust.client_cert),
        ("client_key", trust.client_key),
    ):
        if path and os.path.exists(path) and not os.path.isfile(path):
            raise probe_error("config", f"{field} {path} cannot be used: it is not a file", field=f"{{block}}.{field}")
    try:
        context = ssl.create_default_context(cafile=trust.ca_file or None)
    except (OSError, ValueError) as error:
        raise probe_error(
            "config", f"ca_file {trust.ca_file} cannot be used: {_error_reason(error)}", field="{block}.ca_file"
        ) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not trust.validate:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if trust.client_cert:
        try:
            context.load_cert_chain(trust.client_cert, trust.client_key or None, password="")
        except (OSError, ValueError) as error:
            text = f"client_cert {trust.client_cert} cannot be used: {_error_reason(error)}"
            raise probe_error("config", text, field="{block}.client_cert") from None
    return context


def _error_reason(error: Exception) -> str:
    reason = getattr(error, "strerror", None) or getattr(error, "reason", None) or str(error)
    return str(reason)


@dataclass
class Certificate:
    """The fields of a certificate that results show."""

    subject: str = ""
    issuer: str = ""
    names: Sequence[str] = ()
    not_after: str = ""
    days_left: int | None = None
    fingerprint_sha256: str = ""
    signature_hash: str = ""

    @classmethod
    def of_peer(cls, connection: ssl.SSLSocket) -> Certificate:
        """The certificate of the peer, trusted or not."""
        der = connection.getpeercert(binary_form=True)
        if not der:
            return cls()
        return _parse_with_cryptography(der) or _parse_with_ssl(der, connection.getpeercert() or {})


def tls_facts(connection: ssl.SSLSocket, redact: Redaction) -> dict[str, Any]:
    """TLS version, cipher and certificate, redacted, since a certificate may hold any text."""
    certificate = Certificate.of_peer(connection)
    cipher = connection.cipher()
    facts = {"version": connection.version(), "cipher": cipher[0] if cipher else None, **vars(certificate)}
    return dict(redact.value(facts))


def _parse_with_cryptography(der: bytes) -> Certificate | None:
    try:
        from cryptography import x509
    except ImportError:
        return None
    try:
        parsed = x509.load_der_x509_certificate(der)
        not_after = getattr(parsed, "not_valid_after_utc", None) or parsed.not_valid_after.replace(tzinfo=timezone.utc)
        return Certificate(
            subject=parsed.subject.rfc4514_string(),
            issuer=parsed.issuer.rfc4514_string(),
            names=_names(parsed, x509),
            **_expiry(not_after),
            fingerprint_sha256=_fingerprint(der),
            signature_hash=parsed.signature_hash_algorithm.name if parsed.signature_hash_algorithm else "",
        )
    except Exception:  # noqa: BLE001  a server may send anything as a certificate
        return Certificate(fingerprint_sha256=_fingerprint(der))


def _names(parsed: Any, x509: Any) -> list[str]:
    try:
        extension = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    names = extension.get_values_for_type(x509.DNSName)
    return [*names, *(str(address) for address in extension.get_values_for_type(x509.IPAddress))][:MOST_NAMES]


def _parse_with_ssl(der: bytes, parsed: dict[str, Any]) -> Certificate:
    """Without cryptography only a trusted certificate can be parsed."""
    if not parsed:
        return Certificate(fingerprint_sha256=_fingerprint(der))
    end = datetime.fromtimestamp(ssl.cert_time_to_seconds(parsed["notAfter"]), timezone.utc)
    return Certificate(
        subject=_distinguished_name(parsed.get("subject", ())),
        issuer=_distinguished_name(parsed.get("issuer", ())),
        names=[value for kind, value in parsed.get("subjectAltName", ()) if kind in ("DNS", "IP Address")],
        **_expiry(end),
        fingerprint_sha256=_fingerprint(der),
    )


def _distinguished_name(parts: Any) -> str:
    return ",".join(f"{key}={value}" for part in parts for key, value in part)


def _expiry(end: datetime) -> dict[str, Any]:
    remaining = end - datetime.now(timezone.utc)
    return {"not_after": end.strftime("%Y-%m-%dT%H:%M:%SZ"), "days_left": remaining.days}


def _fingerprint(der: bytes) -> str:
    return hashlib.sha256(der).hexdigest()
