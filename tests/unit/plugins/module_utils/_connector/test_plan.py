# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rules that always hold, one by one."""

from __future__ import annotations

from typing import Any

import pytest
from unit.plugins.module_utils._connector.given import (
    CREATED,
    NOW,
    absent,
    after,
    bound,
    declared,
    planned,
    present,
    purpose,
    refused,
    same_secret,
    sealed,
    state_of,
    stored,
    unchecked,
)

from ansible_collections.mailroom.core.plugins.module_utils._connector.plan import Request
from ansible_collections.mailroom.core.plugins.module_utils._connector.planning import make_plan
from ansible_collections.mailroom.core.plugins.module_utils._connector.secret import Secret
from ansible_collections.mailroom.core.plugins.module_utils._connector.state import Connector, State
from ansible_collections.mailroom.core.plugins.module_utils._errors import DeclarationError

Flat = dict[str, Any]

SMTP: Flat = {"smtp.host": "mail.example.com"}
USER: Flat = {**SMTP, "smtp.username": "robot@example.com", "smtp.password": "hunter2"}


def connector(name: str, flat: Flat | None = None) -> Connector:
    return stored(flat or SMTP, name=name)


def disabled(name: str) -> Connector:
    return stored({**SMTP, "enabled": False}, name=name)


THREE = (connector("alpha"), connector("beta"), connector("gamma"))


# Rule 1: at most one default.


def test_making_one_the_default_unmakes_the_other_in_the_same_plan() -> None:
    plan = planned(Request(default="beta"), state_of(*THREE, default="alpha"))
    assert plan.after.default == "beta"
    assert plan.default_changed
    assert plan.changed
    assert not plan.changes


def test_the_first_default_may_be_chosen_while_a_connector_is_created() -> None:
    assert after(present("alpha", SMTP, default="alpha"), state_of()).default == "alpha"


def test_the_default_stays_where_nobody_asks_for_another() -> None:
    state = state_of(*THREE, default="alpha")
    for request in (present("beta", {"description": "new"}), present("delta", SMTP), absent("beta")):
        assert after(request, state).default == "alpha"


def test_the_default_that_is_one_already_is_unchanged() -> None:
    state = state_of(*THREE, default="alpha")
    assert not planned(Request(default="alpha"), state).changed
    assert not planned(present("alpha", SMTP, default="alpha"), state).changed


# Rule 2: the default and every connector bound to a purpose exist and are enabled.


def test_a_missing_or_disabled_connector_cannot_be_the_default() -> None:
    state = state_of(disabled("alpha"))
    assert refused(Request(default="alpha"), state) == ["connector alpha: cannot be the default: it is disabled"]
    assert refused(Request(default="beta"), state) == [
        "connector beta: cannot be the default: there is no such connector"
    ]


def test_a_connector_may_be_enabled_and_made_the_default_at_once() -> None:
    state = after(present("alpha", {"enabled": True}, default="alpha"), state_of(disabled("alpha")))
    assert state.default == "alpha"
    assert state.connectors["alpha"].enabled


def test_clearing_enabled_enables() -> None:
    assert after(present("alpha", clear=("enabled",)), state_of(disabled("alpha"))).connectors["alpha"].enabled


def test_a_purpose_is_bound_to_enabled_connectors_only() -> None:
    state = state_of(disabled("alpha"))
    assert refused(Request(bind=bound(alerts="alpha")), state) == [
        "purpose alerts: connector: connector alpha is disabled"
    ]
    assert refused(Request(bind=bound(alerts="beta")), state) == [
        "purpose alerts: connector: connector beta does not exist"
    ]


def test_a_connector_may_be_created_and_bound_at_once() -> None:
    state = after(present("alpha", SMTP, bind=bound(alerts="alpha")), state_of())
    assert state.bindings == {purpose("alerts"): "alpha"}


# Rule 3: leaving.


REMAIN = "is the default, and other enabled connectors remain: name one with new_default"


