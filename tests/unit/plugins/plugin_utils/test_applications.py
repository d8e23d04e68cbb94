# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The applications that are out of date in lines for people."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.mailroom.core.plugins.plugin_utils._applications import outdated_applications


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
