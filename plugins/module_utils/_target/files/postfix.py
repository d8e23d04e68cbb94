# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Postfix: the server that it relays all mail through, in main.cf."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator

from ..._connector.resolved import SmtpSettings
from ..._errors import FieldMessage
from ..formats import managed_block
from ..interface import MARK, Account

_BLANKS = " \t\v\f\r"
_SPLITS_A_LIST = re.compile(r"[\s,{}]")


class Postfix(managed_block.ManagedBlockTarget):
    """A mail server, here as the client of another."""

    name = "postfix"
    securities = ("none", "starttls_optional", "starttls", "tls")
    supported_features = frozenset(("smtp.mechanisms", "smtp.client_cert", "smtp.ca_file", "smtp.ehlo_name"))
    password_apart = "always"
    password_mark = MARK
    needs_file = True
    forbidden = re.compile("[\n\0]")
    check = ("postfix", "check")
    service = "postfix"
    reload = "reloaded"

    def unsupported_values(self, account: Account) -> Iterator[FieldMessage]:
        server = account.smtp
        if server.security == "starttls_optional" and server.trust.validate:
            yield "smtp.validate_certs", "must be false with starttls_optional: postfix checks no certificate then"
        if _SPLITS_A_LIST.search(account.password_file):
            yield "options.password_file", "cannot hold white space, commas or braces in postfix"
        trust = server.trust
        for field, path in (
            ("smtp.ca_file", trust.ca_file),
            ("smtp.client_cert", trust.client_cert),
            ("smtp.client_key", trust.client_key),
        ):
            if path != path.strip():
                yield field, "cannot begin or end with white space in postfix"
        if account.password:
            if ":" in server.username or server.username[0] in _BLANKS:
                yield "smtp.username", "cannot hold a colon or begin with white space in postfix"
            if account.password.reveal()[-1] in _BLANKS:
                yield "smtp.password", "cannot end with white space in postfix"

    def render(self, text: str, account: Account) -> str:
        text = managed_block.remove_block(text)
        if not text.endswith("\n"):
            text += "\n"
        named = account.password_file if account.password else ""
        parameters = dict(_parameters(account))
        lines = [f"{name} = {value.replace('$', '$$')}" for name, value in parameters.items()]
        return managed_block.insert_block(text, text.count("\n"), lines, set(_parameter_lines(text, parameters)), named)

    def password_text(self, account: Account) -> str | None:
        if not account.password:
            return None
        return f"{MARK}{_relayhost(account.smtp)} {account.smtp.username}:{account.password.reveal()}\n"


def _relayhost(server: SmtpSettings) -> str:
    """In brackets, so that no other server is looked up for it."""
    return f"[{server.host}]:{server.port}"


def _parameters(account: Account) -> Iterator[tuple[str, str]]:
    """The parameters of main.cf. Those on which mail depends are written even if they are Postfix's defaults."""
    server = account.smtp
    yield "relayhost", _relayhost(server)
    yield from _encryption(server)
    yield "smtp_sasl_auth_enable", "yes" if account.password else "no"
    if account.password:
        yield "smtp_sasl_password_maps", f"texthash:{account.password_file}"
        yield "smtp_sasl_security_options", "noanonymous"
        yield "smtp_sasl_tls_security_options", "noanonymous"
        if server.mechanisms:
            yield "smtp_sasl_mechanism_filter", ", ".join(server.mechanisms).lower()
    if server.ehlo_name:
        yield "smtp_helo_name", server.ehlo_name


def _encryption(server: SmtpSettings) -> Iterator[tuple[str, str]]:
    required = "secure" if server.trust.validate else "encrypt"
    yield "smtp_tls_security_level", {"none": "none", "starttls_optional": "may"}.get(server.security, required)
    yield "smtp_tls_wrappermode", "yes" if server.security == "tls" else "no"
    if server.security == "none":
        return
    if server.trust.validate:
        yield "smtp_tls_secure_cert_match", "nexthop"
    if server.trust.validate and server.trust.ca_file:
        yield "smtp_tls_CAfile", server.trust.ca_file
    if server.trust.client_cert:
        yield "smtp_tls_cert_file", server.trust.client_cert
        yield "smtp_tls_key_file", server.trust.client_key or server.trust.client_cert


def _parameter_lines(text: str, names: Container[str]) -> Iterator[int]:
    """The numbers of the lines that set these parameters. A line that begins with a blank continues the one before."""
    is_named = False
    for number, line in enumerate(text.split("\n")):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if not line[0].isspace():
            is_named = line.partition("=")[0].strip() in names
        if is_named:
            yield number
