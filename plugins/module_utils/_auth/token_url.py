# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Tokens from the token endpoint of any other provider (RFC 6749)."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote_plus

from .._connector.resolved import Protocol
from .._verdict.observation import probe_error
from .source import TokenSource, reveal_or_empty
from .token_client import TokenClient


class TokenUrl(TokenSource):
    """Client credentials, or a user's password if one is declared."""

    def default_scope(self, _protocol: Protocol) -> str:
        return ""

    def request_token(self, client: TokenClient, scope: str) -> Any:
        """Authenticate the client in the header, which every server must support.

        After invalid_client it is tried once more in the form: a server that answers so did not read the header.
        """
        client_id, secret = self.settings.client_id, reveal_or_empty(self.settings.client_secret)
        if not secret:
            raise probe_error("config", "oauth2.client_secret is required beside token_url")
        body = self._post_form(client, self._form(scope), {"Authorization": _basic(client_id, secret)})
        if body.get("error") == "invalid_client":
            body = self._post_form(client, {**self._form(scope), "client_id": client_id, "client_secret": secret}, {})
        return body

    def facts(self) -> dict[str, Any]:
        return {**super().facts(), "token_url": self.settings.token_url}

    def _post_form(self, client: TokenClient, form: dict[str, str], headers: dict[str, str]) -> dict[str, Any]:
        client.post(self.settings.token_url, data=form, headers={"Accept": "application/json", **headers})
        return client.last_json()

    def _form(self, scope: str) -> dict[str, str]:
        form = {"grant_type": "client_credentials"}
        if self.settings.password:
            form = {"grant_type": "password", "username": self.settings.username}
            form["password"] = self.settings.password.reveal()
        return {**form, "scope": scope} if scope else form


def _basic(client_id: str, secret: str) -> str:
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return f"Basic {base64.b64encode(pair.encode('ascii')).decode('ascii')}"
