# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What becomes of a connector's health with one more test."""

from __future__ import annotations

from typing import Literal

import pytest

from ansible_collections.mailroom.core.plugins.module_utils._connector.records import RecordedTest, Run, next_health

CERTIFICATE = "2026-12-10T00:00:00Z"
SECRET = "2027-05-01T23:59:59Z"


def outcome(at: str, status: Literal["ok", "fail"], expires: str) -> RecordedTest:
    return RecordedTest("main", "identity", 1, Run(at, "web1", status, status, 1), expires)


@pytest.mark.parametrize(
    ("at", "status", "expires", "kept"),
    [
        pytest.param("2026-11-02", "fail", SECRET, CERTIFICATE, id="not reached by a test that fails"),
        pytest.param("2026-11-02", "fail", "", CERTIFICATE, id="nothing reached by a test that fails"),
        pytest.param("2026-11-02", "fail", "2026-11-30T00:00:00Z", "2026-11-30T00:00:00Z", id="something earlier"),
        pytest.param("2026-12-11", "fail", SECRET, SECRET, id="over already"),
        pytest.param("2026-11-02", "ok", SECRET, SECRET, id="renewed"),
        pytest.param("2026-11-02", "ok", "", "", id="gone"),
    ],
)
def test_what_ends_next_is_kept_until_a_test_comes_to_it(
    at: str, status: Literal["ok", "fail"], expires: str, kept: str
) -> None:
    before = next_health(None, outcome("2026-11-01T00:00:00Z", "ok", CERTIFICATE))
    assert next_health(before, outcome(f"{at}T00:00:00Z", status, expires)).expires == kept
