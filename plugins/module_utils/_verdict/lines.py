# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Which observation of a conversation stands for which verdict."""

from __future__ import annotations

from .line import CERTAIN, LIKELY, LOOK_FIRST, POSSIBLE, Line
from .observed import PERHAPS_ACCEPTED

_SWITCHED_OFF = (
    "SMTP sign-in by password is switched off for the organisation or the mailbox. In Exchange Online, in this"
    " order: security defaults, Set-TransportConfig -SmtpClientAuthenticationDisabled $false, Set-CASMailbox"
    " -SmtpClientAuthenticationDisabled $false for the mailbox; changes take a quarter of an hour. Better: sign in"
    " with oauth2."
)

_NAMELESS = (
    "The server does not accept the name by which this host introduces itself: set ehlo_name to a full name that has"
    " an address. It says: {text}"
)
_NOT_CONNECTED = (
    "The sign-in worked, but the mailbox stays closed (Exchange: {text}): {username} has no right to it, IMAP is turned"
    " off for it, or it lives on another server."
)
_TOO_MUCH = "too many|maximum number of|simultaneous connections|rate.?limit|concurrent|bandwidth limits|limit exceeded"
_NO_RELAY = (
    "relay(ing)? (access )?(is )?(denied|not (allowed|permitted)|prohibited|refused)|unable to relay"
    "|not permitted to relay|cannot relay|not relay|rcpthosts|relaying denied"
)

