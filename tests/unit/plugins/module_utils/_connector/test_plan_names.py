# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Duplicates, renames, many at once, and who uses which: what the rules mean for them."""

from __future__ import annotations

from typing import Any

import pytest
from unit.plugins.module_utils._connector.given import (
    NOW,
    absent,
    after,
    bound,
    declared,
    planned,
    present,
    purpose,
    refused,
    sealed,
    state_of,
    stored,
)

from ansible_collections.mailroom.core.plugins.module_utils._connector.plan import Request
from ansible_collections.mailroom.core.plugins.module_utils._connector.resolve import resolve
from ansible_collections.mailroom.core.plugins.module_utils._connector.secret import Secret
from ansible_collections.mailroom.core.plugins.module_utils._connector.state import Connector
from ansible_collections.mailroom.core.plugins.module_utils._connector.suggest import MAX_SUGGESTIONS
from ansible_collections.mailroom.core.plugins.module_utils._errors import DeclarationError

Flat = dict[str, Any]

SMTP: Flat = {"smtp.host": "mail.example.com"}
USER: Flat = {**SMTP, "smtp.username": "robot@example.com", "smtp.password": "hunter2"}


def connector(name: str, flat: Flat | None = None) -> Connector:
    return stored(flat or SMTP, name=name)


def disabled(name: str) -> Connector:
    return stored({**SMTP, "enabled": False}, name=name)


THREE = (connector("alpha"), connector("beta"), connector("gamma"))


# Rule 4: duplicates.


def duplicate(source: str, name: str, flat: Flat | None = None, **how: Any) -> Request:
    return present(name, flat, copy_from=source, **how)


SOURCE: Flat = {
    **USER,
    "description": "copied",
    "cc": ["a@example.com"],
    "available_to": ["acme"],
    "imap.host": "imap.example.com",
    "imap.username": "robot",
    "imap.password": "imap-pass",
}


def test_a_duplicate_copies_everything_but_secrets_and_the_default_flag() -> None:
    state = state_of(stored(SOURCE), default="alpha", bindings={"alerts": "alpha"})
    given_anew = {"smtp.password": "other", "imap.password": "another"}
    result = after(duplicate("alpha", "alpha_copied", given_anew), state)
    copy = result.connectors["alpha_copied"]
    assert copy.settings == state.connectors["alpha"].settings
    assert copy.secrets == {path: sealed(Secret(value)) for path, value in given_anew.items()}
    assert (copy.revision, copy.created, copy.updated, copy.proof) == (1, NOW, NOW, None)
    assert result.default == "alpha"
    assert result.bindings == state.bindings
    assert result.connectors["alpha"] is state.connectors["alpha"]


def test_a_duplicate_without_secrets_fails_and_names_each_missing_one() -> None:
    state = state_of(stored(SOURCE))
    for secrets_given, missing in (
        ({}, ["imap.password", "smtp.password"]),
        ({"smtp.password": "other"}, ["imap.password"]),
    ):
        told = refused(duplicate("alpha", "beta", secrets_given), state)
        assert sorted(told) == [
            f"connector beta: {path}: must be given: secrets are not copied to a duplicate" for path in missing
        ]


def test_a_duplicate_needs_no_secret_for_what_it_drops_from_its_source() -> None:
    request = duplicate("alpha", "beta", {"smtp.password": "other"}, clear=("imap",))
    assert after(request, state_of(stored(SOURCE))).connectors["beta"].secrets.keys() == {"smtp.password"}


def test_a_duplicate_may_differ_from_its_source_and_go_elsewhere_with_secrets_of_its_own() -> None:
    flat = {"smtp.host": "other.example.com", "smtp.password": "other", "description": "mine"}
    copy = after(duplicate("alpha", "beta", flat), state_of(stored(USER))).connectors["beta"]
    assert copy.settings["smtp"]["host"] == "other.example.com"
    assert copy.settings["description"] == "mine"


@pytest.mark.parametrize("update_password", ["always", "on_create"])
def test_where_the_target_exists_a_duplicate_behaves_as_present(update_password: str) -> None:
    state = state_of(connector("beta", {**SMTP, "description": "old"}))
    request = duplicate("nowhere", "beta", {"description": "new"}, update_password=update_password)
    assert after(request, state).connectors["beta"].settings == {
        "description": "new",
        "smtp": {"host": "mail.example.com"},
    }
    assert not planned(duplicate("nowhere", "beta"), state).changed


