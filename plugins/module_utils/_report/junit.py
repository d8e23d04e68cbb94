# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Results of tests as JUnit XML for pipelines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree as ET

from .model import Result, count_statuses
from .table import advice

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(results: Sequence[Result], host: str) -> str:
    """A test suite for a host, with a test case for each of its connectors."""
    failures = count_statuses(results)["fail"]
    seconds = f"{sum(result.elapsed_ms for result in results) / 1000:.3f}"
    about = {"name": _clean(f"mailroom {host}"), "tests": str(len(results)), "failures": str(failures), "time": seconds}
    suite = ET.Element("testsuite", {**about, "errors": "0", "skipped": "0"})
    for result in results:
        time = f"{result.elapsed_ms / 1000:.3f}"
        about = {"classname": f"mailroom.{host}", "name": result.connector, "time": time}
        case = ET.SubElement(suite, "testcase", {name: _clean(value) for name, value in about.items()})
        if result.status == "fail":
            failure = ET.SubElement(case, "failure", type=_clean(result.verdict), message=_clean(result.remedy))
            failure.text = _clean("\n".join([result.where, *advice([result])]))
        elif result.warnings:
            ET.SubElement(case, "system-out").text = _clean("\n".join(advice([result])))
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=False) + "\n"


def _clean(text: str) -> str:
    """A text without what XML cannot carry."""
    return _NOT_IN_XML.sub("\ufffd", text)
