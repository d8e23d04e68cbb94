# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright the mailroom.core contributors
"""A real tenant: one test mail, from the mailbox to itself. There is no such test unless it is asked for."""

from __future__ import annotations

from live.tenant import Tenant


def test_a_message_to_the_mailbox_itself_is_accepted(tenant: Tenant) -> None:
    result = tenant.test("graph", "send")
    assert result["verdict"] == "ok", result["remedy"]
    assert result["endpoints"][0]["message"]["message_id"]
