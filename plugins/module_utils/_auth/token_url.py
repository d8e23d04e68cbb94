# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Tokens of any other provider, by its token endpoint (RFC 6749)."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote_plus

from .._connector.resolved import Protocol
from .._verdict.observation import probe_error
from .exchange import Exchange
from .source import TokenSource, revealed


class TokenUrl(TokenSource):
    """By the client's id and secret; as a user, where a user's password is given besides."""

    def default_scope(self, _protocol: Protocol) -> str:
        return ""

    def ask(self, exchange: Exchange, scope: str) -> Any:
        """The client proves itself in the header, which every server must understand, else in the form.

        Only a server that does not know the client from the header is asked again: to it the first attempt was
        none.
        """
        client, secret = self.settings.client_id, revealed(self.settings.client_secret)
        if not secret:
            raise probe_error("config", "oauth2.client_secret is required beside token_url")
        body = self._posted(exchange, self._form(scope), {"Authorization": _basic(client, secret)})
        if body.get("error") == "invalid_client":
            body = self._posted(exchange, {**self._form(scope), "client_id": client, "client_secret": secret}, {})
        return body

    def facts(self) -> dict[str, Any]:
        return {**super().facts(), "token_url": self.settings.token_url}

    def _posted(self, exchange: Exchange, form: dict[str, str], headers: dict[str, str]) -> dict[str, Any]:
        exchange.post(self.settings.token_url, data=form, headers={"Accept": "application/json", **headers})
        return exchange.last_json()

    def _form(self, scope: str) -> dict[str, str]:
        form = {"grant_type": "client_credentials"}
        if self.settings.password:
            form = {"grant_type": "password", "username": self.settings.username}
            form["password"] = self.settings.password.reveal()
        return {**form, "scope": scope} if scope else form


def _basic(client: str, secret: str) -> str:
    pair = f"{quote_plus(client)}:{quote_plus(secret)}"
    return f"Basic {base64.b64encode(pair.encode('ascii')).decode('ascii')}"
