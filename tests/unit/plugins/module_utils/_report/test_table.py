# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results of tests as a table."""

from __future__ import annotations

from typing import Any

import pytest
from unit.plugins.module_utils._report.results import SERVER, result

from ansible_collections.mailroom.core.plugins.module_utils._report.model import parse_results
from ansible_collections.mailroom.core.plugins.module_utils._report.table import WIDTH
from ansible_collections.mailroom.core.plugins.module_utils._report.table import table as render


def table(results: list[dict[str, Any]]) -> list[str]:
    return render(parse_results(results))


def test_worst_comes_first() -> None:
    assert table([result("well"), result("ill", "fail"), result("soon", "warn")]) == [
        "connector  status  verdict            where                           ms",
        "ill        fail    tls_name_mismatch  smtp smtp.example.com 465, tls  212",
        "soon       warn    certificate_ends   smtp smtp.example.com 465       212",
        "well       ok      ok                 smtp smtp.example.com 465       212",
        "3 tested: 1 ok, 1 warn, 1 fail",
        "ill: tls_name_mismatch (certain). Set host to mail.example.com.",
        "soon: warning certificate_ends. It ends in 3 days.",
    ]


def test_without_results_there_is_a_count() -> None:
    assert table([])[-1] == "0 tested: 0 ok, 0 warn, 0 fail"


def test_same_remedy_is_said_once() -> None:
    results = [result(name, "fail") for name in ("a", "b", "c", "d")] + [result("e", "warn"), result("f", "warn")]
    assert table(results)[-2:] == [
        "a, b, c, d: tls_name_mismatch (certain). Set host to mail.example.com.",
        "e, f: warning certificate_ends. It ends in 3 days.",
    ]


def test_same_remedy_of_another_verdict_or_certainty_is_said_apart() -> None:
    results = [result("a", "fail"), result("b", "fail", certainty="likely"), result("c", "fail", verdict="tls_expired")]
    assert [line.partition(":")[0] for line in table(results)[-3:]] == ["a", "b", "c"]


def test_failures_come_before_warnings() -> None:
    warning = {"warnings": [{"code": "certificate_ends", "text": "It ends in 3 days."}]}
    lines = table([result("a", "fail", **warning), result("b", "fail", remedy="Ask the administrator.")])
    assert [line.partition(".")[0] for line in lines[-3:]] == [
        "a: tls_name_mismatch (certain)",
        "b: tls_name_mismatch (certain)",
        "a: warning certificate_ends",
    ]


def test_field_to_look_at_is_named() -> None:
    assert table([result("a", "fail", field="smtp.host")])[-1].startswith(
        "a: tls_name_mismatch (certain), field smtp.host. Set host"
    )


def test_connector_whose_mailbox_is_read_is_named() -> None:
    sends = {**SERVER, "phases": [{"phase": "sender", "status": "ok"}, {"phase": "message", "status": "skipped"}]}
    reads = {"connector": "inbox", "protocol": "imap", "host": "mail.example.com", "port": 993}
    failed = {
        "verdict": "connect_refused",
        "endpoints": [sends, {**reads, "phases": [{"phase": "tcp", "status": "fail"}]}],
    }
    lines = table([result("a", "fail", **failed), result("b", "fail", **failed)])
    assert "imap mail.example.com 993 of inbox, tcp" in lines[1]
    assert lines[-2].startswith("a, b: connect_refused (certain), at the mailbox of inbox (deliver_via). Set host")


def long_result(status: str) -> dict[str, Any]:
    host = "a-very-long-name-of-a-host.with-several-labels.mail.production.eu-central-1.example.com"
    phases = [{"phase": "delivery", "status": status}]
    return result(
        "c" * 50,
        status,
        verdict="token_expired_secret",
        elapsed_ms=3_600_000,
        remedy="Ask the administrator. " * 20,
        warnings=[{"code": "certificate_ends", "text": "x" * 300}, {"code": "from_domain_differs", "text": "It does."}],
        endpoints=[{"protocol": "smtp", "host": host, "port": 587, "phases": phases}] * 2,
    )


@pytest.mark.parametrize("status", ["fail", "warn"])
def test_no_line_is_too_long_and_nothing_is_lost(status: str) -> None:
    lines = table([long_result(status), result("well")])
    assert max(map(len, lines)) <= WIDTH
    assert "c" * 50 in lines
    text = "".join(line.split(maxsplit=3)[-1] if "fail" in line else line for line in lines).replace(" ", "")
    for label in ("with-several", "production", "example.com", "3600000"):
        assert label in text


def test_short_table_is_not_widened() -> None:
    assert table([result("well")])[1] == "well       ok      ok       smtp smtp.example.com 465  212"


def test_what_is_about_the_host_is_said_once_for_all_connectors() -> None:
    """Usability, finding 11."""
    missing = {"verdict": "host_not_ready", "remedy": "The Python library msal is needed to sign in.", "endpoints": []}
    lines = table([result(name, "fail", **missing) for name in ("a", "b", "c")])
    assert lines[-1] == "a, b, c: host_not_ready (certain). The Python library msal is needed to sign in."
    assert " ".join(lines).count("msal") == 1


def test_what_failed_in_the_config_names_no_server() -> None:
    lines = table([result("ill", "fail", endpoints=[], verdict="config_invalid")])
    assert lines[1].split() == ["ill", "fail", "config_invalid", "212"]


def test_control_characters_of_a_server_reach_no_terminal() -> None:
    lines = table([result("ill", "fail", remedy="It says:\x1b[31m\r\n 550\x07 no\u202e")])
    assert all(line.isprintable() for line in lines)
    assert lines[-1] == "ill: tls_name_mismatch (certain). It says: [31m 550 no"
