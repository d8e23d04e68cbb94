# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plans beside a connector that cannot be read: it is named, deleted or replaced, and nothing else is done with it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from unit.plugins.module_utils._connector.given import (
    NOW,
    absent,
    bound,
    present,
    purpose,
    same_secret,
    state_of,
    stored,
)

from ansible_collections.mailroom.core.plugins.module_utils._connector.plan import Plan, Request
from ansible_collections.mailroom.core.plugins.module_utils._connector.planning import make_plan
from ansible_collections.mailroom.core.plugins.module_utils._connector.state import Damage
from ansible_collections.mailroom.core.plugins.module_utils._errors import DeclarationError

SMTP = {"smtp.host": "mail.example.com"}
DAMAGE = Damage("alpha", is_named=True, field="settings", what="is no JSON")
STATE = replace(state_of(stored(SMTP, name="beta")), damaged={"alpha": DAMAGE})


def planned(request: Request) -> Plan:
    return make_plan(request, STATE, same_secret, NOW)


def test_declared_connector_replaces_the_damaged_one_with_a_warning() -> None:
    plan = planned(present("alpha", SMTP))
    assert [(change.name, change.before, change.replaces) for change in plan.changes] == [("alpha", None, True)]
    assert ["alpha: was damaged in the registry (settings is no JSON)" in text for text in plan.warnings] == [True]
    assert plan.after.damaged == {}


def test_other_connector_replaces_nothing_and_leaves_the_damaged_one() -> None:
    plan = planned(present("gamma", SMTP))
    assert [(change.name, change.replaces) for change in plan.changes] == [("gamma", False)]
    assert plan.warnings == ()
    assert plan.after.damaged == {"alpha": DAMAGE}


@pytest.mark.parametrize("request_", [absent("alpha"), present("beta", SMTP, purge=True)], ids=["absent", "purge"])
def test_damaged_connector_is_deleted(request_: Request) -> None:
    plan = planned(request_)
    assert (plan.deleted, plan.created, plan.updated) == (["alpha"], [], [])
    assert [change.replaces for change in plan.changes] == [False]
    assert plan.after.damaged == {}


@pytest.mark.parametrize(
    "request_",
    [
        present("alpha", SMTP, new_name="gamma"),
        present("gamma", copy_from="alpha"),
        Request(default="alpha"),
        Request(bind=bound(alerts="alpha")),
    ],
    ids=["rename", "duplicate", "default", "purpose"],
)
def test_damaged_connector_is_named_where_it_would_be_used(request_: Request) -> None:
    with pytest.raises(DeclarationError) as refused:
        planned(request_)
    assert [problem.message for problem in refused.value.problems] == [str(DAMAGE)]


def test_rename_to_the_name_of_a_damaged_connector_is_refused() -> None:
    with pytest.raises(DeclarationError) as refused:
        planned(present("beta", SMTP, new_name="alpha"))
    assert [problem.message for problem in refused.value.problems] == ["connector alpha exists already"]


def test_rename_of_a_damaged_connector_to_the_name_of_another_is_refused() -> None:
    with pytest.raises(DeclarationError) as refused:
        planned(present("alpha", SMTP, new_name="beta"))
    assert [problem.message for problem in refused.value.problems] == ["connector beta exists already"]


def test_damaged_default_stays_until_another_is_chosen() -> None:
    state = replace(STATE, default="alpha", bindings={purpose("alerts"): "alpha"})
    plan = make_plan(present("gamma", SMTP), state, same_secret, NOW)
    assert (plan.after.default, plan.default_changed, plan.unbound) == ("alpha", False, [])
