# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which changes let a connector connect otherwise than before."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.mailroom.core.plugins.module_utils._connector.declaration import parse_declaration
from ansible_collections.mailroom.core.plugins.module_utils._connector.plan import Plan, Request
from ansible_collections.mailroom.core.plugins.module_utils._connector.planning import make_plan
from ansible_collections.mailroom.core.plugins.module_utils._connector.state import Stamp, State

STAMP = Stamp("2024-02-29T12:00:00Z", "tester")
STORED: dict[str, Any] = {
    "name": "alerts",
    "from_address": "alerts@example.com",
    "smtp": {"host": "smtp.example.com", "username": "alerts", "password": "old"},
    "imap": {"host": "imap.example.com", "username": "alerts", "password": "old"},
}
SERVER = {"host": "smtp.example.com", "username": "alerts", "password": "old"}


def planned(state: State, *entries: dict[str, Any], **more: Any) -> Plan:
    declared = tuple(parse_declaration(each)[0] for each in entries)
    return make_plan(Request(declared, **more), state, lambda token, secret: token == secret.reveal(), STAMP)


def state(**changes: Any) -> State:
    """One stored connector, whose secrets have tokens that tell them."""
    after = planned(State(), {**STORED, **changes}).after
    connector = after.connectors["alerts"]
    tokens = {path: secret.reveal() for path, secret in connector.secrets.items() if not isinstance(secret, str)}
    return State(connectors={"alerts": replace(connector, secrets=tokens)})


# By name: what is written, and whether that connects otherwise, without sending and with it.
CHANGES: dict[str, tuple[dict[str, Any], bool, bool]] = {
    "nothing": ({}, False, False),
    "a description": ({"description": "New words"}, False, False),
    "a name to show": ({"from_name": "Alerts"}, False, True),
    "the sender": ({"from_address": "other@example.com"}, False, True),
    "bounces": ({"errors_to": "bounces@example.com"}, False, True),
    "the server": ({"smtp": {**SERVER, "host": "other.example.com"}}, True, True),
    "the password": ({"smtp": {"password": "new"}}, True, True),
    "the same password": ({"smtp": {"password": "old"}}, False, False),
    "the mailbox": ({"imap": {"mailbox": "Archive"}}, True, True),
    "what is derived already": ({"smtp": {"port": 587, "security": "starttls"}}, False, False),
    "disabled": ({"enabled": False, "smtp": {"password": "new"}}, False, False),
}


@pytest.mark.parametrize(("written", "connects", "sends"), CHANGES.values(), ids=CHANGES)
def test_only_settings_for_connecting_count(written: dict[str, Any], connects: bool, sends: bool) -> None:
    plan = planned(state(), {"name": "alerts", **written})
    assert bool(plan.changed_connections()) == connects
    assert bool(plan.changed_connections(sends=True)) == sends


def test_a_new_connector_counts_and_a_deleted_one_does_not() -> None:
    plan = planned(state(), {**STORED, "name": "new"}, absent=("alerts",))
    assert [each.name for each in plan.changed_connections()] == ["new"]


def test_a_new_connector_that_is_disabled_does_not_count() -> None:
    assert planned(State(), {**STORED, "enabled": False}).changed_connections() == []


def test_enabling_counts() -> None:
    plan = planned(state(enabled=False), {"name": "alerts", "enabled": True})
    assert [each.name for each in plan.changed_connections()] == ["alerts"]


def test_renaming_alone_does_not_count() -> None:
    assert planned(state(), {"name": "alerts"}, new_name="alarms").changed_connections() == []
