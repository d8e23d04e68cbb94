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
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from typing import Any

from .._connector.plan import Change, Plan
from .._connector.secret import Secret
from .._connector.state import Connector, Damage, Proof, Purpose, State, Wanted
from .._errors import RegistryError
from . import schema
from .interface import Migration, Reader, Registry, Writer
from .key_source import KeySource
from .rows import MOST_CHARACTERS, ConnectorRow, read_connector, read_purpose_row, read_revision, read_secret_row
from .sealing import OLD_FORM, Mark, Sealed
from .sqlite_file import SqliteFile, harden
from .vault import Holdings, StoredSecret, Vault

_COLUMNS = ", ".join(
    f"CASE WHEN length({column}) <= {MOST_CHARACTERS} THEN {column} END" if column in ("settings", "preset") else column
    for column in ConnectorRow._fields
)
_SEALED = ", ".join(Sealed._fields)


class SqliteRegistry(Registry):
    """A registry in the file at `path`."""

    def __init__(self, path: str, keys: KeySource) -> None:
        self._file = SqliteFile(path)
        self._keys = keys

    def exists(self) -> bool:
        return self._file.exists()

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        with self._file.reading() as database:
            version = self._version(database) if database else 0
            if database and version == len(schema.MIGRATIONS):
                yield _SqliteReader(database, self._keys)
            else:
                with _migrated_copy(database, version) as copy:
                    yield _SqliteReader(copy, self._keys)

    @contextmanager
    def writing(self) -> Iterator[Writer]:
        with self._file.writing() as database:
            _migrate(database, self._version(database))
            writer = _SqliteWriter(database, self._keys)
            yield writer
            writer.migrate()

    def check_writable(self, *, seals: bool = False) -> None:
        self._file.check_writable()
        if seals and self._keys.ring() is None:
            self._keys.check_can_make()

    def alone(self) -> AbstractContextManager[None]:
        return self._file.alone()

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


def _one(database: sqlite3.Connection, query: str, parameters: Sequence[Any] = ()) -> Any:
    row = database.execute(query, parameters).fetchone()
    return row[0] if row else None


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


