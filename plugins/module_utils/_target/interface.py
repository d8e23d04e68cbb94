# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""What an application can express, the account that it gets from a connector, and the interface of those with files."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

from .._connector.diff import CHANGED, STORED
from .._connector.domain import address_to_ascii, to_ascii
from .._connector.fields import BLOCKS, BY_PATH, SECRETS
from .._connector.resolved import Endpoint, ImapSettings, Protocol, ResolvedConnector, SmtpSettings
from .._connector.secret import Secret
from .._errors import DeclarationError, FieldMessage, Problem

NOTICE = "Written by mailroom.core.connector_config; what is changed here is lost."
MARK = f"# {NOTICE}\n"
"""The first line of a file that holds nothing but what was written."""

_PASSWORD_FILE = "# The password is in "

MAY_BE_LEFT_OUT = (
    "from_address",
    "from_name",
    "reply_to",
    "errors_to",
    "cc",
    "bcc",
    "headers",
    "smtp.ehlo_name",
    "smtp.security",
    "smtp.validate_certs",
    "smtp.ca_file",
    "imap.validate_certs",
    "imap.ca_file",
)

_COMMON_OPTIONS = ("leave_out", "password_file")

_MESSAGE_FIELDS = ("from_address", "from_name", "reply_to", "errors_to", "cc", "bcc", "headers")
_OF_NO_APPLICATION = frozenset(("smtp.uri", "smtp.relay", "oauth2.client_secret_expires", *BLOCKS, *SECRETS))
"""The paths in blocks that no application writes: secrets apart, what others are derived from, or warnings."""


@dataclass(frozen=True)
class Option:
    """An option of an application's own; the first of its choices is the default."""

    name: str
    type: Literal["str", "bool", "path"] = "str"
    choices: tuple[str, ...] = ()
    is_required: bool = False


def specs_of(options: Iterable[Option]) -> dict[str, dict[str, Any]]:
    """The argument specs of applications' options, each once: what an application allows of them it checks itself."""
    specs: dict[str, dict[str, Any]] = {}
    for option in options:
        spec = specs.setdefault(option.name, {"type": option.type})
        if option.choices:
            spec["choices"] = sorted({*spec.get("choices", ()), *option.choices})
    return specs


