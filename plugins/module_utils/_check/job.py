# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""What is to be tested of one connector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from .._auth.identity import base_domain
from .._connector.resolved import Endpoint, ResolvedConnector
from .._connector.secret import Secret
from .._protocol.session import Session
from .._verdict.observation import Observation


@dataclass(frozen=True)
class InitMail:
    """The mail that proves a connector."""

    message_id: str
    tenant: str = ""


class Outbox(Protocol):
    """The mails of a task."""

    def send_over(self, session: Session) -> None:
        """Send them in a session that is signed in; raises the error that ends the session."""


@dataclass(frozen=True)
class Job:
    """A connector with its opened secrets, or the reason why it cannot be tested."""

    connector: ResolvedConnector
    secrets: tuple[Secret, ...] = ()
    """What no result may show: also those secrets that this test does not use, since a server may know them."""
    refused: Observation | None = None
    init_mail: InitMail | None = None
    """What to send in place of a test mail. Only the server that sends is asked then."""
    outbox: Outbox | None = None
    """The mails of a task, to send in place of a test mail. Only the server that sends is asked then, too."""
    reader: Job | None = None
    """The connector whose mailbox is read at depth deliver, where that is another one."""

    @property
    def name(self) -> str:
        return self.connector.name

    def all_secrets(self) -> list[Secret]:
        """What no result may show, that of another connector's mailbox among it."""
        return [*self.secrets, *(self.reader.all_secrets() if self.reader else ())]

    def endpoints(self) -> list[Endpoint]:
        """The connector's own servers, as far as they are asked."""
        connector, is_asked = self.connector, not self.init_mail and not self.outbox
        return [each for each in connector.endpoints if is_asked or each is connector.sender]

    def reading_endpoint(self) -> Endpoint | None:
        """The server on which the mail is looked for that the connector sends; without a sign-in there is none."""
        reader = (self.reader or self).connector.reader
        return reader if reader and reader.auth != "none" else None

    def all_endpoints(self) -> list[Endpoint]:
        """The servers that are asked, that of another connector's mailbox among them."""
        reading = self.reading_endpoint() if self.reader else None
        return [*self.endpoints(), *([reading] if reading else [])]

    def accounts(self) -> frozenset[tuple[str, str]]:
        """Who signs in, and where: the same user never does so twice at once."""
        found = {
            (base_domain(endpoint.host), endpoint.username.lower())
            for endpoint in self.all_endpoints()
            if endpoint.auth != "none" and endpoint.username
        }
        for job in (self, self.reader or self):
            oauth2 = job.connector.oauth2
            if oauth2 and oauth2.username and oauth2.password:
                found.add(("oauth2", oauth2.username.lower()))
        return frozenset(found)