class _SqliteReader(Reader):
    """A look at the tables within one transaction."""

    def __init__(self, database: sqlite3.Connection, keys: KeySource) -> None:
        self._database = database
        self._vault = Vault(keys, self._holdings())
        self._stored: dict[str, StoredSecret] = {}

    def load(self, wanted: Wanted) -> State:
        # Only one row can be 1, as the index sees to; the first term is there for that index.
        default = _one(self._database, "SELECT name FROM connector WHERE is_default AND is_default = 1")
        default = default if isinstance(default, str) else None
        asked, lost = self._asked_bindings(wanted)
        names = None if wanted.names is None else wanted.names | {*asked.values()} | ({default} if default else set())
        connectors, damaged = self._connectors(names)
        ids = [each.id for found in (connectors, damaged) for each in found.values()]
        return State(
            connectors=connectors,
            damaged=damaged,
            lost=lost,
            default=default if default in connectors or default in damaged else None,
            bindings={**asked, **self._bindings_of(ids)},
            others_enabled=names is not None and self._others_enabled(names),
            all_names=lambda: self._texts("SELECT name FROM connector ORDER BY name"),
        )

    def purpose_names(self) -> list[str]:
        return self._texts("SELECT DISTINCT name FROM purpose ORDER BY name")

    def is_same_secret(self, token: str, secret: Secret) -> bool:
        return self._vault.is_same(self._stored[token], secret)

    def is_foreign(self, token: str) -> bool:
        return self._vault.is_foreign(self._stored[token])

    def open_secret(self, token: str) -> Secret:
        return self._vault.open(self._stored[token])

    def check_sealing(self, plan: Plan) -> None:
        if plan.has_new_secrets:
            self._vault.check_sealing(self._used_keys())
        for token in plan.redirected:
            self._vault.check_rebinding(self._stored[token])
        if self.needs_resealing():
            dropped = plan.dropped
            for token, stored in self._all_stored().items():
                if token not in dropped:
                    self._vault.check_resealing(stored)

    def migration(self) -> Migration:
        waiting = self._in_old_form()
        can_migrate = waiting and self._vault.has_key_of(self._used_keys()) and self._vault.has_library()
        found = Migration([], [], self._not_rotated())
        for stored in waiting:
            is_due = can_migrate and self._vault.migrated(stored)
            (found.due if is_due else found.put_off).append(str(stored))
        return found

    def needs_resealing(self) -> bool:
        used = self._used_keys()
        ring = self._vault.ring() if used else None
        return ring is not None and bool(used - {ring.sealing_key_id}) and used <= ring.key_ids

    def _not_rotated(self) -> list[str]:
        used = self._used_keys()
        ring = self._vault.ring() if used else None
        if ring is None or len(ring.key_ids) < 2 or used <= ring.key_ids:
            return []
        return [str(each) for each in self._all_stored().values() if each.sealed.key_id not in ring.key_ids]

    def history(self, connectors: Sequence[Connector]) -> dict[str, list[dict[str, Any]]]:
        names = {connector.id: connector.name for connector in connectors}
        revisions: dict[str, list[dict[str, Any]]] = {name: [] for name in names.values()}
        rows = self._database.execute(
            "SELECT connector, revision, at, actor, before, after FROM revision"
            " WHERE connector IN (SELECT value FROM json_each(?)) ORDER BY connector, revision",
            (json.dumps(list(names)),),
        )
        for connector, *entry in rows:
            revisions[names[connector]].append(read_revision(entry))
        return revisions

    def registry_id(self) -> str:
        rows = self._database.execute("SELECT id FROM registry LIMIT 2").fetchall()
        if len(rows) != 1 or not _REGISTRY_ID.match(str(rows[0][0])):
            raise RegistryError("The registry's own id is damaged: put back a copy of the registry.")
        return str(rows[0][0])

    def wrote_file(self, path: str, content: Secret) -> bool:
        query = "SELECT key_id, fingerprint FROM written_file WHERE path = ?"
        record = self._database.execute(query, (path,)).fetchone()
        ring = self._vault.ring() if record else None
        return ring is not None and ring.is_file(path, content, *map(str, record))

    def _texts(self, query: str) -> list[str]:
        return [each for (each,) in self._database.execute(query) if isinstance(each, str)]

    def _connectors(self, names: Iterable[str] | None) -> tuple[dict[str, Connector], dict[str, Damage]]:
        where, parameters = _among("name", names)
        query = f"SELECT {_COLUMNS} FROM connector {where} ORDER BY name"
        rows = [ConnectorRow(*row) for row in self._database.execute(query, parameters)]
        secrets = self._secrets(None if names is None else [row.id for row in rows])
        connectors: dict[str, Connector] = {}
        damaged: dict[str, Damage] = {}
        for row in rows:
            sealed = secrets.get(row.id, {})
            tokens = {
                path: f"{row.id} {path} {' '.join(map(str, each))}" if each else None for path, each in sealed.items()
            }
            found = read_connector(row, tokens)
            if isinstance(found, Damage):
                damaged[found.name] = found
                continue
            connectors[found.name] = found
            for path, token in found.secrets.items():
                self._stored[str(token)] = StoredSecret(found, row.identity, path, sealed[path] or Sealed("", "", ""))
        return connectors, damaged

    def _secrets(self, ids: Iterable[int] | None) -> dict[int, dict[str, Sealed | None]]:
        where, parameters = _among("connector", ids)
        rows = self._database.execute(f"SELECT connector, field, {_SEALED} FROM secret {where}", parameters)
        found: dict[int, dict[str, Sealed | None]] = {}
        for connector, field, *sealed in rows:
            found.setdefault(connector, {})[field] = read_secret_row(sealed)
        return found

    def _all_stored(self) -> dict[str, StoredSecret]:
        tokens = (str(token) for each in self._connectors(None)[0].values() for token in each.secrets.values())
        return {token: self._stored[token] for token in tokens}

    def _in_old_form(self) -> list[StoredSecret]:
        query = "SELECT name FROM connector WHERE id IN (SELECT connector FROM secret WHERE form = 1)"
        connectors, _damaged = self._connectors([str(name) for (name,) in self._database.execute(query)])
        tokens = (token for connector in connectors.values() for token in connector.secrets.values())
        stored = (self._stored[str(token)] for token in tokens)
        return [each for each in stored if each.sealed.form == OLD_FORM]

    def _holdings(self) -> Holdings:
        rows = self._database.execute("SELECT key_id, old_form_keys, mac FROM sealing_mark")
        marks = {key_id: Mark(*map(str, mark)) for key_id, *mark in rows}
        in_new_form = self._keys_where("form <> 1") if self._keys_where("form = 1") else frozenset()
        return Holdings(self.registry_id(), in_new_form, marks)

    def _keys_where(self, condition: str) -> frozenset[str]:
        rows = self._database.execute(f"SELECT DISTINCT key_id FROM secret WHERE {condition}")
        return frozenset(key_id for (key_id,) in rows)

    def _asked_bindings(self, wanted: Wanted) -> tuple[dict[Purpose, str], frozenset[Purpose]]:
        """The bindings asked for, and the purposes of those that lead nowhere."""
        if wanted.purposes is None:
            found = _bindings(self._database.execute(_BINDINGS))
        else:
            found = {}
            for purpose in wanted.purposes:
                query = f"{_BINDINGS} WHERE purpose.name = ? AND tenant = ?"
                found.update(_bindings(self._database.execute(query, purpose)))
        lost = frozenset(purpose for purpose, connector in found.items() if connector is None)
        return {purpose: connector for purpose, connector in found.items() if connector is not None}, lost

    def _bindings_of(self, ids: Iterable[int | None]) -> dict[Purpose, str]:
        where, parameters = _among("connector", ids)
        found = _bindings(self._database.execute(f"{_BINDINGS} {where}", parameters))
        return {purpose: connector for purpose, connector in found.items() if connector is not None}

    def _others_enabled(self, names: Iterable[str]) -> bool:
        query = "SELECT 1 FROM connector WHERE enabled AND name NOT IN (SELECT value FROM json_each(?)) LIMIT 1"
        return _one(self._database, query, (json.dumps(list(names)),)) is not None

    def _used_keys(self) -> frozenset[str]:
        """The keys in use. All secrets are only gone through when there is more than one."""
        lowest, highest = (_one(self._database, f"SELECT {end}(key_id) FROM secret") for end in ("min", "max"))
        if lowest == highest:
            return frozenset([lowest] if lowest else [])
        return self._keys_where("true")