@dataclass(frozen=True)
class Account:
    """A connector as an application gets it: names as DNS knows them, fields that are left out cleared."""

    connector: ResolvedConnector
    password_file: str = ""
    """The file that holds only the password, where the application keeps it apart."""

    options: Mapping[str, Any] = field(default_factory=dict)
    """The application's own options, as far as they are given."""

    leave_out: frozenset[str] = frozenset()
    protocols: frozenset[Protocol] = frozenset(("smtp",))
    """What of the connector the application uses."""

    is_default: bool = False
    """Whether the connector is the registry's default."""

    @property
    def name(self) -> str:
        return self.connector.name

    @property
    def smtp(self) -> SmtpSettings:
        if self.connector.smtp is None:
            raise ValueError(f"connector {self.name} does not send over SMTP")
        return self.connector.smtp

    @property
    def imap(self) -> ImapSettings:
        if self.connector.imap is None:
            raise ValueError(f"connector {self.name} does not read over IMAP")
        return self.connector.imap

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The servers that the application talks to."""
        return tuple(each for each in self.connector.endpoints if each.protocol in self.protocols)

    @property
    def password(self) -> Secret | None:
        """The password that signs in at the server that sends, or at the one that is read if there is no other."""
        for server in sorted(self.endpoints, key=lambda each: each.protocol != "smtp"):
            if server.auth == "password":
                return server.password
        return None


def account_of(
    connector: ResolvedConnector, target: Application, options: Mapping[str, Any], password_file: str = ""
) -> Account:
    """What an application gets of a connector that it can use, by the options of the task."""
    leave_out = options.get("leave_out") or ()
    own_options = {name: value for name, value in options.items() if name not in _COMMON_OPTIONS and value is not None}
    empty: dict[str, Any] = {"cc": (), "bcc": (), "headers": {}}
    cleared: dict[str, Any] = {path: empty.get(path, "") for path in leave_out if "." not in path}
    smtp, imap = connector.smtp, connector.imap
    if smtp:
        ehlo_name = "" if "smtp.ehlo_name" in leave_out else to_ascii(smtp.ehlo_name)
        smtp = replace(_with_ascii_names(smtp), ehlo_name=ehlo_name)
    if imap:
        imap = _with_ascii_names(imap)
    changed = {"from_address": address_to_ascii(connector.from_address), "smtp": smtp, "imap": imap, **cleared}
    protocols = frozenset(target.used_protocols(connector, own_options))
    return Account(replace(connector, **changed), password_file, own_options, frozenset(leave_out), protocols)


def _with_ascii_names(server: Any) -> Any:
    """All names as DNS knows them: few applications convert them, and not alike."""
    proxy = server.proxy and replace(server.proxy, host=to_ascii(server.proxy.host))
    return replace(server, host=to_ascii(server.host), proxy=proxy)


def fields_of(protocols: Collection[Protocol], options: Mapping[str, Any]) -> set[str]:
    """The paths of the fields that settings for these protocols depend on.

    Those that an application cannot express are among them: once they are declared, nothing can be written any more.
    """
    blocks = {*protocols, *(("oauth2",) if "graph" in protocols else ())}
    sends = {"smtp", "graph"} & blocks
    paths = {path for path in BY_PATH if path.partition(".")[0] in blocks} - _OF_NO_APPLICATION
    leave_out = options.get("leave_out") or ()
    cleared = {path for path in leave_out if "." not in path or path == "smtp.ehlo_name"}
    return {*paths, *(_MESSAGE_FIELDS if sends else ())} - cleared


def required_features(account: Account) -> Iterator[str]:
    """The fields in use among those that not every application supports."""
    connector = account.connector
    if account.protocols & {"smtp", "graph"}:
        uses: dict[str, Any] = {
            "from_address": connector.from_address,
            "from_name": connector.from_name,
            "reply_to": connector.reply_to,
            "errors_to": connector.errors_to and connector.errors_to != connector.from_address,
            "cc": connector.cc,
            "bcc": connector.bcc,
            "headers": connector.headers,
        }
        yield from (path for path, used in uses.items() if used)
    for server in account.endpoints:
        is_checked = server.security != "none" and server.trust.validate
        features: dict[str, Any] = {
            "mechanisms": server.mechanisms,
            "ca_file": is_checked and server.trust.ca_file,
            "client_cert": server.trust.client_cert,
            "proxy": server.proxy,
            "ehlo_name": isinstance(server, SmtpSettings) and server.ehlo_name,
            "mailbox": isinstance(server, ImapSettings) and server.mailbox != "INBOX",
        }
        yield from (f"{server.protocol}.{name}" for name, used in features.items() if used)


class Application(ABC):
    """What an application can express of a connector."""

    name: ClassVar[str]

    protocols: ClassVar[tuple[Protocol, ...]] = ("smtp",)
    """The ways to send or read mail that it knows."""

    securities: ClassVar[tuple[str, ...]]

    certificate_checks: ClassVar[tuple[bool, ...]] = (True, False)
    """Whether it can check certificates, and whether it can do without."""

    supported_features: ClassVar[frozenset[str]]
    """The fields that it supports, of those that not every application does."""

    other_fields: ClassVar[tuple[str, ...]] = ()
    """What it writes besides the fields of its protocols, such as the name of the connector."""

    options: ClassVar[tuple[Option, ...]] = ()
    """Its own options."""

    forbidden: ClassVar[re.Pattern[str]] = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\x85\u2028\u2029]")
    """The characters that a value cannot hold: tabs are the only control characters that programs read alike."""

    signs_in_with_ascii: ClassVar[bool] = False
    """Whether user and password must be ASCII, as in programs that use Python's smtplib or imaplib."""

    def written_protocols(self, _options: Mapping[str, Any]) -> tuple[Protocol, ...]:
        """Which servers are written, of a connector that has them."""
        return self.protocols

    def used_protocols(self, connector: ResolvedConnector, options: Mapping[str, Any]) -> tuple[Protocol, ...]:
        """Which of the connector's servers are written."""
        written = self.written_protocols(options)
        return tuple(each.protocol for each in connector.endpoints if each.protocol in written)

    def read_paths(self, connector: ResolvedConnector, options: Mapping[str, Any]) -> tuple[str, ...]:
        """The paths of all fields and secrets that what is written depends on.

        They are recorded, so that without this code, too, it can be told whether the same would be written again.
        """
        paths = fields_of(self.written_protocols(options), options)
        return tuple(sorted({*paths, *self.other_fields, *self.secret_paths(connector, options)}))

    def unusable(self, connector: ResolvedConnector, options: Mapping[str, Any]) -> FieldMessage | None:
        """The field because of which it cannot use a connector at all, and why."""
        if not connector.enabled:
            return "enabled", "the connector is disabled"
        if connector.graph and "graph" not in self.protocols:
            return "graph", f"{self.name} cannot use Microsoft Graph, which this connector sends and reads with"
        if not self.used_protocols(connector, options):
            if "smtp" in self.protocols:
                return "smtp", "the connector only receives mail"
            return "imap", f"the connector only sends mail, and {self.name} reads it"
        if "graph" not in self.protocols:
            for server in connector.endpoints:
                if server.protocol in self.protocols and server.auth == "oauth2":
                    what = "is oauth2, and applications are given a password: a token would soon be out of date"
                    return f"{server.protocol}.auth", what
        return None

    def secret_paths(self, connector: ResolvedConnector, options: Mapping[str, Any]) -> tuple[str, ...]:
        """The paths of the secrets that are written, of a connector that it can use."""
        paths = []
        for protocol in self.used_protocols(connector, options):
            server = connector.smtp if protocol == "smtp" else connector.imap if protocol == "imap" else None
            if server and server.auth == "password":
                shared = isinstance(server, SmtpSettings) and server.same_credentials
                paths.append("imap.password" if shared else f"{protocol}.password")
        return tuple(dict.fromkeys(paths))

    def unsupported(self, account: Account) -> Iterator[FieldMessage]:
        """Each (field, what is allowed) that the application cannot express."""
        wrong_options = list(self.unsupported_options(account))
        yield from wrong_options
        for path in required_features(account):
            block, _dot, name = path.partition(".")
            # Who may do without checks needs no authority either.
            is_covered = name == "ca_file" and f"{block}.validate_certs" in account.leave_out
            if path not in self.supported_features and path not in account.leave_out and not is_covered:
                hint = "; name it in options.leave_out if mail may go without it" if path in MAY_BE_LEFT_OUT else ""
                yield path, f"cannot be expressed in {self.name}{hint}"
        for server in account.endpoints:
            yield from self._unsupported_server(account, server)
        if not wrong_options:
            yield from self.unsupported_values(account)

    def unsupported_options(self, account: Account) -> Iterator[FieldMessage]:
        known = {option.name for option in self.options}
        for name in account.options:
            if name not in known:
                yield f"options.{name}", f"is no option of {self.name}"
        for option in self.options:
            value = account.options.get(option.name)
            if option.is_required and not value:
                yield f"options.{option.name}", f"is required by {self.name}"
            if value is not None and option.choices and value not in option.choices:
                yield f"options.{option.name}", f"must be one of {', '.join(option.choices)} for {self.name}"
            if isinstance(value, str) and self.forbidden.search(value):
                yield f"options.{option.name}", "cannot hold control characters"

    def _unsupported_server(self, account: Account, server: Endpoint) -> Iterator[FieldMessage]:
        block = server.protocol
        if server.security not in self.securities:
            yield f"{block}.security", f"must be one of {', '.join(self.securities)} for {self.name}"
        elif server.security != "none" and server.trust.validate not in self.certificate_checks:
            if self.certificate_checks == (True,):
                yield f"{block}.validate_certs", f"must be true for {self.name}, which always checks certificates"
            elif f"{block}.validate_certs" not in account.leave_out:
                hint = "name it in options.leave_out if mail may go without that"
                yield f"{block}.validate_certs", f"cannot be expressed in {self.name}, which checks none; {hint}"
        values = {"password": server.password.reveal() if server.password else "", "username": server.username}
        for name, value in values.items():
            if self.forbidden.search(value):
                what = "a line break" if "\n" in value else "control characters"
                yield f"{block}.{name}", f"cannot hold {what} in {self.name}"
            elif self.signs_in_with_ascii and not value.isascii():
                yield f"{block}.{name}", f"must be ASCII in {self.name}"

    def unsupported_values(self, _account: Account) -> Iterator[FieldMessage]:
        """The same, for the values of fields that it supports."""
        return iter(())


