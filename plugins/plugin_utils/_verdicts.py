# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""What tests of connectors have found, as a table for people and as JUnit for pipelines."""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from xml.etree import ElementTree as ET

WIDTH = 76
HEADINGS = ("connector", "status", "verdict", "where", "ms")
# The worst comes first: that is what one looks for.
_ORDER = ("fail", "warn", "ok")
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

Result = Mapping[str, Any]


def table(results: Sequence[Result]) -> list[str]:
    """A row for each connector, then what to do about those that are not well."""
    ordered = sorted(results, key=lambda result: _ORDER.index(result["status"]))
    rows = [HEADINGS, *(_row(result) for result in ordered)]
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
    advice = [line for result in ordered for line in _advice(result)]
    return [*lines, count(results), *advice]


def count(results: Sequence[Result]) -> str:
    """How many of each status there are, in words."""
    counts = Counter(result["status"] for result in results)
    return f"{len(results)} tested: " + ", ".join(f"{counts[status]} {status}" for status in reversed(_ORDER))


def junit(results: Sequence[Result], host: str) -> str:
    """A test suite for a host, with a test case for each of its connectors."""
    failures = sum(result["status"] == "fail" for result in results)
    seconds = f"{sum(result['elapsed_ms'] for result in results) / 1000:.3f}"
    about = {"name": _clean(f"mailroom {host}"), "tests": str(len(results)), "failures": str(failures), "time": seconds}
    suite = ET.Element("testsuite", {**about, "errors": "0", "skipped": "0"})
    for result in results:
        _add_case(suite, result, host)
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=False) + "\n"


def _row(result: Result) -> tuple[str, ...]:
    verdict = result["verdict"]
    if result["status"] == "warn":
        verdict = ", ".join(dict.fromkeys(warning["code"] for warning in result["warnings"])) or verdict
    return result["connector"], result["status"], verdict, _where(result), f"{result['elapsed_ms']:.0f}"


def _where(result: Result) -> str:
    """The phase that failed, or all servers that were asked."""
    for endpoint in result["endpoints"]:
        for phase in endpoint["phases"]:
            if phase["status"] == "fail":
                return f"{_server(endpoint)}, {phase['phase']}"
    return " and ".join(_server(endpoint) for endpoint in result["endpoints"])


def _server(endpoint: Mapping[str, Any]) -> str:
    return f"{endpoint['protocol']} {endpoint['host']} {endpoint['port']}"


def _advice(result: Result) -> Iterator[str]:
    name = result["connector"]
    if result["status"] == "fail":
        yield from _wrapped(f"{name}: {result['verdict']} ({result['certainty']}). {result['remedy']}")
    for warning in result["warnings"]:
        yield from _wrapped(f"{name}: warning {warning['code']}. {warning['text']}")


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent="    ", break_on_hyphens=False)


def _add_case(suite: ET.Element, result: Result, host: str) -> None:
    about = {"classname": f"mailroom.{host}", "name": result["connector"], "time": f"{result['elapsed_ms'] / 1000:.3f}"}
    case = ET.SubElement(suite, "testcase", {name: _clean(value) for name, value in about.items()})
    if result["status"] == "fail":
        failure = ET.SubElement(case, "failure", type=_clean(result["verdict"]), message=_clean(result["remedy"]))
        failure.text = _clean("\n".join([_where(result), *_advice(result)]))
    elif result["warnings"]:
        ET.SubElement(case, "system-out").text = _clean("\n".join(_advice(result)))


def _clean(text: str) -> str:
    """A text without what XML cannot carry."""
    return _NOT_IN_XML.sub("\ufffd", text)
