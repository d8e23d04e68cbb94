# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""A registry in a PostgreSQL database: its transactions, its tables and who may use them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ..._connector.secret import Secret
from ..._errors import MissingRegistry, RegistryError, printable
from ..storage import Backend, Storage, WritableStorage
from . import schema
from .database import REASONS, Database, Transaction
from .lease import holding
from .location import parse_location
from .storage import PostgresqlStorage


class PostgresqlBackend(Backend):
    """The registry in a schema of a database."""

    name = "postgresql"

    def __init__(self, location: str, password: Secret | None) -> None:
        self._location = parse_location(location)
        self._database = Database(self._location, password)

    @property
    def shown(self) -> str:
        return self._location.shown

    def exists(self) -> bool:
        """Always: who reads one that does not exist is told so."""
        return True

    @contextmanager
    def reading(self) -> Iterator[Storage]:
        with self._database.reading() as transaction:
            yield self._storage(transaction, "SELECT id, schema_version FROM {schema}.registry")

    @contextmanager
    def writing(self) -> Iterator[WritableStorage]:
        with self._database.writing() as transaction:
            lock = "SELECT id, schema_version FROM {schema}.registry FOR NO KEY UPDATE"
            storage = self._storage(transaction, lock)
            yield storage
            storage.flush()

    def exclusive(self) -> Any:
        return holding(self._database, "init_mail")

    def check_writable(self) -> None:
        with self._database.writing() as transaction:
            self._storage(transaction, "SELECT id, schema_version FROM {schema}.registry")
            if transaction.one("SHOW transaction_read_only") == "on":
                raise RegistryError(self._database.sentence("changed", REASONS["25006"]))
            missing = self._missing_privileges(transaction, "current_user", writes=True)
            if missing:
                raise RegistryError(
                    self._database.sentence(
                        "changed",
                        f"this role may not {missing[0][1]} in {missing[0][0]}; have its owner run the module"
                        " mailroom.core.registry with grant_write",
                    )
                )

    def version(self) -> int:
        with self._database.reading() as transaction:
            return self._version(transaction)

    def setup_statements(self, readers: Sequence[str], writers: Sequence[str]) -> list[str]:
        with self._database.reading() as transaction:
            version = self._version(transaction)
            return self._statements(transaction, version, readers, writers)

    def set_up(self, readers: Sequence[str], writers: Sequence[str]) -> list[str]:
        with self._database.writing("made or migrated") as transaction:
            transaction.keeps_mark = False
            transaction.execute(schema.lock_statement(self._location.schema))
            version = self._version(transaction)
            if 0 < version < len(schema.MIGRATIONS):
                # Wait for the current writer before any table is locked.
                transaction.execute("SELECT id FROM {schema}.registry FOR UPDATE")
            statements = self._statements(transaction, version, readers, writers)
            for statement in statements:
                transaction.write(statement)
        return statements

    def _version(self, transaction: Transaction) -> int:
        """The version of the tables, 0 where there are none."""
        table = f"{schema.quote_identifier(self._location.schema)}.registry"
        if transaction.one("SELECT to_regclass(%s)", [table]) is None:
            return 0
        version = int(transaction.one("SELECT schema_version FROM {schema}.registry") or 0)
        if version > len(schema.MIGRATIONS):
            self._database.check_version(version)
        return version

    def _statements(
        self, transaction: Transaction, version: int, readers: Sequence[str], writers: Sequence[str]
    ) -> list[str]:
        """What makes or migrates the tables and grants what is missing."""
        name = self._location.schema
        statements = []
        if version == 0:
            if transaction.one("SHOW server_encoding") != "UTF8":
                raise RegistryError(self._database.sentence("made", "the encoding of the database is not UTF8"))
            if transaction.one("SELECT 1 FROM pg_namespace WHERE nspname = %s", [name]) is None:
                statements.append(f"CREATE SCHEMA {schema.quote_identifier(name)}")
        statements += schema.migration_statements(name, version)
        is_new = bool(statements)
        if 0 < version < len(schema.MIGRATIONS):
            statements += self._grants_on_new_tables(transaction)
        for roles, writes in ((readers, False), (writers, True)):
            for role in roles:
                if transaction.one("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]) is None:
                    raise RegistryError(self._database.sentence("granted", f"there is no role {printable(role)}"))
                wanted = (
                    schema.privileges(writes=writes)
                    if is_new
                    else self._missing_privileges(transaction, "%s", [role], writes=writes)
                )
                statements += schema.grant_statements(name, role, wanted)
        return statements

    def _grants_on_new_tables(self, transaction: Transaction) -> list[str]:
        """What lets those who could read or write before also use the tables that are made now."""
        name = self._location.schema
        statements = []
        for held, writes in (("SELECT", False), ("INSERT", True)):
            wanted = schema.privileges(writes=writes)
            tables = {table for table, _privilege in wanted} - {schema.SCHEMA_ITSELF, schema.WRITER_LOCK}
            new_tables = {
                table
                for table in tables
                if transaction.one("SELECT to_regclass(%s)", [f"{schema.quote_identifier(name)}.{table}"]) is None
            }
            grants = [each for each in wanted if each[0] in new_tables]
            holders = transaction.execute(
                "SELECT DISTINCT rolname FROM pg_class, aclexplode(relacl) JOIN pg_roles ON pg_roles.oid = grantee"
                " WHERE pg_class.oid = to_regclass(%s) AND privilege_type = %s AND grantee <> relowner ORDER BY 1",
                [f"{schema.quote_identifier(name)}.secret", held],
            ).fetchall()
            for (role,) in holders if grants else ():
                statements += schema.grant_statements(name, role, grants)
        return statements

    def _missing_privileges(
        self, transaction: Transaction, role: str, values: Sequence[str] = (), *, writes: bool
    ) -> list[tuple[str, str]]:
        """What a role lacks: each privilege, and what on."""
        name = schema.quote_identifier(self._location.schema)
        checks, wanted = [], schema.privileges(writes=writes)
        for table, privilege in wanted:
            if table == schema.SCHEMA_ITSELF:
                checks.append(f"has_schema_privilege({role}, '{self._location.schema}', '{privilege}')")
            elif table == schema.WRITER_LOCK:
                checks.append(f"has_column_privilege({role}, '{name}.registry', 'turn', '{privilege}')")
            else:
                checks.append(f"has_table_privilege({role}, '{name}.{table}', '{privilege}')")
        row = transaction.execute(f"SELECT {', '.join(checks)}", [*values] * len(checks)).fetchone()
        return [each for each, is_there in zip(wanted, row) if not is_there]

    def _storage(self, transaction: Transaction, query: str) -> PostgresqlStorage:
        row = transaction.execute(query).fetchone()
        if row is None:
            raise MissingRegistry(self._database.no_tables())
        self._database.check_version(row[1])
        return PostgresqlStorage(transaction, row[0])
