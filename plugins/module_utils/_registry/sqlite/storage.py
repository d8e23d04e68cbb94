# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The embedded registry: one SQLite file.

A rollback journal, not WAL: a task is one short process with one transaction, so that readers seldom
meet a writer, and the registry stays one file that can be copied, also on a network file system.
`synchronous = EXTRA` makes a commit outlast a power failure, since the folder is synced as well.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from typing import Any

from ..._connector.state import Purpose
from ..._errors import RegistryError
from ..sealing import Mark, Sealed
from ..storage import (
    MOST_CHARACTERS,
    ApplicationRow,
    Backend,
    BindingRow,
    ConnectorRow,
    HealthRow,
    RevisionRow,
    RunRow,
    SecretRow,
    Storage,
    Turn,
    WritableStorage,
)
from . import schema
from .file import SqliteFile, harden

_COLUMNS = ", ".join(
    f"CASE WHEN length({column}) <= {MOST_CHARACTERS} THEN {column} END" if column in ("settings", "preset") else column
    for column in ConnectorRow._fields
)
SEALED = ", ".join(Sealed._fields)
_BINDINGS = "SELECT purpose.name, tenant, connector.name FROM purpose LEFT JOIN connector ON connector.id = connector"
_REVISIONS = "SELECT identity, revision, at, actor, before, after, name FROM revision {} ORDER BY identity, revision"
_DELETED = """
    SELECT identity FROM revision AS last
    WHERE name = ? AND NOT EXISTS (SELECT 1 FROM connector WHERE identity = last.identity)
        AND revision = (SELECT max(revision) FROM revision WHERE identity = last.identity)
    ORDER BY at, identity
"""
APPLICATION = ", ".join(ApplicationRow._fields)
HEALTH = ", ".join(HealthRow._fields[1:])
RUN = ", ".join(RunRow._fields[1:])


class SqliteBackend(Backend):
    """A registry in the file at `path`."""

    name = "sqlite"

    def __init__(self, path: str) -> None:
        self._file = SqliteFile(path)

    @property
    def shown(self) -> str:
        return self._file.path

    def exists(self) -> bool:
        return self._file.exists()

    def version(self) -> int:
        with self._file.reading() as database:
            return self._version(database) if database else 0

    def setup_statements(self, readers: Sequence[str], writers: Sequence[str]) -> list[str]:
        if readers or writers:
            raise RegistryError("grant_read and grant_write go with a registry in PostgreSQL, and this one is a file.")
        steps = schema.MIGRATIONS[self.version() :]
        return [" ".join(statement.split()) for step in steps for statement in step]

    def set_up(self, readers: Sequence[str], writers: Sequence[str]) -> list[str]:
        statements = self.setup_statements(readers, writers)
        if statements:
            with self.writing():
                pass
        return statements

    @contextmanager
    def reading(self) -> Iterator[Storage]:
        with self._file.reading() as database:
            version = self._version(database) if database else 0
            if database and version == len(schema.MIGRATIONS):
                yield SqliteStorage(database)
            else:
                with _migrated_copy(database, version) as copy:
                    yield SqliteStorage(copy)

    @contextmanager
    def writing(self) -> Iterator[WritableStorage]:
        from .writer import SqliteWriter

        with self._file.writing() as database:
            _migrate(database, self._version(database))
            yield SqliteWriter(database)

    def exclusive(self) -> AbstractContextManager[Turn]:
        return self._file.exclusive()

    def check_writable(self) -> None:
        self._file.check_writable()

    def _version(self, database: sqlite3.Connection) -> int:
        """The version of the schema, which is found to be just as that version made it."""
        version = int(_one(database, "PRAGMA user_version"))
        if version > len(schema.MIGRATIONS):
            raise RegistryError(
                f"The registry {self._file.path} was written by a newer version of mailroom.core (its schema is"
                f" {version}, this one knows {len(schema.MIGRATIONS)}): upgrade the collection."
            )
        differences = schema.differences(database, version)
        if differences:
            raise RegistryError(
                f"The registry {self._file.path} cannot be used: its tables are not as mailroom.core made them"
                f" ({differences}); put back a copy."
            )
        return version


