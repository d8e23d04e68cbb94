# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""mbsync (isync): a mailbox that it copies into a maildir, in a configuration of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..._errors import FieldMessage
from ..formats.env import quote as shell_quote
from ..interface import MARK, Account, FileTarget, Option, own_file

_NEEDS_ESCAPE = re.compile(r'[\\"]')
_SSL_TYPES = {"none": "None", "starttls": "STARTTLS", "tls": "IMAPS"}


class Mbsync(FileTarget):
    """Copies mailboxes into maildirs."""

    name = "mbsync"
    other_fields = ("name",)
    protocols = ("imap",)
    securities = tuple(_SSL_TYPES)
    certificate_checks = (True,)
    supported_features = frozenset(("imap.ca_file", "imap.client_cert", "imap.mechanisms", "imap.mailbox"))
    options = (Option("maildir", "path", is_required=True),)
    password_apart = "optional"
    secret = re.compile(r"^(Pass ).*$", re.MULTILINE)
    check = ("mbsync", "--config", "{path}", "--list", "--all")

    def unsupported_values(self, account: Account) -> Iterator[FieldMessage]:
        if not account.password:
            yield "imap.password", "is required by mbsync"
        if "," in account.imap.mailbox or account.imap.mailbox[0] in "!%*" or account.imap.mailbox[-1] in "%*":
            yield "imap.mailbox", "cannot hold what mbsync takes for a pattern"

    def render(self, _text: str, account: Account) -> str:
        server, trust, name = account.imap, account.imap.trust, account.name
        lines = [
            f"IMAPAccount {name}",
            f"Host {_quote(server.host)}",
            f"Port {server.port}",
            f"User {_quote(server.username)}",
        ]
        if account.password_file:
            lines.append(f"PassCmd {_quote(f'cat {shell_quote(account.password_file)}')}")
        elif server.password:
            lines.append(f"Pass {_quote(server.password.reveal())}")
        if server.mechanisms:
            lines.append(f"AuthMechs {' '.join(server.mechanisms)}")
        lines.append(f"SSLType {_SSL_TYPES[server.security]}")
        if trust.ca_file:
            lines += ["SystemCertificates no", f"CertificateFile {_quote(trust.ca_file)}"]
        if trust.client_cert:
            lines.append(f"ClientCertificate {_quote(trust.client_cert)}")
            lines.append(f"ClientKey {_quote(trust.client_key or trust.client_cert)}")
        maildir = account.options["maildir"].rstrip("/") + "/"
        lines += [
            *("", f"IMAPStore {name}-remote", f"Account {name}"),
            *("", f"MaildirStore {name}-local", f"Path {_quote(maildir)}", f"Inbox {_quote(maildir + 'INBOX')}"),
            *("", f"Channel {name}", f"Far :{name}-remote:", f"Near :{name}-local:"),
            f"Patterns {_quote(server.mailbox)}",
            *("Create Near", "Sync Pull", "SyncState *"),
        ]
        return own_file(MARK, lines, account.password_file)


def _quote(value: str) -> str:
    return '"' + _NEEDS_ESCAPE.sub(r"\\\g<0>", value) + '"'
