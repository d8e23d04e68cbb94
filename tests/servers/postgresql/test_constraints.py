# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is promised of a registry also holds for statements by hand, whichever it is: the database refuses them."""

from __future__ import annotations

import psycopg
import pytest
from peers.postgresql import Postgres, new_schema
from unit.plugins.module_utils._registry.samples import STAMP, declare, entry, everything, record_tests

from ansible_collections.mailroom.core.plugins.module_utils._connector.records import (
    ApplicationRecord,
    RecordedTest,
    Run,
)
from ansible_collections.mailroom.core.plugins.module_utils._connector.state import Purpose

from .conftest import Place

FORBIDDEN = {
    "a second default": "UPDATE {s}.connector SET is_default = true WHERE name = 'spare'",
    "a default that is disabled": "UPDATE {s}.connector SET settings = settings || '{\"enabled\": false}'"
    " WHERE name = 'chosen'",
    "a disabled default": "UPDATE {s}.connector SET is_default = true WHERE name = 'disabled'",
    "enabled unlike the settings": "UPDATE {s}.connector SET enabled = true WHERE name = 'disabled'",
    "a bound connector that is disabled": "UPDATE {s}.connector SET settings = settings || '{\"enabled\": false}'"
    " WHERE name = 'bound'",
    "a bound connector that is deleted": "DELETE FROM {s}.connector WHERE name = 'bound'",
    "a purpose of nobody": "UPDATE {s}.purpose SET connector = 5",
    "a purpose of a disabled one": "UPDATE {s}.purpose SET connector ="
    " (SELECT id FROM {s}.connector WHERE name = 'disabled')",
    "a purpose that says it is of a disabled one": "UPDATE {s}.purpose SET is_enabled = false",
    "a name that is none": "UPDATE {s}.connector SET name = 'has space' WHERE name = 'spare'",
    "a name with a line break": "UPDATE {s}.connector SET name = E'spare\\n' WHERE name = 'spare'",
    "a name twice": "UPDATE {s}.connector SET name = 'bound' WHERE name = 'spare'",
    "a purpose that is none": "UPDATE {s}.purpose SET name = 'a/b'",
    "an identity twice": "UPDATE {s}.connector SET identity = (SELECT max(identity) FROM {s}.connector)",
    "settings that are no document": "UPDATE {s}.connector SET settings = '[]'",
    "enabled that is no truth": 'UPDATE {s}.connector SET settings = settings || \'{"enabled": "no"}\'',
    "a revision below one": "UPDATE {s}.connector SET revision = 0",
    "an application of no name": "UPDATE {s}.application SET app = ''",
    "an application whose fingerprint has no key": "UPDATE {s}.application SET fingerprint = 'x'",
    "an application of a tenant without a purpose": "UPDATE {s}.application SET tenant = 'acme'",
    "health of no connector": "UPDATE {s}.health SET connector = 5",
    "a state that is none": "UPDATE {s}.health SET status = 'good'",
    "failures of what is fine": "UPDATE {s}.health SET status = 'ok'",
    "a verdict with a line break": "UPDATE {s}.test_run SET verdict = E'ok\n'",
    "a second registry": "INSERT INTO {s}.registry (id, schema_version) SELECT id, schema_version FROM {s}.registry",
}


@pytest.fixture(scope="module")
def filled(server: Postgres) -> Place:
    """One registry for all statements, since none of them changes it."""
    place = Place(server, new_schema())
    registry = place.over_socket()
    registry.set_up()
    entries = [entry("chosen"), entry("bound"), entry("spare"), entry("disabled", enabled=False)]
    declare(registry, *entries, default="chosen", bind={Purpose("alerts"): "bound"})
    with registry.writing() as writer:
        writer.record_application(ApplicationRecord("env", "web1", "/etc/mail.env", "bound", None, (), "", STAMP), None)
        record_tests(writer, RecordedTest("bound", "", 0, Run(STAMP.at, "web1", "fail", "auth_rejected", 12)))
    return place


@pytest.mark.parametrize("statement", FORBIDDEN.values(), ids=FORBIDDEN)
def test_a_statement_by_hand_that_breaks_a_rule_is_refused(filled: Place, statement: str) -> None:
    before = everything(filled.over_socket())
    with pytest.raises((psycopg.IntegrityError, psycopg.DataError, psycopg.ProgrammingError)):
        filled.admin(statement)
    assert everything(filled.over_socket()) == before
