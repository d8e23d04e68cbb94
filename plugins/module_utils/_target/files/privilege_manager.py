# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Delinea Privilege Manager: its SMTP foreign system, as a settings sheet."""

from __future__ import annotations

from collections.abc import Iterator

from ..._errors import FieldMessage
from ..formats.sheet import Sheet, SheetValue
from ..interface import Account


class PrivilegeManager(Sheet):
    """The foreign system SMTP, which has a name and a base URI and nothing else."""

    name = "privilege_manager"
    title = "Privilege Manager: SMTP foreign system"
    securities = ("none", "starttls_optional", "starttls", "tls")
    certificate_checks = (True, False)
    supported_features = frozenset(())

    def unsupported_values(self, account: Account) -> Iterator[FieldMessage]:
        server = account.smtp
        if server.auth != "none":
            yield "smtp.username", "cannot be expressed in privilege_manager, which signs in nowhere"
        if server.security != "none" and "smtp.security" not in account.leave_out:
            hint = "name it in options.leave_out if mail may go without it"
            yield "smtp.security", f"must be none: privilege_manager has no field for encryption; {hint}"

    def fields(self, account: Account) -> Iterator[tuple[str, SheetValue]]:
        server = account.smtp
        host = f"[{server.host}]" if ":" in server.host else server.host
        yield "Name", account.connector.display_name
        yield "Base URI", f"smtp://{host}:{server.port}"
