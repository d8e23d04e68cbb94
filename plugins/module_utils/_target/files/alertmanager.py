# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Prometheus Alertmanager: the smtp_ settings among the global ones of its configuration."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.utils import formataddr
from typing import Any

from ..._connector.resolved import TlsTrust
from ..._errors import FieldMessage
from ..formats import managed_block, yaml
from ..interface import Account, Option

_IMPLICIT_TLS = 465
_EDITOR = yaml.Editor("alertmanager", "global", lambda key: key.startswith("smtp_"))


class Alertmanager(managed_block.ManagedBlockTarget):
    """The alert dispatcher of Prometheus, which sends alerts as mail."""

    name = "alertmanager"
    securities = ("none", "starttls", "tls")
    supported_features = frozenset(
        ("from_address", "from_name", "smtp.mechanisms", "smtp.client_cert", "smtp.ca_file", "smtp.ehlo_name")
    )
    options = (Option("version"),)
    password_apart = "always"
    needs_file = True
    forbidden = re.compile("[\n\0]")
    check = ("amtool", "check-config", "{path}")
    service = "prometheus-alertmanager"
    reload = "reloaded"

    def unsupported_values(self, account: Account) -> Iterator[FieldMessage]:
        server = account.smtp
        yield from _unknown_to_version(account)
        if _knows_implicit_tls(account):
            pass
        elif (server.security == "tls") != (server.port == _IMPLICIT_TLS):
            yield "smtp.port", f"must be {_IMPLICIT_TLS} in alertmanager where smtp.security is tls, and only there"
        if server.mechanisms and set(server.mechanisms) != {"PLAIN", "LOGIN"}:
            yield "smtp.mechanisms", "must be PLAIN and LOGIN in alertmanager, which takes what the server offers"
        if not account.connector.from_address:
            yield "from_address", "is required by alertmanager"
        if not account.connector.from_address.isascii():
            yield "from_address", "must be ASCII before the @ in alertmanager"
        if "{{" in account.connector.from_address + account.connector.from_name:
            yield "from_name", "cannot hold {{ in alertmanager, where it begins a template"
        if account.password and account.password.reveal() != account.password.reveal().strip():
            yield "smtp.password", "cannot begin or end with white space in alertmanager"

    def render(self, text: str, account: Account) -> str:
        named = account.password_file if account.password else ""
        return _EDITOR.insert(text, _settings(account), named)


def _version(account: Account) -> tuple[int, ...]:
    """The version of Alertmanager that is written for, empty where nobody has said."""
    given = str(account.options.get("version") or "")
    return tuple(map(int, given.split("."))) if re.fullmatch(r"\d+(\.\d+)*", given) else ()


def _knows_implicit_tls(account: Account) -> bool:
    return _version(account) >= (0, 31)


def _unknown_to_version(account: Account) -> Iterator[FieldMessage]:
    given, version = account.options.get("version"), _version(account)
    if given and version < (0, 25):
        yield "options.version", "must be a version from 0.25 on, such as '0.31'"
    elif given and version < (0, 28) and account.smtp.security != "none":
        trust = account.smtp.trust
        fields = {"validate_certs": not trust.validate, "ca_file": trust.ca_file, "client_cert": trust.client_cert}
        for name in (name for name, used in fields.items() if used):
            yield f"smtp.{name}", f"needs alertmanager 0.28, and options.version is {given}"


def _settings(account: Account) -> dict[str, Any]:
    """The settings of Alertmanager by name."""
    server = account.smtp
    host = f"[{server.host}]" if ":" in server.host else server.host
    settings: dict[str, Any] = {
        "smtp_smarthost": f"{host}:{server.port}",
        "smtp_from": formataddr((account.connector.from_name, account.connector.from_address)),
        # It stands for STARTTLS, which no server offers once the connection is encrypted.
        "smtp_require_tls": server.security == "starttls",
    }
    if _knows_implicit_tls(account):
        settings["smtp_force_implicit_tls"] = server.security == "tls"
    if server.ehlo_name:
        settings["smtp_hello"] = server.ehlo_name
    if account.password:
        settings["smtp_auth_username"] = server.username
        settings["smtp_auth_password_file"] = account.password_file
    tls = dict(_tls(server.trust)) if server.security != "none" else {}
    return {**settings, "smtp_tls_config": tls} if tls else settings


def _tls(trust: TlsTrust) -> Iterator[tuple[str, Any]]:
    if not trust.validate:
        yield "insecure_skip_verify", True
    elif trust.ca_file:
        yield "ca_file", trust.ca_file
    if trust.client_cert:
        yield "cert_file", trust.client_cert
        yield "key_file", trust.client_key or trust.client_cert
