# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""fetchmail: the mailbox that it fetches from, in a control file."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..._errors import FieldMessage
from ..interface import MARK, Account, FileTarget, Option, own_file


class Fetchmail(FileTarget):
    """Fetches mail and hands it to the local mail server."""

    name = "fetchmail"
    protocols = ("imap",)
    securities = ("none", "starttls", "tls")
    supported_features = frozenset(("imap.ca_file", "imap.client_cert", "imap.mailbox"))
    options = (Option("local_user", is_required=True), Option("delete", "bool"))
    secret = re.compile(r"^(  password ).*$", re.MULTILINE)
    check = ("fetchmail", "--fetchmailrc", "{path}", "--configdump")
    service = "fetchmail"

    def unsupported_values(self, account: Account) -> Iterator[FieldMessage]:
        if not account.password:
            yield "imap.password", "is required by fetchmail"

    def render(self, _text: str, account: Account) -> str:
        server, trust = account.imap, account.imap.trust
        lines = [
            f"poll {_quote(server.host)} protocol imap port {server.port} auth password",
            f"  user {_quote(server.username)}",
            f"  password {_quote(server.password.reveal() if server.password else '')}",
            f"  is {_quote(account.options['local_user'])} here",
            f"  folder {_quote(server.mailbox)}",
            "  no keep" if account.options.get("delete") else "  keep",
        ]
        if server.security == "none":
            lines.append('  sslproto "" no sslcertck')
        else:
            lines.append('  ssl sslproto "TLS1.2+"' if server.security == "tls" else '  sslproto "TLS1.2+"')
            lines.append("  sslcertck" if trust.validate else "  no sslcertck")
            if trust.validate and trust.ca_file:
                lines.append(f"  sslcertfile {_quote(trust.ca_file)}")
            if trust.client_cert:
                key = trust.client_key or trust.client_cert
                lines.append(f"  sslcert {_quote(trust.client_cert)} sslkey {_quote(key)}")
        return own_file(MARK, lines)


def _quote(value: str) -> str:
    """A quote ends the string even after a backslash, so it is written by its number."""
    return '"' + value.replace("\\", "\\\\").replace('"', "\\x22") + '"'
