# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Connectors for tests, from settings in which everything is written out."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ansible_collections.mailroom.core.plugins.module_utils._check.job import Job
from ansible_collections.mailroom.core.plugins.module_utils._connector.resolved import (
    OAuthSettings,
    ResolvedConnector,
    resolve_settings,
)
from ansible_collections.mailroom.core.plugins.module_utils._connector.secret import Secret

_SERVER = {"host": "mail.example.com", "port": 587, "security": "starttls", "auth": "none"}
NO_SECRETS: Mapping[str, Secret] = MappingProxyType({})


def resolved(
    settings: Mapping[str, Any], secrets: Mapping[str, Secret] = NO_SECRETS, name: str = "alerts"
) -> ResolvedConnector:
    """The connector; what a server has to have and is not given is made up."""
    servers = {block: {**_SERVER, **settings[block]} for block in ("smtp", "imap") if block in settings}
    return resolve_settings(name, {**settings, **servers}, secrets)


def oauth_settings(block: Mapping[str, Any], secrets: Mapping[str, Secret] = NO_SECRETS) -> OAuthSettings:
    found = resolved({"oauth2": block}, secrets).oauth2
    if found is None:
        raise ValueError("there is no oauth2 block")
    return found


def job(name: str, settings: Mapping[str, Any], secrets: Mapping[str, Secret] = NO_SECRETS, **more: Any) -> Job:
    return Job(resolved(settings, secrets, name), tuple(secrets.values()), **more)
