# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""What every way to hand mail over, and to find it again, has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

from .letter import Letter


@dataclass(frozen=True)
class Accepted:
    """What a server said when it took a message: accepted is not delivered."""

    queue_id: str = ""
    text: str = ""


@dataclass(frozen=True)
class Delivered:
    """A message that was found in a mailbox, and what the servers on its way wrote into it."""

    authentication: Mapping[str, str] = field(default_factory=dict)
    """The results of spf, dkim and dmarc, where the receiving server tells them."""

    hops: int = 0


class Outgoing(ABC):
    """Hands letters over, in a session that is signed in."""

    @abstractmethod
    def hand_over(self, letter: Letter) -> Accepted:
        """One attempt. A recipient that is refused stops it, and is named, before anything is sent."""


class Incoming(ABC):
    """Looks into a mailbox, in a session that is signed in."""

    @abstractmethod
    def find(self, message_id: str) -> Delivered:
        """Wait for the very message until the clock's deadline; where it does not come, stop."""

    @abstractmethod
    def remove(self, message_id: str) -> int:
        """Remove that message and nothing else; how many were removed."""
