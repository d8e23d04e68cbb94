# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Access tokens: who issued them does not matter here, only what they permit."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import secrets
import threading
import time
from collections.abc import Collection, Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from peers import jose
from peers.https import HttpsServer, Request, Response, Route, as_json

SHORT = 1024  # bits of a key: making, reading and using one of 2048 takes six times as long
MAIL = ("imap", "smtp")  # the services of the mail server, as Dovecot calls them


@dataclasses.dataclass(frozen=True, repr=False)
class Permission:
    """What a token permits, beyond what its claims say."""

    services: Collection[str] = ()  # of the mail server
    mailboxes: Collection[str] | None = None  # None: all
    rbac: Mapping[str, Collection[str]] = dataclasses.field(default_factory=dict)

    def opens(self, mailbox: str) -> bool:
        """Whether this mailbox is among those."""
        return self.mailboxes is None or mailbox.lower() in {one.lower() for one in self.mailboxes}


@dataclasses.dataclass(frozen=True, repr=False)
class Issued:
    """A token that was issued."""

    claims: Mapping[str, Any]
    permission: Permission

    def is_current(self) -> bool:
        """Whether it may still be used."""
        return bool(self.claims["exp"] > time.time())


class Tokens:
    """Issues access tokens and remembers them."""

    def __init__(self) -> None:
        self._issued: dict[str, Issued] = {}
        self._lock = threading.Lock()

    def issue(
        self,
        claims: Mapping[str, Any],
        permission: Permission = Permission(),
        *,
        lifetime: float = 3600,
        opaque: bool = False,
        forged: bool = False,
    ) -> str:
        """A new token; a forged one is signed with another key, and nobody knows it."""
        now = int(time.time())
        lasting = {"iat": now, "nbf": now, "exp": int(now + lifetime), "uti": secrets.token_urlsafe(16), **claims}
        token = f"opaque-{secrets.token_urlsafe(48)}"
        if not opaque:
            token = jose.signed(lasting, _other_key() if forged else key(), {"kid": "test"})
        if not forged:
            with self._lock:
                self._issued[token] = Issued(lasting, permission)
        return token

    def find(self, token: str) -> Issued | None:
        """What is known of a token."""
        with self._lock:
            return self._issued.get(token)

    def sign_in(self, token: str, service: str, mailbox: str) -> bool:
        """Whether the token signs in to this service of the mail server, as this user."""
        issued = self.find(token)
        if not issued or not issued.is_current():
            return False
        return service in issued.permission.services and issued.permission.opens(mailbox)

    def forget(self) -> None:
        """No token is valid any more."""
        with self._lock:
            self._issued.clear()


def key() -> rsa.RSAPrivateKey:
    """What tokens are signed with; made when it is needed first."""
    return _named("tokens")


def _other_key() -> rsa.RSAPrivateKey:
    return _named("others")


_NUMBERS = itertools.cycle("123456")


def new_key(bits: int = SHORT) -> rsa.RSAPrivateKey:
    """A key for signatures, another than the last ones; making one takes long, so they come round again."""
    return _named(next(_NUMBERS), bits)


@functools.cache
def _named(name: str, bits: int = SHORT) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


class Introspection(HttpsServer):
    """Tells Dovecot over plain HTTP whether a token signs in; the path names the service and the user."""

    def __init__(self, tokens: Tokens, *, port: int = 0) -> None:
        super().__init__(None, port=port)
        self.tokens = tokens

    def routes(self) -> tuple[Route, ...]:
        """What Dovecot asks."""
        return (Route("introspect", "POST", "/introspect/([^/]+)/([^/]+)", self._introspect),)

    def who(self, request: Request) -> str:
        """The mailbox."""
        return request.arguments[1] if request.arguments else ""

    def _introspect(self, request: Request, service: str, mailbox: str) -> Response:
        if not self.tokens.sign_in(request.form.get("token", ""), service, mailbox):
            return as_json({"active": False})
        return as_json({"active": True, "email": mailbox, "scope": "mail"})
