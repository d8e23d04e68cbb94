# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The shared registry: tables in a schema of a PostgreSQL database.

Writers lock the one row of the table `registry` until their transaction ends, so that one writes at a time; readers do
not wait. What is written is collected and sent many rows at a time, before the next query and before the end.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ..._connector.records import MOST_RUNS
from ..._connector.state import Proof, Purpose
from ..sealing import Mark, Sealed
from ..storage import (
    MOST_CHARACTERS,
    ApplicationRow,
    BindingRow,
    ConnectorRow,
    HealthRow,
    RevisionRow,
    RunRow,
    SecretRow,
    WritableStorage,
)
from .database import Transaction

CHANNEL = "mailroom"

_TIMES = ("created_at", "updated_at", "proven_at", "written_at", "since", "checked_at", "last_ok_at", "expires", "at")
_DOCUMENTS = ("settings", "preset")


def _time(column: str) -> str:
    return f"""to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')"""


def _selected(column: str) -> str:
    if column in _DOCUMENTS:
        return f"CASE WHEN length({column}::text) <= {MOST_CHARACTERS} THEN {column}::text END"
    return _time(column) if column in _TIMES else column


_COLUMNS = ", ".join(map(_selected, ConnectorRow._fields))
_SEALED = ", ".join(Sealed._fields)
_TOKEN = "translate(encode(token, 'base64'), '+/' || chr(10), '-_')"
_SECRET = "connector, field, " + ", ".join(_TOKEN if column == "token" else column for column in Sealed._fields)
_BINDING = "purpose.name, tenant, connector.name"
_BINDINGS = "{schema}.purpose LEFT JOIN {schema}.connector ON connector.id = connector"
_REVISION = f"identity, revision, {_time('at')}, actor, before::text, after::text, name"
_TESTED = "{{schema}}.{} JOIN {{schema}}.connector ON connector.id = connector"
_DELETED = """
    SELECT identity FROM {schema}.revision AS last
    WHERE name = %s AND NOT EXISTS (SELECT FROM {schema}.connector WHERE identity = last.identity)
        AND revision = (SELECT max(revision) FROM {schema}.revision WHERE identity = last.identity)
    ORDER BY at, identity
"""
_RECORD = """
    id bigint, identity text, name text, settings jsonb, preset jsonb, revision bigint, sending_revision bigint,
    created_at timestamptz, created_by text, updated_at timestamptz, updated_by text, proven_revision bigint,
    proven_at timestamptz, proven_to text
"""
_APPLICATION = ", ".join(
    _time(column) if column in _TIMES else f"{column}::text" if column == "reads" else column
    for column in ApplicationRow._fields
)
_APPLICATION_RECORD = ", ".join(
    f"{column} {'timestamptz' if column in _TIMES else 'jsonb' if column == 'reads' else 'text'}"
    for column in ApplicationRow._fields
)
_HEALTH = ", ".join(["name", *map(_selected, HealthRow._fields[1:])])
_RUN = ", ".join(["name", *map(_selected, RunRow._fields[1:])])
_WRITTEN = [column for column in ConnectorRow._fields if column not in ("enabled", "is_default")]

