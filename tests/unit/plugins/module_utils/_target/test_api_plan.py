# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""When a secret is sent to an application, and when it is not."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.mailroom.core.plugins.module_utils._connector.secret import Secret
from ansible_collections.mailroom.core.plugins.module_utils._errors import DeclarationError
from ansible_collections.mailroom.core.plugins.module_utils._target.api_plan import (
    plan_removal,
    plan_write,
    stored_destination_digest,
)
from ansible_collections.mailroom.core.plugins.module_utils._target.api_target import ApiTarget, Stored, Wanted
from ansible_collections.mailroom.core.plugins.module_utils._target.api_targets import API_TARGETS

SECRET = Secret("Rumpelstilzchen")
CLEAR, MASK, RESEND = (API_TARGETS[name] for name in ("zabbix", "airflow", "privacyidea"))
FIELDS: dict[str, dict[str, Any]] = {
    "zabbix": {"smtp_server": "a", "smtp_port": "25", "smtp_email": "x@example.com"},
    "airflow": {"host": "a", "port": 25, "from_email": "x@example.com"},
    "privacyidea": {"server": "a", "port": 25, "sender": "x@example.com"},
}


def shown(target: ApiTarget, secret: str = "Rumpelstilzchen") -> Secret:
    return Secret(secret if target is CLEAR else next(iter(target.masks)))


def plan(target: ApiTarget, last: bool = True, update: Any = "on_change", **stored: Any) -> tuple[str, str, set[str]]:
    """The action, the state of the secret, and the fields that change, where the application has what is given."""
    fields = FIELDS[target.name]
    names = dict(zip(("server", "port", "sender"), fields))
    there = {**fields, **{names[name]: value for name, value in stored.items() if name in names}}
    before = Stored("1", there, stored.get("shown", shown(target)))
    made = plan_write(target, before, Wanted(fields, SECRET), lambda _secret, _stored: last, update)
    return made.action, made.secret, {*made.changed}


@pytest.mark.parametrize(("target", "secret"), [(CLEAR, "verified"), (MASK, "unchanged"), (RESEND, "unchanged")])
def test_what_is_as_it_was_written_is_left_alone(target: ApiTarget, secret: str) -> None:
    assert plan(target) == ("none", secret, set())


@pytest.mark.parametrize("target", [CLEAR, MASK, RESEND])
def test_another_destination_always_gets_the_secret(target: ApiTarget) -> None:
    action, secret, changed = plan(target, server="b")
    assert (action, secret, target.secret_field in changed) == ("update", "sent", True)


@pytest.mark.parametrize(("target", "secret"), [(CLEAR, "verified"), (MASK, "unchanged"), (RESEND, "sent")])
def test_another_field_takes_the_secret_along_only_where_it_has_to(target: ApiTarget, secret: str) -> None:
    assert plan(target, sender="y@example.com")[1] == secret


@pytest.mark.parametrize("target", [MASK, RESEND])
def test_secret_that_is_not_known_to_be_there_is_sent(target: ApiTarget) -> None:
    assert plan(target, last=False) == ("update", "sent", {"password"})


def test_secret_that_is_shown_needs_no_record() -> None:
    assert plan(CLEAR, last=False)[1] == "verified"
    assert plan(CLEAR, shown=Secret("another"))[1] == "sent"


def test_a_text_in_place_of_a_mask_is_somebodys_secret() -> None:
    keepnet = API_TARGETS["keepnet"]
    there = Stored("1", {}, Secret("another"))
    assert plan_write(keepnet, there, Wanted({}, SECRET), lambda _secret, _stored: True, "on_change").secret == "sent"


@pytest.mark.parametrize("target", [CLEAR, MASK, RESEND])
def test_always_sends(target: ApiTarget) -> None:
    assert plan(target, update="always") == ("update", "sent", {target.secret_field})


@pytest.mark.parametrize("target", [CLEAR, MASK, RESEND])
def test_never_is_refused_where_the_secret_has_to_be_sent(target: ApiTarget) -> None:
    with pytest.raises(DeclarationError, match="update_secret: cannot be never where the secret's destination"):
        plan(target, update="never", server="b")
    with pytest.raises(DeclarationError, match="there is nothing of that name"):
        plan_write(target, None, Wanted({}, SECRET), lambda _secret, _stored: False, "never")


def test_never_is_refused_where_every_update_needs_the_secret() -> None:
    with pytest.raises(DeclarationError, match="needs the secret with every update"):
        plan(RESEND, update="never", sender="y@example.com")
    assert plan(MASK, update="never", sender="y@example.com")[:2] == ("update", "unchanged")


def test_secret_that_was_not_sent_is_not_taken_for_known() -> None:
    before = Stored("1", {}, shown(MASK))
    made = plan_write(MASK, before, Wanted({}, SECRET), lambda _secret, _stored: False, "never")
    assert (made.action, made.knows_secret) == ("none", False)


def test_secret_goes_where_the_connector_has_none() -> None:
    made = plan_write(MASK, Stored("1", {}, shown(MASK)), Wanted({}), lambda _secret, _stored: False, "on_change")
    assert (made.action, made.secret, made.changed) == ("update", "none", {"password"})


def test_no_secret_is_in_a_plan() -> None:
    before = Stored("1", {"host": "a"}, Secret("another-secret"))
    made = plan_write(CLEAR, before, Wanted({"host": "b"}, SECRET), lambda _secret, _stored: False, "on_change")
    removed = plan_removal(CLEAR, before)
    assert "another-secret" not in f"{made}{removed}"
    assert "Rumpelstilzchen" not in f"{made}{removed}"
    assert made.difference == ({"host": "a", "passwd": "(stored)"}, {"host": "b", "passwd": "(changed)"})


def test_digest_tells_destinations_and_a_missing_secret_apart() -> None:
    there = Stored("1", {"host": "a", "from_email": "x@example.com"}, shown(MASK))
    others = [
        Stored("1", {**there.fields, "host": "b"}, there.shown),
        Stored("1", there.fields, Secret("")),
    ]
    digests = {stored_destination_digest(MASK, each) for each in (there, *others)}
    assert len(digests) == 3
    assert stored_destination_digest(MASK, Stored("2", {"host": "a"}, there.shown)) in digests
