# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results of tests as JUnit XML."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from unit.plugins.module_utils._report.results import result

from ansible_collections.mailroom.core.plugins.module_utils._report.junit import junit
from ansible_collections.mailroom.core.plugins.module_utils._report.model import parse_results


def test_junit() -> None:
    suite = next(
        iter(
            ET.fromstring(junit(parse_results([result("well"), result("ill", "fail"), result("soon", "warn")]), "mx1"))
        )
    )
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
    (suite,) = ET.fromstring(junit(parse_results([result("ill", "fail", remedy=said)]), "h\x00st"))
    assert suite[0][0].get("message") == '<]]>&"\ufffd\ufffd\ufffd\ufffd é ☃'
    assert suite.get("name") == "mailroom h\ufffdst"
