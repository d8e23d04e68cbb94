# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Which observation stands for which verdict, but for what servers reply: that is in reply_rules."""

from __future__ import annotations

from .line import CERTAIN, LIKELY, LOOK_FIRST, Line
from .observation import PERHAPS_ACCEPTED

LINES: tuple[Line, ...] = (
    Line("config_invalid", CERTAIN, "config"),
    Line("host_not_ready", CERTAIN, "not_ready"),
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
    Line("internal_error", CERTAIN, "internal"),
)
