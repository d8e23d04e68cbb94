# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What each application is said to read of a connector, from which connector_info tells whether it is current."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from ansible_collections.mailroom.core.plugins.module_utils._connector.declaration import parse_declaration
from ansible_collections.mailroom.core.plugins.module_utils._connector.records import settings_digest
from ansible_collections.mailroom.core.plugins.module_utils._connector.resolved import resolve_connector
from ansible_collections.mailroom.core.plugins.module_utils._connector.state import Connector
from ansible_collections.mailroom.core.plugins.module_utils._target.interface import (
    MAY_BE_LEFT_OUT,
    FileTarget,
    account_of,
)
from ansible_collections.mailroom.core.plugins.module_utils._target.targets import FILE_TARGETS

from .cases import BOTH, CASES, Declared

CHANGES: dict[str, Any] = {
    "name": "alarms",
    "display_name": "Other",
    "description": "Other",
    "from_address": "other@example.com",
    "from_name": "Other",
    "signature": "Other",
    "reply_to": "other@example.com",
    "errors_to": "other@example.com",
    "cc": ["other@example.com"],
    "bcc": ["other@example.com"],
    "headers": {"X-Other": "1"},
    "test_address": "other@example.com",
    "available_to": ["other"],
    "enabled": False,
    "smtp.relay": True,
    "smtp.same_credentials": True,
    "graph.save_to_sent": False,
    "graph.url": "https://other.example.com",
    "graph.mailbox": "other@example.com",
    "oauth2.cloud": "china",
    "oauth2.client_secret_expires": "2031-01-01",
    "oauth2.client_secret": "other",
    "oauth2.scope": "https://other.example.com/.default",
    **{f"oauth2.{name}": "other.example.com" for name in ("tenant_id", "client_id")},
    "imap.mailbox": "Other",
    "smtp.ehlo_name": "other.example.com",
    "smtp.uri": "smtp://smtp.example.com",
    **{
        f"{block}.{name}": value
        for block in ("smtp", "imap")
        for name, value in {
            "host": "other.example.com",
            "port": 2525,
            "security": "none",
            "auth": "none",
            "username": "other@example.com",
            "password": "other",
            "validate_certs": False,
            "ca_file": "/other.pem",
            "client_cert": "/other.pem",
            "proxy": "socks5://other.example.com:1080",
            "mechanisms": ["PLAIN"],
        }.items()
    },
}


def stored(declared: Declared) -> Connector | None:
    declaration, problems = parse_declaration(declared)
    return None if problems else Connector(declaration.name, declaration.settings, {}, declaration.secrets)


def changed(declared: Declared, path: str, value: Any) -> Connector | None:
    """The connector with another value in one field; None where it would be no connector any more."""
    block, _dot, field = path.partition(".")
    if not field:
        return stored({**declared, path: value})
    if block not in declared:
        return None
    inner = {**declared[block], field: value}
    if path == "smtp.same_credentials":
        inner = {name: each for name, each in inner.items() if name not in ("username", "password")}
    if field == "auth":
        inner.pop("password", None)
    if path == "smtp.uri":
        inner.pop("host")
    return stored({**declared, block: inner})


def written(target: FileTarget, connector: Connector, options: Mapping[str, Any], *, is_default: bool = False) -> Any:
    """What a task writes into its files, or the fields that it says cannot be expressed."""
    resolved = resolve_connector(connector)
    refused = target.unusable(resolved, options)
    if refused:
        return [refused[0]]
    paths = target.secret_paths(resolved, options)
    opened = resolve_connector(connector, {path: connector.secrets[path] for path in paths})  # type: ignore[misc]
    password_file = "/etc/password" if target.keeps_password_apart(options) else ""
    account = replace(account_of(opened, target, options, password_file), is_default=is_default)
    problems = [field for field, _what in target.unsupported(account)]
    return problems or (target.render("", account), target.password_text(account) if password_file else None)


def seen(connector: Connector, reads: tuple[str, ...], *, is_default: bool = False) -> Any:
    """What connector_info compares."""
    secrets = {path: connector.secrets[path].reveal() for path in reads if path in connector.secrets}  # type: ignore[union-attr]
    return settings_digest(connector, reads, is_default=is_default), secrets, connector.enabled


@cache
def paths_of(case: str) -> tuple[tuple[str, bool, bool], ...]:
    """Each field with whether another value changes what is written, and whether it changes what is compared."""
    app, declared, options = CASES[case]
    target = FILE_TARGETS[app].variant(options)
    connector = stored(declared)
    assert connector
    reads = target.read_paths(resolve_connector(connector), options)
    before = written(target, connector, options), seen(connector, reads)
    assert isinstance(before[0], tuple), before[0]
    others = {path: changed(declared, path, value) for path, value in CHANGES.items()}
    paths = [
        (path, written(target, other, options) != before[0], seen(other, reads) != before[1])
        for path, other in others.items()
        if other
    ]
    found = written(target, connector, options, is_default=True), seen(connector, reads, is_default=True)
    return (*paths, ("is_default", found[0] != before[0], found[1] != before[1]))


@pytest.mark.parametrize("case", CASES)
def test_what_changes_what_is_written_is_read(case: str) -> None:
    assert [path for path, is_written, is_read in paths_of(case) if is_written and not is_read] == []


@pytest.mark.parametrize("case", CASES)
def test_what_changes_nothing_that_is_written_is_not_read(case: str) -> None:
    app, declared, _options = CASES[case]
    found = {path for path, is_written, is_read in paths_of(case) if is_read and not is_written}
    # How a server is spoken to has no field in some products, which are asked for all of it nevertheless.
    blocks = {*FILE_TARGETS[app].protocols, *(("oauth2",) if "graph" in declared else ())}
    allowed = {path for path in CHANGES if path.partition(".")[0] in blocks}
    assert found <= allowed - {f"{block}.password" for block in declared}, found - allowed


def test_field_that_is_left_out_is_not_read() -> None:
    connector = stored(BOTH)
    assert connector
    options = {"leave_out": list(MAY_BE_LEFT_OUT)}
    reads = FILE_TARGETS["postfix"].read_paths(resolve_connector(connector), options)
    message = {"from_address", "from_name", "reply_to", "errors_to", "cc", "bcc", "headers", "smtp.ehlo_name"}
    assert not message & {*reads}
