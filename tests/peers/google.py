# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for Google's token endpoint, for service accounts."""

from __future__ import annotations

import dataclasses
import json
import time
import uuid
from collections.abc import Callable, Collection, Mapping
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from peers import jose
from peers import tokens as known
from peers.ca import CertificateZoo
from peers.https import Failure, HttpsServer, Request, Response, Route, as_json
from peers.tokens import MAIL, Permission, Tokens

MAIL_SCOPE = "https://mail.google.com/"
IMAP_SCOPE = "https://www.googleapis.com/auth/gmail.imap_admin"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LONGEST = 3600  # seconds that an assertion may be valid


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class ServiceAccount:
    """A service account, for whom it may act, and its key file."""

    email: str
    scopes: Collection[str]
    users: Collection[str] | None
    private_key: rsa.RSAPrivateKey
    key: dict[str, str]

    @property
    def client_id(self) -> str:
        """The number under which an administrator lets it act for users."""
        return self.key["client_id"]


def _refusals(*rows: tuple[str, int, str, str]) -> dict[str, Failure | None]:
    return {row[0]: Failure(*row) for row in rows}


class Google(HttpsServer):
    """Tokens for service accounts that act for users."""

    SCENARIOS: Mapping[str, Failure | None] = {
        **_refusals(
            ("unauthorized_client", 401, "unauthorized_client", "The client may not get tokens for these scopes."),
            ("invalid_grant", 400, "invalid_grant", "The signature of the assertion is not valid."),
            (
                "invalid_grant_time",
                400,
                "invalid_grant",
                "The assertion must be short-lived, with iat and exp.",
            ),
            ("invalid_grant_user", 400, "invalid_grant", "The address or user id is not valid."),
            ("invalid_client", 401, "invalid_client", "The service account was not found."),
            ("invalid_scope", 400, "invalid_scope", "A scope is empty or not valid."),
            ("invalid_request", 400, "invalid_request", "The assertion cannot be read, or its audience is wrong."),
            ("unsupported_grant_type", 400, "unsupported_grant_type", "The grant type is not known."),
            ("account_disabled", 400, "invalid_grant", "The account was deleted or disabled."),
        ),
        "no_access_token": None,
    }

    def __init__(self, zoo: CertificateZoo, tokens: Tokens | None = None, *, certificate: str = "good") -> None:
        super().__init__(zoo, certificate=certificate)
        self.tokens = tokens or Tokens()
        self.accounts: dict[str, ServiceAccount] = {}

    @property
    def token_uri(self) -> str:
        """The token endpoint."""
        return f"{self.url}/token"

    def service_account(
        self,
        email: str = "",
        scopes: Collection[str] = (MAIL_SCOPE, IMAP_SCOPE),
        users: Collection[str] | None = None,
    ) -> ServiceAccount:
        """Registers a service account; a second one with the same address replaces the first."""
        email = email or f"mail-{uuid.uuid4().hex[:8]}@example-project.iam.gserviceaccount.com"
        key = known.new_key()
        account = ServiceAccount(email, scopes, users, key, self._key_file(email, key))
        self.accounts[email] = account
        return account

    def _key_file(self, email: str, key: rsa.RSAPrivateKey) -> dict[str, str]:
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return {
            "type": "service_account",
            "project_id": "example-project",
            "private_key_id": uuid.uuid4().hex,
            "private_key": pem.decode(),
            "client_email": email,
            "client_id": str(uuid.uuid4().int)[:21],
            "auth_uri": f"{self.url}/o/oauth2/auth",
            "token_uri": self.token_uri,
            "universe_domain": "googleapis.com",
        }

    def routes(self) -> tuple[Route, ...]:
        """What Google answers."""
        return (Route("token", "POST", "/token", self._token),)

    def who(self, request: Request) -> str:
        """The service account's address."""
        try:
            return str(jose.read(request.form.get("assertion", "")).claims.get("iss", ""))
        except jose.NotAToken:
            return ""

    def fail_as(self, name: str, request: Request, answer: Callable[[Request], Response]) -> Response:
        """A refusal, or an answer that lacks the token."""
        failure = self.SCENARIOS[name]
        if failure:
            return as_json({"error": failure.code, "error_description": failure.text}, failure.status)
        good = json.loads(answer(request).body)
        return as_json({name: value for name, value in good.items() if name != "access_token"})

    def _token(self, request: Request) -> Response:
        reason = self._reason(request.form)
        if reason:
            return self.fail_as(reason, request, self._token)
        claims = jose.read(request.form["assertion"]).claims
        return as_json({"access_token": self._issue(claims), "expires_in": 3599, "token_type": "Bearer"})

    def _issue(self, claims: Mapping[str, Any]) -> str:
        scopes = claims["scope"].split()
        services = MAIL if MAIL_SCOPE in scopes else ("imap",) * (IMAP_SCOPE in scopes)
        user = claims.get("sub", claims["iss"])
        about = {"iss": self.url, "azp": claims["iss"], "sub": user, "scope": claims["scope"]}
        return self.tokens.issue(about, Permission(services, (user,)), opaque=True)

    def _reason(self, form: Mapping[str, str]) -> str:
        """Why this is refused, or nothing."""
        if form.get("grant_type") != GRANT:
            return "unsupported_grant_type"
        try:
            assertion = jose.read(form.get("assertion", ""))
        except jose.NotAToken:
            return "invalid_request"
        account = self.accounts.get(str(assertion.claims.get("iss")))
        if not account:
            return "invalid_client"
        if assertion.claims.get("aud") != self.token_uri:
            return "invalid_request"
        return _not_granted(account, assertion) or _not_delegated(account, assertion.claims)


def _not_granted(account: ServiceAccount, assertion: jose.Jwt) -> str:
    if assertion.header.get("alg") != "RS256" or not assertion.is_signed_by(account.private_key.public_key()):
        return "invalid_grant"
    return "" if _is_timely(assertion) else "invalid_grant_time"


def _is_timely(assertion: jose.Jwt) -> bool:
    claims = assertion.claims
    if not isinstance(claims.get("iat"), (int, float)) or not assertion.is_current(time.time()):
        return False
    return bool(claims["exp"] - claims["iat"] <= LONGEST)


def _not_delegated(account: ServiceAccount, claims: Mapping[str, Any]) -> str:
    scopes = str(claims.get("scope", "")).split()
    if not scopes:
        return "invalid_scope"
    user = str(claims.get("sub", "")).lower()
    if user and account.users is not None and user not in {one.lower() for one in account.users}:
        return "invalid_grant_user"
    return "" if set(scopes) <= set(account.scopes) else "unauthorized_client"
