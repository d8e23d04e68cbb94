# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the user sees of a connector."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.plugins.module_utils._connector.given import (
    ACCEPTED,
    CREATED,
    NOW,
    SECRET_VALUES,
    bounded,
    state_of,
    stored,
    unchecked,
)

from ansible_collections.mailroom.core.plugins.module_utils._connector.fields import BY_PATH, SECRETS
from ansible_collections.mailroom.core.plugins.module_utils._connector.state import Proof
from ansible_collections.mailroom.core.plugins.module_utils._connector.view import view, views

SMTP: dict[str, Any] = {"smtp.host": "mail.example.com"}
GRAPH = {"graph.mailbox": "a@example.com", "oauth2.managed_identity": "system"}

FIELDS = (
    "name display_name description enabled provider from_address from_name signature reply_to errors_to cc bcc headers"
    " test_address available_to smtp imap graph oauth2"
).split()
BESIDES = "type is_default purposes secrets revision created_at created_by updated_at updated_by init_mail".split()


def test_a_view_has_every_field_of_a_connector_and_what_the_registry_knows() -> None:
    assert sorted(view(stored(SMTP), state_of())) == sorted([*FIELDS, *BESIDES])


def test_every_declared_value_is_shown_and_no_secret_is() -> None:
    shown = view(unchecked({**ACCEPTED, **SECRET_VALUES}), state_of())
    for path, value in ACCEPTED.items():
        block, _dot, inner = path.partition(".")
        if path not in ("smtp.host", "smtp.port"):
            assert (shown[block][inner] if inner else shown[block]) == value
    assert shown["secrets"] == sorted(SECRETS)
    for path in SECRETS:
        block, _dot, inner = path.partition(".")
        assert inner not in shown[block]


def test_a_connector_with_little_shows_what_is_derived_and_null_or_empty_for_the_rest() -> None:
    assert view(stored(SMTP), state_of()) == {
        "name": "alpha",
        "type": "smtp",
        "display_name": "alpha",
        "description": None,
        "enabled": True,
        "provider": None,
        "from_address": None,
        "from_name": None,
        "signature": None,
        "reply_to": None,
        "errors_to": None,
        "cc": [],
        "bcc": [],
        "headers": {},
        "test_address": None,
        "available_to": [],
        "smtp": {
            "host": "mail.example.com",
            "port": 587,
            "security": "starttls",
            "auth": "none",
            "same_credentials": False,
            "relay": False,
            "validate_certs": True,
        },
        "imap": None,
        "graph": None,
        "oauth2": None,
        "secrets": [],
        "is_default": False,
        "purposes": [],
        "revision": 1,
        "created_at": CREATED.at,
        "created_by": CREATED.by,
        "updated_at": CREATED.at,
        "updated_by": CREATED.by,
        "init_mail": {"sent_at": None, "sent_to": None, "due": True},
    }


def test_the_default_the_purposes_and_the_last_change_are_shown() -> None:
    alpha = replace(stored(SMTP), updated=NOW, revision=7)
    state = state_of(
        alpha,
        stored(SMTP, name="beta"),
        default="alpha",
        bindings={"phishing@acme": "alpha", "alerts": "alpha", "approvals": "beta"},
    )
    shown = view(alpha, state)
    assert shown["is_default"]
    assert shown["purposes"] == ["alerts", "phishing@acme"]
    assert (shown["revision"], shown["updated_at"], shown["updated_by"]) == (7, NOW.at, NOW.by)
    assert not view(state.connectors["beta"], state)["is_default"]
    assert views(["beta", "alpha"], state) == [view(state.connectors[name], state) for name in ("beta", "alpha")]


def proof(revision: int) -> Proof:
    return Proof(revision, "2026-03-04T05:06:07Z", "tests@example.com")


DUE: list[tuple[dict[str, Any], int, Proof | None, bool]] = [
    (SMTP, 1, None, True),
    (SMTP, 1, proof(1), False),
    (SMTP, 1, proof(3), False),
    (SMTP, 3, proof(2), True),
    (SMTP, 3, proof(3), False),
    ({**SMTP, "enabled": False}, 1, None, False),
    ({"imap.host": "imap.example.com"}, 1, None, False),
    (GRAPH, 1, None, True),
    (GRAPH, 1, proof(1), False),
]


@pytest.mark.parametrize(("flat", "sending_revision", "proven", "due"), DUE)
def test_init_mail_is_due_until_the_present_settings_are_proven(
    flat: dict[str, Any], sending_revision: int, proven: Proof | None, due: bool
) -> None:
    shown = view(replace(stored(flat), sending_revision=sending_revision, proof=proven), state_of())["init_mail"]
    assert shown == {
        "sent_at": proven.at if proven else None,
        "sent_to": proven.to if proven else None,
        "due": due,
    }


@pytest.mark.parametrize("path", sorted(SECRETS))
def test_the_name_of_a_stored_secret_is_shown(path: str) -> None:
    assert view(unchecked({path: SECRET_VALUES[path]}), state_of())["secrets"] == [path]


LONG = st.text("abcdefghijkmnpqrstuvwxyz0123456789", min_size=24, max_size=40)
PLAIN_SECRETS = sorted(SECRETS - {"oauth2.certificate", "oauth2.service_account"})


@bounded
@given(st.dictionaries(st.sampled_from(PLAIN_SECRETS), LONG, min_size=1), st.sets(st.sampled_from(sorted(ACCEPTED))))
def test_no_secret_ever_shows_in_a_view(values: dict[str, str], fields: set[str]) -> None:
    connector = unchecked({**{path: ACCEPTED[path] for path in fields}, **values})
    shown = json.dumps(view(connector, state_of(connector)))
    assert json.dumps(sorted(values)) in shown
    assert not any(value in shown for value in values.values())


def test_a_view_is_plain_data_that_json_can_carry() -> None:
    shown = view(unchecked({**ACCEPTED, **SECRET_VALUES}), state_of())
    assert json.loads(json.dumps(shown)) == shown
    assert BY_PATH.keys() - SECRETS == {path for path in BY_PATH if path not in shown["secrets"]}
