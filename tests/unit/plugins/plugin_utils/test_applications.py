# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The applications that are out of date in lines for people."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.mailroom.core.plugins.plugin_utils._applications import (
    comparable_applications,
    outdated_applications,
)


def application(host: str, app: str = "msmtp", **more: Any) -> dict[str, Any]:
    record = {"app": app, "host": host, "place": "/etc/x", "purpose": None, "tenant": None, "current": False}
    return {**record, "written_at": "2026-11-20T10:00:00Z", "written_by": "deploy", **more}


FOUND = {
    "connectors": [
        {
            "name": "alerts",
            "applications": [
                application("web1"),
                application("web2", purpose="alerts", tenant="acme"),
                application("web3", current=True),
                application("web4", current=None),
            ],
        },
        {"name": "spare", "applications": []},
    ],
    "orphaned_applications": [{"connector": "old", **application("web5", purpose="alerts")}],
}
OTHER = "has other settings than it would be given now, of connector alerts"
WRITTEN = "(written 2026-11-20T10:00:00Z by deploy)"


def test_each_that_is_not_current_has_a_line() -> None:
    assert outdated_applications(FOUND) == [
        f"msmtp /etc/x on web1: {OTHER} {WRITTEN}",
        f"msmtp /etc/x on web2: {OTHER}, for purpose alerts@acme {WRITTEN}",
        f"msmtp /etc/x on web5: has settings of connector old, for purpose alerts, which is deleted {WRITTEN}",
    ]


@pytest.mark.parametrize(
    ("options", "hosts"),
    [
        ({"hosts": ["web2", "web3"]}, ["web2"]),
        ({"other_than": ["web2", "web5"]}, ["web1"]),
        ({"compared": [{"app": "msmtp", "path": "/etc//x"}], "compared_on": "web1"}, ["web2", "web5"]),
        ({"compared": [{"app": "dma", "path": "/etc/x"}], "compared_on": "web1"}, ["web1", "web2", "web5"]),
    ],
)
def test_those_of_some_hosts(options: dict[str, Any], hosts: list[str]) -> None:
    lines = outdated_applications(FOUND, **options)
    assert [line.partition(" on ")[2].partition(":")[0] for line in lines] == hosts


@pytest.mark.parametrize(
    ("entry", "is_comparable"),
    [
        ({"connector": "alerts", "purpose": "other"}, True),
        ({"connector": "new"}, False),
        ({"connector": "new", "state": "absent"}, True),
        ({"connector": "unheard_of"}, True),
        ({"purpose": "reports"}, True),
        ({"purpose": "reports", "tenant": "acme"}, False),
        ({"purpose": "reports", "tenant": "other"}, True),
        ({"purpose": "moved"}, False),
        ({"purpose": "unbound"}, False),
        ({"purpose": "unbound", "tenant": "acme"}, False),
        ({}, False),
        ({"connector": "", "purpose": None}, False),
    ],
)
def test_only_what_needs_a_connector_to_be_created_cannot_be_compared(
    entry: dict[str, Any], is_comparable: bool
) -> None:
    purposes = {
        "before": {"moved": "alerts", "unbound": "alerts"},
        "after": {"moved": "new", "reports@acme": "new"},
    }
    changed = {
        "created": ["new"],
        "default": "new",
        "diff": {side: {"purposes": bound} for side, bound in purposes.items()},
    }
    found = {"connectors": [{"name": "alerts", "purposes": ["moved", "reports", "unbound"]}]}
    assert comparable_applications([entry], changed, found) == ([entry] if is_comparable else [])
    nothing_new = {"created": [], "default": "alerts", "diff": {"before": {}, "after": {}}}
    assert comparable_applications([entry], nothing_new, found) == [entry]
