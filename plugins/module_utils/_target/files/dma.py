# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""DragonFly Mail Agent: the server that it sends all mail through, in dma.conf."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..._errors import FieldMessage
from ..formats import managed_block
from ..interface import MARK, Account

_OURS = re.compile(
    r"\s*(SMARTHOST|PORT|AUTHPATH|SECURETRANSFER|STARTTLS|OPPORTUNISTIC_TLS|CERTFILE|FINGERPRINT|MASQUERADE)\b"
)
_LONGEST_LINE = 2000


class Dma(managed_block.ManagedBlockTarget):
    """A small mail server for hosts that only send."""

    name = "dma"
    securities = ("none", "starttls_optional", "starttls", "tls")
    certificate_checks = (False,)
    supported_features = frozenset(("errors_to", "smtp.client_cert"))
    password_apart = "always"
    password_mark = MARK

    def unsupported_values(self, account: Account) -> Iterator[FieldMessage]:
        server, trust = account.smtp, account.smtp.trust
        if trust.client_key not in ("", trust.client_cert):
            yield "smtp.client_key", "must be in the same file as the certificate in dma"
        for field, path in (("smtp.client_cert", trust.client_cert), ("options.password_file", account.password_file)):
            if re.search(r"\s", path):
                yield field, "cannot hold white space in dma"
        if account.password:
            if ":" in server.host:
                yield "smtp.host", "cannot be an IPv6 address in dma"
            if "|" in server.username or server.username[0] == "#":
                yield "smtp.username", "cannot hold | or begin with # in dma"
            if len((self.password_text(account) or "").encode()) > _LONGEST_LINE:
                yield "smtp.password", f"is too long: a line of dma's holds {_LONGEST_LINE} bytes"

    def render(self, text: str, account: Account) -> str:
        server = account.smtp
        lines = [f"SMARTHOST {server.host}", f"PORT {server.port}"]
        if server.security != "none":
            lines.append("SECURETRANSFER")
        if server.security in ("starttls", "starttls_optional"):
            lines.append("STARTTLS")
        if server.security == "starttls_optional":
            lines.append("OPPORTUNISTIC_TLS")
        if server.security != "none" and server.trust.client_cert:
            lines.append(f"CERTFILE {server.trust.client_cert}")
        if account.password:
            lines.append(f"AUTHPATH {account.password_file}")
        if account.connector.errors_to:
            lines.append(f"MASQUERADE {account.connector.errors_to}")
        text = managed_block.remove_block(text)
        aside = [number for number, line in enumerate(text.split("\n")) if _OURS.match(line)]
        return managed_block.append_block(text, lines, account.password_file if account.password else "", aside)

    def password_text(self, account: Account) -> str | None:
        server = account.smtp
        return f"{MARK}{server.username}|{server.host}:{account.password.reveal()}\n" if account.password else None
