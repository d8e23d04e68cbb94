# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Where a secret goes: whether it has a use, and whether a change would offer it to a new place."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Any

from .fields import split_path

_MAIL_PORTS = {"smtp": (25, 465, 587, 2465, 2525, 2587), "imap": (143, 993)}
_STRENGTH = {"none": 0, "starttls_optional": 1, "starttls": 2, "tls": 2, False: 0, True: 1}
_MAY_GROW = ("security", "validate_certs")
_OPENS_A_PLACE = ("smtp.same_credentials", "smtp.auth", "imap.auth", "graph")

Place = dict[str, Any]


def has_use(path: str, effective: Mapping[str, Any], secrets: Container[str]) -> bool:
    """Whether the connector, as it will be, uses the secret at this path."""
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


def newly_offered(path: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The fields whose change would offer the secret at this path to a new place."""
    old, new = _place(path, before), _place(path, after)
    changed = [field for field, value in new.items() if field in old and _is_new(field, old[field], value)]
    opened = [field for field in _OPENS_A_PLACE if field in new and field not in old]
    return changed + opened


def _is_new(field: str, old: Any, new: Any) -> bool:
    if field.endswith(_MAY_GROW):
        return _STRENGTH[new] < _STRENGTH[old]
    return bool(old != new)


def _place(path: str, effective: Mapping[str, Any]) -> Place:
    block, field = split_path(path)
    if block not in effective:
        return {}
    if field == "proxy_password":
        return _fields(block, effective, ("proxy", "proxy_username"))
    if block == "smtp":
        return _server(block, effective)
    if block == "imap":
        return {**_server(block, effective), **_shared_with_smtp(effective)}
    return {**_token_service(field, effective), **_token_users(effective)}


def _fields(block: str, effective: Mapping[str, Any], names: Iterable[str]) -> Place:
    return {f"{block}.{name}": effective[block].get(name) for name in names}


def _server(block: str, effective: Mapping[str, Any]) -> Place:
    server = effective[block]
    place = _fields(block, effective, ("username", "proxy", "security", "validate_certs"))
    place[f"{block}.host"] = server.get("host", "").lower()
    port = server["port"]
    place[f"{block}.port"] = "mail" if port in _MAIL_PORTS[block] else port
    return place


def _shared_with_smtp(effective: Mapping[str, Any]) -> Place:
    if not effective.get("smtp", {}).get("same_credentials"):
        return {}
    shared = _server("smtp", effective)
    del shared["smtp.username"]
    return {"smtp.same_credentials": True, **shared}


def _token_service(field: str, effective: Mapping[str, Any]) -> Place:
    names = ["token_url", "authority", "cloud", "tenant_id", "client_id", "proxy"]
    if field in ("password", "service_account"):
        names.append("username")
    return _fields("oauth2", effective, names)


def _token_users(effective: Mapping[str, Any]) -> Place:
    """A token goes where its connector signs in: that is a place its secrets are offered to as well."""
    place: Place = {}
    for block in _MAIL_PORTS:
        if effective.get(block, {}).get("auth") == "oauth2":
            place.update({f"{block}.auth": "oauth2", **_server(block, effective)})
    if "graph" in effective:
        place.update({"graph": True, **_fields("graph", effective, ("url", "proxy"))})
    return place
