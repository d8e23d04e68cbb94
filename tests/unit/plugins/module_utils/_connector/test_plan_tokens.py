# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a plan says of stored secrets: whether some are new, which are sealed anew, and which are deleted."""

from __future__ import annotations

from typing import Any

from unit.plugins.module_utils._connector.given import absent, planned, present, sealed, state_of, stored

from ansible_collections.mailroom.core.plugins.module_utils._connector.plan import Request
from ansible_collections.mailroom.core.plugins.module_utils._connector.secret import Secret

SMTP: dict[str, Any] = {
    "smtp.host": "mail.example.com",
    "smtp.username": "robot@example.com",
    "smtp.password": "hunter2",
}
TOKEN = sealed(Secret("hunter2"))
STATE = state_of(stored(SMTP), stored({"smtp.host": "mail.example.com"}, name="beta"))


def told(request: Request) -> tuple[bool, list[str], set[str]]:
    plan = planned(request, STATE)
    return plan.has_new_secrets, plan.redirected, plan.dropped


def test_new_secret_is_new_and_replaces_the_stored_one() -> None:
    assert told(present("alpha", {"smtp.password": "another"})) == (True, [], {TOKEN})
    assert told(present("gamma", SMTP)) == (True, [], set())


def test_kept_secret_is_neither_new_nor_deleted() -> None:
    assert told(present("alpha", {"description": "new"})) == (False, [], set())


def test_kept_secret_whose_destination_changes_is_sealed_anew() -> None:
    """A permitted change: the protection gets stronger."""
    assert told(present("alpha", {"smtp.security": "tls"})) == (False, [TOKEN], set())


def test_secret_of_a_deleted_connector_is_deleted() -> None:
    assert told(absent("alpha")) == (False, [], {TOKEN})
    assert told(absent("beta")) == (False, [], set())
