# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The type of the rules from observation to verdict, and the remedies that several rule files share."""

from __future__ import annotations

from typing import NamedTuple

from . import reply_patterns as patterns
from .observation import Kind, PhaseName

CERTAIN, LIKELY, POSSIBLE = "certain", "likely", "possible"

CHECK_BEFORE_RESENDING = (
    "The server received the whole message but did not confirm it: check whether the message arrived before sending it"
    " again."
)


class Rule(NamedTuple):
    """A verdict, and the kind, phases and patterns that must match for it; what is empty matches everything."""

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
    """A rule for a server's reply: its code, its text, or both."""
    return Rule(verdict, certainty, "reply", reply=reply, text=text, remedy=remedy)


def oauth_error(*names: str) -> str:
    """A pattern for errors of RFC 6749, with or without a status before them."""
    return rf"(\d+ )?({'|'.join(names)})(?![\w-])"


# Remedies that rules of more than one file share.
SERVER_SAYS = " The server says: {text}"
PROVIDER_SAYS = " The provider says: {text}"
ENCRYPT = "The server requires an encrypted connection: set security to starttls or tls."
LIMIT = "A limit of the provider for this account or host is reached: wait, send less, or ask the provider to raise it."
APP_PASSWORD = (
    "The provider does not accept the account's own password from programs: create an app password (some providers call"
    " it an authorization code) in the account's security settings and set it as password, or sign in with oauth2."
)
WEB_SIGN_IN = (
    "The provider requires {username} to confirm the sign-in, or to accept its terms, in a browser: sign in there once,"
    " or use an app password or oauth2."
)
MECHANISM = (
    "The server does not support this SASL mechanism: set another one in mechanisms, of those that it offers"
    " ({offered})."
)
STARTTLS_REPLIES = (
    reply_rule("throttled", LIKELY, "4", patterns.SENDING_LIMIT),
    reply_rule("client_blocked", CERTAIN, "5", patterns.CLIENT_REFUSED),
    reply_rule("starttls_refused", CERTAIN),
)
OTHER_REPLIES = (
    reply_rule("throttled", POSSIBLE, "421|BYE"),
    reply_rule("protocol_error", LIKELY),
)
"""For replies in phases without rules of their own."""
