# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signed JSON Web Tokens, made and checked without the libraries that the collection's clients use."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

PADDINGS: Mapping[str, Any] = {
    "RS256": padding.PKCS1v15(),
    "PS256": padding.PSS(padding.MGF1(hashes.SHA256()), hashes.SHA256.digest_size),
}


class NotAToken(Exception):
    """It is not a signed JSON Web Token."""


@dataclasses.dataclass(frozen=True, repr=False)
class Jwt:
    """A token that has been read, and not checked yet."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    signed_part: bytes
    signature: bytes

    def is_signed_by(self, key: rsa.RSAPublicKey) -> bool:
        """Whether the signature was made with this key, in one of the ways that are known here."""
        if self.header.get("alg") not in PADDINGS:
            return False
        try:
            key.verify(self.signature, self.signed_part, PADDINGS[self.header["alg"]], hashes.SHA256())
        except InvalidSignature:
            return False
        return True

    def is_current(self, now: float, leeway: float = 300.0) -> bool:
        """Whether the token may be used at this time; one without an end may not."""
        end = self.claims.get("exp")
        begin = self.claims.get("nbf", self.claims.get("iat", now))
        if not isinstance(end, (int, float)) or not isinstance(begin, (int, float)):
            return False
        return begin - leeway <= now < end + leeway


def signed(
    claims: Mapping[str, Any], key: rsa.RSAPrivateKey, header: Mapping[str, Any] | None = None, alg: str = "RS256"
) -> str:
    """A token with these claims."""
    parts = ({"typ": "JWT", "alg": alg, **(header or {})}, claims)
    text = ".".join(encoded(json.dumps(part).encode()) for part in parts)
    return f"{text}.{encoded(key.sign(text.encode(), PADDINGS[alg], hashes.SHA256()))}"


def read(token: str) -> Jwt:
    """The parts of a token."""
    try:
        header, claims, signature = token.split(".")
        parts = [json.loads(decoded(part)) for part in (header, claims)]
        if not all(isinstance(part, dict) for part in parts):
            raise NotAToken("header and claims must be objects")
        return Jwt(parts[0], parts[1], f"{header}.{claims}".encode(), decoded(signature))
    except ValueError as error:
        raise NotAToken("that is no JSON Web Token") from error


def encoded(data: bytes) -> str:
    """Base64 for addresses, without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    """What `encoded` was given; padding is tolerated."""
    try:
        return base64.urlsafe_b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4))
    except binascii.Error as error:
        raise ValueError("that is not base64") from error


def public_jwk(key: rsa.RSAPublicKey, kid: str) -> dict[str, str]:
    """A key as servers publish it."""
    numbers = key.public_numbers()
    exponent, modulus = (encoded(one.to_bytes((one.bit_length() + 7) // 8, "big")) for one in (numbers.e, numbers.n))
    return {"kty": "RSA", "use": "sig", "kid": kid, "e": exponent, "n": modulus}