class _SqliteWriter(_SqliteReader, Writer):
    """The tables within a transaction that holds the write lock."""

    def apply(self, plan: Plan) -> None:
        if plan.has_new_secrets:
            self._vault.make_key(self._used_keys())
        if plan.default_moves:
            self._database.execute("UPDATE connector SET is_default = 0 WHERE is_default")
        self._database.executemany("DELETE FROM purpose WHERE name = ? AND tenant = ?", plan.unbound)
        for change in plan.changes:
            if change.after:
                self._write(change, change.after)
        self._bind(plan.bound)
        made_anew = any(change.replaces is not None and change.name == plan.after.default for change in plan.changes)
        if plan.after.default and (plan.default_moves or made_anew):
            self._database.execute("UPDATE connector SET is_default = 1 WHERE name = ?", (plan.after.default,))
        for change in plan.changes:
            if change.before and not change.after:
                # The plan saw to those that it knows of; what is left is damaged.
                self._database.execute("DELETE FROM purpose WHERE connector = ?", (change.before.id,))
                self._database.execute("DELETE FROM connector WHERE id = ?", (change.before.id,))

    def prove(self, connector: Connector, proof: Proof) -> None:
        self._database.execute(_PROVE, {**proof._asdict(), "id": connector.id})

    def reseal(self) -> None:
        for stored in self._all_stored().values():
            self._keep_secret(stored.connector.id, stored.field, self._vault.resealed(stored))

    def migrate(self) -> None:
        """Seal anew what an earlier release has sealed, as far as the keys are there, and end the old form."""
        if not self._vault.has_key_of(self._used_keys()):
            return
        waiting = self._in_old_form()
        if waiting and not self._vault.has_library():
            return
        for stored in waiting:
            self._keep_secret(stored.connector.id, stored.field, self._vault.migrated(stored))
        marks = self._vault.new_marks(self._keys_where("form = 1"))
        self._database.executemany(
            "INSERT OR REPLACE INTO sealing_mark VALUES (?, ?, ?)", [(key_id, *mark) for key_id, mark in marks.items()]
        )

    def record_file(self, path: str, content: Secret) -> None:
        self.forget_file(path)
        ring = self._vault.ring()
        if ring:
            row = (path, *ring.file_fingerprint(path, content))
            self._database.execute("INSERT INTO written_file VALUES (?, ?, ?)", row)

    def forget_file(self, path: str) -> None:
        self._database.execute("DELETE FROM written_file WHERE path = ?", (path,))

    def _write(self, change: Change, after: Connector) -> None:
        row = _row(after)
        if change.before is None:
            connector = self._insert({**row, "identity": os.urandom(16).hex()}, change.replaces)
        else:
            connector = change.before.id
            self._database.execute(_UPDATE, {**row, "id": connector})
        self._write_secrets(int(connector or 0), change.before, after)
        before, now = (json.dumps(side) for side in change.difference)
        stamp = after.updated
        self._database.execute(
            "INSERT INTO revision VALUES (?, ?, ?, ?, ?, ?)",
            (connector, after.revision, stamp.at, stamp.by, before, now),
        )

    def _insert(self, row: Mapping[str, Any], replaces: int | None) -> int | None:
        """A new connector; it takes over the purposes of the damaged one that it replaces."""
        if replaces is None:
            return self._database.execute(_INSERT, row).lastrowid
        self._database.execute("UPDATE connector SET name = hex(randomblob(16)) WHERE id = ?", (replaces,))
        connector = self._database.execute(_INSERT, row).lastrowid
        self._database.execute("UPDATE purpose SET connector = ? WHERE connector = ?", (connector, replaces))
        self._database.execute("DELETE FROM connector WHERE id = ?", (replaces,))
        return connector

    def _write_secrets(self, connector: int, before: Connector | None, after: Connector) -> None:
        for field in set(before.secrets if before else ()) - set(after.secrets):
            self._database.execute("DELETE FROM secret WHERE connector = ? AND field = ?", (connector, field))
        identity = str(_one(self._database, "SELECT identity FROM connector WHERE id = ?", (connector,)))
        for field, secret in after.secrets.items():
            binding = self._vault.binding_of(identity, field, after)
            if isinstance(secret, Secret):
                self._keep_secret(connector, field, self._vault.seal(secret, binding))
            else:
                self._keep_secret(connector, field, self._vault.rebound(self._stored[secret], binding))

    def _keep_secret(self, connector: int | None, field: str, sealed: Sealed | None) -> None:
        """Keep a secret as it is sealed anew, if it is."""
        if sealed:
            row = (connector, field, *sealed)
            self._database.execute(
                f"INSERT OR REPLACE INTO secret (connector, field, {_SEALED}) VALUES (?{', ?' * 6})", row
            )

    def _bind(self, bound: Mapping[Purpose, str]) -> None:
        self._database.executemany(
            "INSERT OR REPLACE INTO purpose SELECT ?, ?, id FROM connector WHERE name = ?",
            [(purpose.name, purpose.tenant, connector) for purpose, connector in bound.items()],
        )