@pytest.mark.parametrize(
    "leaving",
    [absent("alpha"), present("alpha", {"enabled": False}), present("alpha", not_default="alpha")],
    ids=["deleted", "disabled", "not the default any more"],
)
class TestTheDefaultLeaves:
    def test_default_that_goes_needs_a_successor_while_others_remain(self, leaving: Request) -> None:
        assert refused(leaving, state_of(*THREE, default="alpha")) == [f"connector alpha: {REMAIN}"]

    def test_default_that_goes_leaves_for_its_successor(self, leaving: Request) -> None:
        plan = planned(with_successor(leaving, "beta"), state_of(*THREE, default="alpha"))
        assert plan.after.default == "beta"
        assert plan.changed

    def test_the_successor_must_exist_be_enabled_and_be_another(self, leaving: Request) -> None:
        state = state_of(connector("alpha"), connector("beta"), disabled("gamma"), default="alpha")
        assert refused(with_successor(leaving, "alpha"), state) == [
            "connector alpha: new_default: must be another connector"
        ]
        assert refused(with_successor(leaving, "gamma"), state) == [
            "connector gamma: cannot be the default: it is disabled"
        ]
        assert refused(with_successor(leaving, "delta"), state) == [
            "connector delta: cannot be the default: there is no such connector"
        ]

    def test_disabled_ones_do_not_count_as_others(self, leaving: Request) -> None:
        state = state_of(connector("alpha"), disabled("beta"), default="alpha")
        assert after(leaving, state).default is None

    def test_the_last_one_leaves_without_a_successor(self, leaving: Request) -> None:
        assert after(leaving, state_of(connector("alpha"), default="alpha")).default is None

    def test_a_repetition_with_the_successor_is_unchanged(self, leaving: Request) -> None:
        request = with_successor(leaving, "beta")
        assert not planned(request, after(request, state_of(*THREE, default="alpha"))).changed

    def test_a_successor_is_not_used_where_another_is_the_default(self, leaving: Request) -> None:
        assert after(with_successor(leaving, "beta"), state_of(*THREE, default="gamma")).default == "gamma"


def with_successor(request: Request, name: str) -> Request:
    return request._replace(successor=name)


@pytest.mark.parametrize(
    "leaving", [absent("alpha"), present("alpha", {"enabled": False})], ids=["deleted", "disabled"]
)
def test_a_connector_in_use_stays_and_the_purposes_are_named(leaving: Request) -> None:
    state = state_of(*THREE, bindings={"phishing@acme": "alpha", "alerts": "alpha", "approvals": "beta"})
    assert refused(leaving, state) == [
        "connector alpha: is in use by alerts, phishing@acme: bind these purposes to another connector first"
    ]


@pytest.mark.parametrize(
    "leaving", [absent("alpha"), present("alpha", {"enabled": False})], ids=["deleted", "disabled"]
)
def test_a_connector_in_use_leaves_when_the_same_task_binds_all_its_purposes_anew(leaving: Request) -> None:
    state = state_of(*THREE, bindings={"phishing@acme": "alpha", "alerts": "alpha"})
    one = leaving._replace(bind=bound(alerts="beta"))
    assert refused(one, state) == [
        "connector alpha: is in use by phishing@acme: bind these purposes to another connector first"
    ]
    both = leaving._replace(bind={purpose("alerts"): "beta", purpose("phishing@acme"): "gamma"})
    assert after(both, state).bindings == {purpose("alerts"): "beta", purpose("phishing@acme"): "gamma"}


@pytest.mark.parametrize(
    "leaving", [absent("alpha"), present("alpha", {"enabled": False})], ids=["deleted", "disabled"]
)
def test_of_a_default_in_use_the_purposes_are_named_too(leaving: Request) -> None:
    state = state_of(*THREE, default="alpha", bindings={"alerts": "alpha"})
    assert refused(leaving, state) == [
        "connector alpha: is the default, and other enabled connectors remain: name one with new_default",
        "connector alpha: is in use by alerts: bind these purposes to another connector first",
    ]


def test_the_default_may_not_be_disabled_under_a_new_name_either() -> None:
    state = state_of(*THREE, default="alpha")
    hidden = present("alpha", {"enabled": False}, new_name="omega")
    assert refused(hidden, state)
    assert after(with_successor(hidden, "beta"), state).default == "beta"


def test_a_connector_in_use_may_not_be_disabled_under_a_new_name_either() -> None:
    state = state_of(*THREE, bindings={"alerts": "alpha"})
    (told,) = refused(present("alpha", {"enabled": False}, new_name="omega"), state)
    assert "is in use by alerts" in told


