# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The declared field to check first, by verdict.

{block} stands for smtp, imap or graph, and {sign_in} for the block whose user and password are used there. A word in
angle brackets is one of ALTERNATIVES: the first of these fields that is declared.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from .diagnosis import Diagnosis
from .observation import Observation

EHLO_NAME = "ehlo_name"

FIELDS: Mapping[str, str] = {
    "ok": "",
    "config_invalid": "",
    "host_not_ready": "",
    "dns_not_found": "{block}.<host>",
    "dns_temporary": "",
    "connect_refused": "{block}.<port>",
    "connect_timeout": "{block}.<port>",
    "connect_unreachable": "{block}.<host>",
    "connection_reset": "",
    "proxy_failed": "{block}.proxy",
    "greeting_timeout": "{block}.<port>",
    "greeting_rejected": "",
    "client_blocked": "",
    "protocol_error": "",
    "response_timeout": "",
    "security_mismatch": "{block}.security",
    "starttls_missing": "{block}.security",
    "starttls_refused": "{block}.security",
    "starttls_injection": "{block}.security",
    "tls_untrusted": "{block}.ca_file",
    "tls_name_mismatch": "{block}.<host>",
    "tls_expired": "",
    "tls_not_yet_valid": "",
    "tls_version": "",
    "tls_handshake": "",
    "tls_timeout": "{block}.security",
    "auth_required": "{sign_in}.username",
    "auth_unsupported": "{block}.mechanisms",
    "auth_rejected": "{sign_in}.password",
    "auth_disabled": "{sign_in}.auth",
    "auth_temporary": "",
    "token_endpoint": "oauth2.<endpoint>",
    "token_tenant": "oauth2.tenant_id",
    "token_client": "oauth2.<client>",
    "token_secret": "oauth2.<proof>",
    "token_expired_secret": "oauth2.<proof>",
    "token_certificate": "oauth2.<certificate>",
    "token_consent": "oauth2.<scope>",
    "token_user": "oauth2.username",
    "token_mfa": "oauth2.password",
    "token_policy": "",
    "token_throttled": "",
    "mailbox_missing": "{block}.mailbox",
    "mailbox_denied": "{block}.mailbox",
    "mailbox_full": "",
    "sender_rejected": "<sender>",
    "recipient_rejected": "<recipient>",
    "relay_denied": "{sign_in}.username",
    "message_too_large": "",
    "message_rejected": "",
    "throttled": "",
    "delivery_timeout": "",
    "internal_error": "",
}
# Overrides of FIELDS by verdict and kind, or verdict and phase.
EXCEPTIONS: Mapping[tuple[str, str], str] = {
    ("connection_reset", "tcp"): "{block}.<port>",
    ("connection_reset", "tls"): "{block}.<port>",
    ("connection_reset", "greeting"): "{block}.<port>",
    ("protocol_error", "greeting"): "{block}.<port>",
    ("protocol_error", "tls"): "{block}.<port>",
    ("protocol_error", "auth"): "{block}.mechanisms",
    ("config_invalid", "unfit_secret"): "{sign_in}.password",
    ("relay_denied", "relay_refused"): "smtp.relay",
    ("mailbox_full", "select"): "{block}.mailbox",
    ("mailbox_full", "recipient"): "<recipient>",
    ("mailbox_full", "message"): "<recipient>",
    ("sender_rejected", "message"): "<author>",
    ("proxy_failed", "proxy_target"): "{block}.<host>",
    ("auth_disabled", "login_disabled_unencrypted"): "{block}.security",
    ("auth_rejected", "token_refused"): "{sign_in}.username",
    ("auth_rejected", "token_refused_google"): "{sign_in}.username",
    ("auth_rejected", "token_refused_microsoft"): "{sign_in}.username",
    ("auth_rejected", "graph"): "oauth2.<proof>",
    ("token_endpoint", "certificate"): "oauth2.ca_file",
    ("token_endpoint", "proxy"): "oauth2.proxy",
}
# If none is declared, the last one is used; if that is empty, no field is named.
ALTERNATIVES: Mapping[str, tuple[str, ...]] = {
    "host": ("uri", "url", "host"),
    "port": ("uri", "url", "port"),
    "endpoint": ("token_url", "authority", "managed_identity", "service_account", ""),
    "client": ("client_id", "managed_identity", "service_account", "client_id"),
    "proof": ("client_secret", "certificate", "certificate_file", "assertion_file", "service_account", "client_secret"),
    "certificate": ("certificate", "certificate_file", "assertion_file", "service_account", "certificate"),
    "scope": ("scope", ""),
    "sender": ("errors_to", "from_address", "from_address"),
    "author": ("from_address", "errors_to", "from_address"),
}


def field_of(
    diagnosis: Diagnosis,
    observation: Observation,
    declared: Collection[str],
    to: str = "",
    *,
    shares_credentials: bool = False,
) -> str | None:
    """The field to check first, or None; `declared` holds the paths of all declared fields.

    A field in the observation's facts takes precedence. `to` is the task's recipient; `shares_credentials`: smtp uses
    the credentials of imap.
    """
    template = observation.facts.get("field") or _template(diagnosis, observation)
    block = "oauth2" if observation.phase == "token" else observation.protocol
    sign_in = "imap" if block == "smtp" and shares_credentials else block
    path = template.replace("{block}", block).replace("{sign_in}", sign_in)
    if path == "<recipient>":
        return "to" if to else "test_address"
    parent, dot, name = path.rpartition(".")
    if name.startswith("<"):
        *names, last = ALTERNATIVES[name.strip("<>")]
        name = next((each for each in names if f"{parent}{dot}{each}" in declared), last)
        path = f"{parent}{dot}{name}"
    return path if name and name not in _MISSING_FIELDS.get(parent, ()) else None


_NAMED = re.compile(r"(smtp|imap|graph|oauth2)\.[a-z0-9_]+")
# The fields that a block does not have.
_MISSING_FIELDS: Mapping[str, frozenset[str]] = {
    "graph": frozenset("host port security mechanisms auth username password".split()),
    "oauth2": frozenset("host port security mechanisms auth mailbox".split()),
    "smtp": frozenset(["mailbox"]),
}


def _template(diagnosis: Diagnosis, observation: Observation) -> str:
    verdict = diagnosis.verdict
    named = _NAMED.match(observation.text) if verdict == "config_invalid" else None
    if named:
        return named.group(0)
    if verdict == "client_blocked" and EHLO_NAME in diagnosis.remedy:
        return f"{{block}}.{EHLO_NAME}"
    for about in (observation.kind, observation.phase):
        if (verdict, about) in EXCEPTIONS:
            return EXCEPTIONS[verdict, about]
    return FIELDS[verdict]
