# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The tables of a registry in PostgreSQL, as the steps that lead from one version to the next, and who may use them.

What the collection promises of a registry holds by constraints, so that it also holds for changes by hand: there is at
most one default, and the default and every connector that a purpose is bound to exist and are enabled.
"""

from __future__ import annotations

# `{schema}` stands for the quoted name of the schema.
_VERSION_1 = (
    """
    CREATE TABLE {schema}.registry (
        is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
        id text NOT NULL CHECK (id ~ '^[0-9a-f]{{32}}$'),
        schema_version integer NOT NULL,
        turn boolean NOT NULL DEFAULT true
    )
    """,
    "COMMENT ON COLUMN {schema}.registry.turn IS 'Writers lock the row, and so need the right to update a column'",
    """
    CREATE TABLE {schema}.connector (
        id bigint PRIMARY KEY,
        identity text COLLATE "C" NOT NULL UNIQUE CHECK (identity ~ '^[0-9a-f]{{32}}$'),
        name text COLLATE "C" NOT NULL UNIQUE CHECK (name ~ '^[A-Za-z0-9_]{{1,50}}$'),
        enabled boolean NOT NULL GENERATED ALWAYS AS (coalesce((settings -> 'enabled')::boolean, true)) STORED,
        is_default boolean NOT NULL DEFAULT false,
        settings jsonb NOT NULL CHECK (jsonb_typeof(settings) = 'object'),
        preset jsonb NOT NULL CHECK (jsonb_typeof(preset) = 'object'),
        revision bigint NOT NULL CHECK (revision > 0),
        sending_revision bigint NOT NULL CHECK (sending_revision BETWEEN 1 AND revision),
        created_at timestamptz NOT NULL,
        created_by text NOT NULL,
        updated_at timestamptz NOT NULL,
        updated_by text NOT NULL,
        proven_revision bigint CHECK (proven_revision BETWEEN 1 AND revision),
        proven_at timestamptz,
        proven_to text,
        CONSTRAINT default_is_enabled CHECK (enabled OR NOT is_default),
        CONSTRAINT connector_and_whether_it_is_enabled UNIQUE (id, enabled)
    )
    """,
    "CREATE UNIQUE INDEX one_default ON {schema}.connector (is_default) WHERE is_default",
    """
    CREATE TABLE {schema}.secret (
        connector bigint NOT NULL REFERENCES {schema}.connector (id) ON DELETE CASCADE,
        field text NOT NULL,
        key_id text COLLATE "C" NOT NULL,
        fingerprint text NOT NULL,
        token bytea NOT NULL,
        form smallint NOT NULL,
        mac text NOT NULL,
        PRIMARY KEY (connector, field)
    )
    """,
    "CREATE INDEX secret_key ON {schema}.secret (key_id, form)",
    """
    CREATE TABLE {schema}.purpose (
        name text COLLATE "C" NOT NULL CHECK (name ~ '^[A-Za-z0-9_.-]{{1,100}}$'),
        tenant text COLLATE "C" NOT NULL CHECK (length(tenant) <= 100),
        connector bigint NOT NULL,
        is_enabled boolean NOT NULL DEFAULT true CHECK (is_enabled),
        PRIMARY KEY (name, tenant),
        CONSTRAINT bound_connector_exists_and_is_enabled
            FOREIGN KEY (connector, is_enabled) REFERENCES {schema}.connector (id, enabled)
            DEFERRABLE INITIALLY DEFERRED
    )
    """,
    "CREATE INDEX purpose_of_connector ON {schema}.purpose (connector)",
    # Without a foreign key: a connector's history outlives it.
    """
    CREATE TABLE {schema}.revision (
        identity text COLLATE "C" NOT NULL CHECK (identity ~ '^[0-9a-f]{{32}}$'),
        revision bigint NOT NULL CHECK (revision > 0),
        name text COLLATE "C" NOT NULL CHECK (name ~ '^[A-Za-z0-9_]{{1,50}}$'),
        at timestamptz NOT NULL,
        actor text NOT NULL,
        before jsonb NOT NULL CHECK (jsonb_typeof(before) = 'object'),
        after jsonb NOT NULL CHECK (jsonb_typeof(after) = 'object'),
        PRIMARY KEY (identity, revision)
    )
    """,
    "CREATE INDEX revision_of_name ON {schema}.revision (name)",
    """
    CREATE TABLE {schema}.sealing_mark (
        key_id text COLLATE "C" PRIMARY KEY,
        old_form_keys text NOT NULL,
        mac text NOT NULL
    )
    """,
    """
    CREATE TABLE {schema}.written_file (
        host text NOT NULL,
        path text NOT NULL,
        key_id text NOT NULL,
        fingerprint text NOT NULL,
        PRIMARY KEY (host, path)
    )
    """,
    """
    CREATE TABLE {schema}.lease (
        name text PRIMARY KEY,
        fence bigint NOT NULL,
        holder text NOT NULL,
        expires_at timestamptz NOT NULL
    )
    """,
    """
    CREATE TABLE {schema}.transaction_mark (
        id text PRIMARY KEY CHECK (id ~ '^[0-9a-f]{{32}}$'),
        made_at timestamptz NOT NULL DEFAULT clock_timestamp()
    )
    """,
    """
    INSERT INTO {schema}.registry (id, schema_version) VALUES (replace(gen_random_uuid()::text, '-', ''), 0)
    """,
)

_VERSION_2 = (
    # The connector by its name, which need not exist: who deletes one is still told who has its settings.
    """
    CREATE TABLE {schema}.application (
        app text COLLATE "C" NOT NULL CHECK (app ~ '^[a-z0-9_]{{1,50}}$'),
        host text COLLATE "C" NOT NULL CHECK (length(host) BETWEEN 1 AND 255),
        place text COLLATE "C" NOT NULL CHECK (length(place) BETWEEN 1 AND 5000),
        connector text COLLATE "C" NOT NULL CHECK (connector ~ '^[A-Za-z0-9_]{{1,50}}$'),
        purpose text NOT NULL CHECK (purpose ~ '^[A-Za-z0-9_.-]{{0,100}}$'),
        tenant text NOT NULL CHECK (length(tenant) <= 100),
        reads jsonb NOT NULL CHECK (jsonb_typeof(reads) = 'array'),
        settings text NOT NULL,
        destination text NOT NULL,
        key_id text,
        fingerprint text,
        written_at timestamptz NOT NULL,
        written_by text NOT NULL,
        PRIMARY KEY (app, host, place),
        CONSTRAINT tenant_has_a_purpose CHECK (purpose <> '' OR tenant = ''),
        CONSTRAINT fingerprint_has_its_key CHECK ((key_id IS NULL) = (fingerprint IS NULL))
    )
    """,
    "CREATE INDEX application_of_connector ON {schema}.application (connector)",
    """
    CREATE TABLE {schema}.health (
        connector bigint PRIMARY KEY REFERENCES {schema}.connector (id) ON DELETE CASCADE,
        status text NOT NULL CHECK (status IN ('ok', 'warn', 'fail')),
        verdict text NOT NULL CHECK (verdict ~ '^[a-z_0-9]{{1,50}}$'),
        since timestamptz NOT NULL,
        checked_at timestamptz NOT NULL,
        last_ok_at timestamptz,
        failures_in_a_row bigint NOT NULL CHECK (failures_in_a_row >= 0),
        expires timestamptz,
        host text NOT NULL CHECK (length(host) BETWEEN 1 AND 255),
        CONSTRAINT failures_are_counted CHECK ((status = 'fail') = (failures_in_a_row > 0))
    )
    """,
    """
    CREATE TABLE {schema}.test_run (
        connector bigint NOT NULL REFERENCES {schema}.connector (id) ON DELETE CASCADE,
        number bigint NOT NULL,
        at timestamptz NOT NULL,
        host text NOT NULL CHECK (length(host) BETWEEN 1 AND 255),
        status text NOT NULL CHECK (status IN ('ok', 'warn', 'fail')),
        verdict text NOT NULL CHECK (verdict ~ '^[a-z_0-9]{{1,50}}$'),
        ms bigint NOT NULL CHECK (ms >= 0),
        PRIMARY KEY (connector, number)
    )
    """,
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (_VERSION_1, _VERSION_2)
"""Step n leads from version n to n + 1. A released step never changes."""

SCHEMA_ITSELF, WRITER_LOCK = "(schema)", "(turn)"
"""What is granted besides tables: the schema, and the column `turn`, whose UPDATE privilege allows the row lock."""

_READ = {
    SCHEMA_ITSELF: ("USAGE",),
    **dict.fromkeys(
        (
            *("registry", "connector", "secret", "purpose", "revision", "sealing_mark", "written_file"),
            *("application", "health", "test_run"),
        ),
        ("SELECT",),
    ),
}
_EVERYTHING = ("SELECT", "INSERT", "UPDATE", "DELETE")
_WRITE = {
    SCHEMA_ITSELF: ("USAGE",),
    WRITER_LOCK: ("UPDATE",),
    "registry": ("SELECT",),
    "connector": _EVERYTHING,
    "secret": _EVERYTHING,
    "purpose": _EVERYTHING,
    # Neither changed nor deleted by who only writes.
    "revision": ("SELECT", "INSERT"),
    "sealing_mark": ("SELECT", "INSERT", "UPDATE"),
    "written_file": _EVERYTHING,
    "application": _EVERYTHING,
    "health": _EVERYTHING,
    "test_run": ("SELECT", "INSERT", "DELETE"),
    "lease": ("SELECT", "INSERT", "UPDATE"),
    "transaction_mark": ("SELECT", "INSERT", "DELETE"),
}


def quote_identifier(name: str) -> str:
    """A name as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def lock_statement(schema: str) -> str:
    """Takes the lock that allows one transaction at a time to make or migrate this schema."""
    return f"SELECT pg_advisory_xact_lock(hashtextextended('mailroom.core {schema}', 0))"


