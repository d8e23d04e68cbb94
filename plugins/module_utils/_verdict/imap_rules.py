# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Rules for IMAP replies, by phase; the first that matches is used.

Replies are matched as their status and response code, such as "NO [UNAVAILABLE]".
"""

from __future__ import annotations

from typing import Literal

from . import reply_patterns as patterns
from .observation import PhaseName
from .rule import (
    APP_PASSWORD,
    CERTAIN,
    ENCRYPT,
    LIKELY,
    LIMIT,
    MECHANISM,
    POSSIBLE,
    STARTTLS_REPLIES,
    WEB_SIGN_IN,
    Rule,
    reply_rule,
)

_NOT_CONNECTED = (
    "The sign-in succeeded, but the mailbox cannot be opened: {username} has no access to it, IMAP is disabled for it,"
    " or it is on another server."
)
_NETEASE = (
    "The mailbox exists, but the provider requires that IMAP is enabled in the account's settings, or that programs"
    " identify themselves (the IMAP command ID): enable IMAP there."
)
_SERVER_TROUBLE = "The server cannot open the mailbox at the moment: try again later, or check the server's log."
_GREETING = (
    reply_rule("throttled", LIKELY, text=patterns.SENDING_LIMIT, remedy=LIMIT),
    reply_rule("client_blocked", LIKELY, text=patterns.CLIENT_REFUSED),
    reply_rule("greeting_rejected", CERTAIN),
)
_CAPABILITY = (
    reply_rule("throttled", LIKELY, "BYE", patterns.SENDING_LIMIT),
    reply_rule("connection_reset", POSSIBLE, "BYE"),
    reply_rule("protocol_error", LIKELY),
)
_AUTH = (
    reply_rule("auth_disabled", CERTAIN, r"NO \[PRIVACYREQUIRED\]", remedy=ENCRYPT),
    reply_rule("auth_disabled", LIKELY, "NO|BAD", patterns.TLS_NEEDED, ENCRYPT),
    reply_rule("auth_disabled", LIKELY, "BAD|NO", "authenticated but not connected", _NOT_CONNECTED),
    reply_rule("throttled", CERTAIN, r"NO \[LIMIT\]", remedy=LIMIT),
    reply_rule("auth_rejected", CERTAIN, text=patterns.APP_PASSWORD, remedy=APP_PASSWORD),
    reply_rule("auth_rejected", LIKELY, text=patterns.WEB_SIGN_IN, remedy=WEB_SIGN_IN),
    reply_rule("auth_rejected", LIKELY, "NO", "password (is )?incorrect,|account is abnormal", APP_PASSWORD),
    reply_rule(
        "throttled",
        CERTAIN,
        text=patterns.any_of(patterns.SENDING_LIMIT, "too many|connections from user|bandwidth limits"),
        remedy=LIMIT,
    ),
    reply_rule("auth_temporary", CERTAIN, r"(NO|BYE) \[(UNAVAILABLE|INUSE|SERVERBUG)\]"),
    reply_rule(
        "auth_rejected",
        CERTAIN,
        r"NO \[EXPIRED\]",
        remedy="The password of {username} has expired: set a new one.",
    ),
    reply_rule("auth_rejected", CERTAIN, r"NO \[AUTHENTICATIONFAILED\]"),
    reply_rule("auth_rejected", LIKELY, r"NO \[AUTHORIZATIONFAILED\]", patterns.CREDENTIALS),
    reply_rule("auth_disabled", LIKELY, r"NO \[(CONTACTADMIN|AUTHORIZATIONFAILED)\]"),
    reply_rule("auth_rejected", LIKELY, "BYE", "token.{0,10}expired|accesstokenexpired"),
    reply_rule("auth_unsupported", CERTAIN, "NO|BAD", patterns.NO_MECHANISM, MECHANISM),
    reply_rule("client_blocked", LIKELY, "NO|BYE", patterns.CLIENT_REFUSED),
    reply_rule("auth_temporary", LIKELY, "NO|BYE", patterns.SERVER_FAULT),
    reply_rule("throttled", POSSIBLE, "BYE"),
    reply_rule("auth_disabled", CERTAIN, "NO|BAD", patterns.SWITCHED_OFF),
    reply_rule("auth_unsupported", LIKELY, "BAD", remedy=MECHANISM),
    reply_rule("auth_rejected", CERTAIN, "NO", patterns.CREDENTIALS),
    reply_rule("auth_rejected", LIKELY),
)
_SELECT = (
    reply_rule("mailbox_missing", CERTAIN, r"NO \[(NONEXISTENT|TRYCREATE)\]"),
    reply_rule("mailbox_denied", CERTAIN, r"NO \[NOPERM\]"),
    reply_rule("mailbox_full", CERTAIN, r"NO \[OVERQUOTA\]"),
    reply_rule(
        "throttled", CERTAIN, r"(NO|BYE) \[(UNAVAILABLE|INUSE|LIMIT|TEMPFAIL|TIMEOUT)\]", remedy=_SERVER_TROUBLE
    ),
    reply_rule("mailbox_denied", LIKELY, r"NO \[(SERVERBUG|CONTACTADMIN)\]", remedy=_SERVER_TROUBLE),
    reply_rule("mailbox_denied", LIKELY, "", "authenticated but not connected", _NOT_CONNECTED),
    reply_rule("mailbox_denied", LIKELY, "", "unsafe login", _NETEASE),
    reply_rule(
        "auth_rejected",
        LIKELY,
        "BYE",
        "token.{0,10}expired|accesstokenexpired",
        "The access token expired during the test: run the test again.",
    ),
    reply_rule(
        "mailbox_missing",
        CERTAIN,
        "NO|BAD",
        patterns.any_of(
            r"(does ?n[o']t|not) exist|no such (mailbox|folder)|unknown (mailbox|folder)",
            r"not (be )?found|deleted or moved",
        ),
    ),
    reply_rule(
        "mailbox_denied",
        CERTAIN,
        "NO|BAD",
        r"permission denied|access denied|insufficient rights|read permission|not allowed|not permitted",
    ),
    reply_rule(
        "throttled",
        LIKELY,
        "NO|BAD",
        patterns.any_of(patterns.SENDING_LIMIT, patterns.PASSING, "unavailable|reserved|locked|in use|i/o"),
        _SERVER_TROUBLE,
    ),
    reply_rule(
        "mailbox_denied",
        LIKELY,
        "NO|BAD",
        "corrupt|invalid format|another server|forbidden|denied|permission|internal|database|partition",
        _SERVER_TROUBLE,
    ),
    reply_rule("mailbox_missing", LIKELY, "NO|BAD", "isn't selectable|noselect"),
    reply_rule("throttled", LIKELY, "BYE", patterns.SENDING_LIMIT),
    reply_rule("connection_reset", POSSIBLE, "BYE"),
    reply_rule("mailbox_missing", POSSIBLE),
)
IMAP_RULES: dict[PhaseName | Literal[""], tuple[Rule, ...]] = {
    "greeting": _GREETING,
    "capability": _CAPABILITY,
    "starttls": STARTTLS_REPLIES,
    "auth": _AUTH,
    "select": _SELECT,
}
"""The rules for a reply, by phase."""
