# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Rules for SMTP replies, by phase; the first that matches is used.

A rule is certain if the code or the text has only one meaning. The last rule of each phase has no pattern. Replies are
matched as "CODE ENHANCED", such as "535 5.7.8" or "535 ".
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

_EHLO_NAME = (
    "The server does not accept the name in this host's EHLO: set ehlo_name to a full host name that has an address in"
    " DNS."
)
_DISABLED = (
    "SMTP sign-in by password is disabled for the organisation or the mailbox: sign in with oauth2. To enable passwords"
    " in Exchange Online, check in this order: Set-CASMailbox -SmtpClientAuthenticationDisabled $false for the mailbox,"
    " Set-TransportConfig -SmtpClientAuthenticationDisabled $false, security defaults; changes take 15 minutes."
)
_PROBABLY_DISABLED = (
    "Most likely SMTP sign-in by password is disabled in Exchange: sign in with oauth2, or enable it (Set-CASMailbox"
    " -SmtpClientAuthenticationDisabled $false for the mailbox, Set-TransportConfig -SmtpClientAuthenticationDisabled"
    " $false for the organisation). Otherwise {username} or the password is wrong, or an app password is needed."
)
_WEAK_PASSWORD = "The provider refuses this password as too weak: set a stronger one for {username}."
_TOO_MUCH_FOR_RECIPIENT = (
    "The recipient's server limits the rate of mail to this recipient; the address is right. Try again later, or test"
    " with another recipient."
)
_GREYLISTED = "The server defers mail from unknown senders (greylisting): try again in 15 minutes."
_REPUTATION = (
    "The provider defers mail from this host's address because of its reputation: send over a provider's submission"
    " port with a sign-in, or follow the provider's guidelines for senders. Fewer connectors do not help."
)
_TRANSITION = (
    "The server must receive the password once before this SASL mechanism works (password transition): sign in once"
    " with mechanisms [PLAIN] over an encrypted connection."
)
_AUTHENTICITY = (
    "The domain of from_address does not authorize this server (SPF, DKIM or DMARC): send through the domain's own"
    " server, or authorize this one in the domain's DNS."
)
# 50x means that a command was not understood, so a limit in its text is one of line length.
_NOT_SYNTAX = "4|5[1-9]"
_CLIENT_CERTIFICATE = reply_rule("tls_handshake", LIKELY, "[45]", "client certificate")
_HELO = reply_rule("client_blocked", CERTAIN, text=patterns.HELO_REFUSED, remedy=_EHLO_NAME)
_GREETING = (
    _CLIENT_CERTIFICATE,
    reply_rule("throttled", CERTAIN, "4", patterns.SENDING_LIMIT, LIMIT),
    reply_rule("client_blocked", CERTAIN, "[45]", patterns.CLIENT_REFUSED),
    reply_rule("throttled", LIKELY, _NOT_SYNTAX, patterns.SENDING_LIMIT, LIMIT),
    reply_rule("throttled", CERTAIN, "4", patterns.BUSY),
    reply_rule("throttled", LIKELY, "4", patterns.PASSING),
    reply_rule("greeting_rejected", CERTAIN, "5"),
    reply_rule("greeting_rejected", LIKELY),
)
_EHLO = (
    _CLIENT_CERTIFICATE,
    reply_rule("throttled", LIKELY, _NOT_SYNTAX, patterns.SENDING_LIMIT, LIMIT),
    reply_rule("client_blocked", CERTAIN, "[45]", patterns.HELO_REFUSED, _EHLO_NAME),
    reply_rule("client_blocked", CERTAIN, "[45]", patterns.CLIENT_REFUSED),
    reply_rule("throttled", CERTAIN, "4", patterns.BUSY),
    reply_rule("throttled", LIKELY, "4", patterns.PASSING),
    reply_rule("throttled", POSSIBLE, "4"),
    reply_rule("protocol_error", LIKELY, "50[023]"),
    reply_rule("client_blocked", CERTAIN, "50[14]|55", patterns.HELO_NAME, _EHLO_NAME),
    reply_rule("client_blocked", LIKELY, "50[14]|55", remedy=_EHLO_NAME),
    reply_rule("client_blocked", POSSIBLE, remedy=_EHLO_NAME),
)
_AUTH = (
    _CLIENT_CERTIFICATE,
    reply_rule(
        "tls_version",
        CERTAIN,
        text=patterns.TLS_TOO_OLD,
        remedy="The server refuses the negotiated TLS version: enable TLS 1.2 or 1.3 on this host.",
    ),
    reply_rule(
        "security_mismatch", CERTAIN, r"530|... [45]\.7\.0 ?\Z|... 5\.7\.3|50[0-9]", patterns.TLS_NEEDED, ENCRYPT
    ),
    reply_rule(
        "auth_unsupported",
        CERTAIN,
        "538",
        remedy="This way to sign in needs an encrypted connection: set security to starttls or tls.",
    ),
    reply_rule("security_mismatch", LIKELY, r"... 5\.7\.10(?!\d)", remedy=ENCRYPT),
    reply_rule("auth_rejected", CERTAIN, text=patterns.APP_PASSWORD, remedy=APP_PASSWORD),
    reply_rule("auth_rejected", LIKELY, text=r"password is too (simple|weak)", remedy=_WEAK_PASSWORD),
    reply_rule("auth_rejected", LIKELY, text=patterns.WEB_SIGN_IN, remedy=WEB_SIGN_IN),
    reply_rule(
        "auth_rejected",
        LIKELY,
        r"535 5\.7\.139(?!\d)",
        r"credentials (were|are) (incorrect|wrong|invalid)|account is locked|password (has )?expired",
    ),
    reply_rule(
        "auth_disabled",
        CERTAIN,
        r"535 5\.7\.139(?!\d)",
        "SmtpClientAuthentication is disabled|security defaults",
        _DISABLED,
    ),
    reply_rule("auth_disabled", LIKELY, r"535 5\.7\.139(?!\d)", remedy=_DISABLED),
    reply_rule(
        "auth_disabled",
        CERTAIN,
        r"... 5\.7\.30(?!\d)",
        remedy="The provider no longer accepts passwords: sign in with oauth2, or send over graph.",
    ),
    reply_rule("auth_unsupported", LIKELY, r"432 4\.7\.12|432 \Z", remedy=_TRANSITION),
    reply_rule("throttled", LIKELY, r"432 4\.3\.2(?!\d)", remedy=LIMIT),
    reply_rule("throttled", CERTAIN, "4", patterns.SENDING_LIMIT, LIMIT),
    reply_rule("throttled", LIKELY, _NOT_SYNTAX, patterns.SENDING_LIMIT, LIMIT),
    reply_rule("client_blocked", CERTAIN, "[45]", patterns.CLIENT_REFUSED),
    reply_rule("throttled", POSSIBLE, "421"),
    reply_rule("auth_unsupported", LIKELY, "432", remedy=_TRANSITION),
    reply_rule("auth_unsupported", CERTAIN, "50[0-9]|534", patterns.NO_MECHANISM, MECHANISM),
    reply_rule("auth_unsupported", LIKELY, "[45]", patterns.NO_MECHANISM, MECHANISM),
    reply_rule("auth_temporary", CERTAIN, "4", patterns.SERVER_FAULT),
    reply_rule("auth_temporary", CERTAIN, "454"),
    reply_rule("auth_temporary", LIKELY, "4"),
    reply_rule("auth_temporary", LIKELY, "5", patterns.SERVER_TROUBLE),
    reply_rule("auth_disabled", CERTAIN, r"5.. 5\.7\.13(?!\d)"),
    reply_rule("auth_unsupported", CERTAIN, "50[0-9]", remedy=MECHANISM),
    reply_rule(
        "auth_disabled", CERTAIN, "5", r"(has been|is|was) (suspended|locked|disabled)|subscription .{0,30}expired"
    ),
    reply_rule("auth_disabled", LIKELY, text=patterns.SWITCHED_OFF),
    reply_rule("auth_unsupported", LIKELY, "534", remedy=MECHANISM),
    reply_rule("auth_rejected", LIKELY, r"535 5\.7\.3(?!\d)", remedy=_PROBABLY_DISABLED),
    reply_rule("auth_rejected", CERTAIN, "535", patterns.CREDENTIALS),
    reply_rule(
        "auth_rejected",
        CERTAIN,
        r"535 (5\.7\.8)?",
        r"^(5\.7\.8 )?(error: )?authentication (failed|failure|rejected|invalid)\W*$",
    ),
    reply_rule("auth_rejected", LIKELY, "535"),
    reply_rule("auth_rejected", POSSIBLE),
)
_SENDER = (
    _CLIENT_CERTIFICATE,
    reply_rule("security_mismatch", CERTAIN, text=patterns.TLS_NEEDED, remedy=ENCRYPT),
    reply_rule(
        "auth_disabled",
        CERTAIN,
        r"... 5\.7\.30(?!\d)",
        "basic auth",
        "The provider no longer accepts passwords: sign in with oauth2, or send over graph.",
    ),
    reply_rule("auth_required", CERTAIN, r"5.. 5\.7\.57(?!\d)"),
    reply_rule("auth_required", CERTAIN, "[45]", patterns.SIGN_IN_NEEDED),
    reply_rule("auth_required", LIKELY, "5", "re-?authenticate|credentials no longer"),
    reply_rule("sender_rejected", CERTAIN, text=patterns.SENDER_LISTED),
    reply_rule("message_too_large", CERTAIN, r"552 5\.3\.4|... 5\.3\.4(?!\d)|523"),
    reply_rule("message_too_large", CERTAIN, "5", patterns.TOO_LARGE),
    reply_rule("sender_rejected", CERTAIN, "5", patterns.AUTHENTICITY, _AUTHENTICITY),
    reply_rule("throttled", LIKELY, "4", r"\[TSS0|reputation", _REPUTATION),
    reply_rule("client_blocked", CERTAIN, "[45]", patterns.CLIENT_REFUSED),
    reply_rule("client_blocked", LIKELY, "[45]", r"\b(HL|WM):"),
    _HELO,
    reply_rule("throttled", CERTAIN, _NOT_SYNTAX, patterns.SENDING_LIMIT, LIMIT),
    reply_rule("throttled", LIKELY, "5", r"\b(MI:STC|RL:|rate)\b"),
    reply_rule("sender_rejected", CERTAIN, r"5.. 5\.(1\.[78]|7\.27|7\.60|2\.252)(?!\d)"),
    reply_rule("sender_rejected", LIKELY, r"4.. 4\.1\.[78](?!\d)"),
    reply_rule("sender_rejected", CERTAIN, "5", patterns.SENDER_REFUSED),
    reply_rule("sender_rejected", LIKELY, "4", patterns.SENDER_REFUSED),
    reply_rule("relay_denied", LIKELY, "5", patterns.RELAYING),
    reply_rule("throttled", CERTAIN, "4", patterns.BUSY),
    reply_rule("throttled", LIKELY, "4", patterns.PASSING),
    reply_rule("throttled", LIKELY, "4.. 4[.]3[.]"),
    reply_rule("throttled", POSSIBLE, "4"),
    reply_rule("auth_required", LIKELY, "530"),
    reply_rule("mailbox_full", LIKELY, "552", patterns.FULL),
    reply_rule("sender_rejected", LIKELY, "5[0-4][0-9]|553"),
    reply_rule("sender_rejected", POSSIBLE),
)
_RECIPIENT = (
    _CLIENT_CERTIFICATE,
    reply_rule("security_mismatch", CERTAIN, "530|451 5", patterns.TLS_NEEDED, ENCRYPT),
    reply_rule("auth_required", CERTAIN, r"5.. 5\.7\.57(?!\d)"),
    reply_rule("relay_denied", CERTAIN, "[45]", patterns.RELAYING),
    reply_rule("auth_required", LIKELY, "[45]", patterns.SIGN_IN_NEEDED),
    reply_rule("throttled", CERTAIN, "4", patterns.GREYLISTED, _GREYLISTED),
    reply_rule(
        "throttled",
        CERTAIN,
        "[45]",
        "receiving (mail|messages) at a rate|recipient has exceeded",
        _TOO_MUCH_FOR_RECIPIENT,
    ),
    reply_rule("throttled", CERTAIN, _NOT_SYNTAX, patterns.SENDING_QUOTA, LIMIT),
    reply_rule("mailbox_full", CERTAIN, r"... [45]\.2\.2(?!\d)"),
    reply_rule("mailbox_full", CERTAIN, "[45]", patterns.FULL),
    reply_rule("throttled", CERTAIN, _NOT_SYNTAX, patterns.SENDING_LIMIT, LIMIT),
    reply_rule("sender_rejected", CERTAIN, "[45]", patterns.SENDER_LISTED),
    reply_rule("sender_rejected", CERTAIN, "5", patterns.AUTHENTICITY, _AUTHENTICITY),
    reply_rule("client_blocked", CERTAIN, "[45]", patterns.CLIENT_REFUSED),
    _HELO,
    reply_rule("sender_rejected", CERTAIN, r"[45].. [45]\.1\.[78](?!\d)"),
    reply_rule("sender_rejected", CERTAIN, "5", r"sender address|sender verif|not owned|send-?as|permissions to send"),
    reply_rule("sender_rejected", LIKELY, "5", r"recipient address rejected: .{0,40}\bsend(er)?\b"),
    reply_rule("recipient_rejected", CERTAIN, r"5.. 5\.1\.([0-36]|10)(?!\d)"),
    reply_rule("client_blocked", CERTAIN, r"5.. 5\.7\.(25|51[13]|6[0-4]\d)(?!\d)"),
    reply_rule("throttled", LIKELY, r"5.. 5\.7\.(28|7[0-4]\d)(?!\d)"),
    reply_rule("recipient_rejected", CERTAIN, r"5.. 5\.(1\.1|2\.1)(?!\d)", patterns.RECIPIENT_REFUSED),
    reply_rule("recipient_rejected", CERTAIN, "5", patterns.RECIPIENT_UNKNOWN),
    reply_rule("recipient_rejected", CERTAIN, r"55[0-4] (5\.[1-35]\.\d+)?\Z", patterns.RECIPIENT_REFUSED),
    reply_rule("recipient_rejected", LIKELY, "5", patterns.RECIPIENT_REFUSED),
    reply_rule("sender_rejected", LIKELY, "5", patterns.any_of(patterns.SENDER_REFUSED, r"\(domain based\)")),
    reply_rule("message_too_large", LIKELY, r"552|... 5\.3\.4", patterns.TOO_LARGE),
    reply_rule("recipient_rejected", LIKELY, r"4.. 4\.1\.[0-6](?!\d)|45", patterns.RECIPIENT_REFUSED),
    reply_rule("auth_required", LIKELY, "530"),
    reply_rule("throttled", CERTAIN, "4", patterns.BUSY),
    reply_rule("throttled", LIKELY, "4", patterns.PASSING),
    reply_rule("sender_rejected", LIKELY, "4", patterns.SENDER_REFUSED),
    reply_rule("throttled", POSSIBLE, "4"),
    reply_rule("mailbox_full", POSSIBLE, "552"),
    reply_rule("recipient_rejected", LIKELY, "5[05]"),
    reply_rule("recipient_rejected", POSSIBLE),
)
_MESSAGE = (
    reply_rule("throttled", CERTAIN, _NOT_SYNTAX, patterns.SENDING_QUOTA, LIMIT),
    reply_rule("message_too_large", CERTAIN, r"... [45]\.3\.4(?!\d)|552 5\.2\.3(?!\d)|523"),
    reply_rule("message_too_large", CERTAIN, "5", patterns.TOO_LARGE),
    reply_rule(
        "sender_rejected",
        CERTAIN,
        "5",
        r"\bdt:sum\b|send-?as ?denied|not allowed to send as|email address is not verified|sender identity",
    ),
    reply_rule("sender_rejected", CERTAIN, r"5.. 5\.(2\.252|7\.60)(?!\d)"),
    reply_rule("message_rejected", CERTAIN, "5", patterns.AUTHENTICITY, _AUTHENTICITY),
    reply_rule("throttled", CERTAIN, "4", patterns.GREYLISTED, _GREYLISTED),
    reply_rule("throttled", LIKELY, "4", patterns.AUTHENTICITY, _AUTHENTICITY),
    reply_rule("throttled", CERTAIN, _NOT_SYNTAX, patterns.SENDING_LIMIT, LIMIT),
    reply_rule("mailbox_full", CERTAIN, r"... [45]\.2\.2(?!\d)"),
    reply_rule("mailbox_full", CERTAIN, "[45]", patterns.FULL),
    reply_rule("message_rejected", CERTAIN, "5", r"\b(spam|virus|malware|phishing|unsolicited|infected|dbl)\b|\bloop"),
    reply_rule("client_blocked", LIKELY, r"5.. 5\.7\.25(?!\d)"),
    reply_rule("client_blocked", LIKELY, "[45]", patterns.CLIENT_REFUSED),
    reply_rule("relay_denied", LIKELY, "5", patterns.RELAYING),
    reply_rule("sender_rejected", LIKELY, r"5.. 5\.1\.[78](?!\d)"),
    reply_rule(
        "recipient_rejected",
        LIKELY,
        "5",
        patterns.any_of(
            r"(user|recipient)s? unknown|unknown user|no such user|not a valid recipient",
            r"(account|e-?mail|user|mailbox|recipient( address)?) (was |is |has been )?(not exist|not found)",
            r"(account|e-?mail|user|mailbox|recipient( address)?) (was |is |has been )?(disabled|suppressed)",
            r"resolver\.(adr|rst)",
            patterns.NO_ACCOUNT,
        ),
    ),
    reply_rule("sender_rejected", LIKELY, "5", patterns.SENDER_REFUSED),
    reply_rule("message_rejected", CERTAIN, "5", patterns.CONTENT),
    reply_rule("throttled", CERTAIN, "4", patterns.BUSY),
    reply_rule("throttled", LIKELY, "4", patterns.PASSING),
    reply_rule("throttled", POSSIBLE, "4"),
    reply_rule("sender_rejected", LIKELY, "5", "domain (may|does) not exist|does not exist"),
    reply_rule("message_rejected", LIKELY, r"5.. 5\.[67]\."),
    reply_rule("message_too_large", POSSIBLE, "552 \\Z"),
    reply_rule("message_rejected", POSSIBLE),
)
SMTP_RULES: dict[PhaseName | Literal[""], tuple[Rule, ...]] = {
    "greeting": _GREETING,
    "ehlo": _EHLO,
    "starttls": STARTTLS_REPLIES,
    "auth": _AUTH,
    "sender": _SENDER,
    "recipient": _RECIPIENT,
    "message": _MESSAGE,
}
"""The rules for a reply, by phase."""
SMTP_WITHOUT_SIGN_IN: dict[PhaseName | Literal[""], tuple[Rule, ...]] = {
    "recipient": (reply_rule("relay_denied", LIKELY, "5.. 5[.]7[.]1", "recipient address rejected: access denied"),),
}
"""By phase; tried before SMTP_RULES if the connector does not sign in."""
