# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""nullmailer: the server that it sends all mail through, in its file remotes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..._errors import FieldMessage
from ..formats.env import quote
from ..interface import MARK, Account, FileTarget, own_file


class Nullmailer(FileTarget):
    """A mail server that only relays."""

    name = "nullmailer"
    securities = ("none", "starttls", "tls")
    supported_features = frozenset(("smtp.mechanisms", "smtp.client_cert", "smtp.ca_file"))
    secret = re.compile(r"( --pass=).*$", re.MULTILINE)
    service = "nullmailer"

    def unsupported_values(self, account: Account) -> Iterator[FieldMessage]:
        if account.smtp.mechanisms and set(account.smtp.mechanisms) not in ({"LOGIN"}, {"PLAIN", "LOGIN"}):
            yield "smtp.mechanisms", "must be LOGIN, or PLAIN and LOGIN, in nullmailer"

    def render(self, _text: str, account: Account) -> str:
        server, trust = account.smtp, account.smtp.trust
        words = [server.host, "smtp", f"--port={server.port}"]
        if server.security != "none":
            words.append("--starttls" if server.security == "starttls" else "--tls")
            if not trust.validate:
                words.append("--insecure")
            elif trust.ca_file:
                words.append(f"--x509cafile={quote(trust.ca_file)}")
            if trust.client_cert:
                words.append(f"--x509certfile={quote(trust.client_cert)}")
                words.append(f"--x509keyfile={quote(trust.client_key or trust.client_cert)}")
        if account.password:
            if set(server.mechanisms) == {"LOGIN"}:
                words.append("--auth-login")
            words.append(f"--user={quote(server.username)}")
            words.append(f"--pass={quote(account.password.reveal())}")
        return own_file(MARK, [" ".join(words)])