def test_deleting_what_is_not_there_is_unchanged() -> None:
    assert not planned(absent("delta"), state_of(*THREE)).changed
    assert not planned(absent("delta", successor="alpha"), state_of(*THREE, default="beta")).changed


def test_deleting_tells_what_goes() -> None:
    plan = planned(absent("alpha"), state_of(*THREE))
    assert (plan.created, plan.updated, plan.deleted) == ([], [], ["alpha"])
    assert "alpha" not in plan.after.connectors


# Rule 5 has a file of its own; here is what update_password does besides.


def test_a_password_is_updated_unless_it_is_set_on_create_only() -> None:
    state = state_of(stored(USER))
    request = present("alpha", {"smtp.password": "hunter3"})
    updated = after(request, state).connectors["alpha"]
    assert updated.secrets["smtp.password"] == sealed(Secret("hunter3"))
    assert updated.revision == 2
    assert not planned(present("alpha", {"smtp.password": "hunter3"}, update_password="on_create"), state).changed


@pytest.mark.parametrize("update_password", ["always", "on_create"])
def test_the_same_password_is_unchanged(update_password: str) -> None:
    assert not planned(present("alpha", USER, update_password=update_password), state_of(stored(USER))).changed


def test_under_on_create_a_password_that_was_never_stored_is_stored() -> None:
    state = state_of(unchecked({**SMTP, "smtp.username": "robot@example.com"}))
    held = after(present("alpha", USER, update_password="on_create"), state).connectors["alpha"].secrets
    assert held == {"smtp.password": sealed(Secret("hunter2"))}


def test_an_unchanged_secret_keeps_its_very_token() -> None:
    state = state_of(stored(USER))
    plan = planned(present("alpha", {**USER, "description": "new"}), state)
    assert plan.after.connectors["alpha"].secrets == state.connectors["alpha"].secrets


# Rule 7 and 8: the plan changes nothing itself.


def test_planning_leaves_the_state_as_it_was() -> None:
    state = state_of(*THREE, stored(USER, name="delta"), default="alpha", bindings={"alerts": "alpha"})
    snapshot = repr(state)
    planned(present("delta", {"smtp.password": "other", "smtp.host": "other.example.com"}, default="delta"), state)
    refused(absent("alpha"), state)
    assert repr(state) == snapshot


def test_one_wrong_connector_keeps_all_others_from_changing() -> None:
    request = Request(declarations=(declared(SMTP, name="good"), declared({"smtp.relay": True}, name="bad")))
    with pytest.raises(DeclarationError) as told:
        planned(request, state_of())
    assert [problem.where for problem in told.value.problems] == ["connector bad"]


# Rule 9: what is left out.


BEFORE: Flat = {
    **USER,
    "description": "kept",
    "smtp.proxy": "http://proxy.example.com:3128",
    "smtp.proxy_username": "robot",
    "smtp.proxy_password": "proxy-pass",
}


def changed_to(request: Request, flat: Flat | None = None) -> Connector:
    return after(request, state_of(stored(flat or BEFORE))).connectors["alpha"]


def test_what_is_left_out_stays() -> None:
    result = changed_to(present("alpha", {"from_name": "New"}))
    before = stored(BEFORE)
    assert result.settings == {**before.settings, "from_name": "New"}
    assert result.secrets == before.secrets


def test_empty_values_clear() -> None:
    flat = {**USER, "description": "old", "cc": ["a@example.com"], "headers": {"X-A": "b"}}
    request = Request(declarations=(declared({"description": "", "cc": [], "smtp.username": ""}, headers={}),))
    result = changed_to(request, flat)
    assert result.settings == {"smtp": {"host": "mail.example.com"}}
    assert result.secrets == {}


@pytest.mark.parametrize(
    ("flat", "clear", "gone"),
    [
        ({"smtp.auth": "none"}, (), {"smtp.password"}),
        ({}, ("smtp.password", "smtp.username"), {"smtp.password"}),
        ({}, ("smtp.username",), {"smtp.password"}),
        ({}, ("smtp.proxy_password",), {"smtp.proxy_password"}),
        ({"smtp.password": "hunter2"}, ("smtp.proxy",), {"smtp.proxy_password"}),
        ({"imap.host": "imap.example.com"}, ("smtp",), {"smtp.password", "smtp.proxy_password"}),
    ],
)
def test_clearing_drops_secrets_that_have_no_use_any_more(flat: Flat, clear: tuple[str, ...], gone: set[str]) -> None:
    result = changed_to(present("alpha", flat, clear=clear))
    assert {"smtp.password", "smtp.proxy_password"} - result.secrets.keys() == gone