def migration_statements(schema: str, version: int) -> list[str]:
    """What leads from a version to today's, one statement each."""
    statements = []
    for number, step in enumerate(MIGRATIONS[version:], version + 1):
        statements += [" ".join(each.format(schema=quote_identifier(schema)).split()) for each in step]
        statements.append(f"UPDATE {quote_identifier(schema)}.registry SET schema_version = {number}")
    return statements


def privileges(*, writes: bool) -> list[tuple[str, str]]:
    """What one who reads, or one who writes too, has to be granted on which table."""
    wanted = _WRITE if writes else _READ
    return [(table, privilege) for table, each in wanted.items() for privilege in each]


def grant_statements(schema: str, role: str, wanted: list[tuple[str, str]]) -> list[str]:
    """What grants a role these privileges, each on a table."""
    by_table: dict[str, list[str]] = {}
    for table, privilege in wanted:
        by_table.setdefault(table, []).append(privilege)
    places = {SCHEMA_ITSELF: f"SCHEMA {quote_identifier(schema)}", WRITER_LOCK: f"{quote_identifier(schema)}.registry"}
    return [
        f"GRANT {', '.join(each)}{' (turn)' if table == WRITER_LOCK else ''}"
        f" ON {places.get(table) or f'{quote_identifier(schema)}.{table}'} TO {quote_identifier(role)}"
        for table, each in by_table.items()
    ]
