# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""What is to be tested of one connector."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .._connector.secret import Secret
from .._session.endpoint import Endpoint, endpoints_of
from .._signin.identity import site_of
from .._verdict.signal import Signal


@dataclass(frozen=True)
class Job:
    """A connector with its opened secrets, or the reason why it cannot be tested."""

    connector: str
    effective: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    refused: Signal | None = None

    def endpoints(self) -> list[Endpoint]:
        return endpoints_of(self.effective, self.secrets)

    def sender(self) -> str:
        sign_in = self.effective.get("smtp", {}).get("username", "")
        candidates = (self.effective.get("errors_to"), self.effective.get("from_address"), sign_in)
        return next((each for each in candidates if each and "@" in each), "")

    def accounts(self) -> frozenset[tuple[str, str]]:
        """Who signs in, and where: the same user never does so twice at once."""
        found = {
            (site_of(endpoint.host), endpoint.username.lower())
            for endpoint in self.endpoints()
            if endpoint.auth != "none" and endpoint.username
        }
        owner = self.effective.get("oauth2", {}).get("username")
        if owner and "oauth2.password" in self.secrets:
            found.add(("oauth2", owner.lower()))
        return frozenset(found)
