# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Redmine: email_delivery in its configuration.yml, which Ruby's ERB reads before YAML does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ..._errors import FieldMessage
from ..formats import yaml
from ..formats.managed_block import ManagedBlockTarget
from ..interface import Account, Option

_MECHANISMS = {"PLAIN": "plain", "LOGIN": "login", "CRAM-MD5": "cram_md5"}


class Redmine(ManagedBlockTarget):
    """A project management application."""

    name = "redmine"
    securities = ("none", "starttls", "tls")
    supported_features = frozenset(("smtp.mechanisms", "smtp.ca_file", "smtp.ehlo_name"))
    options = (Option("section", choices=("default", "production")),)
    secret = re.compile(r"^( *password: ).*$", re.MULTILINE)
    service = "apache2"

    def unsupported_values(self, account: Account) -> Iterator[FieldMessage]:
        if len(account.smtp.mechanisms) > 1 or not _MECHANISMS.keys() >= set(account.smtp.mechanisms):
            yield "smtp.mechanisms", f"can name one of {', '.join(_MECHANISMS)} in redmine"
        for field, value in (
            ("smtp.username", account.smtp.username),
            ("smtp.password", account.password.reveal() if account.password else ""),
            ("smtp.ca_file", account.smtp.trust.ca_file),
        ):
            if "<%" in value or "%>" in value:
                yield field, "cannot hold <% or %> in redmine, where it begins or ends code"

    def render(self, text: str, account: Account) -> str:
        server, trust = account.smtp, account.smtp.trust
        settings: dict[str, Any] = {"address": server.host, "port": server.port}
        if server.ehlo_name:
            settings["domain"] = server.ehlo_name
        if account.password:
            mechanism = server.mechanisms[0] if server.mechanisms else "PLAIN"
            settings["authentication"] = yaml.Plain(f":{_MECHANISMS[mechanism]}")
            settings["user_name"] = server.username
            settings["password"] = account.password.reveal()
        settings["enable_starttls_auto"] = False
        settings["enable_starttls"] = server.security == "starttls"
        settings["tls"] = server.security == "tls"
        if server.security != "none":
            settings["openssl_verify_mode"] = "peer" if trust.validate else "none"
            if trust.validate and trust.ca_file:
                settings["ca_file"] = trust.ca_file
        delivery = {"delivery_method": yaml.Plain(":smtp"), "smtp_settings": settings}
        section = account.options.get("section") or "default"
        editor = yaml.Editor("redmine", section, lambda key: key == "email_delivery")
        return editor.insert(text, {"email_delivery": delivery})
