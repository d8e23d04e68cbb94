# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The ways to get a token, and which of them the settings describe."""

from __future__ import annotations

from .._connector.redaction import Redaction
from .._connector.resolved import OAuthSettings
from .._verdict.observation import probe_error
from .google import ServiceAccount
from .microsoft import ManagedIdentity, ResourceOwner, proof_of
from .source import TokenSource
from .token_url import TokenUrl
from .tokens import Http


def way_of(settings: OAuthSettings) -> type[TokenSource]:
    """The first way whose settings are all there."""
    if settings.service_account:
        return ServiceAccount
    if settings.token_url:
        return TokenUrl
    if settings.managed_identity:
        return ManagedIdentity
    if settings.username and settings.password:
        return ResourceOwner
    proof = proof_of(settings)
    if proof is None:
        raise probe_error("config", "oauth2 does not say how to sign in")
    return proof


def token_source(settings: OAuthSettings, http: Http, redact: Redaction) -> TokenSource:
    return way_of(settings)(settings, http, redact)
