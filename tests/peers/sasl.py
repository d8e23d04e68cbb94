# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server's side of signing in with a password, right or deliberately wrong."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import hashlib
import hmac
from collections.abc import Callable, Mapping

from peers.scripted import Login

# Sends a challenge and returns the client's response.
Ask = Callable[[bytes], bytes]

ENOUGH_ITERATIONS = 100_000


class BadResponse(Exception):
    """The client's response cannot be understood, or it gave up."""


@dataclasses.dataclass(frozen=True)
class Faults:
    """What the server does wrong while somebody signs in."""

    iterations: int = 4096  # of SCRAM; the server does no work above ENOUGH_ITERATIONS
    wrong_signature: bool = False  # SCRAM: the server does not prove that it knows the password
    no_signature: bool = False  # SCRAM: the server accepts without any proof
    wrong_nonce: bool = False  # SCRAM: the server's nonce does not continue the client's
    short_nonce: bool = False  # SCRAM: the server's nonce is the client's, with nothing added
    first: bytes | None = None  # SCRAM: the server's first message, word for word
    challenge: str | None = None  # the first challenge as it is on the wire, instead of base64
    challenges: int = 0  # this many empty challenges too many; -1: without end

    def ask(self, ask: Ask) -> Ask:
        """Puts the superfluous challenges before the first one."""
        left = self.challenges

        def asking(challenge: bytes) -> bytes:
            nonlocal left
            while left:
                left -= 1
                ask(b"")
            return ask(challenge)

        return asking


@dataclasses.dataclass(frozen=True)
class Exchange:
    """What a mechanism works with."""

    login: Login
    users: Mapping[str, str]
    ask: Ask
    initial: bytes | None
    faults: Faults

    def first(self) -> bytes:
        """The client's first response."""
        return self.ask(b"") if self.initial is None or self.faults.challenges else self.initial

    def knows(self, username: str, password: str) -> bool:
        """Whether these belong together; remembers them."""
        self.login.username, self.login.password = username, password
        return self.users.get(username) == password


def decode(text: str) -> bytes:
    """Base64 as SASL has it: `=` is an empty response, `*` gives up."""
    if text == "*":
        raise BadResponse("cancelled")
    try:
        return b"" if text == "=" else base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadResponse("not base64") from error


def encode(data: bytes) -> str:
    """Base64 in one line."""
    return base64.b64encode(data).decode()


def plain(exchange: Exchange) -> bool:
    """RFC 4616."""
    parts = exchange.first().decode(errors="replace").split("\0")
    if len(parts) != 3:
        raise BadResponse("not three parts")
    return exchange.knows(parts[1], parts[2])


def login(exchange: Exchange) -> bool:
    """User name and password, one after the other."""
    initial = exchange.initial
    username = exchange.ask(b"Username:") if initial is None else initial
    return exchange.knows(username.decode(errors="replace"), exchange.ask(b"Password:").decode(errors="replace"))


def cram_md5(exchange: Exchange) -> bool:
    """RFC 2195."""
    challenge = b"<1.1@localhost>"
    username, _space, digest = exchange.ask(challenge).decode(errors="replace").rpartition(" ")
    exchange.login.username = username
    password = exchange.users.get(username, "").encode()
    return bool(password) and digest == hmac.new(password, challenge, "md5").hexdigest()


def scram(exchange: Exchange, digest: str) -> bool:
    """RFC 5802 without channel binding."""
    flags, bare = _split_first(exchange.first())
    fields = _fields(bare)
    username = fields.get("n", "").replace("=2C", ",").replace("=3D", "=")
    exchange.login.username = username
    salt, nonce = b"example salt 16.", _nonce(fields.get("r", ""), exchange.faults)
    first = f"r={nonce},s={encode(salt)},i={exchange.faults.iterations}".encode()
    first = first if exchange.faults.first is None else exchange.faults.first
    final = exchange.ask(first)
    without_proof, _comma, proof = final.rpartition(b",p=")
    if not flags or not proof or exchange.faults.iterations > ENOUGH_ITERATIONS:
        return False
    salted = hashlib.pbkdf2_hmac(
        digest, exchange.users.get(username, "").encode(), salt, max(1, exchange.faults.iterations)
    )
    signed = b",".join([bare.encode(), first, without_proof])
    expected = _proof(salted, digest, signed)
    if username not in exchange.users or not hmac.compare_digest(decode(proof.decode()), expected):
        return False
    return _prove_ourselves(exchange, salted, digest, signed)


def _prove_ourselves(exchange: Exchange, salted: bytes, digest: str, signed: bytes) -> bool:
    if exchange.faults.no_signature:
        return True
    key = hmac.digest(salted, b"Server Key", digest)
    signature = hmac.digest(b"wrong" if exchange.faults.wrong_signature else key, signed, digest)
    exchange.ask(b"v=" + base64.b64encode(signature))
    return True


def _proof(salted: bytes, digest: str, signed: bytes) -> bytes:
    key = hmac.digest(salted, b"Client Key", digest)
    signature = hmac.digest(hashlib.new(digest, key).digest(), signed, digest)
    return bytes(one ^ other for one, other in zip(key, signature, strict=True))


def _split_first(message: bytes) -> tuple[str, str]:
    flag, identity, bare = (*message.decode(errors="replace").split(",", 2), "", "")[:3]
    return flag + identity, bare


def _fields(message: str) -> dict[str, str]:
    return {part[0]: part[2:] for part in message.split(",") if part[1:2] == "="}


def _nonce(client: str, faults: Faults) -> str:
    if faults.wrong_nonce:
        return "quite-another-nonce"
    return client if faults.short_nonce else client + "-and-the-server-s"


MECHANISMS: dict[str, Callable[[Exchange], bool]] = {
    "PLAIN": plain,
    "LOGIN": login,
    "CRAM-MD5": cram_md5,
    "SCRAM-SHA-1": lambda exchange: scram(exchange, "sha1"),
    "SCRAM-SHA-256": lambda exchange: scram(exchange, "sha256"),
}
