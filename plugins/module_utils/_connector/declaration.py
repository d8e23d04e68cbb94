# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Parses what a task declares for a connector, and merges it with what is stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from .._errors import Problem, printable
from . import checks
from .fields import BLOCKS, BY_NAME, BY_PATH, FIELDS, Field, Settings, did_you_mean_field, split_path
from .secret import Secret


class Declaration(NamedTuple):
    """What a task declares for one connector. A field that was left out is in none of the three."""

    name: str
    settings: Mapping[str, Any] = MappingProxyType({})
    secrets: Mapping[str, Secret] = MappingProxyType({})
    cleared: frozenset[str] = frozenset()

    def contains(self, path: str) -> bool:
        block, inner = split_path(path)
        value = self.settings.get(block)
        return path in self.secrets or (inner in value if inner and value else not inner and value is not None)


def parse_declaration(
    written: Mapping[str, Any],
    *,
    where: str = "",
    clear: Iterable[str] = (),
    empty_blocks: Iterable[str] = (),
    whole: bool = False,
) -> tuple[Declaration, list[Problem]]:
    """Parse one connector as Ansible passes it, where null means that a field was left out.

    `empty_blocks` are the blocks that were written as {}, which Ansible fills with nulls. They are cleared, unless the
    declaration is the whole connector: then an empty graph, whose fields all have defaults, is declared.
    """
    parser = _Parser(where, whole=whole)
    parser.parse_name(written.get("name"))
    for unknown in sorted(str(key) for key in written if key != "name" and key not in BY_NAME):
        parser.add_unknown_field(unknown)
    for known in FIELDS:
        value = written.get(known.name)
        if value is not None:
            parser.parse_field(known, value)
    parser.clear(() if whole else empty_blocks)
    parser.clear(clear, named=True)
    return parser.result(), parser.problems


def empty_blocks(written: Any) -> list[str]:
    """The blocks that were written as {}, before Ansible filled them with nulls."""
    if not isinstance(written, dict):
        return []
    return [block for block in BLOCKS if written.get(block) in ({}, "{}")]


class _Parser:
    """Collects the values and problems of one declaration."""

    def __init__(self, where: str, *, whole: bool) -> None:
        self._where = where
        self._whole = whole
        self._name = ""
        self._settings: Settings = {}
        self._secrets: dict[str, Secret] = {}
        self._cleared: set[str] = set()
        self.problems: list[Problem] = []

    def result(self) -> Declaration:
        return Declaration(self._name, self._settings, self._secrets, frozenset(self._cleared))

    def parse_name(self, value: Any) -> None:
        try:
            self._name = checks.connector_name(value)
            self._where = f"connector {self._name}"
        except checks.InvalidValueError as error:
            advice = "; a name with spaces belongs in display_name" if isinstance(value, str) and " " in value else ""
            self._add_problem("name", f"{error}{advice}" if value else "is required")

    def add_unknown_field(self, path: str) -> None:
        block, name = split_path(path)
        if block in BLOCKS and name and path not in BY_PATH:
            known = [each.name for each in BY_NAME[block].fields]
            suggestion = did_you_mean_field(name, block, known)
        else:
            suggestion = did_you_mean_field(path, "", ["name", *BY_NAME])
        self._add_problem(printable(path[:100]), f"there is no such field{suggestion}")

    def parse_field(self, known: Field, value: Any) -> None:
        if known.fields and isinstance(value, dict):
            self._parse_block(known, value)
        elif value in ("", [], {}):
            self._cleared.add(known.name)
        else:
            self._parse_value(known, known.name, self._settings, value)

    def clear(self, paths: Iterable[str], *, named: bool = False) -> None:
        for path in paths:
            if path == "name":
                self._add_problem(path, "cannot be cleared")
            elif not path.strip():
                self._add_problem("clear", "must be a list of fields, such as imap or smtp.proxy")
            elif path not in BY_PATH:
                self.add_unknown_field(str(path))
            elif named and self.result().contains(path):
                self._add_problem(path, "cannot be both set and cleared")
            else:
                self._cleared.add(path)

    def _parse_block(self, block: Field, value: Mapping[str, Any]) -> None:
        kept: Settings = {}
        for unknown in sorted(path for key in value if (path := f"{block.name}.{key}") not in BY_PATH):
            self.add_unknown_field(unknown)
        for inner in block.fields:
            content = value.get(inner.name)
            if content is None:
                continue
            path = f"{block.name}.{inner.name}"
            if not inner.secret and content in ("", []) and inner.type in ("str", "path", "list"):
                self._cleared.add(path)
            else:
                self._parse_value(inner, path, kept, content)
        is_default = self._whole and block.name == "graph" and all(content is None for content in value.values())
        if kept or is_default or any(path.startswith(block.name + ".") for path in self._secrets):
            self._settings[block.name] = kept

    def _parse_value(self, known: Field, path: str, target: Settings, value: Any) -> None:
        try:
            checked = known.check(value)
        except checks.InvalidValueError as error:
            self._add_problem(path, str(error))
            return
        if known.secret:
            self._secrets[path] = Secret(checked)
        else:
            target[known.name] = checked

    def _add_problem(self, path: str, message: str) -> None:
        self.problems.append(Problem(self._where, path, message))