def test_a_repeated_duplicate_is_unchanged_even_if_its_source_has_changed_or_gone() -> None:
    request = duplicate("alpha", "beta", {"smtp.password": "other"})
    twice = after(request, state_of(stored(USER)))
    assert not planned(request, twice).changed
    moved = after(present("alpha", {"description": "new"}), twice)
    assert not planned(request, moved).changed
    assert not planned(request, after(absent("alpha"), twice)).changed


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ("Alerts", "Alerts (copy)"),
        ("x" * 57, "x" * 57 + " (copy)"),
        ("x" * 64, "x" * 57 + " (copy)"),
        ("x" * 56 + " y" * 4, "x" * 56 + " (copy)"),
    ],
)
def test_duplicate_is_shown_under_a_name_of_its_own(shown: str, expected: str) -> None:
    state = state_of(stored({**SMTP, "display_name": shown}))
    assert after(duplicate("alpha", "beta"), state).connectors["beta"].settings["display_name"] == expected


def test_duplicate_of_what_has_no_display_name_has_none() -> None:
    state = after(duplicate("alpha", "beta"), state_of(connector("alpha")))
    assert "display_name" not in state.connectors["beta"].settings


def test_display_name_that_is_given_to_a_duplicate_is_kept_as_given() -> None:
    state = state_of(stored({**SMTP, "display_name": "Alerts"}))
    result = after(duplicate("alpha", "beta", {"display_name": "Alerts"}), state).connectors["beta"]
    assert result.settings["display_name"] == "Alerts"


MISSPELT: list[tuple[Request, str]] = [
    (
        Request(default="alpah"),
        "connector alpah: cannot be the default: there is no such connector; did you mean alpha?",
    ),
    (
        Request(declarations=(declared(SMTP, name="delta"),), default="dleta"),
        "connector dleta: cannot be the default: there is no such connector; did you mean delta?",
    ),
    (
        Request(bind=bound(alerts="Alpha")),
        "purpose alerts: connector: connector Alpha does not exist; did you mean alpha?",
    ),
    (duplicate("alpah", "beta"), "connector beta: copy_from: there is no connector alpah; did you mean alpha?"),
    (
        present("alpah", SMTP, new_name="new"),
        "connector alpah: new_name: there is no such connector to rename; did you mean alpha?",
    ),
    (
        present("alpah", {"smtp.password": "hunter2"}),
        "connector alpah: there is no such connector, and only secrets are given for it; did you mean alpha?",
    ),
    (
        present("zzz", {"smtp.password": "hunter2"}),
        "connector zzz: there is no such connector, and only secrets are given for it",
    ),
    (
        present("alpah", {"description": "x"}),
        "connector alpah: there is no such connector, and a new one needs smtp, imap or graph; did you mean alpha?",
    ),
    (present("zzz", {"description": "x"}), "connector zzz: requires at least one of smtp, imap and graph"),
    (Request(absent=("alpha",), default="alpha"), "connector alpha: cannot be the default: there is no such connector"),
]


@pytest.mark.parametrize(("request_", "told"), MISSPELT, ids=[row[1][:60] for row in MISSPELT])
def test_unknown_connector_is_told_with_the_nearest_one(request_: Request, told: str) -> None:
    assert refused(request_, state_of(connector("alpha"), connector("other"))) == [told]


def test_suggestions_are_limited_as_each_takes_time() -> None:
    wish = Request(bind={purpose(f"p{number}"): "alpah" for number in range(30)})
    told = refused(wish, state_of(connector("alpha")))
    assert sum("did you mean" in line for line in told) == MAX_SUGGESTIONS


def test_a_duplicate_of_nothing_is_refused() -> None:
    assert refused(duplicate("alpha", "beta"), state_of()) == ["connector beta: copy_from: there is no connector alpha"]


# Many at once.


def many(*names: str, **how: Any) -> Request:
    return Request(
        declarations=tuple(declared(SMTP, name=name) for name in names), merge=False, successor_option="default", **how
    )


def test_purging_deletes_what_is_not_listed() -> None:
    plan = planned(many("beta", "delta", purge=True), state_of(*THREE))
    assert (plan.created, plan.updated, plan.deleted, plan.unchanged) == (["delta"], [], ["alpha", "gamma"], 1)