class EmptyBackend(Backend):
    """What stands for a registry that is not there yet, in check mode."""

    name = "sqlite"

    def __init__(self, shown: str) -> None:
        self._shown = shown

    @property
    def shown(self) -> str:
        return self._shown

    def exists(self) -> bool:
        return False

    def version(self) -> int:
        return 0

    def setup_statements(self, readers: Sequence[str], writers: Sequence[str]) -> list[str]:  # noqa: ARG002
        return []

    def set_up(self, readers: Sequence[str], writers: Sequence[str]) -> list[str]:  # noqa: ARG002
        return []

    @contextmanager
    def reading(self) -> Iterator[Storage]:
        with _migrated_copy(None, 0) as copy:
            yield SqliteStorage(copy)

    def writing(self) -> AbstractContextManager[WritableStorage]:
        raise RegistryError(f"The registry {self._shown} cannot be changed: there is none.")

    def exclusive(self) -> AbstractContextManager[Turn]:
        raise RegistryError(f"The registry {self._shown} cannot be changed: there is none.")

    def check_writable(self) -> None:
        """What is not there yet may be made by an earlier task of the play."""


@contextmanager
def _migrated_copy(database: sqlite3.Connection | None, version: int) -> Iterator[sqlite3.Connection]:
    """A copy in memory with today's schema, for those who only read."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as copy:
        if database is not None:
            database.backup(copy)
        harden(copy, int(_one(copy, "PRAGMA page_count")) * int(_one(copy, "PRAGMA page_size")))
        _migrate(copy, version)
        yield copy


def _migrate(database: sqlite3.Connection, version: int) -> None:
    if version == len(schema.MIGRATIONS):
        return
    for step in schema.MIGRATIONS[version:]:
        for statement in step:
            database.execute(statement)
    if version == 0:
        database.execute("INSERT INTO registry VALUES (?)", (os.urandom(16).hex(),))
        database.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
    database.execute(f"PRAGMA user_version = {len(schema.MIGRATIONS)}")


class SqliteStorage(Storage):
    """The tables, as one transaction sees them."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def registry_ids(self) -> list[Any]:
        return [each for (each,) in self._database.execute("SELECT id FROM registry LIMIT 2")]

    def names(self) -> list[str]:
        return self._texts("SELECT name FROM connector ORDER BY name")

    def purpose_names(self) -> list[str]:
        return self._texts("SELECT DISTINCT name FROM purpose ORDER BY name")

    def default(self) -> str | None:
        # Only one row can be 1, as the index sees to; the first term is there for that index.
        name = _one(self._database, "SELECT name FROM connector WHERE is_default AND is_default = 1")
        return name if isinstance(name, str) else None

    def connectors(self, names: Collection[str] | None) -> list[ConnectorRow]:
        where, parameters = _among("name", names)
        rows = self._database.execute(f"SELECT {_COLUMNS} FROM connector {where} ORDER BY name", parameters)
        return [ConnectorRow(*row) for row in rows]

    def has_enabled_besides(self, names: Collection[str]) -> bool:
        query = "SELECT 1 FROM connector WHERE enabled AND name NOT IN (SELECT value FROM json_each(?)) LIMIT 1"
        return _one(self._database, query, (json.dumps(list(names)),)) is not None

    def bindings(self, purposes: Iterable[Purpose] | None) -> list[BindingRow]:
        if purposes is None:
            return [BindingRow(*row) for row in self._database.execute(_BINDINGS)]
        query = f"{_BINDINGS} WHERE purpose.name = ? AND tenant = ?"
        return [BindingRow(*row) for purpose in purposes for row in self._database.execute(query, purpose)]

    def bindings_of(self, connectors: Collection[int]) -> list[BindingRow]:
        where, parameters = _among("connector", connectors)
        return [BindingRow(*row) for row in self._database.execute(f"{_BINDINGS} {where}", parameters)]

    def revisions(self, identities: Collection[str] | None) -> list[RevisionRow]:
        where, parameters = _among("identity", identities)
        return [RevisionRow(*row) for row in self._database.execute(_REVISIONS.format(where), parameters)]

    def deleted(self, name: str) -> list[str]:
        return [str(each) for (each,) in self._database.execute(_DELETED, (name,))]

    def secrets(self, connectors: Collection[int] | None) -> list[SecretRow]:
        where, parameters = _among("connector", connectors)
        rows = self._database.execute(f"SELECT connector, field, {SEALED} FROM secret {where}", parameters)
        return [SecretRow(connector, field, Sealed(*sealed)) for connector, field, *sealed in rows]

    def names_with_old_form(self) -> list[str]:
        return self._texts("SELECT name FROM connector WHERE id IN (SELECT connector FROM secret WHERE form = 1)")

    def keys_used(self, *, old_form: bool | None = None) -> frozenset[str]:
        condition = "true" if old_form is None else "form = 1" if old_form else "form <> 1"
        if old_form is None:
            # All secrets are only gone through when there is more than one key.
            lowest, highest = (_one(self._database, f"SELECT {end}(key_id) FROM secret") for end in ("min", "max"))
            if lowest == highest:
                return frozenset([lowest] if lowest else [])
        rows = self._database.execute(f"SELECT DISTINCT key_id FROM secret WHERE {condition}")
        return frozenset(key_id for (key_id,) in rows)

    def marks(self) -> dict[str, Mark]:
        rows = self._database.execute("SELECT key_id, old_form_keys, mac FROM sealing_mark")
        return {key_id: Mark(*map(str, mark)) for key_id, *mark in rows}

    def written_file(self, path: str) -> tuple[str, str] | None:
        query = "SELECT key_id, fingerprint FROM written_file WHERE path = ?"
        row = self._database.execute(query, (path,)).fetchone()
        return (str(row[0]), str(row[1])) if row else None

    def written_files(self) -> list[tuple[str, str, str]]:
        rows = self._database.execute("SELECT path, key_id, fingerprint FROM written_file ORDER BY path")
        return [(str(path), str(key_id), str(fingerprint)) for path, key_id, fingerprint in rows]

    def applications(self, connectors: Collection[str] | None) -> list[ApplicationRow]:
        where, parameters = _among("connector", connectors)
        query = f"SELECT {APPLICATION} FROM application {where} ORDER BY app, host, place"
        return [ApplicationRow(*row) for row in self._database.execute(query, parameters)]

    def application(self, app: str, host: str, place: str) -> ApplicationRow | None:
        query = f"SELECT {APPLICATION} FROM application WHERE app = ? AND host = ? AND place = ?"
        row = self._database.execute(query, (app, host, place)).fetchone()
        return ApplicationRow(*row) if row else None

    def health(self, connectors: Collection[str] | None) -> list[HealthRow]:
        where, parameters = _among("name", connectors)
        query = f"SELECT name, {HEALTH} FROM health JOIN connector ON connector.id = connector {where}"
        return [HealthRow(*row) for row in self._database.execute(query, parameters)]

    def runs(self, connectors: Collection[str] | None) -> list[RunRow]:
        where, parameters = _among("name", connectors)
        query = f"""
            SELECT name, {RUN} FROM test_run JOIN connector ON connector.id = connector {where}
            ORDER BY connector, number
        """
        return [RunRow(*row) for row in self._database.execute(query, parameters)]

    def _texts(self, query: str) -> list[str]:
        return [each for (each,) in self._database.execute(query) if isinstance(each, str)]


def _one(database: sqlite3.Connection, query: str, parameters: Sequence[Any] = ()) -> Any:
    row = database.execute(query, parameters).fetchone()
    return row[0] if row else None


def _among(column: str, values: Iterable[Any] | None) -> tuple[str, tuple[str, ...]]:
    if values is None:
        return "", ()
    return f"WHERE {column} IN (SELECT value FROM json_each(?))", (json.dumps(list(values)),)