_REGISTRY_ID = re.compile(r"[0-9a-f]{32}\Z")
_BINDINGS = "SELECT purpose.name, tenant, connector.name FROM purpose LEFT JOIN connector ON connector.id = connector"
_INSERT = """
    INSERT INTO connector (identity, name, enabled, settings, preset, revision, sending_revision, created_at,
        created_by, updated_at, updated_by, proven_revision, proven_at, proven_to)
    VALUES (:identity, :name, :enabled, :settings, :preset, :revision, :sending_revision, :created_at,
        :created_by, :updated_at, :updated_by, :proven_revision, :proven_at, :proven_to)
"""
_UPDATE = """
    UPDATE connector SET name = :name, enabled = :enabled, settings = :settings, preset = :preset,
        revision = :revision, sending_revision = :sending_revision, updated_at = :updated_at, updated_by = :updated_by
    WHERE id = :id
"""
_PROVE = """
    UPDATE connector SET proven_revision = :revision, proven_at = :at, proven_to = :to
    WHERE id = :id AND coalesce(proven_revision, 0) <= :revision
"""


def _among(column: str, values: Iterable[Any] | None) -> tuple[str, tuple[str, ...]]:
    if values is None:
        return "", ()
    return f"WHERE {column} IN (SELECT value FROM json_each(?))", (json.dumps(list(values)),)


def _bindings(rows: Iterable[Sequence[Any]]) -> dict[Purpose, str | None]:
    """The purposes with the names of their connectors, None where there is no such connector."""
    return dict(filter(None, map(read_purpose_row, rows)))


def _row(connector: Connector) -> dict[str, Any]:
    proof = connector.proof or Proof(None, None, None)  # type: ignore[arg-type]
    return {
        "name": connector.name,
        "enabled": connector.enabled,
        "settings": json.dumps(connector.settings),
        "preset": json.dumps(connector.preset),
        "revision": connector.revision,
        "sending_revision": connector.sending_revision,
        "created_at": connector.created.at,
        "created_by": connector.created.by,
        "updated_at": connector.updated.at,
        "updated_by": connector.updated.by,
        "proven_revision": proof.revision,
        "proven_at": proof.at,
        "proven_to": proof.to,
    }