def test_without_purging_nothing_is_deleted() -> None:
    assert planned(many("beta", "delta"), state_of(*THREE)).deleted == []


def test_purging_the_default_needs_another_default() -> None:
    state = state_of(*THREE, default="alpha")
    assert refused(many("beta", purge=True), state) == [
        "connector alpha: is the default, and other enabled connectors remain: name one with default"
    ]
    assert after(many("beta", purge=True, default="beta"), state).default == "beta"


def test_purging_a_connector_in_use_fails_unless_the_purpose_is_bound_anew() -> None:
    state = state_of(*THREE, bindings={"alerts": "alpha"})
    assert refused(many("beta", purge=True), state) == [
        "connector alpha: is in use by alerts: bind these purposes to another connector first"
    ]
    result = after(many("beta", purge=True, bind=bound(alerts="beta")), state)
    assert result.bindings == {purpose("alerts"): "beta"}


def test_purposes_are_purged_only_if_that_is_asked_for() -> None:
    state = state_of(*THREE, bindings={"alerts": "alpha", "approvals@acme": "beta"})
    assert not planned(many("alpha", "beta", "gamma", bind=bound(alerts="alpha")), state).changed
    result = after(many("alpha", "beta", "gamma", bind=bound(alerts="alpha"), purge_purposes=True), state)
    assert result.bindings == {purpose("alerts"): "alpha"}


def test_purging_purposes_frees_the_connectors_that_are_purged_with_them() -> None:
    state = state_of(*THREE, bindings={"alerts": "alpha"})
    assert after(many("beta", purge=True, purge_purposes=True), state).connectors.keys() == {"beta"}


def test_a_plan_tells_what_is_created_updated_and_unchanged() -> None:
    request = Request(
        declarations=(
            declared(SMTP, name="alpha"),
            declared({**SMTP, "description": "new"}, name="beta"),
            declared(SMTP, name="delta"),
        )
    )
    plan = planned(request, state_of(*THREE))
    assert (plan.created, plan.updated, plan.deleted, plan.unchanged) == (["delta"], ["beta"], [], 1)
    assert [change.name for change in plan.changes] == ["beta", "delta"]


# Renaming.


def test_a_rename_keeps_secrets_purposes_the_default_and_history() -> None:
    state = state_of(stored(USER), connector("beta"), default="alpha", bindings={"alerts": "alpha", "x": "beta"})
    result = after(present("alpha", new_name="omega"), state)
    old, new = state.connectors["alpha"], result.connectors["omega"]
    assert result.connectors.keys() == {"omega", "beta"}
    assert (new.settings, new.secrets, new.created) == (old.settings, old.secrets, old.created)
    assert result.default == "omega"
    assert result.bindings == {purpose("alerts"): "omega", purpose("x"): "beta"}


def test_a_rename_may_come_with_other_changes() -> None:
    request = present("alpha", {"description": "new"}, new_name="omega", default="omega")
    result = after(request, state_of(*THREE, default="beta"))
    assert result.default == "omega"
    assert result.connectors["omega"].settings["description"] == "new"


def test_a_repeated_rename_is_unchanged() -> None:
    request = present("alpha", {"description": "new"}, new_name="omega")
    assert not planned(request, after(request, state_of(*THREE, default="alpha", bindings={"x": "alpha"}))).changed


def test_a_rename_to_its_own_name_is_unchanged() -> None:
    assert not planned(present("alpha", new_name="alpha"), state_of(*THREE)).changed


def test_a_rename_onto_another_or_of_nothing_is_refused() -> None:
    assert refused(present("alpha", new_name="beta"), state_of(*THREE)) == [
        "connector alpha: new_name: connector beta exists already"
    ]
    assert refused(present("delta", new_name="omega"), state_of(*THREE)) == [
        "connector delta: new_name: there is no such connector to rename"
    ]


def test_the_old_name_of_a_rename_is_not_suggested() -> None:
    request = present("alpha", new_name="omega", not_default="omega", successor="alpha")
    assert refused(request, state_of(*THREE, default="alpha")) == [
        "connector alpha: cannot be the default: there is no such connector"
    ]


