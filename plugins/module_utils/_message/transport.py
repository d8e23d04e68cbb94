# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The ways to hand mail over and to find it again, by protocol."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from .._protocol.session import Session
from .._verdict.observation import probe_error
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


# What only one protocol needs is imported only for it.
def _smtp_mail() -> Any:
    from .smtp import SmtpMail

    return SmtpMail


def _imap_mail() -> Any:
    from .imap import ImapMail

    return ImapMail


def _graph_mail() -> Any:
    from .graph import GraphMail

    return GraphMail


def _by_smtp(session: Any) -> Outgoing:
    return cast(Outgoing, _smtp_mail()(session))


def _by_imap(session: Any) -> Incoming:
    return cast(Incoming, _imap_mail()(session))


def _to_graph(session: Any) -> Outgoing:
    return cast(Outgoing, _graph_mail()(session))


def _from_graph(session: Any) -> Incoming:
    return cast(Incoming, _graph_mail()(session))


_TRANSPORTS: Mapping[str, Callable[[], Any]] = {"smtp": _smtp_mail, "imap": _imap_mail, "graph": _graph_mail}
_OUTGOING: Mapping[str, Callable[[Any], Outgoing]] = {"smtp": _by_smtp, "graph": _to_graph}
_INCOMING: Mapping[str, Callable[[Any], Incoming]] = {"imap": _by_imap, "graph": _from_graph}


def transport_type(protocol: str) -> Any:
    """What hands mail over or finds it, imported when it is first asked for."""
    return _TRANSPORTS[protocol]()


def can_hand_over(protocol: str) -> bool:
    return protocol in _OUTGOING


def can_find(protocol: str) -> bool:
    return protocol in _INCOMING


def outgoing(session: Session) -> Outgoing:
    """How to hand mail over in a session that is signed in."""
    way = _OUTGOING.get(session.endpoint.protocol)
    if way is None:
        raise probe_error("internal", f"nothing is sent over {session.endpoint.protocol}")
    return way(session)


def incoming(session: Session) -> Incoming:
    """How to find mail in a session that is signed in."""
    way = _INCOMING.get(session.endpoint.protocol)
    if way is None:
        raise probe_error("internal", f"nothing is read over {session.endpoint.protocol}")
    return way(session)
