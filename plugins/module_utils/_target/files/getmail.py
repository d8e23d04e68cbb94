# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""getmail: a mailbox that it fetches into a maildir, in a configuration of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..._errors import FieldMessage
from ..formats import ini, literals
from ..interface import MARK, Account, FileTarget, Option, own_file


class Getmail(FileTarget):
    """Fetches mail into a maildir."""

    name = "getmail"
    protocols = ("imap",)
    securities = ("none", "tls")
    supported_features = frozenset(("imap.ca_file", "imap.client_cert", "imap.mailbox"))
    options = (Option("maildir", "path", is_required=True), Option("delete", "bool"))
    password_apart = "optional"
    signs_in_with_ascii = True
    secret = re.compile(r"^(password = ).*$", re.MULTILINE)
    check = ("getmail", "--rcfile", "{path}", "--dump")

    def unsupported_values(self, account: Account) -> Iterator[FieldMessage]:
        server = account.imap
        if not account.password:
            yield "imap.password", "is required by getmail"
        if server.security == "tls" and server.trust.validate and not server.trust.ca_file:
            yield "imap.ca_file", "is required by getmail, which checks certificates against a file only"
        maildir = account.options.get("maildir") or ""
        if re.search(r"%\(|^~|\$", maildir):
            yield "options.maildir", "cannot hold $ or %( or begin with ~ in getmail"
        values = {"imap.username": server.username, "options.maildir": maildir}
        values["imap.password"] = server.password.reveal() if server.password else ""
        for field, value in values.items():
            problem = ini.python_problem(value)
            if problem:
                yield field, f"{problem} in getmail"

    def render(self, _text: str, account: Account) -> str:
        server, trust = account.imap, account.imap.trust
        retriever = {
            "type": "SimpleIMAPSSLRetriever" if server.security == "tls" else "SimpleIMAPRetriever",
            "server": server.host,
            "port": str(server.port),
            "username": server.username,
            "mailboxes": f"({literals.python(server.mailbox)},)",
        }
        if account.password_file:
            retriever["password_command"] = f"('cat', {literals.python(account.password_file)})"
        elif server.password:
            retriever["password"] = server.password.reveal()
        if server.security == "tls":
            if trust.validate:
                retriever["ca_certs"] = trust.ca_file
            if trust.client_cert:
                retriever["certfile"] = trust.client_cert
                retriever["keyfile"] = trust.client_key or trust.client_cert
        destination = {"type": "Maildir", "path": account.options["maildir"].rstrip("/") + "/"}
        options = {"delete": "true" if account.options.get("delete") else "false", "read_all": "false"}
        sections = {"retriever": retriever, "destination": destination, "options": options}
        lines = [line for section, pairs in sections.items() for line in ini.python_lines(section, pairs)]
        return own_file(MARK, lines, account.password_file)
