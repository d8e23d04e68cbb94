# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""All reports tell the same, and what a server says stays text in each."""

from __future__ import annotations

import json
import re
from collections import Counter
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree as ET

import outcomes
import pytest

from ansible_collections.mailroom.core.plugins.module_utils._report.html import render_html
from ansible_collections.mailroom.core.plugins.module_utils._report.junit import junit
from ansible_collections.mailroom.core.plugins.module_utils._report.markdown import MOST_LINES, render_markdown
from ansible_collections.mailroom.core.plugins.module_utils._report.metrics import metrics
from ansible_collections.mailroom.core.plugins.module_utils._report.model import Report, parse_report, parse_results
from ansible_collections.mailroom.core.plugins.module_utils._report.results_json import results_json
from ansible_collections.mailroom.core.plugins.module_utils._report.summary import summary
from ansible_collections.mailroom.core.plugins.module_utils._report.table import table

NOW = outcomes.iso(outcomes.NOW)
GIVEN = outcomes.outcomes(4, 120)


def report_of(given: dict[str, dict[str, Any]]) -> Report:
    return parse_report(NOW, given)


@pytest.fixture(scope="module")
def report() -> Report:
    return report_of(GIVEN)


class Page(HTMLParser):
    """The elements of a page: which there are, the rows of the table, and all text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "input") and (tag, "/") not in attrs:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.text += data


def states(given: dict[str, dict[str, Any]]) -> set[tuple[str, str, str, str]]:
    """Host, connector, status and verdict, as they were given."""
    return {
        (host, each["connector"], each["status"], each["verdict"])
        for host, outcome in given.items()
        for each in outcome["results"]
    }


def test_all_formats_tell_the_same(report: Report) -> None:
    expected = states(GIVEN)
    counts = Counter(status for _host, _name, status, _verdict in expected)
    assert counts.keys() == {"ok", "warn", "fail"}
    found = json.loads(results_json(report))
    assert {(each["host"], each["connector"], each["status"], each["verdict"]) for each in found["results"]} == expected
    assert {status: found["summary"][status] for status in counts} == counts
    assert found["summary"] == summary(report)
    page = Page(render_html(report))
    names = dict(re.findall(r'data-number="(\d+)".*?<a href="#c\d+">(\w+)</a>', render_html(report)))
    rows = [attributes for tag, attributes in page.tags if tag == "tr" and "data-number" in attributes]
    assert {
        (row["data-host"], names[row["data-number"] or ""], row["data-status"], row["data-verdict"]) for row in rows
    } == expected
    for host, outcome in GIVEN.items():
        results = parse_results(outcome["results"])
        failed = {name for place, name, status, _verdict in expected if (place, status) == (host, "fail")}
        cases = ET.fromstring(junit(results, host)).iter("testcase")
        assert {case.get("name") for case in cases if case.find("failure") is not None} == failed
        lines = table(results)
        assert {line.split()[0] for line in lines if re.match(r"\w+ +fail ", line)} == failed
        written = metrics(report_of({host: outcome}))
        assert set(re.findall(r'mailroom_connector_up\{connector="(\w+)",protocol="smtp"\} 0', written)) == failed
        verdicts = dict(re.findall(r'mailroom_connector_verdict\{connector="(\w+)",verdict="(\w+)"\} 1', written))
        assert verdicts == {name: verdict for place, name, _status, verdict in expected if place == host}
    numbers = f"{counts['ok']} ok, {counts['warn']} warn, {counts['fail']} fail"
    assert numbers in render_markdown(report)
    assert f"{counts['fail']} of 120 connectors fail" in page.text


def test_warning_of_a_test_that_sent_a_mail_is_in_all_formats() -> None:
    given = outcomes.outcomes(1, 1)
    (outcome,) = given.values()
    (tested,) = outcome["results"]
    ends = {"code": "certificate_ends", "text": "It ends in 3 days."}
    sent = {"message_id": "<1@example.com>", "queue_id": "4F2", "refused": [{"to": "ann@example.com"}]}
    (endpoint, *_others) = tested["endpoints"]
    tested.update(status="warn", verdict="ok", warnings=[ends], endpoints=[{**endpoint, "message": sent}])
    report = report_of(given)
    for rendered in (
        render_html(report),
        render_markdown(report),
        results_json(report),
        "\n".join(table(report.results)),
    ):
        assert ends["text"] in rendered
    assert summary(report)["warn"] == 1


def test_page_is_well_formed_and_loads_nothing(report: Report) -> None:
    page = Page(render_html(report))
    assert page.open == []
    loading = {"src", "srcset", "action", "data", "poster", "style", "background", "formaction", "ping"}
    for tag, attributes in page.tags:
        assert not attributes.keys() & loading, (tag, attributes)
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
        assert (attributes.get("href") or "#").startswith("#"), (tag, attributes)
    scripts = [attributes for tag, attributes in page.tags if tag == "script"]
    assert scripts == [{}]
    ids = [attributes["id"] for _tag, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {(attributes["href"] or "")[1:] for _tag, attributes in page.tags if "href" in attributes}
    assert links <= set(ids)


def test_words_of_a_server_stay_text(report: Report) -> None:
    page = render_html(report)
    assert "<script>alert" not in page
    assert "<img" not in page
    assert "<script>alert(1)</script>" in Page(page).text
    lines = render_markdown(report).splitlines()
    (said,) = [line for line in lines if "alert(1)" in line]
    assert said.count("|") - said.count("\\|") == 4
    assert "<script" not in said
    assert "@all" not in said
    assert "[x]" not in said
    for text in (page, "".join(lines), metrics(report), *table(parse_results(GIVEN["mail01.example.com"]["results"]))):
        assert not set(text) & {"\x00", "\x1b", "\r", "\u202e"}


@pytest.mark.parametrize(("hosts", "connectors"), [(1, 1), (3, 40), (20, 300)])
def test_markdown_is_short(hosts: int, connectors: int) -> None:
    given = outcomes.outcomes(hosts, connectors)
    for outcome in given.values():
        for result in outcome["results"]:
            result |= {"status": "fail", "verdict": "auth_rejected", "remedy": f"Only for {result['connector']}."}
            result["warnings"] = [{"code": "certificate_expires", "text": f"That of {result['connector']}."}]
    given |= {f"lost{number}": {} for number in range(50)}
    text = render_markdown(report_of(given))
    assert len(text.splitlines()) <= MOST_LINES
    assert "50 hosts could not be tested" in text


def test_host_without_results_is_broken_and_one_that_another_tests_for_is_not() -> None:
    results = GIVEN["mail01.example.com"]["results"][:1]
    report = report_of({"a": {"results": results}, "b": {"tested_from": "a"}})
    assert not report.is_broken
    assert summary(report)["untested_hosts"] == []
    report = report_of({"a": {"results": results}, "b": {"tested_from": "a"}, "c": {}})
    assert report.is_broken
    assert summary(report)["untested_hosts"] == ["c"]
    assert summary(report)["answer"] == "1 host could not be tested"
    assert "1 host could not be tested" in Page(render_html(report)).text


def test_nothing_to_report_is_said() -> None:
    report = report_of({"a": {"results": []}})
    assert "No connector was tested" in render_html(report)
    assert "No connector was tested" in render_markdown(report)
    assert metrics(report).splitlines()[-1].startswith("mailroom_last_test_timestamp_seconds ")
    assert json.loads(results_json(report))["results"] == []