def test_a_cleared_secret_does_not_come_back() -> None:
    state = after(present("alpha", {"smtp.auth": "none"}), state_of(stored(USER)))
    assert refused(present("alpha", {"smtp.auth": "password"}), state) == [
        "connector alpha: smtp.password: is required to sign in with a password"
    ]


def test_clearing_is_unchanged_when_repeated() -> None:
    request = present("alpha", {"smtp.password": "hunter2"}, clear=("smtp.proxy", "imap", "cc"))
    assert not planned(request, after(request, state_of(stored(BEFORE)))).changed


def test_clearing_a_port_beside_a_new_host_is_unchanged_when_repeated() -> None:
    request = present("alpha", {"smtp.host": "other.example.com"}, clear=("smtp.port",))
    state = after(request, state_of(stored({"smtp.uri": "smtp://mail.example.com:2525"})))
    assert not planned(request, state).changed


def test_one_way_to_sign_in_drops_the_secret_of_another() -> None:
    flat = {
        "graph.mailbox": "a@example.com",
        "oauth2.tenant_id": "contoso",
        "oauth2.client_id": "app",
        "oauth2.client_secret": "s",
    }
    assert changed_to(present("alpha", {"oauth2.certificate_file": "/app.pfx"}), flat).secrets == {}


def whole(flat: Flat, **how: Any) -> Request:
    return present("alpha", flat, merge=False, **how)


def test_a_whole_declaration_returns_what_it_leaves_out_to_its_default_but_keeps_secrets() -> None:
    flat = {path: value for path, value in BEFORE.items() if not path.endswith("password") and path != "description"}
    result = changed_to(whole(flat))
    assert result.settings == declared(flat).settings
    assert result.secrets == stored(BEFORE).secrets


def test_a_whole_declaration_drops_secrets_that_have_no_use_any_more() -> None:
    assert changed_to(whole({"smtp.host": "mail.example.com"})).secrets == {}


def test_a_whole_declaration_is_unchanged_when_repeated_with_or_without_its_secrets() -> None:
    state = state_of(stored(BEFORE))
    assert not planned(whole(BEFORE), state).changed
    without = {path: value for path, value in BEFORE.items() if not path.endswith("password")}
    plan = planned(whole(without), state)
    assert not plan.changed
    assert plan.unchanged == 1


# Rule 10: revisions.


PROVEN: Flat = {**USER, "imap.host": "imap.example.com", "imap.username": "robot", "imap.password": "imap-pass"}
SENDS_DIFFERENTLY: list[tuple[Flat, tuple[str, ...]]] = [
    ({"smtp.port": 25}, ()),
    ({"smtp.password": "hunter3"}, ()),
    ({"smtp.ehlo_name": "robot.example.com"}, ()),
    ({"smtp.auth": "none"}, ()),
    ({"from_address": "new@example.com"}, ()),
    ({"from_name": "New"}, ()),
    ({"errors_to": "new@example.com"}, ()),
    ({"oauth2.managed_identity": "system"}, ()),
    ({}, ("smtp.username",)),
    ({"smtp.proxy": "http://p.example.com:1", "smtp.password": "hunter2"}, ()),
]
SENDS_THE_SAME: list[tuple[Flat, tuple[str, ...]]] = [
    ({"description": "new"}, ()),
    ({"display_name": "New"}, ()),
    ({"signature": "Yours"}, ()),
    ({"reply_to": "new@example.com", "cc": ["a@example.com"], "bcc": ["b@example.com"]}, ()),
    ({"headers": {"X-A": "b"}}, ()),
    ({"test_address": "t@example.com"}, ()),
    ({"available_to": ["acme"]}, ()),
    ({"enabled": False}, ()),
    ({"imap.mailbox": "Archive"}, ()),
    ({"imap.password": "other"}, ()),
    ({}, ("imap",)),
    ({"smtp.port": 587}, ()),
]


@pytest.mark.parametrize(("flat", "clear"), SENDS_DIFFERENTLY)
def test_what_sending_depends_on_makes_init_mail_due_again(flat: Flat, clear: tuple[str, ...]) -> None:
    result = changed_to(present("alpha", flat, clear=clear), PROVEN)
    assert (result.revision, result.sending_revision) == (2, 2)


