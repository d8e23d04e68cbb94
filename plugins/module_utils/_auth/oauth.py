# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The SASL mechanisms for tokens: OAUTHBEARER (RFC 7628) and its predecessor XOAUTH2."""

from __future__ import annotations

import json
import re
from abc import abstractmethod
from collections.abc import Collection

from .._connector.redaction import Redaction
from .._connector.secret import Secret
from .._verdict.observation import Kind, Observation, probe_error
from .claims import format_claims
from .mechanism import Mechanism
from .tokens import Token

ERROR_DETAILS = ("status", "schemes", "scope")

_LONGEST_DETAIL = 200
_KIND_BY_PROVIDER: dict[str, Kind] = {"microsoft": "token_refused_microsoft", "google": "token_refused_google"}
_REFUSAL = re.compile(r"(535 (?!5\.7\.139|5\.7\.30)|NO( \[AUTHENTICATIONFAILED\])?\Z)", re.IGNORECASE)


class TokenMechanism(Mechanism):
    """One sign-in with a token. If it fails, the server sends the error as a challenge before it refuses."""

    def __init__(
        self, username: str, secret: Secret, host: str = "", port: int = 0, *, redact: Redaction | None = None
    ) -> None:
        super().__init__(username, secret, redact=redact)
        self.host = host
        self.port = port
        self.error_details: dict[str, str] = {}
        self._is_answered = False

    def check(self) -> None:
        if not self.username:
            raise probe_error("config", "there is no username to sign in with", field="{sign_in}.username")
        if not self.username.isprintable():
            raise probe_error("unfit_secret", "username has characters that cannot be used to sign in")
        token = self.secret.reveal()
        if not token or not (token.isascii() and token.isprintable()) or " " in token:
            raise probe_error("unfit_secret", "the token has characters that cannot be used to sign in")

    def initial_response(self) -> bytes:
        self.check()
        self.has_used_secret = True
        return self._message()

    def respond(self, challenge: bytes, /) -> bytes:
        """Keep the server's error; it refuses only after a dummy response."""
        if self._is_answered:
            raise probe_error("protocol", "the server sent an unexpected challenge")
        self._is_answered = True
        self.error_details = self._parse_error_details(challenge)
        return self.dummy_response

    def add_error_details(self, observation: Observation) -> Observation:
        """Add the error that the server sent as a challenge."""
        if not self.error_details:
            return observation
        details = ", ".join(f"{name} {value}" for name, value in self.error_details.items())
        return observation.with_context(text=f"{observation.text} ({details})")

    dummy_response: bytes

    @abstractmethod
    def _message(self) -> bytes:
        """The initial response with user and token."""

    def _parse_error_details(self, challenge: bytes) -> dict[str, str]:
        try:
            reason = json.loads(challenge[:4096].decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            return {}
        if not isinstance(reason, dict):
            return {}
        known = [name for name in ERROR_DETAILS if isinstance(reason.get(name), (str, int))]
        return {name: self.redact(str(reason[name]))[:_LONGEST_DETAIL] for name in known}


class OAuthBearer(TokenMechanism):
    """The standard mechanism."""

    name = "OAUTHBEARER"
    dummy_response = b"\x01"

    def _message(self) -> bytes:
        user = self.username.replace("=", "=3D").replace(",", "=2C")
        fields = [f"host={self.host}"] if self.host else []
        fields += [f"port={self.port}"] if self.port else []
        fields += [f"auth=Bearer {self.secret.reveal()}"]
        return f"n,a={user},\x01{chr(1).join(fields)}\x01\x01".encode()


class XOAuth2(TokenMechanism):
    """The older mechanism, and the only one that Exchange Online offers."""

    name = "XOAUTH2"
    dummy_response = b""

    def _message(self) -> bytes:
        return f"user={self.username}\x01auth=Bearer {self.secret.reveal()}\x01\x01".encode()


BY_PREFERENCE: tuple[type[TokenMechanism], ...] = (OAuthBearer, XOAuth2)


def choose_token_mechanism(offered: Collection[str], allowed: Collection[str]) -> type[TokenMechanism]:
    """The preferred mechanism that is offered and allowed."""
    for mechanism in BY_PREFERENCE:
        if mechanism.name in offered and (not allowed or mechanism.name in allowed):
            return mechanism
    raise probe_error("no_mechanism", "the server offers no mechanism that the connector may use")


def explain_token_refusal(observation: Observation, token: Token, provider: str) -> Observation:
    """Add the token's claims to a refusal; if the reply names no other reason, make it a refusal of the token."""
    facts = {"claims": format_claims(token.claims) or "(it is opaque)"}
    if "appid" in token.claims:
        facts["client_id"] = str(token.claims["appid"])
    observation = observation.with_context(facts=facts)
    reply = f"{observation.code or ''} {observation.enhanced}".lstrip()
    if observation.kind != "reply" or not _REFUSAL.match(reply):
        return observation
    return observation.with_context(kind=_KIND_BY_PROVIDER.get(provider, "token_refused"))
