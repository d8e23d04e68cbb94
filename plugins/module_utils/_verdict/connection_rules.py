# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""What it means when a conversation ends without a server's refusal: network, encryption, protocol, this host."""

from __future__ import annotations

from .observation import PERHAPS_ACCEPTED
from .rule import CERTAIN, LIKELY, LOOK_FIRST, Rule

CONNECTION_RULES: tuple[Rule, ...] = (
    Rule("config_invalid", CERTAIN, "config"),
    Rule("host_not_ready", CERTAIN, "not_ready"),
    Rule("dns_not_found", CERTAIN, "not_found"),
    Rule("dns_temporary", LIKELY, "name_temporary"),
    Rule("proxy_failed", CERTAIN, "proxy"),
    Rule(
        "proxy_failed",
        LIKELY,
        "proxy_target",
        remedy=(
            "The proxy answers, and cannot reach {host} port {port} ({text}). Check host and port, and whether the"
            " proxy may go there."
        ),
    ),
    Rule(
        "internal_error",
        CERTAIN,
        "exhausted",
        remedy="This host has run out of files, threads or memory ({text}): lower concurrency, or raise its limits.",
    ),
    Rule(
        "starttls_missing",
        CERTAIN,
        "unencrypted",
        remedy=(
            "The server offers no encryption, and nobody signs in without. Use a port with encryption (465 or 993 with"
            " security tls), or, within a trusted network only, write security none."
        ),
    ),
    Rule("connect_refused", CERTAIN, "refused"),
    Rule("connect_unreachable", CERTAIN, "unreachable"),
    Rule("security_mismatch", CERTAIN, "speaks_tls"),
    Rule("security_mismatch", CERTAIN, "speaks_plain"),
    Rule("starttls_injection", CERTAIN, "injection"),
    Rule("starttls_missing", CERTAIN, "starttls_missing"),
    Rule("dns_temporary", LIKELY, "timeout", phases=("dns",)),
    Rule("connect_timeout", LIKELY, "timeout", phases=("tcp",)),
    Rule("greeting_timeout", LIKELY, "timeout", phases=("greeting",)),
    Rule("tls_timeout", LIKELY, "timeout", phases=("tls",)),
    Rule("response_timeout", LIKELY, "timeout", phases=("message",), text=PERHAPS_ACCEPTED, remedy=LOOK_FIRST),
    Rule(
        "connection_reset", LIKELY, ("reset", "closed"), phases=("message",), text=PERHAPS_ACCEPTED, remedy=LOOK_FIRST
    ),
    Rule(
        "protocol_error", LIKELY, ("protocol", "graph"), phases=("message",), text=PERHAPS_ACCEPTED, remedy=LOOK_FIRST
    ),
    Rule("message_too_large", CERTAIN, "too_large"),
    Rule("response_timeout", LIKELY, "timeout"),
    Rule("delivery_timeout", LIKELY, "not_delivered"),
    Rule(
        "mailbox_denied",
        LIKELY,
        "not_removed",
        remedy="Remove the test mail by hand, and grant {username} the right to delete from the mailbox: {text}",
    ),
    Rule("connection_reset", LIKELY, ("reset", "closed")),
    Rule(
        "tls_expired",
        CERTAIN,
        "issuer_expired",
        remedy=(
            "A certificate that issued the server's has expired, the server's own has not: put the authority's present"
            " one behind it on the server. If all are up to date, check this host's clock."
        ),
    ),
    Rule("tls_expired", CERTAIN, "certificate", reply="10 "),
    Rule("tls_not_yet_valid", CERTAIN, "certificate", reply="9 "),
    Rule("tls_name_mismatch", CERTAIN, "certificate", reply="(62|63|64) "),
    Rule(
        "tls_untrusted",
        CERTAIN,
        "certificate",
        reply="18 ",
        remedy="The server's certificate is signed by itself: name it with ca_file if you know it, or have one issued.",
    ),
    Rule(
        "tls_untrusted",
        CERTAIN,
        "certificate",
        reply="6[5-8] ",
        remedy=(
            "The certificate's key or signature is too weak to be trusted: have it issued anew with SHA-256 and a"
            " longer key."
        ),
    ),
    Rule(
        "tls_untrusted",
        CERTAIN,
        "certificate",
        reply="(79|8[0-9]|9[0-9]) ",
        remedy=(
            "A certificate in the chain does not follow today's rules, which newer Pythons insist on ({text}):"
            " have the authority's certificate issued anew."
        ),
    ),
    Rule("tls_untrusted", CERTAIN, "certificate"),
    Rule("tls_version", CERTAIN, "tls", text="PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|NO_PROTOCOLS_AVAILABLE"),
    Rule("tls_handshake", LIKELY, "tls", text="CERTIFICATE_REQUIRED|BAD_CERTIFICATE|HANDSHAKE_FAILURE"),
    Rule("tls_handshake", CERTAIN, "tls"),
    Rule("auth_unsupported", CERTAIN, "no_mechanism"),
    Rule(
        "auth_disabled",
        CERTAIN,
        "login_disabled_unencrypted",
        remedy="The server lets nobody sign in over an unencrypted connection: set security to starttls or tls.",
    ),
    Rule("auth_disabled", CERTAIN, "login_disabled"),
    Rule(
        "starttls_refused",
        CERTAIN,
        "preauth",
        phases=("starttls",),
        remedy=(
            "The server has signed this host in by itself (PREAUTH), after which encryption cannot begin. Do not rely"
            " on it: something in between may do this. Set security to tls, on port 993."
        ),
    ),
    Rule(
        "auth_unsupported",
        LIKELY,
        "preauth",
        remedy=(
            "The server has signed this host in by itself (PREAUTH), so that nobody else can sign in there: use"
            " another port of it, such as 993."
        ),
    ),
    Rule("auth_rejected", LIKELY, "refused_proof"),
    Rule(
        "relay_denied",
        LIKELY,
        "relay_refused",
        remedy=(
            "The server does not take mail from a foreign sender domain, as relay says that it does: leave relay out,"
            " or have relaying allowed for this host or {username}. It says: {text}"
        ),
    ),
    Rule(
        "auth_rejected",
        CERTAIN,
        "server_signature",
        remedy=(
            "The server could not prove that it knows the password: it is not the server that it says it is, or"
            " its user database is damaged. Do not use it."
        ),
    ),
    Rule("config_invalid", CERTAIN, "unfit_secret"),
    Rule(
        "protocol_error",
        CERTAIN,
        "other_protocol",
        remedy="{speaks} answers on port {port} of {host}: set port to that of {protocol}.",
    ),
    Rule(
        "protocol_error",
        LIKELY,
        "protocol",
        phases=("auth",),
        remedy=(
            "The server breaks the rules of the way to sign in ({text}). Name another in mechanisms, such as PLAIN"
            " over an encrypted connection, and have the server updated."
        ),
    ),
    Rule("protocol_error", LIKELY, "protocol"),
    Rule("internal_error", CERTAIN, "internal"),
)
