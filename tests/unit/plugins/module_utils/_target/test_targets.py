# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which connectors applications can use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.mailroom.core.plugins.module_utils._connector.declaration import parse_declaration
from ansible_collections.mailroom.core.plugins.module_utils._connector.resolved import resolve_connector
from ansible_collections.mailroom.core.plugins.module_utils._connector.state import Connector
from ansible_collections.mailroom.core.plugins.module_utils._target.files import msmtp
from ansible_collections.mailroom.core.plugins.module_utils._target.interface import (
    MAY_BE_LEFT_OUT,
    FileTarget,
    password_path,
    sender_of,
    unusable,
)
from ansible_collections.mailroom.core.plugins.module_utils._target.targets import FILE_TARGETS

from .given import connector, refused, sender

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
# What each can express besides host, port, security, user and password.
EXPRESSED = {
    "msmtp": {"from_address", "smtp.mechanisms", "smtp.client_cert", "smtp.proxy"},
    "postfix": {"smtp.mechanisms", "smtp.client_cert"},
    "alertmanager": {"from_address", "from_name", "smtp.mechanisms", "smtp.client_cert"},
}
SERVER: dict[str, Any] = {
    "mechanisms": ["PLAIN", "LOGIN"],
    "client_cert": "/etc/client.pem",
    "proxy": "socks5://proxy.example.com:1080",
}


def declared(**fields: Any) -> Connector:
    declaration, problems = parse_declaration({"name": "alerts", **fields})
    assert not problems
    return Connector(declaration.name, declaration.settings, {}, declaration.secrets)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"enabled": False, "smtp": {"host": "smtp.example.com"}}, "enabled"),
        ({"graph": {"mailbox": "a@example.com"}, "oauth2": OAUTH2}, "graph"),
        ({"imap": IMAP}, "smtp"),
        ({"smtp": {"host": "smtp.example.com"}, "oauth2": OAUTH2}, "smtp.auth"),
    ],
)
def test_what_no_application_can_use(fields: dict[str, Any], field: str) -> None:
    found = unusable(resolve_connector(declared(**fields)))
    assert found
    assert found[0] == field


def test_whose_password_signs_in() -> None:
    assert unusable(resolve_connector(connector())) is None
    assert password_path(resolve_connector(connector())) == "smtp.password"
    assert password_path(resolve_connector(declared(smtp={"host": "smtp.example.com"}))) is None
    alike = declared(smtp={"host": "smtp.example.com", "same_credentials": True}, imap=IMAP)
    assert password_path(resolve_connector(alike)) == "imap.password"
    found = sender_of(resolve_connector(alike, alike.secrets))  # type: ignore[arg-type]
    assert found.password
    assert (found.server.username, found.password.reveal()) == ("reader", "another")


@pytest.mark.parametrize("application", FILE_TARGETS.values(), ids=list(FILE_TARGETS))
class TestEveryApplication:
    def test_what_it_cannot_express_is_refused(self, application: FileTarget) -> None:
        alone = {field: ({}, {field: value}) for field, value in MESSAGE.items()}
        alone |= {f"smtp.{name}": ({name: value}, {}) for name, value in SERVER.items()}
        findings = {
            field: dict(application.unsupported(sender(smtp, **fields))).get(field, "")
            for field, (smtp, fields) in alone.items()
        }
        general = f"cannot be expressed in {application.name}"
        refused = {field for field, text in findings.items() if text.startswith(general)}
        assert refused == alone.keys() - EXPRESSED[application.name]

    def test_what_may_be_left_out_is_not_asked_for(self, application: FileTarget) -> None:
        left_out = set(MAY_BE_LEFT_OUT) - application.supported_features
        assert set(MESSAGE) == set(MAY_BE_LEFT_OUT)
        assert refused(application, sender(leave_out=left_out, **MESSAGE)) == []

    def test_bounces_that_go_to_the_sender_anyway(self, application: FileTarget) -> None:
        alike = {"from_address": "alerts@example.com", "errors_to": "alerts@example.com"}
        assert "errors_to" not in refused(application, sender(**alike))

    def test_a_password_with_a_line_break_is_refused(self, application: FileTarget) -> None:
        assert "smtp.password" in refused(application, sender({"password": "one\ntwo"}))

    def test_international_names_are_written_in_a_labels(self, application: FileTarget) -> None:
        smtp = {"host": "smtp.b\u00fccher.example", "ehlo_name": "me.b\u00fccher.example"}
        fields = {name: MESSAGE[name] for name in EXPRESSED[application.name] & {"from_address"}}
        named = sender(smtp, **dict.fromkeys(fields, "alerts@b\u00fccher.example"))
        assert refused(application, named) == []
        text = application.render("", named)
        assert text.isascii()
        assert text.count("xn--bcher-kva.example") == 2 + len(fields)

    def test_encryption_that_is_not_demanded(self, application: FileTarget) -> None:
        optional = sender({"security": "starttls_optional"})
        assert {"smtp.security", "smtp.validate_certs"} & set(refused(application, optional))


def test_the_table_names_every_file_of_the_folder() -> None:
    """Ansible sends a host only what it finds imported, so the imports cannot be made up from the folder."""
    folder = Path(msmtp.__file__).parent
    assert {type(target).__module__.rpartition(".")[2] for target in FILE_TARGETS.values()} == {
        each.stem for each in folder.glob("[a-z]*.py")
    }
