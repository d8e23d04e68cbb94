# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The SASL mechanisms for passwords, the safest first."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Collection

from .._connector.redaction import Redaction
from .._connector.secret import Secret
from .._verdict.observation import Observation, ProbeError, probe_error
from .mechanism import Mechanism
from .refusal import SCRAM_ERRORS
from .saslprep import saslprep

MIN_ITERATIONS = 4096
MAX_ITERATIONS = 200_000


class Scram(Mechanism):
    """SCRAM (RFC 5802, RFC 7677): the password is not sent, and the server proves that it knows it too."""

    hash_name: str

    def __init__(
        self, username: str, secret: Secret, nonce: str | None = None, *, redact: Redaction | None = None
    ) -> None:
        super().__init__(username, secret, redact=redact)
        self._nonce = nonce or base64.b64encode(os.urandom(18)).decode("ascii")
        self._expected_signature: bytes | None = None
        self._is_server_verified = False

    def initial_response(self) -> bytes:
        return b"n,," + self._client_first_bare()

    def respond(self, challenge: bytes, /) -> bytes:
        if self._expected_signature is None:
            return self._client_final(challenge)
        self._verify_server_final(challenge)
        return b""

    def verify_server(self) -> None:
        if not self._is_server_verified:
            raise probe_error("server_signature", "the server did not prove that it knows the password")

    def _client_first_bare(self) -> bytes:
        name = saslprep(self.username, "username").replace("=", "=3D").replace(",", "=2C")
        return f"n={name},r={self._nonce}".encode()

    def _client_final(self, server_first: bytes) -> bytes:
        nonce, salt, iterations = self._parse_server_first(server_first)
        self.has_used_secret = True
        without_proof = b"c=biws,r=" + nonce
        message = b",".join((self._client_first_bare(), server_first, without_proof))
        password = saslprep(self.secret.reveal(), "password").encode()
        salted = hashlib.pbkdf2_hmac(self.hash_name, password, salt, iterations)
        client_key = self._mac(salted, b"Client Key")
        signature = self._mac(hashlib.new(self.hash_name, client_key).digest(), message)
        proof = bytes(one ^ other for one, other in zip(client_key, signature))
        self._expected_signature = self._mac(self._mac(salted, b"Server Key"), message)
        return without_proof + b",p=" + base64.b64encode(proof)

    def _parse_server_first(self, server_first: bytes) -> tuple[bytes, bytes, int]:
        attributes = _parse_attributes(server_first)
        if b"m" in attributes:
            raise probe_error("protocol", "the SCRAM challenge requires an unknown extension")
        try:
            nonce, iterations = attributes[b"r"], _parse_iterations(attributes[b"i"])
            salt = base64.b64decode(attributes[b"s"], validate=True)
        except (KeyError, ValueError, binascii.Error):
            raise probe_error("protocol", "the SCRAM challenge is malformed") from None
        if not nonce.startswith(self._nonce.encode()) or len(nonce) <= len(self._nonce):
            raise probe_error("protocol", "the SCRAM challenge is not for this sign-in")
        if not MIN_ITERATIONS <= iterations <= MAX_ITERATIONS:
            raise probe_error(
                "protocol", f"the SCRAM iteration count is not between {MIN_ITERATIONS} and {MAX_ITERATIONS}"
            )
        return nonce, salt, iterations

    def _verify_server_final(self, server_final: bytes) -> None:
        attributes = _parse_attributes(server_final)
        if b"e" in attributes:
            error = attributes[b"e"].decode("utf-8", "replace")
            known = error if error in SCRAM_ERRORS else ""
            raise ProbeError(
                Observation(
                    "refused_proof", enhanced=known, text=f"the server refuses: {self.redact(attributes[b'e'])}"
                )
            )
        try:
            signature = base64.b64decode(attributes[b"v"], validate=True)
        except (KeyError, binascii.Error):
            raise probe_error("server_signature", "the server did not prove that it knows the password") from None
        if not hmac.compare_digest(signature, self._expected_signature or b""):
            raise probe_error("server_signature", "the server's proof that it knows the password is wrong")
        self._is_server_verified = True

    def _mac(self, key: bytes, message: bytes) -> bytes:
        return hmac.new(key, message, self.hash_name).digest()


def _parse_iterations(text: bytes) -> int:
    if not text.isdigit():
        raise ValueError
    return int(text[:10])


def _parse_attributes(message: bytes) -> dict[bytes, bytes]:
    return {part[:1]: part[2:] for part in message.split(b",") if part[1:2] == b"="}


class ScramSha256(Scram):
    """SCRAM with SHA-256."""

    name = "SCRAM-SHA-256"
    hash_name = "sha256"


class ScramSha1(Scram):
    """SCRAM with SHA-1, which is still secure for this use."""

    name = "SCRAM-SHA-1"
    hash_name = "sha1"


class Plain(Mechanism):
    """User and password in one message (RFC 4616)."""

    name = "PLAIN"

    def initial_response(self) -> bytes:
        username, password = saslprep(self.username, "username"), saslprep(self.secret.reveal(), "password")
        self.has_used_secret = True
        return f"\0{username}\0{password}".encode()

    def respond(self, _challenge: bytes, /) -> bytes:
        raise probe_error("protocol", "the server sent an unexpected challenge")


class Login(Mechanism):
    """User and password in two responses; never standardised, widely offered."""

    name = "LOGIN"

    def __init__(self, username: str, secret: Secret, *, redact: Redaction | None = None) -> None:
        super().__init__(username, secret, redact=redact)
        self._responses = [saslprep(username, "username"), saslprep(secret.reveal(), "password")]

    def respond(self, _challenge: bytes, /) -> bytes:
        if not self._responses:
            raise probe_error("protocol", "the server sent an unexpected challenge")
        response = self._responses.pop(0).encode()
        self.has_used_secret = not self._responses
        return response


class CramMd5(Mechanism):
    """A keyed hash of a challenge (RFC 2195); outdated, so it is used only if `mechanisms` lists it."""

    name = "CRAM-MD5"

    def __init__(self, username: str, secret: Secret, *, redact: Redaction | None = None) -> None:
        super().__init__(username, secret, redact=redact)
        self._is_answered = False

    def respond(self, challenge: bytes, /) -> bytes:
        if self._is_answered:
            raise probe_error("protocol", "the server sent an unexpected challenge")
        self._is_answered = self.has_used_secret = True
        digest = hmac.new(self.secret.reveal().encode(), challenge, "md5").hexdigest()
        return f"{self.username} {digest}".encode()


BY_PREFERENCE: tuple[type[Mechanism], ...] = (ScramSha256, ScramSha1, Plain, Login)
SENDS_PASSWORD = ("PLAIN", "LOGIN")
"""Mechanisms that send the password itself."""
ONLY_IF_LISTED: tuple[type[Mechanism], ...] = (CramMd5,)


def choose_password_mechanism(offered: Collection[str], allowed: Collection[str]) -> type[Mechanism]:
    """The safest mechanism that is offered and allowed."""
    for mechanism in (*BY_PREFERENCE, *ONLY_IF_LISTED):
        is_allowed = mechanism.name in allowed if allowed else mechanism in BY_PREFERENCE
        if is_allowed and mechanism.name in offered:
            return mechanism
    raise probe_error("no_mechanism", "the server offers no mechanism that the connector may use")
