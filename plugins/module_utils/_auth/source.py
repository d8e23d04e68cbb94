# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""What every way to get a token has in common. No network here: HTTP is handed in."""

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
from .exchange import Exchange
from .identity import identity
from .tokens import Http, Token


class TokenSource(ABC):
    """One way to get a token: what the oauth2 settings say, and HTTP to ask with.

    A source is for one use: it keeps no token, and nothing of what an earlier attempt has brought about.
    """

    provider: ClassVar[str] = "other"
    """Whose way it is: microsoft, google or other. RejectedCredentials are judged by it."""

    observation_kind: ClassVar[Kind] = "token"

    sends_credential: ClassVar[bool] = True
    """Whether there is anything that an answer could refuse."""

    def __init__(self, settings: OAuthSettings, http: Http, redact: Redaction) -> None:
        self.settings = settings
        self._http = http
        self._redact = redact

    def obtain(self, protocol: Protocol) -> Token:
        """A new token to sign in with over smtp, imap or graph."""
        scope = self.settings.scope or self.default_scope(protocol)
        facts = {**self.facts(), "scope": scope or "none"}
        exchange = Exchange(self._http, self._redact, self.observation_kind)
        try:
            return exchange.token(self.ask(exchange, scope))
        except ProbeError as stopped:
            failed = stopped
        except MissingLibrary:
            raise
        except Exception as error:  # noqa: BLE001  libraries raise anything over what a server may answer
            failed = exchange.failed(error)
        observation = failed.observation
        refused: Refused = observation.refused if self.sends_credential else ""
        raise ProbeError(observation.with_context(facts={**facts, **observation.facts}, refused=refused)) from failed

    @abstractmethod
    def default_scope(self, protocol: Protocol) -> str:
        """What is asked for unless a scope is written."""

    @abstractmethod
    def ask(self, exchange: Exchange, scope: str) -> Any:
        """Ask for a token; what was answered, as the JSON object of RFC 6749."""

    def facts(self) -> dict[str, Any]:
        """What a remedy may speak of."""
        settings = self.settings
        known = {
            "client_id": settings.client_id,
            "tenant_id": settings.tenant_id,
            "cloud": settings.cloud,
            "token_user": settings.username,
        }
        return {name: value for name, value in known.items() if value}

    def identities(self) -> list[str]:
        """The same texts for the same credentials: first with all settings, then a user's password for an application.

        Other settings, such as another scope, make no other password of it, and repeating a refused one locks the user.
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


def revealed(secret: Secret | None) -> str:
    """A secret's value, or nothing where it was not given."""
    return secret.reveal() if secret else ""