# In the order in which they are sent. Each takes its rows as one JSON document.
_BATCHES = {
    "insert connectors": f"""
        INSERT INTO {{schema}}.connector ({", ".join(_WRITTEN)})
        SELECT {", ".join(_WRITTEN)} FROM jsonb_to_recordset(%s::jsonb) AS new({_RECORD})
    """,
    "update connectors": f"""
        UPDATE {{schema}}.connector AS old SET name = new.name, settings = new.settings, preset = new.preset,
            revision = new.revision, sending_revision = new.sending_revision, updated_at = new.updated_at,
            updated_by = new.updated_by
        FROM jsonb_to_recordset(%s::jsonb) AS new({_RECORD}) WHERE old.id = new.id
    """,
    "delete secrets": """
        DELETE FROM {schema}.secret AS old USING jsonb_to_recordset(%s::jsonb) AS gone(connector bigint, field text)
        WHERE old.connector = gone.connector AND old.field = gone.field
    """,
    "write secrets": f"""
        INSERT INTO {{schema}}.secret (connector, field, {_SEALED})
        SELECT connector, field, key_id, fingerprint, decode(token, 'base64'), form, mac
        FROM jsonb_to_recordset(%s::jsonb)
            AS new(connector bigint, field text, key_id text, fingerprint text, token text, form smallint, mac text)
        ON CONFLICT (connector, field) DO UPDATE SET ({_SEALED}) =
            ROW({", ".join(f"excluded.{column}" for column in Sealed._fields)})
    """,
    "bind": """
        INSERT INTO {schema}.purpose (name, tenant, connector)
        SELECT name, tenant, connector
        FROM jsonb_to_recordset(%s::jsonb) AS new(name text, tenant text, connector bigint)
        ON CONFLICT (name, tenant) DO UPDATE SET connector = excluded.connector
    """,
    # Whoever listens hears of it when the transaction is committed, and never otherwise.
    "add revisions": f"""
        WITH new AS (
            SELECT * FROM jsonb_to_recordset(%s::jsonb) AS new(
                identity text, revision bigint, name text, at timestamptz, actor text, before jsonb, after jsonb,
                change text
            )
        ), added AS (
            INSERT INTO {{schema}}.revision (identity, revision, name, at, actor, before, after)
            SELECT identity, revision, name, at, actor, before, after FROM new
        )
        SELECT pg_notify('{CHANNEL}', json_build_object(
            'connector', name, 'change', change, 'revision', revision, 'actor', actor)::text)
        FROM new WHERE change <> ''
    """,
    "write applications": f"""
        INSERT INTO {{schema}}.application ({", ".join(ApplicationRow._fields)})
        SELECT {", ".join(ApplicationRow._fields)} FROM jsonb_to_recordset(%s::jsonb) AS new({_APPLICATION_RECORD})
        ON CONFLICT (app, host, place) DO UPDATE SET ({", ".join(ApplicationRow._fields[3:])}) =
            ROW({", ".join(f"excluded.{column}" for column in ApplicationRow._fields[3:])})
    """,
    "write health": f"""
        WITH new AS (
            SELECT id, new.* FROM jsonb_to_recordset(%s::jsonb) AS new(
                connector text, status text, verdict text, since timestamptz, checked_at timestamptz,
                last_ok_at timestamptz, failures_in_a_row bigint, expires timestamptz, host text, is_news boolean
            ) JOIN {{schema}}.connector ON name = connector
        ), written AS (
            INSERT INTO {{schema}}.health (connector, {", ".join(HealthRow._fields[1:])})
            SELECT id, {", ".join(HealthRow._fields[1:])} FROM new
            ON CONFLICT (connector) DO UPDATE SET ({", ".join(HealthRow._fields[1:])}) =
                ROW({", ".join(f"excluded.{column}" for column in HealthRow._fields[1:])})
        )
        SELECT pg_notify('{CHANNEL}', json_build_object(
            'connector', connector, 'verdict', verdict, 'status', status)::text)
        FROM new WHERE is_news
    """,
    "add runs": f"""
        WITH added AS (
            INSERT INTO {{schema}}.test_run (connector, number, {", ".join(RunRow._fields[1:])})
            SELECT id, coalesce((SELECT max(number) FROM {{schema}}.test_run WHERE connector = id), 0)
                + row_number() OVER (PARTITION BY id ORDER BY position), {", ".join(RunRow._fields[1:])}
            FROM jsonb_to_recordset(%s::jsonb) AS new(
                position bigint, connector text, at timestamptz, host text, status text, verdict text, ms bigint
            ) JOIN {{schema}}.connector ON name = new.connector
            RETURNING connector, number
        )
        DELETE FROM {{schema}}.test_run AS old
        USING (SELECT connector, max(number) AS number FROM added GROUP BY connector) AS last
        WHERE old.connector = last.connector AND old.number <= last.number - {MOST_RUNS}
    """,
}


