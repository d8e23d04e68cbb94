# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The ways to sign in with a password, the safest first."""

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

FEWEST_ITERATIONS = 4096
MOST_ITERATIONS = 200_000


class Scram(Mechanism):
    """SCRAM (RFC 5802, RFC 7677): the password is not sent, and the server proves that it knows it."""

    hash_name: str

    def __init__(
        self, username: str, secret: Secret, nonce: str | None = None, *, redact: Redaction | None = None
    ) -> None:
        super().__init__(username, secret, redact=redact)
        self._nonce = nonce or base64.b64encode(os.urandom(18)).decode("ascii")
        self._expected_signature: bytes | None = None
        self._is_proven = False

    def first(self) -> bytes:
        return b"n,," + self._first_bare()

    def answer(self, challenge: bytes, /) -> bytes:
        if self._expected_signature is None:
            return self._final(challenge)
        self._check_signature(challenge)
        return b""

    def succeeded(self) -> None:
        if not self._is_proven:
            raise probe_error("server_signature", "the server did not prove that it knows the password")

    def _first_bare(self) -> bytes:
        name = saslprep(self.username, "username").replace("=", "=3D").replace(",", "=2C")
        return f"n={name},r={self._nonce}".encode()

    def _final(self, server_first: bytes) -> bytes:
        nonce, salt, iterations = self._parse(server_first)
        self.has_used_secret = True
        without_proof = b"c=biws,r=" + nonce
        message = b",".join((self._first_bare(), server_first, without_proof))
        password = saslprep(self.secret.reveal(), "password").encode()
        salted = hashlib.pbkdf2_hmac(self.hash_name, password, salt, iterations)
        client_key = self._mac(salted, b"Client Key")
        signature = self._mac(hashlib.new(self.hash_name, client_key).digest(), message)
        proof = bytes(one ^ other for one, other in zip(client_key, signature))
        self._expected_signature = self._mac(self._mac(salted, b"Server Key"), message)
        return without_proof + b",p=" + base64.b64encode(proof)

    def _parse(self, server_first: bytes) -> tuple[bytes, bytes, int]:
        fields = _fields(server_first)
        if b"m" in fields:
            raise probe_error("protocol", "a SCRAM challenge with an extension that no client understands")
        try:
            nonce, iterations = fields[b"r"], _count(fields[b"i"])
            salt = base64.b64decode(fields[b"s"], validate=True)
        except (KeyError, ValueError, binascii.Error):
            raise probe_error("protocol", "a malformed SCRAM challenge") from None
        if not nonce.startswith(self._nonce.encode()) or len(nonce) <= len(self._nonce):
            raise probe_error("protocol", "a SCRAM challenge that was not made for this sign-in")
        if not FEWEST_ITERATIONS <= iterations <= MOST_ITERATIONS:
            raise probe_error(
                "protocol", f"a SCRAM challenge outside of {FEWEST_ITERATIONS} to {MOST_ITERATIONS} iterations"
            )
        return nonce, salt, iterations

    def _check_signature(self, server_final: bytes) -> None:
        fields = _fields(server_final)
        if b"e" in fields:
            error = fields[b"e"].decode("utf-8", "replace")
            known = error if error in SCRAM_ERRORS else ""
            raise ProbeError(
                Observation("refused_proof", enhanced=known, text=f"the server refuses: {self.redact(fields[b'e'])}")
            )
        try:
            signature = base64.b64decode(fields[b"v"], validate=True)
        except (KeyError, binascii.Error):
            raise probe_error("server_signature", "the server did not prove that it knows the password") from None
        if not hmac.compare_digest(signature, self._expected_signature or b""):
            raise probe_error("server_signature", "the server's proof that it knows the password is wrong")
        self._is_proven = True

    def _mac(self, key: bytes, message: bytes) -> bytes:
        return hmac.new(key, message, self.hash_name).digest()


def _count(text: bytes) -> int:
    if not text.isdigit():
        raise ValueError
    return int(text[:10])


def _fields(message: bytes) -> dict[bytes, bytes]:
    return {part[:1]: part[2:] for part in message.split(b",") if part[1:2] == b"="}


class ScramSha256(Scram):
    """SCRAM with SHA-256."""

    name = "SCRAM-SHA-256"
    hash_name = "sha256"


class ScramSha1(Scram):
    """SCRAM with SHA-1, which is still sound for this use."""

    name = "SCRAM-SHA-1"
    hash_name = "sha1"


class Plain(Mechanism):
    """User and password in one message (RFC 4616)."""

    name = "PLAIN"

    def first(self) -> bytes:
        username, password = saslprep(self.username, "username"), saslprep(self.secret.reveal(), "password")
        self.has_used_secret = True
        return f"\0{username}\0{password}".encode()

    def answer(self, _challenge: bytes, /) -> bytes:
        raise probe_error("protocol", "a challenge where none belongs")


class Login(Mechanism):
    """User and password one after the other; never standardised, widely offered."""

    name = "LOGIN"

    def __init__(self, username: str, secret: Secret, *, redact: Redaction | None = None) -> None:
        super().__init__(username, secret, redact=redact)
        self._answers = [saslprep(username, "username"), saslprep(secret.reveal(), "password")]

    def answer(self, _challenge: bytes, /) -> bytes:
        if not self._answers:
            raise probe_error("protocol", "a challenge where none belongs")
        answer = self._answers.pop(0).encode()
        self.has_used_secret = not self._answers
        return answer


class CramMd5(Mechanism):
    """A keyed hash of a challenge (RFC 2195); outdated, and only used where it is named."""

    name = "CRAM-MD5"

    def __init__(self, username: str, secret: Secret, *, redact: Redaction | None = None) -> None:
        super().__init__(username, secret, redact=redact)
        self._is_answered = False

    def answer(self, challenge: bytes, /) -> bytes:
        if self._is_answered:
            raise probe_error("protocol", "a challenge where none belongs")
        self._is_answered = self.has_used_secret = True
        digest = hmac.new(self.secret.reveal().encode(), challenge, "md5").hexdigest()
        return f"{self.username} {digest}".encode()


BY_PREFERENCE: tuple[type[Mechanism], ...] = (ScramSha256, ScramSha1, Plain, Login)
REVEALING = ("PLAIN", "LOGIN")
"""Those that send the password itself."""
ONLY_WHERE_NAMED: tuple[type[Mechanism], ...] = (CramMd5,)


def choose(offered: Collection[str], allowed: Collection[str]) -> type[Mechanism]:
    """The safest mechanism that is offered and may be used."""
    for mechanism in (*BY_PREFERENCE, *ONLY_WHERE_NAMED):
        may_be_used = mechanism.name in allowed if allowed else mechanism in BY_PREFERENCE
        if may_be_used and mechanism.name in offered:
            return mechanism
    raise probe_error("no_mechanism", "no common way to sign in")
