# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Load an application's certificate and key from PEM text or a PFX file."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from .._errors import MissingLibrary
from .._verdict.observation import probe_error

LARGEST_FILE = 1024 * 1024

_KEY = re.compile(rb"-----BEGIN ((?:[A-Z]+ )?PRIVATE KEY)-----.*?-----END \1-----", re.DOTALL)
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


class KeyPair(NamedTuple):
    """A certificate and its key, as PEM. The representation does not show the key."""

    key: str
    certificate: str

    def __repr__(self) -> str:
        return "KeyPair()"


def load_key_pair(data: bytes, passphrase: str, field: str) -> KeyPair:
    """Load an RSA key and the certificate that belongs to it; error messages name `field`."""
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    except ImportError as missing:
        raise MissingLibrary("cryptography", "to sign in with a certificate", str(missing)) from None

    secret = passphrase.encode() or None
    key, certificates = (_parse_pem if b"-----BEGIN" in data else _parse_pfx)(data, secret, field)
    if not isinstance(key, RSAPrivateKey):
        raise probe_error("config", f"{field}: the key must be an RSA key")
    encoding = serialization.Encoding.PEM
    public = (encoding, serialization.PublicFormat.SubjectPublicKeyInfo)
    own = key.public_key().public_bytes(*public)
    matching = [each for each in certificates if each.public_key().public_bytes(*public) == own]
    if not matching:
        raise probe_error("config", f"{field}: there is no certificate that belongs to the key")
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return KeyPair(private.decode("ascii"), matching[0].public_bytes(encoding).decode("ascii"))


def read_file(path: str, field: str) -> bytes:
    """Read the file that a field names."""
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise probe_error(
            "config", f"{field} {path} cannot be read: {error.strerror or type(error).__name__}"
        ) from None
    if len(data) > LARGEST_FILE:
        raise probe_error("config", f"{field} {path} is larger than {LARGEST_FILE} octets")
    return data


def _parse_pem(data: bytes, passphrase: bytes | None, field: str) -> tuple[Any, list[Any]]:
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    block = _KEY.search(data)
    if block is None:
        raise probe_error("config", f"{field}: there is no private key")
    is_encrypted = b"ENCRYPTED" in block.group(0)
    if is_encrypted and passphrase is None:
        raise probe_error("config", f"{field}: the key is encrypted, and there is no certificate_passphrase")
    try:
        key = serialization.load_pem_private_key(block.group(0), passphrase if is_encrypted else None)
        certificates = [x509.load_pem_x509_certificate(each) for each in _CERTIFICATE.findall(data)]
    except Exception:  # noqa: BLE001  a file may hold anything, and the library's error may quote it
        raise probe_error("config", f"{field}: {_parse_error(is_encrypted)}") from None
    return key, certificates


def _parse_pfx(data: bytes, passphrase: bytes | None, field: str) -> tuple[Any, list[Any]]:
    from cryptography.hazmat.primitives.serialization import pkcs12

    try:
        key, certificate, others = pkcs12.load_key_and_certificates(data, passphrase)
    except Exception:  # noqa: BLE001  a file may hold anything, and the library's error may quote it
        raise probe_error("config", f"{field}: {_parse_error(True)}") from None
    if key is None:
        raise probe_error("config", f"{field}: there is no private key")
    return key, [each for each in (certificate, *others) if each is not None]


def _parse_error(may_be_encrypted: bool) -> str:
    if may_be_encrypted:
        return "it is damaged, it is neither PEM nor PFX, or certificate_passphrase is wrong"
    return "the key or the certificate is damaged"
