# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Derives the effective settings: what was declared, completed by the preset and the defaults."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

from . import checks
from .fields import Settings
from .presets import PRESETS

_TLS_PORTS = (465, 2465)
DEFAULT_PORT = {
    "smtp": {"tls": 465, "starttls": 587, "starttls_optional": 587, "none": 25},
    "imap": {"tls": 993, "starttls": 143, "starttls_optional": 143, "none": 143},
}
"""The port for each value of security."""

Preset = dict[str, dict[str, Any]]


def resolve_preset(settings: Settings, before: Settings, resolved: Preset) -> Preset:
    """The preset's servers for the declared blocks; values that were resolved earlier are kept."""
    provider = settings.get("provider")
    known = PRESETS.get(provider, {}) if provider else {}
    kept = resolved if provider == before.get("provider") else {}
    servers = {block: kept.get(block) or known.get(block) for block in ("smtp", "imap") if block in settings}
    return {block: dict(server) for block, server in servers.items() if server}


def derive_settings(settings: Settings, preset: Preset, secrets: Container[str], name: str) -> dict[str, Any]:
    """Every field that has a value, declared or derived. Secrets are not part of it."""
    result: dict[str, Any] = {**settings}
    result.setdefault("display_name", name)
    result.setdefault("enabled", True)
    oauth2 = settings.get("oauth2")
    if oauth2 is not None:
        result["oauth2"] = {"cloud": "global", **oauth2}
    for block in ("imap", "smtp"):
        if block in settings:
            result[block] = _derive_server(block, settings, preset.get(block, {}), secrets)
    if "graph" in settings:
        result["graph"] = {"save_to_sent": True, **settings["graph"]}
        if oauth2 and "username" in oauth2:
            result["graph"].setdefault("mailbox", oauth2["username"])
    if result.get("smtp", {}).get("same_credentials"):
        imap = result.get("imap", {})
        result["smtp"]["auth"] = imap.get("auth", "none")
        if "username" in imap:
            result["smtp"]["username"] = imap["username"]
    return result


def with_test_address(result: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with the effective test_address, which is not part of what is compared or sealed."""
    test_address = (
        result.get("test_address")
        or next((user for user in _sign_in_users(result) if user and checks.is_address(user)), None)
        or result.get("from_address")
        or result.get("graph", {}).get("mailbox")
    )
    return {**result, **({"test_address": test_address} if test_address else {})}


def _sign_in_users(result: Mapping[str, Any]) -> tuple[str | None, ...]:
    """The names of the user who signs in to send, or to read where a connector only receives."""
    signs_in_with = connector_type(result)
    oauth2_user = result.get("oauth2", {}).get("username")
    if signs_in_with == "graph":
        return (oauth2_user,)
    server = result.get(signs_in_with, {})
    auth = server.get("auth", "none")
    if auth == "none":
        return ()
    return (server.get("username"), oauth2_user if auth == "oauth2" else None)


def connector_type(settings: Mapping[str, Any]) -> str:
    """The type of a connector: what it sends with, else what it reads with."""
    return next((block for block in ("graph", "smtp", "imap") if block in settings), "")


def _derive_server(block: str, settings: Settings, preset: dict[str, Any], secrets: Container[str]) -> dict[str, Any]:
    declared = settings[block]
    server = {**declared, **_derive_endpoint(block, declared, preset)}
    server.setdefault("validate_certs", True)
    if block == "smtp":
        server.setdefault("same_credentials", False)
        server.setdefault("relay", False)
    else:
        server.setdefault("mailbox", "INBOX")
    if not server.get("same_credentials"):
        server["auth"] = _derive_auth(block, settings, secrets)
        username = (settings.get("oauth2") or {}).get("username")
        if server["auth"] == "oauth2" and username:
            server.setdefault("username", username)
    return server


def _derive_endpoint(block: str, declared: Settings, preset: dict[str, Any]) -> dict[str, Any]:
    host, port, security = declared.get("host"), declared.get("port"), declared.get("security")
    if "uri" in declared:
        uri = checks.parse_smtp_uri(declared["uri"])
        host, port = uri.host, uri.port
        if uri.scheme == "smtps":
            security = security or "tls"
    elif port is None and security is None:
        port, security = preset.get("port"), preset.get("security")
    if security is None and block == "smtp":
        security = "tls" if port in _TLS_PORTS else "starttls"
    elif security is None:
        security = "starttls" if port == DEFAULT_PORT["imap"]["starttls"] else "tls"
    if port is None:
        port = DEFAULT_PORT[block][security]
    endpoint = {"host": host or preset.get("host"), "port": port, "security": security}
    return {key: value for key, value in endpoint.items() if value is not None}


def _derive_auth(block: str, settings: Settings, secrets: Container[str]) -> str:
    declared = settings[block]
    if "auth" in declared:
        return str(declared["auth"])
    has_password = f"{block}.password" in secrets
    if has_password and "username" in declared:
        return "password"
    return "oauth2" if "oauth2" in settings and not has_password else "none"
