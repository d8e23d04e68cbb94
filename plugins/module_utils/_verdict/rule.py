# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The type of the rules from observation to verdict, and the remedies that several files of rules share."""

from __future__ import annotations

from typing import NamedTuple

from . import reply_patterns as patterns
from .observation import Kind, PhaseName

CERTAIN, LIKELY, POSSIBLE = "certain", "likely", "possible"

LOOK_FIRST = (
    "The whole message was handed over, and the server's answer is missing: look whether it has arrived before sending"
    " it again."
)


class Rule(NamedTuple):
    """A verdict, and what must match for it: a kind, phases, and patterns; where there is none, everything matches."""

    verdict: str
    certainty: str
    kind: Kind | tuple[Kind, ...]
    phases: tuple[PhaseName, ...] = ()
    reply: str = ""
    text: str = ""
    remedy: str = ""

    @property
    def kinds(self) -> tuple[Kind, ...]:
        return (self.kind,) if isinstance(self.kind, str) else self.kind


def reply_rule(verdict: str, certainty: str, reply: str = "", text: str = "", remedy: str = "") -> Rule:
    """A rule about a server's reply: its code, its words, or both."""
    return Rule(verdict, certainty, "reply", reply=reply, text=text, remedy=remedy)


def oauth_error(*names: str) -> str:
    """The error of RFC 6749, with or without a status before it."""
    return rf"(\d+ )?({'|'.join(names)})(?![\w-])"


# Remedies that rules of more than one file share.
IT_SAYS = " It says: {text}"
ENCRYPT = "The server goes on only over an encrypted connection: set security to starttls or tls."
LIMIT = (
    "A limit of the provider for this account or host is reached: wait until it is lifted, send less, or have it"
    " raised."
)
APP_PASSWORD = (
    "The provider does not take the account's own password from programs: create an app password (or an authorization"
    " code, as some call it) in the account's security settings and give that as password; or sign in with oauth2 where"
    " the provider offers it."
)
WEB_SIGN_IN = (
    "The provider wants {username} to confirm the sign-in, or to accept its terms, in a browser: sign in there once; an"
    " app password or oauth2 avoids that."
)
MECHANISM = "The server cannot use this way to sign in: name another in mechanisms. It offers: {offered}."
STARTTLS_REPLIES = (
    reply_rule("throttled", LIKELY, "4", patterns.SENDING_LIMIT),
    reply_rule("client_blocked", CERTAIN, "5", patterns.CLIENT_REFUSED),
    reply_rule("starttls_refused", CERTAIN),
)
OTHER_REPLIES = (
    reply_rule("throttled", POSSIBLE, "421|BYE"),
    reply_rule("protocol_error", LIKELY),
)
"""For a reply in a phase that has no rules of its own."""
