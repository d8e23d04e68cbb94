# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""What is to be tested of one connector."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .._auth.identity import site_of
from .._connector.checks import is_address
from .._connector.secret import Secret
from .._message.ways import can_find, can_hand_over
from .._protocol.endpoint import Endpoint, endpoints_of
from .._verdict.observation import Observation


@dataclass(frozen=True)
class InitMail:
    """The mail that proves a connector."""

    message_id: str
    tenant: str = ""


@dataclass(frozen=True)
class Job:
    """A connector with its opened secrets, or the reason why it cannot be tested."""

    connector: str
    effective: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    refused: Observation | None = None
    init_mail: InitMail | None = None
    """What to send in place of a test mail. Only the server that sends is asked then."""
    reader: Job | None = None
    """The connector whose mailbox is read at depth deliver, where that is another one."""
    assumes_security: bool = False
    """Whether nobody has said how the connection to the SMTP server is encrypted."""
    unused_secrets: Mapping[str, Secret] = field(default_factory=dict)
    """The connector's secrets that this test does not use. A server may know them all the same, and repeat them."""

    def all_secrets(self) -> list[Secret]:
        """What no result may show, that of another connector's mailbox among it."""
        own = [*self.secrets.values(), *self.unused_secrets.values()]
        return [*own, *(self.reader.all_secrets() if self.reader else ())]

    def endpoints(self) -> list[Endpoint]:
        endpoints = endpoints_of(self.effective, self.secrets)
        return [each for each in endpoints if can_hand_over(each.protocol)] if self.init_mail else endpoints

    def reading_endpoint(self) -> Endpoint | None:
        """The server on which the mail is looked for that the connector sends."""
        reader = self.reader or self
        return next((each for each in endpoints_of(reader.effective, reader.secrets) if can_find(each.protocol)), None)

    def all_endpoints(self) -> list[Endpoint]:
        """The servers that are asked, that of another connector's mailbox among them."""
        reading = self.reading_endpoint() if self.reader else None
        return [*self.endpoints(), *([reading] if reading else [])]

    def declared(self) -> dict[str, Any]:
        """The settings, with the secrets that there are; not what these hold."""
        found: dict[str, Any] = dict(self.effective)
        for path in self.secrets:
            block, _dot, name = path.partition(".")
            found[block] = {**(found.get(block) or {}), name: None}
        return found

    def sender(self) -> str:
        sign_in = self.effective.get("smtp", {}).get("username", "")
        candidates = (self.effective.get("errors_to"), self.effective.get("from_address"), sign_in)
        return next((str(each) for each in candidates if is_address(each)), "")

    def accounts(self) -> frozenset[tuple[str, str]]:
        """Who signs in, and where: the same user never does so twice at once."""
        found = {
            (site_of(endpoint.host), endpoint.username.lower())
            for endpoint in self.all_endpoints()
            if endpoint.auth != "none" and endpoint.username
        }
        for job in (self, self.reader or self):
            owner = job.effective.get("oauth2", {}).get("username")
            if owner and "oauth2.password" in job.secrets:
                found.add(("oauth2", owner.lower()))
        return frozenset(found)
