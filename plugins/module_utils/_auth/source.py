# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The interface of a token source. No network here: HTTP is passed in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import fields
from typing import Any, ClassVar
from urllib.parse import urlsplit

from .._connector.clouds import authority_url
from .._connector.redaction import Redaction
from .._connector.resolved import OAuthSettings, Protocol
from .._connector.secret import Secret
from .._errors import MissingLibrary
from .._verdict.observation import Kind, ProbeError, Refused
from .identity import identity
from .token_client import TokenClient
from .tokens import Http, Token


class TokenSource(ABC):
    """A way to get a token. A source is for one use: it caches nothing."""

    provider: ClassVar[str] = "other"
    """microsoft, google or other; a refusal of the token is diagnosed by it."""

    observation_kind: ClassVar[Kind] = "token"

    sends_credential: ClassVar[bool] = True
    """Whether the request holds a credential that can be refused."""

    def __init__(self, settings: OAuthSettings, http: Http, redact: Redaction) -> None:
        self.settings = settings
        self._http = http
        self._redact = redact

    def obtain(self, protocol: Protocol) -> Token:
        """Request a new token for smtp, imap or graph."""
        scope = self.settings.scope or self.default_scope(protocol)
        facts = {**self.facts(), "scope": scope or "none"}
        client = TokenClient(self._http, self._redact, self.observation_kind)
        try:
            return client.parse_token(self.request_token(client, scope))
        except ProbeError as error:
            failed = error
        except MissingLibrary:
            raise
        except Exception as error:  # noqa: BLE001  libraries raise anything over malformed responses
            failed = client.translate_error(error)
        observation = failed.observation
        refused: Refused = observation.refused if self.sends_credential else ""
        raise ProbeError(observation.with_context(facts={**facts, **observation.facts}, refused=refused)) from failed

    @abstractmethod
    def default_scope(self, protocol: Protocol) -> str:
        """The scope that is requested unless one is declared."""

    @abstractmethod
    def request_token(self, client: TokenClient, scope: str) -> Any:
        """Request a token; returns the JSON object of RFC 6749."""

    def facts(self) -> dict[str, Any]:
        """Facts for the remedy."""
        settings = self.settings
        known = {
            "client_id": settings.client_id,
            "tenant_id": settings.tenant_id,
            "cloud": settings.cloud,
            "token_user": settings.username,
        }
        return {name: value for name, value in known.items() if value}

    def credential_ids(self) -> list[str]:
        """Hashes of the credentials: of all settings, and of a user's password for an application.

        The second does not depend on settings such as the scope: repeating a refused password locks the user.
        """
        settings = self.settings
        values = (getattr(settings, each.name) for each in fields(settings))
        known = (value.reveal() if isinstance(value, Secret) else repr(value) for value in values)
        whole = identity("", "", Secret("\0".join(known)))
        if not settings.password:
            return [whole]
        service = urlsplit(settings.token_url or authority_url(settings.cloud, settings.authority)).hostname or ""
        user = f"{settings.tenant_id}\0{settings.client_id}\0{settings.username}"
        return [whole, identity(service, user, settings.password)]


def reveal_or_empty(secret: Secret | None) -> str:
    """A secret's value, or an empty text if there is none."""
    return secret.reveal() if secret else ""
