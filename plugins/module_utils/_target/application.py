# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""What every application has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar

from .sender import MAY_BE_LEFT_OUT, Finding, Sender

MARK = "# Written by mailroom.core.connector_config; what is changed here is lost.\n"
"""The first line of a file that holds nothing but what was written."""


class Application(ABC):
    """An application that sends mail over SMTP. Texts go in and come out: it touches no file itself."""

    name: ClassVar[str]

    securities: ClassVar[tuple[str, ...]]

    expresses: ClassVar[frozenset[str]]
    """The fields that it can be told, of those that not every application can."""

    keeps_password_apart: ClassVar[bool] = False
    """Whether the password is in a file of its own."""

    password_mark: ClassVar[str] = ""
    """The first line of that file, by which it is known to be ours; empty where it cannot hold a comment."""

    def refusals(self, sender: Sender) -> Iterator[Finding]:
        """Each (field, what is allowed) that the application cannot express."""
        for path in sender.asks:
            if path not in self.expresses:
                hint = "; name it in options.leave_out if mail may go without it" if path in MAY_BE_LEFT_OUT else ""
                yield path, f"cannot be expressed in {self.name}{hint}"
        if sender.server.security not in self.securities:
            yield "smtp.security", f"must be one of {', '.join(self.securities)} for {self.name}"
        if sender.password and "\n" in sender.password.reveal():
            yield "smtp.password", f"cannot hold a line break in {self.name}"
        if sender.password_file and not self.keeps_password_apart:
            yield "options.password_file", f"is not for {self.name}, which keeps the password in the file at path"
        yield from self.own_refusals(sender)

    @abstractmethod
    def own_refusals(self, sender: Sender) -> Iterator[Finding]:
        """The same, as far as it is this application's own."""

    @abstractmethod
    def write(self, text: str, sender: Sender) -> str:
        """The text of the settings with this sender in place of an earlier one."""

    @abstractmethod
    def clear(self, text: str) -> str:
        """The text of the settings without what was written into it."""

    @abstractmethod
    def difference(self, before: str, after: str) -> tuple[str, str]:
        """What is written into two texts, without the password."""

    @abstractmethod
    def password_text(self, sender: Sender) -> str | None:
        """What the file holds that the password has for itself; None where there is none."""

    @abstractmethod
    def password_file_in(self, text: str) -> str:
        """The file that a text names for the password, empty where it names none. Whose text that is, nobody knows."""
