# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Rules for errors other than a server's refusal: network, encryption, protocol, this host."""

from __future__ import annotations

from .observation import PERHAPS_ACCEPTED
from .rule import CERTAIN, CHECK_BEFORE_RESENDING, LIKELY, Rule

CONNECTION_RULES: tuple[Rule, ...] = (
    Rule("config_invalid", CERTAIN, "config"),
    Rule("config_invalid", CERTAIN, "stored", remedy="What the registry holds cannot be used: {text}"),
    Rule("host_not_ready", CERTAIN, "not_ready"),
    Rule("dns_not_found", CERTAIN, "not_found"),
    Rule("dns_temporary", LIKELY, "name_temporary"),
    Rule("proxy_failed", CERTAIN, "proxy"),
    Rule(
        "proxy_failed",
        LIKELY,
        "proxy_target",
        remedy=(
            "The proxy could not connect to {host} port {port} ({text}). Check host and port, and whether the proxy may"
            " connect there."
        ),
    ),
    Rule(
        "internal_error",
        CERTAIN,
        "exhausted",
        remedy=(
            "This host has run out of file descriptors, threads or memory ({text}): lower concurrency, or raise the"
            " limits."
        ),
    ),
    Rule(
        "starttls_missing",
        CERTAIN,
        "unencrypted",
        remedy=(
            "The server offers no encryption, so the connector did not sign in. Use an encrypted port (465 or 993 with"
            " security tls). Only if the server is inside a trusted network, set security to none."
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
    Rule(
        "response_timeout", LIKELY, "timeout", phases=("message",), text=PERHAPS_ACCEPTED, remedy=CHECK_BEFORE_RESENDING
    ),
    Rule(
        "connection_reset",
        LIKELY,
        ("reset", "closed"),
        phases=("message",),
        text=PERHAPS_ACCEPTED,
        remedy=CHECK_BEFORE_RESENDING,
    ),
    Rule(
        "protocol_error",
        LIKELY,
        ("protocol", "graph"),
        phases=("message",),
        text=PERHAPS_ACCEPTED,
        remedy=CHECK_BEFORE_RESENDING,
    ),
    Rule("message_too_large", CERTAIN, "too_large"),
    Rule("response_timeout", LIKELY, "timeout"),
    Rule("delivery_timeout", LIKELY, "not_delivered"),
    Rule(
        "mailbox_denied",
        LIKELY,
        "not_removed",
        remedy="Delete the test mail by hand, and grant {username} the right to delete from the mailbox. Error: {text}",
    ),
    Rule("connection_reset", LIKELY, ("reset", "closed")),
    Rule(
        "tls_expired",
        CERTAIN,
        "issuer_expired",
        remedy=(
            "An intermediate certificate has expired. Install the CA's current intermediate certificate on the server."
            " If all certificates are valid, check this host's clock."
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
        remedy=(
            "The server's certificate is self-signed: if you trust it, set ca_file to it; otherwise have one issued by"
            " a CA."
        ),
    ),
    Rule(
        "tls_untrusted",
        CERTAIN,
        "certificate",
        reply="6[5-8] ",
        remedy=("The certificate's key or signature is too weak: have it reissued with SHA-256 and a longer key."),
    ),
    Rule(
        "tls_untrusted",
        CERTAIN,
        "certificate",
        reply="(79|8[0-9]|9[0-9]) ",
        remedy=(
            "A certificate in the chain violates RFC 5280, which newer versions of Python enforce ({text}): have the"
            " CA's certificate reissued."
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
        remedy="The server does not allow a sign-in over an unencrypted connection: set security to starttls or tls.",
    ),
    Rule("auth_disabled", CERTAIN, "login_disabled"),
    Rule(
        "starttls_refused",
        CERTAIN,
        "preauth",
        phases=("starttls",),
        remedy=(
            "The server signed this host in without credentials (PREAUTH), after which STARTTLS is not possible. An"
            " attacker on the network path can cause this: set security to tls, on port 993."
        ),
    ),
    Rule(
        "auth_unsupported",
        LIKELY,
        "preauth",
        remedy=(
            "The server signed this host in without credentials (PREAUTH), so the connector cannot sign in: use another"
            " port of the server, such as 993."
        ),
    ),
    Rule("auth_rejected", LIKELY, "refused_proof"),
    Rule(
        "relay_denied",
        LIKELY,
        "relay_refused",
        remedy=(
            "The server does not accept mail from a foreign sender domain, although relay is true: remove relay, or"
            " have relaying allowed for this host or {username}. The server says: {text}"
        ),
    ),
    Rule(
        "auth_rejected",
        CERTAIN,
        "server_signature",
        remedy=(
            "The server did not prove that it knows the password: it may be an impostor, or its user database is"
            " damaged. Do not use it."
        ),
    ),
    Rule("config_invalid", CERTAIN, "unfit_secret"),
    Rule(
        "protocol_error",
        CERTAIN,
        "other_protocol",
        remedy="{host} port {port} speaks {speaks}: set port to the port for {protocol}.",
    ),
    Rule(
        "protocol_error",
        LIKELY,
        "protocol",
        phases=("auth",),
        remedy=(
            "The server violates the rules of the SASL mechanism ({text}). Set another one in mechanisms, such as PLAIN"
            " over an encrypted connection, and have the server updated."
        ),
    ),
    Rule("protocol_error", LIKELY, "protocol"),
    Rule("internal_error", CERTAIN, "internal"),
)
