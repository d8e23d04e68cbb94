# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results of tests as metrics."""

from __future__ import annotations

from typing import Any

from unit.plugins.module_utils._report.results import SERVER, result

from ansible_collections.mailroom.core.plugins.module_utils._report.metrics import metrics
from ansible_collections.mailroom.core.plugins.module_utils._report.model import parse_report

NOW = "2026-11-28T03:00:00Z"
IMAP = {"protocol": "imap", "host": "imap.example.com", "port": 993}


def samples(*results: dict[str, Any], connectors: list[dict[str, Any]] | None = None) -> list[str]:
    text = metrics(parse_report(NOW, {"mail": {"results": [*results], "connectors": connectors or []}}))
    return [line for line in text.splitlines() if not line.startswith("#")]


def up(*results: dict[str, Any], connectors: list[dict[str, Any]] | None = None) -> list[str]:
    name = "mailroom_connector_up"
    return [line.removeprefix(name) for line in samples(*results, connectors=connectors) if line.startswith(name)]


def test_metrics_of_one_connector() -> None:
    phases = [("tcp", "ok", 2), ("ehlo", "ok", 10), ("starttls", "ok", 5), ("ehlo", "ok", 20), ("auth", "skipped", 0)]
    endpoint = {
        **SERVER,
        "phases": [{"phase": phase, "status": status, "ms": ms} for phase, status, ms in phases],
        "tls": {"not_after": "2027-01-01T00:00:00Z"},
    }
    applications = [
        {"app": "postfix", "place": "/etc/postfix", "host": "mx1", "current": True},
        {"app": "postfix", "place": "/etc/postfix", "host": "mx2", "current": False},
        {"app": "msmtp", "place": "/etc/msmtprc", "host": "mx1", "current": None},
    ]
    stored = {"name": "a", "oauth2": {"client_secret_expires": "2026-12-24"}, "applications": applications}
    assert samples(result("a", endpoints=[endpoint]), connectors=[stored]) == [
        'mailroom_connector_up{connector="a",protocol="smtp"} 1',
        'mailroom_connector_verdict{connector="a",verdict="ok"} 1',
        'mailroom_connector_phase_seconds{connector="a",protocol="smtp",phase="ehlo"} 0.03',
        'mailroom_connector_phase_seconds{connector="a",protocol="smtp",phase="starttls"} 0.005',
        'mailroom_connector_phase_seconds{connector="a",protocol="smtp",phase="tcp"} 0.002',
        'mailroom_certificate_expiry_timestamp_seconds{connector="a",protocol="smtp"} 1798761600',
        'mailroom_secret_expiry_timestamp_seconds{connector="a"} 1798156799',
        "mailroom_last_test_timestamp_seconds 1795834800",
        'mailroom_application_current{app="postfix",place="/etc/postfix",connector="a"} 0',
    ]


def test_warning_is_up() -> None:
    assert up(result("a", "warn")) == ['{connector="a",protocol="smtp"} 1']


def test_only_the_protocol_that_failed_is_down() -> None:
    endpoints = [
        {**SERVER, "phases": [{"phase": "auth", "status": "fail"}]},
        {**IMAP, "phases": [{"phase": "auth", "status": "ok"}]},
    ]
    assert up(result("a", "fail", endpoints=endpoints)) == [
        '{connector="a",protocol="imap"} 1',
        '{connector="a",protocol="smtp"} 0',
    ]


def test_where_no_server_is_to_blame_all_declared_protocols_are_down() -> None:
    stored = {"name": "a", "smtp": {"host": "h"}, "imap": {"host": "h"}, "graph": None}
    both = ['{connector="a",protocol="imap"} 0', '{connector="a",protocol="smtp"} 0']
    assert up(result("a", "fail", endpoints=[]), connectors=[stored]) == both
    other = {**IMAP, "connector": "inbox", "phases": [{"phase": "tcp", "status": "fail"}]}
    works = {**SERVER, "phases": [{"phase": "auth", "status": "ok"}]}
    assert up(result("a", "fail", endpoints=[works, other]), connectors=[stored]) == both


def test_unknown_connector_that_fails_is_down() -> None:
    assert up(result("a", "fail", endpoints=[])) == ['{connector="a",protocol=""} 0']


def test_label_holds_any_text() -> None:
    application = {"app": 'a"\\\n\x00é', "place": "", "host": "", "current": True}
    lines = samples(result("a"), connectors=[{"name": "a", "applications": [application]}])
    assert lines[-1] == 'mailroom_application_current{app="a\\"\\\\\ufffd\ufffdé",place="",connector="a"} 1'


def test_host_whose_results_cannot_be_read_was_not_tested() -> None:
    assert samples(result("a", elapsed_ms="long")) == []
