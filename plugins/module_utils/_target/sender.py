# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""A connector as an application is told of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from .._connector.domain import address_to_ascii, to_ascii
from .._connector.fields import split_path
from .._connector.secret import Secret
from .._connector.state import Connector
from .._protocol.endpoint import Endpoint, endpoints_of

Finding = tuple[str, str]

MAY_BE_LEFT_OUT = ("from_address", "from_name", "reply_to", "errors_to", "cc", "bcc", "headers")
_NOT_EVERYWHERE = (*MAY_BE_LEFT_OUT, "smtp.mechanisms", "smtp.client_cert", "smtp.proxy")


@dataclass(frozen=True)
class Sender:
    """The server that sends, who signs in there, and what mail shows."""

    connector: str
    server: Endpoint
    from_address: str = ""
    from_name: str = ""
    password_file: str = ""
    """The file that the password has for itself, where the application keeps it apart."""

    asks: tuple[str, ...] = ()
    """The fields it has among those that not every application can express."""

    @property
    def password(self) -> Secret | None:
        return self.server.password if self.server.auth == "password" else None


def unusable(connector: Connector) -> Finding | None:
    """The field that keeps every application from using a connector, and why."""
    effective = connector.effective()
    if not connector.enabled:
        return "enabled", "the connector is disabled"
    if "graph" in effective:
        return "graph", "applications send over SMTP, and this connector sends over Microsoft Graph"
    if "smtp" not in effective:
        return "smtp", "the connector only receives mail"
    if effective["smtp"]["auth"] == "oauth2":
        return "smtp.auth", "is oauth2, and applications are given a password: a token would soon be out of date"
    return None


def password_path(connector: Connector) -> str | None:
    """Which secret signs in, of a connector that is usable."""
    smtp = connector.effective()["smtp"]
    if smtp["auth"] != "password":
        return None
    return "imap.password" if smtp["same_credentials"] else "smtp.password"


def sender_of(
    connector: Connector, secrets: Mapping[str, Secret], password_file: str = "", leave_out: Collection[str] = ()
) -> Sender:
    """What a connector that is usable sends with."""
    effective = {name: value for name, value in connector.effective().items() if name not in leave_out}
    server = next(each for each in endpoints_of(effective, secrets) if each.protocol == "smtp")
    return Sender(
        connector.name,
        _in_ascii(server),
        address_to_ascii(effective.get("from_address", "")),
        effective.get("from_name", ""),
        password_file,
        tuple(path for path in _NOT_EVERYWHERE if _asks(effective, path)),
    )


def _in_ascii(server: Endpoint) -> Endpoint:
    """The same server, with all names as DNS knows them: few applications convert them, and not alike."""
    proxy = server.proxy and replace(server.proxy, host=to_ascii(server.proxy.host))
    return replace(server, host=to_ascii(server.host), ehlo_name=to_ascii(server.ehlo_name), proxy=proxy)


def _asks(effective: Mapping[str, Any], path: str) -> bool:
    block, field = split_path(path)
    if path == "errors_to" and effective.get(path) == effective.get("from_address"):
        return False
    return bool(effective[block].get(field) if field else effective.get(block))
