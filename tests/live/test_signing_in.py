# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright the mailroom.core contributors
"""A real tenant: signing in and looking, and signing in wrongly. Nothing is sent."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import pytest
from live.tenant import Tenant

Result = Mapping[str, Any]


def summary(result: Result) -> tuple[str, str, str]:
    """What a failure should show."""
    return result["status"], result["verdict"], result["remedy"]


def statuses(result: Result) -> dict[str, str]:
    """How each phase went."""
    return {phase["phase"]: phase["status"] for endpoint in result["endpoints"] for phase in endpoint["phases"]}


def test_it_signs_in(tenant: Tenant, protocol: str) -> None:
    result = tenant.test(protocol)
    assert summary(result)[1:] == ("ok", "")
    assert statuses(result)["token"] == "ok"


def test_connecting_needs_no_token(tenant: Tenant, protocol: str) -> None:
    result = tenant.test(protocol, "connect")
    assert summary(result)[1:] == ("ok", "")
    assert "token" not in statuses(result)


def test_the_mailbox_is_seen_or_may_not_be_looked_at(tenant: Tenant) -> None:
    assert statuses(tenant.test("graph"))["mailbox"] in ("ok", "skipped")


def test_nothing_is_sent_to_test_the_envelope(tenant: Tenant) -> None:
    result = tenant.test("graph", "envelope")
    assert summary(result)[1:] == ("ok", "")
    assert [warning["code"] for warning in result["warnings"]] == ["send_unproven"]
    assert "message" not in statuses(result)


@pytest.mark.parametrize(
    ("field", "verdict"),
    [("client_secret", "token_secret"), ("client_id", "token_client"), ("tenant_id", "token_tenant")],
)
def test_what_is_wrong_is_named(tenant: Tenant, field: str, verdict: str) -> None:
    result = tenant.test("graph", **{field: str(uuid.uuid4())})
    assert summary(result)[:2] == ("fail", verdict), result["remedy"]
    assert statuses(result)["token"] == "fail"


def test_a_mailbox_that_does_not_exist(tenant: Tenant) -> None:
    domain = tenant.mailbox.rpartition("@")[2]
    result = tenant.test("graph", mailbox=f"nobody-{uuid.uuid4().hex}@{domain}")
    # An application that may not look is refused before anybody looks for the mailbox.
    seen = (result["verdict"], statuses(result)["mailbox"])
    assert seen in (("mailbox_missing", "fail"), ("ok", "skipped")), result["remedy"]
