# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""A connector as an application is told of it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from .._connector.domain import address_to_ascii, to_ascii
from .._connector.resolved import ResolvedConnector, SmtpSettings
from .._connector.secret import Secret

Finding = tuple[str, str]

MAY_BE_LEFT_OUT = ("from_address", "from_name", "reply_to", "errors_to", "cc", "bcc", "headers")


@dataclass(frozen=True)
class Sender:
    """The server that sends, who signs in there, and what mail shows."""

    connector: str
    server: SmtpSettings
    from_address: str = ""
    from_name: str = ""
    password_file: str = ""
    """The file that the password has for itself, where the application keeps it apart."""

    asks: tuple[str, ...] = ()
    """The fields it has among those that not every application can express."""

    @property
    def password(self) -> Secret | None:
        return self.server.password if self.server.auth == "password" else None


def unusable(connector: ResolvedConnector) -> Finding | None:
    """The field that keeps every application from using a connector, and why."""
    if not connector.enabled:
        return "enabled", "the connector is disabled"
    if connector.graph:
        return "graph", "applications send over SMTP, and this connector sends over Microsoft Graph"
    if not connector.smtp:
        return "smtp", "the connector only receives mail"
    if connector.smtp.auth == "oauth2":
        return "smtp.auth", "is oauth2, and applications are given a password: a token would soon be out of date"
    return None


def password_path(connector: ResolvedConnector) -> str | None:
    """Which secret signs in, of a connector that is usable."""
    if not connector.smtp or connector.smtp.auth != "password":
        return None
    return "imap.password" if connector.smtp.same_credentials else "smtp.password"


def sender_of(connector: ResolvedConnector, password_file: str = "", leave_out: Collection[str] = ()) -> Sender:
    """What a connector that is usable sends with."""
    server = connector.smtp
    if server is None:
        raise ValueError(f"connector {connector.name} does not send over SMTP")
    from_address = "" if "from_address" in leave_out else connector.from_address
    uses = {
        "from_address": bool(connector.from_address),
        "from_name": bool(connector.from_name),
        "reply_to": bool(connector.reply_to),
        "errors_to": bool(connector.errors_to) and connector.errors_to != from_address,
        "cc": bool(connector.cc),
        "bcc": bool(connector.bcc),
        "headers": bool(connector.headers),
        "smtp.mechanisms": bool(server.mechanisms),
        "smtp.client_cert": bool(server.trust.client_cert),
        "smtp.proxy": bool(server.proxy),
    }
    return Sender(
        connector.name,
        _in_ascii(server),
        address_to_ascii(from_address),
        "" if "from_name" in leave_out else connector.from_name,
        password_file,
        tuple(path for path, is_used in uses.items() if is_used and path not in leave_out),
    )


def _in_ascii(server: SmtpSettings) -> SmtpSettings:
    """The same server, with all names as DNS knows them: few applications convert them, and not alike."""
    proxy = server.proxy and replace(server.proxy, host=to_ascii(server.proxy.host))
    return replace(server, host=to_ascii(server.host), ehlo_name=to_ascii(server.ehlo_name), proxy=proxy)