class PostgresqlStorage(WritableStorage):
    """The tables within one transaction."""

    def __init__(self, transaction: Transaction, registry_id: str) -> None:
        self._transaction = transaction
        self._registry_id = registry_id
        self._batches: dict[str, dict[Any, Mapping[str, Any]]] = {name: {} for name in _BATCHES}

    def flush(self) -> None:
        """Send what was written."""
        for name, rows in self._batches.items():
            if rows:
                self._transaction.execute(_BATCHES[name], [json.dumps(list(rows.values()))])
                rows.clear()

    def registry_ids(self) -> list[Any]:
        return [self._registry_id]

    def names(self) -> list[str]:
        return self._texts("SELECT name FROM {schema}.connector ORDER BY name")

    def purpose_names(self) -> list[str]:
        return self._texts("SELECT DISTINCT name FROM {schema}.purpose ORDER BY name")

    def default(self) -> str | None:
        names = self._texts("SELECT name FROM {schema}.connector WHERE is_default")
        return names[0] if names else None

    def connectors(self, names: Collection[str] | None) -> list[ConnectorRow]:
        source = f"{{schema}}.connector {_among('name', names)}"
        return [ConnectorRow(*row) for row in self._select(_COLUMNS, source, names, order="name")]

    def has_enabled_besides(self, names: Collection[str]) -> bool:
        query = "SELECT name FROM {schema}.connector WHERE enabled AND name <> ALL(%s::text[]) LIMIT 1"
        return bool(self._rows(query, names))

    def bindings(self, purposes: Iterable[Purpose] | None) -> list[BindingRow]:
        if purposes is None:
            return [BindingRow(*row) for row in self._select(_BINDING, _BINDINGS)]
        keys = list(purposes)
        if not keys:
            return []
        source = f"{_BINDINGS} WHERE (purpose.name, tenant) IN (SELECT * FROM unnest(%s::text[], %s::text[]))"
        names, tenants = [key.name for key in keys], [key.tenant for key in keys]
        return [BindingRow(*row) for row in self._select(_BINDING, source, names, tenants)]

    def bindings_of(self, connectors: Collection[int]) -> list[BindingRow]:
        source = f"{_BINDINGS} WHERE connector = ANY(%s::bigint[])"
        return [BindingRow(*row) for row in self._select(_BINDING, source, connectors)] if connectors else []

    def revisions(self, identities: Collection[str] | None) -> list[RevisionRow]:
        source = f"{{schema}}.revision {_among('identity', identities)}"
        rows = self._select(_REVISION, source, identities, order="identity, revision")
        return [RevisionRow(*row) for row in rows]

    def deleted(self, name: str) -> list[str]:
        return self._texts(_DELETED, name)

    def secrets(self, connectors: Collection[int] | None) -> list[SecretRow]:
        source = f"{{schema}}.secret {_among('connector', connectors, 'bigint')}"
        rows = self._select(_SECRET, source, connectors)
        return [SecretRow(connector, field, Sealed(*sealed)) for connector, field, *sealed in rows]

    def names_with_old_form(self) -> list[str]:
        return self._texts(
            "SELECT name FROM {schema}.connector WHERE id IN (SELECT connector FROM {schema}.secret WHERE form = 1)"
        )

    def keys_used(self, *, old_form: bool | None = None) -> frozenset[str]:
        condition = "true" if old_form is None else "form = 1" if old_form else "form <> 1"
        return frozenset(self._texts(f"SELECT DISTINCT key_id FROM {{schema}}.secret WHERE {condition}"))

    def marks(self) -> dict[str, Mark]:
        rows = self._rows("SELECT key_id, old_form_keys, mac FROM {schema}.sealing_mark")
        return {key_id: Mark(*mark) for key_id, *mark in rows}

    def written_file(self, path: str) -> tuple[str, str] | None:
        query = "SELECT key_id, fingerprint FROM {schema}.written_file WHERE host = %s AND path = %s"
        rows = self._rows(query, _host(), path)
        return (rows[0][0], rows[0][1]) if rows else None

    def written_files(self) -> list[tuple[str, str, str]]:
        query = "SELECT path, key_id, fingerprint FROM {schema}.written_file WHERE host = %s ORDER BY path"
        return self._rows(query, _host())

    def applications(self, connectors: Collection[str] | None) -> list[ApplicationRow]:
        source = f"{{schema}}.application {_among('connector', connectors)}"
        rows = self._select(_APPLICATION, source, connectors, order="app, host, place")
        return [ApplicationRow(*row) for row in rows]

    def application(self, app: str, host: str, place: str) -> ApplicationRow | None:
        source = "{schema}.application WHERE app = %s AND host = %s AND place = %s"
        rows = self._select(_APPLICATION, source, app, host, place)
        return ApplicationRow(*rows[0]) if rows else None

    def health(self, connectors: Collection[str] | None) -> list[HealthRow]:
        source = f"{_TESTED.format('health')} {_among('name', connectors)}"
        return [HealthRow(*row) for row in self._select(_HEALTH, source, connectors)]

    def runs(self, connectors: Collection[str] | None) -> list[RunRow]:
        source = f"{_TESTED.format('test_run')} {_among('name', connectors)}"
        return [RunRow(*row) for row in self._select(_RUN, source, connectors, order="connector, number")]

    def set_registry_id(self, registry_id: str) -> None:
        self._write("UPDATE {schema}.registry SET id = %s", registry_id)
        self._registry_id = registry_id

    def insert_connector(self, row: ConnectorRow, *, replaces: int | None) -> int:
        # Chosen here, so that nobody has to wait for it.
        connector = int.from_bytes(os.urandom(8), "big") >> 1
        if replaces is not None:
            self._write("UPDATE {schema}.connector SET name = %s WHERE id = %s", os.urandom(16).hex(), replaces)
        self._add("insert connectors", connector, _connector(row._replace(id=connector)))
        if replaces is not None:
            self._write("UPDATE {schema}.purpose SET connector = %s WHERE connector = %s", connector, replaces)
            self._write("DELETE FROM {schema}.connector WHERE id = %s", replaces)
        return connector

    def update_connector(self, row: ConnectorRow) -> None:
        self._add("update connectors", row.id, _connector(row))

    def delete_connector(self, connector: int) -> None:
        self._write("DELETE FROM {schema}.purpose WHERE connector = %s", connector)
        self._write("DELETE FROM {schema}.connector WHERE id = %s", connector)

    def set_default(self, connector: int | None) -> None:
        self._write("UPDATE {schema}.connector SET is_default = false WHERE is_default")
        if connector is not None:
            self._write("UPDATE {schema}.connector SET is_default = true WHERE id = %s", connector)

    def bind(self, purpose: Purpose, connector: int) -> None:
        self._add("bind", purpose, {"name": purpose.name, "tenant": purpose.tenant, "connector": connector})

    def unbind(self, purpose: Purpose) -> None:
        self._write("DELETE FROM {schema}.purpose WHERE name = %s AND tenant = %s", *purpose)

    def add_revision(self, row: RevisionRow) -> None:
        documents = {"before": json.loads(row.before), "after": json.loads(row.after)}
        self._add("add revisions", (row.identity, row.revision), {**row._asdict(), **documents})

    def record_proof(self, identity: str, proof: Proof) -> None:
        self._write(
            "UPDATE {schema}.connector SET proven_revision = %s, proven_at = %s::timestamptz, proven_to = %s"
            " WHERE identity = %s AND coalesce(proven_revision, 0) <= %s",
            *(proof.revision, proof.at, proof.to, identity, proof.revision),
        )

    def write_secret(self, row: SecretRow) -> None:
        sealed = {**row.sealed._asdict(), "token": row.sealed.token.translate(_STANDARD_BASE64)}
        self._add("write secrets", row[:2], {"connector": row.connector, "field": row.field, **sealed})

    def delete_secret(self, connector: int, field: str) -> None:
        self._add("delete secrets", (connector, field), {"connector": connector, "field": field})

    def write_mark(self, key_id: str, mark: Mark) -> None:
        self._write(
            "INSERT INTO {schema}.sealing_mark (key_id, old_form_keys, mac) VALUES (%s, %s, %s)"
            " ON CONFLICT (key_id) DO UPDATE SET (old_form_keys, mac) = ROW(excluded.old_form_keys, excluded.mac)",
            *(key_id, *mark),
        )

    def write_file(self, path: str, key_id: str, fingerprint: str) -> None:
        self._write(
            "INSERT INTO {schema}.written_file (host, path, key_id, fingerprint) VALUES (%s, %s, %s, %s)"
            " ON CONFLICT (host, path)"
            " DO UPDATE SET (key_id, fingerprint) = ROW(excluded.key_id, excluded.fingerprint)",
            *(_host(), path, key_id, fingerprint),
        )

    def forget_file(self, path: str) -> None:
        self._write("DELETE FROM {schema}.written_file WHERE host = %s AND path = %s", _host(), path)

    def write_application(self, row: ApplicationRow) -> None:
        self._add("write applications", row[:3], {**row._asdict(), "reads": json.loads(row.reads)})

    def delete_application(self, app: str, host: str, place: str) -> None:
        self._write("DELETE FROM {schema}.application WHERE app = %s AND host = %s AND place = %s", *(app, host, place))

    def rename_applications(self, before: str, after: str) -> None:
        self._write("UPDATE {schema}.application SET connector = %s WHERE connector = %s", after, before)

    def write_health(self, row: HealthRow, *, is_news: bool) -> None:
        self._add("write health", row.connector, {**row._asdict(), "is_news": is_news})

    def add_run(self, row: RunRow) -> None:
        position = len(self._batches["add runs"])
        self._add("add runs", position, {**row._asdict(), "position": position})

    def _add(self, batch: str, key: Any, row: Mapping[str, Any]) -> None:
        self._transaction.has_written = True
        self._batches[batch][key] = row

    def _write(self, statement: str, *values: Any) -> None:
        self.flush()
        self._transaction.write(statement, values)

    def _rows(self, query: str, *values: Any) -> list[Any]:
        """The rows that hold, with what was written. A value that is None stands for all."""
        self.flush()
        given = [
            list(value) if isinstance(value, Collection) and not isinstance(value, str) else value for value in values
        ]
        return list(self._transaction.execute(query, given or None).fetchall())

    def _select(self, columns: str, source: str, *values: Any, order: str = "1") -> list[Any]:
        """Many rows as one JSON document, which is read much faster than single values are."""
        query = f"SELECT coalesce(json_agg(json_build_array({columns}) ORDER BY {order}), '[]')::text FROM {source}"
        ((document,),) = self._rows(query, *values)
        return list(json.loads(document))

    def _texts(self, query: str, *values: Any) -> list[str]:
        return [each for (each,) in self._rows(query, *values)]


_STANDARD_BASE64 = str.maketrans("-_", "+/")


def _connector(row: ConnectorRow) -> dict[str, Any]:
    documents = {column: json.loads(getattr(row, column)) for column in _DOCUMENTS}
    return {**{column: getattr(row, column) for column in _WRITTEN}, **documents}


def _host() -> str:
    """Files are those of one host, and a registry may be that of many."""
    return os.uname().nodename


def _among(column: str, values: Iterable[Any] | None, kind: str = "text") -> str:
    return f"WHERE %s::{kind}[] IS NULL" if values is None else f"WHERE {column} = ANY(%s::{kind}[])"
