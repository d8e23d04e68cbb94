# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Connectors that earlier releases have stored, and that may no longer be declared: they are used until changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from peers.scripted import ScriptedServer
from peers.smtp import SmtpScript

from ansible_collections.mailroom.core.plugins.module_utils._check.interface import Bounds
from ansible_collections.mailroom.core.plugins.module_utils._check.result import Result
from ansible_collections.mailroom.core.plugins.module_utils._check.runner import run
from ansible_collections.mailroom.core.plugins.module_utils._connector.declaration import parse_declaration
from ansible_collections.mailroom.core.plugins.module_utils._connector.resolved import resolve_connector
from ansible_collections.mailroom.core.plugins.module_utils._connector.state import Connector, State
from ansible_collections.mailroom.core.plugins.module_utils._connector.view import view
from ansible_collections.mailroom.core.plugins.module_utils._module.jobs import make_job
from ansible_collections.mailroom.core.plugins.module_utils._target.files.msmtp import Msmtp
from ansible_collections.mailroom.core.plugins.module_utils._target.interface import account_of

STORED: dict[str, dict[str, Any]] = {
    "from_address": {"from_address": "ops@fa\u00df.example"},
    "copies": {"cc": ["a@fa\u00df.example"], "bcc": ["b@\u2603.example"]},
    "errors_to": {"errors_to": "bounces@\u03b2\u03cc\u03bb\u03bf\u03c2.example"},
    "test_address": {"test_address": "=?utf-8?q?x?=@example.com"},
    "headers": {"headers": {"Received": "from nowhere", "Resent-To": "x@example.com", "Content-Language": "de"}},
    "host": {"host": "\u2603.example"},
    "uri": {"uri": "smtp://fa\u00df.example:25"},
    "proxy": {"proxy": "socks5://fa\u00df.example:1080"},
}


def stored(fields: dict[str, Any], port: int = 25) -> Connector:
    """A connector as a registry holds it, which nobody checks any more."""
    inner = {name: value for name, value in fields.items() if name in ("host", "uri", "proxy")}
    outer = {name: value for name, value in fields.items() if name not in inner}
    place = {} if "uri" in inner else {"host": "127.0.0.1", "port": port}
    smtp = {**place, "security": "none", "auth": "none", **inner}
    return Connector("alerts", {"from_address": "ops@example.com", "smtp": smtp, **outer}, {}, {})


def probed(connector: Connector, depth: str) -> Result:
    return run([make_job(connector, {})], Bounds(depth=depth, timeout=5, deadline=30), 1)[0]


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with SmtpScript().server() as running:
        yield running


@pytest.mark.parametrize("fields", STORED.values(), ids=STORED)
def test_value_of_an_earlier_release_is_read_and_may_not_be_declared(fields: dict[str, Any]) -> None:
    connector = stored(fields)
    assert view(connector, State({"alerts": connector}))["name"] == "alerts"
    _declaration, problems = parse_declaration({"name": "alerts", **connector.settings})
    assert [problem.field.rpartition(".")[2] for problem in problems] == list(fields)


@pytest.mark.parametrize("depth", ["envelope", "send"])
@pytest.mark.parametrize("name", ["from_address", "copies", "errors_to", "test_address", "headers"])
def test_connector_of_an_earlier_release_still_sends(name: str, depth: str, server: ScriptedServer) -> None:
    result = probed(stored(STORED[name], server.port), depth)
    assert result.diagnosis().verdict == "ok", result.to_dict()


def test_its_domains_are_the_same_in_the_envelope_and_in_the_message(server: ScriptedServer) -> None:
    connector = stored(STORED["from_address"], server.port)
    for depth in ("envelope", "send"):
        assert probed(connector, depth).diagnosis().verdict == "ok"
    heard = b"".join(server.received)
    assert heard.count(b"MAIL FROM:<ops@xn--fa-hia.example>") == 2
    assert b"From: ops@xn--fa-hia.example\r\n" in heard
    assert "\u00df".encode() not in heard


@pytest.mark.parametrize("name", ["host", "uri", "proxy"])
def test_its_host_is_looked_up_by_its_a_labels(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def look_up(host: str, *_args: object, **_more: object) -> list[Any]:
        asked.append(host)
        return []

    monkeypatch.setattr("socket.getaddrinfo", look_up)
    probed(stored(STORED[name]), "connect")
    assert asked == ["xn--n3h.example" if name == "host" else "xn--fa-hia.example"]


@pytest.mark.parametrize("name", ["host", "uri", "proxy", "from_address"])
def test_domain_of_an_earlier_release_is_written_into_applications_by_its_a_labels(name: str) -> None:
    text = Msmtp().render("", account_of(resolve_connector(stored(STORED[name])), Msmtp(), {}))
    assert text.isascii()
    assert "xn--" in text
