# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""What is written to the tables of the SQLite registry."""

from __future__ import annotations

from ..._connector.records import MOST_RUNS
from ..._connector.state import Proof, Purpose
from ..sealing import Mark
from ..storage import ApplicationRow, ConnectorRow, HealthRow, RevisionRow, RunRow, SecretRow, WritableStorage
from .storage import APPLICATION, HEALTH, RUN, SEALED, SqliteStorage

_WRITTEN = [column for column in ConnectorRow._fields if column not in ("id", "is_default")]
_INSERT = f"INSERT INTO connector ({', '.join(_WRITTEN)}) VALUES ({', '.join(f':{column}' for column in _WRITTEN)})"
_UPDATE = """
    UPDATE connector SET name = :name, enabled = :enabled, settings = :settings, preset = :preset,
        revision = :revision, sending_revision = :sending_revision, updated_at = :updated_at, updated_by = :updated_by
    WHERE id = :id
"""
_PROVE = """
    UPDATE connector SET proven_revision = :revision, proven_at = :at, proven_to = :to
    WHERE identity = :identity AND coalesce(proven_revision, 0) <= :revision
"""


class SqliteWriter(SqliteStorage, WritableStorage):
    """The tables within a transaction that changes them."""

    def set_registry_id(self, registry_id: str) -> None:
        self._database.execute("UPDATE registry SET id = ?", (registry_id,))

    def insert_connector(self, row: ConnectorRow, *, replaces: int | None) -> int:
        if replaces is not None:
            self._database.execute("UPDATE connector SET name = hex(randomblob(16)) WHERE id = ?", (replaces,))
        connector = int(self._database.execute(_INSERT, row._asdict()).lastrowid or 0)
        if replaces is not None:
            self._database.execute("UPDATE purpose SET connector = ? WHERE connector = ?", (connector, replaces))
            self._database.execute("DELETE FROM connector WHERE id = ?", (replaces,))
        return connector

    def update_connector(self, row: ConnectorRow) -> None:
        self._database.execute(_UPDATE, row._asdict())

    def delete_connector(self, connector: int) -> None:
        self._database.execute("DELETE FROM purpose WHERE connector = ?", (connector,))
        self._database.execute("DELETE FROM connector WHERE id = ?", (connector,))

    def set_default(self, connector: int | None) -> None:
        self._database.execute("UPDATE connector SET is_default = 0 WHERE is_default")
        if connector is not None:
            self._database.execute("UPDATE connector SET is_default = 1 WHERE id = ?", (connector,))

    def bind(self, purpose: Purpose, connector: int) -> None:
        self._database.execute("INSERT OR REPLACE INTO purpose VALUES (?, ?, ?)", (*purpose, connector))

    def unbind(self, purpose: Purpose) -> None:
        self._database.execute("DELETE FROM purpose WHERE name = ? AND tenant = ?", purpose)

    def add_revision(self, row: RevisionRow) -> None:
        statement = (
            "INSERT INTO revision (identity, revision, at, actor, before, after, name) VALUES (?, ?, ?, ?, ?, ?, ?)"
        )
        self._database.execute(statement, row[:7])

    def record_proof(self, identity: str, proof: Proof) -> None:
        self._database.execute(_PROVE, {**proof._asdict(), "identity": identity})

    def write_secret(self, row: SecretRow) -> None:
        statement = f"INSERT OR REPLACE INTO secret (connector, field, {SEALED}) VALUES (?{', ?' * 6})"
        self._database.execute(statement, (row.connector, row.field, *row.sealed))

    def delete_secret(self, connector: int, field: str) -> None:
        self._database.execute("DELETE FROM secret WHERE connector = ? AND field = ?", (connector, field))

    def write_mark(self, key_id: str, mark: Mark) -> None:
        self._database.execute("INSERT OR REPLACE INTO sealing_mark VALUES (?, ?, ?)", (key_id, *mark))

    def write_file(self, path: str, key_id: str, fingerprint: str) -> None:
        self._database.execute("INSERT OR REPLACE INTO written_file VALUES (?, ?, ?)", (path, key_id, fingerprint))

    def forget_file(self, path: str) -> None:
        self._database.execute("DELETE FROM written_file WHERE path = ?", (path,))

    def write_application(self, row: ApplicationRow) -> None:
        self._database.execute(f"INSERT OR REPLACE INTO application ({APPLICATION}) VALUES (?{', ?' * 12})", row)

    def delete_application(self, app: str, host: str, place: str) -> None:
        statement = "DELETE FROM application WHERE app = ? AND host = ? AND place = ?"
        self._database.execute(statement, (app, host, place))

    def rename_applications(self, before: str, after: str) -> None:
        self._database.execute("UPDATE application SET connector = ? WHERE connector = ?", (after, before))

    def write_health(self, row: HealthRow, *, is_news: bool) -> None:  # noqa: ARG002  nobody listens to a file
        values = ", ".join(f":{column}" for column in HealthRow._fields[1:])
        statement = f"""
            INSERT OR REPLACE INTO health (connector, {HEALTH})
            SELECT id, {values} FROM connector WHERE name = :connector
        """
        self._database.execute(statement, row._asdict())

    def add_run(self, row: RunRow) -> None:
        values = ", ".join(f":{column}" for column in RunRow._fields[1:])
        last = "(SELECT coalesce(max(number), 0) FROM test_run WHERE test_run.connector = connector.id)"
        statement = f"""
            INSERT INTO test_run (connector, number, {RUN})
            SELECT id, {last} + 1, {values} FROM connector WHERE name = :connector
        """
        self._database.execute(statement, row._asdict())
        trim = f"""
            DELETE FROM test_run WHERE (connector, number) IN (
                SELECT id, number FROM connector JOIN test_run ON test_run.connector = connector.id
                WHERE name = ? AND number <= {last} - {MOST_RUNS}
            )
        """
        self._database.execute(trim, (row.connector,))
