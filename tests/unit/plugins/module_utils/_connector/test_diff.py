# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a change looks like: only what differs, and never a secret."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.plugins.module_utils._connector.given import (
    ACCEPTED,
    GOOGLE_KEY,
    PEM,
    SECRET_VALUES,
    bounded,
    declared,
    nested,
    planned,
    state_of,
    stored,
    unchecked,
)

from ansible_collections.mailroom.core.plugins.module_utils._connector.diff import difference
from ansible_collections.mailroom.core.plugins.module_utils._connector.fields import SECRETS
from ansible_collections.mailroom.core.plugins.module_utils._connector.plan import Request

Flat = dict[str, Any]

BASE: Flat = {"smtp.host": "mail.example.com", "smtp.username": "robot", "smtp.password": "hunter2"}


def changed(before: Flat, change: Flat, **how: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    request = Request(declarations=(declared(change, clear=how.pop("clear", ())),), **how)
    (only,) = planned(request, state_of(stored(before))).changes
    return only.difference


CHANGES: dict[str, tuple[Flat, Flat, dict[str, Any], dict[str, Any]]] = {
    "a field is new": (BASE, {"description": "new"}, {}, {"description": "new"}),
    "a field is other": (
        {**BASE, "description": "old"},
        {"description": "new"},
        {"description": "old"},
        {"description": "new"},
    ),
    "a field goes": ({**BASE, "description": "old"}, {"description": ""}, {"description": "old"}, {}),
    "a field of a block": (BASE, {"smtp.port": 25}, {}, {"smtp": {"port": 25}}),
    "a list": ({**BASE, "cc": ["a@b"]}, {"cc": ["a@b", "c@d"]}, {"cc": ["a@b"]}, {"cc": ["a@b", "c@d"]}),
    "headers": (
        {**BASE, "headers": {"X-A": "a"}},
        {"headers": {"X-B": "b"}},
        {"headers": {"X-A": "a"}},
        {"headers": {"X-B": "b"}},
    ),
    "another password": (
        BASE,
        {"smtp.password": "hunter3"},
        {"smtp": {"password": "(stored)"}},
        {"smtp": {"password": "(changed)"}},
    ),
    "no password any more": (
        BASE,
        {"smtp.auth": "none"},
        {"smtp": {"password": "(stored)"}},
        {"smtp": {"auth": "none"}},
    ),
    "a new password": (
        {"smtp.host": "mail.example.com", "smtp.username": "robot", "smtp.password": "hunter1"},
        {"smtp.password": "hunter2"},
        {"smtp": {"password": "(stored)"}},
        {"smtp": {"password": "(changed)"}},
    ),
    "what another provider fills": (
        {"provider": "gmail", "smtp.relay": True},
        {"provider": "postmark"},
        {"provider": "gmail", "smtp": {"host": "smtp.gmail.com", "port": 465, "security": "tls"}},
        {"provider": "postmark", "smtp": {"host": "smtp.postmarkapp.com", "port": 587, "security": "starttls"}},
    ),
    "a uri in place of host and port": (
        {"smtp.host": "mail.example.com", "smtp.port": 25},
        {"smtp.uri": "smtp://mail.example.com:25"},
        {"smtp": {"host": "mail.example.com", "port": 25}},
        {"smtp": {"uri": "smtp://mail.example.com:25"}},
    ),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_difference_shows_exactly_what_differs(case: str) -> None:
    before, change, old, new = CHANGES[case]
    assert changed(before, change) == (old, new)


def test_a_rename_shows_both_names() -> None:
    assert changed(BASE, {}, new_name="beta") == ({"name": "alpha"}, {"name": "beta"})


def test_creating_shows_everything_declared_and_deleting_everything_stored() -> None:
    connector = stored(BASE)
    all_of_it = {"name": "alpha", "smtp": {"host": "mail.example.com", "username": "robot", "password": "(stored)"}}
    assert difference(None, connector) == ({}, all_of_it)
    assert difference(connector, None) == (all_of_it, {})
    (creation,) = planned(Request(declarations=(declared(BASE),)), state_of()).changes
    assert creation.difference[1]["smtp"]["password"] == "(changed)"


def test_nothing_differs_between_a_connector_and_itself() -> None:
    connector = unchecked({**ACCEPTED, **SECRET_VALUES})
    assert difference(connector, connector) == ({}, {})
    assert difference(None, None) == ({}, {})


LONG = st.text("abcdefghijkmnpqrstuvwxyz0123456789", min_size=24, max_size=40)


def secret_values(values: dict[str, str]) -> Flat:
    wrap = {
        "oauth2.certificate": lambda value: PEM.replace("MII=", value),
        "oauth2.service_account": lambda value: GOOGLE_KEY.replace("pem", value),
    }
    return {path: wrap.get(path, str)(value) for path, value in values.items()}


@bounded
@given(
    st.dictionaries(st.sampled_from(sorted(SECRETS)), LONG),
    st.dictionaries(st.sampled_from(sorted(SECRETS)), LONG),
    st.sets(st.sampled_from(sorted(ACCEPTED))),
    st.sets(st.sampled_from(sorted(ACCEPTED))),
)
def test_no_secret_ever_shows_in_a_difference_and_none_goes_unmentioned(
    before: dict[str, str], after: dict[str, str], fields: set[str], other_fields: set[str]
) -> None:
    old = unchecked({**{path: ACCEPTED[path] for path in fields}, **secret_values(before)})
    fresh = declared({**{path: ACCEPTED[path] for path in other_fields}, **secret_values(after)})
    new = type(old)("alpha", fresh.settings, {}, fresh.secrets)
    shown = difference(old, new)
    assert not any(value in json.dumps(shown) for value in (*before.values(), *after.values()))
    told_before, told_after = shown
    assert nested(dict.fromkeys(before, "(stored)")) == only_secrets(told_before)
    assert nested(dict.fromkeys(after, "(changed)")) == only_secrets(told_after)


def only_secrets(side: dict[str, Any]) -> dict[str, Any]:
    return nested(
        {
            path: side[block][inner]
            for path in sorted(SECRETS)
            for block, dot, inner in [path.partition(".")]
            if inner in side.get(block, {})
        }
    )
