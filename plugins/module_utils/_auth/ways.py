# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The ways to get a token, and which of them an oauth2 block describes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._connector.redaction import Redaction
from .._connector.secret import Secret
from .._verdict.observation import probe_error
from .google import ServiceAccount
from .microsoft import PROOFS, ManagedIdentity, ResourceOwner
from .source import TokenSource
from .token_url import TokenUrl
from .tokens import Http

WAYS: tuple[type[TokenSource], ...] = (ServiceAccount, TokenUrl, ManagedIdentity, ResourceOwner, *PROOFS)


def way_of(settings: Mapping[str, Any], secrets: Mapping[str, Secret]) -> type[TokenSource]:
    """The first way whose fields are all there."""
    given = {*settings, *(path[len("oauth2.") :] for path in secrets if path.startswith("oauth2."))}
    for way in WAYS:
        if way.needs <= given:
            return way
    raise probe_error("config", "oauth2 does not say how to sign in")


def token_source(
    settings: Mapping[str, Any], secrets: Mapping[str, Secret], http: Http, redact: Redaction
) -> TokenSource:
    """The way of an effective oauth2 block, with the connector's secrets by their paths, and HTTP to ask with."""
    own = {path: secret for path, secret in secrets.items() if path.startswith("oauth2.")}
    return way_of(settings, own)(settings, own, http, redact)
