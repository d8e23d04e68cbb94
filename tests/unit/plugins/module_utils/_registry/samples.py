# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Registries, keys and declarations for tests, and the one way in which a task changes a registry."""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from ansible_collections.mailroom.core.plugins.module_utils._connector.declaration import parse_declaration
from ansible_collections.mailroom.core.plugins.module_utils._connector.plan import Plan, Request
from ansible_collections.mailroom.core.plugins.module_utils._connector.planning import make_plan
from ansible_collections.mailroom.core.plugins.module_utils._connector.records import RecordedTest
from ansible_collections.mailroom.core.plugins.module_utils._connector.secret import Secret
from ansible_collections.mailroom.core.plugins.module_utils._connector.state import Stamp, State, Wanted
from ansible_collections.mailroom.core.plugins.module_utils._registry.key_source import KeySource
from ansible_collections.mailroom.core.plugins.module_utils._registry.postgresql.backend import PostgresqlBackend
from ansible_collections.mailroom.core.plugins.module_utils._registry.registry import Reader, Registry
from ansible_collections.mailroom.core.plugins.module_utils._registry.sqlite.storage import SqliteBackend
from ansible_collections.mailroom.core.plugins.module_utils._registry.writer import Writer

KEY, NEW_KEY, FOREIGN_KEY = (base64.urlsafe_b64encode(bytes([number]) * 32).decode() for number in (1, 2, 3))
STAMP = Stamp("2024-02-29T12:00:00Z", "tester")
LATER = Stamp("2024-03-01T12:00:00Z", "somebody else")


def open_registry(path: Path, key: str | None = KEY) -> Registry:
    """The registry at a path, with the keys given, else with those in the file beside it."""
    return Registry(SqliteBackend(str(path)), KeySource(Secret(key) if key else None, f"{path}.key"))


def open_database(location: str, key: str | None = KEY, password: str | None = None) -> Registry:
    """The registry in a database."""
    given = Secret(password) if password else None
    return Registry(PostgresqlBackend(location, given), KeySource(Secret(key) if key else None, "", may_make=False))


def entry(name: str, password: str | None = None, **fields: Any) -> dict[str, Any]:
    """A connector as a user declares it."""
    smtp = {"host": "mail.example.com", **({"username": "mailer", "password": password} if password else {})}
    return {"name": name, "smtp": smtp, **fields}


def request(*entries: Mapping[str, Any], **more: Any) -> Request:
    read = [parse_declaration(each) for each in entries]
    assert [problems for declaration, problems in read if problems] == []
    return Request(declarations=tuple(declaration for declaration, problems in read), **more)


def planned(reader: Reader, wish: Request, stamp: Stamp = STAMP) -> Plan:
    return make_plan(wish, reader.load(wish.wanted()), reader.is_same_secret, stamp, reader.is_foreign)


def record_tests(writer: Writer, *tests: RecordedTest) -> list[str]:
    """Record tests of connectors as they are stored now."""
    found = writer.load(Wanted(frozenset(test.connector for test in tests))).connectors
    stored = {name: {"identity": each.identity, "revision": each.revision} for name, each in found.items()}
    return writer.record_tests([test._replace(**stored.get(test.connector, {})) for test in tests])


def carry_out(writer: Writer, wish: Request, stamp: Stamp = STAMP) -> Plan:
    """Plan and apply within a transaction."""
    plan = planned(writer, wish, stamp)
    writer.apply(plan)
    return plan


def change(registry: Registry, wish: Request, stamp: Stamp = STAMP) -> Plan:
    """Plan and carry out in one transaction, as a task does."""
    with registry.writing() as writer:
        return carry_out(writer, wish, stamp)


def declare(registry: Registry, *entries: Mapping[str, Any], stamp: Stamp = STAMP, **more: Any) -> Plan:
    return change(registry, request(*entries, **more), stamp)


def everything(registry: Registry) -> State:
    with registry.reading() as reader:
        return reader.load(Wanted())


def secrets(registry: Registry, name: str) -> dict[str, str]:
    """A connector's secrets, opened."""
    with registry.reading() as reader:
        stored = reader.load(Wanted(frozenset([name]))).connectors[name].secrets
        return {path: reader.open_secret(str(token)).reveal() for path, token in stored.items()}


def history(registry: Registry, name: str) -> list[dict[str, Any]]:
    with registry.reading() as reader:
        return reader.history([reader.load(Wanted(frozenset([name]))).connectors[name]])[name]


def ask_file(path: Path, query: str) -> list[tuple[Any, ...]]:
    """Query the file with nothing but SQLite."""
    with closing(sqlite3.connect(path)) as database:
        return database.execute(query).fetchall()


def edit_file(path: Path, statement: str, *values: Any) -> None:
    """Change the file with nothing but SQLite, as somebody does who may write it and has no key."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA synchronous = OFF")
        database.execute(statement, values)
        database.commit()


def edit_settings(path: Path, name: str, block: str, changes: Mapping[str, Any]) -> None:
    """Change fields in a connector's row from outside; None removes one."""
    ((text,),) = ask_file(path, f"SELECT settings FROM connector WHERE name = '{name}'")
    edit_file(path, "UPDATE connector SET settings = ? WHERE name = ?", edited(text, block, changes), name)


def edited(text: str, block: str, changes: Mapping[str, Any]) -> str:
    """A connector's settings, as they are stored, with changes in one block."""
    settings = json.loads(text)
    changed = {**settings.get(block, {}), **changes}
    settings[block] = {field: value for field, value in changed.items() if value is not None}
    return json.dumps(settings)


def folder_content(folder: Path) -> dict[str, bytes | None]:
    """Every file below a folder with its bytes, and every folder with None."""
    found = sorted(folder.rglob("*"))
    return {str(each.relative_to(folder)): each.read_bytes() if each.is_file() else None for each in found}


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777
