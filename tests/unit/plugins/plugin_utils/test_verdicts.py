# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results of tests as a table and as JUnit."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

from ansible_collections.mailroom.core.plugins.plugin_utils._verdicts import WIDTH, junit, table


def result(name: str, status: str = "ok", **more: Any) -> dict[str, Any]:
    phase = {"phase": "tls", "status": "fail" if status == "fail" else "ok", "ms": 1.0}
    endpoint = {"protocol": "smtp", "host": "smtp.example.com", "port": 465, "phases": [phase]}
    return {
        "connector": name,
        "status": status,
        "verdict": "tls_name_mismatch" if status == "fail" else "ok",
        "certainty": "certain",
        "remedy": "Set host to mail.example.com." if status == "fail" else "",
        "warnings": [{"code": "certificate_ends", "text": "It ends in 3 days."}] if status == "warn" else [],
        "elapsed_ms": 212.4,
        "endpoints": [endpoint],
        **more,
    }


def test_the_worst_comes_first() -> None:
    assert table([result("well"), result("ill", "fail"), result("soon", "warn")]) == [
        "connector  status  verdict            where                           ms",
        "ill        fail    tls_name_mismatch  smtp smtp.example.com 465, tls  212",
        "soon       warn    certificate_ends   smtp smtp.example.com 465       212",
        "well       ok      ok                 smtp smtp.example.com 465       212",
        "3 tested: 1 ok, 1 warn, 1 fail",
        "ill: tls_name_mismatch (certain). Set host to mail.example.com.",
        "soon: warning certificate_ends. It ends in 3 days.",
    ]


def test_nothing_was_tested() -> None:
    assert table([])[-1] == "0 tested: 0 ok, 0 warn, 0 fail"


def test_advice_is_wrapped() -> None:
    lines = table([result("ill", "fail", remedy="Ask the administrator. " * 20)])
    assert max(map(len, lines)) <= WIDTH
    assert lines[4].startswith("    ")


def test_what_failed_in_the_config_names_no_server() -> None:
    lines = table([result("ill", "fail", endpoints=[], verdict="config_invalid")])
    assert lines[1].split() == ["ill", "fail", "config_invalid", "212"]


def test_junit() -> None:
    suite = next(iter(ET.fromstring(junit([result("well"), result("ill", "fail"), result("soon", "warn")], "mx1"))))
    counts = {"tests": "3", "failures": "1", "errors": "0", "skipped": "0"}
    assert suite.attrib == {"name": "mailroom mx1", "time": "0.637", **counts}
    well, ill, soon = suite
    assert well.attrib == {"classname": "mailroom.mx1", "name": "well", "time": "0.212"}
    assert not list(well)
    (failure,) = ill
    assert failure.attrib == {"type": "tls_name_mismatch", "message": "Set host to mail.example.com."}
    assert "smtp smtp.example.com 465, tls" in (failure.text or "")
    assert "It ends in 3 days." in (soon.findtext("system-out") or "")


def test_junit_carries_what_a_server_may_say() -> None:
    said = '<]]>&"\x00\x1b\ud800\uffff é ☃'
    (suite,) = ET.fromstring(junit([result("ill", "fail", remedy=said)], "h\x00st"))
    assert suite[0][0].get("message") == '<]]>&"\ufffd\ufffd\ufffd\ufffd é ☃'
    assert suite.get("name") == "mailroom h\ufffdst"
