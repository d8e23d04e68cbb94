# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Where a secret is used: its destination, and whether a change would offer it to a new destination."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any

from .domain import canonical
from .fields import split_path

VERSION = 1
"""The version of the serialized form. A version never changes, since secrets are bound to its digest."""

_DEFAULTS: dict[str, Any] = {
    "cloud": "global",
    "mechanisms": ["LOGIN", "OAUTHBEARER", "PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256", "XOAUTH2"],
    "validate_certs": True,
}
"""The defaults of this version, which later changes to the fields do not alter."""

_PROXY = ("proxy", "proxy_username")
_SERVER = ("host", "port", "username", "security", "validate_certs", "ca_file", "mechanisms", *_PROXY)
_GRAPH = ("url", "ca_file", *_PROXY)
_TOKEN_SERVICE = ("token_url", "authority", "cloud", "tenant_id", "client_id", "scope", "ca_file", *_PROXY)

_MAIL_PORTS = {"smtp": (25, 465, 587, 2465, 2525, 2587), "imap": (143, 993)}
_STRENGTH = {"none": 0, "starttls_optional": 1, "starttls": 2, "tls": 2, False: 0, True: 1}
_EXPOSING_MECHANISMS = frozenset(("PLAIN", "LOGIN", "CRAM-MD5"))
"""Mechanisms that reveal the password to the server or allow an offline attack on it."""

Destination = dict[str, dict[str, Any]]


def is_used(path: str, effective: Mapping[str, Any], secrets: Container[str]) -> bool:
    """Whether a connector with these settings uses the secret at this path."""
    block_name, field = split_path(path)
    block = effective.get(block_name)
    if block is None:
        return False
    if field == "proxy_password":
        return "proxy" in block
    if block_name in _MAIL_PORTS:
        return not block.get("same_credentials") and block["auth"] == "password"
    if field == "certificate_passphrase":
        return "certificate_file" in block or "oauth2.certificate" in secrets
    return True


def destination(path: str, effective: Mapping[str, Any]) -> Destination:
    """Every server where the secret at this path is used, by the block that declares it."""
    block, field = split_path(path)
    if block not in effective:
        return {}
    if field == "proxy_password":
        return {block: _field_values(block, effective, _PROXY)}
    if block in _MAIL_PORTS:
        endpoints = {block: _field_values(block, effective, _SERVER)}
        if block == "imap" and effective.get("smtp", {}).get("same_credentials"):
            endpoints["smtp"] = _field_values("smtp", effective, _SERVER)
        return endpoints
    owner = ("username",) if field in ("password", "service_account") else ()
    endpoints = {block: _field_values(block, effective, (*_TOKEN_SERVICE, *owner))}
    for server in _MAIL_PORTS:
        if effective.get(server, {}).get("auth") == "oauth2":
            endpoints[server] = _field_values(server, effective, _SERVER)
    if "graph" in effective:
        endpoints["graph"] = _field_values("graph", effective, _GRAPH)
    return endpoints


def destination_digest(path: str, effective: Mapping[str, Any]) -> str:
    """The SHA-256 digest of the destination, stable over hosts and releases."""
    form = _CANONICAL_JSON.encode([VERSION, destination(path, effective)])
    return hashlib.sha256(form.encode("ascii")).hexdigest()


_CANONICAL_JSON = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def fields_with_new_destination(path: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The fields whose change would offer the secret at this path to a new destination."""
    old = destination(path, before)
    found: list[str] = []
    for block, endpoints in destination(path, after).items():
        if block in old:
            found += _changed_fields(path, block, old[block], endpoints)
        elif block == "graph":
            found.append(block)
        else:
            # The field that makes the secret be used at one more server.
            found.append("smtp.same_credentials" if path == "imap.password" else f"{block}.auth")
    return found


def _changed_fields(path: str, block: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """The fields that differ, without changes that leave the secret with the same servers and as well protected."""
    for field, value in new.items():
        old_value = old[field]
        if value == old_value:
            continue
        if field in ("security", "validate_certs"):
            is_new = _STRENGTH[value] < _STRENGTH[old_value]
        elif field == "port":
            is_new = not {value, old_value} <= {*_MAIL_PORTS[block]}
        elif field == "mechanisms":
            is_new = bool(_EXPOSING_MECHANISMS.intersection(value).difference(old_value))
        elif field == "proxy_username":
            is_new = path == f"{block}.proxy_password"
        else:
            is_new = True
        if is_new:
            yield f"{block}.{field}"


def _field_values(block: str, effective: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    declared = effective[block]
    found = {name: declared.get(name, _DEFAULTS.get(name)) for name in names}
    if found.get("host"):
        found["host"] = canonical(found["host"])
    if "mechanisms" in declared and "mechanisms" in found:
        found["mechanisms"] = sorted(set(found["mechanisms"]))
    return found
