# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""What a server's refusal means: rules by protocol and phase, the first that fits holds.

A rule is certain where the code or the words leave one meaning. The last rule of each phase is its most general
verdict, with "possible". SMTP replies are matched as "CODE ENHANCED", such as "535 5.7.8" or "535 "; IMAP's as their
status and response code, such as "NO [UNAVAILABLE]".
"""

from __future__ import annotations

from . import words
from .line import CERTAIN, LIKELY, POSSIBLE, Line

_NAMELESS = (
    "The server does not accept the name by which this host introduces itself: set ehlo_name to a full name that has an"
    " address."
)
_SWITCHED_OFF = (
    "SMTP sign-in by password is switched off for the organisation or the mailbox. In Exchange Online, in this order:"
    " Set-CASMailbox -SmtpClientAuthenticationDisabled $false for the mailbox, Set-TransportConfig"
    " -SmtpClientAuthenticationDisabled $false, security defaults; changes take a quarter of an hour. Better: sign in"
    " with oauth2."
)
_PROBABLY_SWITCHED_OFF = (
    "Exchange answers so where SMTP sign-in is switched off, which is the likeliest cause: Set-CASMailbox"
    " -SmtpClientAuthenticationDisabled $false for the mailbox, Set-TransportConfig -SmtpClientAuthenticationDisabled"
    " $false for the organisation. Else {username} or the password is wrong, or an app password is needed. Better: sign"
    " in with oauth2."
)
_ENCRYPT = "The server goes on only over an encrypted connection: set security to starttls or tls."
_NOT_CONNECTED = (
    "The sign-in worked, but the mailbox stays closed: {username} has no right to it, IMAP is turned off for it, or it"
    " lives on another server."
)
_APP_PASSWORD = (
    "The provider does not take the account's own password from programs: create an app password (or an authorization"
    " code, as some call it) in the account's security settings and give that as password; or sign in with oauth2 where"
    " the provider offers it."
)
_WEB_SIGN_IN = (
    "The provider wants {username} to confirm the sign-in, or to accept its terms, in a browser: sign in there once; an"
    " app password or oauth2 avoids that."
)
_WEAK_PASSWORD = "The provider refuses this password because it is too simple: set a stronger one for {username}."
_WRONG_SERVER = "Check test_address or to; if the address is right, mail for it is turned away by its own server."
_TOO_MUCH_FOR_RECIPIENT = (
    "The recipient gets more mail at the moment than its server allows: the address is right. Try again later, or test"
    " with another recipient."
)
_GREYLISTED = (
    "The server puts off mail from senders that it does not know yet (greylisting): try again in a quarter of an hour."
)
_LIMIT = (
    "A limit of the provider for this account or host is reached: wait until it is lifted, send less, or have it"
    " raised."
)
_REPUTATION = (
    "The provider puts off mail from this host's address because of its reputation: send over a provider's submission"
    " port with a sign-in, or follow the provider's page for senders. Fewer connectors do not help."
)
_DISABLED_CONSUMER = (
    "This provider no longer accepts passwords for personal accounts: sign in with oauth2, which is the only way."
)
_PROBABLY_DISABLED_CONSUMER = (
    "This provider answers so to passwords of personal accounts, which it no longer accepts: sign in with oauth2, which"
    " is the only way."
)
_NETEASE = (
    "The provider wants programs to name themselves (the IMAP command ID) before a mailbox is opened, or the account to"
    " allow them: turn on IMAP in the account's settings. The mailbox is there."
)
_SERVER_TROUBLE = "The server cannot open the mailbox just now: try again later, or look into its log."
_TRANSITION = (
    "The server must learn the password once more before this way to sign in works: sign in once with mechanisms"
    " [PLAIN] over an encrypted connection."
)
_MECHANISM = "The server cannot use this way to sign in: name another in mechanisms. It offers: {offered}."
_AUTHENTICITY = (
    "The domain of from_address does not vouch for this way of sending (SPF, DKIM or DMARC): send through the domain's"
    " own server, or have the domain's DNS allow this one."
)


def _rule(verdict: str, certainty: str, reply: str = "", text: str = "", remedy: str = "") -> Line:
    return Line(verdict, certainty, "reply", reply=reply, text=text, remedy=remedy)


# 50x answers a command that is not understood, so its limits are those of a line.
_NOT_SYNTAX = "4|5[1-9]"
_CLIENT_CERTIFICATE = _rule("tls_handshake", LIKELY, "[45]", "client certificate")
_HELO = _rule("client_blocked", CERTAIN, text=words.HELO_REFUSED, remedy=_NAMELESS)

_GREETING = (
    _CLIENT_CERTIFICATE,
    _rule("throttled", CERTAIN, "4", words.SENDING_LIMIT, _LIMIT),
    _rule("client_blocked", CERTAIN, "[45]", words.CLIENT_REFUSED),
    _rule("throttled", LIKELY, _NOT_SYNTAX, words.SENDING_LIMIT, _LIMIT),
    _rule("throttled", CERTAIN, "4", words.BUSY),
    _rule("throttled", LIKELY, "4", words.PASSING),
    _rule("greeting_rejected", CERTAIN, "5"),
    _rule("greeting_rejected", LIKELY),
)
_EHLO = (
    _CLIENT_CERTIFICATE,
    _rule("throttled", LIKELY, _NOT_SYNTAX, words.SENDING_LIMIT, _LIMIT),
    _rule("client_blocked", CERTAIN, "[45]", words.HELO_REFUSED, _NAMELESS),
    _rule("client_blocked", CERTAIN, "[45]", words.CLIENT_REFUSED),
    _rule("throttled", CERTAIN, "4", words.BUSY),
    _rule("throttled", LIKELY, "4", words.PASSING),
    _rule("throttled", POSSIBLE, "4"),
    _rule("protocol_error", LIKELY, "50[023]"),
    _rule("client_blocked", CERTAIN, "50[14]|55", words.HELO_NAME, _NAMELESS),
    _rule("client_blocked", LIKELY, "50[14]|55", remedy=_NAMELESS),
    _rule("client_blocked", POSSIBLE, remedy=_NAMELESS),
)
_STARTTLS = (
    _rule("throttled", LIKELY, "4", words.SENDING_LIMIT),
    _rule("client_blocked", CERTAIN, "5", words.CLIENT_REFUSED),
    _rule("starttls_refused", CERTAIN),
)
_SMTP_AUTH = (
    _CLIENT_CERTIFICATE,
    _rule(
        "tls_version",
        CERTAIN,
        text=words.TLS_TOO_OLD,
        remedy="The server refuses the version of TLS that was agreed on: turn on TLS 1.2 or 1.3 on this host.",
    ),
    _rule("security_mismatch", CERTAIN, r"530|... [45]\.7\.0 ?\Z|... 5\.7\.3|50[0-9]", words.TLS_NEEDED, _ENCRYPT),
    _rule(
        "auth_unsupported",
        CERTAIN,
        "538",
        remedy="This way to sign in needs an encrypted connection: set security to starttls or tls.",
    ),
    _rule("security_mismatch", LIKELY, r"... 5\.7\.10(?!\d)", remedy=_ENCRYPT),
    _rule("auth_rejected", CERTAIN, text=words.APP_PASSWORD, remedy=_APP_PASSWORD),
    _rule("auth_rejected", LIKELY, text=r"password is too (simple|weak)", remedy=_WEAK_PASSWORD),
    _rule("auth_rejected", LIKELY, text=words.WEB_SIGN_IN, remedy=_WEB_SIGN_IN),
    _rule(
        "auth_rejected",
        LIKELY,
        r"535 5\.7\.139(?!\d)",
        r"credentials (were|are) (incorrect|wrong|invalid)|account is locked|password (has )?expired",
    ),
    _rule(
        "auth_disabled",
        CERTAIN,
        r"535 5\.7\.139(?!\d)",
        "SmtpClientAuthentication is disabled|security defaults",
        _SWITCHED_OFF,
    ),
    _rule("auth_disabled", LIKELY, r"535 5\.7\.139(?!\d)", remedy=_SWITCHED_OFF),
    _rule(
        "auth_disabled",
        CERTAIN,
        r"... 5\.7\.30(?!\d)",
        remedy="The provider no longer accepts passwords here: sign in with oauth2, or send over graph.",
    ),
    _rule("auth_unsupported", LIKELY, r"432 4\.7\.12|432 \Z", remedy=_TRANSITION),
    _rule("throttled", LIKELY, r"432 4\.3\.2(?!\d)", remedy=_LIMIT),
    _rule("throttled", CERTAIN, "4", words.SENDING_LIMIT, _LIMIT),
    _rule("throttled", LIKELY, _NOT_SYNTAX, words.SENDING_LIMIT, _LIMIT),
    _rule("client_blocked", CERTAIN, "[45]", words.CLIENT_REFUSED),
    _rule("throttled", POSSIBLE, "421"),
    _rule("auth_unsupported", LIKELY, "432", remedy=_TRANSITION),
    _rule("auth_unsupported", CERTAIN, "50[0-9]|534", words.NO_MECHANISM, _MECHANISM),
    _rule("auth_unsupported", LIKELY, "[45]", words.NO_MECHANISM, _MECHANISM),
    _rule("auth_temporary", CERTAIN, "4", words.SERVER_FAULT),
    _rule("auth_temporary", CERTAIN, "454"),
    _rule("auth_temporary", LIKELY, "4"),
    _rule("auth_temporary", LIKELY, "5", words.SERVER_TROUBLE),
    _rule("auth_disabled", CERTAIN, r"5.. 5\.7\.13(?!\d)"),
    _rule("auth_unsupported", CERTAIN, "50[0-9]", remedy=_MECHANISM),
    _rule("auth_disabled", CERTAIN, "5", r"(has been|is|was) (suspended|locked|disabled)|subscription .{0,30}expired"),
    _rule("auth_disabled", LIKELY, text=words.SWITCHED_OFF),
    _rule("auth_unsupported", LIKELY, "534", remedy=_MECHANISM),
    _rule("auth_rejected", LIKELY, r"535 5\.7\.3(?!\d)", remedy=_PROBABLY_SWITCHED_OFF),
    _rule("auth_rejected", CERTAIN, "535", words.CREDENTIALS),
    _rule(
        "auth_rejected",
        CERTAIN,
        r"535 (5\.7\.8)?",
        r"^(5\.7\.8 )?(error: )?authentication (failed|failure|rejected|invalid)\W*$",
    ),
    _rule("auth_rejected", LIKELY, "535"),
    _rule("auth_rejected", POSSIBLE),
)
_SENDER = (
    _CLIENT_CERTIFICATE,
    _rule("security_mismatch", CERTAIN, text=words.TLS_NEEDED, remedy=_ENCRYPT),
    _rule(
        "auth_disabled",
        CERTAIN,
        r"... 5\.7\.30(?!\d)",
        "basic auth",
        "The provider no longer accepts passwords here: sign in with oauth2, or send over graph.",
    ),
    _rule("auth_required", CERTAIN, r"5.. 5\.7\.57(?!\d)"),
    _rule("auth_required", CERTAIN, "[45]", words.SIGN_IN_NEEDED),
    _rule("auth_required", LIKELY, "5", "re-?authenticate|credentials no longer"),
    _rule("sender_rejected", CERTAIN, text=words.SENDER_LISTED),
    _rule("message_too_large", CERTAIN, r"552 5\.3\.4|... 5\.3\.4(?!\d)|523"),
    _rule("message_too_large", CERTAIN, "5", words.TOO_LARGE),
    _rule("sender_rejected", CERTAIN, "5", words.AUTHENTICITY, _AUTHENTICITY),
    _rule("throttled", LIKELY, "4", r"\[TSS0|reputation", _REPUTATION),
    _rule("client_blocked", CERTAIN, "[45]", words.CLIENT_REFUSED),
    _rule("client_blocked", LIKELY, "[45]", r"\b(HL|WM):"),
    _HELO,
    _rule("throttled", CERTAIN, _NOT_SYNTAX, words.SENDING_LIMIT, _LIMIT),
    _rule("throttled", LIKELY, "5", r"\b(MI:STC|RL:|rate)\b"),
    _rule("sender_rejected", CERTAIN, r"5.. 5\.(1\.[78]|7\.27|7\.60|2\.252)(?!\d)"),
    _rule("sender_rejected", LIKELY, r"4.. 4\.1\.[78](?!\d)"),
    _rule("sender_rejected", CERTAIN, "5", words.SENDER_REFUSED),
    _rule("sender_rejected", LIKELY, "4", words.SENDER_REFUSED),
    _rule("relay_denied", LIKELY, "5", words.RELAYING),
    _rule("throttled", CERTAIN, "4", words.BUSY),
    _rule("throttled", LIKELY, "4", words.PASSING),
    _rule("throttled", LIKELY, "4.. 4[.]3[.]"),
    _rule("throttled", POSSIBLE, "4"),
    _rule("auth_required", LIKELY, "530"),
    _rule("mailbox_full", LIKELY, "552", words.FULL),
    _rule("sender_rejected", LIKELY, "5[0-4][0-9]|553"),
    _rule("sender_rejected", POSSIBLE),
)
_RECIPIENT = (
    _CLIENT_CERTIFICATE,
    _rule("security_mismatch", CERTAIN, "530|451 5", words.TLS_NEEDED, _ENCRYPT),
    _rule("auth_required", CERTAIN, r"5.. 5\.7\.57(?!\d)"),
    _rule("relay_denied", CERTAIN, "[45]", words.RELAYING),
    _rule("auth_required", LIKELY, "[45]", words.SIGN_IN_NEEDED),
    _rule("throttled", CERTAIN, "4", words.GREYLISTED, _GREYLISTED),
    _rule(
        "throttled",
        CERTAIN,
        "[45]",
        "receiving (mail|messages) at a rate|recipient has exceeded",
        _TOO_MUCH_FOR_RECIPIENT,
    ),
    _rule("throttled", CERTAIN, _NOT_SYNTAX, words.SENDING_QUOTA, _LIMIT),
    _rule("mailbox_full", CERTAIN, r"... [45]\.2\.2(?!\d)"),
    _rule("mailbox_full", CERTAIN, "[45]", words.FULL),
    _rule("throttled", CERTAIN, _NOT_SYNTAX, words.SENDING_LIMIT, _LIMIT),
    _rule("sender_rejected", CERTAIN, "[45]", words.SENDER_LISTED),
    _rule("sender_rejected", CERTAIN, "5", words.AUTHENTICITY, _AUTHENTICITY),
    _rule("client_blocked", CERTAIN, "[45]", words.CLIENT_REFUSED),
    _HELO,
    _rule("sender_rejected", CERTAIN, r"[45].. [45]\.1\.[78](?!\d)"),
    _rule("sender_rejected", CERTAIN, "5", r"sender address|sender verif|not owned|send-?as|permissions to send"),
    _rule("sender_rejected", LIKELY, "5", r"recipient address rejected: .{0,40}\bsend(er)?\b"),
    _rule("recipient_rejected", CERTAIN, r"5.. 5\.1\.([0-36]|10)(?!\d)"),
    _rule("client_blocked", CERTAIN, r"5.. 5\.7\.(25|51[13]|6[0-4]\d)(?!\d)"),
    _rule("throttled", LIKELY, r"5.. 5\.7\.(28|7[0-4]\d)(?!\d)"),
    _rule("recipient_rejected", CERTAIN, r"5.. 5\.(1\.1|2\.1)(?!\d)", words.RECIPIENT_REFUSED),
    _rule("recipient_rejected", CERTAIN, "5", words.RECIPIENT_UNKNOWN),
    _rule("recipient_rejected", CERTAIN, r"55[0-4] (5\.[1-35]\.\d+)?\Z", words.RECIPIENT_REFUSED),
    _rule("recipient_rejected", LIKELY, "5", words.RECIPIENT_REFUSED),
    _rule("sender_rejected", LIKELY, "5", words.any_of(words.SENDER_REFUSED, r"\(domain based\)")),
    _rule("message_too_large", LIKELY, r"552|... 5\.3\.4", words.TOO_LARGE),
    _rule("recipient_rejected", LIKELY, r"4.. 4\.1\.[0-6](?!\d)|45", words.RECIPIENT_REFUSED),
    _rule("auth_required", LIKELY, "530"),
    _rule("throttled", CERTAIN, "4", words.BUSY),
    _rule("throttled", LIKELY, "4", words.PASSING),
    _rule("sender_rejected", LIKELY, "4", words.SENDER_REFUSED),
    _rule("throttled", POSSIBLE, "4"),
    _rule("mailbox_full", POSSIBLE, "552"),
    _rule("recipient_rejected", LIKELY, "5[05]"),
    _rule("recipient_rejected", POSSIBLE),
)
_MESSAGE = (
    _rule("throttled", CERTAIN, _NOT_SYNTAX, words.SENDING_QUOTA, _LIMIT),
    _rule("message_too_large", CERTAIN, r"... [45]\.3\.4(?!\d)|552 5\.2\.3(?!\d)|523"),
    _rule("message_too_large", CERTAIN, "5", words.TOO_LARGE),
    _rule(
        "sender_rejected",
        CERTAIN,
        "5",
        r"\bdt:sum\b|send-?as ?denied|not allowed to send as|email address is not verified|sender identity",
    ),
    _rule("sender_rejected", CERTAIN, r"5.. 5\.(2\.252|7\.60)(?!\d)"),
    _rule("message_rejected", CERTAIN, "5", words.AUTHENTICITY, _AUTHENTICITY),
    _rule("throttled", CERTAIN, "4", words.GREYLISTED, _GREYLISTED),
    _rule("throttled", LIKELY, "4", words.AUTHENTICITY, _AUTHENTICITY),
    _rule("throttled", CERTAIN, _NOT_SYNTAX, words.SENDING_LIMIT, _LIMIT),
    _rule("mailbox_full", CERTAIN, r"... [45]\.2\.2(?!\d)"),
    _rule("mailbox_full", CERTAIN, "[45]", words.FULL),
    _rule("message_rejected", CERTAIN, "5", r"\b(spam|virus|malware|phishing|unsolicited|infected|dbl)\b|\bloop"),
    _rule("client_blocked", LIKELY, r"5.. 5\.7\.25(?!\d)"),
    _rule("client_blocked", LIKELY, "[45]", words.CLIENT_REFUSED),
    _rule("relay_denied", LIKELY, "5", words.RELAYING),
    _rule("sender_rejected", LIKELY, r"5.. 5\.1\.[78](?!\d)"),
    _rule(
        "recipient_rejected",
        LIKELY,
        "5",
        words.any_of(
            r"(user|recipient)s? unknown|unknown user|no such user|not a valid recipient",
            r"(account|e-?mail|user|mailbox|recipient( address)?) (was |is |has been )?(not exist|not found)",
            r"(account|e-?mail|user|mailbox|recipient( address)?) (was |is |has been )?(disabled|suppressed)",
            r"resolver\.(adr|rst)",
            words.NO_ACCOUNT,
        ),
    ),
    _rule("sender_rejected", LIKELY, "5", words.SENDER_REFUSED),
    _rule("message_rejected", CERTAIN, "5", words.CONTENT),
    _rule("throttled", CERTAIN, "4", words.BUSY),
    _rule("throttled", LIKELY, "4", words.PASSING),
    _rule("throttled", POSSIBLE, "4"),
    _rule("sender_rejected", LIKELY, "5", "domain (may|does) not exist|does not exist"),
    _rule("message_rejected", LIKELY, r"5.. 5\.[67]\."),
    _rule("message_too_large", POSSIBLE, "552 \\Z"),
    _rule("message_rejected", POSSIBLE),
)
_IMAP_GREETING = (
    _rule("throttled", LIKELY, text=words.SENDING_LIMIT, remedy=_LIMIT),
    _rule("client_blocked", LIKELY, text=words.CLIENT_REFUSED),
    _rule("greeting_rejected", CERTAIN),
)
_IMAP_CAPABILITY = (
    _rule("throttled", LIKELY, "BYE", words.SENDING_LIMIT),
    _rule("connection_reset", POSSIBLE, "BYE"),
    _rule("protocol_error", LIKELY),
)
_IMAP_AUTH = (
    _rule("auth_disabled", CERTAIN, r"NO \[PRIVACYREQUIRED\]", remedy=_ENCRYPT),
    _rule("auth_disabled", LIKELY, "NO|BAD", words.TLS_NEEDED, _ENCRYPT),
    _rule("auth_disabled", LIKELY, "BAD|NO", "authenticated but not connected", _NOT_CONNECTED),
    _rule("throttled", CERTAIN, r"NO \[LIMIT\]", remedy=_LIMIT),
    _rule("auth_rejected", CERTAIN, text=words.APP_PASSWORD, remedy=_APP_PASSWORD),
    _rule("auth_rejected", LIKELY, text=words.WEB_SIGN_IN, remedy=_WEB_SIGN_IN),
    _rule("auth_rejected", LIKELY, "NO", "password (is )?incorrect,|account is abnormal", _APP_PASSWORD),
    _rule(
        "throttled",
        CERTAIN,
        text=words.any_of(words.SENDING_LIMIT, "too many|connections from user|bandwidth limits"),
        remedy=_LIMIT,
    ),
    _rule("auth_temporary", CERTAIN, r"(NO|BYE) \[(UNAVAILABLE|INUSE|SERVERBUG)\]"),
    _rule(
        "auth_rejected",
        CERTAIN,
        r"NO \[EXPIRED\]",
        remedy="The password of {username} has expired: set a new one.",
    ),
    _rule("auth_rejected", CERTAIN, r"NO \[AUTHENTICATIONFAILED\]"),
    _rule("auth_rejected", LIKELY, r"NO \[AUTHORIZATIONFAILED\]", words.CREDENTIALS),
    _rule("auth_disabled", LIKELY, r"NO \[(CONTACTADMIN|AUTHORIZATIONFAILED)\]"),
    _rule("auth_rejected", LIKELY, "BYE", "token.{0,10}expired|accesstokenexpired"),
    _rule("auth_unsupported", CERTAIN, "NO|BAD", words.NO_MECHANISM, _MECHANISM),
    _rule("client_blocked", LIKELY, "NO|BYE", words.CLIENT_REFUSED),
    _rule("auth_temporary", LIKELY, "NO|BYE", words.SERVER_FAULT),
    _rule("throttled", POSSIBLE, "BYE"),
    _rule("auth_disabled", CERTAIN, "NO|BAD", words.SWITCHED_OFF),
    _rule("auth_unsupported", LIKELY, "BAD", remedy=_MECHANISM),
    _rule("auth_rejected", CERTAIN, "NO", words.CREDENTIALS),
    _rule("auth_rejected", LIKELY),
)
_SELECT = (
    _rule("mailbox_missing", CERTAIN, r"NO \[(NONEXISTENT|TRYCREATE)\]"),
    _rule("mailbox_denied", CERTAIN, r"NO \[NOPERM\]"),
    _rule("mailbox_full", CERTAIN, r"NO \[OVERQUOTA\]"),
    _rule("throttled", CERTAIN, r"(NO|BYE) \[(UNAVAILABLE|INUSE|LIMIT|TEMPFAIL|TIMEOUT)\]", remedy=_SERVER_TROUBLE),
    _rule("mailbox_denied", LIKELY, r"NO \[(SERVERBUG|CONTACTADMIN)\]", remedy=_SERVER_TROUBLE),
    _rule("mailbox_denied", LIKELY, "", "authenticated but not connected", _NOT_CONNECTED),
    _rule("mailbox_denied", LIKELY, "", "unsafe login", _NETEASE),
    _rule(
        "auth_rejected",
        LIKELY,
        "BYE",
        "token.{0,10}expired|accesstokenexpired",
        "The access token has run out meanwhile: run the test again.",
    ),
    _rule(
        "mailbox_missing",
        CERTAIN,
        "NO|BAD",
        words.any_of(
            r"(does ?n[o']t|not) exist|no such (mailbox|folder)|unknown (mailbox|folder)",
            r"not (be )?found|deleted or moved",
        ),
    ),
    _rule(
        "mailbox_denied",
        CERTAIN,
        "NO|BAD",
        r"permission denied|access denied|insufficient rights|read permission|not allowed|not permitted",
    ),
    _rule(
        "throttled",
        LIKELY,
        "NO|BAD",
        words.any_of(words.SENDING_LIMIT, words.PASSING, "unavailable|reserved|locked|in use|i/o"),
        _SERVER_TROUBLE,
    ),
    _rule(
        "mailbox_denied",
        LIKELY,
        "NO|BAD",
        "corrupt|invalid format|another server|forbidden|denied|permission|internal|database|partition",
        _SERVER_TROUBLE,
    ),
    _rule("mailbox_missing", LIKELY, "NO|BAD", "isn't selectable|noselect"),
    _rule("throttled", LIKELY, "BYE", words.SENDING_LIMIT),
    _rule("connection_reset", POSSIBLE, "BYE"),
    _rule("mailbox_missing", POSSIBLE),
)

REPLY_RULES: dict[tuple[str, str], tuple[Line, ...]] = {
    ("smtp", "greeting"): _GREETING,
    ("smtp", "ehlo"): _EHLO,
    ("smtp", "starttls"): _STARTTLS,
    ("smtp", "auth"): _SMTP_AUTH,
    ("smtp", "sender"): _SENDER,
    ("smtp", "recipient"): _RECIPIENT,
    ("smtp", "message"): _MESSAGE,
    ("imap", "greeting"): _IMAP_GREETING,
    ("imap", "capability"): _IMAP_CAPABILITY,
    ("imap", "starttls"): _STARTTLS,
    ("imap", "auth"): _IMAP_AUTH,
    ("imap", "select"): _SELECT,
}
# Before those, where a personal account of Microsoft signs in: it has no tenant in which anything could be turned on.
PERSONAL_ACCOUNT: dict[tuple[str, str], tuple[Line, ...]] = {
    ("smtp", "auth"): (
        _rule("auth_disabled", CERTAIN, r"... 5\.7\.30(?!\d)", remedy=_DISABLED_CONSUMER),
        _rule("auth_disabled", CERTAIN, "5", words.PASSWORDS_OFF, _DISABLED_CONSUMER),
        _rule("auth_disabled", LIKELY, r"535 5\.7\.139(?!\d)", words.NOT_ABOUT_CREDENTIALS, _DISABLED_CONSUMER),
        _rule("auth_rejected", LIKELY, r"535 5\.7\.3(?!\d)", remedy=_PROBABLY_DISABLED_CONSUMER),
    ),
    ("imap", "auth"): (_rule("auth_disabled", CERTAIN, "NO|BAD", words.PASSWORDS_OFF, _DISABLED_CONSUMER),),
}
# Before those, where the connector signs in as nobody.
WITHOUT_SIGN_IN: dict[tuple[str, str], tuple[Line, ...]] = {
    ("smtp", "recipient"): (
        _rule("relay_denied", LIKELY, "5.. 5[.]7[.]1", "recipient address rejected: access denied"),
    ),
}
OTHER_PHASES = (
    _rule("throttled", POSSIBLE, "421|BYE"),
    _rule("protocol_error", LIKELY),
)
