# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from peers.connectors import resolved

from ansible_collections.mailroom.core.plugins.module_utils._connector.effective import derive_settings
from ansible_collections.mailroom.core.plugins.module_utils._message.compose import Facts, facts_of

OAUTH2 = {"tenant_id": "example.com", "client_id": "c", "username": "box@example.com"}


def _facts(settings: dict[str, Any], *secrets: str) -> Facts:
    return facts_of(resolved(derive_settings(settings, {}, secrets, "alerts")), "Acme")


def test_facts_of_a_connector_that_sends_over_smtp() -> None:
    settings = {"smtp": {"host": "mx.example.com", "username": "apikey"}, "display_name": "Alerts"}
    assert _facts(settings, "smtp.password") == Facts(
        "alerts", "Alerts", "smtp", "mx.example.com", 587, "starttls", "apikey", "Acme"
    )


def test_facts_of_a_connector_with_the_credentials_of_its_imap_block() -> None:
    imap = {"host": "imap.example.com", "username": "box@example.com"}
    settings = {"smtp": {"host": "mx.example.com", "same_credentials": True}, "imap": imap}
    assert _facts(settings, "imap.password").user == "box@example.com"


def test_a_user_who_does_not_sign_in_is_not_named() -> None:
    facts = _facts({"smtp": {"host": "mx.example.com", "username": "someone", "auth": "none"}})
    assert facts.user == ""
    assert ("User", "none, it does not sign in") in facts.rows()


@pytest.mark.parametrize(
    ("cloud", "graph", "place"),
    [
        ("global", {}, ("graph.microsoft.com", 443)),
        ("us_gov", {}, ("graph.microsoft.us", 443)),
        ("global", {"url": "https://graph.example.com:8443"}, ("graph.example.com", 8443)),
    ],
)
def test_facts_of_a_connector_that_sends_over_graph(cloud: str, graph: dict[str, Any], place: tuple[str, int]) -> None:
    facts = _facts({"graph": graph, "oauth2": {**OAUTH2, "cloud": cloud}}, "oauth2.client_secret")
    assert (facts.host, facts.port) == place
    assert (facts.type, facts.security, facts.user) == ("graph", "tls", "box@example.com")


def test_what_is_not_known_is_left_out_and_a_name_stands_once() -> None:
    assert Facts("alerts", "alerts", "smtp").rows() == [
        ("Connector", "alerts"),
        ("Type", "smtp"),
        ("User", "none, it does not sign in"),
    ]
