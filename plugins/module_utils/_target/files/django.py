# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Django: its EMAIL_ settings, in a Python file that the project's settings import."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from email.utils import formataddr
from typing import Any

from ..._errors import FieldMessage
from ..formats import literals
from ..interface import MARK, Account, FileTarget, check_parsed, own_file


class Django(FileTarget):
    """A project of the web framework Django."""

    name = "django"
    securities = ("none", "starttls", "tls")
    certificate_checks = (True,)
    # With a client's certificate Django trusts no authority, so that it could not connect.
    supported_features = frozenset(("from_address", "from_name"))
    forbidden = re.compile("[\n\0]")
    signs_in_with_ascii = True
    secret = re.compile(r"^(EMAIL_HOST_PASSWORD = ).*$", re.MULTILINE)

    def unsupported_values(self, account: Account) -> Iterator[FieldMessage]:
        connector = account.connector
        if connector.from_name and not connector.from_address:
            yield "from_name", "needs a from_address in django"

    def render(self, _text: str, account: Account) -> str:
        connector, server = account.connector, account.smtp
        settings: dict[str, Any] = {
            "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
            "EMAIL_HOST": server.host,
            "EMAIL_PORT": server.port,
            "EMAIL_HOST_USER": server.username if account.password else "",
            "EMAIL_HOST_PASSWORD": account.password.reveal() if account.password else "",
            "EMAIL_USE_TLS": server.security == "starttls",
            "EMAIL_USE_SSL": server.security == "tls",
        }
        if connector.from_address:
            sender = formataddr((connector.from_name, connector.from_address))
            settings.update(DEFAULT_FROM_EMAIL=sender, SERVER_EMAIL=sender)
        text = own_file(MARK, [f"{name} = {literals.python(value)}" for name, value in settings.items()])
        check_parsed(dict(_assignments(text)), settings)
        return text


def _assignments(text: str) -> Iterator[tuple[str, Any]]:
    for statement in ast.parse(text).body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            yield statement.targets[0].id, ast.literal_eval(statement.value)
