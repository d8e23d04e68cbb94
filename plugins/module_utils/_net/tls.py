# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Encryption: whom to trust, and what a server's certificate says."""

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


def context_for(trust: TlsTrust) -> ssl.SSLContext:
    """The context for a kind of trust; those who trust alike share it, since making one takes long."""
    with _MAKING:
        return _made(trust)


_MAKING = threading.Lock()


@lru_cache(maxsize=64)
def _made(trust: TlsTrust) -> ssl.SSLContext:
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
            "config", f"ca_file {trust.ca_file} cannot be used: {_why(error)}", field="{block}.ca_file"
        ) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not trust.validate:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if trust.client_cert:
        try:
            context.load_cert_chain(trust.client_cert, trust.client_key or None, password="")
        except (OSError, ValueError) as error:
            text = f"client_cert {trust.client_cert} cannot be used: {_why(error)}"
            raise probe_error("config", text, field="{block}.client_cert") from None
    return context


def _why(error: Exception) -> str:
    reason = getattr(error, "strerror", None) or getattr(error, "reason", None) or str(error)
    return str(reason)


@dataclass
class Certificate:
    """What a certificate says of itself."""

    subject: str = ""
    issuer: str = ""
    names: Sequence[str] = ()
    not_after: str = ""
    days_left: int | None = None
    fingerprint_sha256: str = ""
    signature_hash: str = ""

    @classmethod
    def of(cls, connection: ssl.SSLSocket) -> Certificate:
        """The peer's certificate, trusted or not."""
        der = connection.getpeercert(binary_form=True)
        if not der:
            return cls()
        return _by_cryptography(der) or _by_standard_library(der, connection.getpeercert() or {})


def tls_facts(connection: ssl.SSLSocket, redact: Redaction) -> dict[str, Any]:
    """Version, cipher and certificate, as results show them. Anything may stand in a certificate, secrets too."""
    certificate = Certificate.of(connection)
    cipher = connection.cipher()
    facts = {"version": connection.version(), "cipher": cipher[0] if cipher else None, **vars(certificate)}
    return dict(redact.value(facts))


def _by_cryptography(der: bytes) -> Certificate | None:
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
            **_until(not_after),
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


def _by_standard_library(der: bytes, parsed: dict[str, Any]) -> Certificate:
    """Without cryptography only a certificate that is trusted can be read."""
    if not parsed:
        return Certificate(fingerprint_sha256=_fingerprint(der))
    ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(parsed["notAfter"]), timezone.utc)
    return Certificate(
        subject=_distinguished_name(parsed.get("subject", ())),
        issuer=_distinguished_name(parsed.get("issuer", ())),
        names=[value for kind, value in parsed.get("subjectAltName", ()) if kind in ("DNS", "IP Address")],
        **_until(ends),
        fingerprint_sha256=_fingerprint(der),
    )


def _distinguished_name(parts: Any) -> str:
    return ",".join(f"{key}={value}" for part in parts for key, value in part)


def _until(end: datetime) -> dict[str, Any]:
    left = end - datetime.now(timezone.utc)
    return {"not_after": end.strftime("%Y-%m-%dT%H:%M:%SZ"), "days_left": left.days}


def _fingerprint(der: bytes) -> str:
    return hashlib.sha256(der).hexdigest()
