# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a report makes of many results."""

from __future__ import annotations

import math
from typing import Any

import pytest
from unit.plugins.module_utils._report.results import SERVER, result

from ansible_collections.mailroom.core.plugins.module_utils._report.model import Report, parse_report
from ansible_collections.mailroom.core.plugins.module_utils._report.results_json import results_json
from ansible_collections.mailroom.core.plugins.module_utils._report.summary import (
    answer,
    changed_connectors,
    expiries,
    failures_by_remedy,
)

NOW = "2026-11-28T03:00:00Z"


def report_of(*results: dict[str, Any], connectors: list[dict[str, Any]] | None = None) -> Report:
    return parse_report(NOW, {"mail": {"results": [*results], "connectors": connectors or []}})


@pytest.mark.parametrize(
    ("statuses", "said"),
    [
        ("", "No connector was tested"),
        ("o", "The connector works"),
        ("oo", "All 2 connectors work"),
        ("ow", "All 2 connectors work; 1 connector needs attention"),
        ("ww", "All 2 connectors work; 2 connectors need attention"),
        ("wof", "1 of 3 connectors fails"),
        ("ff", "2 of 2 connectors fail"),
    ],
)
def test_answer_is_one_sentence(statuses: str, said: str) -> None:
    names = {"o": "ok", "w": "warn", "f": "fail"}
    assert answer(report_of(*(result(f"c{at}", names[each]) for at, each in enumerate(statuses)))) == said


NESTED: dict[str, Any] = {}
for _each in range(100_000):
    NESTED = {"refused": NESTED}


@pytest.mark.parametrize(
    "malformed",
    [
        "text",
        {"status": "good"},
        {"elapsed_ms": math.inf},
        {"elapsed_ms": math.nan},
        {"verdict": NESTED},
        {"endpoints": [{**SERVER, "port": math.inf}]},
        {"endpoints": [{**SERVER, "message": NESTED}]},
        {"endpoints": [{**SERVER, "message": "sent"}]},
        {"endpoints": [{**SERVER, "phases": [{"phase": "tls", "status": "ok", "code": {}}]}]},
    ],
)
def test_host_with_a_malformed_result_counts_as_untested_and_all_others_are_reported(malformed: Any) -> None:
    broken = malformed if isinstance(malformed, str) else {**result("b"), **malformed}
    hosts = {
        "hostile": {"results": [result("a"), broken]},
        "trusting": {"results": None, "tested_from": "hostile"},
        "mail": {"results": [result("c")]},
    }
    report = parse_report(NOW, hosts)
    assert report.untested_hosts == ["hostile", "trusting"]
    assert [(each.host, each.connector) for each in report.results] == [("mail", "c")]
    assert '"untested_hosts": [' in results_json(report)


def test_failures_with_one_remedy_are_one_group_and_the_largest_comes_first() -> None:
    groups = failures_by_remedy(
        report_of(
            result("a", "fail", remedy="Ask."),
            *(result(name, "fail") for name in "bc"),
            result("d"),
            result("e", "warn"),
        )
    )
    assert [(group.title, group.text, [each.connector for each in group.results]) for group in groups] == [
        ("tls_name_mismatch (certain)", "Set host to mail.example.com.", ["b", "c"]),
        ("tls_name_mismatch (certain)", "Ask.", ["a"]),
    ]


def test_what_ends_is_listed_once_for_all_connectors_that_need_it() -> None:
    def seen(name: str, not_after: str) -> dict[str, Any]:
        return result(name, endpoints=[{**SERVER, "phases": [], "tls": {"not_after": not_after}}])

    other = {**SERVER, "connector": "inbox", "phases": [], "tls": {"not_after": "2026-11-30T00:00:00Z"}}
    oauth2 = {"client_secret_expires": "2026-12-01"}
    found = expiries(
        report_of(
            seen("a", "2026-12-31T03:00:00Z"),
            seen("b", "2026-12-31T03:00:00Z"),
            seen("c", "unknown"),
            result("d", endpoints=[other]),
            connectors=[{"name": "c", "oauth2": oauth2}],
        )
    )
    assert [(each.what, each.days, each.connectors) for each in found] == [
        ("oauth2.client_secret of c", 3, ("c",)),
        ("certificate of smtp.example.com port 465", 33, ("a", "b")),
    ]


def runs(statuses: str, host: str = "mail") -> list[dict[str, Any]]:
    """Runs on one day after the other: f for one that failed."""
    names = {"o": "ok", "w": "warn", "f": "fail"}
    return [
        {"at": f"2026-11-{at + 1:02}T03:00:00Z", "host": host, "status": names[each], "verdict": "", "ms": 1}
        for at, each in enumerate(statuses)
    ]


@pytest.mark.parametrize(
    ("statuses", "is_news"),
    [
        ("", False),
        ("o", False),
        ("f", True),
        ("of", True),
        ("wf", True),
        ("off", False),
        ("fo", True),
        ("fow", False),
        ("ow", False),
        ("ooofof", True),
        ("oofofof", False),
        ("oofofoff", False),
        ("oofofofff", True),
        ("oofofoffff", False),
        ("oofofofffo", False),
    ],
)
def test_what_goes_back_and_forth_is_not_news_each_time(statuses: str, is_news: bool) -> None:
    health = {"status": "ok", "runs": runs(statuses)}
    report = report_of(result("a"), connectors=[{"name": "a", "health": health}])
    assert changed_connectors(report) == ["a"] * is_news


def test_runs_from_other_hosts_are_not_news_here() -> None:
    health = {"status": "ok", "runs": [*runs("oooo"), *runs("ffff", "elsewhere")]}
    report = report_of(result("a"), connectors=[{"name": "a", "health": health}])
    assert changed_connectors(report) == []