@pytest.mark.parametrize(("flat", "clear"), SENDS_THE_SAME)
def test_anything_else_is_a_revision_that_leaves_init_mail_proven(flat: Flat, clear: tuple[str, ...]) -> None:
    result = changed_to(present("alpha", flat, clear=clear), PROVEN)
    assert (result.revision, result.sending_revision) == (2, 1)


def test_the_imap_password_is_one_that_sending_depends_on_where_it_is_shared() -> None:
    flat = {path: value for path, value in PROVEN.items() if path not in ("smtp.username", "smtp.password")}
    shared = {**flat, "smtp.same_credentials": True}
    assert changed_to(present("alpha", {"imap.password": "other"}), shared).sending_revision == 2
    other_user = {"imap.username": "other", "imap.password": "other"}
    assert changed_to(present("alpha", other_user), shared).sending_revision == 2


def test_the_default_and_purposes_are_no_revision() -> None:
    result = after(present("alpha", default="alpha", bind=bound(alerts="alpha")), state_of(*THREE))
    assert result.connectors["alpha"] is THREE[0]


def test_an_unchanged_connector_keeps_its_revision_and_stamps() -> None:
    state = state_of(stored(PROVEN))
    plan = planned(present("alpha", PROVEN), state)
    assert plan.after.connectors["alpha"] is state.connectors["alpha"]


def test_a_change_is_stamped_and_leaves_the_creation_alone() -> None:
    result = changed_to(present("alpha", {"description": "new"}), PROVEN)
    assert (result.created, result.updated) == (CREATED, NOW)


def test_a_rename_leaves_init_mail_proven() -> None:
    assert after(present("alpha", new_name="omega"), state_of(stored(USER))).connectors["omega"].sending_revision == 1


# What a request asks a registry for.


def test_a_plan_is_the_same_from_the_part_that_it_asks_for_as_from_all() -> None:
    state = state_of(
        *THREE, stored(USER, name="delta"), default="gamma", bindings={"alerts": "alpha", "x@acme": "beta"}
    )
    requests = [
        present("alpha", {"description": "new"}),
        present("alpha", {"enabled": False}),
        absent("gamma"),
        absent("gamma", successor="beta"),
        present("delta", new_name="omega"),
        present("copy", {"smtp.password": "p"}, copy_from="delta"),
        Request(default="beta"),
        Request(bind=bound(alerts="beta")),
        Request(unbind={purpose("alerts"): "beta"}),
        Request(unbind={purpose("x@acme"): None}),
    ]
    for request in requests:
        assert told(request, state, part=True) == told(request, state, part=False)


def told(request: Request, state: State, *, part: bool) -> Any:
    try:
        plan = planned(request, state) if part else make_plan(request, state, same_secret, NOW)
    except DeclarationError as error:
        return str(error)
    return plan.changed, plan.created, plan.updated, plan.deleted, plan.after.default, plan.bound, plan.unbound


# The day on which a client secret expires is only for warnings.

EXPIRING: Flat = {
    **SMTP,
    "oauth2.tenant_id": "contoso.example.com",
    "oauth2.client_id": "app",
    "oauth2.client_secret": "s3cret",
    "oauth2.client_secret_expires": "2027-05-31",
}


def test_another_day_on_which_a_client_secret_expires_leaves_init_mail_proven() -> None:
    result = after(present("alpha", {"oauth2.client_secret_expires": "2028-05-31"}), state_of(stored(EXPIRING)))
    assert (result.connectors["alpha"].revision, result.connectors["alpha"].sending_revision) == (2, 1)


@pytest.mark.parametrize(
    ("flat", "clear"),
    [
        ({"oauth2.assertion_file": "/run/assertion"}, ()),
        ({"oauth2.username": "robot@example.com", "oauth2.password": "hunter2"}, ("oauth2.client_secret",)),
        ({"smtp.auth": "none"}, ("oauth2",)),
    ],
)
def test_day_on_which_a_client_secret_expires_goes_with_it(flat: Flat, clear: tuple[str, ...]) -> None:
    result = after(present("alpha", flat, clear=clear), state_of(stored(EXPIRING))).connectors["alpha"]
    assert "client_secret_expires" not in result.settings.get("oauth2", {})
