# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Grafana: its section smtp, in grafana.ini or as environment variables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..._errors import FieldMessage
from ..formats import env, ini
from ..formats.managed_block import ManagedBlockTarget
from ..interface import MARK, Account, FileTarget, Option, own_file

_IMPLICIT_TLS = 465
_POLICIES = {
    "none": "NoStartTLS",
    "starttls": "MandatoryStartTLS",
    "starttls_optional": "OpportunisticStartTLS",
    "tls": "NoStartTLS",
}
_EXPANDED = re.compile(r"\$(__\w+)?\{[^}]+\}")
_OPTIONS = (Option("format", choices=("ini", "env")),)


class Grafana(ManagedBlockTarget):
    """Dashboards that send alerts and reports."""

    name = "grafana"
    securities = tuple(_POLICIES)
    supported_features = frozenset(("from_address", "from_name", "smtp.client_cert", "smtp.ehlo_name"))
    options = _OPTIONS
    password_apart = "optional"
    secret = re.compile(r"^(password = ).*$", re.MULTILINE)
    service = "grafana-server"

    def variant(self, options: Mapping[str, Any]) -> FileTarget:
        return GrafanaEnvironment() if options.get("format") == "env" else self

    def unsupported_values(self, account: Account) -> Iterator[FieldMessage]:
        yield from _problems(account)
        if "}" in account.password_file or ini.go_problem(account.password_file):
            yield "options.password_file", "cannot hold } or %(…)s in grafana"
        for field, value in _texts(account):
            problem = ini.go_problem(value)
            if problem:
                yield field, f"{problem} in grafana"

    def render(self, text: str, account: Account) -> str:
        settings = dict(_settings(account))
        if account.password_file and account.password:
            settings["password"] = f"$__file{{{account.password_file}}}"
        return ini.append_go_sections(text, {"smtp": settings}, account.password_file if account.password else "")


class GrafanaEnvironment(FileTarget):
    """The same as environment variables."""

    name = "grafana"
    securities = Grafana.securities
    supported_features = Grafana.supported_features
    options = _OPTIONS
    password_apart = "optional"
    secret = re.compile(r"^(GF_SMTP_PASSWORD=).*$", re.MULTILINE)
    service = Grafana.service

    def unsupported_values(self, account: Account) -> Iterator[FieldMessage]:
        return _problems(account)

    def render(self, _text: str, account: Account) -> str:
        settings = dict(_settings(account))
        if account.password_file and settings.pop("password", ""):
            settings["password__file"] = account.password_file
        lines = env.lines({f"GF_SMTP_{key.upper()}": value for key, value in settings.items()})
        return own_file(MARK, lines, account.password_file if account.password else "")


def _problems(account: Account) -> Iterator[FieldMessage]:
    server = account.smtp
    if (server.security == "tls") != (server.port == _IMPLICIT_TLS):
        yield "smtp.port", f"must be {_IMPLICIT_TLS} in grafana where smtp.security is tls, and only there"
    if not account.connector.from_address:
        yield "from_address", "is required by grafana"
    for field, value in _texts(account):
        if _EXPANDED.search(value) and not (field == "smtp.password" and account.password_file):
            yield field, "cannot hold ${…} in grafana, which stands for a variable"
    password = account.password.reveal() if account.password else ""
    if account.password_file and password != password.strip():
        yield "smtp.password", "cannot begin or end with white space in a file of grafana"


def _texts(account: Account) -> Iterator[tuple[str, str]]:
    server = account.smtp
    yield "smtp.username", server.username
    if account.password and not account.password_file:
        yield "smtp.password", account.password.reveal()
    yield "from_name", account.connector.from_name
    yield "from_address", account.connector.from_address
    yield "smtp.client_cert", server.trust.client_cert
    yield "smtp.client_key", server.trust.client_key


def _settings(account: Account) -> Iterator[tuple[str, str]]:
    server, trust = account.smtp, account.smtp.trust
    host = f"[{server.host}]" if ":" in server.host else server.host
    yield "enabled", "true"
    yield "host", f"{host}:{server.port}"
    yield "user", server.username if account.password else ""
    yield "password", account.password.reveal() if account.password else ""
    yield "skip_verify", str(not trust.validate).lower()
    yield "startTLS_policy", _POLICIES[server.security]
    yield "from_address", account.connector.from_address
    if account.connector.from_name:
        yield "from_name", account.connector.from_name
    if server.ehlo_name:
        yield "ehlo_identity", server.ehlo_name
    if trust.client_cert:
        yield "cert_file", trust.client_cert
        yield "key_file", trust.client_key or trust.client_cert
