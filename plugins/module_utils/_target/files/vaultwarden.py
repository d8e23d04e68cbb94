# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Vaultwarden: its SMTP_ variables, in an environment file."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..._errors import FieldMessage
from ..formats import env
from ..interface import MARK, Account, FileTarget, own_file

_SECURITIES = {"none": "off", "starttls": "starttls", "tls": "force_tls"}
_MECHANISMS = {"PLAIN": "Plain", "LOGIN": "Login"}


class Vaultwarden(FileTarget):
    """A server for password managers."""

    name = "vaultwarden"
    securities = tuple(_SECURITIES)
    supported_features = frozenset(("from_address", "from_name", "smtp.mechanisms", "smtp.ehlo_name"))
    password_apart = "optional"
    secret = re.compile(r"^(SMTP_PASSWORD=).*$", re.MULTILINE)
    service = "vaultwarden"

    def unsupported_values(self, account: Account) -> Iterator[FieldMessage]:
        if not account.connector.from_address:
            yield "from_address", "is required by vaultwarden"
        if not _MECHANISMS.keys() >= set(account.smtp.mechanisms):
            yield "smtp.mechanisms", f"can name {' and '.join(_MECHANISMS)} in vaultwarden"
        texts = {"from_address": account.connector.from_address, "from_name": account.connector.from_name}
        if account.password:
            texts["smtp.username"] = account.smtp.username
            if account.password_file:
                texts["options.password_file"] = account.password_file
            else:
                texts["smtp.password"] = account.password.reveal()
        for field, value in texts.items():
            # Its parser, dotenvy, takes no backquote in the quotes that a single one needs.
            if "'" in value and "`" in value:
                yield field, "cannot hold both ' and ` in vaultwarden"

    def render(self, _text: str, account: Account) -> str:
        connector, server = account.connector, account.smtp
        variables = {
            "SMTP_HOST": server.host,
            "SMTP_PORT": str(server.port),
            "SMTP_SECURITY": _SECURITIES[server.security],
            "SMTP_FROM": connector.from_address,
        }
        if connector.from_name:
            variables["SMTP_FROM_NAME"] = connector.from_name
        if account.password:
            variables["SMTP_USERNAME"] = server.username
            if account.password_file:
                variables["SMTP_PASSWORD_FILE"] = account.password_file
            else:
                variables["SMTP_PASSWORD"] = account.password.reveal()
        if server.mechanisms:
            variables["SMTP_AUTH_MECHANISM"] = ",".join(_MECHANISMS[each] for each in server.mechanisms)
        if server.ehlo_name:
            variables["HELO_NAME"] = server.ehlo_name
        unchecked = str(not server.trust.validate).lower()
        variables["SMTP_ACCEPT_INVALID_CERTS"] = variables["SMTP_ACCEPT_INVALID_HOSTNAMES"] = unchecked
        return own_file(MARK, env.lines(variables), account.password_file if account.password else "")