def merge_declaration(stored: Settings, declaration: Declaration) -> Settings:
    """The stored settings, updated by a declaration; settings that a new value replaces are dropped."""
    result = {name: dict(value) if name in BLOCKS else value for name, value in stored.items()}
    for name in declaration.settings.keys() & BLOCKS:
        _drop_superseded(name, result.setdefault(name, {}), declaration)
    for path in declaration.cleared:
        block, inner = split_path(path)
        if not inner:
            result.pop(block, None)
        elif block in result:
            for name in (inner, *_CLEARED_TOGETHER.get(inner, ())):
                result[block].pop(name, None)
    for name, value in declaration.settings.items():
        result[name] = {**result.get(name, {}), **value} if name in BLOCKS else value
    return result


CLIENT_CREDENTIALS = (
    "client_secret",
    "certificate",
    "certificate_file",
    "assertion_file",
    "managed_identity",
    "service_account",
)
_CLEARED_TOGETHER = {"proxy": ("proxy_username",), "client_secret": ("client_secret_expires",)}


def _drop_superseded(name: str, block: Settings, declaration: Declaration) -> None:
    """Drop the settings of a block that the declaration replaces by others."""
    given = declaration.settings[name]
    if "uri" in given:
        block.pop("host", None)
        block.pop("port", None)
    elif "uri" in block and "smtp.uri" not in declaration.cleared and ("host" in given or "port" in given):
        uri = checks.parse_smtp_uri(block.pop("uri"))
        block["host"] = uri.host
        if uri.port is not None:
            block["port"] = uri.port
        if uri.scheme == "smtps":
            block.setdefault("security", "tls")
    if given.get("same_credentials"):
        for replaced in ("auth", "username"):
            block.pop(replaced, None)
    if name == "oauth2" and declared_client_credential(declaration):
        for credential in CLIENT_CREDENTIALS:
            block.pop(credential, None)
        if declared_client_credential(declaration) != "client_secret":
            block.pop("client_secret_expires", None)


def declared_client_credential(declaration: Declaration) -> str | None:
    """The client credential that the declaration sets, if any."""
    if "oauth2" not in declaration.settings:
        return None
    return next((name for name in CLIENT_CREDENTIALS if declaration.contains(f"oauth2.{name}")), None)


def client_credentials(settings: Settings, secrets: Iterable[str]) -> list[str]:
    """All client credentials that are set."""
    block, held = settings.get("oauth2", {}), set(secrets)
    return [name for name in CLIENT_CREDENTIALS if name in block or f"oauth2.{name}" in held]
