# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keys and certificates for tests; making a key takes long, so there are two."""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID


def key(which: str = "own") -> Any:
    return _key(which)


def certificate(which: str = "own") -> x509.Certificate:
    return _certificate(which)


@lru_cache
def _key(which: str) -> Any:
    if which == "elliptic":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(65537, 2048)


@lru_cache
def _certificate(which: str) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, which)])
    now = dt.datetime.now(dt.timezone.utc)
    builder = x509.CertificateBuilder(name, name, key(which).public_key(), x509.random_serial_number())
    return (
        builder.not_valid_before(now - dt.timedelta(1))
        .not_valid_after(now + dt.timedelta(1))
        .sign(key(which), hashes.SHA256())
    )


def _lock(passphrase: str) -> serialization.KeySerializationEncryption:
    if not passphrase:
        return serialization.NoEncryption()
    return serialization.BestAvailableEncryption(passphrase.encode())


def key_pem(which: str = "own", passphrase: str = "") -> str:
    encoding, kind = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return str(key(which).private_bytes(encoding, kind, _lock(passphrase)).decode())


def certificate_pem(which: str = "own") -> str:
    return certificate(which).public_bytes(serialization.Encoding.PEM).decode()


def pfx(which: str = "own", passphrase: str = "", *, of: str = "own") -> bytes:
    return pkcs12.serialize_key_and_certificates(b"x", key(which), certificate(of), None, _lock(passphrase))


def pfx_of_certificate_only() -> bytes:
    return pkcs12.serialize_key_and_certificates(b"x", None, certificate(), None, _lock(""))
