# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A token endpoint as any provider may have one: client credentials, and nothing else."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import json
import secrets
import uuid
from collections.abc import Callable, Collection, Mapping
from typing import Any
from urllib.parse import unquote_plus

from peers.ca import CertificateZoo
from peers.https import Failure, HttpsServer, Request, Response, Route, as_json
from peers.tokens import MAIL, Permission, Tokens


@dataclasses.dataclass(frozen=True, repr=False)
class Client:
    """A client, and what its tokens open."""

    scopes: Collection[str] = ("mail",)
    mailboxes: Collection[str] | None = None
    # A provider may allow any characters; these change when they are not encoded.
    client_id: str = dataclasses.field(default_factory=lambda: f"client-{uuid.uuid4().hex[:8]}")
    secret: str = dataclasses.field(default_factory=lambda: f"s+%41:/{secrets.token_urlsafe(24)}")


def _refusals(*rows: tuple[str, int, str]) -> dict[str, Failure | None]:
    return {name: Failure(name, status, name, text) for name, status, text in rows}


ANSWERS: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "no_access_token": lambda body: {name: value for name, value in body.items() if name != "access_token"},
    "lower_case_bearer": lambda body: {**body, "token_type": "bearer"},
    "no_expires_in": lambda body: {name: value for name, value in body.items() if name != "expires_in"},
}


class TokenUrl(HttpsServer):
    """Tokens for clients that show their secret in a header (RFC 6749, 2.3.1) or in the body."""

    SCENARIOS: Mapping[str, Failure | None] = {
        **_refusals(
            ("invalid_request", 400, "A parameter is missing."),
            ("invalid_client", 401, "The client is unknown or its secret is wrong."),
            ("invalid_grant", 400, "The grant is not valid."),
            ("unauthorized_client", 400, "This client may not use this grant type."),
            ("unsupported_grant_type", 400, "The grant type is not supported."),
            ("invalid_scope", 400, "The scope is unknown."),
            ("server_error", 500, "Something went wrong."),
            ("temporarily_unavailable", 503, "Try again later."),
        ),
        "error_description_missing": Failure("error_description_missing", 401, "invalid_client"),
        **dict.fromkeys(ANSWERS),
    }

    def __init__(self, zoo: CertificateZoo, tokens: Tokens | None = None, *, certificate: str = "good") -> None:
        super().__init__(zoo, certificate=certificate)
        self.tokens = tokens or Tokens()
        self.accepts: Collection[str] = {"basic", "body"}
        self.clients: dict[str, Client] = {}

    @property
    def endpoint(self) -> str:
        """The whole address."""
        return f"{self.url}/oauth/token"

    def add_client(self, **options: Any) -> Client:
        """Registers a client."""
        client = Client(**options)
        self.clients[client.client_id] = client
        return client

    def routes(self) -> tuple[Route, ...]:
        """The endpoint."""
        return (Route("token", "POST", "/oauth/token", self._token),)

    def who(self, request: Request) -> str:
        """The client id."""
        return _from_header(request)[0] or request.form.get("client_id", "")

    def fail_as(self, name: str, request: Request, answer: Callable[[Request], Response]) -> Response:
        """A refusal, or a token answer with a flaw."""
        failure = self.SCENARIOS[name]
        if not failure:
            return as_json(ANSWERS[name](json.loads(answer(request).body)))
        asked = {"WWW-Authenticate": 'Basic realm="tokens"'} if failure.status == 401 else {}
        text = {"error_description": failure.text} if failure.text else {}
        return as_json({"error": failure.code, **text}, failure.status, asked)

    def _token(self, request: Request) -> Response:
        client, reason = self._client(request), ""
        form = request.form
        scopes = form.get("scope", "").split()
        if not client:
            reason = "invalid_client"
        elif form.get("grant_type") != "client_credentials":
            reason = "unsupported_grant_type"
        elif not set(scopes) <= set(client.scopes):
            reason = "invalid_scope"
        if reason or not client:
            return self.fail_as(reason, request, self._token)
        scope = " ".join(scopes or client.scopes)
        claims = {"iss": self.url, "sub": client.client_id, "client_id": client.client_id, "scope": scope}
        token = self.tokens.issue(claims, Permission(MAIL, client.mailboxes))
        return as_json({"access_token": token, "token_type": "Bearer", "expires_in": 3600, "scope": scope})

    def _client(self, request: Request) -> Client | None:
        name, secret = _from_header(request)
        way = "basic" if name else "body"
        if way == "body":
            name, secret = request.form.get("client_id", ""), request.form.get("client_secret", "")
        client = self.clients.get(name)
        return client if client and way in self.accepts and client.secret == secret else None


def _from_header(request: Request) -> tuple[str, str]:
    scheme, _space, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        name, _colon, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return unquote_plus(name), unquote_plus(secret)
