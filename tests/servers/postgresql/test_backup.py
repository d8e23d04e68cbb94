# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of the guide to PostgreSQL bring a registry back whole."""

from __future__ import annotations

from peers.postgresql import DATABASE, SUPERUSER, new_schema, program
from unit.plugins.module_utils._registry.samples import declare, entry, everything, open_database, secrets

from ansible_collections.mailroom.core.plugins.module_utils._connector.state import Purpose

from .conftest import Place


def test_what_was_dumped_is_restored_and_goes_on_working(place: Place) -> None:
    server, other = place.server, new_schema()
    declare(place.over_socket(), entry("a", "secret"), entry("b"), default="a", bind={Purpose("alerts"): "b"})
    server.admin(f"CREATE DATABASE {other}")
    address = ("--host", str(server.folder), "--port", str(server.port), "--username", SUPERUSER)
    dump = str(server.folder / f"{other}.dump")
    server.run(program("pg_dump"), *address, "--format=custom", f"--schema={place.schema}", f"--file={dump}", DATABASE)
    server.run(program("pg_restore"), *address, f"--dbname={other}", "--single-transaction", dump)
    restored = open_database(server.socket_location(place.schema, database=other))
    assert everything(restored) == everything(place.over_socket())
    assert secrets(restored, "a") == {"smtp.password": "secret"}
    assert restored.set_up() == []
    assert declare(restored, entry("c", "another")).created == ["c"]