class FileTarget(Application):
    """An application that is configured by a file. Texts go in and come out: it touches no file itself."""

    password_apart: ClassVar[Literal["never", "optional", "always"]] = "never"
    """Whether the password is in a file of its own: always, or where options.password_file is given."""

    password_mark: ClassVar[str] = ""
    """The first line of that file, by which it is known to be ours; empty where it cannot hold a comment."""

    owns_file: ClassVar[bool] = True
    """Whether the file at path holds nothing but what was written."""

    needs_file: ClassVar[bool] = False
    """Whether the file must be there already."""

    mark: ClassVar[str] = MARK
    """The first line of a file that it owns; empty where that cannot hold a comment."""

    secret: ClassVar[re.Pattern[str]] = re.compile("(?!)()")
    """Finds secrets in what is written, each to the end of its line; the first group is kept when it is shown."""

    check: ClassVar[tuple[str, ...]] = ()
    """The command with which the application checks its settings; {path} stands for the file."""

    service: ClassVar[str] = ""
    """The service that reads the settings."""

    reload: ClassVar[Literal["reloaded", "restarted"]] = "restarted"
    """What the service needs to read them again."""

    @property
    def has_mark(self) -> bool:
        """Whether a text says itself that it is ours."""
        return not self.owns_file or bool(self.mark)

    def variant(self, _options: Mapping[str, Any]) -> FileTarget:
        """The application as its options choose it, where it has more than one kind of file."""
        return self

    def keeps_password_apart(self, options: Mapping[str, Any]) -> bool:
        is_given = bool(options.get("password_file"))
        return self.password_apart == "always" or (self.password_apart == "optional" and is_given)

    def unsupported_options(self, account: Account) -> Iterator[FieldMessage]:
        yield from super().unsupported_options(account)
        if account.password_file and not self.keeps_password_apart({"password_file": account.password_file}):
            yield "options.password_file", f"is not for {self.name}, which keeps the password in the file at path"

    @abstractmethod
    def render(self, text: str, account: Account) -> str:
        """The text of the settings with this account in place of an earlier one."""

    def clear(self, text: str) -> str:
        """The text of the settings without what was written into it."""
        return "" if self.mark and text.startswith(self.mark) else text

    def content(self, text: str) -> str:
        """What is ours in a text."""
        return text if self.mark and text.startswith(self.mark) else ""

    def difference(self, before: str, after: str) -> tuple[str, str]:
        """What is ours in both texts, without secrets, for the diff."""
        old, new = self.content(before), self.content(after)
        same = [each.group() for each in self.secret.finditer(old)] == [
            each.group() for each in self.secret.finditer(new)
        ]
        return self.secret.sub(rf"\1{STORED}", old), self.secret.sub(rf"\1{STORED if same else CHANGED}", new)

    def password_text(self, account: Account) -> str | None:
        """The content of the password file, where there is one; None where there is no password."""
        # Without a line break at the end: some programs would take it for a part of the password.
        return account.password.reveal() if account.password else None

    def password_file_in(self, text: str) -> str:
        """The password file that a text names, empty where it names none; the text may be anybody's."""
        lines = self.content(text).split("\n", 2)[1 if self.owns_file else 0 :]
        named = [line[len(_PASSWORD_FILE) :] for line in lines[:1] if line.startswith(_PASSWORD_FILE)]
        return named[0] if named else ""


def own_file(mark: str, lines: Collection[str], password_file: str = "") -> str:
    """The text of a file that holds nothing but these lines, and in a comment where the password is."""
    named = [_PASSWORD_FILE + password_file] if password_file else []
    return mark + "".join(f"{line}\n" for line in (*named, *lines))


def named_password_file(path: str) -> list[str]:
    """The line of a block that says where the password is."""
    return [_PASSWORD_FILE + path] if path else []


def check_parsed(parsed: object, expected: object) -> None:
    """Fail where what was written would be read as something else, before it replaces anything."""
    if parsed != expected:
        raise DeclarationError([Problem("", "path", "the settings would not be read as they were written")])
