# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The tables of the SQLite registry, as the steps that lead from one version to the next."""

from __future__ import annotations

import sqlite3
from contextlib import closing

APPLICATION_ID = 0x4D41494C
"""Marks a SQLite file as a registry: "MAIL"."""

_VERSION_1 = (
    "CREATE TABLE registry (id TEXT NOT NULL)",
    """
    CREATE TABLE connector (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE,
        enabled INTEGER NOT NULL,
        is_default INTEGER NOT NULL DEFAULT 0,
        settings TEXT NOT NULL,
        preset TEXT NOT NULL,
        revision INTEGER NOT NULL,
        sending_revision INTEGER NOT NULL,
        created_at TEXT NOT NULL,
        created_by TEXT NOT NULL,
        updated_at TEXT NOT NULL,
        updated_by TEXT NOT NULL,
        proven_revision INTEGER,
        proven_at TEXT,
        proven_to TEXT
    )
    """,
    "CREATE UNIQUE INDEX one_default ON connector (is_default) WHERE is_default",
    "CREATE INDEX enabled_connector ON connector (name) WHERE enabled",
    """
    CREATE TABLE secret (
        connector INTEGER NOT NULL REFERENCES connector (id) ON DELETE CASCADE,
        field TEXT NOT NULL,
        key_id TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        token TEXT NOT NULL,
        PRIMARY KEY (connector, field)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX secret_key ON secret (key_id)",
    """
    CREATE TABLE purpose (
        name TEXT NOT NULL,
        tenant TEXT NOT NULL,
        connector INTEGER NOT NULL REFERENCES connector (id),
        PRIMARY KEY (name, tenant)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX purpose_of_connector ON purpose (connector)",
    """
    CREATE TABLE revision (
        connector INTEGER NOT NULL REFERENCES connector (id) ON DELETE CASCADE,
        revision INTEGER NOT NULL,
        at TEXT NOT NULL,
        actor TEXT NOT NULL,
        before TEXT NOT NULL,
        after TEXT NOT NULL,
        PRIMARY KEY (connector, revision)
    ) WITHOUT ROWID
    """,
)

_VERSION_2 = (
    # Which connector a secret belongs to, whatever its name: no other has the same, in any registry.
    "ALTER TABLE connector ADD COLUMN identity TEXT NOT NULL DEFAULT ''",
    # The same whenever this step is taken: who reads a copy that is migrated and forgotten names connectors by it.
    """
    UPDATE connector SET identity =
        coalesce((SELECT substr(id, 1, 16) FROM registry), lower(hex(randomblob(8)))) || printf('%016x', id)
    """,
    "CREATE UNIQUE INDEX connector_identity ON connector (identity)",
    # In form 1 secrets are bound to nothing; they are sealed anew when their key is there.
    "ALTER TABLE secret ADD COLUMN form INTEGER NOT NULL DEFAULT 1",
    "ALTER TABLE secret ADD COLUMN mac TEXT NOT NULL DEFAULT ''",
    "CREATE INDEX secret_in_old_form ON secret (key_id) WHERE form = 1",
    """
    CREATE TABLE sealing_mark (
        key_id TEXT PRIMARY KEY,
        old_form_keys TEXT NOT NULL,
        mac TEXT NOT NULL
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE written_file (
        path TEXT PRIMARY KEY,
        key_id TEXT NOT NULL,
        fingerprint TEXT NOT NULL
    ) WITHOUT ROWID
    """,
)

_VERSION_3 = (
    # A connector's history outlives it, so that it can only be told by what is never used again.
    """
    CREATE TABLE kept_revision (
        identity TEXT NOT NULL,
        revision INTEGER NOT NULL,
        name TEXT NOT NULL,
        at TEXT NOT NULL,
        actor TEXT NOT NULL,
        before TEXT NOT NULL,
        after TEXT NOT NULL,
        PRIMARY KEY (identity, revision)
    ) WITHOUT ROWID
    """,
    """
    INSERT INTO kept_revision
    SELECT identity, revision.revision, name, at, actor, before, after
    FROM revision JOIN connector ON connector.id = connector
    """,
    "DROP TABLE revision",
    "ALTER TABLE kept_revision RENAME TO revision",
    "CREATE INDEX revision_of_name ON revision (name)",
)

_VERSION_4 = (
    # The connector by its name, which need not exist: who deletes one is still told who has its settings.
    """
    CREATE TABLE application (
        app TEXT NOT NULL,
        host TEXT NOT NULL,
        place TEXT NOT NULL,
        connector TEXT NOT NULL,
        purpose TEXT NOT NULL,
        tenant TEXT NOT NULL,
        reads TEXT NOT NULL,
        settings TEXT NOT NULL,
        destination TEXT NOT NULL,
        key_id TEXT,
        fingerprint TEXT,
        written_at TEXT NOT NULL,
        written_by TEXT NOT NULL,
        PRIMARY KEY (app, host, place),
        CHECK (purpose <> '' OR tenant = ''),
        CHECK ((key_id IS NULL) = (fingerprint IS NULL))
    ) WITHOUT ROWID
    """,
    "CREATE INDEX application_of_connector ON application (connector)",
    """
    CREATE TABLE health (
        connector INTEGER PRIMARY KEY REFERENCES connector (id) ON DELETE CASCADE,
        status TEXT NOT NULL CHECK (status IN ('ok', 'warn', 'fail')),
        verdict TEXT NOT NULL,
        since TEXT NOT NULL,
        checked_at TEXT NOT NULL,
        last_ok_at TEXT,
        failures_in_a_row INTEGER NOT NULL CHECK ((status = 'fail') = (failures_in_a_row > 0)),
        expires TEXT,
        host TEXT NOT NULL
    )
    """,
    """
    CREATE TABLE test_run (
        connector INTEGER NOT NULL REFERENCES connector (id) ON DELETE CASCADE,
        number INTEGER NOT NULL,
        at TEXT NOT NULL,
        host TEXT NOT NULL,
        status TEXT NOT NULL CHECK (status IN ('ok', 'warn', 'fail')),
        verdict TEXT NOT NULL,
        ms INTEGER NOT NULL CHECK (ms >= 0),
        PRIMARY KEY (connector, number)
    ) WITHOUT ROWID
    """,
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (_VERSION_1, _VERSION_2, _VERSION_3, _VERSION_4)
"""Step n leads from version n to n + 1. A released step never changes."""

_STATISTICS = ("sqlite_stat1", "sqlite_stat4")
"""What ANALYZE makes, which only helps the search."""

_Objects = dict[tuple[str, str], str]


def differences(database: sqlite3.Connection, version: int) -> str:
    """What of a database's tables is not as the steps up to a version make it, empty where all is.

    A trigger, or a view in place of a table, would be code that somebody else wrote.
    """
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as example:
        for step in MIGRATIONS[: max(version, 0)]:
            for statement in step:
                example.execute(statement)
        known, found = _objects(example), _objects(database)
    what = [
        *(f"unknown {kind} {_printable(name)}" for kind, name in sorted(found.keys() - known.keys())),
        *(f"missing {kind} {name}" for kind, name in sorted(known.keys() - found.keys())),
        *(
            f"changed {kind} {name}"
            for kind, name in sorted(known.keys() & found.keys())
            if known[kind, name] != found[kind, name]
        ),
    ]
    return ", ".join(what[:3]) + (", …" if len(what) > 3 else "")


def _objects(database: sqlite3.Connection) -> _Objects:
    """Tables, indexes, views and triggers by kind and name, with the table they belong to and their definition."""
    rows = database.execute("SELECT type, name, tbl_name, sql FROM sqlite_master")
    return {
        (str(kind), str(name)): " ".join(f"{table} {definition}".split())
        for kind, name, table, definition in rows
        if not (kind == "table" and name in _STATISTICS)
    }


def _printable(name: str) -> str:
    return "".join(char if char.isprintable() and char.isascii() else "?" for char in name[:40])
