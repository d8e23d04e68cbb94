# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of init_mail, as far as nothing is sent."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Play

ALERTS = {"name": "alerts", "smtp": {"host": "mail.example.com"}, "available_to": ["t1"]}
UNSENT: dict[str, tuple[list[dict[str, Any]], dict[str, Any], str]] = {
    "nothing sends": ([], {}, "there is no enabled connector that can send."),
    "an empty list": ([ALERTS], {"connectors": []}, "the list of connectors is empty."),
    "another tenant": (
        [ALERTS],
        {"tenant": "t2"},
        "there is no enabled connector that can send and is available to tenant t2.",
    ),
}


@pytest.mark.parametrize(("entries", "options", "reason"), UNSENT.values(), ids=UNSENT)
def test_where_nothing_is_sent_the_reason_is_a_warning(
    play: Play, entries: list[dict[str, Any]], options: dict[str, Any], reason: str
) -> None:
    play("connectors", connectors=entries)
    result = play("init_mail", **options)
    assert (result["changed"], result["sent"]) == (False, [])
    assert result["warnings"] == [f"Nothing was sent: {reason}"]