# Replies are matched as "CODE ENHANCED", such as "535 5.7.8" or "535 "; IMAP's response codes as "NO [CODE]".
LINES: tuple[Line, ...] = (
    Line("config_invalid", CERTAIN, "config"),
    Line("dns_not_found", CERTAIN, "not_found"),
    Line("dns_temporary", LIKELY, "name_temporary"),
    Line("proxy_failed", CERTAIN, "proxy"),
    Line(
        "proxy_failed",
        LIKELY,
        "proxy_target",
        remedy=(
            "The proxy answers, and cannot reach {host} port {port} ({text}). Check host and port, and whether the"
            " proxy may go there."
        ),
    ),
    Line(
        "internal_error",
        CERTAIN,
        "exhausted",
        remedy="This host has run out of files, threads or memory ({text}): lower concurrency, or raise its limits.",
    ),
    Line(
        "starttls_missing",
        CERTAIN,
        "unencrypted",
        remedy=(
            "The server offers no encryption, and nobody signs in without. Use a port with encryption (465 or 993 with"
            " security tls), or, within a trusted network only, write security none."
        ),
    ),
    Line("connect_refused", CERTAIN, "refused"),
    Line("connect_unreachable", CERTAIN, "unreachable"),
    Line("security_mismatch", CERTAIN, "speaks_tls"),
    Line("security_mismatch", CERTAIN, "speaks_plain"),
    Line("starttls_injection", CERTAIN, "injection"),
    Line("starttls_missing", CERTAIN, "starttls_missing"),
    Line("dns_temporary", LIKELY, "timeout", phases="dns"),
    Line("connect_timeout", LIKELY, "timeout", phases="tcp"),
    Line("greeting_timeout", LIKELY, "timeout", phases="greeting"),
    Line("tls_timeout", LIKELY, "timeout", phases="tls"),
    Line("response_timeout", LIKELY, "timeout", phases="message", text=PERHAPS_ACCEPTED, remedy=LOOK_FIRST),
    Line("connection_reset", LIKELY, ("reset", "closed"), phases="message", text=PERHAPS_ACCEPTED, remedy=LOOK_FIRST),
    Line("protocol_error", LIKELY, ("protocol", "graph"), phases="message", text=PERHAPS_ACCEPTED, remedy=LOOK_FIRST),
    Line("message_too_large", CERTAIN, "too_large"),
    Line("response_timeout", LIKELY, "timeout"),
    Line("delivery_timeout", LIKELY, "not_delivered"),
    Line(
        "mailbox_denied",
        LIKELY,
        "not_removed",
        remedy="Remove the test mail by hand, and grant {username} the right to delete from the mailbox: {text}",
    ),
    Line("connection_reset", LIKELY, ("reset", "closed")),
    Line(
        "tls_expired",
        CERTAIN,
        "issuer_expired",
        remedy=(
            "A certificate that issued the server's has expired, the server's own has not: put the authority's present"
            " one behind it on the server. If all are up to date, check this host's clock."
        ),
    ),
    Line("tls_expired", CERTAIN, "certificate", reply="10 "),
    Line("tls_not_yet_valid", CERTAIN, "certificate", reply="9 "),
    Line("tls_name_mismatch", CERTAIN, "certificate", reply="(62|63|64) "),
    Line(
        "tls_untrusted",
        CERTAIN,
        "certificate",
        reply="18 ",
        remedy="The server's certificate is signed by itself: name it with ca_file if you know it, or have one issued.",
    ),
    Line(
        "tls_untrusted",
        CERTAIN,
        "certificate",
        reply="6[5-8] ",
        remedy=(
            "The certificate's key or signature is too weak to be trusted: have it issued anew with SHA-256 and a"
            " longer key."
        ),
    ),
    Line(
        "tls_untrusted",
        CERTAIN,
        "certificate",
        reply="(79|8[0-9]|9[0-9]) ",
        remedy=(
            "A certificate in the chain does not follow today's rules, which newer Pythons insist on ({text}):"
            " have the authority's certificate issued anew."
        ),
    ),
    Line("tls_untrusted", CERTAIN, "certificate"),
    Line("tls_version", CERTAIN, "tls", text="PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|NO_PROTOCOLS_AVAILABLE"),
    Line("tls_handshake", LIKELY, "tls", text="CERTIFICATE_REQUIRED|BAD_CERTIFICATE|HANDSHAKE_FAILURE"),
    Line("tls_handshake", CERTAIN, "tls"),
    Line("auth_unsupported", CERTAIN, "no_mechanism"),
    Line(
        "auth_disabled",
        CERTAIN,
        "login_disabled_unencrypted",
        remedy="The server lets nobody sign in over an unencrypted connection: set security to starttls or tls.",
    ),
    Line("auth_disabled", CERTAIN, "login_disabled"),
    Line(
        "starttls_refused",
        CERTAIN,
        "preauth",
        phases="starttls",
        remedy=(
            "The server has signed this host in by itself (PREAUTH), after which encryption cannot begin. Do not rely"
            " on it: something in between may do this. Set security to tls, on port 993."
        ),
    ),
    Line(
        "auth_unsupported",
        LIKELY,
        "preauth",
        remedy=(
            "The server has signed this host in by itself (PREAUTH), so that nobody else can sign in there: use"
            " another port of it, such as 993."
        ),
    ),
    Line("auth_rejected", LIKELY, "refused_proof"),
    Line(
        "relay_denied",
        LIKELY,
        "relay_refused",
        remedy=(
            "The server does not take mail from a foreign sender domain, as relay says that it does: leave relay out,"
            " or have relaying allowed for this host or {username}. It says: {text}"
        ),
    ),
    Line(
        "auth_rejected",
        CERTAIN,
        "server_signature",
        remedy=(
            "The server could not prove that it knows the password: it is not the server that it says it is, or"
            " its user database is damaged. Do not use it."
        ),
    ),
    Line("config_invalid", CERTAIN, "unfit_secret"),
    Line(
        "protocol_error",
        CERTAIN,
        "other_protocol",
        remedy="{speaks} answers on port {port} of {host}: set port to that of {protocol}.",
    ),
    Line(
        "protocol_error",
        LIKELY,
        "protocol",
        phases="auth",
        remedy=(
            "The server breaks the rules of the way to sign in ({text}). Name another in mechanisms, such as PLAIN"
            " over an encrypted connection, and have the server updated."
        ),
    ),
    Line("protocol_error", LIKELY, "protocol"),
    Line("tls_handshake", LIKELY, "reply", text="client certificate"),
    Line("greeting_rejected", CERTAIN, "reply", phases="greeting"),
    Line("starttls_refused", CERTAIN, "reply", phases="starttls"),
    Line("auth_temporary", LIKELY, "reply", phases="auth", reply=r"BYE \[UNAVAILABLE\]"),
    Line("throttled", POSSIBLE, "reply", reply="421|BYE"),
    Line(
        "greeting_rejected",
        LIKELY,
        "reply",
        phases="ehlo",
        reply="55.|501|504",
        remedy=_NAMELESS,
    ),
    Line(
        "greeting_rejected",
        LIKELY,
        "reply",
        reply="[45]..",
        text=r"block(ed)? ?(list|using)|spamhaus|\b[dr]n?s?bl\b|from your country|reverse (host ?name|dns)|no ptr",
        remedy=(
            "The server refuses this host's address: it is on a block list, or has no name that it trusts. Send over"
            " the provider's submission port with a sign-in, or have the address taken off. It says: {text}"
        ),
    ),
    Line(
        "greeting_rejected", LIKELY, "reply", phases="sender|recipient", reply="[45]..", text="helo", remedy=_NAMELESS
    ),
    Line(
        "throttled",
        LIKELY,
        "reply",
        phases="auth|select",
        reply=r"(?!NO \[OVERQUOTA\])",
        text=_TOO_MUCH,
    ),
    Line(
        "auth_temporary",
        LIKELY,
        "reply",
        phases="auth",
        reply=r"NO(?! \[(UNAVAILABLE|INUSE|SERVERBUG)\])",
        text="temporar|server unavailable|service unavailable|try again",
    ),
    Line(
        "throttled",
        LIKELY,
        "reply",
        phases="select",
        reply="NO",
        text="temporar|server unavailable|service unavailable|try again",
    ),
    Line(
        "auth_disabled",
        LIKELY,
        "reply",
        phases="auth",
        reply="BAD|NO",
        text="authenticated but not connected",
        remedy=_NOT_CONNECTED,
    ),
    Line(
        "auth_rejected",
        LIKELY,
        "reply",
        phases="auth",
        reply=r"535 5\.7\.139(?!\d)",
        text="credentials (were|are) (incorrect|wrong|invalid)|account is locked|password (has )?expired",
    ),
    Line(
        "auth_disabled",
        CERTAIN,
        "reply",
        phases="auth",
        reply=r"535 5\.7\.139(?!\d)",
        text="SmtpClientAuthentication is disabled",
        remedy=_SWITCHED_OFF,
    ),
    Line(
        "auth_disabled",
        CERTAIN,
        "reply",
        phases="auth",
        reply=r"535 5\.7\.139(?!\d)",
        text="security defaults",
        remedy=_SWITCHED_OFF,
    ),
    Line("auth_disabled", LIKELY, "reply", phases="auth", reply=r"535 5\.7\.139(?!\d)", remedy=_SWITCHED_OFF),
    Line(
        "auth_disabled",
        CERTAIN,
        "reply",
        reply=r"... 5\.7\.30(?!\d)",
        remedy="The provider no longer accepts passwords here: sign in with oauth2, or send over graph.",
    ),
    Line(
        "auth_rejected",
        CERTAIN,
        "reply",
        text="app(lication)?-specific password",
        remedy="Two-step sign-in is on for {username}: create an app password and give that as password.",
    ),
    Line("throttled", LIKELY, "reply", reply=r"432 4\.3\.2(?!\d)"),
    Line(
        "security_mismatch",
        CERTAIN,
        "reply",
        reply="530",
        text="starttls|encryption",
        remedy="The server only goes on over an encrypted connection: set security to starttls.",
    ),
    Line(
        "auth_unsupported",
        LIKELY,
        "reply",
        phases="auth",
        reply="432",
        remedy=(
            "The server must learn the password once more before this way to sign in works: sign in once with"
            " mechanisms [PLAIN] over an encrypted connection. It says: {text}"
        ),
    ),
    Line("auth_temporary", CERTAIN, "reply", phases="auth", reply="4.."),
    Line("auth_temporary", CERTAIN, "reply", phases="auth", reply=r"NO \[(UNAVAILABLE|INUSE|SERVERBUG)\]"),
    Line("throttled", LIKELY, "reply", phases="auth", reply=r"NO \[LIMIT\]"),
    Line(
        "auth_disabled",
        CERTAIN,
        "reply",
        phases="auth",
        reply=r"NO \[PRIVACYREQUIRED\]",
        remedy="The server only lets users sign in over an encrypted connection: set security to starttls or tls.",
    ),
    Line(
        "auth_rejected",
        CERTAIN,
        "reply",
        phases="auth",
        reply=r"NO \[EXPIRED\]",
        remedy="The password of {username} has expired: set a new one.",
    ),
    Line("auth_disabled", LIKELY, "reply", phases="auth", reply=r"NO \[(CONTACTADMIN|AUTHORIZATIONFAILED)\]"),
    Line(
        "auth_rejected",
        LIKELY,
        "reply",
        phases="auth",
        text="webalert|web ?login|log ?in via your web browser",
        remedy=(
            "The provider wants {username} to confirm the sign-in in a browser; an app password or oauth2 avoids that."
            " It says: {text}"
        ),
    ),
    Line(
        "auth_disabled",
        LIKELY,
        "reply",
        phases="auth",
        text="(access|protocol|imap|smtp|account) (is|has been) (disabled|turned off|not enabled)",
    ),
    Line(
        "auth_unsupported",
        CERTAIN,
        "reply",
        phases="auth",
        reply="538",
        remedy="This way to sign in needs an encrypted connection: set security to starttls or tls.",
    ),
    Line("auth_unsupported", CERTAIN, "reply", phases="auth", reply="534"),
    Line("auth_unsupported", LIKELY, "reply", phases="auth", reply="50[0-4]|BAD"),
    Line("auth_rejected", LIKELY, "reply", phases="auth"),
    Line("auth_required", CERTAIN, "reply", reply="530"),
    Line("auth_required", CERTAIN, "reply", reply=r"5.. 5\.7\.57(?!\d)"),
    Line(
        "auth_required",
        LIKELY,
        "reply",
        phases="sender|recipient",
        text="auth(entication)? (is )?required|not authenticated|must authenticate|log ?in first",
    ),
    Line("mailbox_missing", CERTAIN, "reply", phases="select", reply=r"NO \[(NONEXISTENT|TRYCREATE)\]"),
    Line("mailbox_denied", CERTAIN, "reply", phases="select", reply=r"NO \[NOPERM\]"),
    Line("mailbox_full", CERTAIN, "reply", phases="select", reply=r"NO \[OVERQUOTA\]"),
    Line(
        "throttled",
        LIKELY,
        "reply",
        phases="select",
        reply=r"NO \[(UNAVAILABLE|INUSE|LIMIT)\]",
        remedy="The server cannot open the mailbox just now: try again later. It says: {text}",
    ),
    Line(
        "mailbox_denied",
        LIKELY,
        "reply",
        phases="select",
        text="authenticated but not connected",
        remedy=_NOT_CONNECTED,
    ),
    Line(
        "mailbox_denied",
        LIKELY,
        "reply",
        phases="select",
        reply=r"NO \[(SERVERBUG|CONTACTADMIN)\]",
        remedy="The server cannot open this mailbox just now: look into its log. It says: {text}",
    ),
    Line("mailbox_denied", LIKELY, "reply", phases="select", text="permission|denied|not allowed|locked"),
    Line("mailbox_missing", LIKELY, "reply", phases="select"),
    Line("mailbox_full", CERTAIN, "reply", phases="recipient|message", reply=r"(452|552|...) [45]\.2\.2(?!\d)"),
    Line("message_too_large", CERTAIN, "reply", reply=r"... 5\.3\.4(?!\d)|552 5\.2\.3(?!\d)|523"),
    Line("message_too_large", LIKELY, "reply", phases="message", reply="552"),
    Line("message_too_large", LIKELY, "reply", phases="sender", reply="552", text="size|large|big|limit|quota|storage"),
    Line("mailbox_full", LIKELY, "reply", phases="recipient", reply="552"),
    Line(
        "sender_rejected",
        LIKELY,
        "reply",
        phases="recipient",
        text="sender address rejected|not owned|send ?as|not allowed to send",
    ),
    Line("sender_rejected", LIKELY, "reply", phases="sender|recipient", reply=r"[45].. [45]\.1\.[78](?!\d)"),
    Line("recipient_rejected", CERTAIN, "reply", phases="recipient", reply=r"5.. 5\.1\.[0-6](?!\d)"),
    Line("relay_denied", CERTAIN, "reply", phases="recipient", text=_NO_RELAY),
    Line("recipient_rejected", LIKELY, "reply", phases="recipient", reply="5..", text="spf|user unknown|no such user"),
    Line("relay_denied", LIKELY, "reply", phases="recipient", reply=r"454 4\.7\.1(?!\d)|55. 5\.7\.1(?!\d)"),
    Line(
        "throttled",
        LIKELY,
        "reply",
        reply="4..",
        text="rate|too many|too much|concurrent|slow down|gr[ea]ylist|try again",
    ),
    Line("throttled", POSSIBLE, "reply", phases="ehlo|sender|recipient|message", reply="4.."),
    Line("sender_rejected", CERTAIN, "reply", phases="sender"),
    Line("recipient_rejected", CERTAIN, "reply", phases="recipient"),
    Line("sender_rejected", LIKELY, "reply", phases="message", reply=r"5.. 5\.2\.252(?!\d)"),
    Line("message_rejected", CERTAIN, "reply", phases="message"),
    Line("protocol_error", LIKELY, "reply"),
    Line("internal_error", CERTAIN, "internal"),
)
