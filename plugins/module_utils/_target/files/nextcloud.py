# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Nextcloud: its mail_ settings, in a file config/*.config.php of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ..._errors import FieldMessage
from ..formats import literals
from ..interface import NOTICE, Account, FileTarget, own_file


class Nextcloud(FileTarget):
    """A platform for files and groupware."""

    name = "nextcloud"
    securities = ("starttls_optional", "tls")
    supported_features = frozenset(("from_address", "smtp.ca_file", "smtp.client_cert"))
    mark = f"<?php\n// {NOTICE}\n"
    secret = re.compile(r"^(  'mail_smtppassword' => ).*$", re.MULTILINE)

    def unsupported_values(self, account: Account) -> Iterator[FieldMessage]:
        if not account.connector.from_address:
            yield "from_address", "is required by nextcloud"

    def render(self, _text: str, account: Account) -> str:
        server, trust = account.smtp, account.smtp.trust
        local, _at, domain = account.connector.from_address.rpartition("@")
        settings: dict[str, Any] = {
            "mail_smtpmode": "smtp",
            "mail_smtphost": server.host,
            "mail_smtpport": server.port,
            "mail_smtpsecure": "ssl" if server.security == "tls" else "",
            "mail_smtpauth": account.password is not None,
            "mail_smtpname": server.username if account.password else "",
            "mail_smtppassword": account.password.reveal() if account.password else "",
            "mail_from_address": local,
            "mail_domain": domain,
        }
        tls: dict[str, Any] = {}
        if not trust.validate:
            tls |= {"verify_peer": False, "verify_peer_name": False, "allow_self_signed": True}
        elif trust.ca_file:
            tls["cafile"] = trust.ca_file
        if trust.client_cert:
            tls |= {"local_cert": trust.client_cert, "local_pk": trust.client_key or trust.client_cert}
        if tls:
            settings["mail_smtpstreamoptions"] = {"ssl": tls}
        return own_file(self.mark, [f"$CONFIG = {literals.php(settings)};"])
