# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Choose the token source that the oauth2 settings describe."""

from __future__ import annotations

from .._connector.redaction import Redaction
from .._connector.resolved import OAuthSettings
from .._verdict.observation import probe_error
from .google import ServiceAccount
from .microsoft import ManagedIdentity, ResourceOwner, application_type
from .source import TokenSource
from .token_url import TokenUrl
from .tokens import Http


def token_source_type(settings: OAuthSettings) -> type[TokenSource]:
    """The first token source whose settings are all declared."""
    if settings.service_account:
        return ServiceAccount
    if settings.token_url:
        return TokenUrl
    if settings.managed_identity:
        return ManagedIdentity
    if settings.username and settings.password:
        return ResourceOwner
    application = application_type(settings)
    if application is None:
        raise probe_error("config", "oauth2 has nothing to sign in with")
    return application


def token_source(settings: OAuthSettings, http: Http, redact: Redaction) -> TokenSource:
    return token_source_type(settings)(settings, http, redact)
