# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Mailman 3: the server that it sends lists' mail through, in the section mta of mailman.cfg."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..._errors import FieldMessage
from ..formats import ini
from ..formats.managed_block import ManagedBlockTarget
from ..interface import Account

_MODES = {"none": "smtp", "starttls": "starttls", "tls": "smtps"}


class Mailman3(ManagedBlockTarget):
    """A manager of mailing lists."""

    name = "mailman3"
    securities = tuple(_MODES)
    supported_features = frozenset(())
    signs_in_with_ascii = True
    secret = re.compile(r"^(smtp_pass = ).*$", re.MULTILINE)
    check = ("mailman", "--run-as-root", "--config", "{path}", "conf", "--section", "mta", "--key", "smtp_host")
    service = "mailman3"

    def unsupported_values(self, account: Account) -> Iterator[FieldMessage]:
        for field, value in (("smtp.username", account.smtp.username), ("smtp.password", _password(account))):
            problem = ini.python_problem(value)
            if problem:
                yield field, f"{problem} in mailman3"

    def render(self, text: str, account: Account) -> str:
        server = account.smtp
        checks = "yes" if server.trust.validate else "no"
        settings = {
            "smtp_host": server.host,
            "smtp_port": str(server.port),
            "smtp_secure_mode": _MODES[server.security],
            "smtp_verify_cert": checks,
            "smtp_verify_hostname": checks,
            "smtp_user": server.username if account.password else "",
            "smtp_pass": _password(account),
        }
        return ini.insert_python_section(text, "mta", settings)


def _password(account: Account) -> str:
    return account.password.reveal() if account.password else ""
