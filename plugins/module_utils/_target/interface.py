# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The interface of applications that are configured by files, and the sender that they get from a connector."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from .._connector.domain import address_to_ascii, to_ascii
from .._connector.resolved import ResolvedConnector, SmtpSettings
from .._connector.secret import Secret
from .._errors import FieldMessage

MARK = "# Written by mailroom.core.connector_config; what is changed here is lost.\n"
"""The first line of a file that holds nothing but what was written."""

MAY_BE_LEFT_OUT = ("from_address", "from_name", "reply_to", "errors_to", "cc", "bcc", "headers")


@dataclass(frozen=True)
class Sender:
    """The server that sends, who signs in there, and what mail shows."""

    connector: str
    server: SmtpSettings
    from_address: str = ""
    from_name: str = ""
    password_file: str = ""
    """The file that holds only the password, where the application keeps it apart."""

    required_features: tuple[str, ...] = ()
    """The fields in use among those that not every application supports."""

    @property
    def password(self) -> Secret | None:
        return self.server.password if self.server.auth == "password" else None


def unusable(connector: ResolvedConnector) -> FieldMessage | None:
    """The field because of which no application can use a connector, and why."""
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
    """The path of the secret that signs in, of a connector that is usable."""
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
    # All names as DNS knows them: few applications convert them, and not alike.
    proxy = server.proxy and replace(server.proxy, host=to_ascii(server.proxy.host))
    server = replace(server, host=to_ascii(server.host), ehlo_name=to_ascii(server.ehlo_name), proxy=proxy)
    return Sender(
        connector.name,
        server,
        address_to_ascii(from_address),
        "" if "from_name" in leave_out else connector.from_name,
        password_file,
        tuple(path for path, is_used in uses.items() if is_used and path not in leave_out),
    )


class FileTarget(ABC):
    """An application that sends mail over SMTP. Texts go in and come out: it touches no file itself."""

    name: ClassVar[str]

    securities: ClassVar[tuple[str, ...]]

    supported_features: ClassVar[frozenset[str]]
    """The fields that it supports, of those that not every application does."""

    keeps_password_apart: ClassVar[bool] = False
    """Whether the password is in a file of its own."""

    password_mark: ClassVar[str] = ""
    """The first line of that file, by which it is known to be ours; empty where it cannot hold a comment."""

    def unsupported(self, sender: Sender) -> Iterator[FieldMessage]:
        """Each (field, what is allowed) that the application cannot express."""
        for path in sender.required_features:
            if path not in self.supported_features:
                hint = "; name it in options.leave_out if mail may go without it" if path in MAY_BE_LEFT_OUT else ""
                yield path, f"cannot be expressed in {self.name}{hint}"
        if sender.server.security not in self.securities:
            yield "smtp.security", f"must be one of {', '.join(self.securities)} for {self.name}"
        if sender.password and "\n" in sender.password.reveal():
            yield "smtp.password", f"cannot hold a line break in {self.name}"
        if sender.password_file and not self.keeps_password_apart:
            yield "options.password_file", f"is not for {self.name}, which keeps the password in the file at path"
        yield from self.unsupported_values(sender)

    @abstractmethod
    def unsupported_values(self, sender: Sender) -> Iterator[FieldMessage]:
        """The same, for the values of fields that it supports."""

    @abstractmethod
    def render(self, text: str, sender: Sender) -> str:
        """The text of the settings with this sender in place of an earlier one."""

    @abstractmethod
    def clear(self, text: str) -> str:
        """The text of the settings without what was written into it."""

    @abstractmethod
    def difference(self, before: str, after: str) -> tuple[str, str]:
        """What is ours in both texts, without the password, for the diff."""

    @abstractmethod
    def password_text(self, sender: Sender) -> str | None:
        """The content of the password file; None where there is no such file."""

    @abstractmethod
    def password_file_in(self, text: str) -> str:
        """The password file that a text names, empty where it names none; the text may be anybody's."""
