# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The embedded registry: one SQLite file.

A rollback journal, not WAL: a task is one short process with one transaction, so that readers seldom
meet a writer, and the registry stays one file that can be copied, also on a network file system.
`synchronous = EXTRA` makes a commit outlast a power failure, since the folder is synced as well.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Any

from .._connector.plan import Change, Plan
from .._connector.secret import Secret
from .._connector.state import Connector, Proof, Purpose, Stamp, State, Wanted
from .._errors import RegistryError
from . import schema
from .interface import Migration, Reader, Registry, Writer
from .key_source import KeySource
from .sealing import OLD_FORM, Mark, Sealed
from .vault import Holdings, StoredSecret, Vault

WAIT_SECONDS = 120

_PLAIN = frozenset(range(33, 127)) - frozenset(b"%?#")
_COLUMNS = (
    "identity, id, name, settings, preset, revision, sending_revision, created_at, created_by, updated_at, updated_by,"
    " proven_revision, proven_at, proven_to"
)
_SEALED = ", ".join(Sealed._fields)


class SqliteRegistry(Registry):
    """A registry in the file at `path`."""

    def __init__(self, path: str, keys: KeySource) -> None:
        if "\0" in path:
            raise RegistryError("registry must be a path without NUL characters.")
        self._path = os.path.abspath(path)
        self._keys = keys

    def exists(self) -> bool:
        # Never opened here: closing it would end the locks that this process holds on it.
        try:
            status = os.stat(self._path)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise RegistryError(f"The registry {self._path} cannot be read: {error.strerror}.") from None
        if not stat.S_ISREG(status.st_mode):
            kind = "Is a directory" if stat.S_ISDIR(status.st_mode) else "Is not a file"
            raise RegistryError(f"The registry {self._path} cannot be read: {kind}.")
        if not os.access(self._path, os.R_OK):
            raise RegistryError(f"The registry {self._path} cannot be read: Permission denied.")
        return status.st_size > 0

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        with self._told_plainly("read"):
            if not self.exists():
                with _migrated_copy(None) as empty:
                    yield _SqliteReader(empty, self._keys)
                return
            writable = os.access(self._path, os.W_OK) and os.access(os.path.dirname(self._path), os.W_OK)
            with closing(self._connect("rw" if writable else "ro")) as database:
                database.execute("BEGIN")
                if self._version(database) < len(schema.MIGRATIONS):
                    with _migrated_copy(database) as migrated:
                        yield _SqliteReader(migrated, self._keys)
                else:
                    yield _SqliteReader(database, self._keys)

    @contextmanager
    def writing(self) -> Iterator[Writer]:
        with self._told_plainly("changed"):
            self._make_file()
            with closing(self._connect("rw")) as database:
                database.execute("PRAGMA synchronous = EXTRA")
                database.execute("PRAGMA foreign_keys = ON")
                database.execute("BEGIN IMMEDIATE")
                try:
                    _migrate(database, self._version(database))
                    writer = _SqliteWriter(database, self._keys)
                    yield writer
                    writer.migrate()
                    database.execute("COMMIT")
                except BaseException:
                    if database.in_transaction:
                        database.execute("ROLLBACK")
                    raise

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Its folder is locked: to open and close the registry's own file would give away the locks on it."""
        folder = os.path.dirname(self._path)
        try:
            held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise RegistryError(f"The folder {folder} cannot be locked: {error.strerror}.") from None
        try:
            fcntl.flock(held, fcntl.LOCK_EX)
            yield
        finally:
            os.close(held)

    def _connect(self, mode: str) -> sqlite3.Connection:
        quoted = "".join(chr(octet) if octet in _PLAIN else f"%{octet:02x}" for octet in os.fsencode(self._path))
        uri = f"file:{quoted}?mode={mode}"
        return sqlite3.connect(uri, uri=True, timeout=WAIT_SECONDS, isolation_level=None)

    def _make_file(self) -> None:
        try:
            _make_folder(os.path.dirname(self._path))
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise RegistryError(f"The registry {self._path} cannot be changed: {error.strerror}.") from None

    def _version(self, database: sqlite3.Connection) -> int:
        version = int(_one(database, "PRAGMA user_version"))
        if os.stat(self._path).st_size and _one(database, "PRAGMA application_id") != schema.APPLICATION_ID:
            raise RegistryError(f"{self._path} is a database, but not a registry of mailroom.core.")
        if version > len(schema.MIGRATIONS):
            raise RegistryError(
                f"The registry {self._path} was written by a newer version of mailroom.core (its schema is {version},"
                f" this one knows {len(schema.MIGRATIONS)}): upgrade the collection."
            )
        return version

    @contextmanager
    def _told_plainly(self, verb: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise RegistryError(f"The registry {self._path} cannot be {verb}: {_reason(error)}.") from None


def _make_folder(folder: str) -> None:
    """Make a folder, and those above it that are missing, for their owner alone."""
    if not os.path.lexists(folder):
        _make_folder(os.path.dirname(folder))
        with suppress(FileExistsError):
            os.mkdir(folder, 0o700)


_REASONS = {
    "not a database": "the file is no registry",
    "malformed": "the file is damaged; put back a copy",
    "locked": f"another task has held it for {WAIT_SECONDS} seconds",
    "full": "the disk is full",
    "unable to open": "no journal can be made beside it; its folder may be full or not writable",
    "readonly": "it is read-only for this user, or on a read-only file system",
}


def _reason(error: sqlite3.DatabaseError) -> str:
    text = str(error)
    return next((reason for sign, reason in _REASONS.items() if sign in text), text)


def _one(database: sqlite3.Connection, query: str, parameters: Sequence[Any] = ()) -> Any:
    row = database.execute(query, parameters).fetchone()
    return row[0] if row else None


@contextmanager
def _migrated_copy(database: sqlite3.Connection | None) -> Iterator[sqlite3.Connection]:
    """A copy in memory with today's schema, for those who only read."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as copy:
        if database is not None:
            database.backup(copy)
        _migrate(copy, int(_one(copy, "PRAGMA user_version")))
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
        default = _one(self._database, "SELECT name FROM connector WHERE is_default")
        asked = self._asked_bindings(wanted)
        names = None if wanted.names is None else wanted.names | {*asked.values()} | ({default} if default else set())
        connectors = self._connectors(names)
        return State(
            connectors=connectors,
            default=default,
            bindings={**asked, **self._bindings_of(connectors)},
            others_enabled=names is not None and self._others_enabled(names),
        )

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
        found = Migration([], [])
        for stored in waiting:
            is_due = can_migrate and self._vault.migrated(stored)
            (found.due if is_due else found.put_off).append(str(stored))
        return found

    def needs_resealing(self) -> bool:
        used = self._used_keys()
        ring = self._vault.ring() if used else None
        return ring is not None and bool(used - {ring.sealing_key_id}) and used <= ring.key_ids

    def history(self, connectors: Sequence[Connector]) -> dict[str, list[dict[str, Any]]]:
        names = {connector.id: connector.name for connector in connectors}
        revisions: dict[str, list[dict[str, Any]]] = {name: [] for name in names.values()}
        rows = self._database.execute(
            "SELECT connector, revision, at, actor, before, after FROM revision"
            " WHERE connector IN (SELECT value FROM json_each(?)) ORDER BY connector, revision",
            (json.dumps(list(names)),),
        )
        for connector, revision, at, actor, before, after in rows:
            revisions[names[connector]].append(
                {"revision": revision, "at": at, "by": actor, "before": json.loads(before), "after": json.loads(after)}
            )
        return revisions

    def registry_id(self) -> str:
        return str(_one(self._database, "SELECT id FROM registry"))

    def wrote_file(self, path: str, content: Secret) -> bool:
        query = "SELECT key_id, fingerprint FROM written_file WHERE path = ?"
        record = self._database.execute(query, (path,)).fetchone()
        ring = self._vault.ring() if record else None
        return ring is not None and ring.is_file(path, content, *record)

    def _connectors(self, names: Iterable[str] | None) -> dict[str, Connector]:
        where, parameters = _among("name", names)
        rows = self._database.execute(f"SELECT {_COLUMNS} FROM connector {where} ORDER BY name", parameters).fetchall()
        secrets = self._secrets(None if names is None else [row[1] for row in rows])
        found: dict[str, Connector] = {}
        for identity, *row in rows:
            sealed = secrets.get(row[0], {})
            tokens = {field: f"{row[0]} {field} {' '.join(map(str, each))}" for field, each in sealed.items()}
            connector = _connector(row, tokens)
            for field, token in tokens.items():
                self._stored[token] = StoredSecret(connector, identity, field, sealed[field])
            found[connector.name] = connector
        return found

    def _secrets(self, ids: Iterable[int] | None) -> dict[int, dict[str, Sealed]]:
        where, parameters = _among("connector", ids)
        rows = self._database.execute(f"SELECT connector, field, {_SEALED} FROM secret {where}", parameters)
        found: dict[int, dict[str, Sealed]] = {}
        for connector, field, *sealed in rows:
            found.setdefault(connector, {})[field] = Sealed(*sealed)
        return found

    def _all_stored(self) -> dict[str, StoredSecret]:
        tokens = (str(token) for each in self._connectors(None).values() for token in each.secrets.values())
        return {token: self._stored[token] for token in tokens}

    def _in_old_form(self) -> list[StoredSecret]:
        query = "SELECT name FROM connector WHERE id IN (SELECT connector FROM secret WHERE form = 1)"
        connectors = self._connectors([name for (name,) in self._database.execute(query)])
        tokens = (token for connector in connectors.values() for token in connector.secrets.values())
        stored = (self._stored[str(token)] for token in tokens)
        return [each for each in stored if each.sealed.form == OLD_FORM]

    def _holdings(self) -> Holdings:
        marks = self._database.execute("SELECT key_id, old_form_keys, mac FROM sealing_mark")
        in_new_form = self._keys_where("form <> 1") if self._keys_where("form = 1") else frozenset()
        return Holdings(self.registry_id(), in_new_form, {key_id: Mark(*mark) for key_id, *mark in marks})

    def _keys_where(self, condition: str) -> frozenset[str]:
        rows = self._database.execute(f"SELECT DISTINCT key_id FROM secret WHERE {condition}")
        return frozenset(key_id for (key_id,) in rows)

    def _asked_bindings(self, wanted: Wanted) -> dict[Purpose, str]:
        if wanted.purposes is None:
            return _bindings(self._database.execute(_BINDINGS))
        found: dict[Purpose, str] = {}
        for purpose in wanted.purposes:
            query = f"{_BINDINGS} WHERE purpose.name = ? AND tenant = ?"
            found.update(_bindings(self._database.execute(query, purpose)))
        return found

    def _bindings_of(self, connectors: Mapping[str, Connector]) -> dict[Purpose, str]:
        where, parameters = _among("connector", [connector.id for connector in connectors.values()])
        return _bindings(self._database.execute(f"{_BINDINGS} {where}", parameters))

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
        if plan.default_moves and plan.after.default:
            self._database.execute("UPDATE connector SET is_default = 1 WHERE name = ?", (plan.after.default,))
        for name in plan.deleted:
            self._database.execute("DELETE FROM connector WHERE name = ?", (name,))

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
            connector = self._database.execute(_INSERT, {**row, "identity": os.urandom(16).hex()}).lastrowid
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


_BINDINGS = "SELECT purpose.name, tenant, connector.name FROM purpose JOIN connector ON connector.id = connector"
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


def _bindings(rows: Iterable[Sequence[str]]) -> dict[Purpose, str]:
    return {Purpose(name, tenant): connector for name, tenant, connector in rows}


def _connector(row: Sequence[Any], secrets: Mapping[str, str]) -> Connector:
    key, name, settings, preset, revision, sending, created_at, created_by, updated_at, updated_by, *proof = row
    return Connector(
        name=name,
        settings=json.loads(settings),
        preset=json.loads(preset),
        secrets=secrets,
        revision=revision,
        sending_revision=sending,
        created=Stamp(created_at, created_by),
        updated=Stamp(updated_at, updated_by),
        proof=Proof(*proof) if proof[0] is not None else None,
        id=key,
    )


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
