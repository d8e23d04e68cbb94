# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""msmtp: one account in a file of its own, password included."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..._connector.resolved import SmtpSettings
from ..._errors import FieldMessage
from ..interface import MARK, Account, FileTarget, own_file

_REPLACED = re.compile(r"%[UHCM]|[*?]")
_NO_OTHER_SENDER = "allow_from_override off"
_LONGEST_LINE = 499


class Msmtp(FileTarget):
    """An SMTP client that stands in for sendmail."""

    name = "msmtp"
    other_fields = ("name",)
    securities = ("none", "starttls", "tls")
    supported_features = frozenset(
        ("from_address", "smtp.mechanisms", "smtp.client_cert", "smtp.ca_file", "smtp.proxy", "smtp.ehlo_name")
    )
    forbidden = re.compile("[\n\0]")
    secret = re.compile(r"^(password ).*$", re.MULTILINE)
    check = ("msmtp", "-C", "{path}", "-P")

    def unsupported_values(self, account: Account) -> Iterator[FieldMessage]:
        server = account.smtp
        if len(server.mechanisms) > 1:
            yield "smtp.mechanisms", "can name one in msmtp, or be left out, for msmtp to choose"
        if server.proxy and (server.proxy.scheme != "socks5" or server.proxy.username):
            yield "smtp.proxy", "must be a socks5 proxy without a user in msmtp"
        if _REPLACED.search(account.connector.from_address):
            yield "from_address", "holds what msmtp replaces: %U, %H, %C, %M, * or ?"
        for field, line in _lines(account):
            if len(line.encode()) > _LONGEST_LINE:
                yield field, f"is too long: a line of msmtp's holds {_LONGEST_LINE} bytes"

    def render(self, _text: str, account: Account) -> str:
        return own_file(MARK, [line for _field, line in _lines(account)])


def _lines(account: Account) -> Iterator[tuple[str, str]]:
    """Each line of the file, after the field that it comes from."""
    server = account.smtp
    yield "name", f"account {account.name}"
    yield "smtp.host", f"host {server.host}"
    yield "smtp.port", f"port {server.port}"
    yield from _encryption(server)
    if server.proxy:
        yield "smtp.proxy", f"proxy_host {server.proxy.host}"
        yield "smtp.proxy", f"proxy_port {server.proxy.port}"
    if server.ehlo_name:
        yield "smtp.ehlo_name", f"domain {server.ehlo_name}"
    if account.connector.from_address:
        yield "from_address", f"from {account.connector.from_address}"
        yield "from_address", _NO_OTHER_SENDER
        yield "from_address", "set_from_header on"
    if account.password:
        yield "smtp.mechanisms", f"auth {server.mechanisms[0].lower() if server.mechanisms else 'on'}"
        yield "smtp.username", f"user {_quote(server.username)}"
        yield "smtp.password", f"password {_quote(account.password.reveal())}"
    if account.name != "default":
        yield "name", f"account default : {account.name}"
        if account.connector.from_address:
            # An account takes over all but this from the one that it is based on: msmtp -P shows it.
            yield "from_address", _NO_OTHER_SENDER


def _encryption(server: SmtpSettings) -> Iterator[tuple[str, str]]:
    trust = server.trust
    if server.security == "none":
        yield "smtp.security", "tls off"
        return
    yield "smtp.security", "tls on"
    yield "smtp.security", f"tls_starttls {'on' if server.security == 'starttls' else 'off'}"
    if not trust.validate:
        yield "smtp.validate_certs", "tls_certcheck off"
    elif trust.ca_file:
        yield "smtp.ca_file", f"tls_trust_file {_quote(trust.ca_file)}"
    if trust.client_cert:
        yield "smtp.client_cert", f"tls_cert_file {_quote(trust.client_cert)}"
        yield "smtp.client_key", f"tls_key_file {_quote(trust.client_key or trust.client_cert)}"


def _quote(value: str) -> str:
    """Msmtp takes quotes off the ends, and reads all between them as it is."""
    return f'"{value}"'
