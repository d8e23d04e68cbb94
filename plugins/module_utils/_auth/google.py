# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Google tokens for a service account that acts for a user of its organisation (RFC 7523)."""

from __future__ import annotations

import base64
import json
import time
from typing import Any, ClassVar

from .._connector.resolved import Protocol
from .._errors import MissingLibrary
from .._verdict.observation import Kind, probe_error
from .source import TokenSource, reveal_or_empty
from .token_client import TokenClient

TOKEN_URL = "https://oauth2.googleapis.com/token"
MAIL_SCOPE = "https://mail.google.com/"
LIFETIME = 3600

_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class ServiceAccount(TokenSource):
    """A service account to which the user's organisation has delegated domain-wide authority."""

    provider = "google"
    observation_kind: ClassVar[Kind] = "token_google"

    def default_scope(self, _protocol: Protocol) -> str:
        return MAIL_SCOPE

    def request_token(self, client: TokenClient, scope: str) -> Any:
        account = json.loads(reveal_or_empty(self.settings.service_account))
        url = self._token_url(account)
        assertion = _sign_jwt(account, self._claims(account, url, scope))
        client.post(url, data={"grant_type": _GRANT, "assertion": assertion}, headers={"Accept": "application/json"})
        return client.last_json()

    def facts(self) -> dict[str, Any]:
        account = json.loads(reveal_or_empty(self.settings.service_account))
        names = {"client_email": "service_account", "client_id": "client_id"}
        return {**super().facts(), **{fact: str(account[name]) for name, fact in names.items() if name in account}}

    def _token_url(self, account: dict[str, Any]) -> str:
        url = self.settings.token_url or str(account.get("token_uri") or TOKEN_URL)
        if not url.lower().startswith("https://"):
            raise probe_error("config", "oauth2.service_account: token_uri must be an https:// address")
        return url

    def _claims(self, account: dict[str, Any], url: str, scope: str) -> dict[str, Any]:
        now = int(time.time())
        user = self.settings.username
        return {
            "iss": account["client_email"],
            "sub": user,
            "scope": scope,
            "aud": url,
            "iat": now,
            "exp": now + LIFETIME,
        }


def _sign_jwt(account: dict[str, Any], claims: dict[str, Any]) -> str:
    header = {"alg": "RS256", "typ": "JWT"}
    if isinstance(account.get("private_key_id"), str):
        header["kid"] = account["private_key_id"]
    message = f"{_base64url(json.dumps(header).encode())}.{_base64url(json.dumps(claims).encode())}"
    return f"{message}.{_base64url(_sign(account['private_key'], message.encode('ascii')))}"


def _sign(key: str, message: bytes) -> bytes:
    try:
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import padding, rsa
    except ImportError as missing:
        raise MissingLibrary("cryptography", "to sign in with a service account", str(missing)) from None
    try:
        private = serialization.load_pem_private_key(key.encode(), None)
    except Exception:  # noqa: BLE001  a key may be anything, and the library's error may quote it
        private = None
    if not isinstance(private, rsa.RSAPrivateKey):
        raise probe_error("config", "oauth2.service_account: private_key must be an RSA key in PEM")
    return private.sign(message, padding.PKCS1v15(), hashes.SHA256())


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
