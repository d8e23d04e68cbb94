# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which connectors applications can use."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ansible_collections.mailroom.core.plugins.module_utils._connector.declaration import parse_declaration
from ansible_collections.mailroom.core.plugins.module_utils._connector.resolved import resolve_connector
from ansible_collections.mailroom.core.plugins.module_utils._connector.state import Connector
from ansible_collections.mailroom.core.plugins.module_utils._target.api import zabbix
from ansible_collections.mailroom.core.plugins.module_utils._target.api_targets import API_TARGETS
from ansible_collections.mailroom.core.plugins.module_utils._target.files import msmtp
from ansible_collections.mailroom.core.plugins.module_utils._target.interface import (
    FileTarget,
)
from ansible_collections.mailroom.core.plugins.module_utils._target.targets import FILE_TARGETS, option_specs

from .given import account, connector, refused

OAUTH2 = {"client_id": "mailroom", "client_secret": "secret", "token_url": "https://id.example.com/token"}
IMAP = {"host": "imap.example.com", "username": "reader", "password": "another"}
MESSAGE: dict[str, Any] = {
    "from_address": "alerts@example.com",
    "from_name": "Alerts",
    "reply_to": "answers@example.com",
    "errors_to": "bounces@example.com",
    "cc": ["one@example.com"],
    "bcc": ["two@example.com"],
    "headers": {"X-Team": "mail"},
}
SENDERS = [target for target in FILE_TARGETS.values() if target.protocols == ("smtp",)]
OPTIONS = {"template": "${smtp.host} ${smtp.ehlo_name|raw}", "maildir": "/srv/mail", "local_user": "robot"}
SERVER: dict[str, Any] = {
    "mechanisms": ["PLAIN", "LOGIN"],
    "client_cert": "/etc/client.pem",
    "proxy": "socks5://proxy.example.com:1080",
}


def declared(**fields: Any) -> Connector:
    declaration, problems = parse_declaration({"name": "alerts", **fields})
    assert not problems
    return Connector(declaration.name, declaration.settings, {}, declaration.secrets)


def options_of(target: FileTarget) -> dict[str, Any]:
    return {option.name: OPTIONS[option.name] for option in target.options if option.is_required}


@pytest.mark.parametrize(
    ("app", "fields", "field"),
    [
        ("postfix", {"enabled": False, "smtp": {"host": "smtp.example.com"}}, "enabled"),
        ("postfix", {"graph": {"mailbox": "a@example.com"}, "oauth2": OAUTH2}, "graph"),
        ("postfix", {"imap": IMAP}, "smtp"),
        ("postfix", {"smtp": {"host": "smtp.example.com"}, "oauth2": OAUTH2}, "smtp.auth"),
        ("getmail", {"smtp": {"host": "smtp.example.com"}}, "imap"),
        ("getmail", {"imap": {"host": "imap.example.com", "username": "a"}, "oauth2": OAUTH2}, "imap.auth"),
        ("gitlab", {"imap": IMAP}, "smtp"),
    ],
)
def test_connector_that_an_application_cannot_use_is_refused(app: str, fields: dict[str, Any], field: str) -> None:
    found = FILE_TARGETS[app].unusable(resolve_connector(declared(**fields)), {})
    assert found
    assert found[0] == field


@pytest.mark.parametrize(
    ("app", "fields", "expected"),
    [
        ("postfix", {"smtp": {"host": "smtp.example.com"}}, ()),
        ("postfix", {"smtp": IMAP, "imap": IMAP}, ("smtp.password",)),
        ("postfix", {"smtp": {"host": "smtp.example.com", "same_credentials": True}, "imap": IMAP}, ("imap.password",)),
        ("getmail", {"smtp": IMAP, "imap": IMAP}, ("imap.password",)),
        ("json", {"smtp": IMAP, "imap": IMAP}, ("imap.password", "smtp.password")),
        ("gitlab", {"graph": {"mailbox": "a@b.example"}, "oauth2": OAUTH2}, ("oauth2.client_secret",)),
        ("kianda", {"smtp": IMAP, "imap": IMAP}, ()),
    ],
)
def test_only_the_secrets_that_are_written_are_opened(
    app: str, fields: dict[str, Any], expected: tuple[str, ...]
) -> None:
    assert FILE_TARGETS[app].secret_paths(resolve_connector(declared(**fields)), {}) == expected


@pytest.mark.parametrize("application", SENDERS, ids=[target.name for target in SENDERS])
class TestEverySender:
    def test_what_it_cannot_express_is_refused(self, application: FileTarget) -> None:
        alone = {field: ({}, {field: value}) for field, value in MESSAGE.items()}
        alone |= {f"smtp.{name}": ({name: value}, {}) for name, value in SERVER.items()}
        options = options_of(application)
        findings = {
            field: dict(application.unsupported(account(application, smtp, options=options, **fields))).get(field, "")
            for field, (smtp, fields) in alone.items()
        }
        general = f"cannot be expressed in {application.name}"
        found = {field for field, text in findings.items() if text.startswith(general)}
        assert found == alone.keys() - application.supported_features

    def test_field_that_is_left_out_is_not_asked_for(self, application: FileTarget) -> None:
        left_out = sorted(set(MESSAGE) - application.supported_features)
        found = refused(application, account(application, options={"leave_out": left_out}, **MESSAGE))
        assert not set(found) & set(MESSAGE)

    def test_bounces_that_go_to_the_sender_anyway_need_no_support(self, application: FileTarget) -> None:
        alike = {"from_address": "alerts@example.com", "errors_to": "alerts@example.com"}
        assert "errors_to" not in refused(application, account(application, **alike))

    def test_password_with_a_line_break_is_refused(self, application: FileTarget) -> None:
        # A sheet has none.
        if application.secret_paths(resolve_connector(connector()), {}):
            assert "smtp.password" in refused(application, account(application, {"password": "one\ntwo"}))

    def test_another_applications_option_is_refused(self, application: FileTarget) -> None:
        other = "local_user" if all(option.name != "local_user" for option in application.options) else "version"
        assert f"options.{other}" in refused(application, account(application, options={other: "x"}))


@pytest.mark.parametrize(
    "application", [each for each in FILE_TARGETS.values() if "smtp" in each.protocols], ids=lambda each: each.name
)
def test_international_names_are_written_in_a_labels(application: FileTarget) -> None:
    smtp = {"host": "smtp.b\u00fccher.example", "ca_file": "/ca.pem"}
    options = options_of(application)
    fields: dict[str, Any] = {"from_address": "a@b\u00fccher.example", "imap": IMAP}
    text = application.render("", account(application, smtp, options=options, **fields))
    assert "smtp.xn--bcher-kva.example" in text
    assert "\u00fc" not in text


def test_options_of_applications_agree_on_their_types() -> None:
    specs = option_specs()
    for target in FILE_TARGETS.values():
        assert {option.name: option.type for option in target.options}.items() <= {
            name: spec["type"] for name, spec in specs.items()
        }.items()


@pytest.mark.parametrize(("targets", "one_of_them"), [(FILE_TARGETS, msmtp), (API_TARGETS, zabbix)])
def test_the_table_names_every_file_of_the_folder(targets: Mapping[str, object], one_of_them: ModuleType) -> None:
    """Ansible sends a host only what it finds imported, so the imports cannot be made up from the folder."""
    folder = Path(str(one_of_them.__file__)).parent
    assert {type(target).__module__.rpartition(".")[2] for target in targets.values()} == {
        each.stem for each in folder.glob("[a-z]*.py")
    }
