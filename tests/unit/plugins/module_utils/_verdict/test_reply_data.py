# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The shape of the files with replies of real servers."""

from __future__ import annotations

from collections import Counter

import pytest
import replies
from replies import COLUMNS, NAMES, Reply

from ansible_collections.mailroom.core.plugins.module_utils._verdict.table import REMEDIES

PHASES = {
    "smtp": {"greeting", "ehlo", "starttls", "auth", "sender", "recipient", "data", "message"},
    "imap": {"greeting", "capability", "starttls", "auth", "select"},
}
SETUPS = {"", "starttls", "plain", "noauth", "plainnoauth", "gbk"}
KNOWN = {*REMEDIES, "client_blocked", "host_not_ready"}


def _all() -> list[Reply]:
    return [reply for name in NAMES for reply in replies.read(name)]


@pytest.mark.parametrize("name", NAMES)
def test_each_line_has_all_columns(name: str) -> None:
    head, *lines = replies.table(name)
    assert tuple(head) == COLUMNS
    assert [line for line in lines if len(line) != len(COLUMNS)] == []
    assert [reply.id for reply in replies.read(name) if not (reply.reply and reply.why and reply.source)] == []


def test_protocols_phases_and_setups_are_known() -> None:
    unknown = [
        reply.id for reply in _all() if reply.phase not in PHASES.get(reply.protocol, ()) or reply.setup not in SETUPS
    ]
    assert unknown == []


def test_verdicts_are_known() -> None:
    assert {verdict for reply in _all() for verdict in reply.verdicts} - KNOWN == set()


def test_no_id_and_no_reply_is_there_twice() -> None:
    for counted in (Counter(reply.id for reply in _all()), Counter((each.protocol, each.reply) for each in _all())):
        assert [item for item, count in counted.items() if count > 1] == []