def test_a_rename_with_a_mistake_tells_that_mistake_alone() -> None:
    state = state_of(*THREE, default="beta", bindings={"alerts": "alpha"})
    bad = {"smtp.auth": "oauth2"}
    mistake = ["connector alpha: smtp.auth: oauth2 requires an oauth2 block"]
    assert refused(present("alpha", bad, new_name="omega"), state) == mistake
    assert refused(present("alpha", bad, new_name="omega", default="omega"), state) == mistake


# Purposes and tenants.


def test_binding_again_is_unchanged_and_binding_elsewhere_moves_the_purpose() -> None:
    state = state_of(*THREE, bindings={"alerts": "alpha"})
    assert not planned(Request(bind=bound(alerts="alpha")), state).changed
    plan = planned(Request(bind=bound(alerts="beta")), state)
    assert plan.bound == {purpose("alerts"): "beta"}
    assert plan.unbound == []


@pytest.mark.parametrize(("only_from", "goes"), [(None, True), ("alpha", True), ("beta", False)])
def test_a_purpose_is_unbound_from_anything_or_from_the_connector_named(only_from: str | None, goes: bool) -> None:
    state = state_of(*THREE, bindings={"alerts": "alpha", "alerts@acme": "alpha"})
    plan = planned(Request(unbind={purpose("alerts"): only_from}), state)
    assert plan.unbound == ([purpose("alerts")] if goes else [])
    assert plan.after.bindings[purpose("alerts@acme")] == "alpha"
    assert plan.changed is goes


def test_unbinding_what_is_not_bound_is_unchanged() -> None:
    assert not planned(Request(unbind={purpose("alerts"): None}), state_of(*THREE)).changed


ONLY_ACME: Flat = {**SMTP, "available_to": ["acme", "globex"]}


def test_a_connector_is_bound_for_its_own_tenants_only() -> None:
    state = state_of(stored(ONLY_ACME))
    assert refused(Request(bind={purpose("alerts@acme"): "alpha"}), state) == []
    assert refused(Request(bind={purpose("alerts@evil"): "alpha"}), state) == [
        "purpose alerts@evil: tenant: connector alpha is available to these tenants only: acme, globex"
    ]


def test_a_tenant_that_a_connector_serves_cannot_be_taken_away_from_it() -> None:
    state = state_of(stored(ONLY_ACME), bindings={"alerts@globex": "alpha"})
    assert refused(present("alpha", {"available_to": ["acme"]}), state) == [
        "purpose alerts@globex: tenant: connector alpha is available to these tenants only: acme"
    ]
    assert refused(present("alpha", {"available_to": []}), state) == []


RESOLVED: list[tuple[str, str | None]] = [
    ("alerts", "alpha"),
    ("alerts@acme", "beta"),
    ("alerts@globex", "alpha"),
    ("approvals", "gamma"),
    ("approvals@acme", "gamma"),
    ("secret@acme", "delta"),
    ("secret@evil", None),
]


@pytest.mark.parametrize(("asked", "expected"), RESOLVED)
def test_a_purpose_resolves_to_its_connector_else_the_default_never_to_another_tenants(
    asked: str, expected: str | None
) -> None:
    state = state_of(
        *THREE,
        stored(ONLY_ACME, name="delta"),
        default="gamma",
        bindings={"alerts": "alpha", "alerts@acme": "beta", "secret": "delta"},
    )
    if expected:
        assert resolve(purpose(asked), state).connector.name == expected
    else:
        with pytest.raises(DeclarationError) as told:
            resolve(purpose(asked), state)
        assert str(told.value) == f"purpose {asked}: tenant: connector delta is not available to this tenant"


def test_a_purpose_without_connector_and_default_is_an_error() -> None:
    with pytest.raises(DeclarationError) as told:
        resolve(purpose("alerts"), state_of(*THREE))
    assert str(told.value) == "purpose alerts: no connector is bound to it and there is no default"


def test_misspelt_purpose_is_told_with_the_nearest_one() -> None:
    with pytest.raises(DeclarationError) as told:
        resolve(purpose("alrets@acme"), state_of(*THREE), ["approvals", "alerts"])
    assert str(told.value).endswith("there is no default; did you mean alerts?")


def test_new_connector_without_a_host_is_not_taken_for_a_misspelt_one() -> None:
    request = present("alpah", {"smtp.username": "robot", "smtp.password": "p"})
    assert refused(request, state_of(*THREE)) == ["connector alpah: smtp.host: is required, or a provider that sets it"]
