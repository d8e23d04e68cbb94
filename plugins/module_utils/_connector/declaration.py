# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""From what a user wrote to a Declaration: only what was written, checked value by value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .._errors import Problem, printable
from . import checks
from .fields import BLOCKS, BY_NAME, BY_PATH, FIELDS, Field, did_you_mean_field, split_path
from .secret import Secret

Settings = dict[str, Any]


@dataclass(frozen=True)
class Declaration:
    """What a user says of one connector. What is left out is in none of the three."""

    name: str
    settings: Settings = field(default_factory=dict)
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    cleared: frozenset[str] = frozenset()

    def gives(self, path: str) -> bool:
        block, inner = split_path(path)
        value = self.settings.get(block)
        return path in self.secrets or (inner in value if inner and value else not inner and value is not None)


def read_declaration(
    written: Mapping[str, Any],
    *,
    where: str = "",
    clear: Iterable[str] = (),
    emptied: Iterable[str] = (),
) -> tuple[Declaration, list[Problem]]:
    """Read one connector as Ansible hands it over, where null stands for what was left out.

    `emptied` names the blocks that were written as {}: Ansible fills those with nulls.
    """
    reading = _Reading(where)
    reading.name(written.get("name"))
    for unknown in sorted(str(key) for key in written if key != "name" and key not in BY_NAME):
        reading.unknown(unknown)
    for known in FIELDS:
        value = written.get(known.name)
        if value is not None:
            reading.field(known, value)
    reading.clear(emptied)
    reading.clear(clear, named=True)
    return reading.declaration(), reading.problems


def emptied_blocks(written: Any) -> list[str]:
    """The blocks that were written as {}, before Ansible filled them with nulls."""
    if not isinstance(written, dict):
        return []
    return [block for block in BLOCKS if written.get(block) in ({}, "{}")]


class _Reading:
    """One pass over what was written, gathering values and problems."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._name = ""
        self._settings: Settings = {}
        self._secrets: dict[str, Secret] = {}
        self._cleared: set[str] = set()
        self.problems: list[Problem] = []

    def declaration(self) -> Declaration:
        return Declaration(self._name, self._settings, self._secrets, frozenset(self._cleared))

    def name(self, value: Any) -> None:
        try:
            self._name = checks.connector_name(value)
            self._where = f"connector {self._name}"
        except checks.NotAllowed as refused:
            advice = "; a name with blanks belongs in display_name" if isinstance(value, str) and " " in value else ""
            self._refuse("name", f"{refused}{advice}" if value else "is required")

    def unknown(self, path: str) -> None:
        block, name = split_path(path)
        if block in BLOCKS and name and path not in BY_PATH:
            known = [each.name for each in BY_NAME[block].fields]
            suggestion = did_you_mean_field(name, block, known)
        else:
            suggestion = did_you_mean_field(path, "", ["name", *BY_NAME])
        self._refuse(printable(path[:100]), f"there is no such field{suggestion}")

    def field(self, known: Field, value: Any) -> None:
        if known.fields and isinstance(value, dict):
            self._block(known, value)
        elif value in ("", [], {}):
            self._cleared.add(known.name)
        else:
            self._keep(known, known.name, self._settings, value)

    def clear(self, paths: Iterable[str], *, named: bool = False) -> None:
        for path in paths:
            if path not in BY_PATH:
                self.unknown(str(path))
            elif named and self.declaration().gives(path):
                self._refuse(path, "is both given and cleared")
            else:
                self._cleared.add(path)

    def _block(self, block: Field, value: Mapping[str, Any]) -> None:
        inner_fields = {inner.name: inner for inner in block.fields}
        kept: Settings = {}
        for unknown in sorted(str(key) for key in value if key not in inner_fields):
            self.unknown(f"{block.name}.{unknown}")
        for name, inner in inner_fields.items():
            content = value.get(name)
            if content is None:
                continue
            path = f"{block.name}.{name}"
            if not inner.secret and content in ("", []) and inner.type in ("str", "path", "list"):
                self._cleared.add(path)
            else:
                self._keep(inner, path, kept, content)
        if kept or any(path.startswith(block.name + ".") for path in self._secrets):
            self._settings[block.name] = kept

    def _keep(self, known: Field, path: str, target: Settings, value: Any) -> None:
        try:
            checked = known.check(value)
        except checks.NotAllowed as refused:
            self._refuse(path, str(refused))
            return
        if known.secret:
            self._secrets[path] = Secret(checked)
        else:
            target[known.name] = checked

    def _refuse(self, path: str, message: str) -> None:
        self.problems.append(Problem(self._where, path, message))


def merged(stored: Settings, declaration: Declaration) -> Settings:
    """What is stored, changed by what was declared; a value that replaces another ends that one."""
    result = {name: dict(value) if name in BLOCKS else value for name, value in stored.items()}
    for name in declaration.settings.keys() & BLOCKS:
        _drop_superseded(name, result.setdefault(name, {}), declaration)
    for path in declaration.cleared:
        block, inner = split_path(path)
        if not inner:
            result.pop(block, None)
        elif block in result:
            for name in (inner, *_GONE_WITH.get(inner, ())):
                result[block].pop(name, None)
    for name, value in declaration.settings.items():
        result[name] = {**result.get(name, {}), **value} if name in BLOCKS else value
    return result


WAYS = ("client_secret", "certificate", "certificate_file", "assertion_file", "managed_identity", "service_account")
_GONE_WITH = {"proxy": ("proxy_username",), "client_secret": ("client_secret_expires",)}


def _drop_superseded(name: str, block: Settings, declaration: Declaration) -> None:
    """Drop what the declaration puts something else in the place of."""
    given = declaration.settings[name]
    if "uri" in given:
        block.pop("host", None)
        block.pop("port", None)
    elif "uri" in block and ("host" in given or "port" in given):
        uri = checks.parse_smtp_uri(block.pop("uri"))
        block["host"] = uri.host
        if uri.port is not None:
            block["port"] = uri.port
        if uri.scheme == "smtps":
            block.setdefault("security", "tls")
    if given.get("same_credentials"):
        for replaced in ("auth", "username"):
            block.pop(replaced, None)
    if name == "oauth2" and given_way(declaration):
        for way in WAYS:
            block.pop(way, None)
        if given_way(declaration) != "client_secret":
            block.pop("client_secret_expires", None)


def given_way(declaration: Declaration) -> str | None:
    """Which way to prove who asks for a token the declaration gives, if any."""
    if "oauth2" not in declaration.settings:
        return None
    return next((way for way in WAYS if declaration.gives(f"oauth2.{way}")), None)


def ways_of(settings: Settings, secrets: Iterable[str]) -> list[str]:
    """All ways to prove who asks for a token that are there."""
    block, held = settings.get("oauth2", {}), set(secrets)
    return [way for way in WAYS if way in block or f"oauth2.{way}" in held]
