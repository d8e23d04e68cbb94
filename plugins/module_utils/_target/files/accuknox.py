# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""AccuKnox: its email back-end, as Helm values of the on-premises charts or as a settings sheet."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..._errors import FieldMessage
from ..formats import yaml
from ..formats.sheet import SecretReference, Sheet, SheetValue
from ..interface import MARK, Account, FileTarget, Option, own_file

_OPTIONS = (Option("format", choices=("values", "sheet")), Option("chart", choices=("platform", "rinc")))


class AccuknoxValues(FileTarget):
    """Helm values. The charts have no field for encryption, and that of the platform none for the port."""

    name = "accuknox"
    securities = ("starttls",)
    certificate_checks = (True,)
    supported_features = frozenset(("from_address",))
    options = _OPTIONS
    secret = re.compile(r"^( +password: ).*$", re.MULTILINE)

    def variant(self, options: Mapping[str, Any]) -> FileTarget:
        return AccuknoxSheet() if options.get("format") == "sheet" else self

    def unsupported_values(self, account: Account) -> Iterator[FieldMessage]:
        yield from _needs_sign_in(account)
        if account.options.get("chart") == "rinc":
            if account.connector.from_address and "from_address" not in account.leave_out:
                yield "from_address", "has no field in the chart rinc; name it in options.leave_out if it may go"
        elif account.smtp.port != 587:
            yield "smtp.port", "must be 587 in accuknox, whose chart has no field for it"

    def render(self, _text: str, account: Account) -> str:
        server, password = account.smtp, account.password.reveal() if account.password else ""
        if account.options.get("chart") == "rinc":
            smtp = {"host": server.host, "username": server.username, "password": password, "port": server.port}
            return own_file(MARK, yaml.document({"email": {"smtp": smtp}}))
        email = {
            "from": account.connector.from_address or server.username,
            "user": server.username,
            "password": password,
            "host": server.host,
        }
        return own_file(MARK, yaml.document({"global": {"email": email}}))


class AccuknoxSheet(Sheet):
    """The page Email Backend."""

    name = "accuknox"
    title = "AccuKnox: Email Backend"
    securities = ("starttls", "tls")
    supported_features = frozenset(("from_address",))
    options = _OPTIONS

    def unsupported_values(self, account: Account) -> Iterator[FieldMessage]:
        yield from _needs_sign_in(account)

    def fields(self, account: Account) -> Iterator[tuple[str, SheetValue]]:
        server = account.smtp
        yield "Name", account.connector.display_name
        yield "Host", server.host
        yield "Port", server.port
        yield "Encryption", "SSL" if server.security == "tls" else "TLS"
        yield "Username", server.username
        yield "From Email", account.connector.from_address or server.username
        yield "Secret", SecretReference("imap.password" if server.same_credentials else "smtp.password")


def _needs_sign_in(account: Account) -> Iterator[FieldMessage]:
    if account.smtp.auth != "password":
        yield "smtp.auth", "must be password in accuknox"
