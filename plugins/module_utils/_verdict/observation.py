# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The observation of an error, from which a diagnosis is made, and the exception that carries it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from .._errors import MailroomError

Kind = Literal[
    # Before any connection.
    "config",
    "stored",
    "unfit_secret",
    "not_ready",
    # Name and network.
    "not_found",
    "name_temporary",
    "refused",
    "unreachable",
    "proxy",
    "proxy_target",
    "timeout",
    "reset",
    "closed",
    "exhausted",
    # Encryption.
    "certificate",
    "issuer_expired",
    "tls",
    "speaks_tls",
    "speaks_plain",
    "starttls_missing",
    "injection",
    "unencrypted",
    # Replies of a server.
    "reply",
    "graph",
    "protocol",
    "other_protocol",
    "preauth",
    # Sign-in.
    "no_mechanism",
    "login_disabled",
    "login_disabled_unencrypted",
    "refused_proof",
    "server_signature",
    "token",
    "token_google",
    "token_refused",
    "token_refused_google",
    "token_refused_microsoft",
    "no_identity_service",
    # Mail.
    "relay_refused",
    "too_large",
    "not_delivered",
    "not_removed",
    # Bugs.
    "internal",
]
KINDS: tuple[Kind, ...] = get_args(Kind)

PhaseName = Literal[
    "config",
    "dns",
    "tcp",
    "tls",
    "greeting",
    "ehlo",
    "capability",
    "starttls",
    "token",
    "auth",
    "select",
    "mailbox",
    "sender",
    "recipient",
    "message",
    "delivery",
]
PhaseStatus = Literal["ok", "fail", "skipped"]

Refused = Literal["", "here", "everywhere"]
"""Whether a credential was refused and must not be sent again: no, over this protocol, or over any."""

PERHAPS_ACCEPTED = "the server received the whole message and may have accepted it"


@dataclass(frozen=True)
class Observation:
    """One observation: its kind, its phase and protocol, and the server's reply."""

    kind: Kind
    phase: PhaseName | Literal[""] = ""
    protocol: Literal["", "smtp", "imap", "graph"] = ""
    code: int | None = None
    enhanced: str = ""
    text: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    refused: Refused = ""

    def with_context(  # noqa: PLR0913  so that the type checker sees a misspelt kind here too
        self,
        *,
        kind: Kind | None = None,
        phase: PhaseName | Literal[""] | None = None,
        protocol: Literal["", "smtp", "imap", "graph"] | None = None,
        enhanced: str | None = None,
        text: str | None = None,
        facts: Mapping[str, Any] | None = None,
        refused: Refused | None = None,
    ) -> Observation:
        """A copy with these values; None keeps the present value, and facts are added."""
        more: dict[str, Any] = {"kind": kind, "phase": phase, "protocol": protocol, "enhanced": enhanced, "text": text}
        more["refused"] = refused
        known = {name: value for name, value in more.items() if value is not None}
        return replace(self, facts={**self.facts, **(facts or {})}, **known)


class ProbeError(MailroomError):
    """A session failed. To add context, raise a new one from this one."""

    def __init__(self, observation: Observation) -> None:
        self._observation = observation
        super().__init__(observation.text or observation.kind)

    @property
    def observation(self) -> Observation:
        return self._observation


def perhaps_accepted(error: ProbeError) -> ProbeError:
    """The error where a whole message was sent and the answer was lost: sending it again might send it twice."""
    observation = error.observation
    text = f"{observation.text}; {PERHAPS_ACCEPTED}" if observation.text else PERHAPS_ACCEPTED
    return ProbeError(observation.with_context(text=text, facts={"perhaps_accepted": True}))


def probe_error(kind: Kind, text: str = "", **facts: Any) -> ProbeError:
    """The error for an observation other than a server's reply."""
    return ProbeError(Observation(kind, text=text, facts=facts))
