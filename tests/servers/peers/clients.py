# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Simple clients to try the peers with."""

from __future__ import annotations

import base64
import hashlib
import hmac
import imaplib
import smtplib
from collections.abc import Callable

from peers.ca import CertificateZoo
from peers.users import USERS

MECHANISMS = ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256")
ALICE = USERS["alice"]
SECONDS = 60.0

Answer = Callable[[bytes], bytes]


def answering(mechanism: str, username: str, password: str) -> Answer:
    """What a client says to the challenges of a mechanism, in turn."""
    user, secret = username.encode(), password.encode()
    if mechanism == "PLAIN":
        return lambda challenge: b"\0" + user + b"\0" + secret
    if mechanism == "LOGIN":
        words = iter([user, secret])
        return lambda challenge: next(words)
    if mechanism == "CRAM-MD5":
        return lambda challenge: user + b" " + hmac.new(secret, challenge, "md5").hexdigest().encode()
    return Scram(user, secret, {"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256"}[mechanism])


class Scram:
    """RFC 5802, and whether the server has proven itself."""

    def __init__(self, user: bytes, secret: bytes, digest: str) -> None:
        self.bare = b"n=" + user + b",r=0123456789abcdef"
        self.secret = secret
        self.digest = digest
        self.expected = b""
        self.proven = False

    def __call__(self, challenge: bytes) -> bytes:
        """The next message."""
        if not challenge:
            return b"n,," + self.bare
        if challenge.startswith(b"v="):
            self.proven = base64.b64decode(challenge[2:]) == self.expected
            return b""
        fields = dict(part.split(b"=", 1) for part in challenge.split(b","))
        salt, count = base64.b64decode(fields.get(b"s", b"")), int(fields.get(b"i", b"none"))
        if count > 1_000_000:
            raise ValueError("that would take minutes")
        salted = hashlib.pbkdf2_hmac(self.digest, self.secret, salt, count)
        without_proof = b"c=biws,r=" + fields[b"r"]
        signed = b",".join([self.bare, challenge, without_proof])
        client = self._hmac(salted, b"Client Key")
        signature = self._hmac(hashlib.new(self.digest, client).digest(), signed)
        self.expected = self._hmac(self._hmac(salted, b"Server Key"), signed)
        proof = bytes(one ^ other for one, other in zip(client, signature, strict=True))
        return without_proof + b",p=" + base64.b64encode(proof)

    def _hmac(self, key: bytes, data: bytes) -> bytes:
        return hmac.digest(key, data, self.digest)


def smtp(port: int, security: str, zoo: CertificateZoo, seconds: float = SECONDS) -> smtplib.SMTP:
    """Connects, encrypts, and says EHLO."""
    client: smtplib.SMTP
    if security == "tls":
        client = smtplib.SMTP_SSL("localhost", port, timeout=seconds, context=zoo.trusting())
    else:
        client = smtplib.SMTP("localhost", port, timeout=seconds)
    if security == "starttls":
        client.starttls(context=zoo.trusting())
    client.ehlo()
    return client


def smtp_login(client: smtplib.SMTP, mechanism: str, username: str, password: str) -> int:
    """The code of the reply to an attempt to sign in."""
    answer = answering(mechanism, username, password)
    code, text = client.docmd("AUTH", mechanism)
    while code == 334:
        code, text = client.docmd(base64.b64encode(answer(base64.b64decode(text))).decode())
    return code


def imap(port: int, security: str, zoo: CertificateZoo, seconds: float = SECONDS) -> imaplib.IMAP4:
    """Connects and encrypts."""
    if security == "tls":
        return imaplib.IMAP4_SSL("localhost", port, timeout=seconds, ssl_context=zoo.trusting())
    client = imaplib.IMAP4("localhost", port, timeout=seconds)
    if security == "starttls":
        client.starttls(ssl_context=zoo.trusting())
    return client


def imap_login(client: imaplib.IMAP4, mechanism: str, username: str, password: str) -> str:
    """OK, or what the refusal says."""
    try:
        return client.authenticate(mechanism, answering(mechanism, username, password))[0]
    except imaplib.IMAP4.error as error:
        return str(error)
